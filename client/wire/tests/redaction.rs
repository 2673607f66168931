//! No secret of a real exchange, nor any other that was seen once, is left in what people see.

use bytes::Bytes;
use flare_fixtures::{Vector, vectors};
use flare_wire::cell::{Headers, Message, Payload, channel, headers};
use flare_wire::fobs;
use flare_wire::frame::{Frame, FrameKind};
use flare_wire::hci::Request;
use flare_wire::msgpack;
use flare_wire::redact::Redactor;
use proptest::prelude::*;
use serde_json::Value as Json;

/// Names of what is secret in the recordings, as an independent decoder wrote them down.
const SECRET: [&str; 6] = ["__token__", "__token_signature__", "token", "signature", "nonce", "private_key"];

/// Every secret in a decoded part of a recording.
fn collect(name: &str, value: &Json, secrets: &mut Vec<String>) {
    match value {
        Json::String(text) if SECRET.contains(&name) && text != "server" && !text.is_empty() => {
            secrets.push(text.clone());
        }
        Json::Object(map) => {
            let is_token = map.get("type").and_then(Json::as_str) == Some("token");
            for (key, value) in map {
                let inside = SECRET.contains(&name) && key == "$bytes_utf8";
                let name = if (is_token && key == "data") || inside { "token" } else { key };
                collect(name, value, secrets);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| collect(name, item, secrets)),
        _ => {}
    }
}

fn secrets(vector: &Vector) -> Vec<String> {
    let mut secrets = Vec::new();
    for frame in &vector.frames {
        if let Some(headers) = &frame.headers {
            headers.iter().for_each(|(name, value)| collect(name, value, &mut secrets));
        }
        for payload in [&frame.payload, &frame.reassembled].into_iter().flatten() {
            payload.json.iter().for_each(|json| collect("", json, &mut secrets));
            payload.sections.iter().for_each(|section| collect("", &section.msgpack, &mut secrets));
        }
    }
    secrets
}

/// What a reader would see of a recording.
fn shown(vector: &Vector) -> String {
    let mut redactor = Redactor::new();
    let mut text = String::new();
    for frame in vector.frames.iter().filter(|frame| frame.complete) {
        let frame = Frame::decode(Bytes::from(frame.raw.clone())).expect("a recorded frame is one");
        if frame.kind != FrameKind::Data {
            continue;
        }
        let Ok(message) = Message::from_frame(&frame) else { continue };
        let seen = redactor.cell_message(&message);
        let body = seen.body.map(|body| body.to_string()).unwrap_or_default();
        text.push_str(&format!("{}\n{}\n{body}\n", seen.what, Json::Object(seen.headers)));
    }
    text
}

#[test]
fn no_secret_of_a_recorded_exchange_is_shown() {
    let mut found = 0;
    for vector in vectors() {
        let shown = shown(vector);
        for secret in secrets(vector) {
            found += 1;
            assert!(!shown.contains(&secret), "{}: {secret} is shown", vector.name);
        }
        assert!(!shown.contains("PRIVATE KEY"), "{}", vector.name);
    }
    assert!(found > 400, "only {found} secrets were found in the recordings");
}

#[test]
fn what_is_no_secret_stays_readable() {
    let login = vectors().iter().find(|vector| vector.name == "login").expect("it is among the recordings");
    let shown = shown(login);
    for readable in
        ["req task/challenge", "hci_channel/command: _cert_login admin@nvidia.com", "\"cn__origin\":\"server\""]
    {
        assert!(shown.contains(readable), "{readable} is not in\n{shown}");
    }
}

#[test]
fn tokens_of_sites_in_tables_and_private_keys_in_texts_are_hidden() {
    let token = "d746084a-6228-481f-96c2-c0932731c9e6";
    let rows = serde_json::json!([["CLIENT", "TOKEN"], ["site-1", token]]);
    let reply = serde_json::json!({"data": [{"type": "table", "rows": rows}], "meta": {"status": "ok", "info": ""}});
    let mut redactor = Redactor::new();
    let seen = redactor.message(&Headers::new(), &Payload::text(&reply.to_string()));
    let body = seen.body.unwrap();
    assert_eq!(body["data"][0]["rows"][1], serde_json::json!(["site-1", "<token>"]));
    assert_eq!(seen.what, "message: ok");

    let key = "a -----BEGIN RSA PRIVATE KEY-----\nMIIEow\nAAA=\n-----END RSA PRIVATE KEY-----\nb";
    assert_eq!(redactor.text(key), "a <private key>\nb");
    assert_eq!(redactor.text("-----BEGIN PRIVATE KEY-----\nMIIE"), "<private key>");
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIE";
    assert_eq!(redactor.text(certificate), certificate);
    assert_eq!(redactor.text(&"0123456789abcdef".repeat(4)), "0123456789abcdef".repeat(4));
    assert_eq!(redactor.text(&format!("x {}", "aB3+".repeat(20))), "x <secret>");
}

/// Texts that tokens are like: UUIDs, and base64 with a colon in it.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{12}",
        "[A-Za-z0-9+/]{20,120}={0,2}:[A-Za-z0-9+/]{40,344}"
    ]
}

