//! Servers that are no FLARE server, or not the right one.

use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::Identity;
use crate::{CaseResult, Finding};

/// A port of this machine that is taken, so that nobody else gets it, but on which nobody listens.
pub(crate) struct DeafPort {
    _socket: TcpSocket,
    port: u16,
}

impl DeafPort {
    /// Takes a free port.
    pub(crate) fn take() -> CaseResult<Self> {
        let failed = |error: std::io::Error| Finding::harness(format!("cannot take a port: {error}"));
        let socket = TcpSocket::new_v4().map_err(failed)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).map_err(failed)?;
        let port = socket.local_addr().map_err(failed)?.port();
        Ok(Self { _socket: socket, port })
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// A listener on an ephemeral port of this machine, until it is dropped.
pub(crate) struct Impostor {
    port: u16,
    task: JoinHandle<()>,
}

impl Impostor {
    /// Accepts connections and never says a word.
    pub(crate) async fn silent() -> CaseResult<Self> {
        Self::serve(|mut stream| async move {
            // Reads what comes so that the peer can send, until it goes.
            let mut sink = [0; 1024];
            while matches!(stream.read(&mut sink).await, Ok(read) if read > 0) {}
        })
        .await
    }

    /// Answers everything with an HTTP error in plain text, as a web server behind the wrong port does.
    pub(crate) async fn plaintext() -> CaseResult<Self> {
        Self::serve(|mut stream| async move {
            let mut request = [0; 1024];
            if stream.read(&mut request).await.is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
            }
            let _ = stream.shutdown().await;
        })
        .await
    }

    /// Does TLS with this certificate, and says nothing over it.
    pub(crate) async fn tls(identity: &Identity) -> CaseResult<Self> {
        let failed = |error: rustls::Error| Finding::harness(format!("cannot serve this certificate: {error}"));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_no_client_auth()
            .with_single_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(failed)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::serve(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut sink = [0; 1024];
                while matches!(stream.read(&mut sink).await, Ok(read) if read > 0) {}
            }
        })
        .await
    }

    async fn serve<F>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> CaseResult<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let failed = |error: std::io::Error| Finding::harness(format!("cannot listen: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(handle(stream));
            }
        });
        Ok(Self { port, task })
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.task.abort();
    }
}
