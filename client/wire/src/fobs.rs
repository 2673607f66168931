//! FOBS, the encoding of payloads: a msgpack body with type wrappers, and sections for large values.
//!
//! ```text
//! main section    | 100 | 0 | size u64 | msgpack body |
//! datum sections  | 101 or 102 | type | size u64 | datum id, 16 bytes | bytes |      zero or more
//! ```
//!
//! Objects that are not plain msgpack are maps with `__fobs_type__`, `__fobs_data__` and `__fobs_dc__`. This
//! module does not need to know the types: a wrapper is kept as the map it is, and [`unwrap`] looks inside.
//! Source: `reference/wire-protocol.md` section 5.

use std::error::Error;
use std::fmt;

use bytes::Bytes;
use uuid::Uuid;

use crate::Segments;
use crate::msgpack::{self, MsgpackError, Value, field};

const MARKER_MAIN: u8 = 100;
const MARKER_TEXT_DATUM: u8 = 101;
const MARKER_BLOB_DATUM: u8 = 102;
const MARKER_FILE_DATUM: u8 = 103;
const SECTION_HEADER_LEN: usize = 10;
const DATUM_ID_LEN: usize = 16;

const TYPE_KEY: &str = "__fobs_type__";
const DATA_KEY: &str = "__fobs_data__";
const DECOMPOSER_KEY: &str = "__fobs_dc__";

const DATUM_REF: &str = "nvflare.fuel.utils.fobs.datum.DatumRef";
const SHAREABLE: &str = "nvflare.apis.shareable.Shareable";
const SHAREABLE_DECOMPOSER: &str = "nvflare.fuel.utils.fobs.decomposer.DictDecomposer";
const CONTEXT: &str = "nvflare.apis.fl_context.FLContext";
const CONTEXT_DECOMPOSER: &str = "nvflare.apis.utils.decomposers.flare_decomposers.ContextDecomposer";

/// Most datum sections of one payload; admin traffic has none, or one for a very long text.
pub const MAX_DATUMS: usize = 1024;

/// Why bytes are no FOBS payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FobsError {
    /// A section is cut short, empty, or its size does not fit.
    BadSection,
    /// The first section is not the main one, or a later one is no datum.
    UnexpectedMarker(u8),
    /// More than [`MAX_DATUMS`] datum sections.
    TooManyDatums,
    /// A reference to a datum that is not there or was used already, or a text datum that is no UTF-8.
    BadDatum,
    /// The body is no msgpack.
    Body(MsgpackError),
}

impl fmt::Display for FobsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadSection => f.write_str("a FOBS section is cut short"),
            Self::UnexpectedMarker(marker) => write!(f, "unexpected FOBS section marker {marker}"),
            Self::TooManyDatums => write!(f, "more than {MAX_DATUMS} FOBS datums"),
            Self::BadDatum => f.write_str("a FOBS datum is missing or malformed"),
            Self::Body(_) => f.write_str("the FOBS body cannot be read"),
        }
    }
}

impl Error for FobsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Body(error) => Some(error),
            _ => None,
        }
    }
}

struct Section<'a> {
    marker: u8,
    body: &'a [u8],
}

fn split_section(bytes: &[u8]) -> Result<(Section<'_>, &[u8]), FobsError> {
    let (marker, size) = section_header(bytes)?;
    let rest = &bytes[SECTION_HEADER_LEN..];
    let (body, rest) = rest.split_at_checked(size).ok_or(FobsError::BadSection)?;
    Ok((Section { marker, body }, rest))
}

/// The marker of the section that begins here, and the size of its body.
fn section_header(bytes: &[u8]) -> Result<(u8, usize), FobsError> {
    let header = bytes.first_chunk::<SECTION_HEADER_LEN>().ok_or(FobsError::BadSection)?;
    let [marker, _object_type, size @ ..] = *header;
    match usize::try_from(u64::from_be_bytes(size)) {
        Ok(size) if size > 0 => Ok((marker, size)),
        _ => Err(FobsError::BadSection),
    }
}

/// As [`decode`], but the bytes below `key` are not copied: they come beside the value, which has nil in their place. Of a
/// payload with datums they stay in the value.
pub(crate) fn decode_apart(bytes: &Segments, key: &str) -> Result<(Value, Option<Segments>), FobsError> {
    let body_len = bytes.len().saturating_sub(SECTION_HEADER_LEN);
    match section_header(bytes.first()) {
        Ok((MARKER_MAIN, size)) if size == body_len => {
            msgpack::decode_apart(&bytes.slice(SECTION_HEADER_LEN..bytes.len()), key).map_err(FobsError::Body)
        }
        _ => decode(&bytes.to_bytes()).map(|value| (value, None)),
    }
}

/// Reads a payload. References to datums are replaced by their values; other wrappers stay as they are.
///
/// # Errors
/// [`FobsError`].
pub fn decode(bytes: &[u8]) -> Result<Value, FobsError> {
    let (main, mut rest) = split_section(bytes)?;
    if main.marker != MARKER_MAIN {
        return Err(FobsError::UnexpectedMarker(main.marker));
    }
    let mut value = msgpack::decode(main.body).map_err(FobsError::Body)?;
    if rest.is_empty() {
        return Ok(value);
    }
    let mut datums = Vec::new();
    while !rest.is_empty() {
        let (section, after) = split_section(rest)?;
        if datums.len() == MAX_DATUMS {
            return Err(FobsError::TooManyDatums);
        }
        datums.push(parse_datum(&section)?);
        rest = after;
    }
    resolve_datums(&mut value, &mut datums)?;
    Ok(value)
}

