//! Which certificates the server presents and accepts.
//!
//! As a real server: TLS 1.2 or newer, ALPN for `grpc` only, the chain of leaf and root, and with mutual TLS a client
//! certificate that chains to the root, asked for without a list of names (`reference/wire-protocol.md`
//! section 1.2). Names in the certificates are not looked at here.

use std::sync::Arc;

use flare_wire::certificate::Certificate;
use rustls::crypto::ring;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::pki::{Identity, PkiError};
use crate::project::{ConnectionSecurity, Scheme};

/// Without it official clients do not believe that there is a gRPC server.
const ALPN_HTTP_2: &[u8] = b"h2";

pub(super) fn acceptor(
    scheme: Scheme,
    security: ConnectionSecurity,
    identity: &Identity,
    root: &Certificate,
) -> Result<TlsAcceptor, PkiError> {
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(PkiError::Tls)?;
    let config = if security == ConnectionSecurity::Mtls {
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).map_err(PkiError::Tls)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .clear_root_hint_subjects()
            .build()
            .expect("there is a root, and no revocation list");
        config.with_client_cert_verifier(verifier)
    } else {
        config.with_no_client_auth()
    };
    let chain = vec![identity.certificate().der().clone(), root.der().clone()];
    let mut config = config.with_single_cert(chain, identity.key().tls_key()).map_err(PkiError::Tls)?;
    if scheme == Scheme::Grpc {
        config.alpn_protocols = vec![ALPN_HTTP_2.to_vec()];
    }
    // Official clients never resume, and remembering their certificates costs memory.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
