//! The older API on the simulated server, over real sockets.
#![allow(clippy::unwrap_used, reason = "what goes wrong fails the test")]

#[path = "support/job_folder.rs"]
mod job_folder;
#[path = "support/quick.rs"]
mod quick;

use std::time::Duration;

use flare_client::fladmin::{
    ApiStatus, FlAdminApi, FlAdminApiRunner, StatusReading, TargetType, WAITED_UNTIL_NOT_RUNNING, WAITED_UNTIL_TIMEOUT,
    WaitOptions, clients_have_no_jobs, server_has_stopped, server_runner_is_done,
};
use flare_client::{ErrorKind, Session, StartupKit};
use flare_simserver::SimServer;
use flare_simserver::project::Role;
use serde_json::json;

use job_folder::JobFolder;
use quick::{AMPLE, SOON, log_in, quick, soon};

const IDLE_LIMIT: Duration = Duration::from_secs(1800);

fn kit(server: &SimServer, role: Role) -> StartupKit {
    StartupKit::open(server.admin_kit(role).unwrap()).unwrap()
}

fn api_of(server: &SimServer) -> FlAdminApi {
    Session::builder(kit(server, Role::ProjectAdmin)).reconnect_timeout(AMPLE).into()
}

fn quickly() -> WaitOptions {
    WaitOptions::of_clients().interval(SOON).timeout(AMPLE)
}

