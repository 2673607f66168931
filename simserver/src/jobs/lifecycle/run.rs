//! A job between its deployment and its end.

use std::collections::BTreeSet;
use std::time::Duration;

use flare_wire::Moment;
use serde_json::Value;

use crate::jobs::behaviour::{Ending, RunPlan, RunReport};
use crate::jobs::meta::JobStatus;
use crate::jobs::scheduler::Assignment;

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Deployed; the processes start then.
    Starting { at: Moment },
    /// The processes run.
    Running { started: Moment, aborted: Option<Moment> },
}

/// One run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) job_id: String,
    pub(super) app: String,
    pub(super) assignments: Vec<Assignment>,
    pub(super) sites: Vec<String>,
    pub(super) plan: RunPlan,
    pub(super) phase: Phase,
    /// Participants whose errors were reset.
    pub(super) reset: BTreeSet<String>,
}

impl Run {
    /// When it changes by itself.
    pub(super) fn deadline(&self, abort_time: Duration, outcome_wait: Duration) -> Option<Moment> {
        match self.phase {
            Phase::Starting { at } => Some(at),
            Phase::Running { started, aborted } => {
                let waits = self.plan.ending == Ending::Completed
                    && self.sites.iter().any(|site| self.plan.silent_sites.contains(site));
                let wait = if waits { outcome_wait } else { Duration::ZERO };
                let end = self.plan.duration().map(|duration| started + duration + wait);
                // Even an abort that comes too late to matter makes the job an aborted one.
                [end, aborted.map(|at| at + abort_time)].into_iter().flatten().min()
            }
        }
    }

    /// The status that its end leads to.
    pub(super) fn final_status(&self) -> JobStatus {
        if self.was_aborted() { JobStatus::Aborted } else { self.plan.ending.status() }
    }

    pub(super) fn was_aborted(&self) -> bool {
        matches!(self.phase, Phase::Running { aborted: Some(_), .. })
    }

    /// When its processes were started.
    pub(super) fn started(&self) -> Option<Moment> {
        match self.phase {
            Phase::Running { started, .. } => Some(started),
            Phase::Starting { .. } => None,
        }
    }

    pub(super) fn report(&self, now: Moment) -> RunReport<'_> {
        let elapsed = self.started().map_or(Duration::ZERO, |started| now.since(started));
        RunReport { job_id: &self.job_id, plan: &self.plan, sites: &self.sites, elapsed }
    }

    /// GPUs that it holds on a site.
    pub(super) fn gpus(&self, site: &str) -> u64 {
        let held = self.assignments.iter().filter(|assignment| assignment.site == site);
        held.filter_map(|assignment| assignment.requirement.get("num_of_gpus").and_then(Value::as_u64)).sum()
    }
}
