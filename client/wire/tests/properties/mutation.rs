//! Recorded frames, damaged: everything that reads them either reads them or says no.

use flare_fixtures::{encodings, vectors};
use flare_wire::auth::{CellToken, ChallengeReply, ChallengeRequest, LoginHeaders, RegisterReply, RegisterRequest};
use flare_wire::cell::{Encoding, Hello, Message, Payload};
use flare_wire::fobs;
use flare_wire::frame::Frame;
use flare_wire::hci::{Reply, Request, split_line};
use flare_wire::transfer::download::{Pull, PullReply};
use flare_wire::transfer::upload::{Piece, PieceReply, aborted_transaction};
use proptest::collection::vec;
use proptest::prelude::*;

/// All recorded frames and FOBS blobs, largest last so that shrinking finds the small ones.
fn recorded() -> Vec<Vec<u8>> {
    let frames = vectors().iter().flat_map(|vector| &vector.frames).map(|frame| frame.raw.clone());
    let mut all: Vec<Vec<u8>> = frames.chain(encodings().iter().map(|encoding| encoding.fobs.clone())).collect();
    all.sort_by_key(Vec::len);
    all.dedup();
    all
}

#[derive(Debug, Clone)]
enum Damage {
    Change(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        6 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Change(at, byte)),
        1 => any::<prop::sample::Index>().prop_map(Damage::Cut),
        1 => (any::<prop::sample::Index>(), vec(any::<u8>(), 1..8)).prop_map(|(at, more)| Damage::Insert(at, more)),
        1 => (any::<prop::sample::Index>(), 1..8_usize).prop_map(|(at, count)| Damage::Remove(at, count)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    let place = |at: &prop::sample::Index| at.index(bytes.len() + 1);
    match damage {
        Damage::Change(at, byte) => {
            let at = place(at);
            if let Some(target) = bytes.get_mut(at) {
                *target = *byte;
            }
        }
        Damage::Cut(at) => bytes.truncate(place(at)),
        Damage::Insert(at, more) => {
            let at = place(at);
            bytes.splice(at..at, more.iter().copied());
        }
        Damage::Remove(at, count) => {
            let at = place(at);
            let end = (at + count).min(bytes.len());
            bytes.drain(at..end);
        }
    }
}

/// Hands `bytes` to every reader that could meet them.
fn read_all(bytes: Vec<u8>) {
    let _ = fobs::decode(&bytes);
    let Ok(frame) = Frame::decode(bytes.into()) else { return };
    let _ = Hello::decode(&frame.payload);
    let blob = fobs::decode(&frame.payload);
    let Ok(message) = Message::from_frame(&frame) else { return };
    let _ = (message.kind(), message.return_code(), message.body().as_text());
    let headers = &message.headers;
    let _ = (
        ChallengeRequest::from_headers(headers),
        CellToken::from_headers(headers),
        LoginHeaders::from_headers(headers),
    );
    if let Ok(value) = &blob {
        let _ = (ChallengeReply::from_value(value), RegisterReply::from_value(value));
        let _ = RegisterRequest::from_message(headers, value);
        let _ = (Pull::from_value(value), PullReply::from_value(value.clone()));
        let _ = (Piece::from_value(value.clone()), PieceReply::from_value(value), aborted_transaction(value));
    }
    let fobs = Payload { encoding: Encoding::Fobs, bytes: frame.payload.into() };
    if let Ok(text) = fobs.as_text() {
        let _ = Reply::parse(&text);
        if let Ok(request) = Request::parse(&text) {
            let _ = split_line(&request.command);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn damaged_recordings_are_read_or_refused(
        mut bytes in prop::sample::select(recorded()), damages in vec(damage(), 1..6),
    ) {
        for damage in &damages {
            apply(&mut bytes, damage);
        }
        read_all(bytes);
    }
}
