//! The shell commands `pwd`, `ls`, `cat`, `head`, `tail` and `grep`, on a [`VirtualFiles`].
//!
//! A real server or site starts the program itself, without a shell, in its workspace, and sends back what it
//! prints, errors included. So this follows GNU coreutils 9.1 and grep 3.8 in the locale `C.UTF-8`, byte for byte;
//! `tests/core_shell` runs the real programs beside it. Standard input is empty.
//!
//! | module | |
//! |---|---|
//! | `options` | GNU `getopt`: which words are options |
//! | `ls`, `cat`, `ends` (`head` and `tail`), `grep` | the programs |
//! | `expression` | basic regular expressions |
//! | `number`, `output` | numbers as the programs read them; what becomes of the bytes they print |

mod cat;
mod ends;
mod expression;
mod grep;
mod ls;
mod number;
mod options;
mod output;

use std::fmt;

use flare_wire::Moment;
use flare_wire::hci::posix_words;

use super::{LocalTime, VirtualFiles};

/// The command uses something of the real program that is not simulated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotModelled(pub &'static str);

impl fmt::Display for NotModelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotModelled {}

/// Where and when a program runs.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The files below its working directory.
    pub files: &'a VirtualFiles,
    /// Its local time.
    pub clock: LocalTime,
    /// When it runs.
    pub now: Moment,
}

/// Why a command line gave no text: the exception that Python raises, by type and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Runs a command line as the server and sites do: splits it into shell words and starts the program with them.
/// `check` looks at the words before that and can answer in the program's stead.
///
/// # Errors
/// [`NotModelled`] for what the real program would do and this one cannot; inside, the exception that the line or
/// the output gives.
pub fn execute(
    line: &str,
    place: Place<'_>,
    check: impl FnOnce(&[String]) -> Option<String>,
) -> Result<Result<String, Failure>, NotModelled> {
    let Some(words) = posix_words(line) else {
        return Ok(Err(Failure("ValueError: No closing quotation".to_owned())));
    };
    if let Some(answer) = check(&words) {
        return Ok(Ok(answer));
    }
    if line.contains('\0') {
        return Ok(Err(Failure("ValueError: embedded null byte".to_owned())));
    }
    let printed = run(&words, place)?;
    Ok(output::text(printed).map_err(|error| Failure(format!("UnicodeDecodeError: {error}"))))
}

/// Runs a program; `words` are its name and arguments. Returns what it prints.
///
/// # Errors
/// [`NotModelled`] for what the real program would do and this one cannot.
pub fn run(words: &[String], place: Place<'_>) -> Result<Vec<u8>, NotModelled> {
    let Some((program, arguments)) = words.split_first() else { return Err(NotModelled("an empty command")) };
    match program.as_str() {
        "pwd" => Ok(format!("{}\n", place.files.path()).into_bytes()),
        "ls" => ls::run(arguments, place),
        "cat" => Ok(cat::run(arguments, place.files)),
        "head" => Ok(ends::head(arguments, place.files)),
        "tail" => Ok(ends::tail(arguments, place.files)),
        "grep" => grep::run(arguments, place.files),
        _ => Err(NotModelled("another program")),
    }
}

/// The content of `path`, or the text of the error that reading it gives.
fn content<'a>(files: &'a VirtualFiles, path: &str) -> Result<&'a [u8], ReadFailure> {
    match &files.node(path).map_err(|error| ReadFailure::Open(error.to_string()))?.kind {
        super::files::NodeKind::File(bytes) => Ok(bytes),
        super::files::NodeKind::Directory(_) => Err(ReadFailure::Directory),
    }
}

/// Why a file could not be read.
enum ReadFailure {
    /// It cannot be opened; with the text of the system call's error.
    Open(String),
    /// A directory can be opened, but not read.
    Directory,
}

const IS_A_DIRECTORY: &str = "Is a directory";
