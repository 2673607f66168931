//! Which waiting job starts next, and what its history says when it does not.
//!
//! One [pass](run_pass) looks at every waiting job in the order of submission and starts at most one. It is a function
//! of the jobs, the federation and the time, so the loop around it decides how often it runs.
//! Source: `reference/server-behaviour.md` section 10.3.

mod attempt;
#[cfg(test)]
mod tests;

use std::time::Duration;

use flare_wire::Moment;
use flare_wire::hci::JsonObject;
use jiff::tz::Offset;

use super::meta::{JobMeta, Schedule};
use super::python::local_seconds;

pub use attempt::{Assignment, ResourceCheck, Surroundings, Verdict, attempt};

/// Settings of the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedulerPolicy {
    /// While this many jobs run, no waiting one is looked at.
    pub max_jobs: usize,
    /// After this many attempts the scheduler gives up.
    pub max_schedule_count: u64,
    /// Pause after the first two attempts; it doubles with each further one.
    pub min_schedule_interval: Duration,
    /// Longest pause.
    pub max_schedule_interval: Duration,
}

/// What provisioning and the POC mode write into the server's configuration.
impl Default for SchedulerPolicy {
    fn default() -> Self {
        Self {
            max_jobs: 4,
            max_schedule_count: 10,
            min_schedule_interval: Duration::from_secs(10),
            max_schedule_interval: Duration::from_secs(600),
        }
    }
}

impl SchedulerPolicy {
    /// When the next attempt on a job is due: at once for a job that was given up on, since that check ignores the
    /// pause.
    #[must_use]
    pub fn due(&self, schedule: &Schedule) -> Moment {
        if schedule.count == 0 || schedule.count >= self.max_schedule_count {
            return Moment::default();
        }
        let doublings = u32::try_from(schedule.count - 1).unwrap_or(u32::MAX);
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        let pause = self.min_schedule_interval.saturating_mul(factor).min(self.max_schedule_interval);
        schedule.last + pause
    }
}

/// What a pass did to one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// The job.
    pub job_id: String,
    /// Its attempts, this one included.
    pub schedule: Schedule,
    /// True when it can not be scheduled and never will be.
    pub given_up: bool,
}

/// The job that a pass starts. Its attempts are kept only once it was deployed.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    /// The job.
    pub job_id: String,
    /// Its attempts, this one included.
    pub schedule: Schedule,
    /// The sites that run it, in the order of the check.
    pub sites: Vec<Assignment>,
}

/// What came of a pass.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pass {
    /// Jobs that were tried in vain.
    pub attempted: Vec<Attempted>,
    /// The job to start.
    pub ready: Option<Ready>,
    /// The job over which the scheduler stumbled: neither it nor any later one is looked at until it is gone.
    pub stalled: Option<String>,
}

/// Looks at the waiting jobs, which come in the order of submission. The caller skips the pass while
/// [`SchedulerPolicy::max_jobs`] jobs run, and while no site is registered.
pub fn run_pass<'a>(
    policy: &SchedulerPolicy,
    waiting: impl IntoIterator<Item = &'a JobMeta>,
    surroundings: &mut impl Surroundings,
    now: Moment,
    offset: Offset,
) -> Pass {
    let mut pass = Pass::default();
    for meta in waiting {
        let schedule = meta.schedule();
        if policy.due(&schedule) > now {
            continue;
        }
        let job_id = meta.job_id().to_owned();
        let note = |result: &str| noted(schedule.clone(), result, now, offset);
        if schedule.count >= policy.max_schedule_count {
            let result = format!("exceeded max schedule count {}", policy.max_schedule_count);
            pass.attempted.push(Attempted { job_id, schedule: note(&result), given_up: true });
            continue;
        }
        match attempt(meta, surroundings) {
            Verdict::Start(sites) => {
                pass.ready = Some(Ready { job_id, schedule: note("scheduled"), sites });
                break;
            }
            Verdict::Retry(result) => {
                pass.attempted.push(Attempted { job_id, schedule: note(&result), given_up: false });
            }
            Verdict::GiveUp(result) => {
                pass.attempted.push(Attempted { job_id, schedule: note(&result), given_up: true });
            }
            Verdict::Stall => {
                pass.stalled = Some(job_id);
                break;
            }
        }
    }
    pass
}

/// The attempts with one more.
fn noted(mut schedule: Schedule, result: &str, now: Moment, offset: Offset) -> Schedule {
    schedule.count += 1;
    schedule.last = now;
    schedule.history.push(format!("{}: {result}", local_seconds(now, offset)));
    schedule
}

/// The resources that a job asks of a site's resource manager.
pub(super) fn requirement(meta: &JobMeta, site: &str) -> JsonObject {
    super::definition::resource_requirement(meta.fields(), site)
}
