//! The stream layer: chunks, acknowledgements, repeats and errors.

use std::time::Duration;

use bytes::Bytes;
use flare_wire::cell::{Encoding, Headers, Message, MessageKind, Payload, SERVER, channel, headers};
use flare_wire::hci::{Item, Request};

use crate::finding::{ensure, ensure_eq};
use crate::raw::{Admin, FINAL, Stream, is_topic, read_reply};
use crate::{Case, CaseResult, Context, Release};

/// `sm__dt` of an error.
const ERROR: u64 = 6;
/// After how long a server repeats what is not acknowledged.
const RETRY: Duration = Duration::from_secs(5);
/// A small chunk: the command of a case then takes about ten of them.
const SMALL: usize = 64;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("stream.command", "a streamed command is answered with a stream", command).checks(&[
            "STREAM-REPLY-001",
            "STREAM-REPLY-002",
            "STREAM-ACK-001",
        ]),
        Case::new("stream.reliable-reply", "replies are announced as reliable", reliable_reply)
            .checks(&["STREAM-REPLY-003"]),
        Case::new("stream.no-request-id", "a stream that asks for no reply gets none", no_request_id)
            .checks(&["STREAM-REPLY-004"]),
        Case::new("stream.many-chunks", "a request may come in many chunks", many_chunks)
            .checks(&["STREAM-CHUNK-001", "STREAM-ACK-001"]),
        Case::new("stream.out-of-order", "chunks may come in any order", out_of_order).checks(&["STREAM-CHUNK-002"]),
        Case::new("stream.duplicates", "repeated chunks count once", duplicates).checks(&["STREAM-CHUNK-003"]),
        Case::new("stream.interleaved", "two streams may be mixed", interleaved).checks(&["STREAM-CHUNK-004"]),
        Case::new("stream.unacknowledged", "a reply that nobody acknowledges is repeated", unacknowledged)
            .checks(&["STREAM-ACK-002"])
            .waiting(RETRY),
        Case::new("stream.acknowledged", "a reply that is acknowledged is not repeated", acknowledged)
            .checks(&["STREAM-ACK-003"])
            .waiting(RETRY),
        Case::new("stream.unknown-channel", "a stream to nobody is refused", unknown_channel)
            .checks(&["STREAM-ERROR-001"]),
        Case::new("stream.too-long", "a stream of more bytes than announced is refused", too_long)
            .checks(&["STREAM-ERROR-002"]),
        Case::new("stream.too-short", "a stream of fewer bytes than announced is dropped", too_short)
            .checks(&["STREAM-ERROR-006"]),
        Case::new("stream.oversized", "a stream that announces too much is refused", oversized)
            .checks(&["STREAM-ERROR-003"]),
        Case::new("stream.unknown-id", "messages about unknown streams are passed over", unknown_id)
            .checks(&["STREAM-ERROR-004"]),
        Case::new("stream.abandoned", "a stream may be abandoned", abandoned).checks(&["STREAM-ERROR-005"]),
    ]
}

/// A streamed command that every role may run and that changes nothing.
fn list_sessions(admin: &mut Admin) -> Stream {
    let request = Request { token: admin.token.clone(), ..Request::new("list_sessions") };
    admin.peer.stream(channel::HCI, channel::COMMAND, Payload::text(&request.to_json()))
}

/// Waits for the streamed reply and reads it.
async fn answered(admin: &mut Admin, stream: &Stream) -> CaseResult<Message> {
    let mut reply = admin.peer.streamed_reply(stream).await?;
    let encoding = reply.headers.text(headers::STREAM_PAYLOAD_ENCODING).unwrap_or_default().to_owned();
    reply.headers.set(headers::PAYLOAD_ENCODING, encoding);
    ensure!(matches!(read_reply(&reply)?.data.as_slice(), [Item::Table(_)]), "the reply is no table");
    Ok(reply)
}

