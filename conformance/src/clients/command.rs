//! The subcommand `client`.

use std::error::Error;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use super::cases::all;
use super::process::Subject;
use crate::cli::{Selection, today};
use crate::manifest::RoleUnderTest;
use crate::report::{Rendered, RunFacts, Shard, replace_file, write_outcome};
use crate::{Case, Exit, KnownFailing, Report, Runner, Target, Transcripts};

/// Clients whose deviations are known, by name and release.
const KNOWN: &[(&str, &str, &str)] = &[
    ("official-session", "2.9.0", include_str!("../../known-failing/official-session-2.9.0.txt")),
    ("nvflare-command", "2.9.0", include_str!("../../known-failing/nvflare-command-2.9.0.txt")),
];

/// Which client, and which cases.
#[derive(Debug, Args)]
pub(crate) struct ClientArguments {
    #[command(flatten)]
    selection: Selection,
    /// Write the report as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    rendered: Rendered,
    /// Run only the k-th of n parts of the cases; `report` makes one report from those of all parts.
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// Take the order of the cases and their random names from this number.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Which cases get what went over the wire into the report, secrets removed.
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = Transcripts::Failed)]
    transcripts: Transcripts,
    /// How many cases run at the same time; each has a simulator and a process of its own.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Cap the time limit of every case, in seconds.
    #[arg(long, value_name = "SECONDS")]
    time_limit: Option<u64>,
    /// Known-failing list to use instead of the one that is built in for the client.
    #[arg(long, value_name = "FILE")]
    known_failing: Option<PathBuf>,
    /// The client: a command that speaks the protocol of docs/client-protocol.md.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// What kept the run from being one.
pub(crate) type Failed = (Exit, Box<dyn Error>);

/// Runs the cases, writes a line for each to `out` and the report where it is wanted.
///
/// # Errors
/// With the exit code, when nothing could be tested or something not be written.
pub(crate) async fn run(arguments: &ClientArguments, out: &mut impl io::Write) -> Result<Exit, Failed> {
    let subject = Arc::new(Subject::new(&arguments.command).map_err(|finding| (Exit::Usage, finding.into()))?);
    let (name, release) = subject.introduce().await.map_err(|finding| (Exit::Target, finding.into()))?;
    let known = arguments.known(&name, &release).map_err(|error| (Exit::File, error))?;
    let cases = arguments.selection.of(all(&subject)).map_err(|error| (Exit::Usage, error.into()))?;
    let in_part = |case: &Case| arguments.shard.is_none_or(|shard| shard.has(case.id()));
    let cases = cases.into_iter().filter(in_part).collect();

    let target = Arc::new(Target::of_client(&name, &release, "http"));
    // A client and its server keep about one processor busy while they say something.
    let jobs = arguments.jobs.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let time_limit = arguments.time_limit.map(Duration::from_secs);
    let (seed, transcripts) = (arguments.seed, arguments.transcripts);
    let runner = Runner { jobs, time_limit, known, seed, transcripts };
    let manifest = target.manifest();
    let mut facts = RunFacts::now();
    facts.jobs = jobs.get();
    facts.manifest = manifest.release().to_string();
    facts.seed = seed;
    facts.shard = arguments.shard;
    facts.selected = arguments.selection.words();
    let started = Instant::now();
    let outcomes = runner
        .run(cases, &target, |outcome| {
            // A closed pipe is no reason to stop: the report file is still wanted.
            let _ = write_outcome(out, outcome);
        })
        .await;
    let (role, denominator) = (RoleUnderTest::Client, manifest.size(RoleUnderTest::Client));
    let report = Report::new(target.description(), role, facts, denominator, outcomes, started.elapsed());
    let _ = report.write_summary(out);
    let written = arguments.json.as_ref().map_or(Ok(()), |path| replace_file(path, &report.to_json()?));
    written
        .and_then(|()| arguments.rendered.write(std::slice::from_ref(&report)))
        .map_err(|error: io::Error| (Exit::File, error.into()))?;
    Ok(Exit::of(report.outcomes()))
}

impl ClientArguments {
    fn known(&self, name: &str, release: &str) -> Result<KnownFailing, Box<dyn Error>> {
        if let Some(path) = &self.known_failing {
            return Ok(KnownFailing::parse(&fs::read_to_string(path)?)?.on(today()));
        }
        let listed = KNOWN.iter().find(|(of, version, _)| *of == name && *version == release);
        Ok(listed.map(|(_, _, text)| KnownFailing::parse(text)).transpose()?.unwrap_or_default().on(today()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::catalogue;

    #[test]
    fn the_lists_of_known_deviations_name_existing_cases() {
        let cases = catalogue();
        for (name, _, text) in KNOWN {
            for (id, _) in KnownFailing::parse(text).unwrap().cases() {
                assert!(cases.iter().any(|case| case.id() == id), "{name}: {id} is listed but there is no such case");
            }
        }
    }
}
