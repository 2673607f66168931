//! `pwd`, `ls`, `cat`, `head`, `tail`, `grep`.
//!
//! Source: `reference/server-behaviour.md` section 7.

use flare_wire::hci::{MetaStatus, join_args};
use serde_json::Value;

use super::arguments;
use super::call::{ADMIN_TIMEOUT, Call, Step, Stop};
use super::ids;
use crate::core::argparse::{Count, Parser};
use crate::core::shell::{self, Place};
use crate::core::{Release, SiteReply, SiteRequest};
use crate::mutants::Mutant;

/// Files that commands other than `ls` may show, by their ends.
const TEXT_FILES: [&str; 7] = [".txt", ".log", ".json", ".csv", ".sh", ".config", ".py"];

/// What a shell command takes.
#[derive(Debug)]
pub(super) struct Program {
    /// Reads the words after the target; `None` when there must not be any.
    parser: Option<&'static Parser>,
    /// Reads the words on a site.
    site_parser: &'static Parser,
    /// Only files that hold text by their names, and only one.
    one_text_file: bool,
}

const fn of_one_file(parser: &'static Parser) -> Program {
    Program { parser: Some(parser), site_parser: parser, one_text_file: true }
}

pub(super) const PWD: Program = Program { parser: None, site_parser: &arguments::PWD, one_text_file: false };
pub(super) const LS: Program =
    Program { parser: Some(&arguments::LS), site_parser: &arguments::LS, one_text_file: false };
pub(super) const CAT: Program = of_one_file(&arguments::CAT);
pub(super) const HEAD: Program = of_one_file(&arguments::HEAD);
pub(super) const TAIL: Program = of_one_file(&arguments::TAIL);
pub(super) const GREP: Program = of_one_file(&arguments::GREP);

/// A shell command whose arguments were checked.
#[derive(Debug, Clone)]
pub(super) struct ShellCommand {
    /// `server`, or the name or token of a site.
    target: String,
    /// The line that the target splits again.
    line: String,
    site_parser: &'static Parser,
}

/// The refusal of a path with `..` in it.
const LEAVES_WORKSPACE: &str = ".. in path name is not allowed";

impl Call<'_> {
    /// Checks the arguments; true when the command is for the server.
    pub(super) fn shell_arguments(&mut self, program: &'static Program) -> Step<bool> {
        let Some((target, words)) = self.arguments().split_first() else {
            return self.refuse(&MetaStatus::Error, "syntax error: missing target");
        };
        let name = self.command.name;
        let line = if self.sim.release() < Release::V2_8 {
            joined_before_2_8(name, words).map_err(Stop::Exception)?
        } else {
            join_args(std::iter::once(name).chain(words.iter().map(String::as_str)))
        };
        let leaves = self.sim.mutant(Mutant::PathLeavesWorkspace);
        if let Err(problem) = program.accept(words)
            && !(leaves && problem == LEAVES_WORKSPACE)
        {
            return self.refuse(&MetaStatus::Error, &problem);
        }
        let target = target.clone();
        let for_server = target == "server";
        self.shell = Some(ShellCommand { target, line, site_parser: program.site_parser });
        Ok(for_server)
    }
}

/// The line as it was joined before 2.8: in quotes where there is a blank, and nothing is escaped.
fn joined_before_2_8(name: &str, words: &[String]) -> Result<String, String> {
    let mut line = name.to_owned();
    for word in words {
        let mut parts = word.split_whitespace();
        line.push(' ');
        match (parts.next(), parts.next()) {
            (None, _) => return Err("IndexError: list index out of range".to_owned()),
            (Some(only), None) => line.push_str(only),
            _ => line.push_str(&format!("\"{word}\"")),
        }
    }
    Ok(line)
}

