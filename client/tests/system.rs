//! Studies, the management of sites, and restarts, against the simulator.
#![allow(clippy::unwrap_used, reason = "what goes wrong fails the test")]

use std::future::IntoFuture;
use std::time::Duration;

use flare_client::{ErrorKind, LogConfig, Session, SiteName, StartupKit, StudyName, StudySites, Targets};
use flare_simserver::core::TimerName;
use flare_simserver::project::Role;
use flare_simserver::{ClockMode, SimServer};

/// Longest that a change may take to be noticed.
const LIMIT: Duration = Duration::from_secs(60);

async fn server() -> (SimServer, Session) {
    let server = SimServer::builder().clock(ClockMode::Manual).start().await.unwrap();
    let session = log_in(&server, Role::ProjectAdmin).await;
    (server, session)
}

async fn log_in(server: &SimServer, role: Role) -> Session {
    let kit = StartupKit::open(server.admin_kit(role).unwrap()).unwrap();
    Session::builder(kit).reconnect_timeout(LIMIT).connect().await.unwrap()
}

/// Name and organisation of the first site.
fn first_site(server: &SimServer) -> (SiteName, String) {
    server.control(|sim, _| {
        let site = sim.sites().iter().next().unwrap();
        (SiteName::new(&**site.name()).unwrap(), site.org().unwrap().to_owned())
    })
}

fn is_registered(server: &SimServer, site: &SiteName) -> bool {
    server.control(|sim, _| sim.sites().find(site.as_str()).is_some())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kit_that_is_issued_later_is_valid_on_a_server_whose_clock_stands_still() {
    let server = SimServer::builder().clock(ClockMode::Manual).start().await.unwrap();
    let seconds = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    // Certificates count whole seconds.
    let stands_at = server.now().since_epoch().as_secs();
    while seconds() <= stands_at {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    log_in(&server, Role::ProjectAdmin).await.close().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_study_from_its_registration_to_its_end() {
    let (server, session) = server().await;
    let (site, org) = first_site(&server);
    let trial: StudyName = "trial".parse().unwrap();
    let sites = StudySites::of_org(&org, [site.as_str()]).unwrap();

    let unknown = session.show_study(&trial).await.unwrap_err();
    assert_eq!((unknown.kind(), unknown.code()), (ErrorKind::StudyUnknown, Some("STUDY_NOT_FOUND")));
    let made = session.register_study(&trial, &sites).await.unwrap();
    assert_eq!(made.name, "trial");
    assert_eq!(made.sites, [site.to_string()]);
    let user = session.kit().username().to_owned();
    assert_eq!(made.users, std::slice::from_ref(&user));
    assert_eq!(session.add_study_site(&trial, &sites).await.unwrap().already_enrolled, [site.to_string()]);
    let wrong = session.add_study_site(&trial, &StudySites::sites([site.as_str()]).unwrap()).await.unwrap_err();
    assert_eq!((wrong.kind(), wrong.exit_code()), (ErrorKind::InvalidCommand, Some(4)));

    let kit = session.kit().clone();
    let inside = Session::builder(kit.clone()).study(trial.clone()).connect().await.unwrap();
    assert_eq!(inside.study(), &trial);

    session.add_study_user(&trial, "somebody else").await.unwrap();
    let again = session.add_study_user(&trial, "somebody else").await.unwrap_err();
    assert_eq!((again.kind(), again.code()), (ErrorKind::Refused, Some("USER_ALREADY_IN_STUDY")));
    assert_eq!(session.remove_study_user(&trial, &user).await.unwrap().removed, Some(true));
    assert!(inside.list_studies().await.is_ok(), "an open session goes on");
    let refused = Session::builder(kit).study(trial.clone()).connect().await.unwrap_err();
    assert_eq!(refused.code(), Some("AUTH_STUDY_USER_NOT_MAPPED"));

    assert_eq!(session.remove_study_site(&trial, &sites).await.unwrap().removed, [site.to_string()]);
    assert_eq!(session.remove_study(&trial).await.unwrap().removed, Some(true));
    assert!(session.list_studies().await.unwrap().studies.is_empty());
    inside.close().await;
    session.close().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_site_stays_out_over_a_restart_of_the_server() {
    let (server, session) = server().await;
    let (site, _) = first_site(&server);
    let disabled = session.disable_client(&site).await.unwrap();
    assert_eq!((disabled.already_disabled, disabled.active_session_removed), (Some(false), Some(true)));
    server.restart(flare_simserver::Restart::Graceful).await.unwrap();
    server.skip_time(Duration::from_secs(3600));
    assert!(!is_registered(&server, &site));
    let unknown = tokio::time::timeout(LIMIT, session.remove_client(&site)).await.unwrap().unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::InvalidTarget);

    assert_eq!(session.enable_client(&site).await.unwrap().was_disabled, Some(true));
    assert!(server.jump_to(&TimerName::SiteReturn));
    assert!(is_registered(&server, &site));
    session.remove_client(&site).await.unwrap();
    assert!(!is_registered(&server, &site));
    session.close().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_site_is_waited_for_and_one_that_was_shut_down_is_gone() {
    let (server, session) = server().await;
    let (site, _) = first_site(&server);
    let one = Targets::from(flare_client::Target::from(site.clone()));
    let restart = session.restart(&one).timeout(LIMIT).unwrap().into_future();
    let come_back = async {
        while is_registered(&server, &site) {
            tokio::task::yield_now().await;
        }
        assert!(server.jump_to(&TimerName::SiteReturn));
    };
    let (said, ()) = tokio::join!(restart, come_back);
    assert_eq!(said.unwrap().site_answers[site.as_str()], "Restart the client...");
    assert!(is_registered(&server, &site));

    let said = session.shutdown(&one).await.unwrap();
    assert_eq!(said.site_answers[site.as_str()], "Shutdown the client...");
    assert!(!is_registered(&server, &site));
    let late = session.restart(&one).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::InvalidTarget);
    session.close().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_does_not_come_back_in_time_is_an_error_that_says_so() {
    let (server, session) = server().await;
    let (site, _) = first_site(&server);
    let one = Targets::from(flare_client::Target::from(site));
    // The clock stands still.
    let error = session.restart(&one).timeout(Duration::from_millis(200)).unwrap().await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Some(flare_client::Phase::Wait)));
    session.close().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sites_are_told_what_to_log_and_a_server_with_sites_does_not_end() {
    let (server, session) = server().await;
    let sites = server.control(|sim, _| sim.sites().iter().len());
    let said = session.configure_site_log(&LogConfig::new("DEBUG").unwrap(), &Targets::All).await.unwrap();
    assert_eq!(said.len(), sites);
    assert!(said.iter().all(|said| said.response == format!("successfully configured {} log", said.site)));
    let error = session.shutdown(&Targets::Server).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SitesRunning);
    assert!(!session.is_closed());
    session.close().await;
    server.shutdown().await;
}
