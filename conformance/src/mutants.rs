//! Who checks the checker: the suite on simulators that each have one rule broken. A mutant that no case notices survives,
//! and shows what the suite does not look at.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use flare_simserver::Mutant;

use crate::{Case, Runner, State, Target, TargetError, Transcripts, suites};

/// Caps the time limit of every case: where a mutant makes cases wait in vain, there are many of them.
const TIME_LIMIT: Duration = Duration::from_secs(15);

/// Cases that run before it is looked whether one has noticed, when the first is enough.
const BATCH: usize = 32;

/// Killers of one mutant that the table names.
const MAX_NAMED: usize = 6;

/// What `mutants` is to do.
#[derive(Debug, Args)]
pub(crate) struct MutantsArguments {
    /// Only this mutant; may be given several times.
    #[arg(long = "mutant", value_name = "NAME")]
    mutants: Vec<Mutant>,
    /// Stop at the first case that notices a mutant.
    #[arg(long)]
    first: bool,
    /// Run every case on every mutant, also when those about its rule have noticed it.
    #[arg(long, conflicts_with = "first")]
    all: bool,
    /// Write the table as Markdown to this file.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How many cases run at the same time.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

/// What became of one mutant.
#[derive(Debug, Clone)]
pub(crate) struct Fate {
    /// The mutant.
    pub(crate) mutant: Mutant,
    /// Ids of the cases that noticed it, of those that ran.
    pub(crate) killers: Vec<String>,
    /// How many cases ran.
    pub(crate) ran: usize,
    /// How long they took.
    pub(crate) took: Duration,
}

/// How much is run on each mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Until a case has noticed it.
    First,
    /// The cases that are about its rule; all others as well when none of those notices it.
    Area,
    /// Every case.
    All,
}

/// Why the mutants could not be judged.
#[derive(Debug)]
pub(crate) enum MutantsError {
    /// A simulator did not start.
    Target(TargetError),
    /// Cases fail on a simulator without a mutant, so that their failing proves nothing.
    NotGreen(Vec<String>),
    /// The table cannot be written.
    Io(io::Error),
}

impl fmt::Display for MutantsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(_) => f.write_str("a simulator with a mutant cannot be used"),
            Self::NotGreen(cases) => write!(f, "cases that fail without a mutant: {}", cases.join(", ")),
            Self::Io(_) => f.write_str("the table of mutants cannot be written"),
        }
    }
}

impl std::error::Error for MutantsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Target(error) => Some(error),
            Self::NotGreen(_) => None,
            Self::Io(error) => Some(error),
        }
    }
}

impl From<TargetError> for MutantsError {
    fn from(error: TargetError) -> Self {
        Self::Target(error)
    }
}

impl From<io::Error> for MutantsError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Does what `arguments` say; returns the mutants that survived.
///
/// # Errors
/// [`MutantsError`].
///
/// # Cancel safety
/// Dropping the future ends the simulator that runs.
pub(crate) async fn run(
    arguments: &MutantsArguments,
    default_jobs: NonZeroUsize,
    out: &mut impl Write,
) -> Result<Vec<Mutant>, MutantsError> {
    let depth = match (arguments.first, arguments.all) {
        (true, _) => Depth::First,
        (_, true) => Depth::All,
        _ => Depth::Area,
    };
    let jobs = arguments.jobs.unwrap_or(default_jobs);
    let mutants = if arguments.mutants.is_empty() { Mutant::ALL } else { &arguments.mutants };
    let mut suspects: BTreeSet<String> = BTreeSet::new();
    let mut fates = Vec::new();
    for mutant in mutants {
        let fate = judge(*mutant, depth, jobs).await?;
        suspects.extend(fate.killers.iter().cloned());
        writeln!(out, "{}", Line(&fate))?;
        fates.push(fate);
    }
    // Only who passes without a mutant has noticed one.
    let witnesses = suites::all().into_iter().filter(|case| suspects.contains(case.id())).collect();
    let wrong = failing(witnesses, &Arc::new(Target::simulated("http").await?), jobs).await;
    if !wrong.is_empty() {
        return Err(MutantsError::NotGreen(wrong));
    }
    if let Some(path) = &arguments.output {
        std::fs::write(path, table(&fates))?;
    }
    let survivors: Vec<Mutant> = fates.iter().filter(|fate| fate.killers.is_empty()).map(|fate| fate.mutant).collect();
    writeln!(out, "{} mutants, {} survive", fates.len(), survivors.len())?;
    Ok(survivors)
}

