//! HELLO and READY, PING and PONG, and what a server makes of frames that are none.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use flare_wire::cell::{Headers, Hello, SERVER, channel, headers, is_valid_endpoint_name};
use flare_wire::frame::{Frame, FrameKind, PREFIX_LEN};

use crate::finding::{ensure, ensure_eq};
use crate::raw::{Identity, Peer, challenge};
use crate::{Case, CaseResult, Context, Finding, Need};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("handshake.ready", "HELLO is answered with READY", ready).checks(&["WIRE-HELLO-001"]),
        Case::new("handshake.smallest-hello", "a HELLO with nothing but a name is enough", smallest_hello)
            .checks(&["WIRE-HELLO-002"]),
        Case::new("handshake.illegal-name", "an illegal endpoint name is turned away", illegal_name)
            .checks(&["WIRE-HELLO-003"]),
        Case::new("handshake.no-name", "an endpoint without a name gets READY and nothing else", |context| {
            dead_endpoint(context, None)
        })
        .checks(&["WIRE-HELLO-004"]),
        Case::new(
            "handshake.servers-name",
            "an endpoint with the server's name gets READY and nothing else",
            |context| dead_endpoint(context, Some(SERVER)),
        )
        .checks(&["WIRE-HELLO-004"]),
        Case::new("handshake.foreign-name", "a name that the certificate does not allow is turned away", foreign_name)
            .checks(&["WIRE-HELLO-005"]),
        Case::new("handshake.same-name-evicts", "a second connection with the same name closes the first", eviction)
            .checks(&["WIRE-HELLO-006"]),
        Case::new(
            "handshake.same-name-replaces",
            "a second connection with the same name takes its place",
            replacement,
        )
        .checks(&["WIRE-HELLO-008"]),
        Case::new("handshake.ping", "PING is answered with PONG", ping).checks(&["WIRE-PING-001"]),
        Case::new("handshake.early-ping", "a PING before HELLO is passed over", early_ping).checks(&["WIRE-PING-002"]),
        Case::new("handshake.second-hello", "a second HELLO evicts its own connection", second_hello)
            .checks(&["WIRE-HELLO-007"]),
        Case::new("handshake.odd-prefix", "odd values in the prefix do not matter", odd_prefix)
            .checks(&["WIRE-FRAME-001"]),
        Case::new("handshake.unknown-kind", "frames of unknown kinds are dropped", unknown_kinds)
            .checks(&["WIRE-FRAME-002"]),
        Case::new("handshake.garbage-headers", "frames with unreadable headers are dropped", garbage_headers)
            .checks(&["WIRE-FRAME-003"]),
        Case::new("handshake.incomplete-message", "messages without routing headers are dropped", incomplete_messages)
            .checks(&["WIRE-FRAME-004"]),
        Case::new("handshake.http.short-message", "a message shorter than a prefix is dropped", short_message)
            .checks(&["WIRE-FRAME-005"])
            .needs([Need::Scheme("http")]),
        Case::new("handshake.http.wrong-length", "the length field does not matter", wrong_length)
            .checks(&["WIRE-FRAME-006"])
            .needs([Need::Scheme("http")]),
        Case::new("handshake.http.text-message", "a text message is ignored", text_message)
            .checks(&["WIRE-HTTP-001"])
            .needs([Need::Scheme("http")]),
        Case::new("handshake.tcp.split-frames", "frames may be split and joined", split_frames)
            .checks(&["WIRE-TCP-001"])
            .needs([Need::Scheme("tcp")]),
        Case::new("handshake.tcp.short-length", "a length below 16 closes the connection", |context| {
            bad_length(context, 15)
        })
        .checks(&["WIRE-TCP-002"])
        .needs([Need::Scheme("tcp")]),
        Case::new("handshake.tcp.oversized", "a length above the limit closes the connection", |context| {
            bad_length(context, 2_145_386_497)
        })
        .checks(&["WIRE-TCP-003"])
        .needs([Need::Scheme("tcp")]),
    ]
}

