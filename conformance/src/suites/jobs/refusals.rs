//! Jobs that are not taken in, and why.

use flare_client::ErrorKind;
use serde_json::{Value, json};

use super::{Owner, unique};
use crate::finding::{ensure, ensure_eq};
use crate::job_folder::JobFolder;
use crate::{Case, CaseResult, Context, Finding, Need, Who};

/// What is wrong with a definition.
#[derive(Clone, Copy)]
enum Flaw {
    /// This value in the meta.
    Meta(&'static str, fn() -> Value),
    /// This key is not in the meta.
    NoMeta(&'static str),
    /// This file has this content.
    File(&'static str, &'static str),
    /// This file or folder is not there.
    Missing(&'static str),
}

/// Id, flaw, kind and text; `JOB` in the text stands for the job's folder.
type Row = (&'static str, Flaw, ErrorKind, &'static str);

const ROWS: &[Row] = &[
    (
        "no-meta",
        Flaw::Missing("meta.json"),
        ErrorKind::InvalidJob,
        "meta.[json|conf|yml] not existing for job JOB, possible in legacy job format.  Please upgrade the job structure.",
    ),
    (
        "bad-json",
        Flaw::File("meta.json", "{x"),
        ErrorKind::InvalidJob,
        "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    ),
    ("no-deploy-map", Flaw::NoMeta("deploy_map"), ErrorKind::InvalidJob, "deploy_map is empty for job JOB"),
    (
        "deploy-map-list",
        Flaw::Meta("deploy_map", || json!(["app"])),
        ErrorKind::InvalidJob,
        "deploy_map must be a dictionary for job JOB",
    ),
    (
        "no-sites",
        Flaw::Meta("deploy_map", || json!({"app": []})),
        ErrorKind::InvalidJob,
        "No site is specified in deploy_map for job JOB",
    ),
    (
        "all-and-more",
        Flaw::Meta("deploy_map", || json!({"app": ["@ALL", "site-1"]})),
        ErrorKind::InvalidJob,
        "No other site can be specified if @ALL is used for job JOB",
    ),
    (
        "no-server",
        Flaw::Meta("deploy_map", || json!({"app": ["site-1"]})),
        ErrorKind::InvalidJob,
        "Missing server site in deploy_map for job JOB",
    ),
    (
        "unknown-app",
        Flaw::Meta("deploy_map", || json!({"other": ["@ALL"]})),
        ErrorKind::InvalidJob,
        "App 'other' in deploy_map doesn't exist for job JOB",
    ),
    (
        "no-server-config",
        Flaw::Missing("app/config/config_fed_server.json"),
        ErrorKind::InvalidJob,
        "App 'app' will be deployed to server but server config is missing",
    ),
    (
        "no-client-config",
        Flaw::Missing("app/config/config_fed_client.json"),
        ErrorKind::InvalidJob,
        "App 'app' will be deployed to client but client config is missing",
    ),
    (
        "min-clients-zero",
        Flaw::Meta("min_clients", || json!(0)),
        ErrorKind::InvalidJob,
        "min_clients 0 must be positive for job JOB",
    ),
    (
        "min-clients-huge",
        Flaw::Meta("min_clients", || json!(1_000_001)),
        ErrorKind::InvalidJob,
        "min_clients 1000001 must be less than 1000000  for job JOB",
    ),
    (
        "min-clients-text",
        Flaw::Meta("min_clients", || json!("abc")),
        ErrorKind::InvalidJob,
        "(\"invalid data type for abc,can't not convert to Int\", \"ValueError: invalid literal for int() with base 10: 'abc'\")",
    ),
    (
        "resource-spec-list",
        Flaw::Meta("resource_spec", || json!(["x"])),
        ErrorKind::InvalidJob,
        "Invalid resource_spec for job JOB",
    ),
    (
        "resource-value",
        Flaw::Meta("resource_spec", || json!({"site-1": 1})),
        ErrorKind::InvalidJob,
        "value for key site-1 in resource spec is expecting a dictionary",
    ),
    (
        "launcher-spec",
        Flaw::Meta("launcher_spec", || json!(["x"])),
        ErrorKind::InvalidJob,
        "launcher_spec for job JOB must be a dict",
    ),
    ("only-server", Flaw::Meta("deploy_map", || json!({"app": ["server"]})), ErrorKind::ServerFault, ""),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = ROWS
        .iter()
        .map(|row| {
            Case::new(
                format!("jobs.refused.{}", row.0),
                format!("a job with the flaw {} is refused", row.0),
                move |context| flawed(context, *row),
            )
            .checks(&["JOB-SUBMIT-002", "SPEC-SUBMIT-JOB-003"])
        })
        .collect();
    for who in [Who::ORG_ADMIN, Who::MEMBER, Who::OTHER_ORG_ADMIN, Who::OTHER_MEMBER] {
        let case =
            Case::new(format!("jobs.refused.{}", who.slug()), format!("a {who} may not submit"), move |context| {
                not_authorized(context, who)
            });
        cases.push(case.checks(&["JOB-SUBMIT-003", "SPEC-SUBMIT-JOB-003"]).needs([Need::Admin(who)]));
    }
    cases
}

async fn flawed(context: Context, (_, flaw, kind, text): Row) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let name = unique("refused")?;
        let job = JobFolder::waiting(&name)?;
        let job = match flaw {
            Flaw::Meta("min_clients", value) => job.with_meta("min_clients", value())?,
            Flaw::Meta(key, value) => job.with_meta("min_clients", json!(1))?.with_meta(key, value())?,
            Flaw::NoMeta(key) => job.without_meta(key)?,
            Flaw::File(path, content) => job.with_file(path, content.as_bytes())?,
            Flaw::Missing(path) => job.without(path)?,
        };
        let error = match owner.session.submit_job(job.path()).await {
            Ok(job_id) => {
                owner.own(job_id);
                return Err(Finding::fail("the job was accepted"));
            }
            Err(error) => error,
        };
        ensure_eq!(error.kind(), kind, "kind of {error:?}");
        if !text.is_empty() {
            ensure_eq!(error.server_text(), Some(text.replace("JOB", &name).as_str()), "text");
        }
        ensure!(!error.may_have_run(), "a refusal is no accepted job");
        Ok(())
    }
    .await;
    owner.leave(found).await
}

async fn not_authorized(context: Context, who: Who) -> CaseResult {
    let mut owner = Owner::log_in(&context, who).await?;
    let found = async {
        let job = JobFolder::waiting(&unique("unauthorized")?)?;
        let error = match owner.session.submit_job(job.path()).await {
            Ok(job_id) => {
                owner.own(job_id);
                return Err(Finding::fail("the job was accepted"));
            }
            Err(error) => error,
        };
        ensure_eq!(error.kind(), ErrorKind::NotAuthorized, "kind of {error:?}");
        let user = context.kit(who)?.user.clone();
        let expected = format!("user '{user}' is not authorized for 'submit_job'");
        ensure_eq!(error.server_text(), Some(expected.as_str()), "text");
        Ok(())
    }
    .await;
    owner.leave(found).await
}
