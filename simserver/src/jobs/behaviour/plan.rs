//! The course of one run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::jobs::meta::JobStatus;

/// From the start of the processes to the first round, to the end of the last, and from there to the archived
/// workspace. A job of two rounds took 13 to 15 s on the recorded system, one with a fault 8 to 11 s.
const START_UP: Duration = Duration::from_secs(5);
const ROUND: Duration = Duration::from_secs(2);
const SHUT_DOWN: Duration = Duration::from_secs(4);
const FAULT: Duration = Duration::from_secs(10);

/// How a run ends when nobody aborts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// All rounds done.
    Completed,
    /// An exception, on a site or (without one) on the server.
    Exception {
        /// Where.
        site: Option<String>,
        /// What the error log says.
        text: String,
    },
    /// The job's process died on these sites before it checked in.
    Abnormal {
        /// Where.
        sites: Vec<String>,
        /// What the error logs say.
        text: String,
    },
    /// Not at all.
    UntilAborted,
}

impl Ending {
    /// The status that the job then has.
    #[must_use]
    pub const fn status(&self) -> JobStatus {
        match self {
            Self::Completed => JobStatus::Completed,
            Self::Exception { .. } => JobStatus::ExecutionException,
            Self::Abnormal { .. } => JobStatus::Abnormal,
            Self::UntilAborted => JobStatus::Aborted,
        }
    }

    /// The sites that send an error log, each with its text.
    #[must_use]
    pub fn site_errors(&self) -> Vec<(&str, &str)> {
        match self {
            Self::Exception { site: Some(site), text } => vec![(site, text)],
            Self::Abnormal { sites, text } => sites.iter().map(|site| (site.as_str(), text.as_str())).collect(),
            _ => Vec::new(),
        }
    }
}

/// One workflow of the server's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    /// Its id.
    pub id: String,
    /// The name of its class, without the module.
    pub class: String,
    /// The class with its module.
    pub class_path: String,
    /// How many rounds it has.
    pub rounds: u64,
    /// The task that its clients do.
    pub task: String,
}

/// What a run does.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPlan {
    /// The workflows, one after the other.
    pub workflows: Vec<Workflow>,
    /// How long a round takes.
    pub round_time: Duration,
    /// How long the whole run takes; derived from the rounds when not given.
    pub running_time: Option<Duration>,
    /// How it ends.
    pub ending: Ending,
    /// Sites that take part and never answer a question about it.
    pub silent_sites: BTreeSet<String>,
    /// The class on the server that warns of what sites send, in each of the first rounds.
    pub warns: Option<String>,
    /// Lines for the server's log, with the time since the start.
    pub log: Vec<(Duration, String)>,
    /// Files that it leaves in the workspace, by path.
    pub results: BTreeMap<String, Vec<u8>>,
}

impl RunPlan {
    /// A run of these workflows that completes.
    #[must_use]
    pub const fn new(workflows: Vec<Workflow>) -> Self {
        Self {
            workflows,
            round_time: ROUND,
            running_time: None,
            ending: Ending::Completed,
            silent_sites: BTreeSet::new(),
            warns: None,
            log: Vec::new(),
            results: BTreeMap::new(),
        }
    }

    /// When it ends by itself, counted from its start; `None` when it does not.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        if self.ending == Ending::UntilAborted {
            return None;
        }
        let rounds: u64 = self.workflows.iter().map(|workflow| workflow.rounds).fold(0, u64::saturating_add);
        let derived = || match self.ending {
            Ending::Completed => START_UP
                .saturating_add(self.round_time.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX)))
                .saturating_add(SHUT_DOWN),
            _ => FAULT,
        };
        Some(self.running_time.unwrap_or_else(derived))
    }

    /// The workflow and its round at this time since the start; the last one stays until the end.
    #[must_use]
    pub fn position(&self, elapsed: Duration) -> Option<(&Workflow, u64)> {
        let since_first = elapsed.saturating_sub(START_UP);
        let mut round = since_first.as_nanos() / self.round_time.as_nanos().max(1);
        for (index, workflow) in self.workflows.iter().enumerate() {
            let rounds = u128::from(workflow.rounds);
            if round < rounds {
                return Some((workflow, u64::try_from(round).unwrap_or(u64::MAX)));
            }
            if index + 1 == self.workflows.len() {
                return Some((workflow, workflow.rounds.saturating_sub(1)));
            }
            round -= rounds;
        }
        None
    }

    /// When this round of this workflow starts, counted from the start of the run.
    #[must_use]
    pub fn round_start(&self, workflow: usize, round: u64) -> Duration {
        let before: u64 = self.workflows.iter().take(workflow).map(|workflow| workflow.rounds).sum();
        START_UP + self.round_time.saturating_mul(u32::try_from(before.saturating_add(round)).unwrap_or(u32::MAX))
    }
}
