//! Msgpack with limits, on top of the crate `rmpv`.

use std::error::Error;
use std::fmt;

pub use rmpv::Value;

/// Most maps and arrays that are read one inside the other. Admin traffic nests seven levels at most; every
/// level costs stack.
pub const MAX_DEPTH: usize = 64;

/// The same limit in the count of `rmpv`: two for a map or array, at most three for what is in the innermost.
const RMPV_DEPTH: usize = 2 * MAX_DEPTH + 3;

/// Why bytes are no msgpack value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MsgpackError {
    /// The bytes end within the value, or hold a marker that does not exist.
    Malformed,
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// Bytes follow the value.
    TrailingBytes,
}

impl fmt::Display for MsgpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("malformed msgpack"),
            Self::TooDeep => write!(f, "msgpack is nested deeper than {MAX_DEPTH} levels"),
            Self::TrailingBytes => f.write_str("bytes follow the msgpack value"),
        }
    }
}

impl Error for MsgpackError {}

/// Reads exactly one value.
///
/// # Errors
/// [`MsgpackError`].
pub fn decode(mut bytes: &[u8]) -> Result<Value, MsgpackError> {
    let value = rmpv::decode::read_value_with_max_depth(&mut bytes, RMPV_DEPTH).map_err(|error| match error {
        rmpv::decode::Error::DepthLimitExceeded => MsgpackError::TooDeep,
        _ => MsgpackError::Malformed,
    })?;
    if depth(&value) > MAX_DEPTH {
        return Err(MsgpackError::TooDeep);
    }
    if bytes.is_empty() { Ok(value) } else { Err(MsgpackError::TrailingBytes) }
}

/// Recursion that [`RMPV_DEPTH`] bounds.
fn depth(value: &Value) -> usize {
    let inside = |deepest: Option<usize>| 1 + deepest.unwrap_or(0);
    match value {
        Value::Array(items) => inside(items.iter().map(depth).max()),
        Value::Map(entries) => inside(entries.iter().map(|(key, item)| depth(key).max(depth(item))).max()),
        _ => 0,
    }
}

/// The bytes of `value`, every number and length in its shortest form, as Python's msgpack writes them.
#[must_use]
pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).expect("writing to a vector cannot fail");
    out
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