fn parse_datum(section: &Section<'_>) -> Result<(Uuid, Value), FobsError> {
    let (id, body) = section.body.split_first_chunk::<DATUM_ID_LEN>().ok_or(FobsError::BadSection)?;
    let value = match section.marker {
        MARKER_TEXT_DATUM => Value::from(std::str::from_utf8(body).map_err(|_| FobsError::BadDatum)?),
        MARKER_BLOB_DATUM | MARKER_FILE_DATUM => Value::from(body),
        other => return Err(FobsError::UnexpectedMarker(other)),
    };
    Ok((Uuid::from_bytes(*id), value))
}

/// Puts every datum in the place of its reference. A sender gives each value an id of its own, so a datum is
/// used up: were it copied, many short references to one long datum could ask for any amount of memory.
///
/// The recursion is bounded: the body was read with a depth limit.
fn resolve_datums(value: &mut Value, datums: &mut Vec<(Uuid, Value)>) -> Result<(), FobsError> {
    if type_name(value) == Some(DATUM_REF) {
        let id = unwrap(value)
            .and_then(|data| field(data, "data"))
            .and_then(|data| field(data, "datum_id"))
            .and_then(Value::as_str)
            .and_then(|text| Uuid::try_parse(text).ok())
            .ok_or(FobsError::BadDatum)?;
        let at = datums.iter().position(|(datum_id, _)| *datum_id == id).ok_or(FobsError::BadDatum)?;
        *value = datums.swap_remove(at).1;
        return Ok(());
    }
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| resolve_datums(item, datums)),
        Value::Map(entries) => entries.iter_mut().try_for_each(|(_, item)| resolve_datums(item, datums)),
        _ => Ok(()),
    }
}

/// The bytes of a payload with this value, in one main section. Values of any size are written in place,
/// which every release reads.
#[must_use]
pub fn encode(value: &Value) -> Bytes {
    let mut out = main_section(0).to_vec();
    out.reserve(msgpack::most_encoded(value));
    rmpv::encode::write_value(&mut out, value).expect("writing to a vector cannot fail");
    let size = out.len() - SECTION_HEADER_LEN;
    out[..SECTION_HEADER_LEN].copy_from_slice(&main_section(size));
    out.into()
}

/// As [`encode`], but with `bytes` below `key` in the place of the nil that is there. They are not copied.
pub(crate) fn encode_with(value: &Value, key: &str, bytes: Segments) -> Segments {
    let (before, after) = msgpack::encode_around(value, key, bytes.len());
    let size = before.len() + bytes.len() + after.len();
    let before = [&main_section(size), &before[..]].concat();
    let bytes = bytes.parts().cloned();
    std::iter::once(before.into()).chain(bytes).chain([after.into()]).collect()
}

/// The header of a main section.
fn main_section(size: usize) -> [u8; SECTION_HEADER_LEN] {
    let mut header = [0; SECTION_HEADER_LEN];
    header[0] = MARKER_MAIN;
    header[2..].copy_from_slice(&(size as u64).to_be_bytes());
    header
}

/// The Python type of a wrapped object.
#[must_use]
pub fn type_name(value: &Value) -> Option<&str> {
    field(value, TYPE_KEY)?.as_str()
}

/// The data of a wrapped object; `None` when `value` is no wrapper.
#[must_use]
pub fn unwrap(value: &Value) -> Option<&Value> {
    type_name(value)?;
    field(value, DATA_KEY)
}

fn wrap(type_name: &str, data: Value, decomposer: &str) -> Value {
    msgpack::map([(TYPE_KEY, type_name.into()), (DATA_KEY, data), (DECOMPOSER_KEY, decomposer.into())])
}

/// A `Shareable`: the map that most requests outside HCI carry. Its headers are an entry of the map.
#[must_use]
pub fn shareable<const N: usize, const M: usize>(headers: [(&str, Value); N], body: [(&str, Value); M]) -> Value {
    shareable_with(headers.into_iter().map(|(key, value)| (Value::from(key), value)).collect(), body)
}

/// A `Shareable` whose headers are not known in number.
#[must_use]
pub fn shareable_with<const M: usize>(headers: Vec<(Value, Value)>, body: [(&str, Value); M]) -> Value {
    let mut entries = vec![(Value::from("__headers__"), Value::Map(headers))];
    entries.extend(body.into_iter().map(|(key, value)| (Value::from(key), value)));
    wrap(SHAREABLE, Value::Map(entries), SHAREABLE_DECOMPOSER)
}

/// An `FLContext` with one public property, as the register request carries it.
#[must_use]
pub fn context(property: &str, value: Value) -> Value {
    context_with([(property, value)])
}

/// An `FLContext` with public properties.
#[must_use]
pub fn context_with<const N: usize>(properties: [(&str, Value); N]) -> Value {
    let properties = properties.map(|(name, value)| (name, msgpack::map([("value", value), ("mask", 0.into())])));
    wrap(CONTEXT, Value::Array(vec![Value::Nil, msgpack::map(properties)]), CONTEXT_DECOMPOSER)
}

/// The fields of a payload that is a map or a wrapped map (a `Shareable`).
#[must_use]
pub fn body(value: &Value) -> &Value {
    unwrap(value).unwrap_or(value)
}

/// The same to take something out of.
pub(crate) fn body_mut(value: &mut Value) -> &mut Value {
    if unwrap(value).is_none() {
        return value;
    }
    // Looked up twice: a borrow that is returned from one branch would last for the other.
    match value {
        Value::Map(entries) => {
            let at = entries.iter().rposition(|(name, _)| name.as_str() == Some(DATA_KEY));
            &mut entries[at.expect("`unwrap` has found it")].1
        }
        other => other,
    }
}
