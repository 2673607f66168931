//! Errors of a connection.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::cell::{HeadersError, ReturnCode};
use crate::frame::{FrameError, FrameKind};
use crate::stream::StreamError;

/// What a peer sent that cannot be used. A real cell drops it and keeps the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// Not a frame.
    Frame(FrameError),
    /// A frame whose headers cannot be read.
    Headers(HeadersError),
    /// A kind of frame that has no place here.
    UnexpectedFrame(FrameKind),
    /// A message before HELLO and READY were exchanged.
    BeforeHandshake,
    /// A message without a header it must have, or with an unknown kind.
    Incomplete(&'static str),
    /// The gate did not admit the message: its authentication is missing or wrong.
    NotAdmitted,
    /// A reply that nobody waits for.
    UnknownReply,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(_) => f.write_str("the peer sent a malformed frame"),
            Self::Headers(_) => f.write_str("the peer sent malformed headers"),
            Self::UnexpectedFrame(kind) => write!(f, "the peer sent an unexpected frame of kind {kind:?}"),
            Self::BeforeHandshake => f.write_str("the peer sent a message before the handshake"),
            Self::Incomplete(name) => write!(f, "the peer sent a message without a usable `{name}`"),
            Self::NotAdmitted => f.write_str("the peer sent a message that is not authenticated"),
            Self::UnknownReply => f.write_str("the peer sent a reply to no request"),
        }
    }
}

impl Error for ProtocolError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Frame(error) => Some(error),
            Self::Headers(error) => Some(error),
            _ => None,
        }
    }
}

/// How far a request got before its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestPhase {
    /// The request was not yet sent completely.
    Sending,
    /// The request was sent; nothing came back.
    Waiting,
    /// A part of the reply came.
    Receiving,
}

impl fmt::Display for RequestPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sending => "sending the request",
            Self::Waiting => "waiting for the reply",
            Self::Receiving => "receiving the reply",
        })
    }
}

/// Why a request has no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// Nothing moved for the request's timeout. A real server is silent when it does not accept the
    /// authentication of a message, so this can also mean that.
    TimedOut {
        /// How far it got.
        phase: RequestPhase,
        /// The timeout.
        after: Duration,
    },
    /// The peer's cell answered with a return code other than `ok`.
    Failed {
        /// The code.
        code: ReturnCode,
        /// The text beside it.
        text: String,
    },
    /// The stream of the request or of its reply failed.
    Stream(StreamError),
    /// The connection ended first.
    Disconnected,
    /// Too many requests are under way on this connection.
    TooManyRequests,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut { phase, after } => {
                write!(f, "timed out after {:.1} s while {phase}", after.as_secs_f64())
            }
            Self::Failed { code, text } if text.is_empty() => write!(f, "the peer answered `{code}`"),
            Self::Failed { code, text } => write!(f, "the peer answered `{code}`: {text}"),
            Self::Stream(_) => f.write_str("the transfer failed"),
            Self::Disconnected => f.write_str("the connection ended before the reply"),
            Self::TooManyRequests => f.write_str("too many requests are under way"),
        }
    }
}

impl Error for RequestError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Stream(error) => Some(error),
            _ => None,
        }
    }
}
