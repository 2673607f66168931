//! One frame is one message of a gRPC call that streams both ways; a connection has one call, and may have several.
//!
//! Service, method and message are those of FLARE's `streamer.proto` (`reference/wire-protocol.md` section 1.4). tonic
//! makes calls of HTTP/2 streams; HTTP/2 itself runs on the caller's pipe in tasks that end with the link.
//!
//! - `codec` — the message
//! - `tasks` — who owns the tasks of a connection
//! - `pipe` — the caller's pipe, and what became of it
//! - `client`, `server` — the two ends of a call

mod client;
mod codec;
mod pipe;
mod server;
mod tasks;

use std::error::Error as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;
use tonic::{Code, Status};

use super::LinkError;
use pipe::Fate;

pub(super) use client::connect;
pub use server::GrpcConnection;

/// Path of the one method.
const METHOD: &str = "/streamer.Streamer/Stream";

/// Longest message that a real FLARE process sends or takes over gRPC (2 GiB - 2 MiB).
pub const MAX_GRPC_MESSAGE: usize = crate::frame::MAX_FRAME_LEN;

/// Bytes of a message beside its frame: two tags, the number (negative ones take ten bytes), a length.
const MESSAGE_OVERHEAD: usize = 1 + 10 + 1 + 5;

/// Frames that wait to become messages. HTTP/2 buffers behind it; a few keep it busy.
const WAITING_FRAMES: usize = 4;

/// Bytes that may be under way on a connection before the receiver has to allow more: two chunks of a stream, so that
/// neither end waits for the other between them.
const WINDOW: u32 = 2 * 1024 * 1024;

/// The longest message that carries a frame of at most `max_frame` bytes.
fn max_message(max_frame: usize) -> usize {
    max_frame.saturating_add(MESSAGE_OVERHEAD).min(MAX_GRPC_MESSAGE)
}

/// What a call sends, taken from the queue that a link fills.
struct Outgoing<T>(mpsc::Receiver<T>);

impl<T> Stream for Outgoing<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_recv(context)
    }
}

/// How a call ended, told by the last thing heard of it; none when the peer ended it in order.
fn ending(status: Status, fate: &Fate) -> Option<Result<Bytes, LinkError>> {
    if let Some(error) = fate.take_error() {
        return Some(Err(LinkError::Io(error)));
    }
    let is_from_peer = status.source().is_none();
    if fate.has_ended() || is_reset(&status) || is_from_peer && is_goodbye(status.code()) {
        return None;
    }
    Some(Err(LinkError::Grpc(Box::new(status))))
}

/// A server that closes a call cancels it; one that ends says that it is not available.
fn is_goodbye(code: Code) -> bool {
    matches!(code, Code::Ok | Code::Cancelled | Code::Unavailable)
}

/// True when the peer dropped the call or the connection: an official client never ends them otherwise.
fn is_reset(status: &Status) -> bool {
    std::iter::successors(status.source(), |&error| error.source())
        .filter_map(|error| error.downcast_ref::<h2::Error>())
        .any(|error| error.is_remote() && (error.is_reset() || error.reason() == Some(h2::Reason::NO_ERROR)))
}
