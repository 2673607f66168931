//! What becomes of jobs.

use flare_client::{ErrorKind, JobId, JobStatus, JsonObject, LogFile, LogTarget, MonitorOptions, Targets};
use serde_json::json;
use tempfile::TempDir;

use super::{Owner, POLL, names, own_sites, unique};
use crate::finding::{ensure, ensure_eq};
use crate::job_folder::{JobFolder, files_below};
use crate::simulated::Simulator;
use crate::{Case, CaseResult, Context, Finding, Home, Need, Release, Role, Who};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("jobs.life.completed", "a job runs to its end and leaves its result", completed)
            .exercises(&[
                "submit_job",
                "submit_job.job_definition_path",
                "get_job_meta",
                "get_job_meta.job_id",
                "list_job_components",
                "list_job_components.job_id",
                "download_job_components",
                "download_job_components.job_id",
                "get_job_logs",
                "get_job_logs.job_id",
                "get_job_logs.target",
                "get_job_logs.tail_lines",
                "get_job_logs.grep_pattern",
                "get_job_logs.log_file_name",
                "abort_job",
                "abort_job.job_id",
                "download_job_result",
                "download_job_result.job_id",
                "download_job_result.destination",
                "delete_job",
                "delete_job.job_id",
            ])
            .checks(&[
                "JOB-SUBMIT-001",
                "JOB-LIFE-001",
                "JOB-DOWNLOAD-001",
                "JOB-COMPONENTS-001",
                "JOB-LOGS-001",
                "JOB-DELETE-001",
                "SPEC-ABORT-JOB-002",
                "SPEC-ABORT-JOB-003",
                "SPEC-DELETE-JOB-001",
                "SPEC-DELETE-JOB-004",
                "SPEC-COMPONENTS-DOWNLOAD-001",
                "SPEC-JOB-RESULT-001",
                "SPEC-JOB-RESULT-002",
                "SPEC-JOB-LOGS-001",
                "SPEC-JOB-LOGS-002",
                "SPEC-JOB-LOGS-003",
                "SPEC-JOB-LOGS-004",
                "SPEC-JOB-LOGS-005",
                "SPEC-JOB-META-001",
                "SPEC-COMPONENTS-LIST-001",
                "SPEC-SUBMIT-JOB-001",
            ]),
        Case::new("jobs.life.exception", "a job whose workflow cannot be made ends with an exception", exception)
            .checks(&["JOB-LIFE-002"]),
        Case::new("jobs.life.waiting", "a job that finds too few sites waits, and is aborted and cloned", waiting)
            .exercises(&[
                "clone_job",
                "clone_job.job_id",
                "abort_job",
                "abort_job.job_id",
                "delete_job",
                "delete_job.job_id",
                "get_job_logs",
                "get_job_logs.job_id",
            ])
            .checks(&[
                "JOB-LIFE-003",
                "JOB-ABORT-001",
                "JOB-CLONE-001",
                "SPEC-ABORT-JOB-001",
                "SPEC-ABORT-JOB-002",
                "SPEC-ABORT-JOB-004",
                "SPEC-CLONE-JOB-001",
                "SPEC-CLONE-JOB-002",
                "SPEC-DELETE-JOB-002",
                "SPEC-JOB-LOGS-005",
            ]),
        Case::new("jobs.life.mandatory", "a job waits for a site that it cannot do without", mandatory)
            .checks(&["JOB-LIFE-005"]),
        Case::new("jobs.life.resources", "a job waits for sites that have what it asks for", resources)
            .checks(&["JOB-LIFE-007"])
            .needs([Need::Site(Home::Server)]),
        Case::new("jobs.clone.submitter", "a clone belongs to who cloned it", cloned_by_another)
            .checks(&["JOB-CLONE-002"])
            .needs([Need::Admin(Who::LEAD)]),
        Case::new("jobs.life.given-up", "the scheduler gives up after ten attempts", given_up)
            .checks(&["JOB-LIFE-004"])
            .needs([Need::ControlledTime]),
        Case::new("jobs.life.unsigned", "a job without signatures fails to run", unsigned).checks(&["JOB-SUBMIT-004"]),
        Case::new(
            "jobs.life.site-refuses",
            "a site that refuses custom code is left out or ends the job",
            site_refuses,
        )
        .checks(&["JOB-LIFE-001"])
        .needs([Need::Site(Home::Server)]),
    ]
}

