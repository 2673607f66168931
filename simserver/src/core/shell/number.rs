//! Numbers in the arguments of `head` and `tail`.

/// Why a text is no number of lines or bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberError {
    /// Not a number.
    Invalid,
    /// Does not fit into 64 bits.
    TooLarge,
}

/// The number in `text`: blanks may precede it, and a plus sign. Multipliers such as `k` cannot come this far,
/// since the server takes plain integers only.
pub(super) fn parse(text: &str) -> Result<u64, NumberError> {
    let digits = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NumberError::Invalid);
    }
    digits.parse().map_err(|_| NumberError::TooLarge)
}

/// The complaint of `program` about `text` as a number of `unit`.
pub(super) fn complaint(program: &str, unit: &str, text: &str, error: NumberError) -> Vec<u8> {
    let cause = match error {
        NumberError::Invalid => "",
        NumberError::TooLarge => ": Value too large for defined data type",
    };
    format!("{program}: invalid number of {unit}: {}{cause}\n", quoted(text)).into_bytes()
}

/// As the programs quote a text in a message.
fn quoted(text: &str) -> String {
    let mut out = String::from('‘');
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\\' => out.push_str("\\\\"),
            other => out.push(other),
        }
    }
    out.push('’');
    out
}