/// The end of the stream is acknowledged, with this last chunk. Releases before 2.9 acknowledge nothing so short.
async fn acknowledged_end(context: &Context, admin: &mut Admin, stream: &Stream, last: u64) -> CaseResult {
    if context.target().is_at_least(Release::V2_9) {
        let ack = admin.peer.acknowledgement(stream, stream.payload.bytes.len()).await?;
        ensure_eq!(ack.headers.number(headers::STREAM_SEQUENCE), Some(last), "last chunk in the acknowledgement");
    }
    Ok(())
}

async fn command(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let stream = list_sessions(&mut admin);
    admin.peer.send_stream(&stream, &Headers::new()).await?;
    acknowledged_end(&context, &mut admin, &stream, 0).await?;
    let reply = answered(&mut admin, &stream).await?;
    let text = |name| reply.headers.text(name);
    ensure_eq!(text(headers::STREAM_CHANNEL), Some(channel::RETURN_ONLY), "channel of the reply");
    ensure_eq!(text(headers::STREAM_TOPIC), Some("hci_channel:command"), "topic of the reply");
    ensure_eq!(text(headers::STREAM_REQ_ID), stream.request.as_deref(), "request id of the reply");
    ensure_eq!(reply.kind(), Some(MessageKind::Request), "type of the reply");
    ensure_eq!(reply.headers.flag(headers::REPLY_EXPECTED), false, "reply expected");
    ensure_eq!(text(headers::REQ_ID), Some(""), "plain request id of the reply");
    ensure_eq!(reply.headers.get(headers::RETURN_CODE), None, "return code of the reply");
    ensure_eq!(text(headers::STREAM_PAYLOAD_ENCODING), Some(Encoding::Fobs.as_str()), "encoding of the reply");
    Ok(())
}

async fn reliable_reply(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let stream = list_sessions(&mut admin);
    admin.peer.send_stream(&stream, &Headers::new()).await?;
    let reply = answered(&mut admin, &stream).await?;
    ensure!(reply.headers.flag(headers::STREAM_RELIABLE), "the reply is not announced as reliable");
    for (name, expected) in [
        (headers::STREAM_CHUNK_SIZE, 1_048_576),
        (headers::STREAM_WINDOW_SIZE, 67_108_864),
        (headers::STREAM_ACK_INTERVAL, 4_194_304),
    ] {
        ensure_eq!(reply.headers.number(name), Some(expected), "{name}");
    }
    for (name, expected) in [(headers::STREAM_RETRY_WAIT, 5.0), (headers::STREAM_RETRY_TIMEOUT, 60.0)] {
        ensure_eq!(reply.headers.get(name).and_then(flare_wire::msgpack::Value::as_f64), Some(expected), "{name}");
    }
    Ok(())
}

async fn no_request_id(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let stream = Stream { request: None, ..list_sessions(&mut admin) };
    admin.peer.send_stream(&stream, &Headers::new()).await?;
    acknowledged_end(&context, &mut admin, &stream, 0).await?;
    no_more_chunks(&mut admin).await
}

/// No chunk of a stream is in the inbox after the server had time, which later answered requests prove.
async fn no_more_chunks(admin: &mut Admin) -> CaseResult {
    for _ in 0..3 {
        admin.command("list_sessions").await?;
    }
    let chunk = admin.peer.inbox().filter_map(|incoming| incoming.message());
    let chunk = chunk.filter(|message| is_topic(message, channel::STREAM_DATA)).count();
    ensure_eq!(chunk, 0, "further chunks");
    Ok(())
}

async fn many_chunks(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let stream = list_sessions(&mut admin);
    let chunks = admin.peer.chunks(&stream, SMALL);
    for (chunk, payload) in &chunks {
        admin.peer.send_message(chunk, payload.clone()).await?;
    }
    acknowledged_end(&context, &mut admin, &stream, chunks.len() as u64 - 1).await?;
    answered(&mut admin, &stream).await.map(drop)
}

