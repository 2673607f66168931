//! A job's meta: the JSON object that the server keeps for it, key by key in the order of the real one.
//!
//! The user's own keys come first and keep their places, also where the server overwrites their values. What later
//! stages add is appended. Source: `reference/server-behaviour.md` section 10.2.

#[cfg(test)]
mod tests;

use flare_wire::Moment;
use flare_wire::hci::JsonObject;
use jiff::tz::Offset;
use serde_json::{Value, json};

use super::python::{iso_local, iso_utc, local_micros, moment_of_iso, timedelta};
use super::submitter::Submitter;
use crate::release::Release;

pub use flare_wire::job::JobStatus;

/// The study of sessions and jobs that name none.
pub const DEFAULT_STUDY: &str = "default";

/// True for the ends that note how long the job ran.
const fn notes_duration(status: &JobStatus) -> bool {
    use JobStatus::{Abnormal, Aborted, CanNotSchedule, Completed, ExecutionException};
    matches!(status, Completed | Aborted | ExecutionException | Abnormal | CanNotSchedule)
}

/// The only storage format there is.
const STORAGE_FORMAT: u64 = 2;

/// What a clone takes over from its original; everything else is left behind.
const CLONED: [&str; 12] = [
    "name",
    "job_folder_name",
    "deploy_map",
    "resource_spec",
    "content_location",
    "result_location",
    "approvals",
    "min_clients",
    "mandatory_clients",
    "data_storage_format",
    "study",
    "byoc",
];

/// How metas are shown: releases differ in what they keep and in how they write times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The release. Before 2.8 there are no studies; before 2.9 the start is a local time without zone, and a job that
    /// was found running at a restart has no duration.
    pub release: Release,
    /// The server's distance from UTC.
    pub offset: Offset,
}

impl Default for Shown {
    fn default() -> Self {
        Self { release: Release::default(), offset: Offset::UTC }
    }
}

/// How a job came in.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// Study of the session.
    pub study: String,
    /// Who submitted it.
    pub submitter: Submitter,
    /// The folder argument of the command.
    pub folder: String,
    /// `custom_props` of the request.
    pub custom_props: Option<Value>,
    /// The id of the job.
    pub job_id: String,
}

/// The meta of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobMeta(JsonObject);

impl JobMeta {
    /// The meta of a job that was just submitted. `offset` is the server's distance from UTC.
    #[must_use]
    pub fn submitted(user: JsonObject, submission: &Submission, now: Moment, offset: Offset) -> Self {
        let mut meta = Self(user);
        meta.set("study", submission.study.as_str());
        meta.set_submitter(&submission.submitter);
        meta.set("job_folder_name", submission.folder.as_str());
        if let Some(props) = &submission.custom_props {
            meta.set("custom_props", props.clone());
        }
        meta.set("job_id", submission.job_id.as_str());
        meta.stamp(now, offset);
        meta.set("data_storage_format", STORAGE_FORMAT);
        meta.set("status", JobStatus::Submitted.as_str());
        meta
    }

    /// The meta of a clone that was just made. Its first keys come in the order of the original, while the real
    /// server's order is random.
    #[must_use]
    pub fn cloned(&self, by: &Submitter, job_id: &str, now: Moment, offset: Offset) -> Self {
        let copied = self.0.iter().filter(|(key, _)| CLONED.contains(&key.as_str()));
        let mut meta = Self(copied.map(|(key, value)| (key.clone(), value.clone())).collect());
        meta.set_submitter(by);
        meta.set("cloned_from", self.job_id());
        meta.set("study", self.study());
        meta.set("job_id", job_id);
        meta.stamp(now, offset);
        meta.set("status", JobStatus::Submitted.as_str());
        meta
    }

    /// Takes back what was kept somewhere.
    #[must_use]
    pub const fn restored(fields: JsonObject) -> Self {
        Self(fields)
    }

    /// The object as it is kept.
    #[must_use]
    pub const fn fields(&self) -> &JsonObject {
        &self.0
    }

    /// The object as it is in files.
    #[must_use]
    pub fn shown(&self, shown: Shown) -> JsonObject {
        let mut fields = self.0.clone();
        if shown.release >= Release::V2_9 {
            return fields;
        }
        if let (Some(start), Some(field)) = (self.start_time(), fields.get_mut("start_time")) {
            *field = Value::from(local_micros(start, shown.offset));
        }
        if self.status() == JobStatus::Abnormal {
            fields.insert("duration".to_owned(), Value::from("N/A"));
        }
        if shown.release < Release::V2_8 {
            fields.shift_remove("study");
        }
        fields
    }

    /// The object as `get_job_meta` and `list_jobs -d` show it: a job without a study belongs to the default one.
    #[must_use]
    pub fn normalized(&self, shown: Shown) -> JsonObject {
        let mut fields = self.shown(shown);
        if shown.release >= Release::V2_8 {
            fields.insert("study".to_owned(), Value::from(self.study()));
        }
        fields
    }

    /// Sets the status, and what goes with it: the start, or how long it ran. A job that never started notes no
    /// duration, and neither does one that failed to run.
    pub fn set_status(&mut self, status: JobStatus, now: Moment) {
        if notes_duration(&status)
            && let Some(start) = self.start_time()
        {
            self.set("status", status.as_str());
            self.set("duration", timedelta(now.since(start)));
            return;
        }
        self.set("status", status.as_str());
        if status == JobStatus::Running {
            self.set("start_time", iso_utc(now));
        }
    }

