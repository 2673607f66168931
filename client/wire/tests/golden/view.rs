//! Compares msgpack values with their decoded view in the fixture files.

use flare_wire::msgpack::Value;
use serde_json::Value as Json;

/// Fails, saying where, unless `value` is what `view` shows.
pub(crate) fn assert_shows(view: &Json, value: &Value, place: &str) {
    if let Err(path) = compare(view, value) {
        panic!("{place}: at {path:?}\n expected {view}\n got {value}");
    }
}

/// The path to the first difference.
fn compare(view: &Json, value: &Value) -> Result<(), String> {
    let same = match (view, value) {
        (Json::Null, Value::Nil) => true,
        (Json::Bool(expected), Value::Boolean(got)) => expected == got,
        (Json::Number(expected), Value::F64(got)) => {
            expected.is_f64() && expected.as_f64().is_some_and(|expected| expected.to_bits() == got.to_bits())
        }
        (Json::Number(expected), Value::Integer(got)) => {
            expected.as_i64() == got.as_i64() && expected.as_u64() == got.as_u64() && !expected.is_f64()
        }
        (Json::String(expected), Value::String(got)) => got.as_str() == Some(expected),
        (Json::Object(shown), Value::Binary(bytes)) => shows_bytes(shown, bytes),
        (Json::Array(expected), Value::Array(got)) => {
            for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
                compare(expected, got).map_err(|path| format!("[{index}]{path}"))?;
            }
            expected.len() == got.len()
        }
        (Json::Object(expected), Value::Map(got)) => {
            for ((name, expected), (key, got)) in expected.iter().zip(got) {
                if key.as_str() != Some(name) {
                    return Err(format!(".{name} (found {key})"));
                }
                compare(expected, got).map_err(|path| format!(".{name}{path}"))?;
            }
            expected.len() == got.len()
        }
        _ => false,
    };
    if same { Ok(()) } else { Err(String::new()) }
}

fn shows_bytes(shown: &serde_json::Map<String, Json>, bytes: &[u8]) -> bool {
    let text = |key| shown.get(key).and_then(Json::as_str);
    if let Some(utf8) = text("$bytes_utf8") {
        return utf8.as_bytes() == bytes;
    }
    if let Some(hex) = text("$bytes_hex") {
        return hex == to_hex(bytes);
    }
    let length = shown.get("$len").and_then(Json::as_u64);
    text("$bytes_hex_head").is_some_and(|head| to_hex(bytes).starts_with(head)) && length == Some(bytes.len() as u64)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