async fn completed(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = run_to_the_end(&context, &mut owner).await;
    owner.leave(found).await
}

async fn run_to_the_end(context: &Context, owner: &mut Owner) -> CaseResult {
    let sites = own_sites(context)?;
    let name = unique("short")?;
    let job = JobFolder::short(&name, &names(&sites))?;
    let before = files_below(&job.path())?;
    let job_id = owner.session.submit_job(job.path()).await?;
    let job_id = owner.own(job_id);
    ensure_eq!(files_below(&job.path())?, before, "the submitted folder");
    ensure!(!job.path().join(".__nvfl_sig.json").exists(), "the submitted folder was signed in place");
    let session = &owner.session;
    let meta = owner.until(&job_id, &JobStatus::Completed).await?;
    ensure_eq!(meta.name.as_deref(), Some(name.as_str()), "name");
    ensure_eq!(meta.job_folder_name.as_deref(), Some(name.as_str()), "folder");
    ensure!(meta.duration.is_some() && meta.submit_time.is_some(), "{meta:?}");
    // Releases before 2.9 write the time of their place, and not which place that is.
    let has_zone = context.target().is_at_least(Release::V2_9);
    let is_time = |start: &str| start.contains(['T', ' ']) && start.ends_with("+00:00") == has_zone;
    ensure!(meta.start_time.as_deref().is_some_and(is_time), "start: {:?}", meta.start_time);
    ensure_eq!(meta.schedule_count, Some(1), "attempts");
    let mut detail = meta.job_deploy_detail.clone();
    detail.sort();
    let mut expected: Vec<String> =
        ["server"].into_iter().chain(names(&sites)).map(|name| format!("{name}: OK")).collect();
    expected.sort();
    ensure_eq!(detail, expected, "deployment");

    ensure_eq!(session.list_job_components(&job_id).await?, Vec::<String>::new(), "components");
    let error = session.download_job_components(&job_id).await.err();
    ensure_eq!(error.map(|error| error.kind()), Some(ErrorKind::Refused), "download without components");
    let logs = session.get_job_logs(&job_id).target(LogTarget::All).await?;
    ensure!(logs.logs.get("server").is_some_and(|log| log.contains("Runner_process started.")), "log: {logs:?}");
    for site in &sites {
        let there = logs.logs.contains_key(site) || logs.unavailable.contains_key(site);
        ensure!(there, "nothing is said about the log of {site}: {:?}", logs.unavailable);
    }
    let started = session.get_job_logs(&job_id).grep("Runner_process started.").await?;
    ensure_eq!(started.logs.get("server").map(|log| log.lines().count()), Some(1), "lines with a text");
    let lines = session.get_job_logs(&job_id).file(LogFile::Json).await?;
    let is_json = |line: &str| serde_json::from_str::<JsonObject>(line).is_ok();
    ensure!(lines.logs.get("server").is_some_and(|log| log.lines().all(is_json)), "the other log: {lines:?}");
    let last = session.get_job_logs(&job_id).tail(1).await?;
    ensure_eq!(last.logs.get("server").map(|log| log.lines().count()), Some(1), "lines of a log's end");
    let error = session.show_stats(&job_id, &Targets::All).await.err();
    ensure_eq!(error.map(|error| error.kind()), Some(ErrorKind::JobNotRunning), "statistics of a job that is over");
    ensure_eq!(
        session.abort_job(&job_id).await?,
        format!("Job for {job_id} is already completed."),
        "aborting a job that is over"
    );
    let after = session.get_job_meta(&job_id).await?;
    ensure_eq!(
        (&after.status, &after.duration),
        (&meta.status, &meta.duration),
        "the job after an abort that came too late"
    );

    let place = TempDir::new().map_err(|error| Finding::harness(error.to_string()))?;
    let folder = session.download_job_result(&job_id).destination(place.path()).await?;
    ensure_eq!(files_below(&folder.join("job").join(&name))?, before, "the job in its result");
    for file in ["meta.json", "workspace/log.txt", "workspace/meta.json", "workspace/fl_app.txt"] {
        ensure!(folder.join(file).is_file(), "{file} is not in the result");
    }
    let app = files_below(&folder.join("workspace/app_server"))?;
    ensure!(app.iter().any(|(name, _)| name == "config/config_fed_server.json"), "the server's app: {app:?}");

    session.delete_job(&job_id).await?;
    let error = session.get_job_meta(&job_id).await.err();
    ensure_eq!(error.map(|error| error.kind()), Some(ErrorKind::JobNotFound), "a deleted job");
    Ok(())
}

