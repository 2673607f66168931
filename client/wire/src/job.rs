//! The words for where a job stands, which both ends use.

use std::fmt;

/// The status of a job, as the server stores it.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JobStatus {
    /// Waiting to be scheduled.
    Submitted,
    /// Approved for scheduling; no release known to this library sets it.
    Approved,
    /// Being deployed to the sites.
    Dispatched,
    /// Running.
    Running,
    /// Ended well.
    Completed,
    /// Aborted by a user.
    Aborted,
    /// Ended by an exception.
    ExecutionException,
    /// Ended in another bad way.
    Abnormal,
    /// Given up because the scheduler could not place it.
    CanNotSchedule,
    /// Could not be started.
    FailedToRun,
    /// Left over from an earlier run of the server.
    Abandoned,
    /// A status that this library does not know.
    Other(String),
}

/// Words of older releases for jobs that have ended (`reference/client-api.md` section 7, `monitor_job`).
const LEGACY_FINAL: [&str; 5] = ["FINISHED_OK", "FINISHED_EXCEPTION", "ABORTED", "ABANDONED", "FAILED"];

impl JobStatus {
    const KNOWN: [(Self, &'static str); 11] = [
        (Self::Submitted, "SUBMITTED"),
        (Self::Approved, "APPROVED"),
        (Self::Dispatched, "DISPATCHED"),
        (Self::Running, "RUNNING"),
        (Self::Completed, "FINISHED:COMPLETED"),
        (Self::Aborted, "FINISHED:ABORTED"),
        (Self::ExecutionException, "FINISHED:EXECUTION_EXCEPTION"),
        (Self::Abnormal, "FINISHED:ABNORMAL"),
        (Self::CanNotSchedule, "FINISHED:CAN_NOT_SCHEDULE"),
        (Self::FailedToRun, "FINISHED:FAILED_TO_RUN"),
        (Self::Abandoned, "FINISHED:ABANDONED"),
    ];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(text) => text,
            known => Self::KNOWN.iter().find(|(status, _)| status == known).map_or("", |(_, text)| text),
        }
    }

    /// True when the job will not change any more. An unknown status that begins with `FINISHED` counts as final.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.as_str().starts_with("FINISHED") || LEGACY_FINAL.contains(&self.as_str())
    }
}

impl From<&str> for JobStatus {
    fn from(text: &str) -> Self {
        Self::KNOWN
            .into_iter()
            .find(|(_, known)| *known == text)
            .map_or_else(|| Self::Other(text.to_owned()), |(status, _)| status)
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_keeps_its_word() {
        for (status, text) in JobStatus::KNOWN {
            assert_eq!(JobStatus::from(text), status);
            assert_eq!(status.as_str(), text);
            assert_eq!(status.is_final(), text.starts_with("FINISHED:"), "{text}");
        }
    }

    #[test]
    fn unknown_words_are_kept_and_judged_by_their_beginning() {
        assert_eq!(JobStatus::from("PAUSED"), JobStatus::Other("PAUSED".into()));
        assert!(!JobStatus::from("PAUSED").is_final());
        assert!(JobStatus::from("FINISHED:NEW").is_final());
        assert!(JobStatus::from("ABORTED").is_final());
    }
}
