//! Sites and servers that are told to restart or to shut down, and what a session notices of it, on the simulated server.
#![allow(clippy::unwrap_used, reason = "what goes wrong fails the test")]

use std::time::Duration;

use flare_client::{ErrorKind, Phase, Session, StartupKit, SystemChange, Targets};
use flare_simserver::faults::{Direction, Fault};
use flare_simserver::project::Role;
use flare_simserver::{ClockMode, SimServer};

/// More than anything here takes, however busy the machine is.
const AMPLE: Duration = Duration::from_secs(120);

/// A server that is away for the fraction of a second where a real one is for fifteen.
async fn server() -> (SimServer, Session) {
    let server = SimServer::builder().clock(ClockMode::Scaled(50.0)).start().await.unwrap();
    let session = log_in(&server).await.unwrap();
    (server, session)
}

async fn log_in(server: &SimServer) -> flare_client::Result<Session> {
    let kit = StartupKit::open(server.admin_kit(Role::ProjectAdmin).unwrap()).unwrap();
    Session::builder(kit).reconnect_timeout(AMPLE).connect().await
}

/// The names of the registered sites, with their tokens.
fn sites(server: &SimServer) -> Vec<(String, String)> {
    server.control(|sim, _| sim.sites().iter().map(|site| (site.name().to_string(), site.token().to_owned())).collect())
}

fn session_ids(server: &SimServer) -> Vec<String> {
    server.control(|sim, _| sim.sessions().map(|session| session.token.session_id.clone()).collect())
}

fn who_answered(said: &SystemChange) -> Vec<&str> {
    said.site_answers.keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_on_through_a_restart_that_it_asked_for() {
    let (server, session) = server().await;
    let ids = session_ids(&server);
    let started = session.get_system_info().await.unwrap().server.start_time;
    let said = session.restart(&Targets::Server).timeout(AMPLE).unwrap().await.unwrap();
    assert_eq!((said.server_status.as_deref(), who_answered(&said)), (Some("ok"), vec!["site-1", "site-2"]));
    assert!(session.get_system_info().await.unwrap().server.start_time > started, "it is another process");
    assert_eq!(session_ids(&server), ids, "nobody logged in again");
    session.close().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_everything_is_over_when_every_site_is_back() {
    let (server, session) = server().await;
    let before = sites(&server);
    session.restart(&Targets::All).timeout(AMPLE).unwrap().await.unwrap();
    let after = sites(&server);
    assert_eq!(after.len(), before.len());
    assert!(before.iter().all(|site| !after.contains(site)), "they registered anew: {after:?}");
    session.close().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_sites_are_waited_for_unless_told_otherwise() {
    let (server, session) = server().await;
    let before = sites(&server);
    let one = Targets::sites(["site-1"]).unwrap();
    session.restart(&one).timeout(AMPLE).unwrap().await.unwrap();
    let after = sites(&server);
    assert!(!after.contains(&before[0]) && after.contains(&before[1]), "{after:?}");
    let all = session.restart(&Targets::all_sites()).no_wait().await.unwrap();
    assert_eq!(who_answered(&all), ["site-1", "site-2"]);
    let zero = session.restart(&one).timeout(Duration::ZERO).unwrap_err();
    assert_eq!(zero.kind(), ErrorKind::InvalidArgument);
    session.close().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sites_come_before_the_server_when_one_shuts_down_after_the_other() {
    let (server, session) = server().await;
    let early = session.shutdown(&Targets::Server).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::SitesRunning);
    assert!(!session.is_closed());
    session.shutdown(&Targets::all_sites()).timeout(AMPLE).unwrap().await.unwrap();
    assert_eq!(session.get_connected_client_list().await.unwrap(), []);
    session.shutdown(&Targets::Server).timeout(AMPLE).unwrap().await.unwrap();
    assert!(session.is_closed());
    server.stopped().await;
    assert_eq!(log_in(&server).await.unwrap_err().kind(), ErrorKind::Unreachable);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_of_everything_ends_the_server_and_the_session() {
    let (server, session) = server().await;
    let said = session.shutdown(&Targets::All).timeout(AMPLE).unwrap().await.unwrap();
    assert_eq!(who_answered(&said), ["site-1", "site-2"]);
    assert!(session.is_closed());
    assert_eq!(session.get_system_info().await.unwrap_err().kind(), ErrorKind::SessionClosed);
    server.stopped().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_system_is_shut_down_with_one_call() {
    let (server, session) = server().await;
    session.shutdown_system().await.unwrap();
    assert!(session.is_closed());
    server.stopped().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_whose_answer_is_lost_is_known_by_what_comes_of_it() {
    let (server, session) = server().await;
    let lost = server.inject(Fault::on(Direction::ToClient).about("hci_channel").nth_frame(1).cut_before());
    let said = session.shutdown(&Targets::All).timeout(AMPLE).unwrap().await.unwrap();
    assert_eq!((lost.frames_seen() > 0, said), (true, SystemChange::default()));
    drop(lost);
    server.stopped().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_wait_for_the_end_has_a_closed_session_all_the_same() {
    let (server, session) = server().await;
    session.shutdown(&Targets::All).no_wait().await.unwrap();
    assert!(session.is_closed());
    server.stopped().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_back_in_time_is_an_error_that_says_so() {
    let server = SimServer::builder().clock(ClockMode::Manual).start().await.unwrap();
    let session = log_in(&server).await.unwrap();
    let error = session.restart(&Targets::Server).timeout(Duration::from_millis(200)).unwrap().await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Some(Phase::Wait)));
    session.close().await;
    server.shutdown().await;
}