async fn exception(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let sites = own_sites(&context)?;
        let job = JobFolder::failing(&unique("failing")?, &names(&sites))?;
        let job_id = owner.session.submit_job(job.path()).await?;
        let job_id = owner.own(job_id);
        let meta = owner.until(&job_id, &JobStatus::ExecutionException).await?;
        ensure!(meta.duration.is_some(), "{meta:?}");
        Ok(())
    }
    .await;
    owner.leave(found).await
}

async fn waiting(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let job = JobFolder::waiting(&unique("waiting")?)?;
        let job_id = owner.session.submit_job(job.path()).await?;
        let job_id = owner.own(job_id);
        let meta = attempted(&owner, &job_id).await?;
        let sites = owner.session.get_connected_client_list().await?.len();
        let line = meta.schedule_history.first().cloned().unwrap_or_default();
        let expected = format!(": connected sites ({sites}) < min_sites (1000)");
        ensure!(line.ends_with(&expected), "history: {:?}", meta.schedule_history);
        ensure_eq!(meta.status, Some(JobStatus::Submitted), "status");
        ensure!(meta.job_deploy_detail.is_empty() && meta.duration.is_none(), "{meta:?}");

        let clone = owner.session.clone_job(&job_id).await?;
        let clone = owner.own(clone);
        let meta = owner.session.get_job_meta(&clone).await?;
        ensure_eq!(meta.cloned_from.as_deref(), Some(job_id.as_str()), "original of the clone");
        ensure_eq!(meta.min_clients, Some(1000), "min_clients of the clone");

        let said = owner.session.abort_job(&job_id).await?;
        ensure_eq!(said, format!("Aborted the job {job_id} before running it."), "aborting a job that waits");
        ensure_eq!(owner.session.get_job_status(&job_id).await?, Some(JobStatus::Aborted), "status afterwards");
        let error = owner.session.get_job_logs(&job_id).await?;
        ensure!(
            error.logs.is_empty() && error.unavailable.contains_key("server"),
            "logs of a job that never ran: {error:?}"
        );
        // A job that waits can be deleted without being aborted.
        let deleted = owner.session.delete_job(&clone).await?;
        ensure_eq!(deleted.submit_records_marked_deleted, 0, "tokens of the clone");
        Ok(())
    }
    .await;
    owner.leave(found).await
}

async fn mandatory(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let absent = unique("absent")?;
        let job = JobFolder::waiting(&unique("mandatory")?)?
            .with_meta("min_clients", json!(1))?
            .with_meta("mandatory_clients", json!([absent]))?;
        let job_id = owner.session.submit_job(job.path()).await?;
        let job_id = owner.own(job_id);
        let meta = attempted(&owner, &job_id).await?;
        let line = meta.schedule_history.first().cloned().unwrap_or_default();
        ensure!(line.ends_with(&format!("missing required site {absent}")), "history: {:?}", meta.schedule_history);
        ensure_eq!(meta.status, Some(JobStatus::Submitted), "status");
        owner.session.abort_job(&job_id).await?;
        Ok(())
    }
    .await;
    owner.leave(found).await
}

async fn resources(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let site = context.site(Home::Server)?;
        let job = JobFolder::waiting(&unique("resources")?)?
            .with_meta("min_clients", json!(1))?
            .with_meta("deploy_map", json!({"app": ["server", site]}))?
            .with_meta("resource_spec", json!({site: {"num_of_gpus": 1_000_000}}))?;
        let job_id = owner.session.submit_job(job.path()).await?;
        let job_id = owner.own(job_id);
        let meta = attempted(&owner, &job_id).await?;
        let line = meta.schedule_history.first().cloned().unwrap_or_default();
        let expected = ": not enough sites have enough resources (ok sites 0 < min sites 1)";
        ensure!(line.contains(expected), "history: {:?}", meta.schedule_history);
        ensure_eq!(meta.status, Some(JobStatus::Submitted), "status");
        owner.session.abort_job(&job_id).await?;
        Ok(())
    }
    .await;
    owner.leave(found).await
}

