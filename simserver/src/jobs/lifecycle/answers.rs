//! What commands on jobs come to, and the replies that say so.

use flare_wire::hci::{MetaStatus, Reply};

use crate::jobs::behaviour::WorkspaceEntry;
use crate::jobs::definition::Refusal;
use crate::jobs::submit_records::TokenRefusal;
use crate::release::Release;

/// Why an argument names no job of the session's study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdRefusal {
    /// There is no argument.
    Missing,
    /// It is no version-4 UUID.
    Invalid(String),
    /// There is no such job, or it belongs to another study.
    Unknown(String),
}

impl IdRefusal {
    /// Adds the refusal to a reply.
    pub fn push_to(&self, reply: &mut Reply) {
        match self {
            Self::Missing => {
                reply.push_error_with("syntax error: missing job_id", &MetaStatus::SyntaxError, "missing job_id")
            }
            Self::Invalid(id) => reply.push_error_with(format!("invalid job_id {id}"), &MetaStatus::InvalidJobId, id),
            Self::Unknown(id) => reply.push_error_with(format!("no such job: {id}"), &MetaStatus::InvalidJobId, id),
        };
    }
}

/// Why a job was not taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmitRefusal {
    /// Its definition, or the server.
    Refused(Refusal),
    /// Its token.
    Token(TokenRefusal),
}

impl SubmitRefusal {
    /// Adds the refusal to a reply.
    pub fn push_to(&self, reply: &mut Reply) {
        match self {
            Self::Refused(refusal) => refusal.push_to(reply),
            Self::Token(refusal) => refusal.push_to(reply),
        }
    }
}

impl From<TokenRefusal> for SubmitRefusal {
    fn from(refusal: TokenRefusal) -> Self {
        Self::Token(refusal)
    }
}

impl super::Submitted {
    /// Adds the good news to a reply.
    pub fn push_to(&self, reply: &mut Reply) {
        reply.push_string(format!("Submitted job: {}", self.job_id)).push_success("");
        reply.set_meta("job_id", self.job_id.as_str());
    }
}

/// What came of an abort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aborted {
    /// The job never ran.
    BeforeRun(String),
    /// It is over already.
    AlreadyOver(String),
    /// It ends soon.
    Signalled,
    /// It counts as running and does not: the server was killed meanwhile.
    NotRunning(String),
}

impl Aborted {
    /// Adds the outcome to a reply.
    pub fn push_to(&self, reply: &mut Reply) {
        let text = match self {
            Self::BeforeRun(id) => format!("Aborted the job {id} before running it."),
            Self::AlreadyOver(id) => format!("Job for {id} is already completed."),
            Self::Signalled => "Abort signal has been sent to the server app.".to_owned(),
            Self::NotRunning(id) => {
                let text = format!("Job {id} is not running.");
                reply.push_error_with(text.as_str(), &MetaStatus::InternalError, &text);
                return;
            }
        };
        reply.push_string(text.as_str()).push_success("");
        reply.set_status(&MetaStatus::Ok, &text);
    }
}

/// What came of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// The job runs.
    Running(String),
    /// It is gone.
    Done {
        /// The job.
        job_id: String,
        /// Submit records that became tombstones.
        records: usize,
    },
}

impl Deleted {
    /// Adds the outcome to a reply.
    pub fn push_to(&self, reply: &mut Reply, release: Release) {
        match self {
            Self::Running(id) => {
                let text = format!("job: {id} is running, could not be deleted at this time.");
                reply.push_error_with(text, &MetaStatus::JobRunning, id);
            }
            Self::Done { job_id, .. } if release < Release::V2_8 => {
                reply.push_string(format!("Job {job_id} deleted.")).push_success("");
            }
            Self::Done { job_id, records } => {
                reply.push_string(format!("Job {job_id} deleted. Submit records marked deleted: {records}."));
                reply.push_success("");
                reply.set_meta("job_id", job_id.as_str()).set_meta("submit_records_marked_deleted", *records);
            }
        }
    }
}

/// Why there is nothing to download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDone {
    /// No job has exactly this id.
    Unknown(String),
    /// The job is not over.
    NotDone(String),
}

impl NotDone {
    /// Adds the refusal to a reply.
    pub fn push_to(&self, reply: &mut Reply) {
        match self {
            Self::Unknown(id) => IdRefusal::Unknown(id.clone()).push_to(reply),
            Self::NotDone(id) => {
                reply.push_error_with(format!("job {id} is not done"), &MetaStatus::JobRunning, id);
            }
        }
    }
}

/// One file of a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownloadFile<H> {
    /// `meta.json`, with its content.
    Meta(String),
    /// `job.zip`, as it was uploaded.
    Job(H),
    /// `workspace.zip`, to be [written](crate::jobs::behaviour::write_workspace) with the help of the job's archive.
    Workspace {
        /// What is in it.
        entries: Vec<WorkspaceEntry>,
        /// The job's archive.
        archive: H,
    },
    /// A further component, with its content.
    Component(String, Vec<u8>),
}

impl<H> DownloadFile<H> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Meta(_) => "meta.json",
            Self::Job(_) => "job.zip",
            Self::Workspace { .. } => "workspace.zip",
            Self::Component(name, _) => name,
        }
    }
}
