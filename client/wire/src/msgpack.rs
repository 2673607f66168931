//! Msgpack with limits, on top of the crate `rmpv`.

use std::error::Error;
use std::fmt;
use std::io;

use bytes::Bytes;
use rmpv::ValueRef;

use crate::Segments;

pub use rmpv::Value;

/// Most maps and arrays that are read one inside the other. Admin traffic nests seven levels at most; every
/// level costs stack.
pub const MAX_DEPTH: usize = 64;

/// The same limit in the count of `rmpv`: two for a map or array, at most three for what is in the innermost.
const RMPV_DEPTH: usize = 2 * MAX_DEPTH + 3;

/// Most values in one value. Memory needs forty times the bytes of the shortest values; admin traffic has hundreds.
pub const MAX_VALUES: usize = 1_000_000;

/// Why bytes are no msgpack value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MsgpackError {
    /// The bytes end within the value. (The one marker that msgpack leaves undefined, `c1`, is read as nil.)
    Malformed,
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// A string that is not UTF-8, which a real receiver refuses with the whole value.
    BadText,
    /// More than [`MAX_VALUES`] values.
    TooMany,
    /// Bytes follow the value.
    TrailingBytes,
}

impl fmt::Display for MsgpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("malformed msgpack"),
            Self::TooDeep => write!(f, "msgpack is nested deeper than {MAX_DEPTH} levels"),
            Self::TooMany => write!(f, "more than {MAX_VALUES} msgpack values"),
            Self::BadText => f.write_str("a msgpack string is not UTF-8"),
            Self::TrailingBytes => f.write_str("bytes follow the msgpack value"),
        }
    }
}

impl Error for MsgpackError {}

/// Reads exactly one value.
///
/// # Errors
/// [`MsgpackError`].
pub fn decode(bytes: &[u8]) -> Result<Value, MsgpackError> {
    let value = read(bytes)?.to_owned();
    check(&value, MAX_DEPTH)?;
    Ok(value)
}

/// As [`decode`], but the bytes below `key`, wherever it is, are not copied: they come beside the value, which has nil in
/// their place. It makes a difference for a piece of a file.
pub(crate) fn decode_apart(bytes: &Segments, key: &str) -> Result<(Value, Option<Segments>), MsgpackError> {
    if let Some((around, long)) = around_long(bytes, key)
        && let Ok((value, apart)) = decode_whole_apart(&around, key)
        // The empty one that stands for them, and no other of that key.
        && matches!(&apart[..], [only] if only.is_empty())
    {
        return Ok((value, Some(long)));
    }
    let (value, mut apart) = decode_whole_apart(&bytes.to_bytes(), key)?;
    Ok((value, apart.pop().map(Segments::from)))
}

/// Gives all bytes below `key`, of which there may be several.
fn decode_whole_apart(whole: &Bytes, key: &str) -> Result<(Value, Vec<Bytes>), MsgpackError> {
    let mut apart = Vec::new();
    let value = owned(read(whole)?, key, &mut |bytes| apart.push(whole.slice_ref(bytes)));
    check(&value, MAX_DEPTH)?;
    Ok((value, apart))
}

/// Finds the long bytes below `key` that begin in the first of several parts and do not end in it. Gives them, and all that
/// is around them with an empty value in their place.
fn around_long(bytes: &Segments, key: &str) -> Option<(Bytes, Segments)> {
    /// Marker of bytes whose length takes four bytes, as that of everything does that is longer than a chunk.
    const BIN_32: u8 = 0xc6;
    const LENGTH: usize = size_of::<u32>();
    const EMPTY: [u8; 2] = [0xc4, 0];
    let first = bytes.first();
    if first.len() == bytes.len() {
        return None;
    }
    let mut source = Counted { rest: first, markers_left: MAX_VALUES };
    // Reading ends where the long bytes begin, as not all of them are there.
    rmpv::decode::read_value_ref_with_max_depth(&mut source, RMPV_DEPTH).err()?;
    let start = first.len() - source.rest.len();
    let (head, length) = first[..start].split_last_chunk::<LENGTH>()?;
    let (marker, head) = head.split_last()?;
    let end = start.checked_add(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    if *marker != BIN_32 || !head.ends_with(&encode(&key.into())) || end > bytes.len() {
        return None;
    }
    let around = [head, &EMPTY, &bytes.slice(end..bytes.len()).to_bytes()].concat();
    Some((around.into(), bytes.slice(start..end)))
}

/// Borrowed: the library copies what it reads from a stream several times.
fn read(bytes: &[u8]) -> Result<ValueRef<'_>, MsgpackError> {
    let mut source = Counted { rest: bytes, markers_left: MAX_VALUES };
    let value = rmpv::decode::read_value_ref_with_max_depth(&mut source, RMPV_DEPTH).map_err(|error| match error {
        rmpv::decode::Error::DepthLimitExceeded => MsgpackError::TooDeep,
        _ if source.markers_left == 0 => MsgpackError::TooMany,
        _ => MsgpackError::Malformed,
    })?;
    if source.rest.is_empty() { Ok(value) } else { Err(MsgpackError::TrailingBytes) }
}

