//! A session with the simulated server, over real sockets.
#![allow(clippy::unwrap_used, reason = "what goes wrong fails the test")]

use std::path::Path;
use std::time::Duration;

use flare_client::{
    ErrorKind, FileName, Item, JobId, JobQuery, JobStatus, ServerStatus, Session, ShellOptions, SiteJobStatus,
    SiteName, StartupKit, StudyName, Target, Targets,
};
use flare_simserver::SimServer;
use flare_simserver::project::Role;

const IDLE_LIMIT: Duration = Duration::from_secs(1800);

/// More than anything here takes, however busy the machine is.
const AMPLE: Duration = Duration::from_secs(60);

async fn log_in(server: &SimServer, role: Role) -> Session {
    let kit = StartupKit::open(server.admin_kit(role).unwrap()).unwrap();
    Session::builder(kit).reconnect_timeout(AMPLE).connect().await.unwrap()
}

/// A server and a session of its project admin.
async fn session() -> (SimServer, Session) {
    let server = SimServer::start().await.unwrap();
    let session = log_in(&server, Role::ProjectAdmin).await;
    (server, session)
}

fn none() -> ShellOptions {
    ShellOptions::none()
}

#[tokio::test]
async fn the_system_is_described() {
    let (_server, session) = session().await;
    let system = session.get_system_info().await.unwrap();
    assert_eq!(system.server.status, Some(ServerStatus::Stopped));
    let names: Vec<&str> = system.sites.iter().map(|site| site.name.as_str()).collect();
    assert_eq!(names, ["site-1", "site-2"]);
    assert!(system.jobs.is_empty() && system.extra.is_empty());

    let status = session.check_status(&Targets::All).await.unwrap();
    assert_eq!((status.sites.len(), status.site_jobs.len()), (2, 2));
    let server_only = session.check_status(&Targets::Server).await.unwrap();
    assert!(server_only.site_jobs.is_empty() && server_only.server.start_time.is_some());
}

#[tokio::test]
async fn sites_report_about_themselves() {
    let (_server, session) = session().await;
    let one = [SiteName::new("site-2").unwrap()];
    let jobs = session.get_client_job_status(&one).await.unwrap();
    assert_eq!((jobs[0].site.as_str(), &jobs[0].status), ("site-2", &SiteJobStatus::NoJobs));
    let environments = session.get_client_env(&[]).await.unwrap();
    assert!(environments.iter().all(|site| site.secure_mode == Some(true) && site.problem.is_none()));
    let versions = session.report_version(&Targets::All).await.unwrap();
    assert!(versions.iter().all(|site| site.version.as_deref() == Some("2.9.0")), "{versions:?}");
    let resources = session.report_resources(&Targets::all_sites()).await.unwrap();
    assert_eq!(resources.len(), 2);
}

#[tokio::test]
async fn targets_that_do_not_exist_are_refused() {
    let (_server, session) = session().await;
    let nobody = Targets::sites(["nosite"]).unwrap();
    assert_eq!(session.check_status(&nobody).await.unwrap_err().kind(), ErrorKind::InvalidTarget);
    let nobody = Target::site("nosite").unwrap();
    let error = session.get_working_directory(&nobody).await.unwrap_err();
    assert_eq!((error.kind(), error.server_text()), (ErrorKind::InvalidTarget, Some("invalid target: nosite")));
}

#[tokio::test]
async fn jobs_and_studies_are_listed() {
    let (_server, session) = session().await;
    assert_eq!(session.list_jobs(&JobQuery::new()).await.unwrap(), []);
    assert_eq!(session.list_jobs_detailed(&JobQuery::new().limit(1).reverse().own()).await.unwrap(), []);
    let unknown = JobId::new("00000000-0000-4000-8000-000000000000").unwrap();
    assert_eq!(session.get_job_meta(&unknown).await.unwrap_err().kind(), ErrorKind::JobNotFound);
    assert!(JobStatus::from("FINISHED:COMPLETED").is_final());
    let listing = session.list_studies().await.unwrap();
    assert_eq!(listing.identity.role.as_deref(), Some("project_admin"));
}

