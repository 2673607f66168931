//! `cat` with `-n`, `-b`, `-s`, `-T`.

use super::options::Options;
use super::{IS_A_DIRECTORY, ReadFailure, content};
use crate::core::VirtualFiles;

pub(super) fn run(arguments: &[String], files: &VirtualFiles) -> Vec<u8> {
    let options = match Options::parse(arguments, "nbsT", "") {
        Ok(options) => options,
        Err(invalid) => return invalid.complaint("cat", ""),
    };
    let mut out = Vec::new();
    let mut style = Style {
        number_all: options.has('n') && !options.has('b'),
        number_nonblank: options.has('b'),
        squeeze: options.has('s'),
        show_tabs: options.has('T'),
        line: 0,
        after_blank: false,
    };
    for operand in &options.operands {
        match content(files, operand) {
            Ok(bytes) => style.print(&mut out, bytes),
            Err(ReadFailure::Open(error)) => out.extend(format!("cat: {operand}: {error}\n").into_bytes()),
            Err(ReadFailure::Directory) => out.extend(format!("cat: {operand}: {IS_A_DIRECTORY}\n").into_bytes()),
        }
    }
    out
}

struct Style {
    number_all: bool,
    number_nonblank: bool,
    squeeze: bool,
    show_tabs: bool,
    /// Number of the last line that got one.
    line: u64,
    after_blank: bool,
}

impl Style {
    fn print(&mut self, out: &mut Vec<u8>, bytes: &[u8]) {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let blank = line == b"\n";
            if blank && self.after_blank && self.squeeze {
                continue;
            }
            self.after_blank = blank;
            if self.number_all || (self.number_nonblank && !blank) {
                self.line += 1;
                out.extend(format!("{:6}\t", self.line).into_bytes());
            }
            for byte in line {
                match byte {
                    b'\t' if self.show_tabs => out.extend(b"^I"),
                    other => out.push(*other),
                }
            }
        }
    }
}
