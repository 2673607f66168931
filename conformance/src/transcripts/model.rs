//! What was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What one server said to the cases of one run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recording {
    /// Where it comes from.
    pub(crate) origin: Origin,
    /// A transcript for every case that passed.
    pub(crate) transcripts: Vec<Transcript>,
}

/// Where a recording comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Origin {
    /// The release of the server.
    pub(crate) nvflare: String,
    /// How frames travelled.
    pub(crate) scheme: String,
    /// The day, in UTC.
    pub(crate) recorded: String,
    /// What the random names of the cases followed from.
    pub(crate) seed: u64,
}

/// What one case and the server said to each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transcript {
    /// The case.
    pub(crate) case: String,
    /// Why it cannot be replayed; then nothing else is kept.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) left_out: BTreeSet<String>,
    /// It fetches files, whose bytes are not recorded: only the recorded client can be played.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) fetches: bool,
    /// What the references stand for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) legend: BTreeMap<String, String>,
    /// Commands with their replies, in the order in which they were sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) exchanges: Vec<Exchange>,
}

/// A command and its reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    /// Who sent it.
    pub(crate) user: String,
    /// The study of the session; empty for the default one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) study: String,
    /// The line.
    pub(crate) command: String,
    /// Settings of the request.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) meta: Map<String, Value>,
    /// A file came with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) upload: bool,
    /// What the file held, but for signatures: paths and texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) files: BTreeMap<String, String>,
    /// The reply. That of a command that was repeated with the same reply stands once.
    pub(crate) reply: Value,
}

/// The first line of a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    origin: Origin,
}

/// A line of a recording that cannot be read.
#[derive(Debug)]
pub(crate) struct UnreadableRecording {
    line: usize,
    error: serde_json::Error,
}

impl fmt::Display for UnreadableRecording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of a recording cannot be read", self.line)
    }
}

impl std::error::Error for UnreadableRecording {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl Recording {
    /// Reads the lines of a file: the origin, and a transcript per line.
    ///
    /// # Errors
    /// [`UnreadableRecording`].
    pub(crate) fn parse(text: &str) -> Result<Self, UnreadableRecording> {
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        let Head { origin } = serde_json::from_str(first).map_err(|error| UnreadableRecording { line: 1, error })?;
        let transcripts = rest.lines().enumerate().filter(|(_, line)| !line.is_empty());
        let read = |(index, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| UnreadableRecording { line: index + 2, error })
        };
        Ok(Self { origin, transcripts: transcripts.map(read).collect::<Result<_, _>>()? })
    }

    /// The text of the file.
    ///
    /// # Errors
    /// When something has no form as JSON.
    pub(crate) fn to_text(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string(&Head { origin: self.origin.clone() })? + "\n";
        for transcript in &self.transcripts {
            text.push_str(&serde_json::to_string(transcript)?);
            text.push('\n');
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_recording_is_read_as_it_was_written() {
        let exchange = Exchange {
            user: "lead@nvidia.com".to_owned(),
            command: "list_jobs <id 1>".to_owned(),
            meta: Map::new(),
            study: String::new(),
            upload: false,
            files: BTreeMap::new(),
            reply: json!({"time": "<moment 1>", "data": [], "meta": {}}),
        };
        let recording = Recording {
            origin: Origin {
                nvflare: "2.9.0".to_owned(),
                scheme: "http".to_owned(),
                recorded: "2026-11-26".to_owned(),
                seed: 1,
            },
            transcripts: vec![
                Transcript {
                    case: "a.case".to_owned(),
                    left_out: BTreeSet::new(),
                    fetches: false,
                    legend: [("<id 1>".to_owned(), "x".to_owned())].into(),
                    exchanges: vec![exchange],
                },
                Transcript {
                    case: "a.other".to_owned(),
                    left_out: ["moves files".to_owned()].into(),
                    fetches: false,
                    legend: BTreeMap::new(),
                    exchanges: Vec::new(),
                },
            ],
        };
        let text = recording.to_text().unwrap();
        assert_eq!(text.lines().count(), 3);
        assert_eq!(Recording::parse(&text).unwrap(), recording);
        let error = Recording::parse(&format!("{text}no line\n")).unwrap_err();
        assert_eq!(error.to_string(), "line 4 of a recording cannot be read");
    }
}
