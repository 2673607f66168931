//! What the commands that configure logs take: levels, and the built-in modes.

/// Why anything else is refused. Both commands name the same one.
pub(super) const REFUSAL: &str = "configure_site_log only supports log levels and built-in log modes";

const LEVELS: [&str; 8] = ["CRITICAL", "FATAL", "ERROR", "WARN", "WARNING", "INFO", "DEBUG", "NOTSET"];
const MODES: [&str; 5] = ["full", "concise", "msg_only", "verbose", "reload"];

/// The highest level that can be given as a number.
const MAX_LEVEL: u32 = 50;

/// True for a level by name (in any case) or number, and for a mode.
pub(super) fn is_log_config(text: &str) -> bool {
    let is_number = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u32>().is_ok_and(|level| level <= MAX_LEVEL);
    is_number || LEVELS.contains(&text.to_ascii_uppercase().as_str()) || MODES.contains(&text)
}

#[cfg(test)]
mod tests {
    use super::is_log_config;

    #[test]
    fn levels_and_modes_are_taken_and_nothing_else() {
        for text in ["INFO", "debug", "Warning", "0", "50", "007", "full", "reload"] {
            assert!(is_log_config(text), "{text}");
        }
        for text in ["", "51", "-1", "1.5", "FULL", "bogus", "{}", "INFO "] {
            assert!(!is_log_config(text), "{text}");
        }
    }
}
