//! `grep` with `-n`, `-i`, `-b`.

use std::fmt::Write as _;

use super::expression::{self, CompileError};
use super::options::Options;
use super::{IS_A_DIRECTORY, NotModelled, ReadFailure, content};
use crate::core::VirtualFiles;

const USAGE: &str = "Usage: grep [OPTION]... PATTERNS [FILE]...\n";

/// `grep` decides by its first read whether a file is binary; lines that are not UTF-8 are only left out.
const FIRST_READ: usize = 96 * 1024;

pub(super) fn run(arguments: &[String], files: &VirtualFiles) -> Result<Vec<u8>, NotModelled> {
    // Digits ask for lines of context. They get here as a pattern that looks like a negative number, which leaves
    // no second operand: then the file name is the pattern, and standard input is searched.
    let options = match Options::parse(&checked(arguments)?, "nib0123456789", "") {
        Ok(options) => options,
        Err(invalid) => return Ok(invalid.complaint("grep", USAGE)),
    };
    let Some((pattern, operands)) = options.operands.split_first() else {
        return Ok(format!("{USAGE}Try 'grep --help' for more information.\n").into_bytes());
    };
    let expression = match expression::compile(pattern, options.has('i')) {
        Ok(expression) => expression,
        Err(CompileError::NotModelled(what)) => return Err(NotModelled(what)),
        Err(CompileError::Invalid(complaints)) => {
            let lines: String = complaints.iter().map(|complaint| format!("grep: {complaint}\n")).collect();
            return Ok(lines.into_bytes());
        }
    };
    let mut out = Vec::new();
    for operand in operands {
        match content(files, operand) {
            Ok(bytes) => search(&mut out, &options, &expression, operand, bytes),
            Err(ReadFailure::Open(error)) => out.extend(format!("grep: {operand}: {error}\n").into_bytes()),
            Err(ReadFailure::Directory) => out.extend(format!("grep: {operand}: {IS_A_DIRECTORY}\n").into_bytes()),
        }
    }
    Ok(out)
}

/// Patterns that the real program takes for options, since it is given no `--` in front of them: with a blank in
/// them they pass the parser in front.
fn checked(arguments: &[String]) -> Result<Vec<String>, NotModelled> {
    let before_dashes = arguments.iter().take_while(|word| *word != "--");
    for word in before_dashes {
        let known = |letter: char| matches!(letter, 'n' | 'i' | 'b' | '=') || letter.is_ascii_digit() || letter == '.';
        if word.strip_prefix('-').is_some_and(|letters| !letters.chars().all(known)) {
            return Err(NotModelled("grep with a pattern that it takes for options"));
        }
    }
    Ok(arguments.to_vec())
}

fn search(out: &mut Vec<u8>, options: &Options, expression: &regex::bytes::Regex, name: &str, bytes: &[u8]) {
    let binary = bytes[..bytes.len().min(FIRST_READ)].contains(&0);
    let complaint = || format!("grep: {name}: binary file matches\n").into_bytes();
    let mut hidden = false;
    let mut offset = 0;
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        // In a binary file a zero byte ends a line, too.
        let found = if binary {
            text.split(|byte| *byte == 0).any(|part| expression.is_match(part))
        } else {
            expression.is_match(text)
        };
        if !found {
            offset += line.len();
            continue;
        }
        if binary || text.contains(&0) {
            out.extend(complaint());
            return;
        }
        if std::str::from_utf8(text).is_err() {
            hidden = true;
        } else {
            let mut prefix = String::new();
            if options.has('n') {
                let _ = write!(prefix, "{}:", index + 1);
            }
            if options.has('b') {
                let _ = write!(prefix, "{offset}:");
            }
            out.extend_from_slice(prefix.as_bytes());
            out.extend_from_slice(text);
            out.push(b'\n');
        }
        offset += line.len();
    }
    if hidden {
        out.extend(complaint());
    }
}
