//! Writing command lines that the server splits into the words we mean.

use std::fmt;

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line(String);

impl Line {
    /// A line that begins with the command's name.
    pub(crate) fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// A line that a user wrote.
    pub(crate) fn raw(line: impl Into<String>) -> Self {
        Self(line.into())
    }

    /// Adds one word.
    pub(crate) fn word(mut self, word: &str) -> Self {
        self.0.push(' ');
        if needs_quotes(word) {
            self.0.push('"');
            for character in word.chars() {
                if matches!(character, '"' | '\\') {
                    self.0.push('\\');
                }
                self.0.push(character);
            }
            self.0.push('"');
        } else {
            self.0.push_str(word);
        }
        self
    }

    /// Adds some words.
    pub(crate) fn words<I>(self, words: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        words.into_iter().fold(self, |line, word| line.word(word.as_ref()))
    }

    /// The text to send.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The command's name: the only part that may appear in messages.
    pub(crate) fn name(&self) -> &str {
        self.0.trim_start().split(char::is_whitespace).next().unwrap_or_default()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The official client quotes words with white space, `"` or `\`. That is not enough: an empty word vanishes, a single
/// `'` makes the server fall back to splitting at every blank when another word is quoted, and `#` cuts an unquoted
/// line short (`reference/client-api.md` section 3).
fn needs_quotes(word: &str) -> bool {
    word.is_empty() || word.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\\' | '\'' | '#'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flare_wire::hci::split_line;
    use proptest::prelude::*;

    #[test]
    fn words_are_quoted_as_the_official_client_does() {
        let line = Line::new("list_jobs").words(["-n", "a b\"c\\d"]);
        assert_eq!(line.as_str(), r#"list_jobs -n "a b\"c\\d""#);
        assert_eq!(line.name(), "list_jobs");
    }

    #[test]
    fn words_that_would_be_lost_are_quoted_too() {
        assert_eq!(Line::new("grep").words(["", "it's", "a#b"]).as_str(), r#"grep "" "it's" "a#b""#);
    }

    proptest! {
        #[test]
        fn the_server_splits_a_line_into_the_words_it_was_made_of(words in prop::collection::vec(".*", 0..5)) {
            let line = Line::new("grep").words(&words);
            let split = split_line(line.as_str()).words;
            prop_assert_eq!(&split[0], "grep");
            prop_assert_eq!(&split[1..], &words[..]);
        }
    }
}
