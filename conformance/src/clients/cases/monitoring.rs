//! Waiting: for jobs, and for what restarts and ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flare_simserver::jobs::behaviour::Rule;
use serde_json::{Value, json};

use super::calls::{Setting, prepared};
use super::{about, case};
use crate::clients::bout::{Bout, CHIEF, SITE};
use crate::clients::process::Subject;
use crate::finding::{ensure, ensure_eq};
use crate::job_folder::JobFolder;
use crate::{Case, CaseResult, Finding};

/// How long something that must come may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn cases(subject: &Arc<Subject>) -> Vec<Case> {
    vec![
        case(
            subject,
            about("monitor.finished", "monitoring ends with the job", &["JOB-MONITOR-001"], &["monitor_job"]),
            finished,
        ),
        case(
            subject,
            about(
                "monitor.meta",
                "monitoring gives the meta of the job that ended",
                &["JOB-MONITOR-001"],
                &["monitor_job_and_return_job_meta"],
            ),
            with_meta,
        ),
        case(
            subject,
            about("monitor.timeout", "monitoring ends with the time", &["JOB-MONITOR-001"], &["monitor_job"]),
            timeout,
        ),
        case(
            subject,
            about(
                "monitor.timeout-meta",
                "there is no meta when the time is over",
                &["JOB-MONITOR-001"],
                &["monitor_job_and_return_job_meta"],
            ),
            timeout_meta,
        ),
        case(
            subject,
            about(
                "monitor.callback",
                "the callback is called with every poll and ends the monitoring",
                &["JOB-MONITOR-001"],
                &["monitor_job"],
            ),
            callback,
        ),
        case(
            subject,
            about(
                "monitor.callback-meta",
                "the callback is given the job and its meta",
                &["JOB-MONITOR-001"],
                &["monitor_job_and_return_job_meta"],
            ),
            callback_meta,
        ),
        case(
            subject,
            about(
                "monitor.deleted",
                "monitoring a job that is not there fails",
                &["API-JOB-META-001"],
                &["monitor_job"],
            ),
            gone,
        ),
        case(
            subject,
            about(
                "wait.finished",
                "waiting gives the meta of the job that ended",
                &["JOB-MONITOR-001"],
                &["wait_for_job"],
            ),
            wait_finished,
        ),
        case(
            subject,
            about("wait.running", "waiting lasts until the job has ended", &["JOB-MONITOR-001"], &["wait_for_job"]),
            wait_running,
        ),
        case(
            subject,
            about("wait.timeout", "waiting too long is a timeout of the job", &["JOB-MONITOR-001"], &["wait_for_job"]),
            wait_timeout,
        ),
        case(
            subject,
            about("restart.site-waits", "a restart of a site is waited for", &["SITE-RESTART-001"], &["restart"]),
            restart_site,
        ),
        case(
            subject,
            about(
                "restart.server-waits",
                "a restart of the server is waited for",
                &["SYSTEM-RESTART-001"],
                &["restart"],
            ),
            restart_server,
        ),
        case(
            subject,
            about("shutdown.sites-wait", "the end of a site is waited for", &["SYSTEM-SHUTDOWN-002"], &["shutdown"]),
            shutdown_site,
        ),
        case(
            subject,
            about(
                "shutdown.system",
                "shutdown_system ends sites and server",
                &["SYSTEM-SHUTDOWN-003"],
                &["shutdown_system"],
            ),
            shutdown_system,
        ),
    ]
}

async fn finished(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, id) = prepared(&subject, Setting::Finished).await?;
    let code = bout.value("monitor_job", json!({"job_id": id, "timeout": 30, "poll_interval": 0.5})).await?;
    ensure_eq!(code, Value::from("JOB_FINISHED"), "monitor_job");
    Ok(())
}

async fn with_meta(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, id) = prepared(&subject, Setting::Finished).await?;
    let arguments = json!({"job_id": id, "timeout": 30, "poll_interval": 0.5});
    let value = bout.value("monitor_job_and_return_job_meta", arguments).await?;
    ensure_eq!(value[0], Value::from("JOB_FINISHED"), "the code");
    ensure_eq!(value[1]["job_id"], Value::from(id), "job_id of the meta");
    Ok(())
}

async fn timeout(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, id) = prepared(&subject, Setting::Waiting).await?;
    let started = Instant::now();
    let code = bout.value("monitor_job", json!({"job_id": id, "timeout": 1, "poll_interval": 0.3})).await?;
    ensure_eq!(code, Value::from("TIMEOUT"), "monitor_job");
    ensure!(started.elapsed() >= Duration::from_secs(1), "the time was over after {:?}", started.elapsed());
    ensure!(bout.wire.named("get_job_meta").len() >= 2, "the job was asked for once");
    Ok(())
}

async fn timeout_meta(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, id) = prepared(&subject, Setting::Waiting).await?;
    let arguments = json!({"job_id": id, "timeout": 1, "poll_interval": 0.3});
    let value = bout.value("monitor_job_and_return_job_meta", arguments).await?;
    ensure_eq!(value, json!(["TIMEOUT", null]), "monitor_job_and_return_job_meta");
    Ok(())
}

/// Calls that the callback lets go on.
const GOES_ON: usize = 2;

