//! What the server refuses, and what a client should not even ask.

use std::sync::Arc;

use serde_json::json;

use super::calls::{Setting, arguments, filled, prepared};
use super::{ARGUMENT, About, about, case};
use crate::clients::bout::{Bout, MEMBER};
use crate::clients::process::Subject;
use crate::finding::{ensure, ensure_eq};
use crate::job_folder::JobFolder;
use crate::{Case, CaseResult};

/// A call that the server refuses.
struct Refusal {
    about: About,
    method: &'static str,
    arguments: &'static str,
    setting: Setting,
    kinds: &'static [&'static str],
    /// The server's code, where it gives one.
    code: Option<&'static str>,
}

const fn refused(
    id: &'static str,
    title: &'static str,
    requirements: &'static [&'static str],
    method: &'static [&'static str; 1],
    arguments: &'static str,
    setting: Setting,
    kinds: &'static [&'static str],
) -> Refusal {
    let about = about(id, title, requirements, method);
    Refusal { about, method: method[0], arguments, setting, kinds, code: None }
}

impl Refusal {
    const fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }
}

const NOBODY: &str = r#"{"job_id": "b2a9f0c1-5a77-4b0e-8f35-0c5e4d1e2f30"}"#;
const NOT_FOUND: &[&str] = &["JobNotFound"];
const NOT_DONE: &[&str] = &["JobNotDone"];
const NOT_RUNNING: &[&str] = &["JobNotRunning"];
const TARGET: &[&str] = &["InvalidTarget"];
const STUDY: &[&str] = &["CommandError"];

