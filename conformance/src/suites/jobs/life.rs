//! What becomes of jobs.

use flare_client::{
    ErrorKind, JobId, JobQuery, JobStatus, JsonObject, LogConfig, LogFile, LogTarget, MonitorOptions,
    MonitorReturnCode, Session, SiteJobStatus, Target, Targets,
};
use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Owner, POLL, names, own_sites, unique};
use crate::finding::{ensure, ensure_eq};
use crate::job_folder::{JobFolder, files_below};
use crate::raw::KitCopy;
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
        Case::new("jobs.life.running", "a job that runs is answered for, and aborted", running)
            .exercises(&[
                "show_stats",
                "show_stats.job_id",
                "show_stats.target_type",
                "show_stats.targets",
                "show_errors",
                "show_errors.job_id",
                "show_errors.target_type",
                "show_errors.targets",
                "reset_errors",
                "reset_errors.job_id",
                "configure_job_log",
                "configure_job_log.job_id",
                "configure_job_log.config",
                "configure_job_log.target",
                "get_client_job_status",
                "get_client_job_status.client_names",
                "monitor_job",
                "monitor_job.job_id",
                "monitor_job.timeout",
                "monitor_job.poll_interval",
                "monitor_job.cb",
                "monitor_job_and_return_job_meta",
                "monitor_job_and_return_job_meta.job_id",
                "monitor_job_and_return_job_meta.timeout",
                "monitor_job_and_return_job_meta.poll_interval",
                "monitor_job_and_return_job_meta.cb",
                "wait_for_job",
                "wait_for_job.job_id",
                "wait_for_job.timeout",
                "wait_for_job.poll_interval",
                "abort_job",
                "abort_job.job_id",
            ])
            .checks(&[
                "JOB-STATS-001",
                "JOB-ABORT-001",
                "JOB-DELETE-001",
                "JOB-MONITOR-001",
                "SPEC-MONITOR-CODE-001",
                "SPEC-ABORT-JOB-001",
                "SPEC-ABORT-JOB-002",
                "SPEC-ABORT-JOB-005",
                "SPEC-CONFIGURE-JOB-LOG-001",
                "SPEC-CONFIGURE-JOB-LOG-002",
                "SPEC-CONFIGURE-JOB-LOG-003",
                "SPEC-DELETE-JOB-003",
                "SPEC-CLIENT-JOB-STATUS-001",
                "SPEC-CLIENT-JOB-STATUS-002",
                "SPEC-MONITOR-JOB-001",
                "SPEC-MONITOR-JOB-002",
                "SPEC-MONITOR-JOB-003",
                "SPEC-MONITOR-JOB-004",
                "SPEC-MONITOR-JOB-005",
                "SPEC-MONITOR-JOB-006",
                "SPEC-MONITOR-META-001",
                "SPEC-MONITOR-META-002",
                "SPEC-MONITOR-META-003",
                "SPEC-MONITOR-META-004",
                "SPEC-MONITOR-META-005",
                "SPEC-MONITOR-CALLBACK-001",
                "SPEC-RESET-ERRORS-001",
                "SPEC-SHOW-ERRORS-001",
                "SPEC-SHOW-ERRORS-002",
                "SPEC-SHOW-ERRORS-003",
                "SPEC-SHOW-STATS-001",
                "SPEC-SHOW-STATS-002",
                "SPEC-SHOW-STATS-003",
                "SPEC-WAIT-JOB-001",
                "SPEC-WAIT-JOB-002",
            ]),
        Case::new("jobs.life.two-on-a-site", "a site that runs two jobs has an entry for each", two_on_a_site)
            .exercises(&["get_client_job_status", "get_client_job_status.client_names"])
            .checks(&["SPEC-CLIENT-JOB-STATUS-003"])
            .needs([Need::Site(Home::Server)]),
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
        Case::new("jobs.list.filters", "every filter of a list selects as it says", filters)
            .exercises(&[
                "list_jobs",
                "list_jobs.detailed",
                "list_jobs.limit",
                "list_jobs.id_prefix",
                "list_jobs.name_prefix",
                "list_jobs.reverse",
            ])
            .checks(&[
                "JOB-LIST-001",
                "SPEC-LIST-JOBS-001",
                "SPEC-LIST-JOBS-002",
                "SPEC-LIST-JOBS-003",
                "SPEC-LIST-JOBS-004",
                "SPEC-LIST-JOBS-005",
                "SPEC-LIST-JOBS-006",
            ]),
        Case::new("jobs.submit.custom-props", "custom properties are kept", custom_props).checks(&["JOB-SUBMIT-005"]),
        Case::new("jobs.download.default-place", "a result goes to the download folder of the kit", default_place)
            .exercises(&["download_job_result", "download_job_result.job_id"])
            .checks(&["SPEC-JOB-RESULT-003"]),
        Case::new("jobs.download.large", "a job of many pieces comes back byte by byte", large)
            .exercises(&["download_job_result", "download_job_result.job_id", "download_job_result.destination"])
            .checks(&["JOB-DOWNLOAD-001", "SPEC-JOB-RESULT-001"]),
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

