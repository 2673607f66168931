//! One cell message and its payload.

use std::error::Error;
use std::fmt;

use bytes::Bytes;

use super::headers::{self, Headers, HeadersError};
use crate::fobs::{self, FobsError};
use crate::frame::{APP_CELLNET, Frame, FrameError, FrameKind};
use crate::msgpack::Value;
use crate::segments::Segments;

/// `cn__msg_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// A request; also every stream message, replies on streams included.
    Request,
    /// Answer to a plain request.
    Reply,
    /// A message that could not be delivered comes back.
    Return,
}

impl MessageKind {
    /// The value on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "req",
            Self::Reply => "reply",
            Self::Return => "return",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Request, Self::Reply, Self::Return].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Outcome of a request on the cell network.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReturnCode {
    /// `ok`
    Ok,
    /// `timeout`
    Timeout,
    /// `invalid_target`
    InvalidTarget,
    /// `target_unreachable`
    TargetUnreachable,
    /// `comm_error`
    CommError,
    /// `invalid_request`
    InvalidRequest,
    /// `process_exception`
    ProcessException,
    /// `authentication_error`
    AuthenticationError,
    /// `service_unavailable`
    ServiceUnavailable,
    /// `unauthenticated`
    Unauthenticated,
    /// Another code.
    Other(String),
}

impl ReturnCode {
    /// The value on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ok => "ok",
            Self::Timeout => "timeout",
            Self::InvalidTarget => "invalid_target",
            Self::TargetUnreachable => "target_unreachable",
            Self::CommError => "comm_error",
            Self::InvalidRequest => "invalid_request",
            Self::ProcessException => "process_exception",
            Self::AuthenticationError => "authentication_error",
            Self::ServiceUnavailable => "service_unavailable",
            Self::Unauthenticated => "unauthenticated",
            Self::Other(text) => text,
        }
    }
}

impl From<&str> for ReturnCode {
    fn from(text: &str) -> Self {
        const KNOWN: [ReturnCode; 10] = [
            ReturnCode::Ok,
            ReturnCode::Timeout,
            ReturnCode::InvalidTarget,
            ReturnCode::TargetUnreachable,
            ReturnCode::CommError,
            ReturnCode::InvalidRequest,
            ReturnCode::ProcessException,
            ReturnCode::AuthenticationError,
            ReturnCode::ServiceUnavailable,
            ReturnCode::Unauthenticated,
        ];
        KNOWN.into_iter().find(|code| code.as_str() == text).unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

impl fmt::Display for ReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a payload is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoding {
    /// There is no payload.
    None,
    /// Raw bytes.
    Bytes,
    /// FOBS.
    Fobs,
    /// A name this crate does not know.
    Other(String),
}

impl Encoding {
    /// The value on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::None => "none",
            Self::Bytes => "bytes",
            Self::Fobs => "fobs",
            Self::Other(text) => text,
        }
    }

    /// Reads the value of a header; absent is [`Encoding::None`].
    #[must_use]
    pub fn parse(text: Option<&str>) -> Self {
        match text {
            None | Some("none") => Self::None,
            Some("bytes") => Self::Bytes,
            Some("fobs") => Self::Fobs,
            Some(other) => Self::Other(other.to_owned()),
        }
    }
}

/// Bytes with the name of their encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// How to read the bytes.
    pub encoding: Encoding,
    /// The bytes.
    pub bytes: Segments,
}

impl Payload {
    /// No payload.
    #[must_use]
    pub const fn empty() -> Self {
        Self { encoding: Encoding::None, bytes: Segments::new() }
    }

    /// A value, encoded with FOBS.
    #[must_use]
    pub fn fobs(value: &Value) -> Self {
        Self { encoding: Encoding::Fobs, bytes: fobs::encode(value).into() }
    }

    /// A value, encoded with FOBS, that has `bytes` below `key` instead of the nil that is there. They are not copied.
    pub(crate) fn fobs_with(value: &Value, key: &str, bytes: Segments) -> Self {
        Self { encoding: Encoding::Fobs, bytes: fobs::encode_with(value, key, bytes) }
    }

