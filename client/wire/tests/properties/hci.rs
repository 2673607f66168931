//! HCI texts and command lines: identity, arbitrary text.

use flare_wire::hci::{CommandLine, HciError, Item, Reply, Request, join_args, python_json, python_json_indented};
use flare_wire::hci::{python_repr, split_line};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value as Json;

use crate::strategies::{json, json_object, text};

fn request() -> impl Strategy<Value = Request> {
    (text(), text(), prop::option::of(text()), json_object()).prop_map(|(time, command, token, meta)| Request {
        time,
        command,
        token,
        meta,
    })
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        text().prop_map(Item::String),
        text().prop_map(Item::Success),
        text().prop_map(Item::Error),
        text().prop_map(Item::Shutdown),
        text().prop_map(Item::Token),
        json_object().prop_map(Item::Dict),
        vec(vec(prop::option::of(text()), 0..4), 0..4).prop_map(Item::Table),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    (text(), vec(item(), 0..5), json_object()).prop_map(|(time, data, meta)| Reply { time, data, meta })
}

/// A word that a command line can carry without loss: not empty, and none of the two characters that the
/// official client fails to quote.
fn word() -> impl Strategy<Value = String> {
    text().prop_filter("`'` and `#` are not quoted", |word| !word.is_empty() && !word.contains(['\'', '#']))
}

proptest! {
    #[test]
    fn a_request_survives_its_text(request in request()) {
        prop_assert_eq!(Request::parse(&request.to_json()), Ok(request));
    }

    #[test]
    fn a_reply_survives_its_text(reply in reply()) {
        prop_assert_eq!(Reply::parse(&reply.to_json()), Ok(reply));
    }

    #[test]
    fn json_of_any_shape_is_a_message_or_refused(json in json(), items in vec(json(), 0..4), meta in json()) {
        let _ = (Request::parse(&json.to_string()), Reply::parse(&json.to_string()));
        let shaped = serde_json::json!({"time": json, "data": items, "meta": meta}).to_string();
        if let Ok(reply) = Reply::parse(&shaped) {
            prop_assert_eq!(Reply::parse(&reply.to_json()), Ok(reply));
        }
        if let Ok(request) = Request::parse(&shaped) {
            prop_assert_eq!(Request::parse(&request.to_json()), Ok(request));
        }
    }

    #[test]
    fn arbitrary_text_is_refused_or_read(input in text()) {
        prop_assert_ne!(Request::parse(&input).map(|_| ()), Err(HciError::NoCommand));
        let _ = Reply::parse(&input);
    }

    #[test]
    fn python_json_is_json_of_the_same_value_in_ascii(value in json()) {
        for text in [python_json(&value), python_json_indented(&value, 2)] {
            prop_assert!(text.is_ascii());
            let read: Json = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read, &value, "{}", text);
        }
        let _ = python_repr(&value);
    }

    #[test]
    fn words_survive_a_command_line(words in vec(word(), 1..6)) {
        let line = join_args(&words);
        prop_assert_eq!(split_line(&line), CommandLine { words, props: None }, "{}", line);
    }

    #[test]
    fn arbitrary_lines_have_at_least_one_word(line in text()) {
        let split = split_line(&line);
        prop_assert!(!split.words.is_empty());
        prop_assert_eq!(split.args().len() + 1, split.words.len());
        prop_assert!(split.full_name().ends_with(split.name()));
    }
}