#[tokio::test]
async fn shell_commands_run_on_server_and_sites() {
    let (_server, session) = session().await;
    let log: FileName = "log.txt".parse().unwrap();
    for target in [Target::Server, Target::site("site-1").unwrap()] {
        let folder = session.get_working_directory(&target).await.unwrap();
        assert!(folder.ends_with(&format!("{target}\n")), "{folder}");
        assert!(session.ls_target(&target, &none(), None).await.unwrap().contains("startup"));
        let options = ShellOptions::new("-l -a").unwrap();
        let local = "local".parse().unwrap();
        assert!(session.ls_target(&target, &options, Some(&local)).await.unwrap().contains("resources.json.default"));
        let one_line = ShellOptions::new("-n 1").unwrap();
        assert_eq!(session.head_target(&target, &one_line, &log).await.unwrap().lines().count(), 1);
        assert_eq!(session.tail_target_log(&target, &one_line).await.unwrap().lines().count(), 1);
        let head = session.head_target_log(&target, &none()).await.unwrap();
        assert!(session.cat_target(&target, &none(), &log).await.unwrap().starts_with(&head));
        assert!(session.tail_target(&target, &none(), &log).await.unwrap().lines().count() <= 10);
        assert_eq!(session.grep_target(&target, &none(), "no such text in it", &log).await.unwrap(), "");
        let missing = session.cat_target(&target, &none(), &"nofile.txt".parse().unwrap()).await.unwrap();
        assert_eq!(missing, "cat: nofile.txt: No such file or directory\n");
        let unknown = session.ls_target(&target, &"-z".parse().unwrap(), None).await.unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::Refused);
    }
}

#[tokio::test]
async fn words_that_the_official_client_takes_for_errors_are_text() {
    let (_server, session) = session().await;
    for target in [Target::Server, Target::site("site-1").unwrap()] {
        let path = "session_inactive".parse().unwrap();
        let text = session.ls_target(&target, &none(), Some(&path)).await.unwrap();
        assert!(text.contains("session_inactive"), "{text}");
        let text = session.cat_target(&target, &none(), &"session_inactive.txt".parse().unwrap()).await.unwrap();
        assert!(text.contains("session_inactive"), "{text}");
    }
    let job_id = JobId::new("session_inactive").unwrap();
    assert_eq!(session.get_job_meta(&job_id).await.unwrap_err().kind(), ErrorKind::JobNotFound);
    let site = Targets::sites(["session_inactive"]).unwrap();
    assert_eq!(session.check_status(&site).await.unwrap_err().kind(), ErrorKind::InvalidTarget);
    // Nothing of that made the session log in again.
    let listed = session.do_command("list_sessions").await.unwrap();
    assert!(matches!(&listed.data[0], Item::Table(rows) if rows.len() == 2), "{listed:?}");
}

#[tokio::test]
async fn times_that_no_clock_can_show_mean_for_ever() {
    let server = SimServer::start().await.unwrap();
    let kit = StartupKit::open(server.admin_kit(Role::ProjectAdmin).unwrap()).unwrap();
    let builder = Session::builder(kit).connect_timeout(Duration::MAX).reconnect_timeout(Duration::MAX);
    let session = builder.command_timeout(Duration::MAX).connect().await.unwrap();
    assert_eq!(session.get_connected_client_list().await.unwrap().len(), 2);
    let nobody = JobId::new("nobody").unwrap();
    let mut watch = session.watch_job(&nobody).poll_interval(Duration::MAX).deadline(Duration::MAX);
    assert_eq!(watch.next().await.unwrap().unwrap_err().kind(), ErrorKind::JobNotFound);
    session.close().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_member_may_look_but_not_touch() {
    let server = SimServer::start().await.unwrap();
    let session = log_in(&server, Role::Member).await;
    session.get_system_info().await.unwrap();
    let error = session.get_working_directory(&Target::Server).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAuthorized);
    let error = session.report_resources(&Targets::Server).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAuthorized);
}

#[tokio::test]
async fn a_raw_command_gives_the_reply_as_it_came() {
    let (_server, session) = session().await;
    let reply = session.do_command("list_sessions").await.unwrap();
    assert!(matches!(&reply.data[0], Item::Table(rows) if rows.len() == 2), "{reply:?}");
    let refused = session.do_command("no_such_command").await.unwrap();
    assert_eq!(refused.data, [Item::Error("Unknown command \"no_such_command\"".to_owned())]);
}

