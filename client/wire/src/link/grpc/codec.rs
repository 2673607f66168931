//! The one message of the service, and how tonic writes and reads it.

use bytes::Bytes;
use prost::Message as _;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// `streamer.Frame`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Frame {
    /// Counts what a process has sent, from 1; nobody checks it.
    #[prost(int32, tag = "1")]
    seq: i32,
    /// A whole SFM frame.
    #[prost(bytes = "bytes", tag = "2")]
    data: Bytes,
}

/// Frames in and out of messages.
#[derive(Debug)]
pub(super) struct FrameCodec {
    /// The longest frame that is taken.
    pub(super) max_frame: usize,
}

/// Numbers the messages of one call.
#[derive(Debug, Default)]
pub(super) struct FrameEncoder {
    sent: i32,
}

#[derive(Debug)]
pub(super) struct FrameReader {
    max_frame: usize,
}

impl Codec for FrameCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = FrameEncoder;
    type Decoder = FrameReader;

    fn encoder(&mut self) -> FrameEncoder {
        FrameEncoder::default()
    }

    fn decoder(&mut self) -> FrameReader {
        FrameReader { max_frame: self.max_frame }
    }
}

impl Encoder for FrameEncoder {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, frame: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        self.sent = self.sent.wrapping_add(1);
        let message = Frame { seq: self.sent, data: frame };
        buffer.reserve(message.encoded_len());
        message.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for FrameReader {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        match Frame::decode(buffer) {
            Ok(message) if message.data.len() <= self.max_frame => Ok(Some(message.data)),
            Ok(message) => Err(Status::out_of_range(format!("a frame of {} bytes is too long", message.data.len()))),
            Err(error) => Err(Status::internal(format!("a message is no streamer.Frame: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Google's library writes `Frame(seq=1, data=b"abc")` and `Frame(seq=300, data=b"")`.
    #[test]
    fn messages_have_the_bytes_of_the_official_library() {
        for (seq, data, bytes) in
            [(1, &b"abc"[..], &[0x08, 0x01, 0x12, 0x03, b'a', b'b', b'c'][..]), (300, b"", &[0x08, 0xac, 0x02])]
        {
            let message = Frame { seq, data: Bytes::from_static(data) };
            assert_eq!(message.encode_to_vec(), bytes);
            assert_eq!(Frame::decode(bytes), Ok(message));
        }
    }

    #[test]
    fn the_overhead_of_a_message_is_never_more_than_allowed_for() {
        for (seq, len) in [(1, 1), (i32::MAX, 70_000), (-1, 1_048_576)] {
            let message = Frame { seq, data: vec![7; len].into() };
            assert!(message.encoded_len() <= len + super::super::MESSAGE_OVERHEAD);
        }
    }
}