async fn running(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let sites = own_sites(&context)?;
        let job = JobFolder::endless(&unique("endless")?, &names(&sites))?;
        let job_id = owner.session.submit_job(job.path()).await?;
        let job_id = owner.own(job_id);
        owner.until(&job_id, &JobStatus::Running).await?;
        let session = &owner.session;
        let server = |stats: &JsonObject| component(stats, "server", "ServerRunner");
        let stats = stats_with(session, &job_id, &Targets::Server, server).await?;
        ensure_eq!(stats.keys().collect::<Vec<_>>(), ["server"], "participants of the server's statistics");
        let everybody =
            |stats: &JsonObject| server(stats) && sites.iter().all(|site| component(stats, site, "ClientRunner"));
        stats_with(session, &job_id, &Targets::All, everybody).await?;
        // Sites that are not in the job are asked as well.
        let of_sites = session.show_stats(&job_id, &Targets::all_sites()).await?;
        let are_there = |of: &JsonObject| sites.iter().all(|site| of.contains_key(site)) && !of.contains_key("server");
        ensure!(are_there(&of_sites), "participants of all sites' statistics: {of_sites:?}");
        let errors = session.show_errors(&job_id, &Targets::all_sites()).await?;
        ensure!(are_there(&errors), "participants of all sites' errors: {errors:?}");
        ensure!(sites.iter().all(|site| errors[site].is_object()), "errors of sites by component: {errors:?}");
        let errors = session.show_errors(&job_id, &Targets::Server).await?;
        // Components may have told of something by now: an aggregator warns of weights.
        let of_server = errors.get("server");
        ensure!(
            of_server.is_some_and(|of| *of == json!("No Error") || of.is_object()),
            "errors of the server: {errors:?}"
        );
        session.reset_errors(&job_id).await?;
        let site = context.site(Home::Server)?.to_owned();
        let targets = Targets::from(Target::site(&site)?);
        ensure_eq!(session.show_errors(&job_id, &targets).await?.len(), 1, "participants of one site's errors");
        for configured in [&Targets::Server, &targets, &Targets::sites(names(&sites))?] {
            session.configure_job_log(&job_id, &LogConfig::new("INFO")?, configured).await?;
        }
        // Everybody is asked, also sites that are not in the job, and one that does not answer makes it a refusal.
        if let Err(error) = session.configure_job_log(&job_id, &LogConfig::new("INFO")?, &Targets::All).await {
            let text = error.server_text().unwrap_or_default();
            let is_of_job = sites.iter().any(|site| text.starts_with(&format!("{site}:")));
            ensure!(error.kind() == ErrorKind::Refused && !is_of_job, "everybody's log: {error:?}");
        }
        session.configure_job_log(&job_id, &LogConfig::new("full")?, &Targets::Server).await?;
        let error = session.do_app_command(&job_id, "conformance", &json!({"a": 1})).await.err();
        let text = error.as_ref().and_then(|error| error.server_text()).unwrap_or_default().to_owned();
        ensure!(text.contains("no app command func for topic conformance"), "app_command: {error:?}");
        ensure_eq!(session.show_stats(&job_id, &targets).await?.len(), 1, "participants of one site's statistics");
        let status = session.get_client_job_status(&[site.parse()?]).await?;
        let entry = status.iter().find(|job| job.job_id.as_deref() == Some(job_id.as_str()));
        let told = entry.map(|entry| (entry.app_name.is_some(), entry.status.clone()));
        ensure_eq!(told, Some((true, SiteJobStatus::Started)), "job of {site}, among {status:?}");

        let kinds = [
            session.delete_job(&job_id).await.err().map(|error| error.kind()),
            session.download_job_result(&job_id).await.err().map(|error| error.kind()),
        ];
        ensure_eq!(kinds, [Some(ErrorKind::JobRunning); 2], "deleting and downloading a job that runs");
        let short = MonitorOptions::new().timeout(POLL).poll_interval(POLL * 2)?;
        ensure_eq!(session.monitor_job(&job_id, &short, |_| true).await?, MonitorReturnCode::Timeout, "monitoring");
        let mut asked = 0;
        let counting = MonitorOptions::new().timeout(POLL * 5).poll_interval(POLL)?;
        let ended = session
            .monitor_job(&job_id, &counting, |_| {
                asked += 1;
                true
            })
            .await?;
        ensure_eq!(ended, MonitorReturnCode::Timeout, "monitoring for a while");
        ensure!((2..=6).contains(&asked), "asked {asked} times in five intervals");
        let stopped = session.monitor_job(&job_id, &short, |_| false).await?;
        ensure_eq!(stopped, MonitorReturnCode::EndedByCallback, "monitoring with a callback");
        let seen = session.monitor_job_and_return_job_meta(&job_id, &short, |_| true).await?;
        ensure_eq!((seen.0, seen.1.is_none()), (MonitorReturnCode::Timeout, true), "monitoring for the meta");
        let seen = session.monitor_job_and_return_job_meta(&job_id, &short, |_| false).await?;
        let ended = (MonitorReturnCode::EndedByCallback, true);
        ensure_eq!((seen.0, seen.1.is_none()), ended, "monitoring for the meta with a callback");
        let late = session.wait_for_job(&job_id, &short).await.err();
        ensure_eq!(late.map(|error| error.kind()), Some(ErrorKind::JobTimeout), "waiting");

        let said = session.abort_job(&job_id).await?;
        ensure_eq!(said, "Abort signal has been sent to the server app.", "aborting a job that runs");
        // Without a time limit: each goes on until the job has ended.
        let patient = MonitorOptions::new().poll_interval(POLL)?;
        let mut last = None;
        let ended = session
            .monitor_job(&job_id, &patient, |meta| {
                last = meta.status.clone();
                true
            })
            .await?;
        ensure_eq!((ended, last), (MonitorReturnCode::JobFinished, Some(JobStatus::Aborted)), "monitoring to the end");
        let seen = session.monitor_job_and_return_job_meta(&job_id, &patient, |_| true).await?;
        ensure_eq!(seen.0, MonitorReturnCode::JobFinished, "monitoring for the meta to the end");
        let meta = session.wait_for_job(&job_id, &patient).await?;
        ensure_eq!(seen.1.and_then(|meta| meta.status), meta.status, "status in the meta");
        ensure_eq!(meta.status, Some(JobStatus::Aborted), "status");
        ensure!(meta.duration.is_some(), "{meta:?}");
        Ok(())
    }
    .await;
    owner.leave(found).await
}