async fn cloned_by_another(context: Context) -> CaseResult {
    let mut lead = Owner::log_in(&context, Who::LEAD).await?;
    let mut admin = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let job = JobFolder::waiting(&unique("cloned")?)?;
        let job_id = lead.session.submit_job(job.path()).await?;
        let job_id = lead.own(job_id);
        let clone = admin.session.clone_job(&job_id).await?;
        let clone = admin.own(clone);
        for (id, who) in [(&job_id, Who::LEAD), (&clone, Who::PROJECT_ADMIN)] {
            let meta = admin.session.get_job_meta(id).await?;
            ensure_eq!(meta.submitter_name.as_deref(), Some(context.kit(who)?.user.as_str()), "submitter of {id}");
        }
        Ok(())
    }
    .await;
    let found = admin.leave(found).await;
    lead.leave(found).await
}

/// Waits until the scheduler has tried a job.
async fn attempted(owner: &Owner, job_id: &JobId) -> CaseResult<flare_client::JobMeta> {
    let options = MonitorOptions::new().timeout(super::JOB_PATIENCE).poll_interval(POLL)?;
    let mut tried = None;
    let until_tried = |meta: &flare_client::JobMeta| {
        tried = meta.schedule_count.is_some_and(|count| count > 0).then(|| meta.clone());
        tried.is_none()
    };
    owner.session.monitor_job(job_id, &options, until_tried).await?;
    tried.ok_or_else(|| Finding::fail("the scheduler never tried the job"))
}

async fn given_up(context: Context) -> CaseResult {
    // A simulator of this case's own, so that no other case feels its time jump.
    let simulator =
        Simulator::start_unhurried(&context.target().description().scheme, context.target().mutant()).await?;
    let mut owner = Owner::log_in_with(&context, &simulator.admin(Role::ProjectAdmin)?).await?;
    let found = async {
        let job = JobFolder::waiting(&unique("given-up")?)?;
        let job_id = owner.session.submit_job(job.path()).await?;
        let job_id = owner.own(job_id);
        attempted(&owner, &job_id).await?;
        // All pauses of the scheduler together.
        simulator.skip_time(std::time::Duration::from_secs(3600));
        let meta = owner.until(&job_id, &JobStatus::CanNotSchedule).await?;
        ensure_eq!(meta.schedule_count, Some(11), "attempts");
        ensure_eq!(meta.schedule_history.len(), 11, "lines of history");
        let last = meta.schedule_history.last().cloned().unwrap_or_default();
        ensure!(last.ends_with(": exceeded max schedule count 10"), "{last}");
        Ok(())
    }
    .await;
    owner.leave(found).await
}

async fn unsigned(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let sites = own_sites(&context)?;
        let job = JobFolder::short(&unique("unsigned")?, &names(&sites))?;
        let job_id = owner.session.submit_job(job.path()).unsigned().await?;
        let job_id = owner.own(job_id);
        owner.until(&job_id, &JobStatus::FailedToRun).await?;
        let meta = owner.deployed(&job_id).await?;
        let expected = "server: unsigned job rejected \u{2014} require_signed_jobs is enabled";
        ensure_eq!(meta.job_deploy_detail, [expected], "deployment");
        ensure!(meta.schedule_count.is_none() && meta.duration.is_none(), "{meta:?}");
        Ok(())
    }
    .await;
    owner.leave(found).await
}

/// A lead may bring code of his own; whoever may not submit cannot be tried here, so the job goes where it is allowed.
async fn site_refuses(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let sites = own_sites(&context)?;
        let job = JobFolder::short(&unique("custom-code")?, &names(&sites))?
            .with_file("app/custom/conformance_helper.py", b"VALUE = 1\n")?;
        let job_id = owner.session.submit_job(job.path()).await?;
        let job_id = owner.own(job_id);
        let meta = owner.until(&job_id, &JobStatus::Completed).await?;
        ensure_eq!(meta.extra.get("byoc"), Some(&json!(true)), "byoc");
        Ok(())
    }
    .await;
    owner.leave(found).await
}
