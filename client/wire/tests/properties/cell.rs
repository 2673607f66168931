//! Cell messages: identity, an ordered map of headers, arbitrary bytes.

use flare_wire::Moment;
use flare_wire::cell::{Encoding, Headers, HeadersError, Hello, Message, MessageKind, Payload, ReturnCode};
use flare_wire::cell::{headers as names, is_valid_endpoint_name};
use flare_wire::msgpack::{self, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::Duration;

use crate::strategies::{bytes, headers, text, value};

fn optional_text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(text())
}

proptest! {
    #[test]
    fn headers_survive_encoding(headers in headers()) {
        prop_assert_eq!(Headers::decode(&headers.encode()), Ok(headers));
    }

    #[test]
    fn the_last_of_repeated_headers_counts(entries in vec((0..6_u8, value()), 0..20)) {
        let map = entries.iter().map(|(key, item)| (Value::from(format!("k{key}")), item.clone())).collect();
        let read = Headers::decode(&msgpack::encode(&Value::Map(map))).unwrap();
        for key in 0..6 {
            let last = entries.iter().rev().find(|(name, _)| *name == key).map(|(_, item)| item);
            prop_assert_eq!(read.get(&format!("k{key}")), last);
        }
        let mut distinct: Vec<u8> = entries.iter().map(|(key, _)| *key).collect();
        distinct.sort_unstable();
        distinct.dedup();
        prop_assert_eq!(read.iter().count(), distinct.len());
    }

    #[test]
    fn a_header_that_is_set_again_keeps_its_place(entries in vec((text(), value()), 1..8), again in value()) {
        let headers = entries.iter().fold(Headers::new(), |all, (name, item)| all.with(name.clone(), item.clone()));
        let names: Vec<String> = headers.iter().map(|(name, _)| name.to_owned()).collect();
        let mut changed = headers;
        changed.set(entries[0].0.clone(), again.clone());
        prop_assert!(changed.iter().map(|(name, _)| name).eq(&names));
        prop_assert_eq!(changed.remove(&entries[0].0), Some(again));
        prop_assert_eq!(changed.iter().count(), names.len() - 1);
    }

    #[test]
    fn a_message_survives_its_frame(headers in headers(), payload in bytes(60), stream_id: u16, sequence: u16) {
        let message = Message { headers, payload: payload.into() };
        let frame = message.to_frame(stream_id, sequence);
        prop_assert_eq!((frame.stream_id, frame.sequence), (stream_id, sequence));
        prop_assert_eq!(Message::from_frame(&frame), Ok(message));
    }

    #[test]
    fn what_is_no_map_with_text_keys_is_refused(value in value()) {
        let text_keys = value.as_map().map(|map| map.iter().all(|(key, _)| key.is_str()));
        match Headers::decode(&msgpack::encode(&value)) {
            Ok(_) => prop_assert_eq!(text_keys, Some(true)),
            Err(error) => {
                prop_assert_eq!(error, HeadersError::NotAMap);
                prop_assert_ne!(text_keys, Some(true));
            }
        }
    }

    #[test]
    fn a_hello_survives_encoding(
        name in optional_text(), fqcn in optional_text(), seconds in prop::option::of(0.0..1e12),
    ) {
        let hello = Hello { endpoint_name: name, timestamp: seconds, fqcn };
        prop_assert_eq!(Hello::decode(&hello.encode()), hello);
    }

    #[test]
    fn a_hello_of_arbitrary_bytes_is_read_as_far_as_it_goes(input in bytes(60), value in value()) {
        let _ = Hello::decode(&input);
        let _ = Hello::decode(&msgpack::encode(&value));
    }

    #[test]
    fn typed_headers_are_read_from_any_value(value in value(), payload in bytes(30)) {
        let typed = [names::MSG_TYPE, names::RETURN_CODE, names::PAYLOAD_ENCODING];
        let headers = typed.into_iter().fold(Headers::new(), |all, name| all.with(name, value.clone()));
        let message = Message { headers, payload: payload.into() };
        let _ = (message.kind(), message.return_code(), message.body().value(), message.body().as_text());
        let _ = format!("{message:?}");
    }

    #[test]
    fn names_on_the_wire_are_kept(name in text()) {
        let code = ReturnCode::from(name.as_str());
        prop_assert_eq!(code.as_str(), &name);
        prop_assert_eq!(Encoding::parse(Some(&name)).as_str().to_owned(), name);
    }

    #[test]
    fn a_text_payload_is_read_back(content in text()) {
        prop_assert_eq!(Payload::text(&content).as_text(), Ok(content));
    }
}

#[test]
fn known_names_are_read_as_what_they_are() {
    for kind in [MessageKind::Request, MessageKind::Reply, MessageKind::Return] {
        let headers = Headers::new().with(names::MSG_TYPE, kind.as_str());
        assert_eq!(Message { headers, payload: Vec::new().into() }.kind(), Some(kind));
    }
    assert_eq!(ReturnCode::from("ok"), ReturnCode::Ok);
    assert_eq!(ReturnCode::from("abort_run"), ReturnCode::Other("abort_run".into()));
    assert_eq!(Encoding::parse(None), Encoding::None);
}

#[test]
fn endpoint_names_have_the_characters_of_the_real_rule() {
    for good in ["server", "site-1", "_admin_a0e9d25d-300b-42a1-9216-c0e3b9cb0643", "a.b~c", "A_9"] {
        assert!(is_valid_endpoint_name(good), "{good}");
    }
    for bad in ["", " ", "a b", "a/b", "ä", "a\n", "site@1", "a:b"] {
        assert!(!is_valid_endpoint_name(bad), "{bad:?}");
    }
    let hello = Hello::new("server", Moment::from_unix(Duration::from_millis(1_500)));
    assert_eq!((hello.fqcn.as_deref(), hello.timestamp), (Some("server"), Some(1.5)));
}

#[test]
fn many_repeated_headers_are_read_in_time() {
    let map = (0..12_000).map(|index| (Value::from(format!("{}", index % 3_000)), Value::Nil)).collect();
    let encoded = msgpack::encode(&Value::Map(map));
    assert_eq!(Headers::decode(&encoded).unwrap().iter().count(), 3_000);
}
