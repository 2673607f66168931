//! JSON as Python's `json.loads` reads it, with its error texts and positions.
//!
//! The texts reach the user when a job's `meta.json` is broken, so where Python looks and what it then says is
//! followed exactly (Python 3.11). Two values have no counterpart in [`Value`]: `NaN` and the infinities become
//! null, half a surrogate pair becomes U+FFFD.

use serde_json::{Map, Number, Value};

use super::{ExceptionClass, PythonError};

/// Deepest nesting. Python stops at 995 levels, which is more than a stack of 2 MiB holds in a debug build, and more
/// than most JSON readers take from the replies that repeat a job's meta (serde: 128).
pub const MAX_DEPTH: usize = 100;

/// Python refuses to convert longer integers (`sys.set_int_max_str_digits`).
const MAX_DIGITS: usize = 4300;

/// Reads `text`.
///
/// # Errors
/// The exception that `json.loads` raises.
pub fn parse_json(text: &str) -> Result<Value, PythonError> {
    let mut reader = Reader { text: text.chars().collect(), at: 0, depth: 0 };
    if reader.peek() == Some('\u{feff}') {
        return Err(reader.error("Unexpected UTF-8 BOM (decode using utf-8-sig)", 0));
    }
    reader.skip_blanks();
    let value = reader.value()?;
    reader.skip_blanks();
    if reader.peek().is_some() {
        return Err(reader.error("Extra data", reader.at));
    }
    Ok(value)
}

struct Reader {
    text: Vec<char>,
    at: usize,
    depth: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn error(&self, problem: &str, at: usize) -> PythonError {
        let before = &self.text[..at.min(self.text.len())];
        let line = before.iter().filter(|character| **character == '\n').count() + 1;
        let column = at - before.iter().rposition(|character| *character == '\n').map_or(0, |newline| newline + 1) + 1;
        PythonError::new(ExceptionClass::JsonDecode, format!("{problem}: line {line} column {column} (char {at})"))
    }

