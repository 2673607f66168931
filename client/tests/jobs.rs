//! Jobs on the simulated server, over real sockets.
#![allow(clippy::unwrap_used, reason = "what goes wrong fails the test")]

#[path = "support/job_folder.rs"]
mod job_folder;
#[path = "support/quick.rs"]
mod quick;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flare_client::{
    ErrorKind, Item, JobQuery, JobStatus, LogFile, MonitorOptions, MonitorReturnCode, SubmitToken, Targets,
};
use flare_simserver::faults::{Direction, Fault};
use futures_util::TryStreamExt as _;
use serde_json::json;

use job_folder::JobFolder;
use quick::{AMPLE, SOON, log_in, quick, soon};

const IDLE_LIMIT: Duration = Duration::from_secs(1800);

#[tokio::test]
async fn a_job_comes_back_as_it_was_submitted() {
    let server = quick().start().await.unwrap();
    let session = log_in(&server).await;
    // Not a multiple of anything, a multiple of the piece, and nothing at all.
    let whole_pieces = vec![7; 1 << 20];
    let job =
        JobFolder::new("hello").file("odd.bin", &[9; 2_345_678]).file("whole.bin", &whole_pieces).file("none", b"");
    let before = JobFolder::files(&job.path());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&seen);
    let submitted = session.submit_job(job.path()).on_progress(move |at| listener.lock().unwrap().push(at));
    let job_id = submitted.await.unwrap();
    assert!(!job.path().join(".__nvfl_sig.json").exists(), "the user's folder stays as it is");
    let seen = seen.lock().unwrap().clone();
    assert!(seen.is_sorted_by_key(|at| at.transferred) && seen.len() >= 4);
    assert_eq!(seen.last().unwrap().total, Some(seen.last().unwrap().transferred));

    let mut watch = session.watch_job(&job_id).poll_interval(SOON);
    let mut statuses = Vec::new();
    while let Some(update) = watch.next().await {
        statuses.push(update.unwrap().status);
    }
    assert_eq!(statuses.last(), Some(&JobStatus::Completed), "{statuses:?}");
    assert_eq!(session.get_job_status(&job_id).await.unwrap(), Some(JobStatus::Completed));
    let meta = session.get_job_meta(&job_id).await.unwrap();
    assert_eq!(meta.job_deploy_detail, ["server: OK", "site-1: OK", "site-2: OK"], "its signatures hold");

    let place = tempfile::tempdir().unwrap();
    let bytes = Arc::new(AtomicU64::new(0));
    let listener = Arc::clone(&bytes);
    let download = session.download_job_result(&job_id).destination(place.path());
    let folder = download.on_progress(move |at| listener.store(at.transferred, Ordering::Relaxed)).await.unwrap();
    assert_eq!(folder, place.path().join(job_id.as_str()));
    assert_eq!(JobFolder::files(&folder.join("job/hello")), before);
    assert!(folder.join("workspace/log.txt").is_file() && folder.join("meta.json").is_file());
    assert!(bytes.load(Ordering::Relaxed) > 2 * 3_000_000, "job and workspace");
    let again = session.download_job_result(&job_id).destination(place.path()).await.unwrap();
    assert_eq!(again, place.path().join(format!("{job_id}__1")));

    let logs = session.get_job_logs(&job_id).tail(1).await.unwrap();
    assert_eq!(logs.logs["server"].lines().count(), 1);
    let structured = session.get_job_logs(&job_id).file(LogFile::Json).await.unwrap();
    assert!(structured.logs["server"].starts_with('{'));
    session.close().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_token_stands_for_one_job() {
    let server = quick().start().await.unwrap();
    let session = log_in(&server).await;
    let token = SubmitToken::new("t-1").unwrap();
    let (job, other) = (JobFolder::new("one"), JobFolder::new("other"));
    let job_id = session.submit_job(job.path()).token(token.clone()).await.unwrap();
    assert_eq!(session.submit_job(job.path()).token(token.clone()).await.unwrap(), job_id);
    let conflict = session.submit_job(other.path()).token(token.clone()).await.unwrap_err();
    assert_eq!((conflict.kind(), conflict.existing_job()), (ErrorKind::SubmitTokenConflict, Some(&job_id)));
    let listed = session.list_jobs(&JobQuery::new().submit_token(token.clone())).await.unwrap();
    assert_eq!(listed[0].job_id, job_id.as_str());

    session.wait_for_job(&job_id, &soon()).await.unwrap();
    let deleted = session.delete_job(&job_id).await.unwrap();
    assert_eq!((deleted.job_id, deleted.submit_records_marked_deleted), (job_id.clone(), 1));
    let error = session.submit_job(job.path()).token(token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SubmitTokenJobDeleted);
    let tombstone = error.deleted_submission().unwrap();
    assert_eq!((&tombstone.job_id, tombstone.state.as_str()), (&job_id, "job_deleted"));
    assert!(tombstone.deleted_time.ends_with("+00:00"));
    session.close().await;
}

