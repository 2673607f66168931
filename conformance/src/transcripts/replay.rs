//! The subcommand `replay`.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use flare_simserver::core::Release as SimRelease;
use flare_simserver::{ClockMode, SimServerBuilder};
use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;
use tokio::task::JoinSet;

use super::client;
use super::model::{Origin, Recording, Transcript};
use super::record::own_names;
use super::server::RecordedServer;
use crate::cli::Selection;
use crate::finding::chain;
use crate::report::write_outcome;
use crate::scope::Scope;
use crate::{Case, CaseResult, Context, Exit, Finding, Outcome, State, Target};

/// How long one transcript may take. Nothing in it waits for jobs or sites.
const LIMIT: Duration = Duration::from_secs(60);

/// What to replay.
#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    /// A file that `record` has written, instead of the recordings that are built in; may be given several times.
    #[arg(long = "input", value_name = "FILE")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    /// How many transcripts are replayed at the same time.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

/// Which part of a transcript is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The server: a case of ours is the client.
    Server,
    /// The client: a simulator is the server.
    Client,
}

impl Part {
    const BOTH: [Self; 2] = [Self::Server, Self::Client];

    const fn title(self) -> &'static str {
        match self {
            Self::Server => "our client on the recorded server",
            Self::Client => "the recorded client on the simulator",
        }
    }
}

/// Replays, writes a line for everything that did not pass and a closing line for each release and part.
///
/// # Errors
/// With the exit code, when a recording cannot be read.
///
/// # Cancel safety
/// Dropping the future ends the simulators that run.
pub(crate) async fn run(
    arguments: &ReplayArguments,
    default_jobs: NonZeroUsize,
    out: &mut impl Write,
) -> Result<Exit, (Exit, Box<dyn Error>)> {
    let selected = arguments.selection.select().map_err(|error| (Exit::Usage, error.into()))?;
    let selected: Vec<Arc<Case>> = selected.into_iter().map(Arc::new).collect();
    let texts = arguments.texts().map_err(|error| (Exit::File, error.into()))?;
    let jobs = arguments.jobs.unwrap_or(default_jobs);
    let mut all = Vec::new();
    for text in texts {
        let Recording { origin, transcripts } = Recording::parse(&text).map_err(|error| (Exit::File, error.into()))?;
        let origin = Arc::new(origin);
        let cases: Vec<(Arc<Case>, Arc<Transcript>)> = paired(&selected, transcripts);
        for part in Part::BOTH {
            let outcomes = play_all(&origin, &cases, part, jobs).await;
            // A closed pipe is no reason to stop.
            let _ = summary(out, &origin, part, &outcomes);
            all.extend(outcomes);
        }
    }
    Ok(Exit::of(&all))
}

impl ReplayArguments {
    fn texts(&self) -> std::io::Result<Vec<String>> {
        if self.inputs.is_empty() {
            return Ok(flare_fixtures::transcripts());
        }
        self.inputs.iter().map(std::fs::read_to_string).collect()
    }
}

/// The transcripts of these cases. One of a case that there is not any more is of no use.
fn paired(selected: &[Arc<Case>], transcripts: Vec<Transcript>) -> Vec<(Arc<Case>, Arc<Transcript>)> {
    let case = |transcript: Transcript| {
        let case = selected.iter().find(|case| case.id() == transcript.case)?;
        Some((Arc::clone(case), Arc::new(transcript)))
    };
    transcripts.into_iter().filter_map(case).collect()
}

fn summary(out: &mut impl Write, origin: &Origin, part: Part, outcomes: &[Outcome]) -> std::io::Result<()> {
    for outcome in outcomes.iter().filter(|outcome| outcome.state != State::Pass) {
        write_outcome(out, outcome)?;
    }
    let count = |state| outcomes.iter().filter(|outcome| outcome.state == state).count();
    let Origin { nvflare, scheme, recorded, .. } = origin;
    write!(out, "{}, {nvflare} over {scheme} of {recorded}: ", part.title())?;
    write!(out, "{} passed, {} failed", count(State::Pass), count(State::Fail))?;
    for state in &State::ALL[2..] {
        if count(*state) > 0 {
            write!(out, ", {} {state}", count(*state))?;
        }
    }
    writeln!(out)
}

