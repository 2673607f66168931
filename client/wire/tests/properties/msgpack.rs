//! Msgpack: identity, limits, arbitrary bytes.

use flare_wire::msgpack::{self, MAX_DEPTH, MsgpackError, Value, field};
use proptest::prelude::*;

use crate::strategies::{bytes, text, value};

proptest! {
    #[test]
    fn a_value_survives_encoding(value in value()) {
        prop_assert_eq!(msgpack::decode(&msgpack::encode(&value)), Ok(value));
    }

    #[test]
    fn a_value_that_is_cut_short_is_refused(value in value(), cut in any::<prop::sample::Index>()) {
        let encoded = msgpack::encode(&value);
        let part = &encoded[..cut.index(encoded.len())];
        prop_assert_eq!(msgpack::decode(part), Err(MsgpackError::Malformed));
    }

    #[test]
    fn bytes_after_a_value_are_refused(value in value(), more in bytes(4)) {
        let encoded = [msgpack::encode(&value), more.clone()].concat();
        let expected = if more.is_empty() { Ok(value) } else { Err(MsgpackError::TrailingBytes) };
        prop_assert_eq!(msgpack::decode(&encoded), expected);
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(input in bytes(64)) {
        if let Ok(value) = msgpack::decode(&input) {
            let encoded = msgpack::encode(&value);
            prop_assert!(encoded.len() <= input.len(), "the shortest form is longer: {:x?} {:x?}", encoded, input);
            prop_assert_eq!(msgpack::encode(&msgpack::decode(&encoded).unwrap()), encoded);
        }
    }

    #[test]
    fn a_field_is_the_last_of_its_name(entries in prop::collection::vec((text(), value()), 0..6)) {
        let map = Value::Map(entries.iter().map(|(key, item)| (key.as_str().into(), item.clone())).collect());
        for (key, _) in &entries {
            let last = entries.iter().rev().find(|(name, _)| name == key).map(|(_, item)| item);
            prop_assert_eq!(field(&map, key), last);
        }
        prop_assert_eq!(field(&map, "a name that is not there"), None);
    }
}

#[test]
fn strings_that_are_not_utf8_are_refused_wherever_they_are() {
    for encoded in [&b"\xa1\xff"[..], b"\x91\xa1\xff", b"\x81\xa1\xff\xc0", b"\x81\xc0\xd9\x01\xff"] {
        assert_eq!(msgpack::decode(encoded), Err(MsgpackError::BadText), "{encoded:x?}");
    }
}

fn nested(depth: usize, innermost: Value, wrap: fn(Value) -> Value) -> Vec<u8> {
    msgpack::encode(&(0..depth).fold(innermost, |value, _| wrap(value)))
}

#[test]
fn nesting_is_accepted_at_its_limit_and_refused_one_past() {
    let wraps: [fn(Value) -> Value; 3] = [
        |value| Value::Array(vec![value]),
        |value| Value::Map(vec![(Value::from("k"), value)]),
        |value| Value::Map(vec![(value, Value::Nil)]),
    ];
    for wrap in wraps {
        for innermost in [Value::Nil, Value::from("text"), Value::Ext(1, vec![1, 2]), Value::from(&b"bin"[..])] {
            assert!(msgpack::decode(&nested(MAX_DEPTH, innermost.clone(), wrap)).is_ok(), "{innermost}");
            let past = msgpack::decode(&nested(MAX_DEPTH + 1, innermost.clone(), wrap));
            assert_eq!(past, Err(MsgpackError::TooDeep), "{innermost}");
        }
    }
}

#[test]
fn deep_nesting_costs_no_stack() {
    for marker in [0x91, 0x81, 0xdc] {
        assert!(msgpack::decode(&vec![marker; 10_000_000]).is_err());
    }
}

#[test]
fn lengths_that_are_only_announced_cost_no_memory() {
    for marker in [0xc6, 0xc9, 0xdb, 0xdd, 0xdf] {
        assert_eq!(msgpack::decode(&[marker, 0xff, 0xff, 0xff, 0xff, 0]), Err(MsgpackError::Malformed), "{marker:x}");
    }
}

#[test]
fn numbers_of_every_width_are_written_in_their_shortest_form() {
    for (value, length) in [
        (Value::from(127), 1),
        (Value::from(128), 2),
        (Value::from(255), 2),
        (Value::from(256), 3),
        (Value::from(65_535), 3),
        (Value::from(65_536), 5),
        (Value::from(u32::MAX), 5),
        (Value::from(u64::from(u32::MAX) + 1), 9),
        (Value::from(u64::MAX), 9),
        (Value::from(-32), 1),
        (Value::from(-33), 2),
        (Value::from(-128), 2),
        (Value::from(-129), 3),
        (Value::from(-32_768), 3),
        (Value::from(-32_769), 5),
        (Value::from(i64::MIN), 9),
        (Value::from("x".repeat(31)), 32),
        (Value::from("x".repeat(32)), 34),
        (Value::from("x".repeat(255)), 257),
        (Value::from("x".repeat(256)), 259),
        (Value::from("x".repeat(65_536)), 65_541),
        (Value::from(vec![0_u8; 255]), 257),
        (Value::from(vec![0_u8; 256]), 259),
    ] {
        let encoded = msgpack::encode(&value);
        assert_eq!(encoded.len(), length, "{value}");
        assert_eq!(msgpack::decode(&encoded), Ok(value));
    }
}

#[test]
fn values_are_bounded_in_number() {
    let nils = |count: u32| {
        let mut bytes = vec![0xdd];
        bytes.extend(count.to_be_bytes());
        bytes.resize(5 + count as usize, 0xc0);
        bytes
    };
    // The array itself is one of them.
    let most = u32::try_from(msgpack::MAX_VALUES).unwrap() - 1;
    assert!(msgpack::decode(&nils(most)).is_ok());
    assert_eq!(msgpack::decode(&nils(most + 1)), Err(MsgpackError::TooMany));
}
