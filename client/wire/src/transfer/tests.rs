//! Transfers as recorded, read and written back to the same bytes.

use flare_fixtures::{RecordedFrame, vector};

use super::download::{Conclusion, Pull, PullReply};
use super::upload::{Piece, PieceKeys, PieceReply, UploadContext, abort_payload, aborted_transaction};
use crate::Segments;
use crate::cell::{Encoding, Message, Payload, channel, headers};
use crate::frame::Frame;
use crate::msgpack::Value;

/// Every blob of a recording: application topic, request or reply, payload.
fn blobs(name: &str) -> Vec<(String, Payload)> {
    let mut parts: std::collections::HashMap<u64, Vec<u8>> = std::collections::HashMap::new();
    let mut out = Vec::new();
    for frame in &vector(name).frames {
        let RecordedFrame { complete: true, .. } = frame else { continue };
        let message = Message::from_frame(&Frame::decode(frame.raw.clone().into()).unwrap()).unwrap();
        if message.headers.text(headers::TOPIC) != Some(channel::STREAM_DATA) {
            continue;
        }
        let id = message.headers.number(headers::STREAM_ID).unwrap();
        parts.entry(id).or_default().extend_from_slice(&message.payload.to_bytes());
        if message.headers.number(headers::STREAM_DATA_TYPE) == Some(2) {
            let topic = message.headers.text(headers::STREAM_TOPIC).unwrap().to_owned();
            let encoding = Encoding::parse(message.headers.text(headers::STREAM_PAYLOAD_ENCODING));
            out.push((topic, Payload { encoding, bytes: parts.remove(&id).unwrap().into() }));
        }
    }
    out
}

#[test]
fn recorded_uploads_are_read_and_written_back() {
    const USER: &str = "admin@nvidia.com";
    for (name, pieces) in [("upload_submit_job", 1), ("upload_multi_chunk", 3)] {
        let (mut read, mut size, mut replies) = (0, 0, Vec::new());
        for (topic, payload) in blobs(name) {
            let value = payload.value().unwrap();
            match topic.as_str() {
                "ObjectStreamer.Request" => {
                    let piece = Piece::from_value(value).unwrap();
                    assert_eq!((piece.sequence, piece.data.len() as u64), (read, piece.size), "{name}");
                    read += 1;
                    size += piece.size;
                    assert_eq!(piece.into_payload(USER), payload, "{name}");
                }
                "aux_communication:ObjectStreamer.Request" => {
                    let reply = PieceReply::from_value(&value).unwrap();
                    assert_eq!(reply.to_payload(), payload, "{name}");
                    replies.push(reply);
                }
                "ObjectStreamer.Abort" => {
                    let transaction = aborted_transaction(&value).unwrap();
                    assert_eq!(abort_payload(&transaction, USER), payload, "{name}");
                }
                other => panic!("unexpected topic {other} in {name}"),
            }
        }
        assert_eq!((read, replies.len() as u64), (pieces, pieces), "{name}");
        assert!(size > 0);
        assert!(replies.iter().all(|reply| reply.return_code == PieceReply::OK));
        assert!(replies.last().unwrap().end_result.as_ref().unwrap().contains("Submitted job"), "{name}");
    }
}

#[test]
fn recorded_downloads_are_read_and_written_back() {
    for name in ["download_job", "download_multi_chunk"] {
        let (mut pulls, mut data, mut ends) = (0, 0, 0);
        for (topic, payload) in blobs(name) {
            match topic.as_str() {
                "download_service__download" => {
                    let pull = Pull::from_value(&payload.value().unwrap()).unwrap();
                    assert_eq!(pull.to_payload(), payload, "{name}");
                    match pull.conclusion {
                        None => pulls += 1,
                        Some(Conclusion::Success { .. }) => ends += 1,
                        other => panic!("{other:?}"),
                    }
                }
                "download_service__:download_service__download" => {
                    let reply = PullReply::from_value(payload.value().unwrap()).unwrap();
                    assert_eq!(PullReply::from_payload(&payload).unwrap().as_ref(), Ok(&reply), "{name}");
                    data += usize::from(matches!(reply, PullReply::Data { .. }));
                    assert_eq!(reply.into_payload(), payload, "{name}");
                }
                _ => {}
            }
        }
        // One long piece of `download_job` is not kept whole.
        assert!(pulls >= 6 && data >= 2 && ends >= 2, "{name}: {pulls} pulls, {data} pieces, {ends} confirmations");
    }
}

#[test]
fn a_piece_is_read_with_the_keys_it_was_written_with_and_no_others() {
    let piece = Piece {
        transaction: "t".to_owned(),
        sequence: 0,
        context: Some(UploadContext { request: "{}".to_owned(), file_size: 3, file_name: "job.zip".to_owned() }),
        data: b"abc".to_vec().into(),
        size: 3,
        eof: true,
        has_peer_props: true,
    };
    for keys in [PieceKeys::Old, PieceKeys::New] {
        let payload = piece.clone().into_payload_with("admin@nvidia.com", keys);
        for read in [PieceKeys::Old, PieceKeys::New] {
            let value = payload.value().unwrap();
            let found = Piece::from_value_with(value, read);
            assert_eq!(Piece::from_payload_with(&payload, read), found);
            if read == keys {
                assert_eq!(found.as_ref(), Ok(&piece));
            } else {
                assert!(found.is_err(), "{keys:?} {read:?}");
            }
        }
    }
}

