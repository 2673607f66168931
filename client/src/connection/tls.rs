//! TLS as FLARE has it: the chain is checked against the project's authority, and the server's name is compared with
//! `server_identity`. The host name is checked over gRPC only, whose library does so in the official client too
//! (`reference/wire-protocol.md` section 1.2).

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use flare_wire::Moment;
use flare_wire::certificate::{Certificate, CertificateError, verify_chain};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{AlertDescription, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::startup_kit::{ConnectionSecurity, Scheme, StartupKit};
use crate::{Error, ErrorKind};

/// What a gRPC connection agrees on within TLS; the others agree on nothing.
const ALPN_HTTP_2: &[u8] = b"h2";

/// The TLS configuration of a kit; `None` when it asks for none.
pub(super) fn config(kit: &StartupKit) -> Result<Option<Arc<ClientConfig>>, Error> {
    if kit.connection_security() == ConnectionSecurity::Clear {
        return Ok(None);
    }
    let unusable = |error: rustls::Error| {
        Error::new(ErrorKind::InvalidStartupKit, "the kit's key and certificate cannot be used for TLS")
            .with_source(error)
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let is_grpc = kit.scheme() == Scheme::Grpc;
    let verifier =
        ChainVerifier { roots: kit.tls_roots().to_vec(), compares_host: is_grpc, provider: Arc::clone(&provider) };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = if kit.connection_security() == ConnectionSecurity::Mtls {
        let chain = kit.chain().iter().map(|certificate| certificate.der().clone()).collect();
        builder.with_client_auth_cert(chain, kit.key_der()).map_err(unusable)?
    } else {
        builder.with_no_client_auth()
    };
    if is_grpc {
        config.alpn_protocols = vec![ALPN_HTTP_2.to_vec()];
    }
    Ok(Some(Arc::new(config)))
}

/// Checks that a server's certificate was issued by one of `roots`, and if so wanted that it was issued for the host.
/// FLARE's certificates do not fit the usual verifier: the host name need not be in them, and a common name may stand
/// where a host name belongs.
#[derive(Debug)]
struct ChainVerifier {
    roots: Vec<Certificate>,
    compares_host: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ChainVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let refuse = |error: CertificateError| {
            rustls::Error::InvalidCertificate(rustls::CertificateError::Other(OtherError(Arc::new(error))))
        };
        let chain: Vec<Certificate> = std::iter::once(end_entity)
            .chain(intermediates)
            .map(|der| Certificate::from_der(der))
            .collect::<Result<_, _>>()
            .map_err(refuse)?;
        let now = Moment::from_unix(std::time::Duration::from_secs(now.as_secs()));
        verify_chain(&chain, &self.roots, now).map_err(refuse)?;
        if !chain[0].allows_server_auth() || !chain[0].allows_digital_signature() {
            return Err(refuse(CertificateError::NotAcceptable("it was not issued for a server".to_owned())));
        }
        let host = server_name.to_str();
        if self.compares_host && !chain[0].is_for_host(&host) {
            let wrong = WrongHost { host: host.into_owned(), names: chain[0].host_names().to_vec() };
            return Err(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(OtherError(Arc::new(
                wrong,
            )))));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A good certificate, but for other hosts.
#[derive(Debug)]
struct WrongHost {
    host: String,
    names: Vec<String>,
}

impl fmt::Display for WrongHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, names } = self;
        match names.as_slice() {
            [] => write!(f, "the server's certificate names no host, and so not {host:?}"),
            names => write!(f, "the server's certificate is for {}, not for {host:?}", names.join(", ")),
        }
    }
}

impl StdError for WrongHost {}

/// What a failure inside TLS means, when `error` is one.
pub(super) fn cause(error: &std::io::Error) -> Option<Error> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    if let rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) = error
        && let Some(wrong) = other.0.downcast_ref::<WrongHost>()
    {
        return Some(
            Error::new(ErrorKind::ServerIdentityMismatch, wrong.to_string())
                .with_hint("over grpc the host of the kit has to be one that the server's certificate names"),
        );
    }
    let (kind, message) = meaning(error);
    Some(Error::new(kind, message))
}

