//! Arguments, targets, statuses, raw replies.

use std::time::Duration;

use flare_client::fladmin::{ApiStatus, FlAdminApi, StatusReading, TargetType};
use flare_client::{MetaStatus, StartupKit};
use serde_json::{Value, json};

use super::{api, fails, works};
use crate::finding::{ensure, ensure_eq};
use crate::simulated::Simulator;
use crate::{Case, CaseResult, Context, Home, Need, Role, Who};

/// A file that every server has.
const CONFIGURATION: &str = "startup/fed_server.json";

pub(super) fn cases() -> Vec<Case> {
    let admin = Need::Admin(Who::PROJECT_ADMIN);
    let with_site = [admin, Need::Site(Home::Server)];
    vec![
        Case::new("fladmin.arguments", "calls take the arguments of their specification, and no others", arguments)
            .checks(&["FLADMIN-CALL-001", "FLADMIN-GUIDE-002"])
            .needs([admin]),
        Case::new("fladmin.target", "a single target is the server or a site", single_target)
            .checks(&["FLADMIN-TARGET-001"])
            .needs(with_site),
        Case::new("fladmin.targets", "several targets are a type and names", several_targets)
            .checks(&["FLADMIN-TARGET-002", "FLADMIN-TARGET-003", "FLADMIN-TARGET-004", "FLADMIN-TARGET-005"])
            .needs(with_site),
        Case::new("fladmin.target-all", "server and sites together, where the command has it", all_targets)
            .checks(&["FLADMIN-TARGET-006"])
            .needs([Need::ControlledTime])
            .waiting(SHUTDOWN),
        Case::new("fladmin.response", "a response has a status, details, and here and there the raw reply", response)
            .checks(&["FLADMIN-REPLY-001", "FLADMIN-REPLY-002"])
            .needs([admin]),
        Case::new("fladmin.do-command", "a line that was delivered and answered is a success", do_command)
            .checks(&["FLADMIN-COMMAND-001", "FLADMIN-REPLY-003"])
            .needs([admin]),
        Case::new("fladmin.status", "the status says what the reply says", status)
            .checks(&["FLADMIN-REPLY-004"])
            .needs([admin]),
        Case::new("fladmin.status.denied", "what a member may not do is an error of authorization", denied)
            .checks(&["FLADMIN-REPLY-004"])
            .needs([Need::Admin(Who::MEMBER), Need::Site(Home::Server)]),
    ]
}

async fn arguments(context: Context) -> CaseResult {
    let api = api(&context, Who::PROJECT_ADMIN).await?;
    let listing = works("ls_target", api.ls_target("server", Some("-l -a"), Some("startup")).await)?;
    ensure!(listing.message().is_some_and(|text| text.contains("fed_server.json")), "{listing:?}");
    let shown = works("cat_target", api.cat_target("server", Some("-n"), CONFIGURATION).await)?;
    ensure!(shown.message().is_some_and(|text| text.trim_start().starts_with('1')), "{shown:?}");
    let found = works("grep_target", api.grep_target("server", Some("-n"), "servers", CONFIGURATION).await)?;
    ensure!(found.message().is_some_and(|text| text.contains("\"servers\"")), "{found:?}");
    let end = works("tail_target_log", api.tail_target_log("server", Some("-n 2")).await)?;
    ensure_eq!(end.message().map(|text| text.lines().count()), Some(2), "lines of the log's end");
    let jobs = works("list_jobs", api.list_jobs(Some("-d -m 1")).await)?;
    ensure!(jobs.details.as_array().is_some_and(|jobs| jobs.len() < 2), "{jobs:?}");
    works("get_available_apps_to_upload", api.get_available_apps_to_upload().await)?;
    works("get_connected_client_list", api.get_connected_client_list().await)?;

    for (what, response) in [
        ("a job id that is none", api.abort_job("").await),
        ("a file that may not be shown", api.cat_target("server", None, "startup/server.key").await),
        ("a path that leads out", api.ls_target("server", None, Some("../x")).await),
        ("options with other characters", api.list_jobs(Some("-d;")).await),
        ("a target with blanks", api.get_working_directory("a b").await),
        ("a pattern that is none", api.grep_target("server", None, "", CONFIGURATION).await),
        ("nobody to remove", api.remove_client(&[]).await),
        ("no job folder", api.submit_job("").await),
    ] {
        let message = fails(what, &response, ApiStatus::ErrorSyntax)?;
        ensure!(message.starts_with("Error: APISyntaxError: "), "{what}: {message}");
    }
    api.logout().await;
    Ok(())
}