impl Program {
    fn accept(&self, words: &[String]) -> Result<(), String> {
        let Some(parser) = self.parser else {
            return if words.is_empty() { Ok(()) } else { Err("this command does not accept extra args".to_owned()) };
        };
        let parsed = parser.parse(words).map_err(|error| error.to_string())?;
        let is_file = |(name, _): &&(&str, Count)| *name == "file";
        let files = parser.positionals.iter().find(is_file).map_or(&[][..], |(name, _)| parsed.positional(name));
        if self.one_text_file && files.len() != 1 {
            return Err("only one file is allowed".to_owned());
        }
        // An empty name counts for `ls` as none.
        files.iter().filter(|file| self.one_text_file || !file.is_empty()).try_for_each(|file| self.accept_file(file))
    }

    fn accept_file(&self, file: &str) -> Result<(), String> {
        // The real check takes a line end at the end for the end.
        let allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_' | '/');
        if !file.strip_suffix('\n').unwrap_or(file).chars().all(allowed) {
            return Err(format!("unsupported file {file}"));
        }
        if file.starts_with('/') {
            return Err("absolute path is not allowed".to_owned());
        }
        if file.split('/').any(|part| part == "..") {
            return Err(LEAVES_WORKSPACE.to_owned());
        }
        if self.one_text_file && !TEXT_FILES.contains(&extension(file)) {
            return Err(format!(
                "this command cannot be applied to file {file}. Only files with the following extensions are \
                 permitted: {}",
                TEXT_FILES.join(", ")
            ));
        }
        Ok(())
    }
}

/// The end of a file name from its last dot on; a number behind a further dot does not count.
fn extension(file: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|character| character.is_ascii_digit());
    let file = match file.rsplit_once('.') {
        Some((front, last)) if is_number(last) => front,
        _ => file,
    };
    let name = file.rsplit('/').next().unwrap_or(file);
    let leading_dots = name.len() - name.trim_start_matches('.').len();
    name[leading_dots..].rfind('.').map_or("", |at| &name[leading_dots + at..])
}

/// Runs the command on its target.
pub(super) fn run(call: &mut Call<'_>) -> Step {
    let Some(mut command) = call.shell.clone() else { return Err(Stop::Done) };
    if call.sim.mutant(Mutant::TailIsHead) && command.line.starts_with("tail") {
        command.line.replace_range(..4, "head");
    }
    if call.sim.mutant(Mutant::GrepIgnoresCase) && command.line.starts_with("grep") {
        command.line.insert_str(4, " -i");
    }
    if command.target == "server" {
        let place = Place { files: call.sim.files(), clock: call.sim.clock(), now: call.now };
        let text = shell::execute(&command.line, place, |_| None)?.map_err(|failure| Stop::Exception(failure.0))?;
        call.reply.push_string(text);
        return Ok(());
    }
    let Some(site) = call.sim.sites().find(&command.target) else {
        if ids::is_admin_client(&command.target) {
            return no_reply(call);
        }
        return call.refuse(&MetaStatus::InvalidTarget, &format!("invalid target: {}", command.target));
    };
    let request = SiteRequest::Shell { line: &command.line, parser: command.site_parser };
    match call.ask(site, request, ADMIN_TIMEOUT)?.and_then(|answer| answer.reply) {
        None => no_reply(call),
        Some(SiteReply::Refused(text) | SiteReply::Body(Value::String(text))) => {
            call.reply.push_string(text);
            Ok(())
        }
        // A site answers a shell command with a text.
        Some(SiteReply::Body(_)) => Err(Stop::Done),
    }
}

fn no_reply(call: &mut Call<'_>) -> Step {
    call.refuse_with("no reply from client - timed out", &MetaStatus::InternalError, "client timeout")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_is_that_of_python_without_a_number_behind() {
        for (file, expected) in [
            ("log.txt", ".txt"),
            ("log.txt.1", ".txt"),
            ("a.txt.1.2", ".1"),
            ("a/b.d/c", ""),
            (".txt", ""),
            ("..log", ""),
            (".a.log", ".log"),
            ("a.", "."),
            ("5", ""),
            ("x.json.7", ".json"),
        ] {
            assert_eq!(extension(file), expected, "{file}");
        }
    }
}