static BY_SERVER: &[Refusal] = &[
    refused(
        "refused.job-unknown",
        "the meta of a job that is not there",
        &["API-JOB-META-001"],
        &["get_job_meta"],
        NOBODY,
        Setting::Plain,
        NOT_FOUND,
    ),
    refused(
        "refused.job-unknown-clone",
        "a clone of a job that is not there",
        &["API-JOB-META-001"],
        &["clone_job"],
        NOBODY,
        Setting::Plain,
        NOT_FOUND,
    ),
    refused(
        "refused.job-unknown-abort",
        "the end of a job that is not there",
        &["API-JOB-META-001"],
        &["abort_job"],
        NOBODY,
        Setting::Plain,
        NOT_FOUND,
    ),
    refused(
        "refused.job-unknown-download",
        "the result of a job that is not there",
        &["API-JOB-META-001"],
        &["download_job_result"],
        NOBODY,
        Setting::Plain,
        NOT_FOUND,
    ),
    refused(
        "refused.job-malformed",
        "an id that is none",
        &["API-JOB-META-001"],
        &["get_job_meta"],
        r#"{"job_id": "nope"}"#,
        Setting::Plain,
        NOT_FOUND,
    ),
    refused(
        "refused.delete-running",
        "a job that runs cannot be deleted",
        &["JOB-DELETE-001"],
        &["delete_job"],
        r#"{"job_id": "{job}"}"#,
        Setting::Running,
        NOT_DONE,
    ),
    refused(
        "refused.download-running",
        "a job that runs cannot be downloaded",
        &["JOB-DOWNLOAD-001"],
        &["download_job_result"],
        r#"{"job_id": "{job}"}"#,
        Setting::Running,
        NOT_DONE,
    ),
    refused(
        "refused.stats-ended",
        "a job that does not run has no statistics",
        &["JOB-STATS-001"],
        &["show_stats"],
        r#"{"job_id": "{job}", "target_type": "all"}"#,
        Setting::Finished,
        NOT_RUNNING,
    ),
    refused(
        "refused.errors-ended",
        "a job that does not run has no errors",
        &["JOB-STATS-001"],
        &["show_errors"],
        r#"{"job_id": "{job}", "target_type": "server"}"#,
        Setting::Finished,
        NOT_RUNNING,
    ),
    refused(
        "refused.components-none",
        "there is nothing to download",
        &["JOB-COMPONENTS-001"],
        &["download_job_components"],
        r#"{"job_id": "{job}"}"#,
        Setting::Finished,
        &["InternalError"],
    ),
    refused(
        "refused.site-unknown",
        "a site that is not there has no folder",
        &["API-TARGET-001"],
        &["get_working_directory"],
        r#"{"target": "nowhere"}"#,
        Setting::Plain,
        TARGET,
    ),
    refused(
        "refused.site-unknown-status",
        "a site that is not there has no status",
        &["API-TARGET-001"],
        &["check_status"],
        r#"{"target_type": "client", "targets": ["nowhere"]}"#,
        Setting::Plain,
        TARGET,
    ),
    refused(
        "refused.site-unknown-remove",
        "a site that is not there cannot be dropped",
        &["SITE-REMOVE-001"],
        &["remove_client"],
        r#"{"client_name": "nowhere"}"#,
        Setting::Plain,
        TARGET,
    ),
    refused(
        "refused.restart-running",
        "nothing restarts while a job runs",
        &["SITE-RUNNING-001"],
        &["restart"],
        r#"{"target_type": "client", "client_names": ["{site}"], "wait": false}"#,
        Setting::Running,
        NOT_DONE,
    ),
    refused(
        "refused.shutdown-sites",
        "the server does not go before its sites",
        &["SYSTEM-SHUTDOWN-001"],
        &["shutdown"],
        r#"{"target_type": "server", "wait": false}"#,
        Setting::Plain,
        &["ClientsStillRunning"],
    ),
    refused(
        "refused.study-unknown",
        "a study that is not there",
        &["STUDY-ERROR-003"],
        &["show_study"],
        r#"{"study": "nowhere"}"#,
        Setting::Study,
        STUDY,
    )
    .code("STUDY_NOT_FOUND"),
    refused(
        "refused.study-site",
        "a study with a site that is not there",
        &["STUDY-ERROR-003"],
        &["register_study"],
        r#"{"study": "other", "site_orgs": ["hospital:nowhere"]}"#,
        Setting::Study,
        STUDY,
    )
    .code("INVALID_SITE"),
    refused(
        "refused.study-role",
        "a project admin who names sites without their organisation",
        &["STUDY-ERROR-003"],
        &["add_study_site"],
        r#"{"study": "trial", "sites": ["{second}"]}"#,
        Setting::Study,
        STUDY,
    )
    .code("INVALID_ARGS"),
    refused(
        "refused.study-user",
        "a user who is in the study already",
        &["STUDY-ERROR-003"],
        &["add_study_user"],
        r#"{"study": "trial", "user": "chief@hospital.test"}"#,
        Setting::Study,
        STUDY,
    )
    .code("USER_ALREADY_IN_STUDY"),
    refused(
        "refused.role",
        "an organisation's admin does not remove studies",
        &["API-AUTHORIZATION-001"],
        &["remove_study"],
        r#"{"study": "trial"}"#,
        Setting::Office,
        &["AuthorizationError"],
    ),
];

/// A call that should not reach the server.
struct Local {
    about: About,
    method: &'static str,
    arguments: &'static str,
}

const fn local(
    id: &'static str,
    title: &'static str,
    method: &'static [&'static str; 1],
    arguments: &'static str,
) -> Local {
    Local { about: about(id, title, &["CLIENT-LINE-002"], method), method: method[0], arguments }
}