/// Connects as a new admin endpoint with the certificate of some administrator.
async fn connect(context: &Context) -> CaseResult<Peer> {
    let kit = context.any_kit()?;
    Peer::connect(&kit.server, &Identity::of_kit(&kit.path)?).await
}

/// Connects and sends nothing.
async fn open(context: &Context) -> CaseResult<Peer> {
    let kit = context.any_kit()?;
    Peer::open(&kit.server, &Identity::of_kit(&kit.path)?).await
}

/// Shows that the endpoint works: a challenge is answered.
async fn works(context: &Context, peer: &mut Peer) -> CaseResult {
    challenge(peer, &context.any_kit()?.user).await.map(drop)
}

async fn ready(context: Context) -> CaseResult {
    let mut peer = open(&context).await?;
    let ready = peer.say_hello().await?;
    let payload = Hello::decode(&ready.payload);
    ensure_eq!(payload.endpoint_name.as_deref(), Some(SERVER), "endpoint name in READY");
    ensure_eq!(payload.fqcn.as_deref(), Some(SERVER), "fqcn in READY");
    ensure!(payload.timestamp.is_some(), "READY holds no timestamp");
    ensure!(ready.headers.is_empty(), "READY has headers");
    ensure_eq!((ready.app_id, ready.stream_id, ready.flags, ready.reserved), (0, 1, 0, 0), "prefix of READY");
    works(&context, &mut peer).await
}

async fn smallest_hello(context: Context) -> CaseResult {
    let mut peer = open(&context).await?;
    let hello = Hello { endpoint_name: Some(peer.name().to_owned()), timestamp: None, fqcn: None };
    peer.send_frame(FrameKind::Hello, 1, Bytes::new(), hello.encode().into()).await?;
    peer.ready().await?;
    works(&context, &mut peer).await
}

async fn illegal_name(context: Context) -> CaseResult {
    let mut peer = open(&context).await?;
    let name = format!("{} !", peer.name());
    ensure!(!is_valid_endpoint_name(&name), "the name is legal after all");
    peer.rename(&name);
    peer.is_turned_away().await
}

async fn dead_endpoint(context: Context, name: Option<&str>) -> CaseResult {
    let mut peer = open(&context).await?;
    let hello = Hello { endpoint_name: name.map(str::to_owned), timestamp: None, fqcn: None };
    peer.send_frame(FrameKind::Hello, 1, Bytes::new(), hello.encode().into()).await?;
    peer.ready().await?;
    let (request, _) = peer.request_headers(channel::TASK, channel::CHALLENGE);
    let request = request.with("cn", context.any_kit()?.user.as_str()).with("nonce", "nonce");
    peer.send_message(&request, Bytes::new()).await?;
    // The endpoint is dead to PING too; READY to a further HELLO shows that the server had time to answer.
    for _ in 0..3 {
        peer.send_frame(FrameKind::Hello, 1, Bytes::new(), hello.encode().into()).await?;
        peer.ready().await?;
    }
    ensure!(peer.leftover().is_none(), "the request was answered: {:?}", peer.leftover());
    Ok(())
}

async fn foreign_name(context: Context) -> CaseResult {
    let mut peer = open(&context).await?;
    let name = format!("intruder-{}", peer.random().uuid());
    peer.rename(&name);
    peer.is_turned_away().await
}

/// A second connection with the name of another one, which is closed by it.
async fn evict(context: &Context) -> CaseResult<Peer> {
    let mut first = connect(context).await?;
    works(context, &mut first).await?;
    let mut second = open(context).await?;
    second.rename(first.name());
    second.say_hello().await?;
    first.closed().await?;
    Ok(second)
}

async fn eviction(context: Context) -> CaseResult {
    evict(&context).await.map(drop)
}

