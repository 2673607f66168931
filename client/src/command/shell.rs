//! Shell commands on the server or a site: each runs a program there and gives what it printed.

use flare_wire::hci::Reply;

use super::{Command, Line, all_text};
use crate::Error;
use crate::model::{FileName, FolderPath, ShellOptions, Target};

/// `pwd`.
#[derive(Debug)]
pub(crate) struct PrintDirectory<'a>(pub(crate) &'a Target);

impl Command for PrintDirectory<'_> {
    type Output = String;
    const REPEATABLE: bool = true;
    const STREAMED: bool = true;

    fn line(&self) -> Line {
        Line::new("pwd").word(self.0.word())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        Ok(all_text(reply))
    }
}

/// `ls`.
#[derive(Debug)]
pub(crate) struct List<'a> {
    pub(crate) target: &'a Target,
    pub(crate) options: &'a ShellOptions,
    pub(crate) path: Option<&'a FolderPath>,
}

impl Command for List<'_> {
    type Output = String;
    const REPEATABLE: bool = true;
    const STREAMED: bool = true;

    fn line(&self) -> Line {
        Line::new("ls").word(self.target.word()).words(self.options.words()).words(self.path)
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        Ok(all_text(reply))
    }
}

/// Which program reads a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadCommand {
    Cat,
    Head,
    Tail,
}

/// `cat`, `head` and `tail`.
#[derive(Debug)]
pub(crate) struct Read<'a> {
    pub(crate) command: ReadCommand,
    pub(crate) target: &'a Target,
    pub(crate) options: &'a ShellOptions,
    pub(crate) file: &'a FileName,
}

impl Command for Read<'_> {
    type Output = String;
    const REPEATABLE: bool = true;
    const STREAMED: bool = true;

    fn line(&self) -> Line {
        let name = match self.command {
            ReadCommand::Cat => "cat",
            ReadCommand::Head => "head",
            ReadCommand::Tail => "tail",
        };
        Line::new(name).word(self.target.word()).words(self.options.words()).word(self.file.as_str())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        Ok(all_text(reply))
    }
}

/// `grep`.
#[derive(Debug)]
pub(crate) struct Grep<'a> {
    target: &'a Target,
    options: &'a ShellOptions,
    pattern: &'a str,
    file: &'a FileName,
}

impl<'a> Grep<'a> {
    /// A server of 2.9 joins the words again and splits the line a second time before it runs the program, so not every
    /// pattern gets there: it takes a hyphen at the beginning for an option, also behind `--`, and quotes a word with
    /// `'` only when something else in the word asks for it (seen on a real server; `replies/grep.pattern_dash.json`).
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) when the pattern is empty or one of those.
    pub(crate) fn new(
        target: &'a Target,
        options: &'a ShellOptions,
        pattern: &'a str,
        file: &'a FileName,
    ) -> Result<Self, Error> {
        if pattern.is_empty() {
            return Err(Error::argument("the pattern is empty"));
        }
        if pattern.starts_with('-') {
            return Err(Error::argument(format!(
                "pattern {pattern:?} begins with a hyphen, which the server takes for an option; write [-] instead"
            )));
        }
        let quoted_by_the_server = pattern.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\\'));
        if pattern.contains('\'') && !quoted_by_the_server {
            return Err(Error::argument(format!(
                "pattern {pattern:?} holds a single quote that the server would stumble over; write . instead"
            )));
        }
        Ok(Self { target, options, pattern, file })
    }
}

impl Command for Grep<'_> {
    type Output = String;
    const REPEATABLE: bool = true;
    const STREAMED: bool = true;

    fn line(&self) -> Line {
        Line::new("grep")
            .word(self.target.word())
            .words(self.options.words())
            .word(self.pattern)
            .word(self.file.as_str())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        Ok(all_text(reply))
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{read, read_any};
    use super::*;
    use crate::ErrorKind;

    static NONE: ShellOptions = ShellOptions::none();

    fn options(text: &str) -> ShellOptions {
        ShellOptions::new(text).unwrap()
    }

    fn file(name: &str) -> FileName {
        FileName::new(name).unwrap()
    }

    #[test]
    fn lines_hold_every_option_as_a_word() {
        let path = FolderPath::new("local").unwrap();
        let list = List { target: &Target::Server, options: &options("-l -a"), path: Some(&path) };
        insta::assert_snapshot!(list.line(), @"ls server -l -a local");
        let head = Read {
            command: ReadCommand::Head,
            target: &Target::Server,
            options: &options("-n 2"),
            file: &file("log.txt"),
        };
        insta::assert_snapshot!(head.line(), @"head server -n 2 log.txt");
        let site = Target::site("site-1").unwrap();
        let log = file("log.txt");
        let grep = Grep::new(&site, &NONE, "it's #1 of \"two\"", &log).unwrap();
        insta::assert_snapshot!(grep.line(), @r#"grep site-1 "it's #1 of \"two\"" log.txt"#);
    }

    #[test]
    fn patterns_the_server_cannot_take_are_refused_here() {
        for bad in ["", "-e", "it's"] {
            let error = Grep::new(&Target::Server, &NONE, bad, &file("a.log")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        }
    }

    #[test]
    fn recorded_output_is_given_as_it_came() {
        assert_eq!(
            read(&PrintDirectory(&Target::Server), "pwd.server").unwrap(),
            "<POC>/example_project/prod_00/server\n"
        );
        let cat = Read { command: ReadCommand::Cat, target: &Target::Server, options: &NONE, file: &file("nope.txt") };
        assert_eq!(read(&cat, "cat.missing").unwrap(), "cat: nope.txt: No such file or directory\n");
        let list = List { target: &Target::Server, options: &NONE, path: None };
        assert!(read(&list, "ls.server").unwrap().contains("startup"));
        let head = Read {
            command: ReadCommand::Head,
            target: &Target::Server,
            options: &options("-n -3"),
            file: &file("audit.log"),
        };
        assert!(!read(&head, "head.neg").unwrap().is_empty());
    }

    #[test]
    fn refusals_are_told_apart() {
        let list = List { target: &Target::Server, options: &NONE, path: None };
        let error = |name: &str| read_any(&list, name).unwrap_err();
        assert_eq!(error("ls.unknown").kind(), ErrorKind::InvalidTarget);
        assert_eq!(error("ls.bad_opt").kind(), ErrorKind::Refused);
        assert_eq!(error("pwd.server.member").kind(), ErrorKind::NotAuthorized);
        assert_eq!(error("dead_client.pwd").kind(), ErrorKind::ServerFault);
        insta::assert_snapshot!(error("dead_client.pwd"), @"the server failed: client timeout");
    }
}
