//! Plain cell messages: requests, replies, messages that come back, goodbye, and the stamp on every one of them.

use bytes::Bytes;
use flare_wire::auth::CellToken;
use flare_wire::cell::{Headers, Message, MessageKind, Payload, ReturnCode, SERVER, channel, headers};
use flare_wire::hci::{Item, Request};
use flare_wire::msgpack::Value;

use crate::finding::{ensure, ensure_eq};
use crate::raw::{Admin, read_reply};
use crate::{Case, CaseResult, Context, Release};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("message.plain-command", "a plain request is answered plainly", plain_command).checks(&[
            "CELL-REPLY-001",
            "CELL-REPLY-002",
            "CELL-REPLY-003",
        ]),
        Case::new("message.many-at-once", "sixteen requests under way get sixteen replies", many_at_once)
            .checks(&["CELL-REPLY-004"]),
        Case::new("message.no-reply-wanted", "a request that expects no reply gets none", no_reply_wanted)
            .checks(&["CELL-REPLY-005"]),
        Case::new("message.any-topic", "commands are taken on any topic", any_topic).checks(&["CELL-REPLY-006"]),
        Case::new("message.payload-is-no-text", "a command that is no text gets an empty reply", no_text)
            .checks(&["CELL-REPLY-007"]),
        Case::new("message.long-headers", "headers up to the limit of the format are read", long_headers)
            .checks(&["CELL-HEADERS-001"]),
        Case::new("message.unknown-channel", "a channel nobody listens on is an error", unknown_channel)
            .checks(&["CELL-ERROR-001"]),
        Case::new("message.unroutable", "a message for nobody comes back", unroutable).checks(&["CELL-ERROR-002"]),
        Case::new("message.bye", "a bye is answered and ends the endpoint", bye)
            .checks(&["CELL-BYE-001", "CELL-BYE-002"]),
        Case::new("message.bye-unregistered", "an endpoint that never registered may say goodbye", bye_unregistered)
            .checks(&["CELL-BYE-003"]),
        Case::new("message.server-stamp", "the server stamps everything it sends", server_stamp)
            .checks(&["CELL-STAMP-001"]),
    ]
}

/// A command that every role may run and that changes nothing, as a payload.
fn list_sessions(admin: &Admin) -> Payload {
    let request = Request { token: admin.token.clone(), ..Request::new("list_sessions") };
    Payload::text(&request.to_json())
}

async fn plain_command(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let command = list_sessions(&admin);
    let reply = admin.peer.request(channel::HCI, channel::COMMAND, &Headers::new(), &command).await?;
    ensure_eq!(reply.headers.text(headers::ORIGIN), Some(SERVER), "origin of the reply");
    ensure_eq!(reply.headers.text(headers::DESTINATION), Some(admin.peer.name()), "destination of the reply");
    ensure_eq!(reply.return_code(), ReturnCode::Ok, "return code");
    ensure!(matches!(read_reply(&reply)?.data.as_slice(), [Item::Table(_)]), "the reply is no table");
    Ok(())
}

async fn many_at_once(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let command = list_sessions(&admin);
    let mut ids = Vec::new();
    for _ in 0..16 {
        ids.push(admin.peer.send_request(channel::HCI, channel::COMMAND, &Headers::new(), &command).await?);
    }
    for id in ids.iter().rev() {
        let reply = admin.peer.reply(id).await?;
        ensure!(matches!(read_reply(&reply)?.data.as_slice(), [Item::Table(_)]), "the reply is no table");
    }
    Ok(())
}

async fn no_reply_wanted(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let command = list_sessions(&admin);
    let extra = Headers::new().with(headers::REPLY_EXPECTED, false);
    admin.peer.send_request(channel::HCI, channel::COMMAND, &extra, &command).await?;
    silent(&mut admin).await
}

/// Nothing is in the inbox after the server had time, which later answered requests prove.
async fn silent(admin: &mut Admin) -> CaseResult {
    for _ in 0..3 {
        admin.command("list_sessions").await?;
    }
    ensure!(admin.peer.leftover().is_none(), "the server answered: {:?}", admin.peer.leftover());
    Ok(())
}

async fn any_topic(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let command = list_sessions(&admin);
    let reply = admin.peer.request(channel::HCI, "another_topic", &Headers::new(), &command).await?;
    ensure!(matches!(read_reply(&reply)?.data.as_slice(), [Item::Table(_)]), "the reply is no table");
    Ok(())
}

async fn no_text(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    for value in [Value::from(7), Value::Nil, Value::Array(vec![])] {
        let payload = Payload::fobs(&value);
        let reply = admin.peer.request(channel::HCI, channel::COMMAND, &Headers::new(), &payload).await?;
        let body = reply.body().value();
        ensure_eq!(body, Ok(Value::Nil), "payload of the reply to {value}");
    }
    Ok(())
}

