//! HCI texts: in recorded frames, inside upload requests and their replies, and the recorded replies.

use flare_fixtures::replies;
use flare_wire::cell::Message;
use flare_wire::fobs;
use flare_wire::frame::FrameKind;
use flare_wire::hci::{Reply, Request, python_json};
use flare_wire::msgpack::field;
use serde_json::Value as Json;

use crate::frames::each;

/// Reads `text` as what it is and writes it back.
fn assert_text(text: &str, place: &str) {
    let json: Json = serde_json::from_str(text).unwrap_or_else(|error| panic!("{place}: {error}"));
    let first = json["data"][0]["type"].as_str().unwrap_or_else(|| panic!("{place}: no items in {text}"));
    if first == "command" {
        let request = Request::parse(text).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(request.to_json(), text, "{place}");
    } else {
        let reply = Reply::parse(text).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(reply.to_json(), text, "{place}");
    }
}

#[test]
fn texts_of_recorded_frames_are_read_and_written_back_unchanged() {
    let mut seen = 0;
    each(|_, recorded, frame, place| {
        let Some(view) = recorded.payload.as_ref().and_then(|payload| payload.json.as_ref()) else { return };
        let text = fobs::decode(&frame.payload).unwrap().as_str().unwrap().to_owned();
        assert_eq!(&serde_json::from_str::<Json>(&text).unwrap(), view, "{place}");
        if view["data"][0]["type"] == "command" && view.get("time").is_none() {
            // The test client leaves out what the server does not need.
            let request = Request::parse(&text).unwrap();
            assert_eq!(Request::parse(&request.to_json()).unwrap(), request, "{place}");
        } else {
            assert_text(&text, place);
        }
        seen += 1;
    });
    assert_eq!(seen, 68);
}

#[test]
fn texts_inside_uploads_are_read_and_written_back_unchanged() {
    let (mut requests, mut replies) = (0, 0);
    each(|_, recorded, frame, place| {
        if frame.kind != FrameKind::Data || recorded.payload.is_none() || !recorded.complete {
            return;
        }
        let value = fobs::decode(&Message::from_frame(frame).unwrap().payload.to_bytes()).unwrap();
        let Some(headers) = field(fobs::body(&value), "__headers__") else { return };
        if let Some(context) = field(headers, "ObjectStreamer.CTX") {
            assert_text(field(context, "conn_data").unwrap().as_str().unwrap(), place);
            requests += 1;
        }
        if let Some(result) = field(headers, "ObjectStreamer.END_RESULT") {
            assert_text(result.as_str().unwrap(), place);
            replies += 1;
        }
    });
    assert!(requests >= 2 && replies >= 2, "{requests} {replies}");
}

#[test]
fn recorded_replies_are_read_and_written_back_unchanged() {
    for recorded in replies() {
        let each = recorded.reply.as_array().map_or_else(|| vec![&recorded.reply], |list| list.iter().collect());
        for json in each {
            let text = python_json(json);
            let reply = Reply::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", recorded.name));
            assert_eq!(reply.to_json(), text, "{}", recorded.name);
        }
    }
}
