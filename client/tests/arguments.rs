//! Every documented argument of the methods about jobs, one by one, on the simulated server.
#![allow(clippy::unwrap_used, reason = "what goes wrong fails the test")]

#[path = "support/job_folder.rs"]
mod job_folder;
#[path = "support/quick.rs"]
mod quick;

use std::time::Duration;

use flare_client::{
    ErrorKind, JobId, JobQuery, JobStatus, LogConfig, LogTarget, MonitorOptions, MonitorReturnCode, Session, SiteName,
    StartupKit, StudyName, StudySites, SubmitToken, Targets,
};
use flare_simserver::project::Role;
use serde_json::json;

use job_folder::JobFolder;
use quick::{AMPLE, SOON, log_in, quick, soon};

async fn submit(session: &Session, name: &str) -> JobId {
    session.submit_job(JobFolder::new(name).path()).await.unwrap()
}

/// A job that runs until it is aborted.
async fn running(session: &Session) -> JobId {
    let job_id = submit(session, "endless").await;
    let mut watch = session.watch_job(&job_id).poll_interval(SOON).deadline(AMPLE);
    while watch.next().await.unwrap().unwrap().status != JobStatus::Running {}
    job_id
}

#[tokio::test]
async fn list_jobs_has_filters_a_limit_and_an_order() {
    let server = quick().start().await.unwrap();
    let session = log_in(&server).await;
    let token = SubmitToken::new("of-the-second").unwrap();
    let first = submit(&session, "alpha-1").await;
    let second = session.submit_job(JobFolder::new("alpha-2").path()).token(token.clone()).await.unwrap();
    let third = submit(&session, "beta").await;
    let ids = async |query: JobQuery| {
        let listed = session.list_jobs(&query).await.unwrap();
        let detailed = session.list_jobs_detailed(&query).await.unwrap();
        let ids: Vec<String> = listed.into_iter().map(|job| job.job_id).collect();
        let same: Vec<String> = detailed.into_iter().map(|job| job.job_id).collect();
        assert_eq!(ids, same, "{query:?}");
        ids
    };
    let all = [first.as_str(), second.as_str(), third.as_str()];
    assert_eq!(ids(JobQuery::new()).await, all);
    assert_eq!(ids(JobQuery::new().reverse()).await, [all[2], all[1], all[0]]);
    assert_eq!(ids(JobQuery::new().limit(2)).await, all[1..], "the newest");
    assert_eq!(ids(JobQuery::new().limit(2).reverse()).await, [all[2], all[1]]);
    assert_eq!(ids(JobQuery::new().limit(0)).await, all);
    assert_eq!(ids(JobQuery::new().name_prefix("ALPHA").unwrap()).await, all[..2]);
    assert_eq!(ids(JobQuery::new().id_prefix(&all[1][..12]).unwrap()).await, [all[1]]);
    assert_eq!(ids(JobQuery::new().submit_token(token)).await, [all[1]]);
    assert_eq!(ids(JobQuery::new().own()).await, all);
    let lead = StartupKit::open(server.admin_kit(Role::Lead).unwrap()).unwrap();
    let lead = Session::builder(lead).connect().await.unwrap();
    assert_eq!(lead.list_jobs(&JobQuery::new().own()).await.unwrap(), []);
    assert_eq!(lead.list_jobs(&JobQuery::new()).await.unwrap().len(), 3);
    server.shutdown().await;
}

