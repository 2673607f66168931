//! Frames back to back on a byte stream.

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder, Framed};

use super::{LinkError, Pipe, Transport};
use crate::frame::FrameDecoder;

struct Codec(FrameDecoder);

impl Decoder for Codec {
    type Item = Bytes;
    type Error = LinkError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, LinkError> {
        self.0.next_frame(buffer).map_err(LinkError::Frame)
    }

    /// A frame that the end of the stream cut short is dropped, as a real cell drops it.
    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, LinkError> {
        self.decode(buffer)
    }
}

impl Encoder<Bytes> for Codec {
    type Error = LinkError;

    fn encode(&mut self, frame: Bytes, buffer: &mut BytesMut) -> Result<(), LinkError> {
        buffer.extend_from_slice(&frame);
        Ok(())
    }
}

impl From<std::io::Error> for LinkError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

pub(super) fn transport(pipe: impl Pipe + 'static, max_frame: usize) -> Box<dyn Transport> {
    Box::new(Framed::new(pipe, Codec(FrameDecoder::new(max_frame))))
}
