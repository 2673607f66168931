//! What a Python process makes of the bytes that a program printed.

use std::fmt;

/// The bytes are not UTF-8. Shown as the `UnicodeDecodeError` that Python raises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotText {
    at: usize,
    bad: Vec<u8>,
    reason: &'static str,
}

impl fmt::Display for NotText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'utf-8' codec can't decode ")?;
        match self.bad.as_slice() {
            [byte] => write!(f, "byte 0x{byte:02x} in position {}", self.at)?,
            bytes => write!(f, "bytes in position {}-{}", self.at, self.at + bytes.len() - 1)?,
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for NotText {}

/// The text of `bytes`, with every line end turned into a newline.
///
/// # Errors
/// [`NotText`].
pub(super) fn text(bytes: Vec<u8>) -> Result<String, NotText> {
    let text = String::from_utf8(bytes).map_err(|error| not_text(error.as_bytes(), error.utf8_error()))?;
    Ok(if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text })
}

fn not_text(bytes: &[u8], error: std::str::Utf8Error) -> NotText {
    let at = error.valid_up_to();
    let rest = bytes.get(at..).unwrap_or_default();
    let first = rest.first().copied().unwrap_or_default();
    let (len, reason) = match error.error_len() {
        None => (rest.len(), "unexpected end of data"),
        Some(len) if matches!(first, 0xc2..=0xf4) => (len, "invalid continuation byte"),
        Some(_) => (1, "invalid start byte"),
    };
    NotText { at, bad: rest.iter().take(len).copied().collect(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_become_newlines() {
        assert_eq!(text(b"a\r\nb\rc\n".to_vec()).unwrap(), "a\nb\nc\n");
    }

    #[test]
    fn broken_text_is_described_as_python_does() {
        // What Python 3.11 says about each of these.
        for (bytes, message) in [
            (&b"a\xffb"[..], "'utf-8' codec can't decode byte 0xff in position 1: invalid start byte"),
            (b"a\x80", "'utf-8' codec can't decode byte 0x80 in position 1: invalid start byte"),
            (b"\xc3", "'utf-8' codec can't decode byte 0xc3 in position 0: unexpected end of data"),
            (b"\xe2\x82", "'utf-8' codec can't decode bytes in position 0-1: unexpected end of data"),
            (b"\xe2\x82a", "'utf-8' codec can't decode bytes in position 0-1: invalid continuation byte"),
            (b"\xe2a", "'utf-8' codec can't decode byte 0xe2 in position 0: invalid continuation byte"),
            (b"\xc0\x80", "'utf-8' codec can't decode byte 0xc0 in position 0: invalid start byte"),
            (b"\xed\xa0\x80", "'utf-8' codec can't decode byte 0xed in position 0: invalid continuation byte"),
            (b"\xf0\x9f\x98", "'utf-8' codec can't decode bytes in position 0-2: unexpected end of data"),
        ] {
            assert_eq!(text(bytes.to_vec()).unwrap_err().to_string(), message);
        }
    }
}
