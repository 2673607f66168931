//! A table of every method of the API document and what the referee found about each client, from reports.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use crate::methods;

/// Where the reports are, and where the table goes.
#[derive(Debug, Args)]
pub(crate) struct ScoreArguments {
    /// Report (`client --json`) of one client; one column each.
    #[arg(long, value_name = "FILE", required = true)]
    report: Vec<PathBuf>,
    /// Where the table is written.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Deserialize)]
struct Report {
    target: Target,
    results: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    version: Option<String>,
}

#[derive(Deserialize)]
struct Outcome {
    check: String,
    title: String,
    state: String,
    #[serde(default)]
    exercises: Vec<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    known: Option<String>,
}

impl Report {
    fn client(&self) -> String {
        format!("{} {}", self.target.name, self.target.version.as_deref().unwrap_or_default())
    }
}

/// How often something held.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    passed: usize,
    failed: usize,
    unsupported: usize,
}

impl Tally {
    fn add(&mut self, state: &str) {
        match state {
            "pass" | "pass-unexpected" => self.passed += 1,
            "fail" | "fail-expected" => self.failed += 1,
            "unsupported" => self.unsupported += 1,
            _ => {}
        }
    }

    fn shown(self) -> String {
        match self {
            Self { passed: 0, failed: 0, unsupported: 0 } => String::new(),
            Self { passed: 0, failed: 0, .. } => "–".to_owned(),
            Self { passed, failed: 0, .. } => format!("{passed}"),
            Self { passed, failed, .. } => format!("{passed}, **{failed} not**"),
        }
    }
}

/// Writes the table.
///
/// # Errors
/// When a report cannot be read or the table cannot be written.
pub(crate) fn write(arguments: &ScoreArguments) -> io::Result<()> {
    let read = |path: &PathBuf| -> io::Result<Report> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
    let reports: Vec<Report> = arguments.report.iter().map(read).collect::<Result<_, _>>()?;
    fs::write(&arguments.output, table(&reports))
}

fn table(reports: &[Report]) -> String {
    let mut text = String::from(HEADING);
    let columns = reports.iter().map(|report| format!(" {} |", report.client())).collect::<String>();
    let rule = "---|".repeat(reports.len());
    text.push_str(&format!("\n## Scores\n\n| |{columns}\n|---|{rule}\n"));
    for (what, states) in [
        ("cases that held", ["pass", "pass-unexpected"]),
        ("cases that did not", ["fail", "fail-expected"]),
        ("cases about what the client does not have", ["unsupported", ""]),
        ("cases without a verdict", ["untestable", "indeterminate"]),
    ] {
        let count = |report: &Report| report.results.iter().filter(|it| states.contains(&it.state.as_str())).count();
        let row: String = reports.iter().map(|report| format!(" {} |", count(report))).collect();
        text.push_str(&format!("| {what} |{row}\n"));
    }

    let tallies: Vec<BTreeMap<&str, Tally>> = reports.iter().map(by_method).collect();
    text.push_str(&format!("\n## By method\n\nHow many cases that call the method held; – when the client has no such call.\n\n| method |{columns}\n|---|{rule}\n"));
    for method in methods::names() {
        let cells =
            tallies.iter().map(|tally| format!(" {} |", tally.get(method).copied().unwrap_or_default().shown()));
        text.push_str(&format!("| `{method}` |{}\n", cells.collect::<String>()));
    }
    let cells = tallies.iter().map(|tally| format!(" {} |", tally.get(OPENING).copied().unwrap_or_default().shown()));
    text.push_str(&format!("| opening and closing a session |{}\n", cells.collect::<String>()));

    for report in reports {
        let deviations: Vec<&Outcome> =
            report.results.iter().filter(|it| matches!(it.state.as_str(), "fail" | "fail-expected")).collect();
        text.push_str(&format!("\n## Deviations of {}\n\n", report.client()));
        if deviations.is_empty() {
            text.push_str("None.\n");
        }
        for outcome in deviations {
            let why = outcome.known.as_deref().or(outcome.message.as_deref()).unwrap_or_default();
            text.push_str(&format!("- `{}` ({}): {}\n", outcome.check, outcome.title, why.replace('\n', " ")));
        }
    }
    text
}

/// Under this name the cases stand that call no method.
const OPENING: &str = "";

fn by_method(report: &Report) -> BTreeMap<&str, Tally> {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for outcome in &report.results {
        if outcome.exercises.is_empty() {
            tallies.entry(OPENING).or_default().add(&outcome.state);
        }
        for method in &outcome.exercises {
            tallies.entry(method).or_default().add(&outcome.state);
        }
    }
    tallies
}

const HEADING: &str = "# Clients under test

Written by `flare-conformance score` from the reports of `flare-conformance client`: what the referee found about each client, by
method of the API document. The protocol between referee and client is [client-protocol.md](client-protocol.md); why a deviation
is the client's and not the simulator's stands in `conformance/known-failing/`.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_column_for_each_client_and_says_why_something_did_not_hold() {
        let outcome = |check: &str, state: &str, exercises: &[&str]| {
            serde_json::json!({
                "check": check, "title": "a title", "state": state, "exercises": exercises,
                "known": (state == "fail-expected").then_some("it takes words for errors"),
            })
        };
        let report = |name: &str, results: &[serde_json::Value]| -> Report {
            let report = serde_json::json!({"target": {"name": name, "version": "1.0"}, "results": results});
            serde_json::from_value(report).unwrap()
        };
        let one = report("one", &[outcome("client.a", "pass", &["list_jobs"]), outcome("client.o", "pass", &[])]);
        let two = report(
            "two",
            &[outcome("client.a", "fail-expected", &["list_jobs"]), outcome("client.b", "unsupported", &["clone_job"])],
        );
        let text = table(&[one, two]);
        assert!(text.contains("| `list_jobs` | 1 | 0, **1 not** |"), "{text}");
        assert!(text.contains("| `clone_job` |  | – |"), "{text}");
        assert!(text.contains("| opening and closing a session | 1 |  |"), "{text}");
        assert!(text.contains("## Deviations of one 1.0\n\nNone."), "{text}");
        assert!(text.contains("- `client.a` (a title): it takes words for errors"), "{text}");
    }
}
