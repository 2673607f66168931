//! Jobs, as lists and `get_job_meta` show them.

use std::time::{Duration, SystemTime};

use flare_wire::hci::JsonObject;

use super::fields::Fields;
use super::{JobId, JobStatus};

/// One line of a job list.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobSummary {
    /// The id.
    pub job_id: String,
    /// The name; its folder's name when the job has none.
    pub job_name: Option<String>,
    /// The status.
    pub status: Option<JobStatus>,
    /// When it was submitted: ISO 8601.
    pub submit_time: Option<String>,
    /// How long it ran, or has been running; `None` before it starts.
    pub duration: Option<Duration>,
    /// The study it belongs to.
    pub study: Option<String>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl JobSummary {
    pub(crate) fn read(object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self {
            job_id: fields.text("job_id").unwrap_or_default(),
            job_name: fields.text("job_name"),
            status: fields.text("status").map(|text| JobStatus::from(text.as_str())),
            submit_time: fields.text("submit_time"),
            duration: fields.duration("duration"),
            study: fields.text("study"),
            extra: fields.extra(),
        }
    }
}

/// A job that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedJob {
    /// The id.
    pub job_id: JobId,
    /// Submit tokens that stand for a deleted job from now on.
    pub submit_records_marked_deleted: u64,
}

/// The job that a submit token stood for, and that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedSubmission {
    /// The id it had.
    pub job_id: JobId,
    /// The state of the token: `job_deleted`.
    pub state: String,
    /// When the job was deleted: ISO 8601, UTC.
    pub deleted_time: String,
}

/// Everything the server stores about a job.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobMeta {
    /// The id.
    pub job_id: String,
    /// The name its submitter gave it.
    pub name: Option<String>,
    /// The folder it was submitted from.
    pub job_folder_name: Option<String>,
    /// The status.
    pub status: Option<JobStatus>,
    /// The study it belongs to.
    pub study: Option<String>,
    /// Who submitted it.
    pub submitter_name: Option<String>,
    /// The submitter's organisation.
    pub submitter_org: Option<String>,
    /// The submitter's role.
    pub submitter_role: Option<String>,
    /// When it was submitted.
    pub submit_time: Option<SystemTime>,
    /// When it was submitted: ISO 8601 with the server's offset.
    pub submit_time_iso: Option<String>,
    /// When it started: ISO 8601 since 2.9, the server's local time before; empty until then.
    pub start_time: Option<String>,
    /// How long it ran; `None` until it ends.
    pub duration: Option<Duration>,
    /// How many sites it needs.
    pub min_clients: Option<u64>,
    /// Which app goes to which sites.
    pub deploy_map: Option<JsonObject>,
    /// What it needs on each site.
    pub resource_spec: Option<JsonObject>,
    /// What became of the deployment, one line per site.
    pub job_deploy_detail: Vec<String>,
    /// How often the scheduler tried.
    pub schedule_count: Option<u64>,
    /// When the scheduler tried last.
    pub last_schedule_time: Option<SystemTime>,
    /// What the scheduler found each time.
    pub schedule_history: Vec<String>,
    /// The job this one was cloned from.
    pub cloned_from: Option<String>,
    /// What this library does not know, with the submitter's own keys among it.
    pub extra: JsonObject,
}

impl JobMeta {
    pub(crate) fn read(object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self {
            job_id: fields.text("job_id").unwrap_or_default(),
            name: fields.text("name"),
            job_folder_name: fields.text("job_folder_name"),
            status: fields.text("status").map(|text| JobStatus::from(text.as_str())),
            study: fields.text("study"),
            submitter_name: fields.text("submitter_name"),
            submitter_org: fields.text("submitter_org"),
            submitter_role: fields.text("submitter_role"),
            submit_time: fields.time("submit_time"),
            submit_time_iso: fields.text("submit_time_iso"),
            start_time: fields.text("start_time"),
            duration: fields.duration("duration"),
            min_clients: fields.count("min_clients"),
            deploy_map: fields.object("deploy_map"),
            resource_spec: fields.object("resource_spec"),
            job_deploy_detail: fields.texts("job_deploy_detail").unwrap_or_default(),
            schedule_count: fields.count("schedule_count"),
            last_schedule_time: fields.time("last_schedule_time"),
            schedule_history: fields.texts("schedule_history").unwrap_or_default(),
            cloned_from: fields.text("cloned_from"),
            extra: fields.extra(),
        }
    }
}
