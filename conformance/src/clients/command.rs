//! The subcommand `client`.

use std::error::Error;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use super::cases::all;
use super::process::Subject;
use crate::cli::{RunOptions, Selection, today};
use crate::manifest::RoleUnderTest;
use crate::report::{RunFacts, write_outcome};
use crate::{Case, Exit, KnownFailing, Report, Runner, Target};

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
    #[command(flatten)]
    options: RunOptions,
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
    let in_part = |case: &Case| arguments.options.shard.is_none_or(|shard| shard.has(case.id()));
    let cases = cases.into_iter().filter(in_part).collect();

    let target = Arc::new(Target::of_client(&name, &release, "http"));
    // A client and its server keep about one processor busy while they say something.
    let jobs =
        arguments.options.jobs.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let time_limit = arguments.options.time_limit.map(Duration::from_secs);
    let (seed, transcripts) = (arguments.options.seed, arguments.options.transcripts);
    let runner = Runner { jobs, time_limit, known, seed, transcripts };
    let manifest = target.manifest();
    let mut facts = RunFacts::now();
    facts.jobs = jobs.get();
    facts.manifest = manifest.release().to_string();
    facts.seed = seed;
    facts.shard = arguments.options.shard;
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
    arguments.options.write(&report).map_err(|error| (Exit::File, error.into()))?;
    Ok(Exit::of(report.outcomes()))
}

impl ClientArguments {
    fn known(&self, name: &str, release: &str) -> Result<KnownFailing, Box<dyn Error>> {
        if let Some(path) = &self.options.known_failing {
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
