//! The session itself.

use std::time::Duration;

use flare_client::{ErrorKind, Item, Session, SiteJobStatus};
use tokio::task::JoinSet;

use super::fails;
use crate::finding::{ensure, ensure_eq};
use crate::raw::KitCopy;
use crate::{Case, CaseResult, Context, Finding, Home, Need, Who};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("api.session.close", "a session may be closed twice, and is of no use then", close).checks(&[
            "API-SESSION-001",
            "API-SESSION-002",
            "SPEC-SESSION-SPEC-001",
        ]),
        Case::new("api.session.clones", "closing one handle closes them all", clones).checks(&["API-SESSION-002"]),
        Case::new("api.session.commands", "a session knows the server's commands", commands)
            .checks(&["API-SESSION-003", "SPEC-SESSION-SPEC-001"]),
        Case::new("api.session.raw", "a raw command gives the reply as it is", raw)
            .checks(&["API-SESSION-004", "API-SESSION-005"]),
        Case::new("api.session.sixteen-callers", "sixteen callers share a session", sixteen_callers)
            .checks(&["API-SESSION-006"]),
        Case::new("api.session.timeout", "a session has a command timeout of its own", timeout)
            .exercises(&["set_timeout", "set_timeout.value", "unset_timeout", "get_client_job_status"])
            .checks(&[
                "API-TIMEOUT-001",
                "API-TIMEOUT-002",
                "SPEC-SET-TIMEOUT-001",
                "SPEC-SET-TIMEOUT-002",
                "SPEC-UNSET-TIMEOUT-001",
            ])
            .needs([Need::Site(Home::Server)]),
        Case::new("api.apps", "the folders in the upload folder are the apps", apps)
            .exercises(&["get_available_apps_to_upload"])
            .checks(&["API-APPS-001", "SPEC-APPS-UPLOAD-001"]),
    ]
}

async fn close(context: Context) -> CaseResult {
    let session = context.connect(context.any_kit()?).await?;
    ensure!(!session.is_closed(), "a new session says that it is closed");
    session.close().await;
    session.close().await;
    ensure!(session.is_closed(), "a closed session says that it is open");
    fails("get_system_info", session.get_system_info().await, ErrorKind::SessionClosed)?;
    fails("do_command", session.do_command("list_sessions").await, ErrorKind::SessionClosed)?;
    session.close().await;
    Ok(())
}

async fn clones(context: Context) -> CaseResult {
    let session = context.connect(context.any_kit()?).await?;
    let other = session.clone();
    other.list_studies().await?;
    session.close().await;
    fails("list_studies", other.list_studies().await, ErrorKind::SessionClosed).map(drop)
}

async fn commands(context: Context) -> CaseResult {
    let session = context.connect(context.any_kit()?).await?;
    for (scope, name, visible) in
        [("job_mgmt", "list_jobs", true), ("training", "check_status", true), ("sess", "list_sessions", false)]
    {
        let commands = session.commands();
        let found = commands.iter().find(|command| command.name == name);
        let found = found.ok_or_else(|| Finding::fail(format!("{name} is missing")))?;
        ensure_eq!((found.scope.as_str(), found.visible), (scope, visible), "{name}");
    }
    session.close().await;
    Ok(())
}

async fn raw(context: Context) -> CaseResult {
    let session = context.connect(context.any_kit()?).await?;
    let reply = session.do_command("no_such_command a b").await?;
    ensure_eq!(reply.data, [Item::Error("Unknown command \"no_such_command\"".to_owned())], "items");
    let reply = session.do_command("sess.list_sessions").await?;
    ensure!(matches!(reply.data.as_slice(), [Item::Table(_)]), "sess.list_sessions gave {}", reply.to_json());
    session.close().await;
    Ok(())
}

async fn sixteen_callers(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let session = context.connect(kit).await?;
    let mut callers = JoinSet::new();
    for caller in 0..16 {
        callers.spawn(call(session.clone(), caller));
    }
    while let Some(joined) = callers.join_next().await {
        joined.map_err(|error| Finding::harness(error.to_string()))??;
    }
    session.close().await;
    Ok(())
}

/// Sends commands whose replies tell the callers apart.
async fn call(session: Session, caller: usize) -> CaseResult {
    for round in 0..4 {
        let name = format!("no_such_command_{caller}_{round}");
        let reply = session.do_command(&name).await?;
        ensure_eq!(reply.data, [Item::Error(format!("Unknown command \"{name}\""))], "reply to caller {caller}");
    }
    Ok(())
}

async fn timeout(context: Context) -> CaseResult {
    let session = context.session(Who::PROJECT_ADMIN).await?;
    fails("set_timeout(0)", session.set_timeout(Duration::ZERO), ErrorKind::InvalidArgument)?;
    // Whether a site can answer within a millisecond is its own affair; the command must not fail either way.
    session.set_timeout(Duration::from_millis(1))?;
    let other = context.session(Who::PROJECT_ADMIN).await?;
    for entry in session.get_client_job_status(&[]).await? {
        let possible = matches!(entry.status, SiteJobStatus::NoReply | SiteJobStatus::NoJobs | SiteJobStatus::Started);
        ensure!(possible, "{entry:?}");
    }
    for entry in other.get_client_job_status(&[]).await? {
        ensure!(entry.status != SiteJobStatus::NoReply, "in another session: {entry:?}");
    }
    other.close().await;
    session.unset_timeout();
    for entry in session.get_client_job_status(&[]).await? {
        ensure!(entry.status != SiteJobStatus::NoReply, "{entry:?}");
    }
    session.close().await;
    Ok(())
}

async fn apps(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let copy = KitCopy::of(kit)?;
    let apps = ["alpha", "beta"];
    for app in apps {
        std::fs::create_dir(copy.path().join("transfer").join(app))
            .map_err(|error| Finding::harness(error.to_string()))?;
    }
    std::fs::write(copy.path().join("transfer/file.txt"), "").map_err(|error| Finding::harness(error.to_string()))?;
    let session = context.connect(&crate::AdminKit { path: copy.path().to_owned(), ..kit.clone() }).await?;
    let mut found = session.get_available_apps_to_upload().await?;
    found.sort();
    ensure_eq!(found, apps, "apps");
    session.close().await;
    Ok(())
}
