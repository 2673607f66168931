//! Links: whole frames in order over a pipe that gives few bytes at a time, with waits that are given up anywhere.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use flare_wire::Randomness;
use flare_wire::frame::{Frame, FrameKind, PREFIX_LEN};
use flare_wire::link::{DEFAULT_MAX_FRAME, FrameSource, GrpcConnection, Link, LinkError};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

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
    Grpc,
}

const KINDS: [Kind; 3] = [Kind::Tcp, Kind::WebSocket, Kind::Grpc];

/// Two links, and what has to live as long as they do.
type Links = (Link, Link, Option<GrpcConnection>);

/// Two ends of a pipe that holds `buffer` bytes.
async fn links(kind: Kind, buffer: usize, max_frame: usize) -> Links {
    let (one, other) = match kind {
        Kind::Tcp => tokio::io::duplex(buffer),
        // An end of HTTP/2 that closes reads no more, and the other may have to say something before it reads.
        Kind::Grpc => tokio::io::duplex(buffer.max(4096)),
        // The library takes a handshake that comes in a hundred pieces for an attack.
        Kind::WebSocket => tokio::io::duplex(buffer.max(64)),
    };
    match kind {
        Kind::Tcp => (Link::tcp(one, max_frame), Link::tcp(other, max_frame), None),
        Kind::WebSocket => {
            let (client, server) = tokio::join!(
                Link::connect_websocket(one, "localhost", max_frame),
                Link::accept_websocket(other, max_frame)
            );
            (client.unwrap(), server.unwrap(), None)
        }
        Kind::Grpc => {
            let (one, other) = (Sips { pipe: one, most: buffer }, Sips { pipe: other, most: buffer });
            let mut connection = GrpcConnection::accept(other, max_frame);
            let mut client = Link::connect_grpc(one, "http://localhost", max_frame).await.unwrap();
            // The call is made while the client waits for what comes of it.
            let mut nothing = Waiting(VecDeque::new());
            let server = tokio::select! {
                biased;
                server = connection.next_link() => server.unwrap(),
                end = client.exchange(&mut nothing) => panic!("nobody has said anything yet: {end:?}"),
            };
            (client, server, Some(connection))
        }
    }
}

/// A pipe that gives few bytes at a time, however many there are.
struct Sips {
    pipe: DuplexStream,
    most: usize,
}

impl AsyncRead for Sips {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = vec![0; self.most.min(buffer.remaining())];
        let mut sip = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.pipe).poll_read(context, &mut sip))?;
        buffer.put_slice(sip.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Sips {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(context)
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
    let (mut one, mut other, _connection) = links(kind, buffer, DEFAULT_MAX_FRAME).await;
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
        for kind in KINDS {
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
            let (mut raw, pipe) = tokio::io::duplex(1024);
            raw.write_all(&input).await.unwrap();
            drop(raw);
            assert!(GrpcConnection::accept(pipe, 100).next_link().await.is_none());
        });
    }
}

#[test]
fn a_link_takes_frames_at_its_limit_and_refuses_one_past() {
    for kind in KINDS {
        for (length, fits) in [(1000, true), (1001, false)] {
            block_on(async {
                let (mut sender, mut receiver, _connection) = links(kind, 4096, 1000).await;
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
                    Err(LinkError::Frame(_) | LinkError::WebSocket(_) | LinkError::Grpc(_)) => {
                        assert!(!fits, "{kind:?}")
                    }
                    other => panic!("{kind:?} {other:?}"),
                }
            });
        }
    }
}

/// The text of the error that a call ends with.
fn refusal(end: Result<Option<Bytes>, LinkError>) -> String {
    let Err(LinkError::Grpc(status)) = end else { panic!("a refused call is expected: {end:?}") };
    status.message().to_owned()
}

#[test]
fn a_peer_that_speaks_no_http_2_is_told_from_one_that_closes() {
    use tokio::io::AsyncWriteExt as _;

    block_on(async {
        let (mut peer, pipe) = tokio::io::duplex(4096);
        let mut link = Link::connect_grpc(pipe, "https://localhost:8002", 100).await.unwrap();
        peer.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        let end = link.exchange(&mut Waiting(VecDeque::new())).await;
        assert!(matches!(end, Err(LinkError::Grpc(_))), "{end:?}");

        let (peer, pipe) = tokio::io::duplex(4096);
        let mut link = Link::connect_grpc(pipe, "https://localhost:8002", 100).await.unwrap();
        drop(peer);
        let end = link.exchange(&mut Waiting(VecDeque::new())).await;
        // The pipe may break under what is still to be sent.
        assert!(matches!(end, Ok(None) | Err(LinkError::Io(_))), "{end:?}");
    });
}

#[test]
fn what_is_no_origin_is_refused_before_anything_is_sent() {
    block_on(async {
        let (_peer, pipe) = tokio::io::duplex(64);
        let end = Link::connect_grpc(pipe, "https://[::1", 100).await.map(|_| None);
        assert!(refusal(end).contains("is no origin"));
    });
}

#[test]
fn one_connection_carries_several_calls_and_each_ends_by_itself() {
    block_on(async {
        let (one, other) = tokio::io::duplex(4096);
        let mut connection = GrpcConnection::accept(other, 1000);
        let calls = raw_calls(one).await;
        let nothing = || Waiting(VecDeque::new());
        let mut first = connection.next_link().await.unwrap();
        let mut second = connection.next_link().await.unwrap();
        let [one, other] = calls;
        drop(one);
        assert!(matches!(first.exchange(&mut nothing()).await, Ok(None)));
        first.close().await.unwrap();
        drop(other);
        assert!(matches!(second.exchange(&mut nothing()).await, Ok(None)));
        second.close().await.unwrap();
        connection.close().await;
    });
}

/// Two calls of the method on one connection, as a program makes them that shares it.
async fn raw_calls(pipe: DuplexStream) -> [h2::SendStream<Bytes>; 2] {
    let (mut sender, connection) = h2::client::handshake(pipe).await.unwrap();
    tokio::spawn(connection);
    let mut call = || {
        let request = hyper::Request::post("http://localhost/streamer.Streamer/Stream")
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        sender.send_request(request, false).unwrap().1
    };
    [call(), call()]
}
