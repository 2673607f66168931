//! Python's `argparse`, as far as the server's commands use it.
//!
//! Users see its messages word for word, and which words count as options is its own affair (abbreviated long
//! options, joined short ones, negative numbers, `--`), so its behaviour in Python 3.11 is followed rather than
//! that of a Rust parser. Proved by `tests/core_argparse.rs` against what the real parsers answered.

mod integer;
mod run;

use std::fmt;

pub(crate) use integer::python_int;
use run::Run;

/// How many words a positional argument takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Exactly one.
    One,
    /// One or none (`nargs="?"`).
    Optional,
    /// One or more (`nargs="+"`).
    OneOrMore,
}

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionKind {
    /// Nothing.
    Flag,
    /// A text.
    Text,
    /// An integer.
    Integer,
}

/// What happens after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorStyle {
    /// Parsing goes on and the last error is reported: the validators of the shell commands.
    Last,
    /// The first error is reported, followed by this help text: the parsers of the other commands.
    FirstWithHelp(&'static str),
}

/// One option; every parser of the server gives an option one name only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionSpec {
    /// `-n` or `--submit-token`.
    pub name: &'static str,
    /// What it takes.
    pub kind: OptionKind,
}

impl OptionSpec {
    /// An option that takes nothing.
    #[must_use]
    pub const fn flag(name: &'static str) -> Self {
        Self { name, kind: OptionKind::Flag }
    }

    /// An option that takes a text.
    #[must_use]
    pub const fn text(name: &'static str) -> Self {
        Self { name, kind: OptionKind::Text }
    }

    /// An option that takes an integer.
    #[must_use]
    pub const fn integer(name: &'static str) -> Self {
        Self { name, kind: OptionKind::Integer }
    }
}

/// A parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parser {
    /// The options.
    pub options: &'static [OptionSpec],
    /// The positional arguments, in order, with the names that errors call them.
    pub positionals: &'static [(&'static str, Count)],
    /// What happens after an error.
    pub errors: ErrorStyle,
}

impl Parser {
    /// Parses the words after the command name.
    ///
    /// # Errors
    /// With the text that the real parser gives.
    pub fn parse(&self, words: &[String]) -> Result<Arguments, ArgumentsError> {
        Run::new(self, words).parse()
    }
}

/// Why words were refused: the text for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentsError(pub String);

impl fmt::Display for ArgumentsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ArgumentsError {}

/// What was parsed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    flags: Vec<&'static str>,
    texts: Vec<(&'static str, String)>,
    integers: Vec<(&'static str, i64)>,
    positionals: Vec<(&'static str, Vec<String>)>,
}

impl Arguments {
    /// True when the flag was given.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.flags.contains(&name)
    }

    /// The value of a text option; the last one counts.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().rev().find(|(given, _)| *given == name).map(|(_, text)| text.as_str())
    }

    /// All values of a text option that may be given more than once, in their order.
    pub fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.texts.iter().filter(move |(given, _)| *given == name).map(|(_, text)| text.as_str())
    }

    /// The value of an integer option, held to the range of `i64`; the last one counts.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.integers.iter().rev().find(|(given, _)| *given == name).map(|(_, number)| *number)
    }

    /// The words of a positional argument; none when it was optional and left out.
    #[must_use]
    pub fn positional(&self, name: &str) -> &[String] {
        self.positionals.iter().find(|(given, _)| *given == name).map_or(&[], |(_, words)| words)
    }
}
