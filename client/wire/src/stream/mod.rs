//! The stream layer: a blob cut into chunks, with a window, acknowledgements, repeats and errors.
//!
//! Chunks travel as cell messages on channel `sm__STREAM`:
//!
//! ```text
//! sender   -- sm__DATA {id, sequence, offset, chunk} ->  receiver     chunk 0 .. n, the last one marked
//!          <- sm__ACK  {id, sequence, offset}  --                     progress, and always at the end
//!          <- sm__ERROR {id, text}  --                                refusal
//! ```
//!
//! A request is one stream, its reply another one that repeats the request id `sm__ri`. Both halves are state
//! machines that get the time as an argument. Source: `reference/wire-protocol.md` section 4.

mod receiver;
mod sender;

use std::error::Error;
use std::fmt;
use std::time::Duration;

pub use receiver::{Assembled, Received, Receiver, ReceiverLimits, Rejection};
pub use sender::{Chunk, Outgoing, Sender, StreamSettings};

/// Bytes of a full chunk. A WebSocket message of the official client may not exceed 4 MiB.
pub const CHUNK_SIZE: usize = 1024 * 1024;

/// A sender pauses while more bytes than this are unacknowledged (2.9).
pub const WINDOW_SIZE: u64 = 64 * 1024 * 1024;

/// The same in 2.7 and 2.8.
pub const WINDOW_SIZE_BEFORE_2_9: u64 = 16 * 1024 * 1024;

/// A receiver acknowledges every so many bytes; also what a 2.9 server announces.
pub const ACK_INTERVAL: u64 = 4 * 1024 * 1024;

/// The interval that a 2.9 client announces.
pub const CLIENT_ACK_INTERVAL: u64 = 16 * 1024 * 1024;

/// A reliable sender repeats a chunk that was not acknowledged for so long.
pub const RETRY_WAIT: Duration = Duration::from_secs(5);

/// A reliable sender gives up so long after its first repeat.
pub const RETRY_TIMEOUT: Duration = Duration::from_secs(60);

/// A sender that waits for its window gives up after so long without progress.
pub const ACK_PROGRESS_TIMEOUT: Duration = Duration::from_secs(60);

/// A receiver forgets a stream that sent nothing for so long.
pub const READ_TIMEOUT: Duration = Duration::from_secs(300);

/// Repeats of a finished stream are recognised for so long: [`RETRY_TIMEOUT`] and one [`RETRY_WAIT`].
pub const FINISHED_MEMORY: Duration = Duration::from_secs(65);

/// `sm__dt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// A chunk that is not the last.
    Chunk,
    /// The last chunk.
    Final,
    /// An acknowledgement.
    Ack,
    /// The stream failed.
    Error,
}

impl StreamKind {
    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            Self::Chunk => 1,
            Self::Final => 2,
            Self::Ack => 3,
            Self::Error => 6,
        }
    }

    /// The kind of a code; `None` for the codes that are not used (4, 5) or not defined.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        [Self::Chunk, Self::Final, Self::Ack, Self::Error].into_iter().find(|kind| kind.code() == code)
    }
}

/// Why a stream failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamError {
    /// The receiver said so.
    Refused {
        /// Its words.
        text: String,
    },
    /// The sender gave up and said so.
    Aborted {
        /// Its words.
        text: String,
    },
    /// No acknowledgement came.
    NotAcknowledged {
        /// How long the sender waited.
        after: Duration,
    },
    /// No chunk came for [`READ_TIMEOUT`].
    Stalled,
    /// The stream ended before the announced size.
    Truncated,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { text } => write!(f, "the receiver refused the stream: {text}"),
            Self::Aborted { text } => write!(f, "the sender aborted the stream: {text}"),
            Self::NotAcknowledged { after } => {
                write!(f, "the stream was not acknowledged within {:.1} s", after.as_secs_f64())
            }
            Self::Truncated => f.write_str("the stream ended before its announced size"),
            Self::Stalled => write!(f, "the stream brought nothing for {} s", READ_TIMEOUT.as_secs()),
        }
    }
}

impl Error for StreamError {}