#[tokio::test]
async fn submissions_without_a_token_are_jobs_of_their_own() {
    let server = quick().start().await.unwrap();
    let session = log_in(&server).await;
    let job = JobFolder::new("twice");
    let one = session.submit_job(job.path()).await.unwrap();
    let other = session.submit_job(job.path()).retry_safe().await.unwrap();
    assert_ne!(one, other);
    let props = json!({"ticket": 7}).as_object().unwrap().clone();
    let third = session.submit_job(job.path()).custom_props(props).await.unwrap();
    assert_eq!(session.get_job_meta(&third).await.unwrap().extra["custom_props"], json!({"ticket": 7}));
    let unsigned = session.submit_job(job.path()).unsigned().await.unwrap();
    let meta = session.wait_for_job(&unsigned, &soon()).await.unwrap();
    assert_eq!(meta.status, Some(JobStatus::FailedToRun));
    session.close().await;
}

#[tokio::test]
async fn jobs_may_be_called_what_the_official_client_takes_for_an_error() {
    let server = quick().start().await.unwrap();
    let session = log_in(&server).await;
    let words = ["session_inactive", "wrong server", "Failed to communicate", "invalid client", "not authorized"];
    for word in words {
        let meta = json!({"name": word, "resource_spec": {}, "min_clients": 1, "deploy_map": {"app": ["@ALL"]}});
        let job_id = session.submit_job(JobFolder::new("unlucky").meta(&meta).path()).await.unwrap();
        assert_eq!(session.get_job_meta(&job_id).await.unwrap().name.as_deref(), Some(word));
        let found = session.list_jobs(&JobQuery::new().name_prefix(word).unwrap()).await.unwrap();
        assert_eq!(found.len(), 1, "{word}");
    }
    assert_eq!(session.list_jobs(&JobQuery::new()).await.unwrap().len(), words.len());
    session.close().await;
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_no_job_is_refused_before_or_by_the_server() {
    let server = quick().start().await.unwrap();
    let session = log_in(&server).await;
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("bad name")).unwrap();
    std::fs::create_dir(place.path().join("empty")).unwrap();
    let linked = JobFolder::new("linked");
    std::os::unix::fs::symlink("/etc/hosts", linked.path().join("app/link")).unwrap();
    for (folder, text) in [
        (place.path().join("nowhere"), "is no folder"),
        (place.path().join("bad name"), "the name of the job folder"),
        (linked.path(), "symbolic links are not allowed"),
        (Path::new("").to_owned(), "is empty"),
        (place.path().join("empty"), "meta.[json|conf|yml] not existing for job empty"),
    ] {
        let error = session.submit_job(&folder).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidJob, "{error:?}");
        assert!(error.to_string().contains(text) && !error.may_have_run(), "{error}");
    }
    assert_eq!(session.list_jobs(&JobQuery::new()).await.unwrap(), []);
    session.close().await;
}

#[tokio::test]
async fn a_job_below_the_upload_folder_is_found_by_its_name() {
    let server = quick().start().await.unwrap();
    let session = log_in(&server).await;
    let job = JobFolder::new("uploaded");
    std::fs::create_dir_all(session.kit().upload_dir()).unwrap();
    std::fs::rename(job.path(), session.kit().upload_dir().join("uploaded")).unwrap();
    session.submit_job("uploaded").await.unwrap();
    session.close().await;
}