/// Copies a value but for the bytes below a key. The recursion is bounded: the value was read with a depth limit.
fn owned<'a>(value: ValueRef<'a>, key: &str, apart: &mut impl FnMut(&'a [u8])) -> Value {
    match value {
        ValueRef::Array(items) => Value::Array(items.into_iter().map(|item| owned(item, key, apart)).collect()),
        ValueRef::Map(entries) => {
            let entry = |(name, item): (ValueRef<'a>, ValueRef<'a>)| {
                let name = name.to_owned();
                let item = match item {
                    ValueRef::Binary(bytes) if name.as_str() == Some(key) => {
                        apart(bytes);
                        Value::Nil
                    }
                    item => owned(item, key, apart),
                };
                (name, item)
            };
            Value::Map(entries.into_iter().map(entry).collect())
        }
        other => other.to_owned(),
    }
}

/// Bytes that count how often a single one is asked for, which `rmpv` does once for every value (its marker) and
/// for one-byte lengths and numbers. So the count is never less than the number of values.
struct Counted<'a> {
    rest: &'a [u8],
    markers_left: usize,
}

impl io::Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.len() == 1 {
            self.markers_left = self.markers_left.checked_sub(1).ok_or(io::ErrorKind::OutOfMemory)?;
        }
        self.rest.read(buffer)
    }
}

impl<'a> rmpv::decode::value_ref::BorrowRead<'a> for Counted<'a> {
    fn fill_buf(&self) -> &'a [u8] {
        self.rest
    }

    fn consume(&mut self, len: usize) {
        self.rest = &self.rest[len..];
    }
}

/// What `rmpv` lets pass: a level too many, and strings that are none.
fn check(value: &Value, levels_left: usize) -> Result<(), MsgpackError> {
    let inside = || levels_left.checked_sub(1).ok_or(MsgpackError::TooDeep);
    match value {
        Value::String(text) if !text.is_str() => Err(MsgpackError::BadText),
        Value::Array(items) => {
            let left = inside()?;
            items.iter().try_for_each(|item| check(item, left))
        }
        Value::Map(entries) => {
            let left = inside()?;
            entries.iter().try_for_each(|(key, item)| check(key, left).and_then(|()| check(item, left)))
        }
        _ => Ok(()),
    }
}

/// The bytes of `value`, every number and length in its shortest form, as Python's msgpack writes them.
#[must_use]
pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).expect("writing to a vector cannot fail");
    out
}

/// As [`encode`], but with so many bytes below `key` in the place of the nil that is there; gives what comes before them and
/// what comes after. Without such a place all comes before.
pub(crate) fn encode_around(value: &Value, key: &str, len: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut before, mut after) = (Vec::new(), None);
    write_around(value, key, len, &mut before, &mut after);
    (before, after.unwrap_or_default())
}

fn write_around(value: &Value, key: &str, len: usize, before: &mut Vec<u8>, after: &mut Option<Vec<u8>>) {
    const WRITTEN: &str = "writing to a vector cannot fail";
    /// A length that does not fit cannot be sent: a frame is shorter.
    fn len_of(count: usize) -> u32 {
        u32::try_from(count).unwrap_or(u32::MAX)
    }
    let out = after.as_mut().unwrap_or(before);
    match value {
        Value::Map(entries) => {
            rmp::encode::write_map_len(out, len_of(entries.len())).expect(WRITTEN);
            for (name, item) in entries {
                write_around(name, key, len, before, after);
                if after.is_none() && item.is_nil() && name.as_str() == Some(key) {
                    rmp::encode::write_bin_len(before, len_of(len)).expect(WRITTEN);
                    *after = Some(Vec::new());
                } else {
                    write_around(item, key, len, before, after);
                }
            }
        }
        Value::Array(items) => {
            rmp::encode::write_array_len(out, len_of(items.len())).expect(WRITTEN);
            items.iter().for_each(|item| write_around(item, key, len, before, after));
        }
        other => rmpv::encode::write_value(out, other).expect(WRITTEN),
    }
}

/// A map from `entries`.
#[must_use]
pub fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (Value::from(key), value)).collect())
}

/// The value of `key` in a map; the last one when a key is repeated.
#[must_use]
pub fn field<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    value.as_map()?.iter().rev().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)
}

/// At least as many bytes as [`encode`] makes of a value, and hardly more: room for a piece of a file is made once.
pub(crate) fn most_encoded(value: &Value) -> usize {
    /// Marker and length of anything.
    const HEAD: usize = 9;
    HEAD + match value {
        Value::String(text) => text.as_bytes().len(),
        Value::Binary(bytes) | Value::Ext(_, bytes) => bytes.len(),
        Value::Array(items) => items.iter().map(most_encoded).sum(),
        Value::Map(entries) => entries.iter().map(|(key, item)| most_encoded(key) + most_encoded(item)).sum(),
        _ => 0,
    }
}

/// Takes the value of a key out of a map, and leaves nil; the last one, when the key comes more than once.
pub(crate) fn take_field(value: &mut Value, key: &str) -> Option<Value> {
    let Value::Map(entries) = value else { return None };
    let (_, value) = entries.iter_mut().rev().find(|(name, _)| name.as_str() == Some(key))?;
    Some(std::mem::replace(value, Value::Nil))
}

/// The bytes below a key, taken out of the map.
pub(crate) fn take_bytes(value: &mut Value, key: &str) -> Option<Vec<u8>> {
    match take_field(value, key)? {
        Value::Binary(bytes) => Some(bytes),
        Value::String(text) => Some(text.into_bytes()),
        _ => None,
    }
}