fn a_piece_of(data: Vec<u8>) -> Piece {
    Piece {
        transaction: "t".to_owned(),
        sequence: 7,
        context: None,
        size: data.len() as u64,
        data: data.into(),
        eof: false,
        has_peer_props: true,
    }
}

fn with_bytes(payload: &Payload, bytes: Segments) -> Payload {
    Payload { encoding: payload.encoding.clone(), bytes }
}

#[test]
fn a_piece_is_the_same_in_however_many_parts_it_comes() {
    // Long enough for the length that takes four bytes, and short enough for those that do not.
    for len in [0, 3, 255, 256, 70_000] {
        let piece = a_piece_of((0..len).map(|n: usize| (n % 251) as u8).collect());
        let payload = piece.clone().into_payload("admin@nvidia.com");
        let total = payload.bytes.len();
        // Everywhere in what is around the data, and here and there within it.
        let cuts = (0..400.min(total)).chain((400..total).step_by(7919)).chain(total.saturating_sub(60)..total);
        for cut in cuts {
            let whole = payload.bytes.to_bytes();
            let bytes =
                [whole.slice(..cut), whole.slice(cut..cut + (total - cut) / 2), whole.slice(cut + (total - cut) / 2..)];
            let parted = with_bytes(&payload, bytes.into_iter().collect());
            assert!(Piece::from_payload_with(&parted, PieceKeys::New).as_ref() == Ok(&piece), "{len} cut at {cut}");
        }
    }
}

#[test]
fn long_bytes_are_not_copied_on_their_way_in_or_out() {
    let data = bytes::Bytes::from(vec![1; 70_000]);
    let reply = PullReply::Data { data: data.clone().into(), received: 70_000, cancel_capable: true };
    let payload = reply.into_payload();
    let long = |segments: &Segments| segments.parts().find(|part| part.len() > 1000).map(|part| part.as_ptr());
    assert_eq!(long(&payload.bytes), Some(data.as_ptr()));
    let whole = payload.bytes.to_bytes();
    let middle = whole.len() / 2;
    let parted = with_bytes(&payload, [whole.slice(..middle), whole.slice(middle..)].into_iter().collect());
    let Ok(Ok(PullReply::Data { data, .. })) = PullReply::from_payload(&parted) else { panic!("no data") };
    let within = |part: &bytes::Bytes| whole.as_ptr_range().contains(&part.as_ptr());
    assert!(data.parts().all(within), "the data is where it arrived");
    assert_eq!(data.parts().count(), 2);
}

#[test]
fn what_only_looks_like_the_data_of_a_piece_is_read_as_if_it_came_in_one_part() {
    let payload = a_piece_of(vec![1; 70_000]).into_payload("admin@nvidia.com");
    let whole = payload.bytes.to_vec();
    let at = whole.windows(5).position(|bytes| bytes == [0xc6, 0, 1, 0x11, 0x70]).unwrap();
    for (name, index, byte) in [("a text", at, 0xdb), ("longer than all", at + 1, 0xff), ("another key", at - 1, b'x')]
    {
        let mut changed = whole.clone();
        changed[index] = byte;
        let (first, second) = changed.split_at(1000);
        let parts = [first, second].map(bytes::Bytes::copy_from_slice);
        let parted = with_bytes(&payload, parts.into_iter().collect());
        let one = with_bytes(&payload, changed.clone().into());
        let read = |payload: &Payload| Piece::from_payload_with(payload, PieceKeys::New);
        // Thousands of bytes, which nobody reads in the message of a failure.
        assert!(read(&parted) == read(&one), "{name}");
    }
}

#[test]
fn of_two_values_below_one_key_the_last_counts_in_however_many_parts_they_come() {
    let long = Value::Binary(vec![1; 70_000]);
    let entries = [("status", "ok".into()), ("data", long), ("data", Value::Binary(Vec::new()))];
    let mut entries: Vec<_> = entries.into_iter().map(|(key, value)| (Value::from(key), value)).collect();
    entries.push(("state".into(), crate::msgpack::map([("received_bytes", 70_000.into())])));
    let payload = Payload::fobs(&Value::Map(entries));
    let whole = payload.bytes.to_bytes();
    let parted = with_bytes(&payload, [whole.slice(..1000), whole.slice(1000..)].into_iter().collect());
    for payload in [payload, parted] {
        let Ok(Ok(PullReply::Data { data, .. })) = PullReply::from_payload(&payload) else { panic!("no data") };
        assert!(data.is_empty());
    }
}
