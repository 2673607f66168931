//! Settings of the jobs of a server.

use std::time::Duration;

use jiff::tz::Offset;

use crate::jobs::scheduler::SchedulerPolicy;
use crate::mutants::Mutants;
use crate::release::Release;

/// How often the real server's runner looks at the waiting jobs.
const TICK: Duration = Duration::from_secs(1);
/// From the deployment to running processes: 10 to 100 ms when all sites answer at once.
const START: Duration = Duration::from_millis(60);
/// From RUNNING until the processes can be asked, and from there until they have started to work: a real server on a busy
/// machine said `Cannot find job` for 3.9 and 4.7 s, and had empty statistics for another half.
const CHECK_IN: Duration = Duration::from_secs(4);
const WARM_UP: Duration = Duration::from_millis(500);
/// From the abort to the final status: 3 to 5 s.
const ABORT: Duration = Duration::from_secs(4);
/// The reply to an abort waits 2 s for the sites, and 1 s for the job's process on the server: 3.07 s each time.
const ABORT_REPLY: Duration = Duration::from_secs(3);
/// How long a check of resources waits for a site that hangs.
const HANGING_CHECK: Duration = Duration::from_secs(15);
/// How long a finished job waits for the outcome of a site that does not answer.
const OUTCOME_WAIT: Duration = Duration::from_secs(900);

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// Between two looks at the waiting jobs.
    pub tick: Duration,
    /// From the deployment to running processes.
    pub start: Duration,
    /// From running processes until they answer; a quarter of the run when that is less.
    pub check_in: Duration,
    /// From the first answers of a job until they hold something.
    pub warm_up: Duration,
    /// From the abort of a running job to its final status.
    pub abort: Duration,
    /// From the abort of a running job to the reply, which with a manual clock comes when its time is moved.
    pub abort_reply: Duration,
    /// How long a check of resources waits for a site that hangs.
    pub hanging_check: Duration,
    /// How long a finished job waits for a silent site.
    pub outcome_wait: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            tick: TICK,
            start: START,
            check_in: CHECK_IN,
            warm_up: WARM_UP,
            abort: ABORT,
            abort_reply: ABORT_REPLY,
            hanging_check: HANGING_CHECK,
            outcome_wait: OUTCOME_WAIT,
        }
    }
}

/// Races of the real server, which a test switches on to see one outcome of them always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quirks {
    /// A job that is aborted while DISPATCHED runs all the same, under the status FINISHED:ABORTED, and takes the
    /// status of its real end when it comes. Otherwise it never starts.
    pub aborted_while_dispatched_runs_on: bool,
}

/// Settings of the jobs of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSettings {
    /// The scheduler's.
    pub policy: SchedulerPolicy,
    /// How long things take.
    pub timings: Timings,
    /// Races that always end the same way.
    pub quirks: Quirks,
    /// The release; that of the server, whatever is set here.
    pub release: Release,
    /// The server's distance from UTC.
    pub offset: Offset,
    /// The project's name, as logs have it.
    pub project: String,
    /// Where the real server would keep its jobs; shown in one error.
    pub store_root: String,
    /// Rules that are broken; those of the server, whatever is set here.
    pub mutants: Mutants,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            policy: SchedulerPolicy::default(),
            timings: Timings::default(),
            quirks: Quirks::default(),
            release: Release::default(),
            offset: Offset::UTC,
            project: "example_project".to_owned(),
            store_root: "/tmp/nvflare/jobs-storage".to_owned(),
            mutants: Mutants::NONE,
        }
    }
}
