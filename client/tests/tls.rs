//! TLS: whose certificate is not good, and why, is told apart; and a peer that stops answering is not waited for.
#![allow(clippy::unwrap_used, reason = "what goes wrong fails the test")]

mod support;

use std::future::Future;
use std::sync::Arc;

use flare_client::{Error, ErrorKind, Phase, Session, StartupKit};
use flare_simserver::pki::Identity;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use support::federation::{Federation, When, write_identity};
use support::patience::{AMPLE, timed_out};

/// Listens on a port of its own, and does with every connection what `serve` says.
async fn listen<F: Future<Output = ()> + Send>(serve: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            serve(listener.accept().await.unwrap().0).await;
        }
    });
    port
}

/// TLS with this certificate; asks for client certificates of `federation` when there is one.
fn acceptor(identity: &Identity, federation: Option<&Federation>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = match federation {
        None => builder.with_no_client_auth(),
        Some(federation) => {
            let mut roots = RootCertStore::empty();
            roots.add(federation.authority.certificate().der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = vec![identity.certificate().der().clone()];
    TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, identity.key().tls_key()).unwrap()))
}

/// A TLS server that ends with the handshake, or keeps silent after it.
async fn tls_server(acceptor: TlsAcceptor) -> u16 {
    listen(move |socket| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut stream) = acceptor.accept(socket).await {
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        }
    })
    .await
}

async fn connect(kit: StartupKit) -> Error {
    Session::builder(kit).connect_timeout(AMPLE).connect().await.expect_err("none of these servers is a real one")
}

async fn kind_with(federation: &Federation, server: &Identity, changes: Value) -> ErrorKind {
    let port = tls_server(acceptor(server, Some(federation))).await;
    connect(federation.kit(port, changes)).await.kind()
}

#[tokio::test]
async fn a_server_certificate_of_another_authority_is_refused() {
    let federation = Federation::new();
    let kind = kind_with(&federation, &Federation::stranger().server, json!({})).await;
    assert_eq!(kind, ErrorKind::ServerCertificateUntrusted);
}

#[tokio::test]
async fn a_server_certificate_out_of_its_time_is_refused() {
    let federation = Federation::new();
    for (when, expected) in [(When::Past, ErrorKind::ServerCertificateExpired), (When::Future, ErrorKind::ClockSkew)] {
        let kind = kind_with(&federation, &federation.server_certificate("server", when), json!({})).await;
        assert_eq!(kind, expected);
    }
}

#[tokio::test]
async fn a_good_certificate_of_somebody_else_is_refused() {
    let federation = Federation::new();
    let kind = kind_with(&federation, &federation.server_certificate("site-1", When::Now), json!({})).await;
    assert_eq!(kind, ErrorKind::ServerIdentityMismatch);
    let kind = kind_with(&federation, &federation.server, json!({"server_identity": "other"})).await;
    assert_eq!(kind, ErrorKind::ServerIdentityMismatch);
}

#[tokio::test]
async fn our_certificate_is_refused_when_another_authority_issued_it() {
    let (federation, stranger) = (Federation::new(), Federation::stranger());
    for scheme in ["http", "tcp", "grpc"] {
        let port = tls_server(acceptor(&federation.server_for_host("127.0.0.1"), Some(&federation))).await;
        let folder = federation.write_kit(scheme, json!({"scheme": scheme}));
        write_identity(&folder, &stranger.admin);
        let kit = StartupKit::open(folder).unwrap().with_address("127.0.0.1", port);
        assert_eq!(connect(kit).await.kind(), ErrorKind::ClientCertificateRejected, "{scheme}");
    }
}

#[tokio::test]
async fn our_certificate_is_missed_when_the_kit_says_that_none_is_shown() {
    let federation = Federation::new();
    let kind = kind_with(&federation, &federation.server, json!({"connection_security": "tls"})).await;
    assert_eq!(kind, ErrorKind::ClientCertificateRejected);
}