async fn monitored(subject: &Subject, call: &str) -> CaseResult<(Bout, String, u64, Value)> {
    let (mut bout, job) = prepared(subject, Setting::Waiting).await?;
    let arguments = json!({"job_id": job, "timeout": 30, "poll_interval": 0.3, "cb": {"continue": GOES_ON}});
    let id = bout.ask(call, arguments).await?;
    let value = bout.answer(id, call).await?.value(call)?;
    Ok((bout, job, id, value))
}

async fn callback(subject: Arc<Subject>) -> CaseResult {
    let (bout, _, id, code) = monitored(&subject, "monitor_job").await?;
    ensure_eq!(code, Value::from("ENDED_BY_CB"), "monitor_job");
    ensure_eq!(bout.client.callbacks(id).len(), GOES_ON + 1, "calls of the callback");
    ensure_eq!(bout.wire.named("get_job_meta").len(), GOES_ON + 1, "polls");
    Ok(())
}

async fn callback_meta(subject: Arc<Subject>) -> CaseResult {
    let (bout, job, id, value) = monitored(&subject, "monitor_job_and_return_job_meta").await?;
    ensure_eq!(value, json!(["ENDED_BY_CB", null]), "monitor_job_and_return_job_meta");
    for callback in bout.client.callbacks(id) {
        ensure_eq!(callback.job_id.as_str(), job, "job_id of the callback");
        ensure_eq!(callback.job_meta["job_id"], Value::from(job.as_str()), "job_id of the meta");
        ensure_eq!(callback.job_meta["status"], Value::from("SUBMITTED"), "status of the meta");
    }
    Ok(())
}

async fn gone(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, _) = prepared(&subject, Setting::Plain).await?;
    let nobody = json!({"job_id": "b2a9f0c1-5a77-4b0e-8f35-0c5e4d1e2f30", "timeout": 10, "poll_interval": 0.3});
    bout.failure("monitor_job", nobody, &["JobNotFound"]).await.map(drop)
}

async fn wait_finished(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, id) = prepared(&subject, Setting::Finished).await?;
    let meta = bout.value("wait_for_job", json!({"job_id": id, "timeout": 30, "poll_interval": 0.5})).await?;
    ensure_eq!(meta["job_id"], Value::from(id), "job_id of the meta");
    ensure!(
        meta["status"].as_str().is_some_and(|status| status.starts_with("FINISHED")),
        "the status is {}",
        meta["status"]
    );
    Ok(())
}

async fn wait_running(subject: Arc<Subject>) -> CaseResult {
    let rule = Rule::named("referee-*").running_for(Duration::from_secs(75));
    let mut bout = Bout::open_with(&subject, |builder| builder.rule(rule)).await?;
    let id = bout.prepare(&JobFolder::short("referee-later", &[SITE])?).await?;
    bout.connect_as(CHIEF).await?;
    let meta = bout.value("wait_for_job", json!({"job_id": id, "poll_interval": 0.5})).await?;
    ensure_eq!(meta["status"], Value::from("FINISHED:COMPLETED"), "status of the job");
    ensure_eq!(bout.status(&id).as_deref(), Some("FINISHED:COMPLETED"), "status on the server");
    Ok(())
}

async fn wait_timeout(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, id) = prepared(&subject, Setting::Waiting).await?;
    let arguments = json!({"job_id": id, "timeout": 1, "poll_interval": 0.3});
    bout.failure("wait_for_job", arguments, &["JobTimeout"]).await.map(drop)
}

/// When a site was last registered: its token changes with that.
fn registration(bout: &Bout, site: &str) -> Option<String> {
    bout.server
        .control(|sim, _| sim.sites().iter().find(|known| &**known.name() == site).map(|site| site.token().to_owned()))
}

async fn restart_site(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, _) = prepared(&subject, Setting::Plain).await?;
    let before = registration(&bout, SITE);
    let arguments = json!({"target_type": "client", "client_names": [SITE], "wait": true, "timeout": 40});
    bout.value("restart", arguments).await?;
    let after = registration(&bout, SITE);
    ensure!(after.is_some() && after != before, "the site is not back when the call has ended");
    Ok(())
}

async fn restart_server(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, _) = prepared(&subject, Setting::Plain).await?;
    bout.value("restart", json!({"target_type": "server", "wait": true, "timeout": 40})).await?;
    ensure!(!bout.server.is_stopped(), "the server is not back when the call has ended");
    // Whoever listens again answers.
    let session = bout.own_session().await?;
    session.get_system_info().await?;
    session.close().await;
    Ok(())
}

async fn shutdown_site(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, _) = prepared(&subject, Setting::Plain).await?;
    let arguments = json!({"target_type": "client", "client_names": [SITE], "wait": true, "timeout": 40});
    bout.value("shutdown", arguments).await?;
    ensure_eq!(registration(&bout, SITE), None, "the registration of the site when the call has ended");
    Ok(())
}

async fn shutdown_system(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, _) = prepared(&subject, Setting::Plain).await?;
    bout.value("shutdown_system", json!({})).await?;
    let stopped = tokio::time::timeout(PATIENCE, bout.server.stopped());
    stopped.await.map_err(|_| Finding::fail("the server goes on"))?;
    ensure_eq!(bout.wire.lines().first().map(String::as_str), Some("shutdown all"), "the first line");
    Ok(())
}
