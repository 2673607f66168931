//! The command line: parsed into a struct, then run.

use std::error::Error;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand, ValueEnum};
use globset::{Glob, GlobSet, GlobSetBuilder};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tracing_subscriber::EnvFilter;

use crate::bench::{self, BenchError, ServeArguments, TransferArguments};
use crate::clients::{self, ClientArguments, ScoreArguments};
use crate::diff::{self, DiffArguments, MatrixArguments, Tally};
use crate::finding::chain;
use crate::methods::{self, TableArguments};
use crate::mutants::{self, MutantsArguments, MutantsError};
use crate::progress::Progress;
#[cfg(target_os = "linux")]
use crate::real::{RealCommand, RealError};
use crate::report::{self, Rendered, ReportArguments, RunFacts, Shard, replace_file};
use crate::requirement::{self, Requirement, Standing};
use crate::seeds::{self, SeedsArguments};
use crate::trace::{self, TraceArguments};
use crate::transcripts::{self, RecordArguments, ReplayArguments};
use crate::{
    Case, CaseResult, Exit, KnownFailing, Level, Manifest, Report, Risk, Runner, Target, Transcripts, dry_run, suites,
};

/// Cases wait for sockets and signatures most of the time, so several per processor keep it busy without making a
/// small server late.
const CASES_PER_PROCESSOR: usize = 4;

/// The same on a simulator in this process, whose cases wait for their own clocks: from here on more do not end earlier
/// (two processors: 8 cases 12 s, 16 cases 10 s, 32 cases 8.4 s, 64 cases 8.5 s).
const CASES_IN_PROCESS_PER_PROCESSOR: usize = 16;

/// Shows that a FLARE server behaves as FLARE servers do.
///
/// Without a command: runs every case on an in-process simulator.
#[derive(Debug, Parser)]
#[command(name = "flare-conformance", version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArguments,
}

const EXIT_CODES: &str = "Exit codes:
  0    at least one case passed, and none ended in a way that is not acceptable
  1    a case failed, was indeterminate, or passed although it is listed as failing
  2    the command line is wrong
  3    the suite itself failed in a case; nothing is said about the subject
  4    the target cannot be used, or a real federation did not come up or go down
  5    nothing was tested
  6    a report file or a known-failing list cannot be written or read
  130  interrupted";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run cases on a target.
    Run(RunArguments),
    /// List the cases, or the requirements they check.
    List(ListArguments),
    /// Say random command lines to two federations and compare their replies.
    Diff(DiffArguments),
    /// Make readable forms of the reports of runs, and one report from the reports of the parts of a run.
    Report(ReportArguments),
    /// Write a table of every documented method and argument from the reports of runs.
    Table(TableArguments),
    /// Write a table of every requirement, its cases, and what was last seen of them in the reports of runs.
    Trace(TraceArguments),
    /// Write the list of the sentences of the seed documents.
    #[command(hide = true)]
    Seeds(SeedsArguments),
    /// Say every command as every administrator to two federations and compare their replies.
    Matrix(MatrixArguments),
    /// Run the suite on simulators that each have one rule broken: a case has to fail on every one.
    Mutants(MutantsArguments),
    /// Record what a real server says to the cases, for `replay`.
    Record(RecordArguments),
    /// Play recordings: our client on the recorded server, and the recorded client on the simulator.
    Replay(ReplayArguments),
    /// Test any client: a process that speaks JSON lines, with the simulator as referee (docs/client-protocol.md).
    Client(ClientArguments),
    /// Our own client as the one that `client` tests.
    #[command(hide = true)]
    ClientAdapter,
    /// Write a table of what `client` found about each client, from its reports.
    Score(ScoreArguments),
    /// Measure our client on the simulator beside a plain echo over TLS and WebSocket.
    Bench,
    /// The simulator's process that `bench` measures.
    #[command(hide = true)]
    BenchServe(ServeArguments),
    /// The client's process that `bench` measures.
    #[command(hide = true)]
    BenchTransfer(TransferArguments),
    /// Bring up a real FLARE federation, or take it down.
    #[cfg(target_os = "linux")]
    #[command(subcommand)]
    Real(RealCommand),
}

