//! JSON text as Python's `json.dumps` writes it, and Python's `repr`.
//!
//! The signature of a session token covers the JSON text byte for byte, and table cells of some replies are
//! Python reprs, so both have to be reproduced exactly.

use std::fmt::Write as _;

use serde_json::Value;

/// `value` in the default style of Python's `json.dumps`: `", "` and `": "` as separators, ASCII only.
#[must_use]
pub fn python_json(value: &Value) -> String {
    let mut out = String::new();
    write_json(&mut out, value, None, 0);
    out
}

/// `value` in the style of `json.dumps(value, indent=indent)`.
#[must_use]
pub fn python_json_indented(value: &Value, indent: usize) -> String {
    let mut out = String::new();
    write_json(&mut out, value, Some(indent), 0);
    out
}

fn write_json(out: &mut String, value: &Value, indent: Option<usize>, level: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => write_json_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(out, index, indent, level);
                write_json(out, item, indent, level + 1);
            }
            close(out, items.is_empty(), indent, level);
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                separate(out, index, indent, level);
                write_json_string(out, key);
                out.push_str(": ");
                write_json(out, item, indent, level + 1);
            }
            close(out, map.is_empty(), indent, level);
            out.push('}');
        }
    }
}

fn separate(out: &mut String, index: usize, indent: Option<usize>, level: usize) {
    match indent {
        Some(width) => {
            out.push_str(if index == 0 { "\n" } else { ",\n" });
            out.extend(std::iter::repeat_n(' ', width * (level + 1)));
        }
        None if index > 0 => out.push_str(", "),
        None => {}
    }
}

fn close(out: &mut String, empty: bool, indent: Option<usize>, level: usize) {
    if let (Some(width), false) = (indent, empty) {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', width * level));
    }
}

fn write_json_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(character),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

/// A number as Python's `repr` gives it: a float keeps its point or exponent.
fn number_text(number: &serde_json::Number) -> String {
    if number.is_f64()
        && let Some(float) = number.as_f64()
    {
        return float_repr(float);
    }
    number.to_string()
}

/// Python switches to an exponent below 1e-4 and from 1e16 on; Rust's `{:?}` switches elsewhere.
fn float_repr(float: f64) -> String {
    let magnitude = float.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{float:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    // Of two shortest forms that are equally near, this takes the even one as Python does; `format!` does not.
    Value::from(float).to_string()
}

/// `value` as Python's `repr` would print the equal Python value (`{'a': True, 'b': None}`).
#[must_use]
pub fn python_repr(value: &Value) -> String {
    let mut out = String::new();
    write_repr(&mut out, value);
    out
}

fn write_repr(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => write_repr_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(out, index, None, 0);
                write_repr(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                separate(out, index, None, 0);
                write_repr_string(out, key);
                out.push_str(": ");
                write_repr(out, item);
            }
            out.push('}');
        }
    }
}

/// Single quotes, unless the text holds a single quote and no double one.
fn write_repr_string(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c => {
                let _ = match u32::from(c) {
                    code @ 0..=0xff => write!(out, "\\x{code:02x}"),
                    code @ 0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    code => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push(quote);
}

/// Rust's own escapes follow the same Unicode categories as Python's. The letter in front is there because a
/// combining character at the start of a text would be escaped as well.
fn is_printable(character: char) -> bool {
    matches!(character, ' '..='~') || format!("a{character}").escape_debug().nth(1) != Some('\\')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_has_python_separators_and_ascii_escapes() {
        let value = json!({"n": "ä😀\"", "f": 1826412021.0, "l": [1, null, true], "e": {}, "a": []});
        assert_eq!(
            python_json(&value),
            r#"{"n": "\u00e4\ud83d\ude00\"", "f": 1826412021.0, "l": [1, null, true], "e": {}, "a": []}"#
        );
    }

    #[test]
    fn indented_json_keeps_empty_containers_on_one_line() {
        let value = json!({"a": {}, "b": [1, 2], "c": []});
        assert_eq!(
            python_json_indented(&value, 4),
            "{\n    \"a\": {},\n    \"b\": [\n        1,\n        2\n    ],\n    \"c\": []\n}"
        );
    }

    #[test]
    fn floats_are_printed_as_python_prints_them() {
        for (float, text) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1513.4062759876251, "1513.4062759876251"),
            (1e16, "1e+16"),
            (1.5e-5, "1.5e-05"),
            (123456789012345.0, "123456789012345.0"),
            (0.0001, "0.0001"),
            (2066064860480996.2, "2066064860480996.2"),
            (-0.0, "-0.0"),
        ] {
            assert_eq!(float_repr(float), text);
        }
    }

    #[test]
    fn repr_is_that_of_python() {
        let value = json!({"resources": [], "ok": true, "q": "it's", "n": null});
        assert_eq!(python_repr(&value), r#"{'resources': [], 'ok': True, 'q': "it's", 'n': None}"#);
    }

    #[test]
    fn repr_escapes_what_has_no_glyph() {
        let value = json!("e\u{301}中😀\u{7f}\u{a0}\u{200b}\u{e0001}\n\\'\"");
        let expected = ["'e\u{301}中😀", r#"\x7f\xa0\u200b\U000e0001\n\\\'"'"#].concat();
        assert_eq!(python_repr(&value), expected);
    }
}
