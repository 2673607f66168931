//! Frames over a byte pipe: WebSocket (scheme `http`), gRPC (`grpc`), raw TCP (`tcp`), or memory.
//!
//! The pipe is any `AsyncRead + AsyncWrite`, usually a TLS stream that the caller opened. A link neither knows what
//! is in a frame nor who sends it. A further scheme would be one more module here that implements [`Transport`].
//! Source: `reference/wire-protocol.md` sections 1.3 to 1.5.

mod grpc;
mod tcp;
mod ws;

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Sink, SinkExt as _, Stream};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::frame::FrameError;

pub use grpc::{GrpcConnection, MAX_GRPC_MESSAGE};

/// Longest frame that a link takes unless told otherwise. Both ends cut what they send into chunks of 1 MiB;
/// only plain messages can be longer, and those of admin traffic stay far below this.
pub const DEFAULT_MAX_FRAME: usize = 64 * 1024 * 1024;

/// Path of the WebSocket of a FLARE server.
pub const WEBSOCKET_PATH: &str = "/f3";

/// Why a link failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkError {
    /// The pipe failed.
    Io(io::Error),
    /// The peer broke the framing, or sent a frame over the limit.
    Frame(FrameError),
    /// The peer answered the WebSocket upgrade with this HTTP status.
    UpgradeRefused {
        /// The status code.
        status: u16,
    },
    /// The peer does not speak WebSocket, or sent a message over the limit.
    WebSocket(Box<tokio_tungstenite::tungstenite::Error>),
    /// The peer does not speak gRPC, does not know the method, sent a message over the limit, or ended the call with an
    /// error.
    Grpc(Box<tonic::Status>),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(_) => f.write_str("the connection failed"),
            Self::Frame(_) => f.write_str("the peer broke the framing"),
            Self::UpgradeRefused { status } => {
                write!(f, "the peer refused the WebSocket upgrade with HTTP status {status}")
            }
            Self::WebSocket(_) => f.write_str("the peer broke the WebSocket protocol"),
            Self::Grpc(_) => f.write_str("the gRPC call failed"),
        }
    }
}

impl Error for LinkError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Frame(error) => Some(error),
            Self::UpgradeRefused { .. } => None,
            Self::WebSocket(error) => Some(error),
            Self::Grpc(status) => Some(status),
        }
    }
}

/// A byte pipe.
pub trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

/// What a link needs of a transport: frames in and out. The bytes of a frame are one item.
pub trait Transport: Stream<Item = Result<Bytes, LinkError>> + Sink<Bytes, Error = LinkError> + Send + Unpin {}

impl<T> Transport for T where T: Stream<Item = Result<Bytes, LinkError>> + Sink<Bytes, Error = LinkError> + Send + Unpin {}

/// Where a link gets the frames to send.
pub trait FrameSource {
    /// The next frame to send, when there is one.
    fn next_frame(&mut self) -> Option<Bytes>;

    /// False to stop reading until what waits was sent.
    fn accepts_input(&self) -> bool {
        true
    }
}

/// One connection that carries frames.
pub struct Link {
    transport: Box<dyn Transport>,
    unflushed: bool,
}

impl Link {
    /// A link over a transport of the caller's.
    #[must_use]
    pub fn new(transport: Box<dyn Transport>) -> Self {
        Self { transport, unflushed: false }
    }

    /// Opens a WebSocket at [`WEBSOCKET_PATH`]; `host` goes into the `Host` header.
    ///
    /// # Errors
    /// [`LinkError::UpgradeRefused`], [`LinkError::WebSocket`], [`LinkError::Io`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the pipe.
    pub async fn connect_websocket(pipe: impl Pipe + 'static, host: &str, max_frame: usize) -> Result<Self, LinkError> {
        ws::connect(pipe, host, max_frame).await.map(Self::new)
    }

    /// Accepts a WebSocket at [`WEBSOCKET_PATH`]; any other path is answered with 404.
    ///
    /// # Errors
    /// As [`Link::connect_websocket`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the pipe.
    pub async fn accept_websocket(pipe: impl Pipe + 'static, max_frame: usize) -> Result<Self, LinkError> {
        ws::accept(pipe, max_frame).await.map(Self::new)
    }

    /// Calls the method of FLARE's gRPC service on a pipe; `origin` is what the pipe leads to, as
    /// `https://host:port` or `http://host:port`. Has to be called in a tokio runtime. Whether the server takes the
    /// call shows with the first frame. Several calls of a client on one connection are accepted with
    /// [`GrpcConnection`].
    ///
    /// # Errors
    /// [`LinkError::Grpc`], [`LinkError::Io`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the pipe.
    pub async fn connect_grpc(pipe: impl Pipe + 'static, origin: &str, max_frame: usize) -> Result<Self, LinkError> {
        grpc::connect(pipe, origin, max_frame).await.map(Self::new)
    }

    /// Frames back to back on a byte pipe, as the scheme `tcp` has them.
    #[must_use]
    pub fn tcp(pipe: impl Pipe + 'static, max_frame: usize) -> Self {
        Self::new(tcp::transport(pipe, max_frame))
    }

    /// Two links whose frames reach each other through memory, for tests.
    #[must_use]
    pub fn memory_pair() -> (Self, Self) {
        /// Bytes that may wait in one direction: a sender feels the other side's pace, as over a socket.
        const BUFFER: usize = 64 * 1024;
        let (one, other) = tokio::io::duplex(BUFFER);
        (Self::tcp(one, DEFAULT_MAX_FRAME), Self::tcp(other, DEFAULT_MAX_FRAME))
    }

    /// Waits for the next frame and meanwhile sends what `source` has; `Ok(None)` when the peer closed.
    ///
    /// # Errors
    /// [`LinkError`]; the link is of no use then.
    ///
    /// # Cancel safety
    /// Safe: a frame that was taken from `source` is sent by the next call, none is lost on either way.
    pub async fn exchange(&mut self, source: &mut impl FrameSource) -> Result<Option<Bytes>, LinkError> {
        std::future::poll_fn(|context| self.poll_exchange(context, source)).await
    }

    fn poll_exchange(
        &mut self,
        context: &mut Context<'_>,
        source: &mut impl FrameSource,
    ) -> Poll<Result<Option<Bytes>, LinkError>> {
        let mut transport = Pin::new(&mut *self.transport);
        while transport.as_mut().poll_ready(context)?.is_ready() {
            let Some(frame) = source.next_frame() else { break };
            transport.as_mut().start_send(frame)?;
            self.unflushed = true;
        }
        if self.unflushed && transport.as_mut().poll_flush(context)?.is_ready() {
            self.unflushed = false;
        }
        if !source.accepts_input() && self.unflushed {
            return Poll::Pending;
        }
        match transport.poll_next(context) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Ok(Some(frame))),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(error)),
            Poll::Ready(None) => Poll::Ready(Ok(None)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Sends one frame, or whatever these bytes are.
    ///
    /// # Errors
    /// [`LinkError`]; the link is of no use then.
    ///
    /// # Cancel safety
    /// Dropping the future sends the frame or does not.
    pub async fn send(&mut self, frame: Bytes) -> Result<(), LinkError> {
        self.transport.send(frame).await
    }

    /// Sends what is left and ends the connection in order (WebSocket close code 1000).
    ///
    /// # Errors
    /// [`LinkError`] when the peer is gone already.
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection.
    pub async fn close(mut self) -> Result<(), LinkError> {
        self.transport.close().await
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("unflushed", &self.unflushed).finish_non_exhaustive()
    }
}
