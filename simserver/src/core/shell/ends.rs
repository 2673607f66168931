//! `head` and `tail` with `-n` and `-c`.

use super::number;
use super::options::Options;
use super::{IS_A_DIRECTORY, ReadFailure, content};
use crate::core::VirtualFiles;

const DEFAULT_LINES: u64 = 10;

/// Which end of a file, counted from which side.
#[derive(Debug, Clone, Copy)]
enum Side {
    /// The first ones.
    First,
    /// All but the last ones.
    AllButLast,
    /// The last ones.
    Last,
    /// From this one on, counted from one.
    From,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    bytes: bool,
    side: Side,
    count: u64,
}

pub(super) fn head(arguments: &[String], files: &VirtualFiles) -> Vec<u8> {
    run("head", Side::First, arguments, files, |text| match text.strip_prefix('-') {
        Some(rest) => (Side::AllButLast, rest),
        None => (Side::First, text),
    })
}

pub(super) fn tail(arguments: &[String], files: &VirtualFiles) -> Vec<u8> {
    run("tail", Side::Last, arguments, files, |text| {
        if text.starts_with('+') { (Side::From, text) } else { (Side::Last, text.strip_prefix('-').unwrap_or(text)) }
    })
}

fn run(
    program: &str,
    default: Side,
    arguments: &[String],
    files: &VirtualFiles,
    sign: impl Fn(&str) -> (Side, &str),
) -> Vec<u8> {
    let options = match Options::parse(arguments, "", "nc") {
        Ok(options) => options,
        Err(invalid) => return invalid.complaint(program, ""),
    };
    let mut part = Part { bytes: false, side: default, count: DEFAULT_LINES };
    for (letter, value) in &options.given {
        let bytes = *letter == 'c';
        let (side, text) = sign(value.as_deref().unwrap_or_default());
        match number::parse(text) {
            Ok(count) => part = Part { bytes, side, count },
            Err(error) => {
                return number::complaint(program, if bytes { "bytes" } else { "lines" }, text, error);
            }
        }
    }
    if part.opens_nothing() {
        return Vec::new();
    }
    let mut out = Vec::new();
    for operand in &options.operands {
        match content(files, operand) {
            Ok(bytes) => out.extend_from_slice(part.of(bytes)),
            Err(ReadFailure::Open(error)) => {
                out.extend(format!("{program}: cannot open '{operand}' for reading: {error}\n").into_bytes());
            }
            Err(ReadFailure::Directory) if part.reads_nothing() => {}
            Err(ReadFailure::Directory) => {
                out.extend(format!("{program}: error reading '{operand}': {IS_A_DIRECTORY}\n").into_bytes());
            }
        }
    }
    out
}

impl Part {
    /// Nothing is read for the first or last none.
    const fn reads_nothing(self) -> bool {
        self.count == 0 && matches!(self.side, Side::First | Side::Last)
    }

    /// For the last none of them, files are not even looked for (GNU `tail`).
    const fn opens_nothing(self) -> bool {
        self.count == 0 && matches!(self.side, Side::Last)
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        let at = |position: usize| if self.bytes { position.min(bytes.len()) } else { line_start(bytes, position) };
        let from_end = || {
            let all = if self.bytes { bytes.len() } else { bytes.split_inclusive(|byte| *byte == b'\n').count() };
            at(all.saturating_sub(count))
        };
        match self.side {
            Side::First => &bytes[..at(count)],
            Side::AllButLast => &bytes[..from_end()],
            Side::Last => &bytes[from_end()..],
            Side::From => &bytes[at(count.saturating_sub(1))..],
        }
    }
}

/// Where line `number`, counted from zero, starts; the end when there are fewer.
fn line_start(bytes: &[u8], number: usize) -> usize {
    bytes.split_inclusive(|byte| *byte == b'\n').take(number).map(<[u8]>::len).sum()
}
