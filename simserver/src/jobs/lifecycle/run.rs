//! A job between its deployment and its end.

use std::collections::BTreeMap;
use std::time::Duration;

use flare_wire::Moment;
use serde_json::Value;

use super::JobSettings;
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
    /// Participants whose errors were reset, and how long after the start.
    pub(super) reset: BTreeMap<String, Duration>,
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

    /// How long after their start the processes can be asked.
    pub(super) fn check_in(&self, settings: &JobSettings) -> Duration {
        let quarter = self.plan.duration().map(|duration| duration / 4);
        settings.timings.check_in.min(quarter.unwrap_or(Duration::MAX))
    }

    pub(super) fn report<'a>(&'a self, now: Moment, settings: &'a JobSettings) -> RunReport<'a> {
        let started = self.started().unwrap_or(now);
        let elapsed = now.since(started);
        RunReport {
            job_id: &self.job_id,
            project: &settings.project,
            started,
            offset: settings.offset,
            plan: &self.plan,
            sites: &self.sites,
            elapsed,
            works: elapsed >= self.check_in(settings) + settings.timings.warm_up,
        }
    }

    /// GPUs that it holds on a site.
    pub(super) fn gpus(&self, site: &str) -> u64 {
        let held = self.assignments.iter().filter(|assignment| assignment.site == site);
        held.filter_map(|assignment| assignment.requirement.get("num_of_gpus").and_then(Value::as_u64)).sum()
    }
}
