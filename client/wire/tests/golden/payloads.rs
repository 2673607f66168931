//! FOBS: payloads of recorded messages, and the output of nvflare's own serialiser.

use flare_fixtures::{Encoding, Payload, encodings};
use flare_wire::{fobs, msgpack};

use crate::frames::each;
use crate::view::assert_shows;

/// Checks a blob against its decoded view, in both directions.
pub(crate) fn assert_blob(view: &Payload, blob: &[u8], place: &str) {
    let [section] = view.sections.as_slice() else { panic!("{place}: recorded payloads have one section") };
    assert_eq!((view.encoding.as_str(), section.marker, section.dot), ("fobs", 100, 0), "{place}");
    assert_eq!(blob.len() as u64, 10 + section.size, "{place}");
    let value = fobs::decode(blob).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_shows(&section.msgpack, &value, place);
    assert_eq!(fobs::encode(&value), blob, "{place}");
}

#[test]
fn payloads_are_read_as_recorded_and_written_back_to_the_same_bytes() {
    let mut seen = 0;
    each(|_, recorded, frame, place| {
        if let Some(view) = &recorded.payload
            && recorded.complete
        {
            assert_blob(view, &frame.payload, place);
            seen += 1;
        }
    });
    assert_eq!(seen, 132);
}

fn has_datums(encoding: &Encoding) -> bool {
    encoding.fobs.len() > 10 + encoding.body.len()
}

#[test]
fn values_are_written_to_the_bytes_of_the_real_serialiser() {
    for encoding in encodings().iter().filter(|encoding| !has_datums(encoding)) {
        let value = fobs::decode(&encoding.fobs).unwrap_or_else(|error| panic!("{}: {error}", encoding.name));
        assert_eq!(msgpack::decode(&encoding.body).as_ref(), Ok(&value), "{}", encoding.name);
        assert_eq!(msgpack::encode(&value), encoding.body, "{}", encoding.name);
        assert_eq!(fobs::encode(&value), encoding.fobs, "{}", encoding.name);
    }
}

#[test]
fn large_values_are_put_back_from_their_datum_sections() {
    let datum = |name: &str| {
        let encoding = encodings().iter().find(|encoding| encoding.name == name).unwrap();
        assert!(has_datums(encoding));
        // Behind the main section: marker, object type, size, id.
        let bytes = &encoding.fobs[10 + encoding.body.len() + 10 + 16..];
        (fobs::decode(&encoding.fobs).unwrap(), bytes)
    };
    let (text, bytes) = datum("str_over_threshold");
    assert_eq!(text.as_str().map(str::as_bytes), Some(bytes));
    let (map, bytes) = datum("dict_with_bytes_over_threshold");
    assert_eq!(msgpack::field(&map, "data").and_then(|data| data.as_slice()), Some(bytes));
    assert_eq!(encodings().iter().filter(|encoding| has_datums(encoding)).count(), 2);
}
