//! Words of a command line.

use flare_wire::hci::posix_words;

/// Splits a line as the server does: into shell words when there is a quote in it, else at every run of blanks. A
/// blank at either end leaves an empty word there, and so does a line whose quotes are not closed; `#` means nothing.
pub(super) fn words(line: &str) -> Vec<String> {
    if line.contains(['"', '\''])
        && let Some(words) = posix_words(line)
        && !words.is_empty()
    {
        return words;
    }
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
    use super::words;

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
            assert_eq!(words(line), expected, "{line:?}");
        }
    }
}