    /// Notes what came of the deployment, line by line.
    pub fn set_deploy_detail(&mut self, lines: &[String]) {
        self.set("job_deploy_detail", json!(lines));
    }

    /// Notes the attempts of the scheduler.
    pub fn set_schedule(&mut self, schedule: &Schedule) {
        self.set("schedule_count", schedule.count);
        self.set("last_schedule_time", schedule.last.as_secs_f64());
        self.set("schedule_history", json!(schedule.history));
    }

    /// The attempts of the scheduler so far.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        let history = self.0.get("schedule_history").and_then(Value::as_array).into_iter().flatten();
        Schedule {
            count: self.0.get("schedule_count").and_then(Value::as_u64).unwrap_or_default(),
            last: self.0.get("last_schedule_time").and_then(Value::as_f64).map_or_else(Moment::default, moment_of),
            history: history.filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }

    /// Status.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        JobStatus::from(self.text("status"))
    }

    /// Id.
    #[must_use]
    pub fn job_id(&self) -> &str {
        self.text("job_id")
    }

    /// The user's name for it; empty when there is none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("name")
    }

    /// What lists call it: its name, else its folder, else `No name`.
    #[must_use]
    pub fn display_name(&self) -> &str {
        let folder = self.0.get("job_folder_name").map_or("No name", |folder| folder.as_str().unwrap_or_default());
        if self.name().is_empty() { folder } else { self.name() }
    }

    /// The folder of the job in its archive.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.text("job_folder_name")
    }

    /// Study.
    #[must_use]
    pub fn study(&self) -> &str {
        let study = self.text("study");
        if study.is_empty() { DEFAULT_STUDY } else { study }
    }

    /// Who submitted it.
    #[must_use]
    pub fn submitter(&self) -> Submitter {
        Submitter::from_fields(&self.0, "submitter_")
    }

    /// When it was submitted.
    #[must_use]
    pub fn submit_time(&self) -> Moment {
        self.0.get("submit_time").and_then(Value::as_f64).map_or_else(Moment::default, moment_of)
    }

    /// When it was submitted, as lists show it.
    #[must_use]
    pub fn submit_time_text(&self) -> &str {
        self.text("submit_time_iso")
    }

    /// When it started to run.
    #[must_use]
    pub fn start_time(&self) -> Option<Moment> {
        moment_of_iso(self.text("start_time"))
    }

    /// How long it ran or has been running, as `list_jobs` shows it. The kept value knows nothing of a running job.
    #[must_use]
    pub fn live_duration(&self, now: Moment) -> String {
        match (self.status(), self.start_time()) {
            (JobStatus::Running, Some(start)) => timedelta(now.since(start)),
            _ => self.0.get("duration").and_then(Value::as_str).unwrap_or("N/A").to_owned(),
        }
    }

    /// The object as `list_jobs -d` shows it.
    #[must_use]
    pub fn detailed(&self, now: Moment, shown: Shown) -> JsonObject {
        let mut fields = self.normalized(shown);
        if self.status() == JobStatus::Running && self.start_time().is_some() {
            fields.insert("duration".to_owned(), Value::from(self.live_duration(now)));
        }
        fields
    }

    /// The row of `list_jobs`: id, name, status, submit time, duration.
    #[must_use]
    pub fn row(&self, now: Moment) -> [String; 5] {
        [
            self.job_id().to_owned(),
            self.display_name().to_owned(),
            self.text("status").to_owned(),
            self.submit_time_text().to_owned(),
            self.live_duration(now),
        ]
    }

    /// The meta of the row of `list_jobs`.
    #[must_use]
    pub fn row_meta(&self, now: Moment, shown: Shown) -> JsonObject {
        let [job_id, job_name, status, submit_time, duration] = self.row(now);
        let fields = [
            ("job_id", job_id),
            ("job_name", job_name),
            ("status", status),
            ("submit_time", submit_time),
            ("duration", duration),
        ];
        let study = (shown.release >= Release::V2_8).then(|| ("study", self.study().to_owned()));
        fields.into_iter().chain(study).map(|(key, text)| (key.to_owned(), Value::from(text))).collect()
    }

    fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    fn set_submitter(&mut self, submitter: &Submitter) {
        self.set("submitter_name", submitter.name.as_str());
        self.set("submitter_org", submitter.org.as_str());
        self.set("submitter_role", submitter.role.as_str());
    }

    fn stamp(&mut self, now: Moment, offset: Offset) {
        self.set("submit_time", now.as_secs_f64());
        self.set("submit_time_iso", iso_local(now, offset));
        self.set("start_time", "");
        self.set("duration", "N/A");
    }
}

/// The attempts of the scheduler on one job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedule {
    /// How many.
    pub count: u64,
    /// When the last one was.
    pub last: Moment,
    /// What came of each: `YYYY-MM-DD HH:MM:SS: <result>`.
    pub history: Vec<String>,
}

/// The moment of a time as it is kept: seconds since the epoch.
fn moment_of(seconds: f64) -> Moment {
    Moment::from_unix(std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default())
}
