//! Links: whole frames in order over a pipe that gives few bytes at a time, with waits that are given up anywhere.

use std::collections::VecDeque;

use bytes::Bytes;
use flare_wire::Randomness;
use flare_wire::frame::{Frame, FrameKind, PREFIX_LEN};
use flare_wire::link::{DEFAULT_MAX_FRAME, FrameSource, Link, LinkError};
use proptest::collection::vec;
use proptest::prelude::*;

/// Frames that wait to be sent.
struct Waiting(VecDeque<Bytes>);

impl FrameSource for Waiting {
    fn next_frame(&mut self) -> Option<Bytes> {
        self.0.pop_front()
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Tcp,
    WebSocket,
}

/// Two ends of a pipe that holds `buffer` bytes.
async fn links(kind: Kind, buffer: usize, max_frame: usize) -> (Link, Link) {
    let (one, other) = match kind {
        Kind::Tcp => tokio::io::duplex(buffer),
        // The library takes a handshake that comes in a hundred pieces for an attack.
        Kind::WebSocket => tokio::io::duplex(buffer.max(64)),
    };
    match kind {
        Kind::Tcp => (Link::tcp(one, max_frame), Link::tcp(other, max_frame)),
        Kind::WebSocket => {
            let (client, server) = tokio::join!(
                Link::connect_websocket(one, "localhost", max_frame),
                Link::accept_websocket(other, max_frame)
            );
            (client.unwrap(), server.unwrap())
        }
    }
}

fn frame(payload: Vec<u8>) -> Bytes {
    let frame = Frame {
        kind: FrameKind::Data,
        reserved: 0,
        flags: 0,
        app_id: 1,
        stream_id: 17,
        sequence: 1,
        headers: Bytes::new(),
        payload: payload.into(),
    };
    frame.encode().unwrap()
}

/// Sends `out` and receives `count` frames, while every wait is given up after a random number of turns. Also
/// tells whether the peer closed the link meanwhile.
async fn talk(link: &mut Link, out: Vec<Bytes>, count: usize, mut random: Randomness) -> (Vec<Bytes>, bool) {
    let mut source = Waiting(out.into());
    let mut received = Vec::new();
    while received.len() < count || !source.0.is_empty() {
        let patience = random.number() % 6;
        let give_up = async {
            for _ in 0..patience {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            frame = link.exchange(&mut source) => match frame.unwrap() {
                Some(frame) => received.push(frame),
                None => return (received, true),
            },
            () = give_up => tokio::task::yield_now().await,
        }
    }
    (received, false)
}

/// Both ends talk at the same time; the first to have all closes the link.
async fn conversation(kind: Kind, buffer: usize, there: &[Bytes], back: &[Bytes], seed: u64) {
    let (mut one, mut other) = links(kind, buffer, DEFAULT_MAX_FRAME).await;
    let mut random = Randomness::from_number(seed);
    let (first, second) = (random.fork(), random.fork());
    let ((), ()) = tokio::join!(
        async {
            assert_eq!(talk(&mut one, there.to_vec(), back.len(), first).await, (back.to_vec(), false), "{kind:?}");
            one.close().await.unwrap();
        },
        async {
            let (received, closed) = talk(&mut other, back.to_vec(), there.len(), second).await;
            assert_eq!(received, there, "{kind:?}");
            if !closed {
                let end = other.exchange(&mut Waiting(VecDeque::new())).await;
                assert!(matches!(end, Ok(None)), "{kind:?} {end:?}");
            }
        }
    );
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn frames_arrive_whole_and_in_order_however_the_pipe_cuts_them(
        there in vec(vec(any::<u8>(), 0..200), 0..12),
        back in vec(vec(any::<u8>(), 0..200), 0..12),
        buffer in 1..300_usize,
        seed: u64,
    ) {
        let there: Vec<Bytes> = there.into_iter().map(frame).collect();
        let back: Vec<Bytes> = back.into_iter().map(frame).collect();
        for kind in [Kind::Tcp, Kind::WebSocket] {
            block_on(conversation(kind, buffer, &there, &back, seed));
        }
    }

    #[test]
    fn bytes_that_are_no_frames_end_the_link_and_nothing_else(input in vec(any::<u8>(), 0..200)) {
        use tokio::io::AsyncWriteExt as _;

        block_on(async {
            let (mut raw, pipe) = tokio::io::duplex(1024);
            raw.write_all(&input).await.unwrap();
            drop(raw);
            let mut link = Link::tcp(pipe, 100);
            while let Ok(Some(frame)) = link.exchange(&mut Waiting(VecDeque::new())).await {
                assert!((PREFIX_LEN..=100).contains(&frame.len()));
            }
            let (mut raw, pipe) = tokio::io::duplex(1024);
            raw.write_all(&input).await.unwrap();
            drop(raw);
            assert!(Link::accept_websocket(pipe, 100).await.is_err());
        });
    }
}

#[test]
fn a_link_takes_frames_at_its_limit_and_refuses_one_past() {
    for kind in [Kind::Tcp, Kind::WebSocket] {
        for (length, fits) in [(1000, true), (1001, false)] {
            block_on(async {
                let (mut sender, mut receiver) = links(kind, 4096, 1000).await;
                let mut source = Waiting([frame(vec![7; length - PREFIX_LEN])].into());
                let sending = async {
                    let _ = sender.exchange(&mut source).await;
                };
                let mut nothing = Waiting(VecDeque::new());
                let received = tokio::select! {
                    received = receiver.exchange(&mut nothing) => received,
                    () = sending => panic!("the sender has nothing to receive"),
                };
                match received {
                    Ok(Some(frame)) => assert!(fits && frame.len() == length, "{kind:?}"),
                    Err(LinkError::Frame(_) | LinkError::WebSocket(_)) => assert!(!fits, "{kind:?}"),
                    other => panic!("{kind:?} {other:?}"),
                }
            });
        }
    }
}