#[derive(Debug, Args)]
struct RunArguments {
    /// Folder with one startup kit folder per participant; without it an in-process simulator is the target.
    #[arg(long, value_name = "KITS_DIR")]
    target: Option<PathBuf>,
    /// Transport of the in-process simulator.
    #[arg(long, value_enum, default_value_t = Scheme::Http, conflicts_with = "target")]
    scheme: Scheme,
    /// What cases may do on a deployment beyond reading; may be given several times.
    #[arg(long, value_enum, value_name = "WHAT", requires = "target")]
    allow: Vec<Allowed>,
    #[command(flatten)]
    selection: Selection,
    /// Only say what would be done, case by case, and touch nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    options: RunOptions,
}

/// How cases are run, and what is written about them, whoever is under test.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// Write the report as JSON to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) rendered: Rendered,
    /// Run only the k-th of n parts of the cases; `report` makes one report from those of all parts.
    #[arg(long, value_name = "K/N")]
    pub(crate) shard: Option<Shard>,
    /// Take the order of the cases and their random names from this number: the same number gives the same report.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Which cases get what went over the wire into the report, secrets removed.
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = Transcripts::Failed)]
    pub(crate) transcripts: Transcripts,
    /// How many cases run at the same time.
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Cap the time limit of every case, in seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) time_limit: Option<u64>,
    /// Known-failing list to use instead of the one that is built in for the target.
    #[arg(long, value_name = "FILE")]
    pub(crate) known_failing: Option<PathBuf>,
}

impl RunOptions {
    /// Writes the report where it is wanted.
    pub(crate) fn write(&self, report: &Report) -> io::Result<()> {
        if let Some(path) = &self.json {
            replace_file(path, &report.to_json()?)?;
        }
        self.rendered.write(std::slice::from_ref(report))
    }
}

/// Which cases.
#[derive(Debug, Default, Args)]
pub(crate) struct Selection {
    /// Only cases whose id matches (`session.*`); may be given several times.
    #[arg(long = "case", value_name = "GLOB")]
    cases: Vec<String>,
    /// Only cases of these levels (`L1,L2`).
    #[arg(long = "level", value_enum, value_name = "LEVELS", value_delimiter = ',', ignore_case = true)]
    levels: Vec<Level>,
}

