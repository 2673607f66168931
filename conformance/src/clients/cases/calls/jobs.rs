//! Jobs.

use super::{LINE, Row, Setting, Shape, row};
use crate::clients::bout::{CHIEF, SITE};

pub(super) static ROWS: &[Row] = &[
    row("jobs.list", "list_jobs gives the jobs", &["API-JOBS-001", LINE], &["list_jobs"], "{}", &["list_jobs"])
        .with(Setting::Waiting)
        .gives(Shape::ListOf(1)),
    row(
        "jobs.list-none",
        "list_jobs of a server without jobs is an empty list",
        &["API-JOBS-001"],
        &["list_jobs"],
        "{}",
        &["list_jobs"],
    )
    .gives(Shape::ListOf(0)),
    row(
        "jobs.list-detailed",
        "list_jobs in detail",
        &["JOB-LIST-001", LINE],
        &["list_jobs"],
        r#"{"detailed": true}"#,
        &["list_jobs -d"],
    )
    .with(Setting::Waiting)
    .gives(Shape::Lists("submitter_name", CHIEF)),
    row(
        "jobs.list-options",
        "list_jobs with limit, prefixes and order",
        &["JOB-LIST-001", "API-JOBS-002", LINE],
        &["list_jobs"],
        r#"{"limit": 5, "id_prefix": "0a", "name_prefix": "referee", "reverse": true}"#,
        &["list_jobs -r -m 5 -n referee 0a"],
    )
    .with(Setting::Waiting)
    .gives(Shape::List),
    row(
        "jobs.list-token",
        "list_jobs by submit token",
        &["JOB-LIST-001", LINE],
        &["list_jobs"],
        r#"{"submit_token": "nobody-used-this"}"#,
        &["list_jobs --submit-token nobody-used-this"],
    )
    .with(Setting::Waiting)
    .gives(Shape::ListOf(0)),
    row(
        "jobs.meta",
        "get_job_meta gives what the job is",
        &["JOB-SUBMIT-001", LINE],
        &["get_job_meta"],
        r#"{"job_id": "{job}"}"#,
        &["get_job_meta {job}"],
    )
    .with(Setting::Waiting)
    .gives(Shape::Object(&["job_id", "status", "submitter_name", "study"])),
    row(
        "jobs.clone",
        "clone_job gives the id of the clone",
        &["JOB-CLONE-001", LINE],
        &["clone_job"],
        r#"{"job_id": "{job}"}"#,
        &["clone_job {job}"],
    )
    .with(Setting::Waiting)
    .gives(Shape::Text),
    row(
        "jobs.abort",
        "abort_job of a job that waits",
        &["JOB-ABORT-001", LINE],
        &["abort_job"],
        r#"{"job_id": "{job}"}"#,
        &["abort_job {job}"],
    )
    .with(Setting::Waiting),
    row(
        "jobs.abort-running",
        "abort_job of a job that runs",
        &["JOB-ABORT-001", LINE],
        &["abort_job"],
        r#"{"job_id": "{job}"}"#,
        &["abort_job {job}"],
    )
    .with(Setting::Running),
    row(
        "jobs.abort-ended",
        "abort_job of a job that has ended is no error",
        &["JOB-ABORT-001"],
        &["abort_job"],
        r#"{"job_id": "{job}"}"#,
        &["abort_job {job}"],
    )
    .with(Setting::Finished),
    row(
        "jobs.delete",
        "delete_job of a job that has ended",
        &["JOB-DELETE-001", LINE],
        &["delete_job"],
        r#"{"job_id": "{job}"}"#,
        &["delete_job {job}"],
    )
    .with(Setting::Finished)
    .gives(Shape::Object(&["job_id"])),
    row(
        "jobs.components",
        "list_job_components of a job without any",
        &["JOB-COMPONENTS-001", LINE],
        &["list_job_components"],
        r#"{"job_id": "{job}"}"#,
        &["list_job {job}"],
    )
    .with(Setting::Finished)
    .gives(Shape::ListOf(0)),
    row(
        "jobs.stats",
        "show_stats of all",
        &["JOB-STATS-001", LINE],
        &["show_stats"],
        r#"{"job_id": "{job}", "target_type": "all"}"#,
        &["show_stats {job} all"],
    )
    .with(Setting::Running)
    .gives(Shape::Object(&["server", SITE])),
    row(
        "jobs.stats-server",
        "show_stats of the server",
        &["JOB-STATS-001", LINE],
        &["show_stats"],
        r#"{"job_id": "{job}", "target_type": "server"}"#,
        &["show_stats {job} server"],
    )
    .with(Setting::Running)
    .gives(Shape::Object(&["server"])),
    row(
        "jobs.stats-site",
        "show_stats of a site",
        &["JOB-STATS-001", LINE],
        &["show_stats"],
        r#"{"job_id": "{job}", "target_type": "client", "targets": ["{site}"]}"#,
        &["show_stats {job} client {site}"],
    )
    .with(Setting::Running)
    .gives(Shape::Object(&[SITE])),
    row(
        "jobs.errors",
        "show_errors of all",
        &["JOB-STATS-001", LINE],
        &["show_errors"],
        r#"{"job_id": "{job}", "target_type": "all"}"#,
        &["show_errors {job} all"],
    )
    .with(Setting::Running)
    .gives(Shape::Object(&["server"])),
    row(
        "jobs.errors-site",
        "show_errors of a site",
        &["JOB-STATS-001", LINE],
        &["show_errors"],
        r#"{"job_id": "{job}", "target_type": "client", "targets": ["{site}"]}"#,
        &["show_errors {job} client {site}"],
    )
    .with(Setting::Running)
    .gives(Shape::Object(&[SITE])),
    row(
        "jobs.reset-errors",
        "reset_errors is for all",
        &["JOB-STATS-001", LINE],
        &["reset_errors"],
        r#"{"job_id": "{job}"}"#,
        &["reset_errors {job} all"],
    )
    .with(Setting::Running),
    row(
        "jobs.logs",
        "get_job_logs of the server",
        &["JOB-LOGS-001", LINE],
        &["get_job_logs"],
        r#"{"job_id": "{job}"}"#,
        &["get_job_log {job} server"],
    )
    .with(Setting::Finished)
    .gives(Shape::Object(&["logs"])),
    row(
        "jobs.logs-all",
        "get_job_logs of all",
        &["JOB-LOGS-001", LINE],
        &["get_job_logs"],
        r#"{"job_id": "{job}", "target": "all"}"#,
        &["get_job_log {job} all"],
    )
    .with(Setting::Finished)
    .gives(Shape::Object(&["logs"])),
    row(
        "jobs.logs-json",
        "get_job_logs of the other file",
        &["JOB-LOGS-001", LINE],
        &["get_job_logs"],
        r#"{"job_id": "{job}", "log_file_name": "log.json"}"#,
        &["get_job_log {job} server log.json"],
    )
    .with(Setting::Finished)
    .gives(Shape::Object(&["logs"])),
    row(
        "jobs.logs-tail",
        "get_job_logs shortened on this side",
        &["JOB-LOGS-001"],
        &["get_job_logs"],
        r#"{"job_id": "{job}", "tail_lines": 1}"#,
        &["get_job_log {job} server"],
    )
    .with(Setting::Finished)
    .gives(Shape::Object(&["logs"])),
    row(
        "jobs.log-level",
        "configure_job_log for all",
        &["SITE-LOG-001", LINE],
        &["configure_job_log"],
        r#"{"job_id": "{job}", "config": "DEBUG"}"#,
        &["configure_job_log {job} all DEBUG"],
    )
    .with(Setting::Running),
    row(
        "jobs.log-level-site",
        "configure_job_log for one site",
        &["SITE-LOG-001", LINE],
        &["configure_job_log"],
        r#"{"job_id": "{job}", "config": "INFO", "target": "{site}"}"#,
        &["configure_job_log {job} client {site} INFO"],
    )
    .with(Setting::Running),
];