#[tokio::test]
async fn logs_of_a_job_have_targets_and_filters() {
    let server = quick().start().await.unwrap();
    let session = log_in(&server).await;
    let job_id = submit(&session, "logged").await;
    session.wait_for_job(&job_id, &soon()).await.unwrap();
    let logs = session.get_job_logs(&job_id).await.unwrap();
    let (whole, lines) = (&logs.logs["server"], logs.logs["server"].lines().count());
    assert_eq!(logs.logs.keys().collect::<Vec<_>>(), ["server"]);
    assert!(lines > 2, "{whole}");
    let all = session.get_job_logs(&job_id).target(LogTarget::All).await.unwrap();
    assert_eq!(&all.logs["server"], whole);
    let nobody = session.get_job_logs(&job_id).target(LogTarget::Site("nobody".parse().unwrap())).await.unwrap();
    assert!(nobody.logs.is_empty() && nobody.unavailable.contains_key("nobody"), "{nobody:?}");
    let last = session.get_job_logs(&job_id).tail(1).await.unwrap();
    assert_eq!(last.logs["server"].lines().collect::<Vec<_>>(), [whole.lines().last().unwrap()]);
    let some = session.get_job_logs(&job_id).grep("INFO").await.unwrap();
    assert!(some.logs["server"].lines().all(|line| line.contains("INFO")), "{some:?}");
    let none = session.get_job_logs(&job_id).grep("[I]NFO").await.unwrap();
    assert_eq!(none.logs["server"], "", "it is no expression");
    server.shutdown().await;
}

#[tokio::test]
async fn a_running_job_is_asked_on_every_kind_of_target() {
    let server = quick().start().await.unwrap();
    let session = log_in(&server).await;
    let job_id = running(&session).await;
    let one = Targets::sites(["site-2"]).unwrap();
    for (targets, names) in [
        (&Targets::All, &["server", "site-1", "site-2"][..]),
        (&Targets::Server, &["server"]),
        (&Targets::all_sites(), &["site-1", "site-2"]),
        (&one, &["site-2"]),
    ] {
        let keys = |object: flare_client::JsonObject| {
            let mut keys: Vec<String> = object.keys().cloned().collect();
            keys.sort();
            keys
        };
        assert_eq!(keys(session.show_stats(&job_id, targets).await.unwrap()), names, "{targets:?}");
        assert_eq!(keys(session.show_errors(&job_id, targets).await.unwrap()), names, "{targets:?}");
        session.configure_job_log(&job_id, &LogConfig::new("concise").unwrap(), targets).await.unwrap();
    }
    let nobody = Targets::sites(["nobody"]).unwrap();
    assert_eq!(session.show_stats(&job_id, &nobody).await.unwrap_err().kind(), ErrorKind::InvalidTarget);
    let sites: Vec<SiteName> = vec!["site-1".parse().unwrap()];
    let jobs = session.get_client_job_status(&sites).await.unwrap();
    assert_eq!((jobs.len(), jobs[0].job_id.as_deref()), (1, Some(job_id.as_str())));
    assert_eq!(session.get_system_info().await.unwrap().jobs[0].job_id, job_id.as_str());
    session.abort_job(&job_id).await.unwrap();
    session.wait_for_job(&job_id, &soon()).await.unwrap();
    assert_eq!(session.show_errors(&job_id, &Targets::All).await.unwrap_err().kind(), ErrorKind::JobNotRunning);
    assert_eq!(session.reset_errors(&job_id).await.unwrap_err().kind(), ErrorKind::JobNotRunning);
    let config = LogConfig::new("DEBUG").unwrap();
    let late = session.configure_job_log(&job_id, &config, &Targets::Server).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Refused);
    server.shutdown().await;
}