async fn long_headers(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let command = list_sessions(&admin);
    let (mut request, id) = admin.peer.request_headers(channel::HCI, channel::COMMAND);
    request.set(headers::PAYLOAD_ENCODING, command.encoding.as_str());
    // What is left after the other headers and the overhead of this one: three bytes for the length of the text.
    let used = request.clone().with("filler", "").encode().len() + 2;
    let room = usize::from(u16::MAX) - used;
    request.set("filler", "x".repeat(room));
    ensure_eq!(request.encode().len(), usize::from(u16::MAX), "the case's own headers");
    admin.peer.send_message(&request, command.bytes.to_bytes()).await?;
    admin.peer.reply(&id).await.map(drop)
}

async fn unknown_channel(context: Context) -> CaseResult {
    let mut admin = Admin::register(context.any_kit()?).await?;
    let reply = admin.peer.request("no_such_channel", "topic", &Headers::new(), &Payload::empty()).await?;
    ensure_eq!(reply.return_code(), ReturnCode::ProcessException, "return code");
    ensure_eq!(reply.headers.text(headers::ERROR), Some("no callback"), "error text");
    ensure_eq!(reply.headers.text(headers::CHANNEL), Some("no_such_channel"), "channel of the reply");
    Ok(())
}

async fn unroutable(context: Context) -> CaseResult {
    let mut admin = Admin::register(context.any_kit()?).await?;
    let (mut request, id) = admin.peer.request_headers("channel", "topic");
    request.set(headers::DESTINATION, "no-such-cell");
    admin.peer.send_message(&request, Bytes::new()).await?;
    let returned = admin
        .peer
        .wait_for_message("a returned message", |message| message.kind() == Some(MessageKind::Return))
        .await?;
    ensure_eq!(returned.return_code(), ReturnCode::CommError, "return code");
    ensure_eq!(returned.headers.text(headers::ERROR), Some("cannot forward"), "error text");
    ensure_eq!(returned.headers.text(headers::RETURN_REASON), Some("cant_forward"), "reason");
    let ids = Value::Array(vec![id.as_str().into()]);
    ensure_eq!(returned.headers.get(headers::REQ_ID), Some(&ids), "request id");
    ensure_eq!(returned.headers.get(headers::ORIGINAL_HEADERS), Some(&request.to_value()), "original headers");
    Ok(())
}

async fn bye(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    say_goodbye(&mut admin).await?;
    let command = list_sessions(&admin);
    let stream = admin.peer.stream(channel::HCI, channel::COMMAND, command);
    admin.peer.send_stream(&stream, &Headers::new()).await?;
    admin.peer.settle().await?;
    ensure!(admin.peer.leftover().is_none(), "the server answered: {:?}", admin.peer.leftover());
    Ok(())
}

async fn say_goodbye(admin: &mut Admin) -> CaseResult {
    let reply = admin.peer.request(channel::CELLNET, channel::BYE, &Headers::new(), &Payload::empty()).await?;
    ensure_eq!(reply.return_code(), ReturnCode::Ok, "return code");
    ensure!(reply.payload.is_empty(), "the reply to bye has a payload");
    Ok(())
}

async fn bye_unregistered(context: Context) -> CaseResult {
    let mut admin = Admin::register(context.any_kit()?).await?;
    admin.peer.set_stamp(Headers::new());
    say_goodbye(&mut admin).await
}

async fn server_stamp(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let command = list_sessions(&admin);
    let plain = admin.peer.request(channel::HCI, channel::COMMAND, &Headers::new(), &command).await?;
    let refused = admin.peer.request("no_such_channel", "topic", &Headers::new(), &Payload::empty()).await?;
    let stream = admin.peer.stream(channel::HCI, channel::COMMAND, command.clone());
    admin.peer.send_stream(&stream, &Headers::new()).await?;
    let mut messages = vec![("plain reply", plain), ("refusal", refused)];
    // Releases before 2.9 acknowledge nothing so short.
    if context.target().is_at_least(Release::V2_9) {
        messages.push(("acknowledgement", admin.peer.acknowledgement(&stream, command.bytes.len()).await?));
    }
    messages.push(("streamed reply", admin.peer.streamed_reply(&stream).await?));
    for (what, message) in messages {
        stamped(&admin, what, &message)?;
    }
    Ok(())
}

fn stamped(admin: &Admin, what: &str, message: &Message) -> CaseResult {
    let stamp = CellToken::from_headers(&message.headers);
    ensure!(stamp.is_ok(), "{what}: {stamp:?}");
    if let Ok(stamp) = stamp {
        ensure_eq!((stamp.client_name.as_str(), stamp.token.as_str()), (SERVER, SERVER), "{what}");
        ensure_eq!(stamp.verify(&admin.server.key), Ok(()), "{what}: signature");
    }
    Ok(())
}