async fn out_of_order(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let stream = list_sessions(&mut admin);
    let chunks = admin.peer.chunks(&stream, SMALL);
    // The server tolerates sixteen chunks ahead of the one it waits for.
    for window in chunks.chunks(8) {
        for (chunk, payload) in window.iter().rev() {
            admin.peer.send_message(chunk, payload.clone()).await?;
        }
    }
    answered(&mut admin, &stream).await.map(drop)
}

async fn duplicates(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let stream = list_sessions(&mut admin);
    let chunks = admin.peer.chunks(&stream, SMALL);
    for (chunk, payload) in &chunks {
        admin.peer.send_message(chunk, payload.clone()).await?;
        admin.peer.send_message(chunk, payload.clone()).await?;
    }
    answered(&mut admin, &stream).await?;
    let (last, payload) = &chunks[chunks.len() - 1];
    admin.peer.send_message(last, payload.clone()).await?;
    no_more_chunks(&mut admin).await
}

async fn interleaved(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let (first, second) = (list_sessions(&mut admin), list_sessions(&mut admin));
    let chunks = admin.peer.chunks(&first, SMALL).into_iter().zip(admin.peer.chunks(&second, SMALL));
    for ((one, one_payload), (other, other_payload)) in chunks {
        admin.peer.send_message(&one, one_payload).await?;
        admin.peer.send_message(&other, other_payload).await?;
    }
    answered(&mut admin, &second).await?;
    answered(&mut admin, &first).await.map(drop)
}

async fn unacknowledged(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    admin.peer.stop_acknowledging();
    let stream = list_sessions(&mut admin);
    admin.peer.send_stream(&stream, &Headers::new()).await?;
    let first = admin.peer.streamed_reply(&stream).await?;
    let started = std::time::Instant::now();
    let second = admin.peer.streamed_reply(&stream).await?;
    let waited = started.elapsed();
    ensure_eq!(
        second.headers.number(headers::STREAM_ID),
        first.headers.number(headers::STREAM_ID),
        "stream id of the repeated chunk"
    );
    ensure_eq!(second.payload, first.payload, "repeated chunk");
    // A loaded machine may be late, but never early.
    ensure!(waited >= Duration::from_secs(4), "repeated after {waited:?}");
    Ok(())
}

async fn acknowledged(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let stream = list_sessions(&mut admin);
    admin.peer.send_stream(&stream, &Headers::new()).await?;
    answered(&mut admin, &stream).await?;
    // Until another connection's reply, sent at the same time and not acknowledged, is repeated.
    let mut other = Admin::login(context.any_kit()?).await?;
    other.peer.stop_acknowledging();
    let unacknowledged = list_sessions(&mut other);
    other.peer.send_stream(&unacknowledged, &Headers::new()).await?;
    other.peer.streamed_reply(&unacknowledged).await?;
    other.peer.streamed_reply(&unacknowledged).await?;
    no_more_chunks(&mut admin).await
}

async fn unknown_channel(context: Context) -> CaseResult {
    let mut admin = Admin::register(context.any_kit()?).await?;
    let stream = admin.peer.stream("no_such_channel", "topic", Payload::text("y"));
    admin.peer.send_stream(&stream, &Headers::new()).await?;
    for topic in [channel::STREAM_ERROR, channel::STREAM_ACK] {
        let error = stream_error(&mut admin, &stream, topic).await?;
        ensure_eq!(error.headers.text(headers::STREAM_ERROR_TYPE), Some("StreamError"), "{topic}: error class");
        ensure_eq!(error.headers.text(headers::STREAM_CHANNEL), Some("no_such_channel"), "{topic}: channel");
        ensure_eq!(error.headers.text(headers::STREAM_TOPIC), Some("topic"), "{topic}: topic");
        ensure_eq!(error.headers.text(headers::STREAM_REQ_ID), stream.request.as_deref(), "{topic}: request id");
        let text = error.headers.text(headers::STREAM_ERROR).unwrap_or_default();
        ensure!(text.ends_with("No callback is registered for no_such_channel/topic"), "{topic}: {text}");
    }
    Ok(())
}

