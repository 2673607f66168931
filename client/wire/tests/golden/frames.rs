//! Prefix, headers and handshake payloads of every recorded frame.

use bytes::{Bytes, BytesMut};
use flare_fixtures::{Direction, RecordedFrame, Vector, vectors};
use flare_wire::cell::{Headers, Hello, Message, headers, is_valid_endpoint_name};
use flare_wire::frame::{Frame, FrameDecoder, FrameKind, MAX_FRAME_LEN};
use flare_wire::msgpack;
use serde_json::Value as Json;

use crate::view::assert_shows;

/// Every recorded frame with its name in failures.
pub(crate) fn each(mut check: impl FnMut(&'static Vector, &'static RecordedFrame, &Frame, &str)) {
    for vector in vectors() {
        for recorded in &vector.frames {
            let place = format!("{} frame {}", vector.name, recorded.index);
            let frame = Frame::decode(recorded.raw.clone().into()).unwrap_or_else(|error| panic!("{place}: {error}"));
            check(vector, recorded, &frame, &place);
        }
    }
}

#[test]
fn prefixes_are_read_as_recorded() {
    each(|_, recorded, frame, place| {
        let prefix = &recorded.prefix;
        assert_eq!(u8::from(frame.kind), prefix.kind, "{place}");
        assert_eq!(format!("{:?}", frame.kind).to_uppercase(), prefix.type_name, "{place}");
        assert_eq!(
            (frame.reserved, frame.flags, frame.app_id, frame.stream_id, frame.sequence),
            (prefix.reserved, prefix.flags, prefix.app_id, prefix.stream_id, prefix.sequence),
            "{place}"
        );
        assert_eq!(frame.headers.len(), usize::from(prefix.header_len), "{place}");
        if recorded.complete {
            assert_eq!(frame.payload.len(), recorded.payload_len, "{place}");
            assert_eq!(frame.encoded_len(), prefix.length as usize, "{place}");
        }
    });
}

#[test]
fn frames_are_written_back_to_the_same_bytes() {
    each(|_, recorded, frame, place| {
        if recorded.complete {
            assert_eq!(frame.encode().unwrap(), recorded.raw, "{place}");
        }
    });
}

#[test]
fn headers_are_read_as_recorded_and_written_back_to_the_same_bytes() {
    each(|_, recorded, frame, place| {
        let headers = Headers::decode(&frame.headers).unwrap_or_else(|error| panic!("{place}: {error}"));
        match &recorded.headers {
            Some(view) => {
                assert_shows(&Json::Object(view.clone()), &headers.to_value(), place);
                assert_eq!(headers.encode(), frame.headers, "{place}");
            }
            None => assert_eq!(headers, Headers::new(), "{place}"),
        }
    });
}

#[test]
fn messages_are_written_back_to_the_same_frames() {
    each(|_, recorded, frame, place| {
        if frame.kind != FrameKind::Data {
            return;
        }
        let message = Message::from_frame(frame).unwrap();
        assert!(message.kind().is_some(), "{place}");
        assert_eq!(&message.to_frame(frame.stream_id, frame.sequence), frame, "{place}");
        if recorded.complete
            && let Some(announced) = message.headers.number(headers::PAYLOAD_LEN)
        {
            assert_eq!(announced, message.payload.len() as u64, "{place}");
        }
    });
}

#[test]
fn handshakes_and_heartbeats_are_read_as_recorded_and_written_back_to_the_same_bytes() {
    let mut seen = 0;
    each(|_, recorded, frame, place| {
        let Some(view) = &recorded.payload_msgpack else {
            assert_eq!(frame.kind, FrameKind::Data, "{place}");
            return;
        };
        seen += 1;
        let value = msgpack::decode(&frame.payload).unwrap();
        assert_shows(view, &value, place);
        assert_eq!(msgpack::encode(&value), frame.payload, "{place}");
        if matches!(frame.kind, FrameKind::Hello | FrameKind::Ready) {
            let hello = Hello::decode(&frame.payload);
            assert_eq!(hello.encode(), frame.payload, "{place}");
            assert!(hello.endpoint_name.as_deref().is_some_and(is_valid_endpoint_name), "{place}");
        }
    });
    assert_eq!(seen, 20);
}

#[test]
fn a_byte_stream_is_cut_into_the_recorded_frames() {
    for vector in vectors() {
        for direction in [Direction::ClientToServer, Direction::ServerToClient] {
            let frames: Vec<&[u8]> =
                vector.sent(direction).filter(|frame| frame.complete).map(|frame| frame.raw.as_slice()).collect();
            let mut buffer = BytesMut::from(frames.concat().as_slice());
            let mut decoder = FrameDecoder::new(MAX_FRAME_LEN);
            let mut cut: Vec<Bytes> = Vec::new();
            while let Some(frame) = decoder.next_frame(&mut buffer).unwrap() {
                cut.push(frame);
            }
            assert_eq!(cut, frames, "{} {direction:?}", vector.name);
            assert!(buffer.is_empty(), "{} {direction:?}", vector.name);
        }
    }
}
