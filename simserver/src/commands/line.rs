//! Words of a command line.

use flare_wire::hci::posix_words;

use crate::release::Release;

/// Splits a line as the server does: into shell words when there is a quote in it, else at every run of blanks. A
/// blank at either end leaves an empty word there, and so does a line whose quotes are not closed; `#` means nothing.
///
/// # Errors
/// Before 2.8 only `"` counts as a quote, and one that is not closed is an exception, whose text this is.
pub(super) fn words(line: &str, release: Release) -> Result<Vec<String>, String> {
    if release < Release::V2_8 && line.contains('"') {
        return posix_words(line).ok_or_else(|| format!("ValueError: {}", unfinished(line)));
    }
    if release >= Release::V2_8
        && line.contains(['"', '\''])
        && let Some(words) = posix_words(line)
        && !words.is_empty()
    {
        return Ok(words);
    }
    Ok(blank_separated(line))
}

/// What Python says of a line that ends too early.
fn unfinished(line: &str) -> &'static str {
    // A quote ends with its like, unless an escape at the end takes that.
    let is_open = |quote: char| posix_words(&format!("{line}{quote}")).is_some();
    let is_escape = posix_words(&format!("{line}x")).is_some() || !(is_open('"') || is_open('\''));
    if is_escape { "No escaped character" } else { "No closing quotation" }
}

fn blank_separated(line: &str) -> Vec<String> {
    let mut words: Vec<String> = line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if line.starts_with(' ') || words.is_empty() {
        words.insert(0, String::new());
    }
    if line.ends_with(' ') {
        words.push(String::new());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::{Release, words};

    /// Each line was sent to a real server, or split by its `split_to_args`.
    #[test]
    fn lines_are_split_as_by_the_server() {
        for (line, expected) in [
            ("", &[""][..]),
            (" ", &["", ""]),
            ("   ", &["", ""]),
            ("pwd server", &["pwd", "server"]),
            ("pwd server ", &["pwd", "server", ""]),
            (" pwd server", &["", "pwd", "server"]),
            ("  check_status   server  ", &["", "check_status", "server", ""]),
            ("pwd server # x", &["pwd", "server", "#", "x"]),
            ("a\tb c", &["a\tb", "c"]),
            ("grep server \"a b\" x.txt ", &["grep", "server", "a b", "x.txt"]),
            ("grep server it's x.txt", &["grep", "server", "it's", "x.txt"]),
            (" it's", &["", "it's"]),
            ("''", &[""]),
        ] {
            assert_eq!(words(line, Release::V2_9).unwrap(), expected, "{line:?}");
        }
    }

    /// The same, of a real 2.7.3 server.
    #[test]
    fn before_2_8_single_quotes_mean_nothing_and_open_ones_are_an_exception() {
        for (line, expected) in [
            ("cat server 'a b'", Ok(&["cat", "server", "'a", "b'"][..])),
            ("cat server \"a b\"", Ok(&["cat", "server", "a b"])),
            ("cat \"a' b\" 'c d'", Ok(&["cat", "a' b", "c d"])),
            ("list_jobs \"a", Err("ValueError: No closing quotation")),
            ("list_jobs \"a\" \\", Err("ValueError: No escaped character")),
            ("list_jobs \"a\\", Err("ValueError: No escaped character")),
            ("list_jobs \"a\" 'b\\", Err("ValueError: No closing quotation")),
        ] {
            let found = words(line, Release::V2_7);
            assert_eq!(
                found.as_deref().map_err(String::as_str),
                expected
                    .map(|words| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
                    .as_deref()
                    .map_err(|text| *text),
                "{line:?}"
            );
        }
    }
}
