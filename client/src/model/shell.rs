//! Arguments of the shell commands (`ls`, `cat`, `head`, `tail`, `grep`).
//!
//! The rules are those of the official client (`reference/client-api.md` section 6), which the server repeats.

use std::fmt;
use std::str::FromStr;

use super::name::checked_text;
use crate::Error;

/// What the server lets these commands read.
const EXTENSIONS: [&str; 7] = ["txt", "log", "json", "csv", "sh", "config", "py"];

/// Options of a shell command, such as `-l -t` or `-n 20`: letters, digits, hyphens and spaces.
///
/// Each option is sent as a word of its own. The official client sends the whole text as one word, so that two
/// options at once fail there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ShellOptions(Vec<String>);

impl ShellOptions {
    /// No options.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Splits `text` at its spaces.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for other characters, or a word that would be taken
    /// for a file because it neither is an option nor belongs to one.
    pub fn new(text: &str) -> Result<Self, Error> {
        if !text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-')) {
            return Err(Error::argument(format!("options {text:?} must be letters, digits, hyphens and spaces")));
        }
        let words: Vec<String> = text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        if words.first().is_some_and(|word| !word.starts_with('-')) {
            return Err(Error::argument(format!("options {text:?} must begin with a hyphen")));
        }
        Ok(Self(words))
    }

    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for ShellOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl FromStr for ShellOptions {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text)
    }
}

checked_text! {
    /// A path below the root of a target's workspace: letters, digits, `-`, `.`, `_` and `/`; neither absolute nor
    /// with a `..` in it.
    FolderPath, check_path
}

checked_text! {
    /// A [`FolderPath`] to a file that the server lets people read: `.txt`, `.log`, `.json`, `.csv`, `.sh`, `.config`
    /// or `.py`, also with a number behind (`log.txt.1`).
    FileName, check_file
}

impl FileName {
    /// The log of a server or site.
    pub(crate) fn log() -> Self {
        Self("log.txt".to_owned())
    }
}

fn check_path(text: &str) -> Result<(), Error> {
    let refuse = |why: &str| Err(Error::argument(format!("path {text:?} {why}")));
    if text.is_empty() {
        return refuse("is empty");
    }
    if !text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/')) {
        return refuse("must be letters, digits, hyphens, dots, underscores and slashes");
    }
    if text.starts_with('/') {
        return refuse("must not be absolute");
    }
    if text.starts_with('-') {
        return refuse("must not look like an option");
    }
    if text.split('/').any(|part| part == "..") {
        return refuse("must not contain '..'");
    }
    Ok(())
}

fn check_file(text: &str) -> Result<(), Error> {
    check_path(text)?;
    let mut suffixes = text.rsplit('/').next().unwrap_or(text).rsplit('.');
    let is_number = |suffix: &str| !suffix.is_empty() && suffix.bytes().all(|b| b.is_ascii_digit());
    let extension = suffixes.next().filter(|suffix| !is_number(suffix)).or_else(|| suffixes.next());
    // What is left is the stem: without one there was no extension, only a name.
    if extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) && suffixes.next().is_some() {
        return Ok(());
    }
    Err(Error::argument(format!("file {text:?} must have one of the extensions .{}", EXTENSIONS.join(", ."))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_separate_words() {
        let options = ShellOptions::new(" -l  -t").unwrap();
        assert_eq!(options.words().collect::<Vec<_>>(), ["-l", "-t"]);
        assert_eq!(ShellOptions::new("-n 20").unwrap().words().count(), 2);
        assert_eq!(ShellOptions::new("").unwrap(), ShellOptions::none());
        for bad in ["-l;", "file.txt", "x", "-n \t2"] {
            assert!(ShellOptions::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn paths_stay_below_the_workspace() {
        for good in ["local", "a/b", "./x", "a..b"] {
            assert!(FolderPath::new(good).is_ok(), "{good}");
        }
        for bad in ["", "/etc", "../x", "a/../b", "a b", "*.json", "-l"] {
            assert!(FolderPath::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn files_need_a_permitted_extension() {
        for good in ["log.txt", "log.txt.1", "a/b.json", "start.sh", "x.y.py"] {
            assert!(FileName::new(good).is_ok(), "{good}");
        }
        for bad in ["server.key", "log", "a.pem", "startup.txt/readme", "1", "txt", "a.1.2"] {
            assert!(FileName::new(bad).is_err(), "{bad:?}");
        }
    }
}
