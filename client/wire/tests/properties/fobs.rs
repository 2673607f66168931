//! FOBS: identity, datum sections, limits.

use flare_wire::fobs::{self, FobsError, MAX_DATUMS};
use flare_wire::msgpack::{self, Value, field, map};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::strategies::{bytes, text, value};

fn section(marker: u8, body: &[u8]) -> Vec<u8> {
    [&[marker, 0], (body.len() as u64).to_be_bytes().as_slice(), body].concat()
}

fn datum(marker: u8, id: u128, body: &[u8]) -> Vec<u8> {
    section(marker, &[&id.to_be_bytes(), body].concat())
}

/// What nvflare writes in the place of a large value.
fn reference(id: u128) -> Value {
    let text = format!("{id:032x}");
    let id = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-");
    map([
        ("__fobs_type__", "nvflare.fuel.utils.fobs.datum.DatumRef".into()),
        ("__fobs_data__", map([("data", map([("datum_id", id.into()), ("unwrap", true.into())]))])),
        ("__fobs_dc__", "nvflare.fuel.utils.fobs.decomposer.DataClassDecomposer".into()),
    ])
}

fn blob(body: &Value, datums: &[Vec<u8>]) -> Vec<u8> {
    [section(100, &msgpack::encode(body)), datums.concat()].concat()
}

proptest! {
    #[test]
    fn a_value_survives_encoding(value in value()) {
        prop_assert_eq!(fobs::decode(&fobs::encode(&value)), Ok(value));
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(input in bytes(100)) {
        let _ = fobs::decode(&input);
        let _ = fobs::decode(&section(100, &input));
        let _ = fobs::decode(&[fobs::encode(&reference(1)).to_vec(), input].concat());
    }

    #[test]
    fn a_payload_that_is_cut_short_is_refused(value in value(), cut in any::<prop::sample::Index>()) {
        let encoded = fobs::encode(&value);
        prop_assert_eq!(fobs::decode(&encoded[..cut.index(encoded.len())]), Err(FobsError::BadSection));
    }

    #[test]
    fn large_values_are_put_back_wherever_they_were(texts in vec(text(), 1..4), blobs in vec(bytes(50), 1..4)) {
        let mut datums = Vec::new();
        let (mut body, mut expected) = (Vec::new(), Vec::new());
        let all = texts.iter().map(|text| (101, Value::from(text.as_str()), text.as_bytes()))
            .chain(blobs.iter().map(|blob| (102, Value::from(blob.as_slice()), blob.as_slice())));
        for (id, (marker, original, bytes)) in (1..).zip(all) {
            datums.push(datum(marker, id, bytes));
            body.push(map([("deep", Value::Array(vec![reference(id)]))]));
            expected.push(map([("deep", Value::Array(vec![original]))]));
        }
        datums.reverse();
        prop_assert_eq!(fobs::decode(&blob(&Value::Array(body), &datums)), Ok(Value::Array(expected)));
    }

    #[test]
    fn wrappers_are_seen_through(headers in text(), item in value()) {
        let shareable = fobs::shareable([("h", headers.as_str().into())], [("item", item.clone())]);
        let read = fobs::decode(&fobs::encode(&shareable)).unwrap();
        prop_assert_eq!(fobs::type_name(&read), Some("nvflare.apis.shareable.Shareable"));
        prop_assert_eq!(field(fobs::body(&read), "item"), Some(&item));
        let inner = field(fobs::body(&read), "__headers__").and_then(|map| field(map, "h"));
        prop_assert_eq!(inner.and_then(Value::as_str), Some(headers.as_str()));
        let context = fobs::context("p", item);
        prop_assert_eq!(fobs::decode(&fobs::encode(&context)), Ok(context));
    }
}

#[test]
fn datums_are_accepted_at_their_limit_and_refused_one_past() {
    let datums = |count| vec![datum(102, 1, b"x"); count];
    assert_eq!(fobs::decode(&blob(&Value::Nil, &datums(MAX_DATUMS))), Ok(Value::Nil));
    assert_eq!(fobs::decode(&blob(&Value::Nil, &datums(MAX_DATUMS + 1))), Err(FobsError::TooManyDatums));
}

#[test]
fn a_datum_is_put_back_once() {
    let twice = Value::Array(vec![reference(1), reference(1)]);
    assert_eq!(fobs::decode(&blob(&twice, &[datum(102, 1, b"x")])), Err(FobsError::BadDatum));
}

#[test]
fn sections_out_of_order_or_without_a_body_are_refused() {
    let main = section(100, &[0xc0]);
    for (sections, error) in [
        (vec![], FobsError::BadSection),
        (vec![section(100, &[])], FobsError::BadSection),
        (vec![datum(101, 1, b"x")], FobsError::UnexpectedMarker(101)),
        (vec![section(99, &[0xc0])], FobsError::UnexpectedMarker(99)),
        (vec![main.clone(), main.clone()], FobsError::BadSection),
        (vec![main.clone(), datum(100, 1, b"x")], FobsError::UnexpectedMarker(100)),
        (vec![main.clone(), section(102, &[0; 15])], FobsError::BadSection),
        (vec![main.clone(), datum(101, 1, &[0xff])], FobsError::BadDatum),
        (vec![main, vec![102]], FobsError::BadSection),
        (vec![section(100, &msgpack::encode(&reference(1))), datum(102, 2, b"x")], FobsError::BadDatum),
    ] {
        assert_eq!(fobs::decode(&sections.concat()), Err(error), "{sections:x?}");
    }
}