/// Waits for the error of `stream` on `topic`.
async fn stream_error(admin: &mut Admin, stream: &Stream, topic: &str) -> CaseResult<Message> {
    let id = stream.id;
    admin
        .peer
        .wait_for_message("the error of a stream", |message| {
            is_topic(message, topic)
                && message.headers.number(headers::STREAM_ID) == Some(id)
                && message.headers.number(headers::STREAM_DATA_TYPE) == Some(ERROR)
        })
        .await
}

async fn too_long(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let stream = list_sessions(&mut admin);
    let less = Headers::new().with(headers::STREAM_SIZE, stream.payload.bytes.len() as u64 - 1);
    admin.peer.send_stream(&stream, &less).await?;
    let error = stream_error(&mut admin, &stream, channel::STREAM_ERROR).await?;
    ensure_eq!(error.headers.text(headers::STREAM_ERROR_TYPE), Some("StreamError"), "error class");
    admin.command("list_sessions").await.map(drop)
}

async fn too_short(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let stream = list_sessions(&mut admin);
    let more = Headers::new().with(headers::STREAM_SIZE, stream.payload.bytes.len() as u64 + 1);
    admin.peer.send_stream(&stream, &more).await?;
    no_more_chunks(&mut admin).await?;
    let answer = admin.peer.inbox().filter_map(|incoming| incoming.message());
    let errors = answer.filter(|message| message.headers.number(headers::STREAM_DATA_TYPE) == Some(ERROR)).count();
    ensure_eq!(errors, 0, "errors");
    Ok(())
}

async fn oversized(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let stream = list_sessions(&mut admin);
    let (mut chunk, payload) = admin.peer.chunks(&stream, SMALL).swap_remove(0);
    chunk.set(headers::STREAM_SIZE, (4_u64 << 30) + 1);
    admin.peer.send_message(&chunk, payload).await?;
    let error = stream_error(&mut admin, &stream, channel::STREAM_ERROR).await?;
    ensure_eq!(error.headers.text(headers::STREAM_ERROR_TYPE), Some("BlobSizeError"), "error class");
    admin.command("list_sessions").await.map(drop)
}

async fn unknown_id(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let stream = list_sessions(&mut admin);
    for (topic, kind) in [
        (channel::STREAM_ACK, 3),
        (channel::STREAM_ACK, ERROR),
        (channel::STREAM_ERROR, ERROR),
        (channel::STREAM_DATA, ERROR),
        (channel::STREAM_DATA, 99),
        ("sm__UNKNOWN", 3),
    ] {
        let odd = admin
            .peer
            .chunk_headers(&stream, 0, 0, true)
            .with(headers::TOPIC, topic)
            .with(headers::STREAM_DATA_TYPE, kind)
            .with(headers::STREAM_ID, stream.id + 1000);
        admin.peer.send_message(&odd, Bytes::new()).await?;
    }
    admin.peer.send_stream(&stream, &Headers::new()).await?;
    answered(&mut admin, &stream).await.map(drop)
}

async fn abandoned(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let stream = list_sessions(&mut admin);
    let (chunk, payload) = admin.peer.chunks(&stream, SMALL).swap_remove(0);
    ensure!(chunk.number(headers::STREAM_DATA_TYPE) != Some(FINAL), "the command fits into one chunk");
    admin.peer.send_message(&chunk, payload).await?;
    let abort = chunk.with(headers::STREAM_DATA_TYPE, ERROR).with(headers::STREAM_ERROR, "changed my mind");
    admin.peer.send_message(&abort, Bytes::new()).await?;
    let stream = list_sessions(&mut admin);
    admin.peer.send_stream(&stream, &Headers::new()).await?;
    let reply = answered(&mut admin, &stream).await?;
    ensure_eq!(reply.headers.text(headers::ORIGIN), Some(SERVER), "origin of the reply");
    Ok(())
}