#[derive(Debug, Args)]
struct ListArguments {
    #[command(flatten)]
    selection: Selection,
    /// List the requirements with their sources instead of the cases.
    #[arg(long)]
    requirements: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Allowed {
    /// Make jobs and studies of their own, and remove them again.
    OwnObjects,
    /// Disable sites for a while, drop their registrations, restart them.
    Sites,
    /// Restart the server; at the end, shut the whole system down.
    System,
}

impl Allowed {
    const fn risk(self) -> Risk {
        match self {
            Self::OwnObjects => Risk::OwnObjects,
            Self::Sites => Risk::Sites,
            Self::System => Risk::System,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scheme {
    Http,
    Tcp,
    Grpc,
}

impl Scheme {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Grpc => "grpc",
        }
    }
}

/// Runs what `arguments` say and gives the exit code.
#[must_use]
pub fn main(arguments: Arguments) -> Exit {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error")))
        .with_writer(io::stderr)
        .init();
    let command = arguments.command.unwrap_or(Command::Run(arguments.run));
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return complain(Exit::Harness, &error),
    };
    match command {
        Command::Run(arguments) => runtime.block_on(until_interrupted(run(arguments))),
        Command::List(arguments) => list(&arguments),
        Command::Diff(arguments) => runtime.block_on(until_interrupted(differential(arguments))),
        Command::Table(arguments) => written(methods::write(&arguments)),
        Command::Trace(arguments) => written(trace::write(&arguments)),
        Command::Seeds(arguments) => written(seeds::write(&arguments)),
        Command::Report(arguments) => match report::run(&arguments) {
            Ok(reports) => Exit::of_all(reports.iter().map(Report::outcomes)),
            Err(error) => complain(Exit::File, error.as_ref()),
        },
        Command::Matrix(arguments) => runtime.block_on(until_interrupted(matrix(arguments))),
        Command::Mutants(arguments) => runtime.block_on(until_interrupted(judged(arguments))),
        Command::Record(arguments) => runtime.block_on(until_interrupted(async {
            let ended = transcripts::record(&arguments, &mut io::stdout()).await;
            ended.unwrap_or_else(|(exit, error)| complain(exit, error.as_ref()))
        })),
        Command::Replay(arguments) => runtime.block_on(until_interrupted(async {
            let ended = transcripts::replay(&arguments, default_jobs(), &mut io::stdout()).await;
            ended.unwrap_or_else(|(exit, error)| complain(exit, error.as_ref()))
        })),
        Command::Client(arguments) => runtime.block_on(until_interrupted(async {
            let ended = clients::run(&arguments, &mut io::stdout()).await;
            ended.unwrap_or_else(|(exit, error)| complain(exit, error.as_ref()))
        })),
        Command::ClientAdapter => match runtime.block_on(clients::serve_own_client()) {
            Ok(()) => Exit::Green,
            Err(error) => complain(Exit::Harness, &error),
        },
        Command::Score(arguments) => match clients::write_score(&arguments) {
            Ok(()) => Exit::Green,
            Err(error) => complain(Exit::File, &error),
        },
        Command::Bench => runtime.block_on(until_interrupted(measured(bench::run(&mut io::stdout())))),
        Command::BenchServe(arguments) => runtime.block_on(until_interrupted(measured(bench::serve(&arguments)))),
        Command::BenchTransfer(arguments) => runtime.block_on(until_interrupted(measured(bench::transfer(&arguments)))),
        #[cfg(target_os = "linux")]
        Command::Real(command) => runtime.block_on(real(command)),
    }
}

fn written(result: io::Result<()>) -> Exit {
    match result {
        Ok(()) => Exit::Green,
        Err(error) => complain(Exit::File, &error),
    }
}

async fn differential(arguments: DiffArguments) -> Exit {
    compared(diff::run(&arguments, &mut io::stdout()).await)
}

async fn matrix(arguments: MatrixArguments) -> Exit {
    compared(diff::matrix(&arguments, &mut io::stdout()).await)
}

fn compared(tally: CaseResult<Tally>) -> Exit {
    match tally {
        Ok(Tally { different: 0, same: 0 }) => Exit::Nothing,
        Ok(Tally { different: 0, .. }) => Exit::Green,
        Ok(_) => Exit::Failed,
        Err(finding) => complain(Exit::Target, &finding),
    }
}

async fn judged(arguments: MutantsArguments) -> Exit {
    match mutants::run(&arguments, default_jobs(), &mut io::stdout()).await {
        Ok(survivors) if survivors.is_empty() => Exit::Green,
        Ok(_) => Exit::Failed,
        Err(error @ MutantsError::Target(_)) => complain(Exit::Target, &error),
        Err(error @ MutantsError::NotGreen(_)) => complain(Exit::Harness, &error),
        Err(error @ MutantsError::Io(_)) => complain(Exit::File, &error),
    }
}

async fn measured(work: impl Future<Output = Result<(), BenchError>>) -> Exit {
    match work.await {
        Ok(()) => Exit::Green,
        Err(error) => complain(Exit::Harness, error.as_ref()),
    }
}

async fn until_interrupted(work: impl Future<Output = Exit>) -> Exit {
    tokio::select! {
        exit = work => exit,
        _ = tokio::signal::ctrl_c() => Exit::Interrupted,
    }
}

/// Not to be dropped half-way: it listens for signals itself, and cleans up before it ends.
#[cfg(target_os = "linux")]
async fn real(command: RealCommand) -> Exit {
    match command.run().await {
        Ok(()) => Exit::Green,
        Err(error @ RealError::Interrupted) => complain(Exit::Interrupted, &error),
        Err(error) => complain(Exit::Target, &error),
    }
}

async fn run(arguments: RunArguments) -> Exit {
    let mut cases = match arguments.selection.select() {
        Ok(cases) => cases,
        Err(error) => return complain(Exit::Usage, &error),
    };
    cases.retain(|case| arguments.options.shard.is_none_or(|shard| shard.has(case.id())));
    if arguments.dry_run {
        return arguments.tell(&cases);
    }
    let target = match &arguments.target {
        Some(folder) => Target::deployed(folder)
            .await
            .map(|target| arguments.allow.iter().fold(target, |target, allowed| target.allowing(allowed.risk()))),
        None => Target::simulated(arguments.scheme.as_str()).await,
    };
    let target = match target {
        Ok(target) => Arc::new(target),
        Err(error) => return complain(Exit::Target, &error),
    };
    let known = match arguments.known(&target) {
        Ok(known) => known,
        Err(error) => return complain(Exit::File, error.as_ref()),
    };
    // A simulator of our own is there for this run alone, and cases wait for most of their time.
    let usual = if arguments.target.is_none() { in_process_jobs } else { default_jobs };
    let jobs = arguments.options.jobs.unwrap_or_else(usual);
    let time_limit = arguments.options.time_limit.map(Duration::from_secs);
    let (seed, transcripts) = (arguments.options.seed, arguments.options.transcripts);
    let runner = Runner { jobs, time_limit, known, seed, transcripts };

    let mut facts = RunFacts::now();
    facts.jobs = jobs.get();
    facts.seed = arguments.options.seed;
    facts.shard = arguments.options.shard;
    facts.allowed = target.allowed().collect();
    facts.manifest = target.manifest().release().to_string();
    facts.selected = arguments.selection.words();
    let started = Instant::now();
    let mut progress = Progress::start(cases.len());
    let outcomes = runner.run(cases, &target, |outcome| progress.ended(outcome)).await;
    progress.finish();
    let report = Report::of_server(&target, facts, outcomes, started.elapsed());
    // As for the lines before: a closed pipe is no reason to stop.
    let _ = report.write_summary(&mut io::stdout().lock());
    match arguments.options.write(&report) {
        Ok(()) => Exit::of(report.outcomes()),
        Err(error) => complain(Exit::File, &error),
    }
}

impl RunArguments {
    /// Says what a run would do. A deployment is not asked for its release.
    fn tell(&self, cases: &[Case]) -> Exit {
        let allowed = match &self.target {
            Some(_) => self.allow.iter().map(|allowed| allowed.risk()).collect(),
            None => Risk::ALL.to_vec(),
        };
        let release = self.target.is_none().then(|| Manifest::newest().release());
        match dry_run::write(&mut io::stdout().lock(), cases, &allowed, release) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => complain(Exit::File, &error),
            _ if cases.is_empty() => Exit::Nothing,
            _ => Exit::Green,
        }
    }