#[tokio::test]
async fn monitoring_calls_back_after_each_poll_and_ends_in_one_of_three_ways() {
    let server = quick().start().await.unwrap();
    let session = log_in(&server).await;
    let job_id = submit(&session, "monitored").await;
    let mut seen = Vec::new();
    let (code, meta) = session
        .monitor_job_and_return_job_meta(&job_id, &soon(), |meta| {
            seen.push(meta.status.clone().unwrap());
            true
        })
        .await
        .unwrap();
    assert_eq!((code, code as i32), (MonitorReturnCode::JobFinished, 0));
    assert_eq!(meta.unwrap().status, Some(JobStatus::Completed));
    assert_eq!(seen.last(), Some(&JobStatus::Completed), "also for the last one");
    // The callback has the last word, also about a job that has ended.
    let ended = session.monitor_job_and_return_job_meta(&job_id, &soon(), |_| false).await.unwrap();
    assert_eq!(ended, (MonitorReturnCode::EndedByCallback, None));
    assert_eq!(MonitorReturnCode::EndedByCallback as i32, 2);

    let endless = running(&session).await;
    let mut polls = 0;
    let short = MonitorOptions::new().timeout(SOON / 20).poll_interval(SOON).unwrap();
    let late = session.monitor_job_and_return_job_meta(&endless, &short, |_| {
        polls += 1;
        true
    });
    assert_eq!(late.await.unwrap(), (MonitorReturnCode::Timeout, None));
    assert_eq!((polls, MonitorReturnCode::Timeout as i32), (1, 1), "there is always one poll");
    let error = session.wait_for_job(&endless, &short).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::JobTimeout);
    // Zero waits for ever.
    let forever = MonitorOptions::new().timeout(Duration::ZERO).poll_interval(SOON).unwrap();
    let waiting = tokio::spawn({
        let (session, endless) = (session.clone(), endless.clone());
        async move { session.wait_for_job(&endless, &forever).await }
    });
    session.abort_job(&endless).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().status, Some(JobStatus::Aborted));
    assert_eq!(MonitorOptions::new().poll_interval(Duration::ZERO).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let nobody = JobId::new("nobody").unwrap();
    assert_eq!(session.monitor_job(&nobody, &soon(), |_| true).await.unwrap_err().kind(), ErrorKind::JobNotFound);
    server.shutdown().await;
}

#[tokio::test]
async fn components_are_downloaded_apart_or_said_to_be_missing() {
    let server = quick().start().await.unwrap();
    let session = log_in(&server).await;
    let job_id = submit(&session, "plain").await;
    session.wait_for_job(&job_id, &soon()).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    assert_eq!(session.list_job_components(&job_id).await.unwrap(), Vec::<String>::new());
    let error = session.download_job_components(&job_id).destination(place.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    // Without a destination a result goes to the kit's folder.
    let folder = session.download_job_result(&job_id).await.unwrap();
    assert_eq!(folder, session.kit().download_dir().join(job_id.as_str()));
    server.shutdown().await;
}

#[tokio::test]
async fn a_session_sees_the_jobs_of_its_own_study_only() {
    let server = quick().start().await.unwrap();
    let session = log_in(&server).await;
    let org = server.control(|sim, _| sim.sites().iter().next().unwrap().org().unwrap().to_owned());
    let trial: StudyName = "trial".parse().unwrap();
    session.register_study(&trial, &StudySites::of_org(&org, ["site-1"]).unwrap()).await.unwrap();
    let inside = Session::builder(session.kit().clone()).study(trial.clone()).connect().await.unwrap();
    let meta =
        json!({"name": "in", "resource_spec": {}, "min_clients": 1, "deploy_map": {"app": ["server", "site-1"]}});
    let job_id = inside.submit_job(JobFolder::new("in").meta(&meta).path()).await.unwrap();
    assert_eq!(inside.get_job_meta(&job_id).await.unwrap().study.as_deref(), Some("trial"));
    assert_eq!(inside.list_jobs(&JobQuery::new()).await.unwrap().len(), 1);
    assert_eq!(session.list_jobs(&JobQuery::new()).await.unwrap(), []);
    assert_eq!(session.get_job_meta(&job_id).await.unwrap_err().kind(), ErrorKind::JobNotFound);
    assert_eq!(session.abort_job(&job_id).await.unwrap_err().kind(), ErrorKind::JobNotFound);
    assert_eq!(session.delete_job(&job_id).await.unwrap_err().kind(), ErrorKind::JobNotFound);
    assert_eq!(session.clone_job(&job_id).await.unwrap_err().kind(), ErrorKind::JobNotFound);
    inside.wait_for_job(&job_id, &soon()).await.unwrap();
    let has_jobs = session.remove_study(&trial).await.unwrap_err();
    assert_eq!(has_jobs.code(), Some("STUDY_HAS_JOBS"));
    inside.delete_job(&job_id).await.unwrap();
    session.remove_study(&trial).await.unwrap();
    server.shutdown().await;
}
