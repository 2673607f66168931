//! Python's `int(text)`.

/// Python refuses to convert longer texts (`sys.set_int_max_str_digits`).
const MAX_DIGITS: usize = 4300;

/// The number that Python's `int` reads from `text`, held to the range of `i64`; ASCII digits only.
pub(crate) fn python_int(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let mut number: i64 = 0;
    let mut count = 0;
    let mut after_digit = false;
    for byte in digits.bytes() {
        match byte {
            b'0'..=b'9' => {
                count += 1;
                number = number.saturating_mul(10).saturating_add(i64::from(byte - b'0'));
                after_digit = true;
            }
            b'_' if after_digit => after_digit = false,
            _ => return None,
        }
    }
    if !after_digit || count > MAX_DIGITS {
        return None;
    }
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::python_int;

    #[test]
    fn integers_are_read_as_python_reads_them() {
        for (text, number) in [("7", 7), (" -3\n", -3), ("+1_000", 1000), ("007", 7), ("-0", 0)] {
            assert_eq!(python_int(text), Some(number), "{text:?}");
        }
        for text in ["", "-", "1k", "1__0", "_1", "1_", "0x1", "1.0", "- 1", "=5"] {
            assert_eq!(python_int(text), None, "{text:?}");
        }
        assert_eq!(python_int("99999999999999999999"), Some(i64::MAX));
        assert_eq!(python_int(&"1".repeat(4301)), None);
    }
}
