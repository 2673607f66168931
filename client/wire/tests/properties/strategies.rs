//! Arbitrary values that several properties draw from.

use flare_wire::cell::Headers;
use flare_wire::msgpack::Value;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value as Json};

/// Text with everything that needs care somewhere: quotes, controls, several planes of Unicode.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        8 => any::<char>(),
        4 => prop::char::range(' ', '~'),
        1 => prop::sample::select(vec!['"', '\'', '\\', ' ', '#', '\n', '\t', '\u{7f}', '\u{a0}', '\u{ffff}']),
    ];
    vec(character, 0..12).prop_map(String::from_iter)
}

/// Bytes without structure.
pub(crate) fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=most)
}

/// A float that equals itself.
fn float() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("NaN is equal to nothing", |float| !float.is_nan())
}

/// Any msgpack value of moderate size.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-200_i64..300).prop_map(Value::from),
        float().prop_map(Value::from),
        any::<f32>().prop_filter("NaN is equal to nothing", |float| !float.is_nan()).prop_map(Value::from),
        text().prop_map(Value::from),
        bytes(40).prop_map(Value::from),
        (any::<i8>(), bytes(20)).prop_map(|(kind, bytes)| Value::Ext(kind, bytes)),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            vec((inner.clone(), inner.clone()), 0..6).prop_map(Value::Map),
            vec((text(), inner), 0..6)
                .prop_map(|entries| Value::Map(entries.into_iter().map(|(key, item)| (key.into(), item)).collect())),
        ]
    })
}

/// Headers without repeated names.
pub(crate) fn headers() -> impl Strategy<Value = Headers> {
    vec((text(), value()), 0..8).prop_map(|entries| {
        entries.into_iter().fold(Headers::new(), |headers, (name, value)| headers.with(name, value))
    })
}

/// Any JSON value of moderate size.
pub(crate) fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        text().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![vec(inner.clone(), 0..5).prop_map(Json::Array), vec((text(), inner), 0..5).prop_map(object)]
    })
}

/// Any JSON object of moderate size.
pub(crate) fn json_object() -> impl Strategy<Value = Map<String, Json>> {
    vec((text(), json()), 0..5).prop_map(|entries| entries.into_iter().collect())
}

fn object(entries: Vec<(String, Json)>) -> Json {
    Json::Object(entries.into_iter().collect())
}