/// A message that carries `secret` in one of the places for secrets.
fn carrier(place: usize, secret: &str) -> (Headers, Payload) {
    let plain = Headers::new().with(headers::CHANNEL, channel::HCI).with(headers::TOPIC, channel::COMMAND);
    let token_item = serde_json::json!({"data": [{"type": "token", "data": secret}], "meta": {}});
    match place {
        0 => (plain.with(headers::TOKEN, secret), Payload::empty()),
        1 => (plain.with(headers::TOKEN_SIGNATURE, secret), Payload::empty()),
        2 => (plain.with("nonce", secret), Payload::empty()),
        3 => {
            let request = Request { token: Some(secret.to_owned()), ..Request::new("list_jobs") };
            (plain, Payload::text(&request.to_json()))
        }
        4 => (plain, Payload::text(&token_item.to_string())),
        _ => (plain, Payload::fobs(&fobs::shareable([], [("signature", secret.into()), ("nonce", secret.into())]))),
    }
}

proptest! {
    #[test]
    fn a_secret_that_was_seen_once_is_never_shown(
        secret in secret(), place in 0..6_usize, before in ".{0,40}", after in ".{0,40}",
    ) {
        let mut redactor = Redactor::new();
        let (headers, payload) = carrier(place, &secret);
        let text = format!("{before}{secret}{after}");
        let reply = serde_json::json!({"data": [{"type": "error", "data": text}], "meta": {"status": "error", "info": text}});
        let nested = msgpack::map([("error", text.as_str().into()), (secret.as_str(), "x".into())]);
        let shown = [
            redactor.message(&headers, &payload),
            redactor.message(&Headers::new().with(headers::ERROR, text.as_str()), &Payload::text(&reply.to_string())),
            redactor.message(&Headers::new(), &Payload::fobs(&nested)),
            redactor.message(&Headers::new(), &Payload::text(&text)),
        ];
        for seen in shown {
            let body = seen.body.map(|body| body.to_string()).unwrap_or_default();
            let all = format!("{} {} {body}", seen.what, Json::Object(seen.headers));
            prop_assert!(!all.contains(&secret), "{}", all);
        }
        prop_assert!(!redactor.text(&text).contains(&secret));
    }

    #[test]
    fn whatever_a_payload_holds_it_can_be_shown(content in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut redactor = Redactor::new();
        let payload = Payload { encoding: flare_wire::cell::Encoding::Fobs, bytes: content.into() };
        let seen = redactor.message(&Headers::new(), &payload);
        prop_assert_eq!(seen.body.is_none(), payload.bytes.is_empty());
    }
}
