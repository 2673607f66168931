//! SFM frames: the unit that a link carries.
//!
//! ```text
//!  0        4          6     7         8      10      12         14        16
//!  | length | hdr len  | kind| reserved| flags| app id| stream id| sequence| headers ... | payload ...
//!    u32      u16        u8    u8        u16    u16     u16        u16        msgpack map
//! ```
//!
//! All integers are big-endian; `length` counts the whole frame. One frame is one WebSocket message; over TCP
//! frames follow each other and the length delimits them. Source: `reference/wire-protocol.md` section 2.

use std::error::Error;
use std::fmt;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::segments::Segments;

/// Bytes before the headers of a frame.
pub const PREFIX_LEN: usize = 16;

/// Most bytes of headers a frame can have: the field is 16 bits wide.
pub const MAX_HEADERS_LEN: usize = u16::MAX as usize;

/// Longest frame that a real TCP link accepts (2 GiB - 2 MiB); a longer one closes the connection.
pub const MAX_FRAME_LEN: usize = 2_145_386_496;

/// `app_id` of the cell network.
pub const APP_CELLNET: u16 = 1;

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// Fewer bytes than a prefix has.
    TooShort {
        /// Bytes there are.
        len: usize,
    },
    /// The prefix announces more header bytes than the frame has.
    HeadersOverrun {
        /// Announced length of the headers.
        header_len: usize,
        /// Bytes after the prefix.
        available: usize,
    },
    /// The length field is smaller than a prefix.
    LengthTooSmall {
        /// The length field.
        length: usize,
    },
    /// The frame is longer than the link accepts.
    TooLong {
        /// Length of the frame.
        length: usize,
        /// Longest accepted length.
        limit: usize,
    },
    /// Headers that do not fit the 16-bit length field.
    HeadersTooLong {
        /// Length of the encoded headers.
        header_len: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { len } => write!(f, "a frame of {len} bytes is shorter than its prefix of {PREFIX_LEN}"),
            Self::HeadersOverrun { header_len, available } => {
                write!(f, "the frame announces {header_len} bytes of headers but has only {available}")
            }
            Self::LengthTooSmall { length } => write!(f, "frame length {length} is smaller than its prefix"),
            Self::TooLong { length, limit } => write!(f, "a frame of {length} bytes exceeds the limit of {limit}"),
            Self::HeadersTooLong { header_len } => {
                write!(f, "{header_len} bytes of headers exceed the limit of {MAX_HEADERS_LEN}")
            }
        }
    }
}

impl Error for FrameError {}

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// A cell message.
    Data,
    /// First frame of the side that connects.
    Hello,
    /// Answer to [`FrameKind::Hello`].
    Ready,
    /// Asks whether the peer is there.
    Ping,
    /// Answer to [`FrameKind::Ping`].
    Pong,
    /// A kind this crate does not use; `FRAG` (2) and `ACK` (3) are defined but never sent.
    Other(u8),
}

impl From<u8> for FrameKind {
    fn from(code: u8) -> Self {
        match code {
            1 => Self::Data,
            4 => Self::Hello,
            5 => Self::Ready,
            6 => Self::Ping,
            7 => Self::Pong,
            other => Self::Other(other),
        }
    }
}

impl From<FrameKind> for u8 {
    fn from(kind: FrameKind) -> Self {
        match kind {
            FrameKind::Data => 1,
            FrameKind::Hello => 4,
            FrameKind::Ready => 5,
            FrameKind::Ping => 6,
            FrameKind::Pong => 7,
            FrameKind::Other(code) => code,
        }
    }
}

/// One frame.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is for.
    pub kind: FrameKind,
    /// Always 0 in practice; kept so that a frame encodes to the bytes it came from.
    pub reserved: u8,
    /// Always 0 in practice.
    pub flags: u16,
    /// [`APP_CELLNET`] for data, 0 for the other kinds.
    pub app_id: u16,
    /// 1 in HELLO and READY, else a counter from 17; receivers do not look at it.
    pub stream_id: u16,
    /// Counter of the connection from 1; receivers do not look at it.
    pub sequence: u16,
    /// Encoded headers: a msgpack map, or nothing.
    pub headers: Bytes,
    /// What follows the headers.
    pub payload: Bytes,
}

