//! Connections that stop in the middle of a handshake and say nothing more.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{Identity, tls};
use crate::kits::ServerAddress;
use crate::{CaseResult, Finding};

/// First bytes of a TLS ClientHello that announces 508 bytes and does not send them.
const HALF_CLIENT_HELLO: [u8; 11] = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];

/// A connection that is kept open and silent.
#[expect(dead_code, reason = "the connections are held to keep them open")]
pub(crate) enum HalfOpen {
    /// Before or within TLS.
    Tcp(TcpStream),
    /// After TLS, before the first frame.
    Tls(Box<TlsStream<TcpStream>>),
}

impl HalfOpen {
    /// Connects and sends nothing.
    pub(crate) async fn connected(server: &ServerAddress) -> CaseResult<Self> {
        let stream = TcpStream::connect((server.host.as_str(), server.port)).await;
        Ok(Self::Tcp(stream.map_err(|error| Finding::fail(format!("cannot connect: {error}")))?))
    }

    /// Sends the beginning of a ClientHello.
    pub(crate) async fn half_client_hello(server: &ServerAddress) -> CaseResult<Self> {
        let Self::Tcp(mut stream) = Self::connected(server).await? else {
            return Err(Finding::harness("a TCP connection is expected"));
        };
        let sent = stream.write_all(&HALF_CLIENT_HELLO).await;
        sent.map_err(|error| Finding::fail(format!("cannot send: {error}")))?;
        Ok(Self::Tcp(stream))
    }

    /// Does the TLS handshake and sends nothing over it.
    pub(crate) async fn tls(server: &ServerAddress, identity: &Identity) -> CaseResult<Self> {
        let stream = tls::connect(server, Some(identity)).await;
        Ok(Self::Tls(Box::new(stream.map_err(|error| Finding::fail(format!("cannot connect: {error}")))?)))
    }
}
