//! Texts of Python values inside messages.

use flare_wire::hci::python_repr;
use serde_json::Value;

use super::{ExceptionClass, PythonError};

/// `str(value)`: a text as it is, everything else as its repr.
#[must_use]
pub fn to_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => python_repr(other),
    }
}

/// `{'a', 'b'}`: the repr of a set that is not empty, in the order given (Python's own order is random).
#[must_use]
pub fn set_repr(items: &[Value]) -> String {
    let items: Vec<String> = items.iter().map(python_repr).collect();
    format!("{{{}}}", items.join(", "))
}

/// `int`, `str`, `NoneType`: what Python calls the type of `value`.
#[must_use]
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// `bool(value)`.
#[must_use]
pub fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// `bytes.decode()`.
///
/// # Errors
/// `UnicodeDecodeError` with Python's account of the first fault.
pub fn decode_utf8(bytes: &[u8]) -> Result<&str, PythonError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let start = error.valid_up_to();
        let rest = &bytes[start..];
        let (faulty, why) = match error.error_len() {
            None => (rest.len(), "unexpected end of data"),
            Some(len) if len == 1 && !is_lead_byte(rest[0]) => (1, "invalid start byte"),
            Some(len) => (len, "invalid continuation byte"),
        };
        let text = if faulty == 1 {
            format!("'utf-8' codec can't decode byte 0x{:02x} in position {start}: {why}", rest[0])
        } else {
            format!("'utf-8' codec can't decode bytes in position {start}-{}: {why}", start + faulty - 1)
        };
        PythonError::new(ExceptionClass::UnicodeDecode, text)
    })
}

/// The bytes that can start a character of more than one byte.
const fn is_lead_byte(byte: u8) -> bool {
    matches!(byte, 0xc2..=0xf4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf8_get_the_words_of_python() {
        let cases: [(&[u8], &str); 8] = [
            (b"\xff", "byte 0xff in position 0: invalid start byte"),
            (b"ab\xc3(", "byte 0xc3 in position 2: invalid continuation byte"),
            (b"\xe2\x82", "bytes in position 0-1: unexpected end of data"),
            (b"\xe2(\xa1", "byte 0xe2 in position 0: invalid continuation byte"),
            (b"\xf0\x90\x8c", "bytes in position 0-2: unexpected end of data"),
            (b"\xed\xa0\x80", "byte 0xed in position 0: invalid continuation byte"),
            (b"\xc0\xaf", "byte 0xc0 in position 0: invalid start byte"),
            (b"x\xe2\x82(", "bytes in position 1-2: invalid continuation byte"),
        ];
        for (bytes, why) in cases {
            assert_eq!(decode_utf8(bytes).unwrap_err().text, format!("'utf-8' codec can't decode {why}"));
        }
        assert_eq!(decode_utf8("ä".as_bytes()), Ok("ä"));
    }
}
