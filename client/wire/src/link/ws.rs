//! One frame is one binary WebSocket message; text messages are ignored.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::{LinkError, Pipe, Transport, WEBSOCKET_PATH};

/// Bytes of a connection's read buffer, allocated at once: small, since a server holds one for each of
/// many connections that mostly carry short messages.
const READ_BUFFER: usize = 16 * 1024;

fn config(max_frame: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(max_frame))
        .max_frame_size(Some(max_frame))
}

fn link_error(error: Error) -> LinkError {
    match error {
        Error::Io(error) => LinkError::Io(error),
        Error::Http(response) => LinkError::UpgradeRefused { status: response.status().as_u16() },
        other => LinkError::WebSocket(Box::new(other)),
    }
}

pub(super) async fn connect(
    pipe: impl Pipe + 'static,
    host: &str,
    max_frame: usize,
) -> Result<Box<dyn Transport>, LinkError> {
    // The scheme only serves the library's checks; the pipe is open already.
    let url = format!("ws://{host}{WEBSOCKET_PATH}");
    let (socket, _) =
        tokio_tungstenite::client_async_with_config(url, pipe, Some(config(max_frame))).await.map_err(link_error)?;
    Ok(Box::new(WebSocketTransport { socket, closing: false }))
}

pub(super) async fn accept(pipe: impl Pipe + 'static, max_frame: usize) -> Result<Box<dyn Transport>, LinkError> {
    #[expect(clippy::result_large_err, reason = "the library prescribes this error type")]
    let only_our_path = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        if request.uri().path() == WEBSOCKET_PATH {
            return Ok(response);
        }
        let mut refusal = ErrorResponse::new(Some("404: Not Found".to_owned()));
        *refusal.status_mut() = StatusCode::NOT_FOUND;
        Err(refusal)
    };
    let socket = tokio_tungstenite::accept_hdr_async_with_config(pipe, only_our_path, Some(config(max_frame)))
        .await
        .map_err(link_error)?;
    Ok(Box::new(WebSocketTransport { socket, closing: false }))
}

struct WebSocketTransport<P> {
    socket: WebSocketStream<P>,
    closing: bool,
}

impl<P: Pipe> Stream for WebSocketTransport<P> {
    type Item = Result<Bytes, LinkError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(Message::Binary(frame))) => Some(Ok(frame)),
                Some(Ok(Message::Close(_))) | None => None,
                Some(Ok(_)) => continue,
                Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => None,
                Some(Err(error)) => Some(Err(link_error(error))),
            });
        }
    }
}

impl<P: Pipe> Sink<Bytes> for WebSocketTransport<P> {
    type Error = LinkError;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Pin::new(&mut self.socket).poll_ready(context).map_err(link_error)
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Bytes) -> Result<(), LinkError> {
        Pin::new(&mut self.socket).start_send(Message::Binary(frame)).map_err(link_error)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Pin::new(&mut self.socket).poll_flush(context).map_err(link_error)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if !self.closing {
            ready!(Pin::new(&mut self.socket).poll_ready(context)).map_err(link_error)?;
            let normal = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
            Pin::new(&mut self.socket).start_send(Message::Close(Some(normal))).map_err(link_error)?;
            self.closing = true;
        }
        match ready!(Pin::new(&mut self.socket).poll_close(context)) {
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(link_error(error))),
        }
    }
}