/// Lets cases loose on a mutant.
///
/// # Errors
/// [`TargetError`] when the simulator cannot be started.
///
/// # Cancel safety
/// Dropping the future ends the simulator.
pub(crate) async fn judge(mutant: Mutant, depth: Depth, jobs: NonZeroUsize) -> Result<Fate, TargetError> {
    let started = Instant::now();
    let target = Arc::new(Target::mutated("http", Some(mutant)).await?);
    let (near, far): (Vec<Case>, Vec<Case>) =
        suites::all().into_iter().partition(|case| case.id().starts_with(mutant.area()));
    let mut batches = match depth {
        Depth::First => batches(near.into_iter().chain(far)),
        Depth::Area => vec![near, far],
        Depth::All => vec![near.into_iter().chain(far).collect()],
    };
    let mut fate = Fate { mutant, killers: Vec::new(), ran: 0, took: Duration::ZERO };
    batches.reverse();
    while let Some(batch) = batches.pop().filter(|_| fate.killers.is_empty()) {
        fate.ran += batch.len();
        fate.killers.extend(failing(batch, &target, jobs).await);
    }
    fate.took = started.elapsed();
    Ok(fate)
}

fn batches(cases: impl Iterator<Item = Case>) -> Vec<Vec<Case>> {
    let mut batches = Vec::new();
    let mut cases = cases.peekable();
    while cases.peek().is_some() {
        batches.push(cases.by_ref().take(BATCH).collect());
    }
    batches
}

/// Ids of the cases that fail. One whose outcome is something else than a verdict has noticed nothing.
async fn failing(cases: Vec<Case>, target: &Arc<Target>, jobs: NonZeroUsize) -> Vec<String> {
    let runner = Runner { jobs, time_limit: Some(TIME_LIMIT), transcripts: Transcripts::None, ..Runner::default() };
    let outcomes = runner.run(cases, target, |_| ()).await;
    outcomes.into_iter().filter(|outcome| outcome.state == State::Fail).map(|outcome| outcome.case).collect()
}

/// A fate in one line.
struct Line<'a>(&'a Fate);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fate { mutant, killers, ran, took } = self.0;
        let verdict = if killers.is_empty() { "SURVIVES" } else { "killed" };
        write!(f, "{verdict:<8} {mutant}  {} of {ran} cases, {:.1} s", killers.len(), took.as_secs_f64())?;
        killers.iter().take(MAX_NAMED).try_for_each(|case| write!(f, "  {case}"))
    }
}

/// The table of `docs/mutants.md`.
fn table(fates: &[Fate]) -> String {
    let mut text = "# Who checks the checker\n\n\
        Written by `flare-conformance mutants --output docs/mutants.md`. Each mutant is a simulated server with one rule broken; \
        beside it are the cases that fail on it and pass on a server without mutants. Those about the rule run first, and all \
        others only when none of those notices.\n\n\
        | mutant | what it breaks | cases that ran | killed by |\n|---|---|---|---|\n"
        .to_owned();
    for Fate { mutant, killers, ran, .. } in fates {
        let mut named: Vec<String> = killers.iter().take(MAX_NAMED).map(|case| format!("`{case}`")).collect();
        if killers.len() > MAX_NAMED {
            named.push(format!("and {} more", killers.len() - MAX_NAMED));
        }
        let killed = if named.is_empty() { "**nothing**".to_owned() } else { named.join(", ") };
        text.push_str(&format!("| `{mutant}` | {} | {ran} | {killed} |\n", mutant.breaks()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOBS: NonZeroUsize = NonZeroUsize::new(8).unwrap();

    #[tokio::test]
    async fn mutants_of_different_areas_are_noticed() {
        for mutant in [Mutant::LogoutKeepsSession, Mutant::UnknownCommandSilent, Mutant::StudiesShownToAll] {
            let fate = judge(mutant, Depth::First, JOBS).await.unwrap();
            assert!(!fate.killers.is_empty(), "{mutant} survives");
        }
    }

    #[test]
    fn the_table_says_what_survives() {
        let fate = |mutant, killers: &[&str]| Fate {
            mutant,
            killers: killers.iter().map(|case| (*case).to_owned()).collect(),
            ran: 9,
            took: Duration::ZERO,
        };
        let table = table(&[fate(Mutant::TailIsHead, &["a", "b"]), fate(Mutant::NoAcks, &[])]);
        assert!(table.contains("| `tail-is-head` | `tail` shows the start of a file. | 9 | `a`, `b` |\n"), "{table}");
        assert!(table.contains("| **nothing** |\n"), "{table}");
    }

    #[test]
    fn every_mutant_has_cases_about_its_rule() {
        for mutant in Mutant::ALL {
            assert!(suites::all().iter().any(|case| case.id().starts_with(mutant.area())), "{mutant}");
        }
    }
}
