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
//! | `side`, `pair` | one federation, and the two |
//! | `matrix` | instead of random lines: every command of every administrator |
//! | `references`, `allowance` | when two replies are the same |
//! | `shrink` | the shortest script that shows a difference |

mod allowance;
mod dice;
mod grammar;
mod matrix;
mod pair;
mod references;
mod script;
mod shrink;
mod side;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use allowance::Allowances;
use pair::Pair;
use references::quoted;
use script::Step;
use side::Outcome;

pub(crate) use grammar::allowances_of;
pub(crate) use matrix::{MatrixArguments, run as matrix};
pub(crate) use references::{References, VOLATILE, is_moment_member};

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
    let mut pair = Pair::open(&arguments.left, &arguments.right).await?;
    let script = script::generate(arguments.seed, arguments.lines, pair.admins());
    pair.reset().await?;
    let mut references = References::default();
    let mut differing = Vec::new();
    for (index, step) in script.iter().enumerate() {
        let (problems, [left, right]) = pair.play(step, &mut references).await;
        if arguments.verbose {
            write(out, format_args!("{step:?}\n    {}\n", shown(&left)))?;
        }
        if !problems.is_empty() {
            let said = format!("{step:?}");
            report(out, &said, &step.allowances(), &problems, [&left, &right])?;
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
                let user = pair.admins().get(step.who).map_or("?", |kit| kit.user.as_str());
                write(out, format_args!("    {user}: {:?} ({:?})\n", step.line, step.token))?;
            }
        }
    }
    pair.clear().await?;
    let tally = Tally { same: script.len() - differing.len(), different: differing.len() };
    write(
        out,
        format_args!("differential: {} passed, {} failed (seed {})\n", tally.same, tally.different, arguments.seed),
    )?;
    Ok(tally)
}

fn report(
    out: &mut impl Write,
    said: &str,
    allowances: &Allowances,
    problems: &[String],
    outcomes: [&Outcome; 2],
) -> CaseResult {
    write(out, format_args!("DIFFERS {said}\n"))?;
    for problem in problems {
        write(out, format_args!("    {problem}\n"))?;
    }
    for reason in allowances.reasons() {
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