    fn known(&self, target: &Target) -> Result<KnownFailing, Box<dyn Error>> {
        if let Some(path) = &self.options.known_failing {
            return Ok(KnownFailing::parse(&std::fs::read_to_string(path)?)?.on(today()));
        }
        let list = match (&self.target, &target.description().version) {
            (None, _) => KnownFailing::simulated()?,
            (Some(_), Some(version)) => KnownFailing::release(version)?,
            (Some(_), None) => KnownFailing::default(),
        };
        Ok(list.on(today()))
    }
}

/// The day by which lists expire, everywhere the same.
pub(crate) fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

fn default_jobs() -> NonZeroUsize {
    per_processor(CASES_PER_PROCESSOR)
}

fn in_process_jobs() -> NonZeroUsize {
    per_processor(CASES_IN_PROCESS_PER_PROCESSOR)
}

fn per_processor(cases: usize) -> NonZeroUsize {
    let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    processors.saturating_mul(NonZeroUsize::new(cases).unwrap_or(NonZeroUsize::MIN))
}

fn list(arguments: &ListArguments) -> Exit {
    let all = suites::all().into_iter().chain(clients::catalogue()).collect();
    let cases = match arguments.selection.of(all) {
        Ok(cases) => cases,
        Err(error) => return complain(Exit::Usage, &error),
    };
    let mut out = io::stdout().lock();
    let written = if arguments.requirements { list_requirements(&mut out) } else { list_cases(&mut out, &cases) };
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => complain(Exit::File, &error),
        _ if cases.is_empty() => Exit::Nothing,
        _ => Exit::Green,
    }
}

