//! A plain echo over mutual TLS and WebSocket: what the transport costs without anything of FLARE on it. It also takes in
//! and gives out pieces, each of which is acknowledged or asked for, as uploads and downloads do.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use super::BenchError;
use crate::kits::ServerAddress;
use crate::raw::{Identity, Received, Wire};

/// Bytes of a piece of a copy: what an upload of the real client sends before it waits.
const PIECE: usize = 1024 * 1024;
/// First byte of a message that is only acknowledged, and of one that asks for a piece; anything else is sent back.
const TAKE: u8 = 1;
const GIVE: u8 = 2;

/// Which way a copy goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    Up,
    Down,
}

/// The server's end, until it is dropped.
pub(super) struct EchoServer {
    address: ServerAddress,
    identity: Identity,
    task: JoinHandle<()>,
}

impl EchoServer {
    /// Serves with the certificate of the server whose kit this is, and asks for one of the same root.
    pub(super) async fn start(server_kit: &Path) -> Result<Self, BenchError> {
        let startup = server_kit.join("startup");
        let acceptor = TlsAcceptor::from(Arc::new(config(&startup)?));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(echo(acceptor.clone(), stream));
            }
        });
        let identity = Identity::from_pem(
            std::fs::read(startup.join("server.crt"))?,
            &std::fs::read(startup.join("server.key"))?,
        )?;
        let address = ServerAddress {
            host: "localhost".to_owned(),
            port,
            scheme: "http".to_owned(),
            project_name: String::new(),
            server_identity: String::new(),
        };
        Ok(Self { address, identity, task })
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn config(startup: &Path) -> Result<ServerConfig, BenchError> {
    let file = |name: &str| -> PathBuf { startup.join(name) };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("rootCA.pem"))?)?;
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    let chain = CertificateDer::pem_file_iter(file("server.crt"))?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(file("server.key"))?;
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?)
}

/// Answers every message. Errors end the connection: the other end notices.
async fn echo(acceptor: TlsAcceptor, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let Ok(mut socket) = accept_async(stream).await else { return };
    let piece = Bytes::from(vec![0; PIECE]);
    while let Some(Ok(message)) = socket.next().await {
        if !message.is_binary() {
            continue;
        }
        let answer = match message.into_data() {
            taken if taken.first() == Some(&TAKE) => taken.slice(..1),
            asked if asked.first() == Some(&GIVE) => piece.clone(),
            other => other,
        };
        if socket.send(Message::Binary(answer)).await.is_err() {
            return;
        }
    }
}

/// The client's end.
pub(super) struct EchoClient(Wire);

impl EchoClient {
    /// Connects with TLS and WebSocket.
    pub(super) async fn connect(server: &EchoServer) -> Result<Self, BenchError> {
        Ok(Self(Wire::open(&server.address, Some(&server.identity)).await?))
    }

    /// Sends so many bytes and waits for them.
    pub(super) async fn round_trip(&mut self, size: usize) -> Result<(), BenchError> {
        self.exchange(Bytes::from(vec![0; size])).await
    }

    /// Moves so many pieces, one after the other.
    pub(super) async fn copy(&mut self, way: Way, pieces: usize) -> Result<(), BenchError> {
        let message = match way {
            Way::Up => {
                let mut piece = vec![0; PIECE];
                piece[0] = TAKE;
                Bytes::from(piece)
            }
            Way::Down => Bytes::from_static(&[GIVE]),
        };
        for _ in 0..pieces {
            self.exchange(message.clone()).await?;
        }
        Ok(())
    }

    async fn exchange(&mut self, message: Bytes) -> Result<(), BenchError> {
        self.0.send(message).await?;
        match self.0.receive().await {
            Received::Frame(_) => Ok(()),
            Received::Closed => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }
}