static BY_CLIENT: &[Local] = &[
    local(
        "arguments.study-both",
        "sites and site_orgs at once",
        &["register_study"],
        r#"{"study": "trial", "sites": ["{site}"], "site_orgs": ["hospital:{site}"]}"#,
    ),
    local("arguments.study-neither", "neither sites nor site_orgs", &["add_study_site"], r#"{"study": "trial"}"#),
    local("arguments.target-type", "a target type that is none", &["check_status"], r#"{"target_type": "moon"}"#),
    local(
        "arguments.stats-target-type",
        "statistics of a target type that is none",
        &["show_stats"],
        r#"{"job_id": "b2a9f0c1-5a77-4b0e-8f35-0c5e4d1e2f30", "target_type": "moon"}"#,
    ),
    local(
        "arguments.restart-target-type",
        "a restart of a target type that is none",
        &["restart"],
        r#"{"target_type": "moon"}"#,
    ),
    local("arguments.path-absolute", "a path from the root", &["ls_target"], r#"{"target": "server", "path": "/etc"}"#),
    local(
        "arguments.path-up",
        "a path that leaves the workspace",
        &["ls_target"],
        r#"{"target": "server", "path": "../secrets"}"#,
    ),
    local(
        "arguments.file-extension",
        "a file of a kind that is not shown",
        &["cat_target"],
        r#"{"target": "server", "file": "startup/server.key"}"#,
    ),
    local(
        "arguments.options-characters",
        "options with a semicolon",
        &["ls_target"],
        r#"{"target": "server", "options": "-l; rm"}"#,
    ),
    local("arguments.target-blank", "a target of two words", &["get_working_directory"], r#"{"target": "ward a"}"#),
    local(
        "arguments.poll-interval",
        "a poll interval of zero",
        &["monitor_job"],
        r#"{"job_id": "b2a9f0c1-5a77-4b0e-8f35-0c5e4d1e2f30", "poll_interval": 0}"#,
    ),
    local(
        "arguments.monitor-timeout",
        "a time below zero",
        &["wait_for_job"],
        r#"{"job_id": "b2a9f0c1-5a77-4b0e-8f35-0c5e4d1e2f30", "timeout": -1}"#,
    ),
    local("arguments.timeout-zero", "a command timeout of zero", &["set_timeout"], r#"{"value": 0}"#),
    local(
        "arguments.log-config",
        "a log configuration that is none",
        &["configure_site_log"],
        r#"{"config": "loudly"}"#,
    ),
    local(
        "arguments.token-list",
        "a submit token with a blank in a list",
        &["list_jobs"],
        r#"{"submit_token": "a b"}"#,
    ),
];

pub(super) fn cases(subject: &Arc<Subject>) -> Vec<Case> {
    let copy = |about: &About| super::about(about.id, about.title, about.requirements, about.methods);
    let by_server = BY_SERVER.iter().map(|refusal| {
        case(subject, copy(&refusal.about), move |subject| async move {
            let (mut bout, job) = prepared(&subject, refusal.setting).await?;
            let failure = bout.failure(refusal.method, arguments(refusal.arguments, &job)?, refusal.kinds).await?;
            if let Some(code) = refusal.code {
                ensure_eq!(failure.code.as_deref(), Some(code), "code of the refusal ({failure})");
            }
            let asked = bout.wire.commands().len();
            ensure!(asked == 1, "{} sent {asked} commands: {:?}", refusal.method, bout.wire.lines());
            Ok(())
        })
    });
    let by_client = BY_CLIENT.iter().map(|local| {
        case(subject, copy(&local.about), move |subject| async move {
            let (mut bout, job) = prepared(&subject, Setting::Plain).await?;
            bout.failure(local.method, arguments(&filled(local.arguments, &job), &job)?, ARGUMENT).await?;
            ensure_eq!(bout.wire.lines(), Vec::<String>::new(), "the lines that {} sent", local.method);
            Ok(())
        })
    });
    let mut cases: Vec<Case> = by_server.chain(by_client).collect();
    cases.push(case(
        subject,
        about(
            "refused.submit-role",
            "a member does not submit jobs",
            &["JOB-SUBMIT-003", "API-AUTHORIZATION-001"],
            &["submit_job"],
        ),
        submit_role,
    ));
    cases.push(case(
        subject,
        about("refused.no-sites", "a server without sites says so", &["API-STATUS-002"], &["get_client_job_status"]),
        no_sites,
    ));
    cases
}

async fn submit_role(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::open(&subject).await?;
    bout.connect_as(MEMBER).await?;
    let job = JobFolder::waiting("referee-refused")?;
    let arguments = json!({"job_definition_path": job.path()});
    bout.failure("submit_job", arguments, &["AuthorizationError"]).await?;
    ensure_eq!(bout.jobs(), 0, "jobs on the server");
    Ok(())
}

async fn no_sites(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::open_with(&subject, |builder| builder.configure(|config| config.sites.clear())).await?;
    bout.connect().await?;
    bout.failure("get_client_job_status", json!({}), &["NoClientsAvailable"]).await.map(drop)
}
