//! A server that is restarted, gracefully or by a kill: what it keeps, and what a session notices of it.
#![allow(clippy::unwrap_used, reason = "what goes wrong fails the test")]

#[path = "support/job_folder.rs"]
mod job_folder;

use std::time::Duration;

use flare_client::{JobId, JobQuery, JobStatus, Session, StartupKit, SubmitToken};
use flare_simserver::core::TimerName;
use flare_simserver::jobs::behaviour::Rule;
use flare_simserver::project::Role;
use flare_simserver::{ClockMode, Restart, SimServer};

use job_folder::JobFolder;

/// Longest that a session may take to find its server again.
const LIMIT: Duration = Duration::from_secs(60);

/// A server whose jobs run for an hour that nobody waits for.
async fn server() -> SimServer {
    let builder = SimServer::builder().clock(ClockMode::Manual);
    let hour = Rule::named("*").running_for(Duration::from_secs(3600));
    builder.configure(move |config| config.rules = vec![hour.clone()]).start().await.unwrap()
}

async fn log_in(server: &SimServer) -> Session {
    let kit = StartupKit::open(server.admin_kit(Role::ProjectAdmin).unwrap()).unwrap();
    Session::builder(kit).reconnect_timeout(LIMIT).connect().await.unwrap()
}

async fn status(session: &Session, job_id: &JobId) -> JobStatus {
    let asked = tokio::time::timeout(LIMIT, session.get_job_status(job_id));
    asked.await.expect("an answer after the restart").unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_and_tokens_outlive_every_kind_of_restart_and_so_does_a_session() {
    for how in [Restart::Graceful, Restart::Kill] {
        let (server, job) = (server().await, JobFolder::new("kept"));
        let session = log_in(&server).await;
        let token = SubmitToken::new("before-the-restart").unwrap();
        let finished = session.submit_job(job.path()).token(token.clone()).await.unwrap();
        assert!(server.jump_to(&TimerName::JobFinished(finished.to_string())), "{how:?}");
        let running = session.submit_job(job.path()).await.unwrap();
        assert!(server.jump_to(&TimerName::JobStarted(running.to_string())), "{how:?}");

        server.restart(how).await.unwrap();
        assert_eq!(server.control(|sim, _| sim.sessions().count()), 0, "{how:?}: sessions are forgotten");

        assert_eq!(status(&session, &finished).await, JobStatus::Completed, "{how:?}");
        assert!(session.submit_job(job.path()).token(token).await.unwrap() == finished, "{how:?}: the token is known");
        // Its processes are gone, and nobody notices: so it is on a real server.
        server.skip_time(Duration::from_secs(24 * 3600));
        assert_eq!(status(&session, &running).await, JobStatus::Running, "{how:?}");
        assert!(session.delete_job(&running).await.is_err(), "{how:?}: it counts as running");
        assert_eq!(session.list_jobs(&JobQuery::new()).await.unwrap().len(), 2, "{how:?}");

        let next = session.submit_job(job.path()).await.unwrap();
        assert!(server.jump_to(&TimerName::JobFinished(next.to_string())), "{how:?}: jobs run again");
        session.close().await;
        server.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away_is_waited_for() {
    let server = server().await;
    let session = log_in(&server).await;
    let (restarted, listed) = tokio::join!(
        server.restart_after(Restart::Kill, Duration::from_millis(300)),
        tokio::time::timeout(LIMIT, async {
            // Until the connection is seen to be gone, and then over a new one.
            loop {
                if server.control(|sim, _| sim.sessions().count()) == 0 {
                    break session.list_jobs(&JobQuery::new()).await;
                }
                tokio::task::yield_now().await;
            }
        })
    );
    restarted.unwrap();
    assert!(listed.expect("an answer after the restart").unwrap().is_empty());
    session.close().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_on_through_a_restart_without_a_new_login() {
    let server = server().await;
    let session = log_in(&server).await;
    let ids =
        || server.control(|sim, _| sim.sessions().map(|session| session.token.session_id.clone()).collect::<Vec<_>>());
    let before = ids();
    assert_eq!(before.len(), 1);
    for (how, away) in [(Restart::Graceful, 0), (Restart::Kill, 500)] {
        let (restarted, listed) = tokio::join!(
            server.restart_after(how, Duration::from_millis(away)),
            tokio::time::timeout(LIMIT, async {
                while !ids().is_empty() {
                    tokio::task::yield_now().await;
                }
                session.list_jobs(&JobQuery::new()).await
            })
        );
        restarted.unwrap();
        assert!(listed.expect("an answer after the restart").unwrap().is_empty(), "{how:?}");
        assert_eq!(ids(), before, "{how:?}: it is the session from before");
    }
    session.close().await;
    server.shutdown().await;
}
