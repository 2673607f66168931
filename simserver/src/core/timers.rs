//! What the simulation waits for, by name.

use flare_wire::Moment;

/// What happens by itself when its time has come.
///
/// A test with a manual clock jumps from one to the next, or to the one that it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TimerName {
    /// The process of the server ends, as a command has told it.
    ServerEnd,
    /// The process of the server has started again, as a command has told it.
    ServerStart,
    /// Something was said meanwhile and is still to be sent.
    Outbox,
    /// The answer of a slow or silent site comes, or is not waited for any longer.
    SiteAnswer,
    /// A site that was away is back.
    SiteReturn,
    /// The housekeeping that ends a session.
    SessionSweep,
    /// The scheduler looks at the waiting jobs.
    SchedulerPass,
    /// The processes of this job start.
    JobStarted(String),
    /// The run of this job ends.
    JobFinished(String),
}

/// What the simulation waits for, and when it comes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// When.
    pub at: Moment,
    /// What.
    pub name: TimerName,
}