async fn two_on_a_site(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let site = context.site(Home::Server)?;
        let mut both = BTreeSet::new();
        for _ in 0..2 {
            let job = JobFolder::endless(&unique("two")?, &[site])?;
            let job_id = owner.session.submit_job(job.path()).await?;
            both.insert(owner.own(job_id).to_string());
        }
        let until = Instant::now() + super::JOB_PATIENCE;
        loop {
            let entries = owner.session.get_client_job_status(&[site.parse()?]).await?;
            let of: BTreeSet<String> = entries
                .iter()
                .filter(|entry| entry.status == SiteJobStatus::Started)
                .filter_map(|entry| entry.job_id.clone())
                .filter(|job_id| both.contains(job_id))
                .collect();
            if of == both {
                return Ok(());
            }
            ensure!(Instant::now() < until, "of the jobs {both:?} {site} tells {entries:?}");
            tokio::time::sleep(POLL).await;
        }
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

/// True when a participant tells something of this component.
fn component(stats: &JsonObject, participant: &str, component: &str) -> bool {
    stats.get(participant).and_then(|of| of.get(component)).is_some_and(Value::is_object)
}

/// The statistics of a job that has just become RUNNING, when there is in them what is wanted. A real server has that status
/// before the process it started can be reached, and says until then that the job cannot be found; after that no component has
/// anything to tell for a while.
async fn stats_with(
    session: &Session,
    job_id: &JobId,
    targets: &Targets,
    wanted: impl Fn(&JsonObject) -> bool,
) -> CaseResult<JsonObject> {
    let until = Instant::now() + super::JOB_PATIENCE;
    loop {
        match session.show_stats(job_id, targets).await {
            Ok(stats) if wanted(&stats) => return Ok(stats),
            Ok(stats) => ensure!(Instant::now() < until, "components never told of: {stats:?}"),
            Err(error) if error.kind() == ErrorKind::JobNotFound && Instant::now() < until => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(POLL).await;
    }
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

async fn filters(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let mut lead = Owner::log_in(&context, Who::LEAD).await?;
    let found = filtered(&mut owner, &mut lead).await;
    let found = lead.leave(found).await;
    owner.leave(found).await
}

async fn filtered(owner: &mut Owner, lead: &mut Owner) -> CaseResult {
    let prefix = unique("list")?;
    let mut ids = Vec::new();
    for number in 0..3 {
        let job = JobFolder::waiting(&format!("{prefix}-{number}"))?;
        let job_id = owner.session.submit_job(job.path()).await?;
        ids.push(owner.own(job_id).to_string());
    }
    let job = JobFolder::waiting(&format!("{prefix}-3"))?;
    let job_id = lead.session.submit_job(job.path()).await?;
    ids.push(lead.own(job_id).to_string());

    let listed = async |query: JobQuery| -> CaseResult<Vec<String>> {
        let summary: Vec<String> = owner.session.list_jobs(&query).await?.into_iter().map(|job| job.job_id).collect();
        let detailed: Vec<String> =
            owner.session.list_jobs_detailed(&query).await?.into_iter().map(|job| job.job_id).collect();
        ensure_eq!(detailed, summary, "the detailed form of a list");
        Ok(summary)
    };
    let ours = || JobQuery::new().name_prefix(prefix.to_uppercase());
    let reversed: Vec<String> = ids.iter().rev().cloned().collect();
    ensure_eq!(listed(ours()?).await?, ids, "by name, in any case, oldest first");
    ensure_eq!(listed(ours()?.reverse()).await?, reversed, "newest first");
    ensure_eq!(listed(ours()?.limit(2)).await?, ids[2..], "the newest two, oldest first");
    ensure_eq!(listed(ours()?.limit(2).reverse()).await?, reversed[..2], "the newest two, newest first");
    ensure_eq!(listed(ours()?.limit(0)).await?, ids, "without a limit");
    ensure_eq!(listed(ours()?.own()).await?, ids[..3], "one's own");
    ensure_eq!(listed(JobQuery::new().id_prefix(&ids[1])?).await?, ids[1..2], "by id");
    ensure_eq!(listed(JobQuery::new().id_prefix(ids[1][..18].to_uppercase())?).await?, ids[1..2], "by part of an id");
    ensure_eq!(listed(ours()?.id_prefix("zzz")?).await?, Vec::<String>::new(), "by an id that there is not");
    Ok(())
}

async fn custom_props(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let job = JobFolder::waiting(&unique("props")?)?;
        let props = json!({"ticket": 7, "tags": ["a", "b"]});
        let object = props.as_object().cloned().unwrap_or_default();
        let job_id = owner.session.submit_job(job.path()).custom_props(object).await?;
        let job_id = owner.own(job_id);
        let meta = owner.session.get_job_meta(&job_id).await?;
        ensure_eq!(meta.extra.get("custom_props"), Some(&props), "custom_props");
        Ok(())
    }
    .await;
    owner.leave(found).await
}

async fn default_place(context: Context) -> CaseResult {
    let kit = context.kit(Who::PROJECT_ADMIN)?;
    let copy = KitCopy::of(kit)?.set("download_dir", "fetched")?;
    std::fs::create_dir(copy.path().join("fetched")).map_err(|error| Finding::harness(error.to_string()))?;
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let job = JobFolder::waiting(&unique("place")?)?;
        let job_id = owner.session.submit_job(job.path()).await?;
        let job_id = owner.own(job_id);
        owner.session.abort_job(&job_id).await?;
        let session = context.connect(&crate::AdminKit { path: copy.path().to_owned(), ..kit.clone() }).await?;
        let folder = session.download_job_result(&job_id).await?;
        session.close().await;
        ensure_eq!(folder, copy.path().join("fetched").join(job_id.as_str()), "where the result is");
        ensure!(folder.join("meta.json").is_file(), "{} has no meta.json", folder.display());
        Ok(())
    }
    .await;
    owner.leave(found).await
}

async fn large(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let name = unique("large")?;
        // More than a piece of a download, and no multiple of anything.
        let payload: Vec<u8> =
            (0..11_000_003_u32).map(|index| index.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        let job = JobFolder::waiting(&name)?.with_file("app/payload.bin", &payload)?.with_file("app/empty.bin", b"")?;
        let before = files_below(&job.path())?;
        let job_id = owner.session.submit_job(job.path()).await?;
        let job_id = owner.own(job_id);
        owner.session.abort_job(&job_id).await?;
        let place = TempDir::new().map_err(|error| Finding::harness(error.to_string()))?;
        let folder = owner.session.download_job_result(&job_id).destination(place.path()).await?;
        ensure!(files_below(&folder.join("job").join(&name))? == before, "the job came back with other bytes");
        ensure!(!folder.join("workspace").exists(), "a job that never ran has a workspace");
        Ok(())
    }
    .await;
    owner.leave(found).await
}