fn list_cases(out: &mut impl Write, cases: &[Case]) -> io::Result<()> {
    for case in cases {
        let level = case.level().map_or("", Level::as_str);
        writeln!(out, "{}  {level}  {}", case.id(), case.title())?;
        writeln!(out, "    checks {}", case.requirements().join(", "))?;
        for need in case.needed() {
            writeln!(out, "    needs {need}")?;
        }
    }
    Ok(())
}

fn list_requirements(out: &mut impl Write) -> io::Result<()> {
    for requirement in requirement::all() {
        let Requirement { id, keyword, since, text, .. } = requirement;
        writeln!(out, "{id}  {keyword}  since {since}  {text}")?;
        match requirement.standing() {
            Standing::Checked => writeln!(out, "    {}", requirement.origin())?,
            Standing::Excluded { reason } => writeln!(out, "    {}; excluded: {reason}", requirement.origin())?,
            Standing::Planned { reason } => writeln!(out, "    {}; planned: {reason}", requirement.origin())?,
        }
    }
    Ok(())
}

impl Selection {
    /// What was asked for, for reports.
    pub(crate) fn words(&self) -> Vec<String> {
        self.cases.iter().cloned().chain(self.levels.iter().map(ToString::to_string)).collect()
    }

    pub(crate) fn select(&self) -> Result<Vec<Case>, globset::Error> {
        self.of(suites::all())
    }

    /// Those of `cases` that were asked for.
    pub(crate) fn of(&self, mut cases: Vec<Case>) -> Result<Vec<Case>, globset::Error> {
        if !self.cases.is_empty() {
            let globs = self.globs()?;
            cases.retain(|case| globs.is_match(case.id()));
        }
        if !self.levels.is_empty() {
            cases.retain(|case| case.level().is_some_and(|level| self.levels.contains(&level)));
        }
        Ok(cases)
    }

    fn globs(&self) -> Result<GlobSet, globset::Error> {
        let mut globs = GlobSetBuilder::new();
        for glob in &self.cases {
            globs.add(Glob::new(glob)?);
        }
        globs.build()
    }
}

/// Prints an error with its causes, once.
#[expect(clippy::print_stderr, reason = "errors of the binary go to stderr")]
fn complain(exit: Exit, error: &(dyn Error + 'static)) -> Exit {
    eprintln!("error: {}", chain(error));
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }

    #[test]
    fn globs_select_cases_by_id() {
        let select = |globs: &[&str]| {
            let cases = globs.iter().map(|glob| (*glob).to_owned()).collect();
            Selection { cases, levels: Vec::new() }
                .select()
                .unwrap()
                .iter()
                .map(|case| case.id().to_owned())
                .collect::<Vec<_>>()
        };
        assert!(select(&["handshake.*"]).iter().all(|id| id.starts_with("handshake.")));
        assert!(select(&["nothing.*"]).is_empty());
        assert_eq!(select(&[]).len(), suites::all().len());
        assert!(Selection { cases: vec!["[".into()], levels: Vec::new() }.select().is_err());
    }
}
