//! The subcommand `record`.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;

use super::extract::{OwnNames, extract};
use super::model::{Origin, Recording};
use crate::cli::{Selection, today};
use crate::recorder::Said;
use crate::report::{replace_file, write_outcome};
use crate::{Case, Exit, Risk, Runner, State, Target};

/// What to record.
#[derive(Debug, Args)]
pub(crate) struct RecordArguments {
    /// Folder with the startup kits of a federation made of `conformance/projects/two-orgs.yml`.
    #[arg(long, value_name = "KITS_DIR")]
    target: PathBuf,
    /// Folder that `<release>.jsonl` is written to.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Also record cases that make jobs and studies of their own.
    #[arg(long)]
    own_objects: bool,
    #[command(flatten)]
    selection: Selection,
    /// What the random names of the cases follow from. Two recordings of one server need two.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

/// What cases said and heard, by case.
#[derive(Debug, Default)]
pub(crate) struct Tapes(Mutex<Vec<(String, Vec<Said>)>>);

impl Tapes {
    /// Keeps what a case said and heard.
    pub(crate) fn keep(&self, case: &str, said: Vec<Said>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((case.to_owned(), said));
    }

    fn take(&self, case: &str) -> Vec<Said> {
        let mut tapes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = tapes.iter().position(|(of, _)| of == case);
        index.map(|index| tapes.swap_remove(index).1).unwrap_or_default()
    }
}

/// Runs the cases one after the other and writes what passed.
///
/// # Errors
/// With the exit code, when the target cannot be used or the file not be written.
///
/// # Cancel safety
/// Dropping the future aborts the case that runs, and writes nothing.
pub(crate) async fn run(arguments: &RecordArguments, out: &mut impl Write) -> Result<Exit, (Exit, Box<dyn Error>)> {
    let mut cases = arguments.selection.select().map_err(|error| (Exit::Usage, error.into()))?;
    cases.retain(|case| case.risk() == Risk::Read || (arguments.own_objects && case.risk() == Risk::OwnObjects));
    let target = Target::deployed(&arguments.target).await.map_err(|error| (Exit::Target, error.into()))?;
    let target = if arguments.own_objects { target.allowing(Risk::OwnObjects) } else { target };
    let description = target.description().clone();
    let own = own_names(&target);
    let target = Arc::new(target);
    let tapes = Tapes::default();
    let runner = Runner { seed: Some(arguments.seed), ..Runner::default() };
    let ids: Vec<String> = cases.iter().map(Case::id).map(str::to_owned).collect();
    let mut outcomes = Vec::new();
    for case in cases {
        // Each by itself, and what it made is gone before the next one: lists show nothing of other cases.
        let ended = runner.run_recorded(vec![case], &target, Some(&tapes), |outcome| drop(write_outcome(out, outcome)));
        outcomes.extend(ended.await);
    }
    let passed = |id: &&String| outcomes.iter().any(|outcome| outcome.case == **id && outcome.state == State::Pass);
    let recording = Recording {
        origin: Origin {
            nvflare: description.version.unwrap_or_default(),
            scheme: description.scheme,
            recorded: today().to_string(),
            seed: arguments.seed,
        },
        transcripts: ids.iter().filter(passed).map(|id| extract(id, &tapes.take(id), &own)).collect(),
    };
    let path = arguments.output.join(format!("{}.jsonl", recording.origin.nvflare));
    let text = recording.to_text().map_err(|error| (Exit::File, error.into()))?;
    replace_file(&path, &text).map_err(|error| (Exit::File, error.into()))?;
    let replayable = recording.transcripts.iter().filter(|transcript| transcript.left_out.is_empty()).count();
    // A closed pipe is no reason to fail: the file is written.
    let _ = writeln!(
        out,
        "recorded: {} cases, {replayable} of them with commands that can be said again, in {}",
        recording.transcripts.len(),
        path.display()
    );
    Ok(Exit::of(&outcomes))
}

/// The names of a deployment that no other one shares.
pub(super) fn own_names(target: &Target) -> OwnNames {
    let folder = target.kits_folder().display().to_string();
    let port = target.any_admin().map(|kit| kit.server.port.to_string());
    let ports = port.into_iter().map(|port| (port, "<port>"));
    OwnNames([(folder, "<kits>")].into_iter().chain(ports).collect())
}