    /// A text, encoded with FOBS, as HCI messages are.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::fobs(&Value::from(text))
    }

    /// The value of a FOBS payload; nil when there is none.
    ///
    /// # Errors
    /// [`PayloadError`].
    pub fn value(&self) -> Result<Value, PayloadError> {
        match &self.encoding {
            Encoding::None => Ok(Value::Nil),
            Encoding::Bytes => Ok(Value::from(self.bytes.to_vec())),
            Encoding::Fobs => fobs::decode(&self.bytes.to_bytes()).map_err(PayloadError::Fobs),
            Encoding::Other(_) => Err(PayloadError::UnknownEncoding),
        }
    }

    /// As [`value`](Self::value), but the bytes below `key` are not copied: they come beside the value, which has nil in
    /// their place. Where that cannot be they stay in it.
    pub(crate) fn value_apart(&self, key: &str) -> Result<(Value, Option<Segments>), PayloadError> {
        match &self.encoding {
            Encoding::Fobs => fobs::decode_apart(&self.bytes, key).map_err(PayloadError::Fobs),
            _ => self.value().map(|value| (value, None)),
        }
    }

    /// The text of a FOBS payload, as HCI messages are.
    ///
    /// # Errors
    /// [`PayloadError`].
    pub fn as_text(&self) -> Result<String, PayloadError> {
        match self.value()? {
            Value::String(text) => text.into_str().ok_or(PayloadError::NotText),
            _ => Err(PayloadError::NotText),
        }
    }
}

/// Why a payload cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadError {
    /// Not FOBS.
    Fobs(FobsError),
    /// An encoding this crate does not know.
    UnknownEncoding,
    /// A value that should be a text.
    NotText,
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fobs(_) => "the payload cannot be read",
            Self::UnknownEncoding => "the payload has an unknown encoding",
            Self::NotText => "the payload is not a text",
        })
    }
}

impl Error for PayloadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Fobs(error) => Some(error),
            _ => None,
        }
    }
}

/// A cell message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its headers.
    pub headers: Headers,
    /// Its payload, encoded as `cn__payload_encoding` says.
    pub payload: Segments,
}

impl Message {
    /// Reads the message of a DATA frame.
    ///
    /// # Errors
    /// [`HeadersError`].
    pub fn from_frame(frame: &Frame) -> Result<Self, HeadersError> {
        Ok(Self { headers: Headers::decode(&frame.headers)?, payload: frame.payload.clone().into() })
    }

    /// The DATA frame that carries this message.
    #[must_use]
    pub fn to_frame(&self, stream_id: u16, sequence: u16) -> Frame {
        Frame { payload: self.payload.to_bytes(), ..self.bare_frame(stream_id, sequence) }
    }

    /// The bytes of that frame.
    pub(crate) fn encode(&self, stream_id: u16, sequence: u16) -> Result<Bytes, FrameError> {
        self.bare_frame(stream_id, sequence).encode_with(&self.payload)
    }

    fn bare_frame(&self, stream_id: u16, sequence: u16) -> Frame {
        Frame {
            kind: FrameKind::Data,
            reserved: 0,
            flags: 0,
            app_id: APP_CELLNET,
            stream_id,
            sequence,
            headers: self.headers.encode().into(),
            payload: Bytes::new(),
        }
    }

    /// `cn__msg_type`, when it is a known one.
    #[must_use]
    pub fn kind(&self) -> Option<MessageKind> {
        self.headers.text(headers::MSG_TYPE).and_then(MessageKind::parse)
    }

    /// The payload with its encoding.
    #[must_use]
    pub fn body(&self) -> Payload {
        let encoding = Encoding::parse(self.headers.text(headers::PAYLOAD_ENCODING));
        Payload { encoding, bytes: self.payload.clone() }
    }

    /// The return code; absent counts as `ok`, as callers treat it.
    #[must_use]
    pub fn return_code(&self) -> ReturnCode {
        self.headers.text(headers::RETURN_CODE).map_or(ReturnCode::Ok, ReturnCode::from)
    }
}
