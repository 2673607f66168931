//! Status strings of jobs.

use std::fmt;

/// Where a job stands; shown as in a job's meta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobStatus {
    /// Waits for the scheduler.
    Submitted,
    /// Defined, and never set by any release.
    Approved,
    /// Deployed to the server and its sites.
    Dispatched,
    /// Its processes were started.
    Running,
    /// Ran to its end.
    Completed,
    /// Was aborted, before or while it ran.
    Aborted,
    /// Ended with an exception, somewhere.
    ExecutionException,
    /// Its processes died of what they ran on.
    Abnormal,
    /// The scheduler gave up.
    CanNotSchedule,
    /// Could not be deployed or started.
    FailedToRun,
    /// Defined, and never set by 2.9.0.
    Abandoned,
}

impl JobStatus {
    const ALL: [Self; 11] = [
        Self::Submitted,
        Self::Approved,
        Self::Dispatched,
        Self::Running,
        Self::Completed,
        Self::Aborted,
        Self::ExecutionException,
        Self::Abnormal,
        Self::CanNotSchedule,
        Self::FailedToRun,
        Self::Abandoned,
    ];

    /// Its text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Approved => "APPROVED",
            Self::Dispatched => "DISPATCHED",
            Self::Running => "RUNNING",
            Self::Completed => "FINISHED:COMPLETED",
            Self::Aborted => "FINISHED:ABORTED",
            Self::ExecutionException => "FINISHED:EXECUTION_EXCEPTION",
            Self::Abnormal => "FINISHED:ABNORMAL",
            Self::CanNotSchedule => "FINISHED:CAN_NOT_SCHEDULE",
            Self::FailedToRun => "FINISHED:FAILED_TO_RUN",
            Self::Abandoned => "FINISHED:ABANDONED",
        }
    }

    /// The status of this text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// True when the job is over.
    #[must_use]
    pub fn is_final(self) -> bool {
        self.as_str().starts_with("FINISHED:")
    }

    /// True for the ends that note how long the job ran.
    pub(super) const fn notes_duration(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Aborted | Self::ExecutionException | Self::Abnormal | Self::CanNotSchedule
        )
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