impl Frame {
    /// Length of the encoded frame.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        PREFIX_LEN + self.headers.len() + self.payload.len()
    }

    /// The bytes of the frame.
    ///
    /// # Errors
    /// [`FrameError::HeadersTooLong`], [`FrameError::TooLong`].
    pub fn encode(&self) -> Result<Bytes, FrameError> {
        self.encode_with(&self.payload.clone().into())
    }

    /// The bytes of the frame with this payload in the place of its own.
    pub(crate) fn encode_with(&self, payload: &Segments) -> Result<Bytes, FrameError> {
        let header_len = u16::try_from(self.headers.len())
            .map_err(|_| FrameError::HeadersTooLong { header_len: self.headers.len() })?;
        let length = PREFIX_LEN + self.headers.len() + payload.len();
        let too_long = FrameError::TooLong { length, limit: MAX_FRAME_LEN };
        if length > MAX_FRAME_LEN {
            return Err(too_long);
        }
        let mut out = BytesMut::with_capacity(length);
        out.put_u32(u32::try_from(length).map_err(|_| too_long)?);
        out.put_u16(header_len);
        out.put_u8(self.kind.into());
        out.put_u8(self.reserved);
        out.put_u16(self.flags);
        out.put_u16(self.app_id);
        out.put_u16(self.stream_id);
        out.put_u16(self.sequence);
        out.put_slice(&self.headers);
        payload.parts().for_each(|part| out.put_slice(part));
        Ok(out.freeze())
    }

    /// Reads a frame from the bytes of one message. As on a real server the length field is not compared
    /// with the number of bytes: the message delimits the frame.
    ///
    /// # Errors
    /// [`FrameError::TooShort`], [`FrameError::HeadersOverrun`].
    pub fn decode(mut bytes: Bytes) -> Result<Self, FrameError> {
        if bytes.len() < PREFIX_LEN {
            return Err(FrameError::TooShort { len: bytes.len() });
        }
        bytes.advance(4);
        let header_len = usize::from(bytes.get_u16());
        let kind = FrameKind::from(bytes.get_u8());
        let reserved = bytes.get_u8();
        let flags = bytes.get_u16();
        let app_id = bytes.get_u16();
        let stream_id = bytes.get_u16();
        let sequence = bytes.get_u16();
        if header_len > bytes.len() {
            return Err(FrameError::HeadersOverrun { header_len, available: bytes.len() });
        }
        let headers = bytes.split_to(header_len);
        Ok(Self { kind, reserved, flags, app_id, stream_id, sequence, headers, payload: bytes })
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("kind", &self.kind)
            .field("headers", &self.headers.len())
            .field("payload", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// Cuts a byte stream into the bytes of whole frames.
#[derive(Debug)]
pub struct FrameDecoder {
    limit: usize,
}

impl FrameDecoder {
    /// A decoder that refuses frames longer than `limit` bytes (at most [`MAX_FRAME_LEN`]).
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.min(MAX_FRAME_LEN) }
    }

    /// Takes the bytes of the next whole frame from the front of `buffer`; `Ok(None)` when more are needed.
    ///
    /// # Errors
    /// [`FrameError::LengthTooSmall`], [`FrameError::TooLong`]; the stream has lost its framing then and
    /// the connection has to be closed.
    pub fn next_frame(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let Some(field) = buffer.first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*field)).unwrap_or(usize::MAX);
        if length < PREFIX_LEN {
            return Err(FrameError::LengthTooSmall { length });
        }
        if length > self.limit {
            return Err(FrameError::TooLong { length, limit: self.limit });
        }
        if buffer.len() < length {
            return Ok(None);
        }
        Ok(Some(buffer.split_to(length).freeze()))
    }
}
