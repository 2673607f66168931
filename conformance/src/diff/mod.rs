//! Random command lines, said to two federations at the same time: their replies have to be the same.
//!
//! ```text
//! seed ──▶ script ──▶ Side (left)  ──▶ reply ─┐
//!                └──▶ Side (right) ──▶ reply ─┴▶ References, Allowances ──▶ differences ──▶ shrink
//! ```
//!
//! | module | |
//! |---|---|
//! | `grammar` | the commands, their arguments, and what may differ in each reply |
//! | `script`, `dice` | lines that follow from a seed: legal, odd, malformed; of every administrator |
//! | `side` | one federation |
//! | `references`, `allowance` | when two replies are the same |
//! | `shrink` | the shortest script that shows a difference |

mod allowance;
mod dice;
mod grammar;
mod references;
mod script;
mod shrink;
mod side;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use references::{References, quoted};
use script::Step;
use side::{Outcome, Side};

use crate::{CaseResult, Finding};

/// Differences that are shrunk and shown: those of so many commands. One defect mostly shows in many lines.
const MAX_SHOWN: usize = 5;

/// What to compare.
#[derive(Debug, Args)]
pub(crate) struct DiffArguments {
    /// Folder with the startup kits of one federation, usually the real one.
    #[arg(long, value_name = "KITS_DIR")]
    left: PathBuf,
    /// Folder with the startup kits of the other, made from the same project file.
    #[arg(long, value_name = "KITS_DIR")]
    right: PathBuf,
    /// How many lines are said.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    lines: usize,
    /// What the lines follow from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print every line with what it came to.
    #[arg(long)]
    verbose: bool,
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Lines with the same reply on both sides.
    pub(crate) same: usize,
    /// Lines with another.
    pub(crate) different: usize,
}

/// Compares, and prints what differs and a closing line `differential: N passed, N failed`.
///
/// # Errors
/// When a federation cannot be used, or the two are not made of the same participants.
pub(crate) async fn run(arguments: &DiffArguments, out: &mut impl Write) -> CaseResult<Tally> {
    let (left, right) = tokio::join!(Side::open(&arguments.left), Side::open(&arguments.right));
    let mut pair = Pair { left: left?, right: right? };
    if pair.left.participants() != pair.right.participants() {
        return Err(Finding::harness(format!(
            "the federations are not made of the same participants: {:?} <> {:?}",
            pair.left.participants(),
            pair.right.participants()
        )));
    }
    let script = script::generate(arguments.seed, arguments.lines, pair.left.admins());
    pair.reset().await?;
    let mut references = References::default();
    let mut differing = Vec::new();
    for (index, step) in script.iter().enumerate() {
        let (problems, [left, right]) = pair.play(step, &mut references).await;
        if arguments.verbose {
            write(out, format_args!("{step:?}\n    {}\n", shown(&left)))?;
        }
        if !problems.is_empty() {
            report(out, step, &problems, [&left, &right])?;
            differing.push(index);
        }
    }
    let mut seen = BTreeSet::new();
    for index in &differing {
        if seen.len() < MAX_SHOWN && seen.insert(script[*index].command()) {
            let shortest =
                shrink::shrink(&script[..=*index], async |script: &[Step]| pair.differs_at_end(script).await);
            let shortest = shortest.await;
            write(out, format_args!("the shortest script that shows it ({} lines):\n", shortest.len()))?;
            for step in &shortest {
                let user = pair.left.admins().get(step.who).map_or("?", |kit| kit.user.as_str());
                write(out, format_args!("    {user}: {:?} ({:?})\n", step.line, step.token))?;
            }
        }
    }
    pair.reset().await?;
    let tally = Tally { same: script.len() - differing.len(), different: differing.len() };
    write(
        out,
        format_args!("differential: {} passed, {} failed (seed {})\n", tally.same, tally.different, arguments.seed),
    )?;
    Ok(tally)
}

struct Pair {
    left: Side,
    right: Side,
}

impl Pair {
    /// Says a line on both sides; gives what differs, and what it came to.
    async fn play(&mut self, step: &Step, references: &mut References) -> (Vec<String>, [Outcome; 2]) {
        let (left, right) = tokio::join!(self.left.play(step), self.right.play(step));
        let problems = match (&left, &right) {
            (Ok(left), Ok(right)) => references.differences(left, right, &step.allowances()),
            (Err(left), Err(right)) if left == right => Vec::new(),
            (left, right) => vec![format!("{} <> {}", shown(left), shown(right))],
        };
        (problems, [left, right])
    }

    async fn reset(&mut self) -> CaseResult {
        let (left, right) = tokio::join!(self.left.reset(), self.right.reset());
        left.and(right)
    }

    /// Plays a script from the beginning; true when the replies to its last line differ.
    async fn differs_at_end(&mut self, script: &[Step]) -> bool {
        let mut references = References::default();
        if self.reset().await.is_err() {
            return false;
        }
        let mut differs = false;
        for step in script {
            differs = !self.play(step, &mut references).await.0.is_empty();
        }
        differs
    }
}

fn report(out: &mut impl Write, step: &Step, problems: &[String], outcomes: [&Outcome; 2]) -> CaseResult {
    write(out, format_args!("DIFFERS {step:?}\n"))?;
    for problem in problems {
        write(out, format_args!("    {problem}\n"))?;
    }
    for reason in step.allowances().reasons() {
        write(out, format_args!("    allowed: {reason}\n"))?;
    }
    for (side, outcome) in ["left ", "right"].iter().zip(outcomes) {
        write(out, format_args!("    {side}: {}\n", shown(outcome)))?;
    }
    Ok(())
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Ok(reply) => quoted(&reply.to_string()),
        Err(problem) => format!("no reply: {problem}"),
    }
}

/// A closed pipe is no reason to stop; anything else is.
fn write(out: &mut impl Write, text: std::fmt::Arguments<'_>) -> CaseResult {
    match out.write_fmt(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Finding::harness(error.to_string())),
        _ => Ok(()),
    }
}
