//! How the seed documents are cut into sentences, and the list of these.
//!
//! The documents themselves are not in the repository. `fixtures/seeds/sentences.json` has the number of each sentence, its
//! first words, by which it is found, and the SHA-256 of the whole, by which it is known to be the same. The list is made by
//! `flare-conformance seeds`.
//!
//! A sentence is cut like this, and its number is its place in the document, from 1:
//!
//! * Runs of white space count as one blank, at the ends as none.
//! * The specification (`flare-api`) has one thing per line: a signature, an argument, a line of prose. A line that
//!   begins with `- ` begins something new; any other is joined to the line before when that one is open: it ends with a
//!   colon, or with one of the words [`OPEN`]. An empty line is nothing.
//! * The guide (`fladmin-api`) has paragraphs: lines up to an empty one, to a directive (`.. `), to the line under a heading,
//!   or to the next item of a list (`- `, `#. `). Directives and the lines under headings are nothing; code is a paragraph.
//! * What is left is cut after each `.`, `;`, `?` and `!` that is followed by a blank and a capital letter from A to Z.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::requirement::SeedDocument;

/// Words that no sentence ends with.
const OPEN: [&str; 8] = ["–", "or", "with", "optional", "be", "to", "when", "Note"];

/// How many words of a sentence are told: enough to find it.
const WORDS: usize = 6;

/// Where the documents are, and where the list goes.
#[derive(Debug, Args)]
pub(crate) struct SeedsArguments {
    /// Folder that holds the seed documents.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Where the list is written.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Entry {
    document: &'static str,
    number: usize,
    words: String,
    sha256: String,
}

/// File of a document within the folder of the seeds.
const fn file(document: SeedDocument) -> &'static str {
    match document {
        SeedDocument::FlareApi => "000_4cc8ce8961199036.txt",
        SeedDocument::FlAdminApi => "001_b3dd459931e36c7c.txt",
    }
}

/// Writes the list.
///
/// # Errors
/// When a document cannot be read or the list cannot be written.
pub(crate) fn write(arguments: &SeedsArguments) -> io::Result<()> {
    let mut entries = Vec::new();
    for document in SeedDocument::ALL {
        let text = fs::read_to_string(arguments.from.join(file(document)))?;
        entries.extend(list(document, &text));
    }
    // A line per sentence, so that a change shows which ones changed.
    let lines = entries.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    fs::write(&arguments.output, format!("[\n{}\n]\n", lines.join(",\n")))
}

fn list(document: SeedDocument, text: &str) -> Vec<Entry> {
    let entry = |(number, sentence): (usize, String)| Entry {
        document: document.name(),
        number,
        words: sentence.split(' ').take(WORDS).collect::<Vec<_>>().join(" "),
        sha256: Sha256::digest(&sentence).iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    (1..).zip(sentences(document, text)).map(entry).collect()
}

/// The sentences of a document.
fn sentences(document: SeedDocument, text: &str) -> Vec<String> {
    let pieces = match document {
        SeedDocument::FlareApi => joined_lines(text),
        SeedDocument::FlAdminApi => paragraphs(text),
    };
    pieces.iter().flat_map(|piece| cut(piece)).map(str::to_owned).collect()
}

fn normalised(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Pieces of text that lines are added to.
#[derive(Default)]
struct Pieces {
    done: Vec<String>,
    open: String,
}

impl Pieces {
    fn add(&mut self, line: &str) {
        if !self.open.is_empty() {
            self.open.push(' ');
        }
        self.open.push_str(line);
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(std::mem::take(&mut self.open));
        }
    }

    fn finish(mut self) -> Vec<String> {
        self.close();
        self.done
    }
}

fn joined_lines(text: &str) -> Vec<String> {
    let mut pieces = Pieces::default();
    for line in text.lines().map(normalised).filter(|line| !line.is_empty()) {
        let item = line.strip_prefix("- ");
        if item.is_some() {
            pieces.close();
        }
        pieces.add(item.unwrap_or(&line));
        let last = pieces.open.rsplit(' ').next().unwrap_or_default();
        if !last.ends_with(':') && !OPEN.contains(&last) {
            pieces.close();
        }
    }
    pieces.finish()
}

fn paragraphs(text: &str) -> Vec<String> {
    let mut pieces = Pieces::default();
    for line in text.lines().map(normalised) {
        let is_rule = |mark: char| !line.is_empty() && line.chars().all(|c| c == mark);
        if line.is_empty() || line.starts_with(".. ") || is_rule('=') || is_rule('-') {
            pieces.close();
            continue;
        }
        let item = ["- ", "#. "].into_iter().find_map(|mark| line.strip_prefix(mark));
        if item.is_some() {
            pieces.close();
        }
        pieces.add(item.unwrap_or(&line));
    }
    pieces.finish()
}

fn cut(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut rest = text;
    let ends = |window: &[u8]| matches!(window, [b'.' | b';' | b'?' | b'!', b' ', b'A'..=b'Z']);
    while let Some(index) = rest.as_bytes().windows(3).position(ends) {
        let (sentence, after) = rest.split_at(index + 1);
        sentences.push(sentence);
        rest = &after[1..];
    }
    sentences.push(rest);
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_specification_are_joined_where_one_is_open() {
        let text = "\
- fetch(name: str)[source]
Fetch  a thing
- Parameters:
name – the thing
Kind –
red, or
blue
Returns: None
If it is there, no effect; If not, it is made. Then it is given.
Note
Not for dogs (e.g. small ones).
Returns:
- other()";
        assert_eq!(
            sentences(SeedDocument::FlareApi, text),
            [
                "fetch(name: str)[source]",
                "Fetch a thing",
                "Parameters: name – the thing",
                "Kind – red, or blue",
                "Returns: None",
                "If it is there, no effect;",
                "If not, it is made.",
                "Then it is given.",
                "Note Not for dogs (e.g. small ones).",
                "Returns:",
                "other()",
            ]
        );
    }

    #[test]
    fn paragraphs_of_the_guide_end_at_empty_lines_items_directives_and_rules() {
        let text = "\
.. _label:

Title
=====

A paragraph of two
lines. It has two sentences; both short.

    - one item
    - another
      item

.. code-block:: python

    api.go()

#. Why? Because.
";
        assert_eq!(
            sentences(SeedDocument::FlAdminApi, text),
            [
                "Title",
                "A paragraph of two lines.",
                "It has two sentences; both short.",
                "one item",
                "another item",
                "api.go()",
                "Why?",
                "Because.",
            ]
        );
    }

    #[test]
    fn a_sentence_is_told_by_its_first_words_and_its_hash() {
        let entries = list(SeedDocument::FlareApi, "abc\none two three four five six seven");
        let told: Vec<_> = entries.iter().map(|entry| (entry.number, entry.words.as_str())).collect();
        assert_eq!(told, [(1, "abc"), (2, "one two three four five six")]);
        // The test vector of FIPS 180.
        assert_eq!(entries[0].sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
