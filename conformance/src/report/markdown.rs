//! Markdown, for the summary of a CI job.

use std::fmt::Write as _;

use super::model::Report;
use super::text;
use crate::{Outcome, State};

/// Most cases that are described one by one: a summary is read by people, and GitHub cuts it at 1 MiB.
const MAX_DESCRIBED: usize = 100;
/// Most letters of what was found in one case.
const MAX_FOUND: usize = 2000;

/// The Markdown form of `reports`.
#[must_use]
pub fn markdown(reports: &[Report]) -> String {
    let mut text = String::from("# FLARE conformance\n\n");
    overview(&mut text, reports);
    for report in reports {
        differences(&mut text, report);
    }
    for report in reports {
        closing(&mut text, report);
    }
    text
}

fn overview(text: &mut String, reports: &[Report]) {
    let states: Vec<State> =
        State::ALL.into_iter().filter(|state| reports.iter().any(|report| report.count(*state) > 0)).collect();
    text.push_str("| target | | divergence | coverage |");
    states.iter().for_each(|state| text.push_str(&format!(" {state} |")));
    text.push_str("\n|---|---|---|---|");
    states.iter().for_each(|_| text.push_str("---:|"));
    text.push('\n');
    for report in reports {
        let (divergence, coverage) = (report.figures.divergence, report.figures.coverage);
        let mark = if report.is_green() { "✅" } else { "❌" };
        let _ = write!(
            text,
            "| {} | {mark} | **{}** ({} of {}) | **{}** ({} of {}) |",
            cell(&report.target.title()),
            divergence.percent(),
            divergence.count,
            divergence.of,
            coverage.percent(),
            coverage.count,
            coverage.of
        );
        states.iter().for_each(|state| text.push_str(&format!(" {} |", report.count(*state))));
        text.push('\n');
    }
    text.push_str(
        "\nDivergence: cases in which the subject does something else than required, of those that gave a verdict. \
         Coverage: cases that gave a verdict, of those in the manifest.\n",
    );
}

fn differences(text: &mut String, report: &Report) {
    let differing: Vec<&Outcome> = report
        .results
        .iter()
        .filter(|outcome| !outcome.state.is_acceptable() || outcome.state.is_divergence())
        .collect();
    if differing.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n## What differs: {}\n", report.target.title());
    for outcome in differing.iter().take(MAX_DESCRIBED) {
        let _ = writeln!(text, "- **{}** `{}`: {}", outcome.state, outcome.case, inline(&outcome.title));
        if let Some(reason) = &outcome.known {
            let _ = writeln!(text, "  - listed as failing: {}", inline(reason));
        }
        if let (Some(expected), Some(observed)) = (&outcome.expected, &outcome.observed) {
            let _ = writeln!(text, "  - expected {}", code(expected));
            let _ = writeln!(text, "  - observed {}", code(observed));
        } else if let Some(message) = &outcome.message {
            let _ = writeln!(text, "  - {}", code(message));
        }
    }
    if differing.len() > MAX_DESCRIBED {
        let _ = writeln!(text, "- … and {} more", differing.len() - MAX_DESCRIBED);
    }
}

fn closing(text: &mut String, report: &Report) {
    let _ = writeln!(text, "\n<details><summary>The run: {}</summary>\n", report.target.title());
    text.push_str("| | |\n|---|---|\n");
    for (name, value) in text::facts(report) {
        let _ = writeln!(text, "| {name} | {} |", cell(&value));
    }
    for outcome in text::slowest(report) {
        let _ = writeln!(text, "| slow | `{}` {} |", outcome.case, text::seconds(outcome.duration));
    }
    text.push_str("\n</details>\n");
}

/// Text that neither ends the line nor means anything in Markdown.
fn inline(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    one_line
        .chars()
        .flat_map(|letter| "\\`*_[]<>|#".contains(letter).then_some('\\').into_iter().chain([letter]))
        .collect()
}

fn cell(text: &str) -> String {
    inline(text)
}

/// Text as code, in a fence longer than any run of backticks within.
fn code(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = one_line.chars().take(MAX_FOUND).collect();
    let cut = if shown.len() < one_line.len() { " …" } else { "" };
    let longest = shown.split(|letter| letter != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let room = if longest > 0 { " " } else { "" };
    format!("{fence}{room}{shown}{room}{fence}{cut}")
}
