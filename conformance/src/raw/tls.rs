//! TLS of a raw peer. It accepts every server: checking the server is the client library's business.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{DOOR, Identity, PATIENCE};
use crate::kits::ServerAddress;

/// Opens a TLS connection; without `identity` no certificate is presented.
pub(super) async fn connect(server: &ServerAddress, identity: Option<&Identity>) -> io::Result<TlsStream<TcpStream>> {
    let _turn = DOOR.acquire().await.map_err(io::Error::other)?;
    let stream = TcpStream::connect((server.host.as_str(), server.port)).await?;
    stream.set_nodelay(true)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptEveryServer(ring::default_provider())));
    let mut config = match identity {
        Some(identity) => {
            builder.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key()).map_err(io::Error::other)?
        }
        None => builder.with_no_client_auth(),
    };
    if server.scheme == "grpc" {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    let name = ServerName::try_from("localhost").expect("a constant host name").to_owned();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// How a server turned a TLS connection away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TlsRefusal {
    /// It did not: the connection is open, or data came.
    Accepted,
    /// With an alert or a closed connection, before any application data.
    Refused(String),
}

/// Opens a TLS connection and watches what becomes of it. With TLS 1.3 a client learns only from its first read
/// that its certificate was refused.
pub(crate) async fn probe(server: &ServerAddress, identity: Option<&Identity>) -> TlsRefusal {
    let attempt = async {
        let mut stream = connect(server, identity).await?;
        let mut byte = [0; 1];
        stream.read(&mut byte).await
    };
    match tokio::time::timeout(PATIENCE, attempt).await {
        Ok(Ok(0)) => TlsRefusal::Refused("connection closed".to_owned()),
        Ok(Ok(_)) | Err(_) => TlsRefusal::Accepted,
        Ok(Err(error)) => TlsRefusal::Refused(error.to_string()),
    }
}

#[derive(Debug)]
struct AcceptEveryServer(CryptoProvider);

impl ServerCertVerifier for AcceptEveryServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
