//! What is asked of jobs that run.

use std::collections::BTreeSet;
use std::time::Instant;

use flare_client::{
    ErrorKind, JobId, JobStatus, JsonObject, LogConfig, MonitorOptions, MonitorReturnCode, Session, SiteJobStatus,
    Target, Targets,
};
use serde_json::{Value, json};

use super::{JOB_PATIENCE, Owner, POLL, names, own_sites, unique};
use crate::finding::{ensure, ensure_eq};
use crate::job_folder::JobFolder;
use crate::{Case, CaseResult, Context, Home, Need, Who};

pub(super) fn cases() -> Vec<Case> {
    vec![
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
    ]
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
        let (mut asked, started) = (0, Instant::now());
        let patient = MonitorOptions::new().timeout(JOB_PATIENCE).poll_interval(POLL)?;
        let ended = session
            .monitor_job(&job_id, &patient, |_| {
                asked += 1;
                asked < 3
            })
            .await?;
        ensure_eq!((ended, asked), (MonitorReturnCode::EndedByCallback, 3), "monitoring for a while");
        ensure!(started.elapsed() >= POLL * 2, "asked three times in {:?}", started.elapsed());
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
        let until = Instant::now() + JOB_PATIENCE;
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
    let until = Instant::now() + JOB_PATIENCE;
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