    fn value(&mut self) -> Result<Value, PythonError> {
        match self.peek() {
            Some('"') => {
                self.at += 1;
                self.string().map(Value::String)
            }
            Some('{') => self.nested("object", Self::object),
            Some('[') => self.nested("array", Self::array),
            _ => {
                for (word, value) in [
                    ("null", Value::Null),
                    ("true", Value::Bool(true)),
                    ("false", Value::Bool(false)),
                    ("NaN", Value::Null),
                    ("Infinity", Value::Null),
                    ("-Infinity", Value::Null),
                ] {
                    if self.starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                self.number()
            }
        }
    }

    fn starts_with(&self, word: &str) -> bool {
        word.chars().enumerate().all(|(index, character)| self.text.get(self.at + index) == Some(&character))
    }

    fn nested(
        &mut self,
        kind: &str,
        read: impl FnOnce(&mut Self) -> Result<Value, PythonError>,
    ) -> Result<Value, PythonError> {
        if self.depth == MAX_DEPTH {
            let text = format!("maximum recursion depth exceeded while decoding a JSON {kind} from a unicode string");
            return Err(PythonError::new(ExceptionClass::Recursion, text));
        }
        self.depth += 1;
        self.at += 1;
        self.skip_blanks();
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, PythonError> {
        let mut map = Map::new();
        if self.take('}') {
            return Ok(Value::Object(map));
        }
        loop {
            if !self.take('"') {
                return Err(self.error("Expecting property name enclosed in double quotes", self.at));
            }
            let key = self.string()?;
            self.skip_blanks();
            if !self.take(':') {
                return Err(self.error("Expecting ':' delimiter", self.at));
            }
            self.skip_blanks();
            let value = self.value()?;
            // A repeated key keeps its place and takes the later value, in Python's dict as here.
            map.insert(key, value);
            self.skip_blanks();
            if self.take('}') {
                return Ok(Value::Object(map));
            }
            self.comma()?;
        }
    }

    fn array(&mut self) -> Result<Value, PythonError> {
        let mut items = Vec::new();
        if self.take(']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_blanks();
            if self.take(']') {
                return Ok(Value::Array(items));
            }
            self.comma()?;
        }
    }

    fn comma(&mut self) -> Result<(), PythonError> {
        if !self.take(',') {
            return Err(self.error("Expecting ',' delimiter", self.at));
        }
        self.skip_blanks();
        Ok(())
    }

    /// Reads the rest of a string whose opening quote was taken.
    fn string(&mut self) -> Result<String, PythonError> {
        let start = self.at - 1;
        let mut out = String::new();
        loop {
            let Some(character) = self.peek() else {
                return Err(self.error("Unterminated string starting at", start));
            };
            match character {
                '"' => {
                    self.at += 1;
                    return Ok(out);
                }
                '\\' => {
                    self.at += 1;
                    let escaped = self.escape(start)?;
                    out.push(escaped);
                }
                control if control < ' ' => return Err(self.error("Invalid control character at", self.at)),
                other => {
                    out.push(other);
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self, start: usize) -> Result<char, PythonError> {
        let Some(kind) = self.peek() else { return Err(self.error("Unterminated string starting at", start)) };
        self.at += 1;
        Ok(match kind {
            '"' | '\\' | '/' => kind,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unicode_escape(),
            _ => return Err(self.error("Invalid \\escape", self.at - 2)),
        })
    }

    fn unicode_escape(&mut self) -> Result<char, PythonError> {
        let problem = self.error("Invalid \\uXXXX escape", self.at - 1);
        let first = self.hex_unit().ok_or(problem)?;
        if let Some(character) = char::from_u32(first) {
            return Ok(character);
        }
        let after_first = self.at;
        if (0xd800..0xdc00).contains(&first)
            && self.take('\\')
            && self.take('u')
            && let Some(second @ 0xdc00..0xe000) = self.hex_unit()
        {
            let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        self.at = after_first;
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex_unit(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        let unit = digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + digit.to_digit(16)?))?;
        self.at += 4;
        Some(unit)
    }

    fn number(&mut self) -> Result<Value, PythonError> {
        let start = self.at;
        let nothing = self.error("Expecting value", start);
        self.take('-');
        if !self.take('0') && self.digits() == 0 {
            return Err(nothing);
        }
        let mut is_integer = true;
        let whole_end = self.at;
        if self.take('.') && self.digits() > 0 {
            is_integer = false;
        } else {
            self.at = whole_end;
        }
        let fraction_end = self.at;
        if (self.take('e') || self.take('E')) && {
            let _ = self.take('+') || self.take('-');
            self.digits() > 0
        } {
            is_integer = false;
        } else {
            self.at = fraction_end;
        }
        let text: String = self.text[start..self.at].iter().collect();
        if !is_integer {
            return Ok(text.parse().ok().and_then(Number::from_f64).map_or(Value::Null, Value::Number));
        }
        let digits = text.trim_start_matches('-').len();
        if digits > MAX_DIGITS {
            return Err(PythonError::value(format!(
                "Exceeds the limit ({MAX_DIGITS} digits) for integer string conversion: value has {digits} digits; \
                 use sys.set_int_max_str_digits() to increase the limit"
            )));
        }
        if text == "-0" {
            return Ok(Value::from(0));
        }
        // Beyond 64 bits only the magnitude is kept.
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|character| character.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// What Python 3.11.14 answered to each text.
    const REFUSED: [(&str, &str); 43] = [
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ("[", "Expecting value: line 1 column 2 (char 1)"),
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("{\"a\"", "Expecting ':' delimiter: line 1 column 5 (char 4)"),
        ("{\"a\":", "Expecting value: line 1 column 6 (char 5)"),
        ("{\"a\":1", "Expecting ',' delimiter: line 1 column 7 (char 6)"),
        ("{\"a\":1,", "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)"),
        ("{\"a\":1,}", "Expecting property name enclosed in double quotes: line 1 column 8 (char 7)"),
        ("[1,", "Expecting value: line 1 column 4 (char 3)"),
        ("[1,]", "Expecting value: line 1 column 4 (char 3)"),
        ("[1 2]", "Expecting ',' delimiter: line 1 column 4 (char 3)"),
        ("{a:1}", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("{\"a\" 1}", "Expecting ':' delimiter: line 1 column 6 (char 5)"),
        ("\"abc", "Unterminated string starting at: line 1 column 1 (char 0)"),
        ("\"a\nb\"", "Invalid control character at: line 1 column 3 (char 2)"),
        ("\"\\x\"", "Invalid \\escape: line 1 column 2 (char 1)"),
        ("\"\\u12\"", "Invalid \\uXXXX escape: line 1 column 3 (char 2)"),
        ("\"\\u12g4\"", "Invalid \\uXXXX escape: line 1 column 3 (char 2)"),
        ("\"\\", "Unterminated string starting at: line 1 column 1 (char 0)"),
        ("nul", "Expecting value: line 1 column 1 (char 0)"),
        ("nan", "Expecting value: line 1 column 1 (char 0)"),
        ("-", "Expecting value: line 1 column 1 (char 0)"),
        ("-x", "Expecting value: line 1 column 1 (char 0)"),
        ("1.", "Extra data: line 1 column 2 (char 1)"),
        ("01", "Extra data: line 1 column 2 (char 1)"),
        ("1 2", "Extra data: line 1 column 3 (char 2)"),
        ("  {\"a\": tru}", "Expecting value: line 1 column 9 (char 8)"),
        ("{\"a\":\n  [1,\n  x]}", "Expecting value: line 3 column 3 (char 14)"),
        ("\u{feff}{}", "Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)"),
        ("[1}", "Expecting ',' delimiter: line 1 column 3 (char 2)"),
        ("{\"a\":1]", "Expecting ',' delimiter: line 1 column 7 (char 6)"),
        ("\"\\u", "Invalid \\uXXXX escape: line 1 column 3 (char 2)"),
        ("{\"\t\":1}", "Invalid control character at: line 1 column 3 (char 2)"),
        ("{\"ä\":\"ö\",x", "Expecting property name enclosed in double quotes: line 1 column 10 (char 9)"),
        ("{\n\"a\":1,\n\n  b:2}", "Expecting property name enclosed in double quotes: line 4 column 3 (char 12)"),
        ("[1.5e]", "Expecting ',' delimiter: line 1 column 5 (char 4)"),
        ("+1", "Expecting value: line 1 column 1 (char 0)"),
        ("[\u{b}1]", "Expecting value: line 1 column 2 (char 1)"),
        ("{\"a\":\"b}", "Unterminated string starting at: line 1 column 6 (char 5)"),
        ("{,}", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[,]", "Expecting value: line 1 column 2 (char 1)"),
        ("{\"a\":1 \"b\":2}", "Expecting ',' delimiter: line 1 column 8 (char 7)"),
        ("// c\n{}", "Expecting value: line 1 column 1 (char 0)"),
    ];

    #[test]
    fn broken_texts_get_the_words_of_python() {
        for (text, problem) in REFUSED {
            let error = parse_json(text).unwrap_err();
            assert_eq!((error.class, error.text.as_str()), (ExceptionClass::JsonDecode, problem), "{text:?}");
        }
    }

    #[test]
    fn what_only_python_takes_is_taken() {
        for (text, value) in [
            ("NaN", json!(null)),
            ("-Infinity", json!(null)),
            ("-0", json!(0)),
            ("1E+2", json!(100.0)),
            (r#""\ud83d\ude00 \ud800x""#, json!("😀 \u{fffd}x")),
            (r#" {"a": 1, "b": 2, "a": 3} "#, json!({"a": 3, "b": 2})),
        ] {
            assert_eq!(parse_json(text).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn nesting_beyond_the_limit_is_the_recursion_error_of_python() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse_json(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(
            parse_json(&nested(MAX_DEPTH + 1)).unwrap_err().to_string(),
            "RecursionError: maximum recursion depth exceeded while decoding a JSON array from a unicode string"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics_and_valid_json_is_read_as_serde_reads_it(text in r#"[\[\]{}",:\\u0-9a-fE.+\- \n]{0,40}"#) {
            let ours = parse_json(&text);
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                prop_assert!(ours.is_ok() || value.is_null(), "{ours:?}");
            }
        }
    }
}