#[tokio::test]
async fn a_job_that_runs_is_answered_for_and_aborted() {
    let server = quick().start().await.unwrap();
    let session = log_in(&server).await;
    let job_id = session.submit_job(JobFolder::new("endless").path()).await.unwrap();
    let mut watch = session.watch_job(&job_id).poll_interval(SOON);
    while watch.next().await.unwrap().unwrap().status != JobStatus::Running {}
    let stats = session.show_stats(&job_id, &Targets::All).await.unwrap();
    assert_eq!(stats.keys().collect::<Vec<_>>(), ["server", "site-1", "site-2"]);
    assert_eq!(session.show_errors(&job_id, &Targets::Server).await.unwrap()["server"], "No Error");
    session.reset_errors(&job_id).await.unwrap();
    session.configure_job_log(&job_id, &"DEBUG".parse().unwrap(), &Targets::All).await.unwrap();
    let error = session.do_app_command(&job_id, "topic", &json!({})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(session.delete_job(&job_id).await.unwrap_err().kind(), ErrorKind::JobRunning);
    assert_eq!(session.download_job_result(&job_id).await.unwrap_err().kind(), ErrorKind::JobRunning);
    assert!(!session.kit().download_dir().join(job_id.as_str()).exists());

    let short = MonitorOptions::new().timeout(SOON).poll_interval(SOON * 2).unwrap();
    assert_eq!(session.monitor_job(&job_id, &short, |_| true).await.unwrap(), MonitorReturnCode::Timeout);
    assert_eq!(session.monitor_job(&job_id, &soon(), |_| false).await.unwrap(), MonitorReturnCode::EndedByCallback);
    let error = session.wait_for_job(&job_id, &short).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::JobTimeout);
    let mut late = session.watch_job(&job_id).poll_interval(SOON);
    assert_eq!(late.next().await.unwrap().unwrap().status, JobStatus::Running);
    let mut late = late.deadline(SOON * 3);
    assert_eq!(late.next().await.unwrap().unwrap_err().kind(), ErrorKind::JobTimeout);
    assert!(late.next().await.is_none());

    assert_eq!(session.abort_job(&job_id).await.unwrap(), "Abort signal has been sent to the server app.");
    assert_eq!(watch.next().await.unwrap().unwrap().status, JobStatus::Aborted);
    assert!(watch.next().await.is_none());
    let clone = session.clone_job(&job_id).await.unwrap();
    assert_eq!(session.get_job_meta(&clone).await.unwrap().cloned_from.as_deref(), Some(job_id.as_str()));
    session.close().await;
}

#[tokio::test]
async fn whoever_waits_for_a_job_goes_on_when_an_answer_gets_lost() {
    let server = quick().start().await.unwrap();
    let session = log_in(&server).await;
    let watching = log_in(&server).await;
    // This side waits two seconds longer.
    watching.set_timeout(SOON).unwrap();
    let job_id = session.submit_job(JobFolder::new("endless").path()).await.unwrap();
    let mut watch = watching.watch_job(&job_id).poll_interval(SOON).deadline(AMPLE);
    while watch.try_next().await.unwrap().unwrap().status != JobStatus::Running {}
    let monitored = tokio::spawn({
        let (watching, job_id) = (watching.clone(), job_id.clone());
        async move { watching.wait_for_job(&job_id, &soon()).await }
    });
    let lost = server.inject(Fault::on(Direction::ToClient).about("hci_channel").drop_frame());
    let (change, ()) = tokio::join!(watch.next(), async {
        // One of each, and no more: what is asked before they ask again is answered.
        while lost.frames_seen() < 2 {
            tokio::task::yield_now().await;
        }
        drop(lost);
        session.abort_job(&job_id).await.unwrap();
    });
    assert_eq!(change.unwrap().unwrap().status, JobStatus::Aborted);
    assert_eq!(monitored.await.unwrap().unwrap().status, Some(JobStatus::Aborted));
    watching.close().await;
    session.close().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_session_that_has_expired_is_opened_again_once_for_all() {
    let server = quick().start().await.unwrap();
    let session = log_in(&server).await;
    server.skip_time(IDLE_LIMIT + Duration::from_secs(10));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let session = session.clone();
        tasks.spawn(async move { session.list_jobs(&JobQuery::new()).await });
    }
    assert!(tasks.join_all().await.into_iter().all(|listed| listed.is_ok()));
    let listed = session.do_command("list_sessions").await.unwrap();
    let Item::Table(rows) = &listed.data[0] else { panic!("{listed:?}") };
    // A command that the server saw before its next look at idle sessions may have kept the old one.
    assert!(rows.len() <= 3, "the header, perhaps the old session, and a new one for all: {rows:?}");
    session.close().await;
}

#[tokio::test]
async fn a_server_that_comes_back_is_waited_for() {
    let workspace = tempfile::tempdir().unwrap();
    let start = async |port| quick().workspace(workspace.path()).port(port).start().await.unwrap();
    let server = start(0).await;
    let port = server.port();
    let session = log_in(&server).await;
    let job = JobFolder::new("after");
    server.shutdown().await;
    let submitting = tokio::spawn({
        let (session, path) = (session.clone(), job.path());
        async move { session.submit_job(path).await }
    });
    // The submission finds nobody, and goes on trying.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let server = start(port).await;
    let job_id = submitting.await.unwrap().unwrap();
    assert_eq!(session.wait_for_job(&job_id, &soon()).await.unwrap().status, Some(JobStatus::Completed));
    session.close().await;
    server.shutdown().await;
}
