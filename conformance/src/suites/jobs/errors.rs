//! What is told of the errors of a job, while it runs and afterwards.

use std::time::Instant;

use flare_client::{JobStatus, Targets};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{JOB_PATIENCE, Owner, POLL, names, own_sites, unique};
use crate::finding::{ensure, ensure_eq};
use crate::job_folder::JobFolder;
use crate::{Case, CaseResult, Context, Finding, Who};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("jobs.errors.components", "sites whose part of a job fails send their error logs", components)
            .exercises(&[
                "list_job_components",
                "list_job_components.job_id",
                "download_job_components",
                "download_job_components.job_id",
            ])
            .checks(&["JOB-COMPONENTS-002", "JOB-LIFE-006", "SPEC-COMPONENTS-DOWNLOAD-002"]),
        Case::new("jobs.errors.reset", "what a component of a running job warns of is shown until it is reset", reset)
            .exercises(&[
                "show_errors",
                "show_errors.job_id",
                "show_errors.target_type",
                "reset_errors",
                "reset_errors.job_id",
            ])
            .checks(&["SPEC-RESET-ERRORS-001", "SPEC-SHOW-ERRORS-003"]),
    ]
}

async fn components(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let sites = own_sites(&context)?;
        let job = JobFolder::failing_at_sites(&unique("broken")?, &names(&sites))?;
        let job_id = owner.session.submit_job(job.path()).await?;
        let job_id = owner.own(job_id);
        owner.until(&job_id, &JobStatus::Abnormal).await?;
        // A log may arrive after its job has ended.
        let expected: Vec<String> = sites.iter().map(|site| format!("ERRORLOG_{site}")).collect();
        let until = Instant::now() + JOB_PATIENCE;
        let listed = loop {
            let mut listed = owner.session.list_job_components(&job_id).await?;
            listed.sort();
            if listed == expected || Instant::now() > until {
                break listed;
            }
            tokio::time::sleep(POLL).await;
        };
        ensure_eq!(listed, expected, "components");
        let place = TempDir::new().map_err(|error| Finding::harness(error.to_string()))?;
        let folder = owner.session.download_job_components(&job_id).destination(place.path()).await?;
        for name in expected {
            let log = std::fs::read_to_string(folder.join(&name))
                .map_err(|error| Finding::fail(format!("{name}: {error}")))?;
            ensure!(log.contains("conformance.no.such"), "{name} does not name the class: {log:?}");
        }
        Ok(())
    }
    .await;
    owner.leave(found).await
}

/// An aggregator without weights warns once per round and site, in the first ten rounds.
async fn reset(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let sites = own_sites(&context)?;
        let job = JobFolder::endless(&unique("warning")?, &names(&sites))?;
        let job_id = owner.session.submit_job(job.path()).await?;
        let job_id = owner.own(job_id);
        owner.until(&job_id, &JobStatus::Running).await?;
        let until = Instant::now() + JOB_PATIENCE;
        let told = async || -> CaseResult<Value> {
            match owner.session.show_errors(&job_id, &Targets::Server).await {
                Ok(errors) => Ok(errors.get("server").cloned().unwrap_or_default()),
                // The process of the job cannot be reached at once.
                Err(error) if error.kind() == flare_client::ErrorKind::JobNotFound => Ok(Value::Null),
                Err(error) => Err(error.into()),
            }
        };
        let warned = loop {
            let errors = told().await?;
            if errors.is_object() {
                break errors;
            }
            ensure!(Instant::now() < until, "nobody warned of anything: {errors}");
            tokio::time::sleep(POLL).await;
        };
        let by_component = warned.as_object().is_some_and(|of| of.values().all(Value::is_object));
        ensure!(by_component, "errors by component: {warned}");
        loop {
            owner.session.reset_errors(&job_id).await?;
            // Another round may have ended in between.
            let errors = told().await?;
            if errors == json!("No Error") {
                return Ok(());
            }
            ensure!(Instant::now() < until, "errors that were reset are still there: {errors}");
            tokio::time::sleep(POLL).await;
        }
    }
    .await;
    owner.leave(found).await
}