/// A real 2.9.0 server now and then loses the way back to the new connection, for good: it takes the end of the first
/// one for that of the endpoint when the two cross (`SfmEndpoint.add_connection` against `close_connection`). So
/// the new connection has to be served in one of several attempts.
async fn replacement(context: Context) -> CaseResult {
    const ATTEMPTS: usize = 4;
    const PATIENCE: Duration = Duration::from_secs(3);
    for _ in 0..ATTEMPTS {
        let mut second = evict(&context).await?;
        if let Ok(served) = tokio::time::timeout(PATIENCE, works(&context, &mut second)).await {
            return served;
        }
    }
    Err(Finding::fail(format!("the second connection was served in none of {ATTEMPTS} attempts")))
}

async fn ping(context: Context) -> CaseResult {
    let mut peer = connect(&context).await?;
    let pong = peer.ping().await?;
    ensure!(pong.headers.is_empty(), "PONG has headers");
    ensure_eq!(&pong.payload[..], &[0xc0][..], "payload of PONG");
    Ok(())
}

async fn early_ping(context: Context) -> CaseResult {
    let mut peer = open(&context).await?;
    peer.send_frame(FrameKind::Ping, 17, Bytes::new(), Bytes::from_static(&[0xc0])).await?;
    peer.say_hello().await?;
    works(&context, &mut peer).await?;
    ensure!(!peer.inbox().any(|incoming| incoming.is_frame(FrameKind::Pong)), "the early PING was answered");
    peer.ping().await.map(drop)
}

async fn second_hello(context: Context) -> CaseResult {
    let mut peer = connect(&context).await?;
    peer.is_turned_away().await?;
    let mut other = connect(&context).await?;
    works(&context, &mut other).await
}

async fn odd_prefix(context: Context) -> CaseResult {
    let mut peer = open(&context).await?;
    let payload = Hello { endpoint_name: Some(peer.name().to_owned()), timestamp: None, fqcn: None }.encode().into();
    let hello = odd(FrameKind::Hello, 0, Bytes::new(), payload);
    peer.send_bytes(encode(&hello)?).await?;
    peer.ready().await?;
    peer.established().await?;
    let (request, id) = peer.request_headers(channel::TASK, channel::CHALLENGE);
    let request = request.with("cn", context.any_kit()?.user.as_str()).with("nonce", "nonce");
    let frame = odd(FrameKind::Data, 1, request.encode().into(), Bytes::new());
    peer.send_bytes(encode(&frame)?).await?;
    peer.reply(&id).await.map(drop)
}

/// A frame whose fields without a meaning hold nonsense.
fn odd(kind: FrameKind, app_id: u16, headers: Bytes, payload: Bytes) -> Frame {
    Frame { kind, reserved: 255, flags: 0x7fff, app_id, stream_id: 0, sequence: 0, headers, payload }
}

fn encode(frame: &Frame) -> CaseResult<Bytes> {
    frame.encode().map_err(|error| Finding::harness(error.to_string()))
}

async fn unknown_kinds(context: Context) -> CaseResult {
    let mut peer = connect(&context).await?;
    for kind in [0, 2, 3, 8, 200, 255] {
        peer.send_frame(FrameKind::Other(kind), 17, Bytes::new(), Bytes::from_static(b"payload")).await?;
    }
    alive(&context, &mut peer).await
}

/// The connection still works, and nothing came in answer to what was sent before.
async fn alive(context: &Context, peer: &mut Peer) -> CaseResult {
    peer.settle().await?;
    ensure!(peer.leftover().is_none(), "the server answered: {:?}", peer.leftover());
    works(context, peer).await
}

async fn garbage_headers(context: Context) -> CaseResult {
    let mut peer = connect(&context).await?;
    for garbage in [&[0xc1, 0xff, 0xff][..], &[0x81], b"\xa5hello", &[0xdf, 0xff, 0xff, 0xff, 0xff]] {
        let garbage = Bytes::copy_from_slice(garbage);
        peer.send_frame(FrameKind::Data, 17, garbage.clone(), Bytes::new()).await?;
        peer.send_frame(FrameKind::Hello, 1, Bytes::new(), garbage).await?;
    }
    // Headers that end after the frame.
    peer.send_bytes(prefix(PREFIX_LEN as u32, 1000, FrameKind::Data)).await?;
    peer.settle().await?;
    works(&context, &mut peer).await
}