/// Plays every transcript; the outcomes are in their order.
async fn play_all(
    origin: &Arc<Origin>,
    cases: &[(Arc<Case>, Arc<Transcript>)],
    part: Part,
    jobs: NonZeroUsize,
) -> Vec<Outcome> {
    let mut running = JoinSet::new();
    let mut outcomes: Vec<(usize, Outcome)> = Vec::new();
    let mut waiting = cases.iter().enumerate();
    loop {
        while running.len() < jobs.get()
            && let Some((index, (case, transcript))) = waiting.next()
        {
            let (origin, case, transcript) = (Arc::clone(origin), Arc::clone(case), Arc::clone(transcript));
            running.spawn(async move { (index, play(&origin, &case, &transcript, part).await) });
        }
        match running.join_next().await {
            Some(Ok(ended)) => outcomes.push(ended),
            Some(Err(error)) => {
                let mut outcome = Outcome::new("replay", "a transcript is played", State::HarnessError);
                outcome.message = Some(error.to_string());
                outcomes.push((cases.len(), outcome));
            }
            None => break,
        }
    }
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

async fn play(origin: &Origin, case: &Arc<Case>, transcript: &Transcript, part: Part) -> Outcome {
    let started = Instant::now();
    let played = async {
        if !transcript.left_out.is_empty() {
            let reasons: Vec<&str> = transcript.left_out.iter().map(String::as_str).collect();
            return Err(Finding::unsupported(reasons.join("; ")));
        }
        match part {
            Part::Server => on_recorded_server(origin, case, transcript).await,
            Part::Client => {
                // What happens to a job is looked at moment by moment.
                let is_about_jobs = transcript.exchanges.iter().any(|exchange| exchange.upload);
                let release = release_of(origin)?;
                let change = |builder: SimServerBuilder| {
                    let builder = builder.release(release);
                    if is_about_jobs { builder.clock(ClockMode::Real) } else { builder }
                };
                let target = Target::of_two_orgs(&origin.scheme, &origin.nvflare, change).await;
                let target = target.map_err(|error| Finding::harness(chain(&error)))?;
                client::replay(transcript, &target, &own_names(&target)).await
            }
        }
    };
    let verdict = tokio::time::timeout(LIMIT, played).await;
    let verdict = verdict.unwrap_or_else(|_| Err(Finding::fail(format!("not finished after {} s", LIMIT.as_secs()))));
    let mut outcome = Outcome::of(case, verdict);
    outcome.duration = started.elapsed();
    outcome
}

/// The release that the simulator is to behave like.
fn release_of(origin: &Origin) -> CaseResult<SimRelease> {
    let known = [SimRelease::V2_7, SimRelease::V2_8, SimRelease::V2_9];
    let found = known.into_iter().find(|known| known.version() == origin.nvflare);
    found.ok_or_else(|| Finding::unsupported(format!("the simulator is of no release {}", origin.nvflare)))
}

/// The studies in which something was said, for a server that has to open sessions in them.
fn studies_of(transcript: &Transcript) -> CaseResult<Option<NamedTempFile>> {
    let mut studies: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for exchange in transcript.exchanges.iter().filter(|exchange| !exchange.study.is_empty()) {
        studies.entry(&exchange.study).or_default().insert(&exchange.user);
    }
    if studies.is_empty() {
        return Ok(None);
    }
    let studies: Map<String, Value> = studies
        .into_iter()
        .map(|(study, users)| (study.to_owned(), json!({"admins": users, "site_orgs": {}})))
        .collect();
    let failed = |error: std::io::Error| Finding::harness(format!("a file of studies: {error}"));
    let file = NamedTempFile::new().map_err(failed)?;
    let text = json!({"format_version": "1.0", "studies": studies}).to_string();
    std::fs::write(file.path(), text).map_err(failed)?;
    Ok(Some(file))
}

/// Runs a case with our client on a server that answers as the recorded one did.
async fn on_recorded_server(origin: &Origin, case: &Arc<Case>, transcript: &Transcript) -> CaseResult {
    if transcript.fetches {
        return Err(Finding::unsupported("it fetches files, whose bytes are not recorded"));
    }
    let server = RecordedServer::new(transcript)?;
    let answers = server.clone();
    let release = release_of(origin)?;
    let studies = studies_of(transcript)?;
    let target = Target::of_two_orgs(&origin.scheme, &origin.nvflare, |builder| {
        let builder = builder.release(release);
        // Where no study was registered there is no file of them.
        let builder = studies.iter().fold(builder, |builder, file| builder.study_registry(file.path()));
        builder.script(move |asked| answers.answer(asked))
    });
    let target = Arc::new(target.await.map_err(|error| Finding::harness(chain(&error)))?);
    server.place(own_names(&target));
    for need in case.needed() {
        target.require(*need)?;
    }
    let scope = Scope::new(case.id(), Some(origin.seed));
    let found = scope.run(case.run(Context::new(Arc::clone(&target)))).await;
    // What a case found may follow from an answer that nobody recorded.
    let said = server.verdict();
    target.forget_leftovers();
    target.close_shared().await;
    said.and(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOBS: NonZeroUsize = NonZeroUsize::new(8).unwrap();

    async fn replayed(inputs: Vec<PathBuf>) -> (Exit, String) {
        let arguments = ReplayArguments { inputs, selection: Selection::default(), jobs: None };
        let mut out = Vec::new();
        let exit = run(&arguments, JOBS, &mut out).await.unwrap();
        (exit, String::from_utf8(out).unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_real_servers_were_recorded_to_say_is_played_on_both_sides() {
        let (exit, told) = replayed(Vec::new()).await;
        assert_eq!(exit, Exit::Green, "{told}");
        let ends: Vec<&str> = told.lines().filter(|line| line.contains(" passed, ")).collect();
        assert_eq!(ends.len(), 2 * flare_fixtures::transcripts().len(), "{told}");
        for end in ends {
            let passed = end.rsplit(": ").next().and_then(|counts| counts.split(' ').next());
            let passed: usize = passed.and_then(|count| count.parse().ok()).unwrap();
            assert!(passed >= 40, "{end}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_was_recorded_to_say_otherwise_is_noticed_by_both_sides() {
        let text = flare_fixtures::transcripts().remove(0);
        let changed = text.lines().filter(|line| line.contains("origin") || line.contains("\"api.shell.grep\""));
        let changed = changed.collect::<Vec<_>>().join("\n").replace("ssl_cert", "ssl_bert");
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), changed).unwrap();
        let (exit, told) = replayed(vec![file.path().to_owned()]).await;
        assert_eq!(exit, Exit::Failed, "{told}");
        assert_eq!(told.matches(": 0 passed, 1 failed").count(), 1, "{told}");
    }
}
