//! The system as a whole: restarted, and shut down.
//!
//! Each case has the target for itself. The last ones end it: on a deployment the first of them leaves nothing for the
//! others, which are untestable then.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::time::Duration;

use flare_client::{ErrorKind, Item, Session, SiteName, StartupKit, Targets};
use serde_json::json;
use tokio::net::TcpStream;

use super::own::{CASE_LIMIT, POLL};
use super::sites::{Alone, SITE_PATIENCE, back, tokens};
use super::studies::said;
use crate::finding::{ensure, ensure_eq};
use crate::raw::Admin;
use crate::{Case, CaseResult, Context, Finding, Home, Need, Risk, Who};

/// Column of the table of sessions that holds the id of a session.
const SESSION_COLUMN: usize = 3;

/// How long a server that runs may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

pub(super) fn cases() -> Vec<Case> {
    let needs = [Need::Admin(Who::PROJECT_ADMIN), Need::Site(Home::Server)];
    let roles = [Need::Admin(Who::MEMBER), Need::Admin(Who::OTHER_ORG_ADMIN), Need::Admin(Who::OTHER_LEAD)];
    [
        Case::new("system.restart.server", "the server comes back, and a session goes on", restart_server)
            .checks(&[
                "SYSTEM-RESTART-001",
                "SYSTEM-RESTART-002",
                "SPEC-RESTART-001",
                "SPEC-RESTART-003",
                "SPEC-RESTART-004",
                "SPEC-RESTART-005",
            ])
            .exercises(&["restart", "restart.target_type", "restart.timeout"]),
        Case::new("system.restart.through", "an open session is the same session after a restart", restart_through)
            .checks(&["SYSTEM-RESTART-002"])
            .exercises(&["restart", "restart.target_type", "restart.timeout"])
            .needs([Need::Admin(Who::MEMBER)]),
        Case::new("system.restart.all", "everything comes back", restart_all)
            .checks(&["SYSTEM-RESTART-001", "SPEC-RESTART-002"])
            .exercises(&["restart", "restart.target_type", "restart.wait"]),
        Case::new("system.restart.disabled", "a disabled site stays out over a restart", restart_disabled)
            .checks(&["SYSTEM-RESTART-003"])
            .exercises(&["disable_client", "restart", "enable_client"]),
        Case::new("system.refused", "nobody ends the server who may not operate it", refused)
            .checks(&["SYSTEM-ROLE-001", "SYSTEM-SHUTDOWN-001", "SPEC-SHUTDOWN-SYSTEM-002"])
            .exercises(&["shutdown", "shutdown.target_type"])
            .needs(roles),
        Case::new("system.end.sites", "sites end, and then the server", end_sites)
            .checks(&[
                "SYSTEM-SHUTDOWN-001",
                "SYSTEM-SHUTDOWN-002",
                "SPEC-CLIENT-JOB-STATUS-004",
                "SPEC-SHUTDOWN-001",
                "SPEC-SHUTDOWN-002",
                "SPEC-SHUTDOWN-003",
                "SPEC-SHUTDOWN-004",
            ])
            .exercises(&[
                "shutdown",
                "shutdown.target_type",
                "shutdown.client_names",
                "shutdown.wait",
                "shutdown.timeout",
            ]),
        Case::new("system.end.all", "everything ends", end_all)
            .checks(&["SYSTEM-SHUTDOWN-003", "SPEC-SHUTDOWN-002", "SPEC-SHUTDOWN-003", "SPEC-SHUTDOWN-005"])
            .exercises(&["shutdown", "shutdown.target_type"]),
        Case::new("system.end.system", "the whole system ends", end_system)
            .checks(&["SYSTEM-SHUTDOWN-003", "SPEC-SHUTDOWN-SYSTEM-001"])
            .exercises(&["shutdown_system"]),
    ]
    .into_iter()
    .map(|case| {
        let changes = changes(case.id());
        case.needs(needs).risking(Risk::System, changes).within(CASE_LIMIT)
    })
    .collect()
}

/// What a case does to the target.
fn changes(id: &str) -> &'static str {
    match id {
        "system.restart.server" | "system.restart.through" | "system.restart.all" => {
            "restarts the server and all sites, and waits until they are back"
        }
        "system.restart.disabled" => {
            "disables a site, restarts the server and all sites, enables the site again and restarts it"
        }
        "system.refused" => "tells the server to restart and to shut down as administrators whom it has to refuse",
        "system.end.sites" => "shuts the sites down, then the server: nothing runs any more",
        "system.end.all" | "system.end.system" => "shuts the server and all sites down: nothing runs any more",
        _ => "",
    }
}