/// A bare prefix with any length, header length and kind.
fn prefix(length: u32, header_len: u16, kind: FrameKind) -> Bytes {
    let mut out = BytesMut::with_capacity(PREFIX_LEN);
    out.put_u32(length);
    out.put_u16(header_len);
    out.put_u8(kind.into());
    out.put_bytes(0, PREFIX_LEN - out.len());
    out.freeze()
}

async fn incomplete_messages(context: Context) -> CaseResult {
    let mut peer = connect(&context).await?;
    for missing in [headers::MSG_TYPE, headers::ORIGIN, headers::DESTINATION] {
        let (mut request, _) = peer.request_headers(channel::TASK, channel::CHALLENGE);
        request.remove(missing);
        peer.send_message(&request, Bytes::new()).await?;
    }
    peer.send_message(&Headers::new(), Bytes::new()).await?;
    alive(&context, &mut peer).await
}

async fn short_message(context: Context) -> CaseResult {
    let mut peer = connect(&context).await?;
    for len in [0, 1, PREFIX_LEN - 1] {
        peer.send_bytes(Bytes::from(vec![1; len])).await?;
    }
    alive(&context, &mut peer).await
}

async fn wrong_length(context: Context) -> CaseResult {
    let mut peer = connect(&context).await?;
    for length in [0, 5, u32::MAX] {
        let (request, id) = peer.request_headers(channel::TASK, channel::CHALLENGE);
        let request = request.with("cn", context.any_kit()?.user.as_str()).with("nonce", "nonce");
        let frame = odd(FrameKind::Data, 1, request.encode().into(), Bytes::new());
        let mut bytes = BytesMut::from(&encode(&frame)?[..]);
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        peer.send_bytes(bytes.freeze()).await?;
        peer.reply(&id).await.map_err(|finding| finding.during(&format!("length field {length}")))?;
    }
    Ok(())
}

async fn text_message(context: Context) -> CaseResult {
    let mut peer = connect(&context).await?;
    peer.send_text("HELLO").await?;
    alive(&context, &mut peer).await
}

async fn split_frames(context: Context) -> CaseResult {
    let mut peer = open(&context).await?;
    let hello = Hello { endpoint_name: Some(peer.name().to_owned()), timestamp: None, fqcn: None };
    let hello = encode(&odd(FrameKind::Hello, 0, Bytes::new(), hello.encode().into()))?;
    for byte in hello.chunks(1) {
        peer.send_bytes(Bytes::copy_from_slice(byte)).await?;
    }
    peer.ready().await?;
    peer.established().await?;

    // Three requests in one piece, and the beginning of a fourth with the rest later.
    let mut ids = Vec::new();
    let mut bytes = BytesMut::new();
    for _ in 0..4 {
        let (request, id) = peer.request_headers(channel::TASK, channel::CHALLENGE);
        let request = request.with("cn", context.any_kit()?.user.as_str()).with("nonce", "nonce");
        bytes.extend_from_slice(&encode(&odd(FrameKind::Data, 1, request.encode().into(), Bytes::new()))?);
        ids.push(id);
    }
    let rest = bytes.split_off(bytes.len() - 7);
    peer.send_bytes(bytes.freeze()).await?;
    for id in &ids[..3] {
        peer.reply(id).await?;
    }
    peer.send_bytes(rest.freeze()).await?;
    peer.reply(&ids[3]).await.map(drop)
}

async fn bad_length(context: Context, length: u32) -> CaseResult {
    let mut peer = connect(&context).await?;
    peer.send_bytes(prefix(length, 0, FrameKind::Data)).await?;
    peer.closed().await?;
    let mut other = connect(&context).await?;
    works(&context, &mut other).await
}
