//! Frames: identity, splits, limits.

use bytes::{Bytes, BytesMut};
use flare_wire::frame::{Frame, FrameDecoder, FrameError, FrameKind, MAX_FRAME_LEN, MAX_HEADERS_LEN, PREFIX_LEN};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::strategies::bytes;

fn frame() -> impl Strategy<Value = Frame> {
    (any::<(u8, u8, u16, u16, u16, u16)>(), bytes(60), bytes(200)).prop_map(|(fields, headers, payload)| {
        let (kind, reserved, flags, app_id, stream_id, sequence) = fields;
        Frame {
            kind: FrameKind::from(kind),
            reserved,
            flags,
            app_id,
            stream_id,
            sequence,
            headers: headers.into(),
            payload: payload.into(),
        }
    })
}

/// Feeds `stream` in pieces that end at `cuts`, and collects the frames.
fn cut_in_pieces(stream: &[u8], cuts: &[usize], limit: usize) -> Result<Vec<Bytes>, FrameError> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).chain([stream.len()]).collect();
    ends.sort_unstable();
    let mut decoder = FrameDecoder::new(limit);
    let (mut buffer, mut frames, mut start) = (BytesMut::new(), Vec::new(), 0);
    for end in ends {
        buffer.extend_from_slice(&stream[start..end]);
        start = end;
        while let Some(frame) = decoder.next_frame(&mut buffer)? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

proptest! {
    #[test]
    fn a_frame_survives_encoding(frame in frame()) {
        let encoded = frame.encode().unwrap();
        prop_assert_eq!(encoded.len(), frame.encoded_len());
        prop_assert_eq!(Frame::decode(encoded), Ok(frame));
    }

    #[test]
    fn bytes_that_are_a_frame_are_written_back_but_for_the_length(mut input in bytes(80), header_len in 0..40_u8) {
        if let Some(field) = input.get_mut(4..6) {
            field.copy_from_slice(&[0, header_len]);
        }
        match Frame::decode(input.clone().into()) {
            Ok(frame) => {
                let written = frame.encode().unwrap();
                prop_assert_eq!(&written[4..], &input[4..]);
                prop_assert_eq!(&written[..4], u32::try_from(input.len()).unwrap().to_be_bytes());
            }
            Err(FrameError::TooShort { len }) => prop_assert!(len == input.len() && len < PREFIX_LEN),
            Err(FrameError::HeadersOverrun { header_len: announced, available }) => {
                prop_assert_eq!(announced, usize::from(header_len));
                prop_assert!(available < announced);
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn any_split_of_the_bytes_gives_the_same_frames(frames in vec(frame(), 0..5), cuts in vec(any::<usize>(), 0..20)) {
        let encoded: Vec<Bytes> = frames.iter().map(|frame| frame.encode().unwrap()).collect();
        prop_assert_eq!(cut_in_pieces(&encoded.concat(), &cuts, MAX_FRAME_LEN), Ok(encoded));
    }

    #[test]
    fn arbitrary_bytes_give_frames_of_their_length_or_an_error(
        stream in bytes(300), cuts in vec(any::<usize>(), 0..8),
    ) {
        if let Ok(frames) = cut_in_pieces(&stream, &cuts, 200) {
            for frame in &frames {
                prop_assert!((PREFIX_LEN..=200).contains(&frame.len()));
            }
            prop_assert!(stream.starts_with(&frames.concat()));
        }
    }
}

fn with_headers(len: usize) -> Frame {
    Frame {
        kind: FrameKind::Data,
        reserved: 0,
        flags: 0,
        app_id: 1,
        stream_id: 17,
        sequence: 1,
        headers: vec![0xc0; len].into(),
        payload: Bytes::new(),
    }
}

#[test]
fn headers_are_accepted_at_their_limit_and_refused_one_past() {
    let at = with_headers(MAX_HEADERS_LEN);
    assert_eq!(Frame::decode(at.encode().unwrap()), Ok(at));
    let past = MAX_HEADERS_LEN + 1;
    assert_eq!(with_headers(past).encode(), Err(FrameError::HeadersTooLong { header_len: past }));
}

#[test]
fn a_decoder_accepts_frames_at_its_limit_and_refuses_one_past() {
    let limit = 1000;
    let frame = |len| with_headers(len - PREFIX_LEN).encode().unwrap();
    assert_eq!(cut_in_pieces(&frame(limit), &[], limit), Ok(vec![frame(limit)]));
    let refused = FrameError::TooLong { length: limit + 1, limit };
    assert_eq!(cut_in_pieces(&frame(limit + 1), &[], limit), Err(refused));
}

#[test]
fn no_decoder_accepts_more_than_the_protocol_does_and_it_waits_for_nothing_longer() {
    let announce = |length: usize| {
        let mut buffer = BytesMut::from(u32::try_from(length).unwrap().to_be_bytes().as_slice());
        FrameDecoder::new(usize::MAX).next_frame(&mut buffer)
    };
    assert_eq!(announce(MAX_FRAME_LEN), Ok(None));
    let length = MAX_FRAME_LEN + 1;
    assert_eq!(announce(length), Err(FrameError::TooLong { length, limit: MAX_FRAME_LEN }));
}

#[test]
fn a_length_is_at_least_that_of_the_prefix() {
    let frame = with_headers(0).encode().unwrap();
    assert_eq!(frame.len(), PREFIX_LEN);
    assert_eq!(cut_in_pieces(&frame, &[], 100), Ok(vec![frame]));
    let short = u32::try_from(PREFIX_LEN - 1).unwrap().to_be_bytes();
    assert_eq!(cut_in_pieces(&short, &[], 100), Err(FrameError::LengthTooSmall { length: PREFIX_LEN - 1 }));
    assert_eq!(Frame::decode(vec![0; PREFIX_LEN - 1].into()), Err(FrameError::TooShort { len: PREFIX_LEN - 1 }));
}