fn meaning(error: &rustls::Error) -> (ErrorKind, &'static str) {
    match error {
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) => {
            match other.0.downcast_ref::<CertificateError>() {
                Some(CertificateError::UnknownIssuer) => {
                    (ErrorKind::ServerCertificateUntrusted, "the server's certificate was issued by another authority")
                }
                Some(CertificateError::Expired { .. }) => (
                    ErrorKind::ServerCertificateExpired,
                    "the server's certificate has expired by this machine's clock",
                ),
                Some(CertificateError::NotYetValid { .. }) => {
                    (ErrorKind::ClockSkew, "by this machine's clock the server's certificate is not valid yet")
                }
                _ => (ErrorKind::ServerCertificateUntrusted, "the server's certificate is not acceptable"),
            }
        }
        rustls::Error::InvalidCertificate(_) => {
            (ErrorKind::ServerCertificateUntrusted, "the server's certificate is not acceptable")
        }
        rustls::Error::AlertReceived(alert) => refusal(*alert),
        rustls::Error::InvalidMessage(_) => (ErrorKind::TlsRefused, "the peer does not speak TLS"),
        rustls::Error::PeerIncompatible(_) => {
            (ErrorKind::TlsRefused, "the peer speaks no version of TLS that can be used")
        }
        _ => (ErrorKind::TlsRefused, "the TLS handshake failed"),
    }
}

/// What the peer's alert says about us. We check our own certificate's dates before we connect, so a peer that
/// calls it expired has another time than we have.
fn refusal(alert: AlertDescription) -> (ErrorKind, &'static str) {
    match alert {
        AlertDescription::CertificateExpired => {
            (ErrorKind::ClockSkew, "by the server's clock our certificate has expired, by ours it has not")
        }
        AlertDescription::NoCertificate | AlertDescription::CertificateRequired => {
            (ErrorKind::ClientCertificateRejected, "the server requires a certificate of ours")
        }
        // `decrypt_error` is what both OpenSSL and rustls say when the authority has the right name but another key: a
        // kit from before the project was provisioned anew.
        AlertDescription::BadCertificate
        | AlertDescription::DecryptError
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => {
            (ErrorKind::ClientCertificateRejected, "the server does not accept our certificate")
        }
        _ => (ErrorKind::TlsRefused, "the peer refused the TLS handshake"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(error: rustls::Error) -> ErrorKind {
        cause(&std::io::Error::other(error)).unwrap().kind()
    }

    fn other(error: CertificateError) -> rustls::Error {
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(OtherError(Arc::new(error))))
    }

    #[test]
    fn every_cause_has_its_kind() {
        let then = Moment::default();
        for (error, expected) in [
            (other(CertificateError::UnknownIssuer), ErrorKind::ServerCertificateUntrusted),
            (other(CertificateError::Expired { not_after: then }), ErrorKind::ServerCertificateExpired),
            (other(CertificateError::NotYetValid { not_before: then }), ErrorKind::ClockSkew),
            (other(CertificateError::BadDer), ErrorKind::ServerCertificateUntrusted),
            (rustls::Error::AlertReceived(AlertDescription::UnknownCA), ErrorKind::ClientCertificateRejected),
            (rustls::Error::AlertReceived(AlertDescription::CertificateRequired), ErrorKind::ClientCertificateRejected),
            (rustls::Error::AlertReceived(AlertDescription::DecryptError), ErrorKind::ClientCertificateRejected),
            (rustls::Error::AlertReceived(AlertDescription::CertificateExpired), ErrorKind::ClockSkew),
            (rustls::Error::AlertReceived(AlertDescription::HandshakeFailure), ErrorKind::TlsRefused),
            (rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType), ErrorKind::TlsRefused),
            (rustls::Error::DecryptError, ErrorKind::TlsRefused),
        ] {
            let text = error.to_string();
            assert_eq!(kind(error), expected, "{text}");
        }
    }

    #[test]
    fn a_failure_outside_tls_is_none_of_its_causes() {
        assert!(cause(&std::io::Error::from(std::io::ErrorKind::ConnectionReset)).is_none());
    }
}
