//! The transport of a raw peer: frames, or bytes that are none, over WebSocket, gRPC or TCP.

use std::io;

use bytes::{Bytes, BytesMut};
use flare_wire::frame::{FrameDecoder, MAX_FRAME_LEN};
use flare_wire::link::{DEFAULT_MAX_FRAME, FrameSource, Link};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message as WebSocketMessage;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{Identity, tls};
use crate::kits::ServerAddress;

/// What came from the server.
#[derive(Debug)]
pub(crate) enum Received {
    /// The bytes of a frame.
    Frame(Bytes),
    /// The server ended the connection.
    Closed,
}

/// A connection that carries frames.
pub(crate) enum Wire {
    /// `http`: one frame per binary message.
    WebSocket(Box<WebSocketStream<TlsStream<TcpStream>>>),
    /// `grpc`: one frame per message of a call.
    Grpc(Link),
    /// `tcp`: frames back to back.
    Tcp {
        /// The connection.
        stream: Box<TlsStream<TcpStream>>,
        /// Bytes of a frame that is not complete.
        buffer: BytesMut,
    },
}

impl Wire {
    /// Connects, with TLS and for `http` the WebSocket upgrade of `wire-protocol.md` section 1.3.
    pub(crate) async fn open(server: &ServerAddress, identity: Option<&Identity>) -> io::Result<Self> {
        let stream = tls::connect(server, identity).await?;
        match server.scheme.as_str() {
            "http" => {
                let url = format!("ws://{}:{}/f3", server.host, server.port);
                let (socket, _) = client_async(url, stream).await.map_err(io::Error::other)?;
                Ok(Self::WebSocket(Box::new(socket)))
            }
            "grpc" => {
                let origin = format!("https://{}:{}", server.host, server.port);
                let link = Link::connect_grpc(stream, &origin, DEFAULT_MAX_FRAME).await.map_err(io::Error::other)?;
                Ok(Self::Grpc(link))
            }
            "tcp" => Ok(Self::Tcp { stream: Box::new(stream), buffer: BytesMut::new() }),
            other => Err(io::Error::other(format!("this suite does not speak {other}"))),
        }
    }

    /// Sends one message: over WebSocket as a binary message, over gRPC as a message of the call, over TCP as these
    /// bytes.
    pub(crate) async fn send(&mut self, bytes: Bytes) -> io::Result<()> {
        match self {
            Self::WebSocket(socket) => socket.send(WebSocketMessage::Binary(bytes)).await.map_err(io::Error::other),
            Self::Grpc(link) => link.send(bytes).await.map_err(io::Error::other),
            Self::Tcp { stream, .. } => {
                stream.write_all(&bytes).await?;
                stream.flush().await
            }
        }
    }

    /// Sends a text message, which only a WebSocket has.
    pub(crate) async fn send_text(&mut self, text: &str) -> io::Result<()> {
        match self {
            Self::WebSocket(socket) => socket.send(WebSocketMessage::text(text)).await.map_err(io::Error::other),
            Self::Grpc(_) | Self::Tcp { .. } => Err(io::Error::other("only a WebSocket has text messages")),
        }
    }

    /// The next frame. Any error counts as the end: what matters to a case is that nothing more comes.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn receive(&mut self) -> Received {
        match self {
            Self::WebSocket(socket) => loop {
                match socket.next().await {
                    Some(Ok(WebSocketMessage::Binary(bytes))) => return Received::Frame(bytes),
                    Some(Ok(WebSocketMessage::Close(_)) | Err(_)) | None => return Received::Closed,
                    Some(Ok(_)) => {}
                }
            },
            Self::Grpc(link) => match link.exchange(&mut Nothing).await {
                Ok(Some(bytes)) => Received::Frame(bytes),
                Ok(None) | Err(_) => Received::Closed,
            },
            Self::Tcp { stream, buffer } => loop {
                match FrameDecoder::new(MAX_FRAME_LEN).next_frame(buffer) {
                    Ok(Some(frame)) => return Received::Frame(frame),
                    Ok(None) => {}
                    Err(_) => return Received::Closed,
                }
                if !matches!(stream.read_buf(buffer).await, Ok(read) if read > 0) {
                    return Received::Closed;
                }
            },
        }
    }
}

/// Nothing to send while a frame is waited for.
struct Nothing;

impl FrameSource for Nothing {
    fn next_frame(&mut self) -> Option<Bytes> {
        None
    }
}