#[tokio::test]
async fn an_unknown_study_is_said_so() {
    let server = SimServer::start().await.unwrap();
    let kit = StartupKit::open(server.admin_kit(Role::Lead).unwrap()).unwrap();
    let study = StudyName::new("nowhere").unwrap();
    let error = Session::builder(kit).study(study).connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StudyUnknown);
    assert!(error.code().unwrap().starts_with("AUTH_"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_share_one_session() {
    let (_server, session) = session().await;
    session.set_timeout(AMPLE).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..100 {
        let session = session.clone();
        tasks.spawn(async move {
            if number % 2 == 0 {
                session.get_system_info().await.unwrap().sites.len() == 2
            } else {
                session.get_working_directory(&Target::Server).await.unwrap().ends_with("server\n")
            }
        });
    }
    assert!(tasks.join_all().await.into_iter().all(|own_reply| own_reply));
}

#[tokio::test]
async fn closing_logs_out_and_may_be_repeated() {
    let (server, session) = session().await;
    let other = log_in(&server, Role::ProjectAdmin).await;
    let sessions = async || match &other.do_command("list_sessions").await.unwrap().data[0] {
        Item::Table(rows) => rows.len() - 1,
        other => panic!("{other:?}"),
    };
    assert_eq!(sessions().await, 2);
    let clone = session.clone();
    tokio::join!(session.close(), clone.close());
    assert_eq!(sessions().await, 1);
    session.close().await;
    assert!(clone.is_closed());
    assert_eq!(clone.list_studies().await.unwrap_err().kind(), ErrorKind::SessionClosed);
}

#[tokio::test]
async fn an_idle_session_is_ended_by_the_server() {
    let server = SimServer::start().await.unwrap();
    let kit = StartupKit::open(server.admin_kit(Role::ProjectAdmin).unwrap()).unwrap();
    let session = Session::builder(kit).renew(false).connect().await.unwrap();
    server.skip_time(IDLE_LIMIT + Duration::from_secs(10));
    // The push may arrive before the next command or while it is under way; a command that the server sees first
    // brings the session back to life, so the client is asked, not the server.
    let ended = async {
        while !session.is_closed() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(AMPLE, ended).await.unwrap();
    let error = session.get_system_info().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    assert!(error.server_text().unwrap().contains("inactivity"));
}

#[tokio::test]
async fn a_server_that_is_gone_is_noticed_at_once() {
    let server = SimServer::start().await.unwrap();
    let kit = StartupKit::open(server.admin_kit(Role::ProjectAdmin).unwrap()).unwrap();
    let session = Session::builder(kit).reconnect_timeout(Duration::ZERO).connect().await.unwrap();
    server.shutdown().await;
    let error = session.get_system_info().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error:?}");
    session.close().await;
}

#[tokio::test]
async fn a_session_survives_a_server_that_comes_back() {
    let workspace = tempfile::tempdir().unwrap();
    let start = async |port| SimServer::builder().workspace(workspace.path()).port(port).start().await.unwrap();
    let server = start(0).await;
    let port = server.port();
    let session = log_in(&server, Role::ProjectAdmin).await;
    server.shutdown().await;
    let server = start(port).await;
    assert_eq!(session.get_connected_client_list().await.unwrap().len(), 2);
    session.close().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_kit_of_another_server_is_refused() {
    let (one, other) = (SimServer::start().await.unwrap(), SimServer::start().await.unwrap());
    let kit = StartupKit::open(one.admin_kit(Role::ProjectAdmin).unwrap()).unwrap();
    let error = Session::builder(kit.with_address("localhost", other.port())).connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerCertificateUntrusted);
}

#[tokio::test]
async fn apps_to_upload_are_the_folders_in_the_transfer_folder() {
    let (_server, session) = session().await;
    let transfer = session.kit().upload_dir();
    let make = |name: &str| std::fs::create_dir_all(Path::new(&transfer).join(name)).unwrap();
    make("b-app");
    make("a-app");
    std::fs::write(transfer.join("file.txt"), "").unwrap();
    assert_eq!(session.get_available_apps_to_upload().await.unwrap(), ["a-app", "b-app"]);
    std::fs::remove_dir_all(&transfer).unwrap();
    assert_eq!(session.get_available_apps_to_upload().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_dropped_session_ends_its_connection() {
    let (server, session) = session().await;
    drop(session);
    // Shutting down waits for the connections that are left.
    tokio::time::timeout(AMPLE, server.shutdown()).await.unwrap();
}