async fn single_target(context: Context) -> CaseResult {
    let api = api(&context, Who::PROJECT_ADMIN).await?;
    let server = works("pwd of the server", api.get_working_directory("server").await)?;
    let site = works("pwd of a site", api.get_working_directory(context.site(Home::Server)?).await)?;
    ensure!(server.message() != site.message(), "server and site run in the same folder: {server:?}");
    fails("pwd of nobody", &api.get_working_directory("nosite").await, ApiStatus::ErrorInvalidClient)?;
    api.logout().await;
    Ok(())
}

/// The first column of a table without its header.
fn first_column(table: &Value) -> Vec<&str> {
    table.as_array().into_iter().flatten().skip(1).filter_map(|row| row[0].as_str()).collect()
}

async fn several_targets(context: Context) -> CaseResult {
    let api = api(&context, Who::PROJECT_ADMIN).await?;
    let site = context.site(Home::Server)?;
    let server = works("server", api.check_status(TargetType::Server, &["nosite", "a b"]).await)?;
    ensure!(server.details["server_engine_status"].is_string(), "{server:?}");
    ensure!(server.details["registered_clients"].as_i64().is_some_and(|count| count > 0), "{server:?}");
    let connected = works("connected", api.get_connected_client_list().await)?;
    let all = works("all sites", api.check_status(TargetType::Client, &[]).await)?;
    let mut names = first_column(&all.details["client_statuses"]);
    names.sort_unstable();
    let mut expected: Vec<&str> =
        connected.details["connected_clients"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    expected.sort_unstable();
    ensure_eq!(names, expected, "sites that answered");
    let one = works("one site", api.check_status(TargetType::Client, &[site]).await)?;
    ensure_eq!(first_column(&one.details["client_statuses"]), [site], "the one that was named");
    fails("nobody", &api.check_status(TargetType::Client, &["nosite"]).await, ApiStatus::ErrorInvalidClient)?;
    fails("a bad name", &api.check_status(TargetType::Client, &["a b"]).await, ApiStatus::ErrorSyntax)?;
    // This call does not have it.
    let all = fails("all", &api.check_status(TargetType::All, &[]).await, ApiStatus::ErrorSyntax)?;
    ensure_eq!(all, "Error: APISyntaxError: target_type must be server or client.", "its words");
    api.logout().await;
    Ok(())
}

/// On a server of its own, since it is gone afterwards.
/// How long it takes until sites and server have gone.
const SHUTDOWN: Duration = Duration::from_secs(3);

async fn all_targets(context: Context) -> CaseResult {
    let simulator =
        Simulator::start_unhurried(&context.target().description().scheme, context.target().mutant()).await?;
    let api = FlAdminApi::new(StartupKit::open(simulator.admin(Role::ProjectAdmin)?.path)?);
    works("restart of a site", api.restart(TargetType::Client, &["ward-a"]).await)?;
    let stopped = works("shutdown of all", api.shutdown(TargetType::All, &[]).await)?;
    ensure!(stopped.message().is_some(), "{stopped:?}");
    simulator.stopped().await;
    Ok(())
}

async fn response(context: Context) -> CaseResult {
    let api = api(&context, Who::PROJECT_ADMIN).await?;
    let status = works("check_status", api.check_status(TargetType::Server, &[]).await)?;
    let dictionary = status.to_json();
    ensure_eq!(dictionary["status"], "SUCCESS", "status");
    ensure!(dictionary["details"].is_object(), "{dictionary}");
    for key in ["time", "data", "meta", "status"] {
        ensure!(dictionary["raw"].get(key).is_some(), "the raw reply has no {key}: {dictionary}");
    }
    ensure_eq!(dictionary["raw"]["data"][0]["type"], "string", "first item of the raw reply");
    // A shell command gives its output alone, an error carries its reply.
    let folder = works("pwd", api.get_working_directory("server").await)?.to_json();
    ensure!(folder.get("raw").is_none(), "{folder}");
    let refused = api.abort_job("nope").await;
    fails("abort_job", &refused, ApiStatus::ErrorRuntime)?;
    ensure_eq!(refused.details, json!({"message": "invalid_job_id: nope"}), "details");
    ensure_eq!(refused.to_json()["raw"]["meta"]["status"], "invalid_job_id", "status in the raw reply");
    let jobs = works("list_jobs", api.list_jobs(None).await)?;
    ensure!(jobs.details.is_array(), "{jobs:?}");
    api.logout().await;
    Ok(())
}

async fn do_command(context: Context) -> CaseResult {
    let api = api(&context, Who::PROJECT_ADMIN).await?;
    // No call wraps this one.
    let sessions = api.do_command("list_sessions").await;
    ensure_eq!(sessions.status, ApiStatus::Success, "list_sessions");
    ensure_eq!(sessions.to_json()["data"][0]["rows"][0][0], "USER", "header of the table");
    for (line, said) in [
        ("pwd nosite", MetaStatus::InvalidTarget),
        ("abort_job nope", MetaStatus::InvalidJobId),
        ("show_stats", MetaStatus::SyntaxError),
        ("job_mgmt.list_jobs -z", MetaStatus::SyntaxError),
    ] {
        let result = api.do_command(line).await;
        ensure_eq!(result.status, ApiStatus::Success, "{line}");
        ensure_eq!(result.reply.and_then(|reply| reply.status()), Some(said), "what the reply to {line} says");
    }
    api.logout().await;
    Ok(())
}

async fn status(context: Context) -> CaseResult {
    let api = api(&context, Who::PROJECT_ADMIN).await?;
    fails("show_stats", &api.show_stats("nope", TargetType::Server, &[]).await, ApiStatus::ErrorRuntime)?;
    fails("list_jobs -z", &api.list_jobs(Some("-z")).await, ApiStatus::ErrorSyntax)?;
    fails("tail of nobody", &api.tail_target_log("nosite", None).await, ApiStatus::ErrorInvalidClient)?;
    fails("download_job", &api.download_job("nope").await, ApiStatus::ErrorRuntime)?;
    fails("delete_job", &api.delete_job("nope").await, ApiStatus::ErrorRuntime)?;
    fails("clone_job", &api.clone_job("nope").await, ApiStatus::ErrorRuntime)?;
    let nothing = works("grep", api.grep_target("server", None, "zzzz-no-such-text", CONFIGURATION).await)?;
    ensure_eq!(nothing.message(), Some(""), "what a search in vain finds");
    // The old way, for who relies on it.
    let old = api.clone().reading(StatusReading::AsOriginal);
    let unknown = works("pwd of nobody, read as the original does", old.get_working_directory("nosite").await)?;
    ensure_eq!(unknown.message(), Some("invalid target: nosite"), "its words");
    api.logout().await;
    Ok(())
}

async fn denied(context: Context) -> CaseResult {
    let site = context.site(Home::Server)?;
    let api = api(&context, Who::MEMBER).await?;
    for (what, response) in [
        ("shutdown of all", api.shutdown(TargetType::All, &[]).await),
        ("a folder of the server", api.get_working_directory("server").await),
        // Sites refuse in words alone.
        ("a folder of a site", api.get_working_directory(site).await),
        ("restart of a site", api.restart(TargetType::Client, &[site]).await),
    ] {
        if response.message().is_some_and(|text| text.contains("still jobs running")) {
            // The server has looked at its jobs before it asked anybody.
            fails(what, &response, ApiStatus::ErrorRuntime)?;
            continue;
        }
        let message = fails(what, &response, ApiStatus::ErrorAuthorization)?;
        ensure!(message.starts_with("Error: PermissionError: "), "{what}: {message}");
    }
    api.logout().await;
    Ok(())
}
