//! Reports: a line per case while the run goes on, a summary at the end, and JSON for machines.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use tempfile::NamedTempFile;

use crate::{Outcome, State, Target};

/// How many of the slowest cases the summary names.
const SLOWEST: usize = 5;
/// Cases faster than this are not worth naming as slow.
const SLOW: Duration = Duration::from_millis(500);

/// What a report says about the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetDescription {
    /// `simulated` or `deployed`.
    pub kind: String,
    /// Where it is, as a person would name it.
    pub name: String,
    /// Transport: `http`, `tcp`, `grpc`.
    pub scheme: String,
    /// Release that the server says it runs, when it could be asked.
    pub version: Option<String>,
}

/// A finished run.
#[derive(Debug, Serialize)]
pub struct Report {
    target: TargetDescription,
    summary: Map<String, Value>,
    results: Vec<Outcome>,
}

impl Report {
    /// A report on `outcomes`, which took `duration` together.
    #[must_use]
    pub fn new(target: &Target, outcomes: Vec<Outcome>, duration: Duration) -> Self {
        let mut summary = Map::new();
        summary.insert("cases".to_owned(), outcomes.len().into());
        for state in State::ALL {
            summary.insert(state.as_str().to_owned(), count(&outcomes, state).into());
        }
        let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        summary.insert("duration_ms".to_owned(), milliseconds.into());
        Self { target: target.description().clone(), summary, results: outcomes }
    }

    /// The outcomes.
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome] {
        &self.results
    }

    /// Writes the report as JSON to `path`, which holds either the old content or the whole report, never a part.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_json(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let mut file = NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        make_readable(file.as_file())?;
        file.persist(path)?;
        Ok(())
    }

    /// Writes what a person wants to know at the end: the slowest cases and the closing line.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn write_summary(&self, out: &mut impl Write) -> io::Result<()> {
        let mut slow: Vec<&Outcome> = self.results.iter().filter(|outcome| outcome.duration >= SLOW).collect();
        slow.sort_by_key(|outcome| std::cmp::Reverse(outcome.duration));
        if !slow.is_empty() {
            writeln!(out, "\nslowest:")?;
            for outcome in slow.iter().take(SLOWEST) {
                writeln!(out, "  {:>8}  {}", seconds(outcome.duration), outcome.case)?;
            }
        }
        let bad: Vec<&Outcome> = self.results.iter().filter(|outcome| !outcome.state.is_acceptable()).collect();
        if !bad.is_empty() {
            writeln!(out, "\nnot acceptable:")?;
            for outcome in bad {
                write_outcome(out, outcome)?;
            }
        }
        write!(out, "\n{} passed, {} failed", count(&self.results, State::Pass), count(&self.results, State::Fail))?;
        for state in &State::ALL[2..] {
            let number = count(&self.results, *state);
            if number > 0 {
                write!(out, ", {number} {state}")?;
            }
        }
        writeln!(out)
    }
}

/// Temporary files are for their owner's eyes only; a report is not secret.
#[cfg(unix)]
fn make_readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Writes the lines of one case: its state, time and id, and below it what was seen.
///
/// # Errors
/// When `out` cannot be written to.
pub(crate) fn write_outcome(out: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    writeln!(out, "{:<15} {:>8}  {}", outcome.state, seconds(outcome.duration), outcome.case)?;
    if let Some(message) = &outcome.message {
        for line in message.lines() {
            writeln!(out, "{:<26}{line}", "")?;
        }
    }
    if let Some(reason) = &outcome.known {
        writeln!(out, "{:<26}listed as failing: {reason}", "")?;
    }
    Ok(())
}

fn count(outcomes: &[Outcome], state: State) -> usize {
    outcomes.iter().filter(|outcome| outcome.state == state).count()
}

fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut failed = Outcome::for_test("session.close.idempotent", State::Fail);
        failed.message = Some("second close: expected Ok(()), observed Err(closed)".to_owned());
        failed.duration = Duration::from_millis(1250);
        let mut listed = Outcome::for_test("reading.ls.options", State::FailExpected);
        listed.message = Some("expected \"a\", observed \"b\"".to_owned());
        listed.known = Some("broken since 2.8".to_owned());
        let passed = Outcome::for_test("handshake.ready", State::Pass);
        let target = Target::without_server("test");
        Report::new(&target, vec![failed, listed, passed], Duration::from_millis(1300))
    }

    fn summary(report: &Report) -> String {
        let mut out = Vec::new();
        report.write_summary(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_summary_names_what_is_slow_and_what_is_wrong_and_counts_every_state() {
        insta::assert_snapshot!(summary(&report()), @r#"

        slowest:
           1.250 s  session.close.idempotent

        not acceptable:
        fail             1.250 s  session.close.idempotent
                                  second close: expected Ok(()), observed Err(closed)

        1 passed, 1 failed, 1 fail-expected
        "#);
    }

    #[test]
    fn json_reports_replace_the_file_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        std::fs::write(&path, "old").unwrap();
        report().write_json(&path).unwrap();
        insta::assert_snapshot!(std::fs::read_to_string(&path).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
