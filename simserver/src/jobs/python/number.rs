//! Python's `int(...)` of a text.

/// The number that `int(text)` gives; `None` where Python raises `ValueError`. Beyond 64 bits only the sign and a
/// saturated magnitude are kept, which no caller can tell from the number: all compare it with small limits.
#[must_use]
pub fn python_int(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let mut number: i64 = 0;
    let mut after_digit = false;
    for character in digits.chars() {
        match character.to_digit(10) {
            Some(digit) => {
                number = number.saturating_mul(10).saturating_add(i64::from(digit));
                after_digit = true;
            }
            None if character == '_' && after_digit => after_digit = false,
            None => return None,
        }
    }
    after_digit.then_some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::python_int;

    #[test]
    fn texts_are_converted_as_python_converts_them() {
        for (text, number) in [("7", 7), (" -3\n", -3), ("+1_000", 1000), ("007", 7)] {
            assert_eq!(python_int(text), Some(number), "{text:?}");
        }
        for text in ["", "abc", "1__0", "_1", "1_", "1.0", "-", "0x1"] {
            assert_eq!(python_int(text), None, "{text:?}");
        }
    }
}
