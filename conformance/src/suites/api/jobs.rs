//! Jobs and studies, as far as they are read.

use flare_client::{ErrorKind, JobId, JobQuery};
use flare_wire::is_uuid4;

use super::fails;
use crate::finding::{ensure, ensure_eq};
use crate::{Case, CaseResult, Context, Finding, Need, Who};

/// A version-4 UUID in upper case that no job has.
const NO_SUCH_JOB: &str = "00000000-0000-4000-8ABC-000000000000";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("api.jobs.list", "the list of jobs agrees with its detailed form", list)
            .exercises(&["list_jobs", "list_jobs.detailed", "list_jobs.reverse"])
            .checks(&["API-JOBS-001", "SPEC-LIST-JOBS-001", "SPEC-LIST-JOBS-002"]),
        Case::new("api.jobs.list.empty", "a server without jobs gives an empty list", list_empty)
            .checks(&["API-JOBS-001"]),
        Case::new("api.jobs.list.prefix", "prefixes that no job has give an empty list", prefixes)
            .exercises(&["list_jobs", "list_jobs.id_prefix", "list_jobs.name_prefix"])
            .checks(&["API-JOBS-002"]),
        Case::new("api.jobs.meta.unknown", "a job that does not exist is not found", unknown_job)
            .exercises(&["get_job_meta", "get_job_meta.job_id"])
            .checks(&["API-JOB-META-001", "SPEC-JOB-META-001"]),
    ];
    for who in [Who::PROJECT_ADMIN, Who::LEAD, Who::OTHER_MEMBER] {
        let case =
            Case::new(format!("api.studies.{}", who.slug()), format!("a {who} is told who he is"), move |context| {
                studies(context, who)
            });
        cases.push(case.checks(&["API-STUDIES-001", "SPEC-LIST-STUDIES-001"]).needs([Need::Admin(who)]));
    }
    cases
}

async fn list(context: Context) -> CaseResult {
    let session = context.connect(context.any_kit()?).await?;
    let jobs = session.list_jobs(&JobQuery::new()).await?;
    let detailed = session.list_jobs_detailed(&JobQuery::new()).await?;
    let ids: Vec<&str> = jobs.iter().map(|job| job.job_id.as_str()).collect();
    let detailed_ids: Vec<&str> = detailed.iter().map(|job| job.job_id.as_str()).collect();
    ensure_eq!(ids, detailed_ids, "ids");
    for job in &jobs {
        ensure!(job.status.is_some() && job.submit_time.is_some(), "{job:?}");
    }
    let newest_first = session.list_jobs(&JobQuery::new().reverse()).await?;
    let reversed: Vec<&str> = newest_first.iter().rev().map(|job| job.job_id.as_str()).collect();
    ensure_eq!(reversed, ids, "ids, newest first, reversed");
    session.close().await;
    Ok(())
}

async fn list_empty(context: Context) -> CaseResult {
    let session = context.connect(context.any_kit()?).await?;
    let reply = session.do_command("list_jobs").await?;
    if reply.meta.get("jobs").and_then(|jobs| jobs.as_array()).is_some_and(|jobs| !jobs.is_empty()) {
        return Err(Finding::untestable("the target lacks: an empty job store"));
    }
    ensure_eq!(session.list_jobs(&JobQuery::new()).await?, [], "jobs");
    ensure_eq!(session.list_jobs_detailed(&JobQuery::new()).await?, [], "detailed jobs");
    ensure_eq!(session.list_jobs(&JobQuery::new().limit(3).reverse()).await?, [], "newest three");
    session.close().await;
    Ok(())
}

async fn prefixes(context: Context) -> CaseResult {
    let session = context.connect(context.any_kit()?).await?;
    let by_id = JobQuery::new().id_prefix("zzzz")?;
    ensure_eq!(session.list_jobs(&by_id).await?, [], "jobs whose id begins with zzzz");
    let by_name = JobQuery::new().name_prefix("no such \"job\" in this \\ world")?;
    ensure_eq!(session.list_jobs(&by_name).await?, [], "jobs with an odd name");
    session.close().await;
    Ok(())
}

async fn unknown_job(context: Context) -> CaseResult {
    let session = context.connect(context.any_kit()?).await?;
    ensure!(is_uuid4(NO_SUCH_JOB), "the case's own id");
    for id in [NO_SUCH_JOB, "abc"] {
        let error = fails(id, session.get_job_meta(&JobId::new(id)?).await, ErrorKind::JobNotFound)?;
        ensure_eq!(error.server_text(), Some(id.to_lowercase().as_str()), "{id}: the server's words");
        ensure_eq!(error.status().map(|status| status.as_str()), Some("invalid_job_id"), "{id}: status");
    }
    session.close().await;
    Ok(())
}

async fn studies(context: Context, who: Who) -> CaseResult {
    let kit = context.kit(who)?;
    let session = context.shared(who).await?;
    let listing = session.list_studies().await?;
    ensure_eq!(listing.identity.name.as_deref(), Some(kit.user.as_str()), "name");
    ensure_eq!(listing.identity.org.as_deref(), Some(kit.org.as_str()), "organisation");
    ensure_eq!(listing.identity.role.as_deref(), Some(who.role.as_str()), "role");
    ensure_eq!(listing.details.len(), listing.studies.len(), "details");
    Ok(())
}