/// Sessions of the user, by id.
async fn sessions(session: &Session, user: &str) -> CaseResult<Vec<String>> {
    let reply = session.do_command("list_sessions").await?;
    let rows = reply.data.iter().filter_map(|item| match item {
        Item::Table(rows) => Some(rows.iter().skip(1)),
        _ => None,
    });
    let of_user = rows.flatten().filter(|row| row.first().and_then(Option::as_deref) == Some(user));
    Ok(of_user.filter_map(|row| row.get(SESSION_COLUMN)?.clone()).collect())
}

async fn restart_server(context: Context) -> CaseResult {
    let alone = Alone::with(&context).await?;
    let found = async {
        let session = &alone.session;
        let kit = alone.context.kit(Who::PROJECT_ADMIN)?;
        let logins = sessions(session, &kit.user).await?;
        let login = Admin::login(kit).await?;
        let mut mine = sessions(session, &kit.user).await?;
        mine.retain(|id| !logins.contains(id));
        let (before, started) = (tokens(session).await?, session.get_system_info().await?.server.start_time);
        let change = session.restart(&Targets::Server).timeout(SITE_PATIENCE)?.await?;
        ensure_eq!(change.server_status.as_deref(), Some("ok"), "{change:?}");
        let said: BTreeMap<String, String> =
            before.keys().map(|name| (name.clone(), "Restart the client...".to_owned())).collect();
        ensure_eq!(change.site_answers, said, "what the sites said");
        ensure!(session.get_system_info().await?.server.start_time > started, "the server did not restart");
        // Another connection, with the token of the login before.
        let mut again = Admin::register(kit).await?;
        again.token = login.token.clone();
        again.command("check_status server").await?;
        let after = sessions(session, &kit.user).await?;
        ensure!(mine.len() == 1 && after.contains(&mine[0]), "sessions: {mine:?} before, {after:?} after");
        all_anew(session, &before).await
    }
    .await;
    alone.close().await;
    found
}

/// Every site comes back, and is not the one from before.
async fn all_anew(session: &Session, before: &BTreeMap<String, String>) -> CaseResult {
    for (name, token) in before {
        let now = back(session, &SiteName::new(name)?).await?;
        ensure!(now != *token, "{name} did not restart");
    }
    Ok(())
}

/// Somebody else's session of our client, which asks all the time: no call fails, and nobody logs in again.
async fn restart_through(context: Context) -> CaseResult {
    let alone = Alone::with(&context).await?;
    let found = async {
        let owner = &alone.session;
        let kit = alone.context.kit(Who::MEMBER)?;
        let others = sessions(owner, &kit.user).await?;
        let patient = Session::builder(StartupKit::open(&kit.path)?).reconnect_timeout(SITE_PATIENCE);
        let session = patient.connect().await?;
        let with_it = sessions(owner, &kit.user).await?;
        ensure_eq!(with_it.len(), others.len() + 1, "sessions of {}", kit.user);
        let sites = tokens(owner).await?;
        let started = session.get_system_info().await?.server.start_time;
        let goes_on = async {
            while session.get_system_info().await?.server.start_time == started {
                tokio::time::sleep(POLL).await;
            }
            CaseResult::Ok(())
        };
        let restart = owner.restart(&Targets::Server).timeout(SITE_PATIENCE)?.into_future();
        let (change, went_on) = tokio::join!(restart, tokio::time::timeout(CASE_LIMIT, goes_on));
        let change = change?;
        ensure_eq!(change.server_status.as_deref(), Some("ok"), "{change:?}");
        went_on.map_err(|_| Finding::fail("the session sees the server from before"))??;
        let after = sessions(owner, &kit.user).await?;
        let new: Vec<_> = after.iter().filter(|id| !with_it.contains(id)).collect();
        ensure!(new.is_empty(), "somebody logged in again: {with_it:?} before, {after:?} after");
        let kept = with_it.iter().filter(|id| !others.contains(id)).all(|id| after.contains(id));
        ensure!(kept, "the session is another: {with_it:?} before, {after:?} after");
        session.close().await;
        all_anew(owner, &sites).await
    }
    .await;
    alone.close().await;
    found
}

async fn restart_all(context: Context) -> CaseResult {
    let alone = Alone::with(&context).await?;
    let found = async {
        let session = &alone.session;
        let before = tokens(session).await?;
        session.restart(&Targets::All).timeout(SITE_PATIENCE)?.await?;
        let after = tokens(session).await?;
        ensure_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "sites");
        for (name, token) in &before {
            ensure!(after.get(name) != Some(token), "{name} did not restart");
        }
        Ok(())
    }
    .await;
    alone.close().await;
    found
}

