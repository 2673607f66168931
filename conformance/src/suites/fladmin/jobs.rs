//! A job by the older API, from its submission to its end.

use flare_client::JobStatus;
use flare_client::fladmin::{
    ApiStatus, FlAdminApi, TargetType, WAITED_UNTIL_NOT_RUNNING, WaitOptions, server_runner_is_done,
};
use serde_json::Value;

use super::{fails, works};
use crate::finding::{ensure, ensure_eq};
use crate::job_folder::JobFolder;
use crate::suites::own::{CASE_LIMIT, JOB_PATIENCE, Owner, POLL, names, own_sites, unique};
use crate::{Case, CaseResult, Context, Home, Need, Risk, Who};

pub(super) fn cases() -> Vec<Case> {
    let changes = "submits two jobs whose names begin with `conformance-`, ends them, and deletes them at the end";
    vec![
        Case::new("fladmin.job", "a job is submitted, watched, aborted, fetched and submitted again", job)
            .checks(&["FLADMIN-GUIDE-002", "FLADMIN-CALL-001", "FLADMIN-WAIT-001", "FLADMIN-WAIT-002"])
            .needs([Need::Admin(Who::PROJECT_ADMIN), Need::Site(Home::Server)])
            .risking(Risk::OwnObjects, changes)
            .within(CASE_LIMIT),
    ]
}

async fn job(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = life(&context, &mut owner).await;
    owner.leave(found).await
}

async fn life(context: &Context, owner: &mut Owner) -> CaseResult {
    // On the owner's connection; so it does not log out.
    let api = FlAdminApi::from(owner.session.clone());
    let sites = own_sites(context)?;
    let folder = JobFolder::endless(&unique("older-api")?, &names(&sites))?;
    let path = folder.path();
    let submitted = works("submit_job", api.submit_job(&path.display().to_string()).await)?;
    let id = submitted.details["job_id"].as_str().unwrap_or_default().to_owned();
    let job_id = owner.own(id.parse()?);
    ensure_eq!(submitted.message(), Some(format!("Submitted job: {id}").as_str()), "words of the submission");
    owner.until(&job_id, &JobStatus::Running).await?;

    let running = WaitOptions::of_clients().interval(POLL).timeout(JOB_PATIENCE).fail_attempts(u32::MAX);
    let mut stats = Value::Null;
    // The job answers some moments after it is said to run; until then it is one that does not run.
    for _ in 0..JOB_PATIENCE.as_millis() / POLL.as_millis() {
        let asked = api.wait_until_server_stats(&id, running, |reply| {
            stats = reply.details["message"].clone();
            stats["server"].get("ServerRunner").is_some()
        });
        if works("statistics", asked.await)?.message() != Some(WAITED_UNTIL_NOT_RUNNING) {
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    ensure!(stats["server"]["ServerRunner"].is_object(), "statistics of the server: {stats}");
    let errors = works("show_errors", api.show_errors(&id, TargetType::Server, &[]).await)?;
    ensure!(errors.details["message"].get("server").is_some(), "{errors:?}");
    works("reset_errors", api.reset_errors(&id).await)?;
    fails("delete_job of one that runs", &api.delete_job(&id).await, ApiStatus::ErrorRuntime)?;

    works("abort_job", api.abort_job(&id).await)?;
    // While its processes end, a real server answers with errors.
    let over = works("the wait for its end", api.wait_until_server_stats(&id, running, server_runner_is_done).await)?;
    ensure!(over.details == serde_json::json!({}) || over.message() == Some(WAITED_UNTIL_NOT_RUNNING), "{over:?}");
    owner.until(&job_id, &JobStatus::Aborted).await?;

    let fetched = works("download_job", api.download_job(&id).await)?;
    let place = fetched.raw.and_then(|raw| raw.location).unwrap_or_default();
    ensure!(place.join("meta.json").is_file(), "{} holds no meta.json", place.display());
    let removed = std::fs::remove_dir_all(&place);
    ensure!(removed.is_ok(), "{}: {removed:?}", place.display());

    let cloned = works("clone_job", api.clone_job(&id).await)?;
    let clone = cloned.details["job_id"].as_str().unwrap_or_default().to_owned();
    owner.own(clone.parse()?);
    ensure!(clone != id, "the clone has the id of its original");
    works("abort_job of the clone", api.abort_job(&clone).await)?;
    Ok(())
}
