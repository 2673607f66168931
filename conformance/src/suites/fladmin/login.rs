//! Beginning and ending a session.

use std::time::{Duration, Instant};

use flare_client::fladmin::{ApiStatus, FlAdminApi, FlAdminApiRunner, TargetType};
use flare_client::{Session, StartupKit};

use super::{fails, works};
use crate::finding::{ensure, ensure_eq};
use crate::raw::until;
use crate::simulated::Simulator;
use crate::{Case, CaseResult, Context, Finding, Need, Role};

/// Idle limit of a session, and the pass that ends it.
const IDLE: Duration = Duration::from_secs(1800 + 6);

/// More than a logout may take.
const LOGOUT_LIMIT: Duration = Duration::from_secs(5);

/// How often a session is left idle until the server has ended it.
const ATTEMPTS: usize = 20;

/// A command that no server has.
const NO_SUCH_COMMAND: &str = "no_such_command a b";

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("fladmin.runner", "a kit's folder is enough, and the login happens by itself", runner).checks(&[
            "FLADMIN-LOGIN-001",
            "FLADMIN-RUNNER-001",
            "FLADMIN-LOGIN-002",
            "FLADMIN-GUIDE-002",
        ]),
        Case::new("fladmin.logout", "a logout ends the session soon, and for good", logout)
            .checks(&["FLADMIN-LOGIN-003", "FLADMIN-LOGIN-004"]),
        Case::new("fladmin.unknown-command", "no login and an unknown command are told apart", unknown_command)
            .checks(&["FLADMIN-COMMAND-002"]),
        Case::new("fladmin.idle", "a session that the server ended is logged in again by itself", idle)
            .checks(&["FLADMIN-LOGIN-005", "FLADMIN-LOGIN-002"])
            .needs([Need::ControlledTime]),
    ]
}

async fn runner(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let runner = FlAdminApiRunner::start(&kit.user, &kit.path).await?;
    let api = runner.api();
    works("list_jobs", api.list_jobs(None).await)?;
    ensure_eq!(api.login().await.status, ApiStatus::Success, "a login when there is one");
    runner.close().await;

    // Nobody has asked for a login here.
    let api = FlAdminApi::new(StartupKit::open(&kit.path)?);
    works("list_jobs", api.list_jobs(None).await)?;
    api.logout().await;
    Ok(())
}

async fn logout(context: Context) -> CaseResult {
    let api = FlAdminApi::from(context.connect(context.any_kit()?).await?);
    works("list_jobs", api.list_jobs(None).await)?;
    let started = Instant::now();
    let said = api.logout().await.map(|result| result.to_json()).unwrap_or_default();
    ensure!(started.elapsed() < LOGOUT_LIMIT, "the logout took {:?}", started.elapsed());
    ensure_eq!(said["data"][0]["data"], "OK", "answer to the logout: {said}");
    fails("list_jobs after a logout", &api.list_jobs(None).await, ApiStatus::ErrorInactiveSession)?;
    ensure_eq!(api.login().await.status, ApiStatus::ErrorInactiveSession, "a login after a logout");
    ensure_eq!(api.logout().await, None, "a second logout");
    // A new one begins a session.
    let api = FlAdminApi::from(context.connect(context.any_kit()?).await?);
    ensure_eq!(api.login().await.status, ApiStatus::Success, "a login");
    api.logout().await;
    Ok(())
}

async fn unknown_command(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = nobody.map_err(|error| Finding::harness(error.to_string()))?.port();
    let elsewhere = StartupKit::open(&kit.path)?.with_address("127.0.0.1", port);
    let result = FlAdminApi::new(elsewhere).do_command(NO_SUCH_COMMAND).await;
    ensure_eq!(result.status, ApiStatus::ErrorServerConnection, "without a login: {result:?}");

    let api = FlAdminApi::from(context.connect(kit).await?);
    let result = api.do_command(NO_SUCH_COMMAND).await;
    ensure_eq!(result.status, ApiStatus::ErrorSyntax, "with a login: {result:?}");
    ensure_eq!(result.details.as_deref(), Some("Command no_such_command not found"), "its words");
    // Commands of earlier servers, which this one does not have.
    for response in [api.set_timeout(5.0).await, api.abort("x", TargetType::All, &[]).await, api.list_sp().await] {
        let message = fails("a command of earlier servers", &response, ApiStatus::ErrorRuntime)?;
        ensure!(message.contains("this server does not offer it"), "{message}");
    }
    api.logout().await;
    Ok(())
}

async fn idle(context: Context) -> CaseResult {
    let description = context.target().description();
    let simulator = Simulator::start_unhurried(&description.scheme, context.target().mutant()).await?;
    let kit = StartupKit::open(simulator.admin(Role::Lead)?.path)?;
    let api = FlAdminApi::new(kit.clone());
    let before = session_id(&api).await?;
    // The server ends a session when it looks for idle ones, unless a command comes before that.
    let mut after = before.clone();
    for _ in 0..ATTEMPTS {
        simulator.skip_time(IDLE);
        works("list_jobs after an idle half hour", api.list_jobs(None).await)?;
        after = session_id(&api).await?;
        if after != before {
            break;
        }
    }
    ensure!(after != before, "the idle session {before} goes on");
    api.logout().await;

    // Told not to log in again, it says that this is needed.
    let session = Session::builder(kit).renew(false).connect().await?;
    let api = FlAdminApi::from(session.clone());
    works("list_jobs", api.list_jobs(None).await)?;
    simulator.skip_time(IDLE);
    until("the session has ended", || session.is_closed()).await?;
    fails("list_jobs of an ended session", &api.list_jobs(None).await, ApiStatus::ErrorInactiveSession)?;
    api.logout().await;
    Ok(())
}

/// The id of the one session there is.
async fn session_id(api: &FlAdminApi) -> CaseResult<String> {
    let listed = api.do_command("list_sessions").await.to_json();
    match listed["data"][0]["rows"][1][3].as_str() {
        Some(id) => Ok(id.to_owned()),
        None => Err(Finding::fail(format!("list_sessions gives {listed}"))),
    }
}