async fn restart_disabled(context: Context) -> CaseResult {
    let alone = Alone::with(&context).await?;
    let found = async {
        let (session, site) = (&alone.session, &alone.site);
        session.disable_client(site).await?;
        let others = tokens(session).await?;
        session.restart(&Targets::All).timeout(SITE_PATIENCE)?.await?;
        let after = tokens(session).await?;
        ensure_eq!(after.keys().collect::<Vec<_>>(), others.keys().collect::<Vec<_>>(), "sites after the restart");
        let again = session.disable_client(site).await?;
        ensure_eq!(again.already_disabled, Some(true), "{again:?}");
        session.enable_client(site).await?;
        back(session, site).await?;
        Ok(())
    }
    .await;
    alone.leave(found).await
}

async fn refused(context: Context) -> CaseResult {
    let alone = Alone::with(&context).await?;
    let found = async {
        for who in [Who::MEMBER, Who::OTHER_ORG_ADMIN, Who::OTHER_LEAD] {
            let session = alone.context.shared(who).await?;
            let user = &alone.context.kit(who)?.user;
            for command in ["restart", "shutdown"] {
                for target in ["server", "all"] {
                    let text = format!("user '{user}' is not authorized for '{command}'");
                    let expected = json!({
                        "data": [{"type": "error", "data": format!("Authorization Error: {text}")}],
                        "meta": {"status": "not_authorized", "info": text},
                    });
                    let line = format!("{command} {target}");
                    ensure_eq!(said(&session, &line).await?, expected, "{line} of a {who}");
                }
            }
        }
        active_sites(&alone.session).await
    }
    .await;
    alone.close().await;
    found
}

/// A server that has sites does not shut down alone.
async fn active_sites(session: &Session) -> CaseResult {
    let text = "There are still active clients. Shutdown all clients first.";
    let expected = json!({
        "data": [{"type": "error", "data": text}],
        "meta": {"status": "clients_running", "info": ""},
    });
    ensure_eq!(said(session, "shutdown server").await?, expected, "shutting the server down alone");
    Ok(())
}

/// The target for a case that ends it; untestable when another has done so before.
async fn still_up(context: &Context) -> CaseResult<Alone> {
    let server = &context.any_kit()?.server;
    if !accepts(&server.host, server.port).await {
        return Err(Finding::untestable("another case has ended the target"));
    }
    Alone::with(context).await
}

async fn accepts(host: &str, port: u16) -> bool {
    matches!(tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect((host, port))).await, Ok(Ok(_)))
}

/// The server is gone, and so is the session.
async fn ended(alone: &Alone) -> CaseResult {
    ensure!(alone.session.is_closed(), "the session is open");
    let server = &alone.context.any_kit()?.server;
    ensure!(!accepts(&server.host, server.port).await, "the server still listens");
    Ok(())
}

async fn end_sites(context: Context) -> CaseResult {
    let alone = still_up(&context).await?;
    let session = &alone.session;
    let one = Targets::Sites(vec![alone.site.clone()]);
    session.shutdown(&one).timeout(SITE_PATIENCE)?.await?;
    ensure!(!tokens(session).await?.contains_key(alone.site.as_str()), "the site is registered");
    active_sites(session).await?;
    session.shutdown(&Targets::all_sites()).timeout(SITE_PATIENCE)?.await?;
    ensure!(tokens(session).await?.is_empty(), "there are sites");
    let error = session.shutdown(&Targets::all_sites()).no_wait().await.err();
    ensure_eq!(error.map(|error| error.kind()), Some(ErrorKind::NoSites), "shutting down no sites");
    let error = session.get_client_job_status(&[]).await.err();
    ensure_eq!(error.map(|error| error.kind()), Some(ErrorKind::NoSites), "jobs of no sites");
    session.shutdown(&Targets::Server).timeout(SITE_PATIENCE)?.await?;
    ended(&alone).await
}

async fn end_all(context: Context) -> CaseResult {
    let alone = still_up(&context).await?;
    let change = alone.session.shutdown(&Targets::All).timeout(SITE_PATIENCE)?.await?;
    ensure_eq!(change.server_status, None, "{change:?}");
    ended(&alone).await
}

async fn end_system(context: Context) -> CaseResult {
    let alone = still_up(&context).await?;
    alone.session.shutdown_system().await?;
    ended(&alone).await
}