#[tokio::test]
async fn a_server_that_drops_us_after_the_handshake_did_not_like_our_certificate() {
    let federation = Federation::new();
    let acceptor = acceptor(&federation.server, None);
    let port = listen(move |socket| {
        let acceptor = acceptor.clone();
        async move { drop(acceptor.accept(socket).await) }
    })
    .await;
    assert_eq!(connect(federation.kit(port, json!({}))).await.kind(), ErrorKind::ClientCertificateRejected);
}

#[tokio::test]
async fn a_proxy_may_end_tls_under_its_own_name_and_authority_where_the_kit_says_so() {
    let (federation, proxy) = (Federation::new(), Federation::stranger());
    let port = tls_server(acceptor(&proxy.server_certificate("proxy", When::Now), None)).await;
    let folder = federation.write_kit("proxied", json!({"connection_security": "tls", "scheme": "tcp"}));
    std::fs::write(folder.join("startup/customRootCA.pem"), proxy.authority.pem()).unwrap();
    // It gets past TLS: what is missing is a FLARE server behind.
    timed_out(&StartupKit::open(folder).unwrap().with_address("127.0.0.1", port), Phase::Handshake).await;
}

#[tokio::test]
async fn a_peer_that_speaks_no_tls_is_told_apart() {
    let federation = Federation::new();
    let plain = listen(|mut socket| async move {
        let _ = socket.write_all(b"220 mail.example.com ESMTP\r\n").await;
        let _ = socket.read_to_end(&mut Vec::new()).await;
    })
    .await;
    assert_eq!(connect(federation.kit(plain, json!({}))).await.kind(), ErrorKind::TlsRefused);
    let closing = listen(|socket| async move { drop(socket) }).await;
    assert_eq!(connect(federation.kit(closing, json!({}))).await.kind(), ErrorKind::TlsRefused);
}

#[tokio::test]
async fn silence_is_reported_with_the_step_it_came_in() {
    let federation = Federation::new();
    let mute = listen(|mut socket| async move {
        let _ = socket.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let silent = tls_server(acceptor(&federation.server_for_host("127.0.0.1"), Some(&federation))).await;
    for (port, scheme, phase) in [
        (mute, "http", Phase::Tls),
        (silent, "http", Phase::Upgrade),
        (silent, "tcp", Phase::Handshake),
        (silent, "grpc", Phase::Handshake),
    ] {
        timed_out(&federation.kit(port, json!({"scheme": scheme})), phase).await;
    }
}

/// A web server that has nothing of what clients ask for.
async fn refusing_server(acceptor: TlsAcceptor, status: &'static str) -> u16 {
    listen(move |socket| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(socket).await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_server_that_knows_no_websocket_is_no_flare_server() {
    let federation = Federation::new();
    let port = refusing_server(acceptor(&federation.server, Some(&federation)), "404 Not Found").await;
    let error = connect(federation.kit(port, json!({}))).await;
    assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{error:?}");
    assert!(error.hint().unwrap().contains("scheme"));
}

#[tokio::test]
async fn over_grpc_the_certificate_has_to_name_the_host() {
    let federation = Federation::new();
    let port = tls_server(acceptor(&federation.server, Some(&federation))).await;
    let error = connect(federation.kit(port, json!({"scheme": "grpc"}))).await;
    assert_eq!(error.kind(), ErrorKind::ServerIdentityMismatch);
    assert_eq!(error.to_string(), "the server's certificate is for server, not for \"127.0.0.1\"");
    assert!(error.hint().unwrap().contains("host of the kit"));
    // The authority comes first: of a stranger's certificate nothing else matters.
    let kind = kind_with(&federation, &Federation::stranger().server, json!({"scheme": "grpc"})).await;
    assert_eq!(kind, ErrorKind::ServerCertificateUntrusted);
}

#[tokio::test]
async fn a_server_that_knows_no_http_2_is_no_grpc_server() {
    let federation = Federation::new();
    let identity = federation.server_for_host("127.0.0.1");
    let port = refusing_server(acceptor(&identity, Some(&federation)), "400 Bad Request").await;
    let error = connect(federation.kit(port, json!({"scheme": "grpc"}))).await;
    assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{error:?}");
    assert!(error.hint().unwrap().contains("scheme"));
}
