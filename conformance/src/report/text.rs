//! Reports as text: a line per case while the run goes on, a summary at the end, and the parts that other forms share.

use std::io::{self, Write};
use std::time::Duration;

use super::model::{Figures, Report};
use super::transcript::Direction;
use crate::{Outcome, State};

/// How many of the slowest cases the summary names.
const SLOWEST: usize = 5;
/// Cases faster than this are not worth naming as slow.
const SLOW: Duration = Duration::from_millis(500);

impl Report {
    /// Writes what a person wants to know at the end: the slowest cases, the two figures, and the closing line.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn write_summary(&self, out: &mut impl Write) -> io::Result<()> {
        let slow = slowest(self);
        if !slow.is_empty() {
            writeln!(out, "\nslowest:")?;
            for outcome in slow {
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
        let (divergence, coverage) = (self.figures.divergence, self.figures.coverage);
        writeln!(out, "\ndivergence {} of {}, {}", divergence.count, divergence.of, divergence.percent())?;
        writeln!(out, "coverage   {} of {}, {}", coverage.count, coverage.of, coverage.percent())?;
        write!(out, "\n{} passed, {} failed", self.count(State::Pass), self.count(State::Fail))?;
        for state in &State::ALL[2..] {
            let number = self.count(*state);
            if number > 0 {
                write!(out, ", {number} {state}")?;
            }
        }
        writeln!(out)
    }
}

/// The cases that took longest, if they took long.
pub(super) fn slowest(report: &Report) -> Vec<&Outcome> {
    let mut slow: Vec<&Outcome> = report.results.iter().filter(|outcome| outcome.duration >= SLOW).collect();
    slow.sort_by_key(|outcome| std::cmp::Reverse(outcome.duration));
    slow.truncate(SLOWEST);
    slow
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

/// What is to know about a run, by name.
pub(super) fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let run = &report.run;
    let mut facts = vec![
        ("target", format!("{} {}", report.target.kind, report.target.name)),
        ("nvflare", report.target.version.clone().unwrap_or_else(|| "not told".to_owned())),
        ("scheme", report.target.scheme.clone()),
        ("role", report.role.to_string()),
        ("suite", format!("{}{}", report.suite.version, commit(report))),
        ("started", run.started.clone()),
        ("took", seconds(report.summary.duration)),
        ("jobs", run.jobs.to_string()),
    ];
    if let Some(seed) = run.seed {
        facts.push(("seed", seed.to_string()));
    }
    if let Some(shard) = run.shard {
        facts.push(("shard", shard.to_string()));
    }
    let allowed: Vec<&str> = run.allowed.iter().map(|risk| risk.as_str()).collect();
    facts.push(("allowed", if allowed.is_empty() { "read".to_owned() } else { allowed.join(", ") }));
    facts.push(("manifest", run.manifest.clone()));
    if !run.selected.is_empty() {
        facts.push(("selected", run.selected.join(" ")));
    }
    let Figures { divergence, coverage } = report.figures;
    facts.push(("divergence", format!("{} of {}, {}", divergence.count, divergence.of, divergence.percent())));
    facts.push(("coverage", format!("{} of {}, {}", coverage.count, coverage.of, coverage.percent())));
    facts
}

fn commit(report: &Report) -> String {
    report.suite.commit.as_deref().map(|commit| format!(" ({commit})")).unwrap_or_default()
}

/// What is to know about a case that did not simply pass.
pub(super) fn details(outcome: &Outcome) -> String {
    let mut text = format!("{}\n", outcome.title);
    let mut line = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            text.push_str(&format!("{name}: {value}\n"));
        }
    };
    line("found", outcome.message.as_deref());
    line("expected", outcome.expected.as_deref());
    line("observed", outcome.observed.as_deref());
    line("listed as failing", outcome.known.as_deref());
    line("checks", Some(&outcome.requirements.join(", ")).filter(|ids| !ids.is_empty()).map(String::as_str));
    text
}

/// The transcript of a case, a line per message.
pub(super) fn transcript(outcome: &Outcome) -> String {
    let mut text = String::new();
    for exchange in &outcome.transcript {
        let arrow = match exchange.direction {
            Direction::Sent => "->",
            Direction::Received => "<-",
            Direction::Event => "--",
        };
        let body = exchange.body.as_ref().map(|body| format!("  {body}")).unwrap_or_default();
        text.push_str(&format!("{:>9.1} ms {} {arrow} {}{body}\n", exchange.at_ms, exchange.connection, exchange.what));
    }
    text
}

pub(super) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

pub(super) fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}