#[tokio::test]
async fn calls_log_in_by_themselves_and_say_how_things_are() {
    let server = SimServer::start().await.unwrap();
    let api = api_of(&server);
    let status = api.check_status(TargetType::Server, &["ignored"]).await;
    assert_eq!(status.status, ApiStatus::Success);
    assert_eq!(status.details["server_engine_status"], "stopped");
    assert_eq!(status.details["registered_clients"], 2);
    assert_eq!(status.details["status_table"][1][0], "site-1");
    assert!(status.raw.unwrap().reply.unwrap().time.len() > 10);

    let names = |details: &serde_json::Value| {
        let rows = details["client_statuses"].as_array().unwrap();
        rows.iter().skip(1).map(|row| row[0].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = api.check_status(TargetType::Client, &[]).await;
    assert_eq!(names(&all.details), ["site-1", "site-2"]);
    let one = api.check_status(TargetType::Client, &["site-2"]).await;
    assert_eq!(names(&one.details), ["site-2"]);
    let nobody = api.check_status(TargetType::Client, &["nosite"]).await;
    assert_eq!(nobody.status, ApiStatus::ErrorInvalidClient);
    assert_eq!(nobody.message(), Some("Error: LookupError: invalid client(s): nosite"));
    let both = api.check_status(TargetType::All, &[]).await;
    assert_eq!(both.message(), Some("Error: APISyntaxError: target_type must be server or client."));

    let connected = api.get_connected_client_list().await;
    assert_eq!(connected.details, json!({"connected_clients": ["site-1", "site-2"]}));
    api.logout().await;
}

#[tokio::test]
async fn jobs_are_submitted_watched_fetched_and_deleted() {
    let server = quick().start().await.unwrap();
    let api = api_of(&server);
    let job = JobFolder::new("hello");
    let submitted = api.submit_job(job.path().to_str().unwrap()).await;
    let job_id = submitted.details["job_id"].as_str().unwrap().to_owned();
    assert_eq!(submitted.message().unwrap(), format!("Submitted job: {job_id}"));
    let session = api.session().await.unwrap();
    session.wait_for_job(&job_id.parse().unwrap(), &soon()).await.unwrap();

    let listed = api.list_jobs(Some("-d")).await;
    assert_eq!(listed.details[0]["job_id"], job_id.as_str());
    let fetched = api.download_job(&job_id).await;
    let folder = kit(&server, Role::ProjectAdmin).download_dir().join(&job_id);
    assert_eq!(fetched.message().unwrap(), format!("content downloaded to {}", folder.display()));
    assert!(folder.join("meta.json").is_file());
    assert_eq!(fetched.raw.unwrap().to_json()["meta"], json!({"location": folder}));

    let cloned = api.clone_job(&job_id).await;
    let clone = cloned.details["job_id"].as_str().unwrap();
    assert_ne!(clone, job_id);
    session.wait_for_job(&clone.parse().unwrap(), &soon()).await.unwrap();
    assert!(api.delete_job(&job_id).await.is_success());
    let again = api.delete_job(&job_id).await;
    assert_eq!(again.status, ApiStatus::ErrorRuntime, "{again:?}");
    let aborted = api.abort_job("nope").await;
    assert_eq!((aborted.status, aborted.message()), (ApiStatus::ErrorRuntime, Some("invalid_job_id: nope")));
    api.logout().await;
}

#[tokio::test]
async fn refusals_are_errors_unless_the_old_reading_is_asked_for() {
    let server = SimServer::start().await.unwrap();
    let (strict, original) = (api_of(&server), api_of(&server).reading(StatusReading::AsOriginal));
    let unknown = strict.get_working_directory("nosite").await;
    assert_eq!(unknown.status, ApiStatus::ErrorInvalidClient);
    let unknown = original.get_working_directory("nosite").await;
    assert_eq!((unknown.status, unknown.message()), (ApiStatus::Success, Some("invalid target: nosite")));
    assert_eq!(strict.list_jobs(Some("-z")).await.status, ApiStatus::ErrorSyntax);
    assert_eq!(original.list_jobs(Some("-z")).await.details, json!([]));
    assert_eq!(strict.download_job("nope").await.message(), Some("invalid job_id nope"));
    assert_eq!(original.download_job("nope").await.details, json!({"message": null}));
    let nothing = strict.grep_target("server", None, "zzzzzz", "log.txt").await;
    assert_eq!((nothing.status, nothing.message()), (ApiStatus::Success, Some("")));
    assert_eq!(original.grep_target("server", None, "zzzzzz", "log.txt").await.status, ApiStatus::ErrorRuntime);
    // Below the calls both say that an answer came.
    for api in [&strict, &original] {
        let raw = api.do_command("pwd nosite").await;
        assert_eq!((raw.status, raw.reply.unwrap().info()), (ApiStatus::Success, "invalid target: nosite"));
    }
    strict.logout().await;
    original.logout().await;
}

#[tokio::test]
async fn a_command_that_the_server_lacks_is_another_thing_than_no_login() {
    let server = SimServer::start().await.unwrap();
    let api = api_of(&server);
    let unknown = api.do_command("xyz a b").await;
    assert_eq!((unknown.status, unknown.details.as_deref()), (ApiStatus::ErrorSyntax, Some("Command xyz not found")));
    for response in [
        api.abort("nope", TargetType::All, &[]).await,
        api.set_timeout(5.0).await,
        api.list_sp().await,
        api.get_active_sp().await,
        api.promote_sp("localhost:8002:8003").await,
    ] {
        assert_eq!(response.status, ApiStatus::ErrorRuntime);
        assert!(response.message().unwrap().ends_with("not found: this server does not offer it"), "{response:?}");
    }
    let qualified = api.do_command("job_mgmt.list_jobs").await;
    assert!(qualified.is_success() && qualified.reply.is_some());
    api.logout().await;

    let kit = kit(&server, Role::ProjectAdmin);
    server.shutdown().await;
    let api = FlAdminApi::new(kit);
    let nobody = api.do_command("xyz").await;
    assert_eq!(nobody.status, ApiStatus::ErrorServerConnection);
    assert!(nobody.details.unwrap().starts_with("not logged in: "));
    assert_eq!(api.list_jobs(None).await.status, ApiStatus::ErrorServerConnection);
    assert_eq!(api.login().await.status, ApiStatus::ErrorServerConnection);
}

#[tokio::test]
async fn after_a_logout_nothing_goes() {
    let server = SimServer::start().await.unwrap();
    let api = api_of(&server);
    assert!(api.login().await.is_success());
    let clone = api.clone();
    let said = api.logout().await.unwrap();
    assert!(said.is_success());
    assert_eq!(said.to_json()["data"][0]["data"], "OK");
    assert_eq!(api.logout().await, None);
    for response in [clone.list_jobs(None).await, api.wait_until_client_status(quickly(), |_| true).await] {
        assert_eq!(response.status, ApiStatus::ErrorInactiveSession);
        assert_eq!(response.message(), Some("Session is inactive: it was logged out and cannot be used again"));
    }
    assert_eq!(api.login().await.status, ApiStatus::ErrorInactiveSession);
    assert_eq!(api.do_command("list_jobs").await.status, ApiStatus::ErrorInactiveSession);
    assert_eq!(api.session().await.unwrap_err().kind(), ErrorKind::SessionClosed);
    server.control(|sim, _| assert_eq!(sim.sessions().count(), 0));
}

#[tokio::test]
async fn an_ended_session_is_logged_in_again_by_itself() {
    let server = SimServer::start().await.unwrap();
    let api = api_of(&server);
    assert!(api.list_jobs(None).await.is_success());
    server.skip_time(2 * IDLE_LIMIT);
    assert!(api.list_jobs(None).await.is_success());
    server.skip_time(2 * IDLE_LIMIT);
    assert!(api.do_command("list_jobs").await.is_success(), "it cannot have run, so it is sent again");
    api.logout().await;

    // Told not to, it says so.
    let builder = Session::builder(kit(&server, Role::ProjectAdmin)).renew(false);
    let api = FlAdminApi::from(builder);
    assert!(api.list_jobs(None).await.is_success());
    server.skip_time(2 * IDLE_LIMIT);
    let session = api.session().await.unwrap();
    while !session.is_closed() {
        tokio::time::sleep(SOON).await;
    }
    assert_eq!(api.list_jobs(None).await.status, ApiStatus::ErrorInactiveSession);
    api.logout().await;
}

#[tokio::test]
async fn a_session_of_the_newer_api_carries_the_older_one() {
    let server = SimServer::start().await.unwrap();
    let session = log_in(&server).await;
    let api = FlAdminApi::from(session.clone());
    assert!(api.list_jobs(None).await.is_success());
    api.logout().await;
    assert!(session.is_closed());
    assert_eq!(api.login().await.status, ApiStatus::ErrorInactiveSession);
}

#[tokio::test]
async fn waits_end_when_the_callback_is_content_or_the_time_is_over() {
    let server = quick().start().await.unwrap();
    let api = api_of(&server);
    let done = api.wait_until_server_status(quickly(), server_has_stopped).await;
    assert_eq!((done.status, done.details), (ApiStatus::Success, json!({})));
    assert!(api.wait_until_client_status(quickly(), clients_have_no_jobs).await.details == json!({}));

    let mut asked = 0;
    let wanted = 3;
    let done = api
        .wait_until_client_status(quickly(), |reply| {
            asked += 1;
            assert!(reply.is_success());
            asked == wanted
        })
        .await;
    assert_eq!((done.details, asked), (json!({}), 3));
    let never = quickly().timeout(Duration::from_millis(60));
    let over = api.wait_until_server_status(never, |_| false).await;
    assert_eq!((over.status, over.message()), (ApiStatus::Success, Some(WAITED_UNTIL_TIMEOUT)));
    // The last pause is cut short, or this test would take an hour.
    let hourly = never.interval(Duration::from_secs(3600));
    let over = api.wait_until_server_status(hourly, |_| false).await;
    assert_eq!(over.message(), Some(WAITED_UNTIL_TIMEOUT));
    api.logout().await;
}

#[tokio::test]
async fn statistics_are_waited_for_by_job() {
    let server = quick().start().await.unwrap();
    let api = api_of(&server);
    let job = JobFolder::new("endless");
    let submitted = api.submit_job(job.path().to_str().unwrap()).await;
    let job_id = submitted.details["job_id"].as_str().unwrap().to_owned();
    let id = job_id.parse().unwrap();
    let session = api.session().await.unwrap();
    while session.get_job_status(&id).await.unwrap() != Some(flare_client::JobStatus::Running) {
        tokio::time::sleep(SOON).await;
    }
    let mut seen = Vec::new();
    let done = api
        .wait_until_server_stats(&job_id, quickly(), |reply| {
            seen.push(reply.details["message"].clone());
            true
        })
        .await;
    assert_eq!(done.details, json!({}));
    assert!(seen[0]["server"].is_object(), "{seen:?}");
    assert!(api.abort_job(&job_id).await.is_success());
    let over = api.wait_until_server_stats(&job_id, quickly(), server_runner_is_done).await;
    assert!(over.is_success());
    assert!(over.details == json!({}) || over.message() == Some(WAITED_UNTIL_NOT_RUNNING), "{over:?}");
    let none = api.wait_until_server_stats("", quickly(), server_runner_is_done).await;
    assert_eq!(none.status, ApiStatus::ErrorSyntax);
    api.logout().await;
}

#[tokio::test]
async fn failed_attempts_count_only_in_a_row() {
    let server = SimServer::start().await.unwrap();
    let api = api_of(&server);
    // Of a job that does not exist there never is an answer.
    let options = quickly().fail_attempts(2);
    let failed = api.wait_until_server_stats("00000000-0000-4000-8000-000000000000", options, |_| true).await;
    assert_eq!(failed.status, ApiStatus::ErrorRuntime);
    let text = "FL server stats was not obtainable for more than the specified number of fail_attempts. ";
    assert_eq!(failed.message(), Some(text));
    api.logout().await;
}

#[tokio::test]
async fn a_runner_goes_from_the_folder_to_a_job_that_has_run() {
    let server = quick().start().await.unwrap();
    let folder = server.admin_kit(Role::ProjectAdmin).unwrap();
    let user = kit(&server, Role::ProjectAdmin).username().to_owned();
    let wrong = FlAdminApiRunner::start("somebody", &folder).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::InvalidArgument);
    let no_kit = FlAdminApiRunner::start(&user, folder.join("startup")).await.unwrap_err();
    assert_eq!(no_kit.kind(), ErrorKind::InvalidStartupKit);

    let runner = FlAdminApiRunner::start(&user, &folder).await.unwrap();
    let job = JobFolder::new("hello");
    let mut calls = Vec::new();
    let last = runner.run(job.path().to_str().unwrap(), quickly(), |step| calls.push(step.call.clone())).await;
    assert!(last.is_success() && last.details["client_statuses"].is_array(), "{last:?}");
    assert_eq!(calls.len(), 6, "{calls:?}");
    let mut calls = 0;
    let last = runner.run("no-such-folder", quickly(), |_| calls += 1).await;
    assert_eq!((last.status, calls), (ApiStatus::ErrorRuntime, 2));
    assert!(last.message().unwrap().ends_with("/no-such-folder' is not a valid folder."));
    runner.close().await;
}
