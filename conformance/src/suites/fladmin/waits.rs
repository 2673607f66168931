//! The calls that wait.

use std::time::{Duration, Instant};

use flare_client::fladmin::{
    ApiStatus, WAITED_UNTIL_TIMEOUT, WaitOptions, clients_have_no_jobs, server_has_stopped, server_runner_is_done,
};
use serde_json::json;

use super::{api, fails, works};
use crate::finding::{ensure, ensure_eq};
use crate::{Case, CaseResult, Context, Need, Who};

/// A job that no server has.
const NO_SUCH_JOB: &str = "00000000-0000-4000-8abc-000000000000";

pub(super) fn cases() -> Vec<Case> {
    let needs = [Need::Admin(Who::PROJECT_ADMIN)];
    vec![
        Case::new("fladmin.wait", "calls wait until a callback is content, at an interval", wait)
            .checks(&["FLADMIN-WAIT-001", "FLADMIN-WAIT-003"])
            .needs(needs),
        Case::new("fladmin.wait.default", "there are callbacks by default, and others know more", default_callbacks)
            .checks(&["FLADMIN-WAIT-002"])
            .needs(needs),
        Case::new("fladmin.wait.timeout", "a time limit ends what would wait for ever", timeout)
            .checks(&["FLADMIN-WAIT-001", "FLADMIN-WAIT-004"])
            .needs(needs)
            .waiting(LIMIT),
        Case::new("fladmin.wait.failures", "so many failed attempts in a row end a wait", failures)
            .checks(&["FLADMIN-WAIT-001"])
            .needs(needs),
    ]
}

const INTERVAL: Duration = Duration::from_millis(200);
/// When a wait is given up.
const LIMIT: Duration = Duration::from_secs(1);

fn options() -> WaitOptions {
    WaitOptions::of_clients().interval(INTERVAL).timeout(crate::raw::PATIENCE)
}

async fn wait(context: Context) -> CaseResult {
    let api = api(&context, Who::PROJECT_ADMIN).await?;
    for clients in [false, true] {
        let mut seen = Vec::new();
        let started = Instant::now();
        let callback = |reply: &flare_client::fladmin::FlAdminApiResponse| {
            seen.push(reply.clone());
            seen.len() == 3
        };
        let response = if clients {
            api.wait_until_client_status(options(), callback).await
        } else {
            api.wait_until_server_status(options(), callback).await
        };
        ensure_eq!(works("the wait", response)?.details, json!({}), "details");
        ensure!(started.elapsed() >= 2 * INTERVAL, "three looks took {:?}", started.elapsed());
        let key = if clients { "client_statuses" } else { "server_engine_status" };
        ensure!(seen.iter().all(|reply| reply.details.get(key).is_some()), "a reply without {key}: {seen:?}");
    }
    api.logout().await;
    Ok(())
}

async fn default_callbacks(context: Context) -> CaseResult {
    let api = api(&context, Who::PROJECT_ADMIN).await?;
    // Jobs of other cases may run, so the callback is compared with what it looked at.
    let mut agreed = true;
    let response = api
        .wait_until_server_status(options(), |reply| {
            let stopped = reply.details["server_engine_status"] == "stopped";
            agreed &= stopped == server_has_stopped(reply);
            true
        })
        .await;
    works("a look at the server", response)?;
    let none = "No Jobs";
    let response = api
        .wait_until_client_status(options(), |reply| {
            // What the callback knows beside the reply.
            let rows = reply.details["client_statuses"].as_array().cloned().unwrap_or_default();
            agreed &= rows.iter().skip(1).all(|row| row[3] == none) == clients_have_no_jobs(reply);
            true
        })
        .await;
    works("a look at the sites", response)?;
    ensure!(agreed, "the default callbacks see something else");
    api.logout().await;
    Ok(())
}

async fn timeout(context: Context) -> CaseResult {
    let api = api(&context, Who::PROJECT_ADMIN).await?;
    let started = Instant::now();
    let response = works("the wait", api.wait_until_client_status(options().timeout(LIMIT), |_| false).await)?;
    ensure_eq!(response.message(), Some(WAITED_UNTIL_TIMEOUT), "its words");
    ensure!(started.elapsed() >= LIMIT, "the wait took {:?}", started.elapsed());
    // Without a limit it goes on for as long as somebody waits for it.
    let endless = WaitOptions { timeout: None, ..options() };
    let ended = tokio::time::timeout(LIMIT, api.wait_until_client_status(endless, |_| false)).await;
    ensure!(ended.is_err(), "a wait without a limit ended: {ended:?}");
    api.logout().await;
    Ok(())
}

async fn failures(context: Context) -> CaseResult {
    let api = api(&context, Who::PROJECT_ADMIN).await?;
    let options = options().fail_attempts(2);
    let response = api.wait_until_server_stats(NO_SUCH_JOB, options, server_runner_is_done).await;
    if response.is_success() {
        // A server may say of a job that it does not know what it says of one that does not run.
        ensure!(response.message() != Some(WAITED_UNTIL_TIMEOUT), "{response:?}");
    } else {
        let message = fails("statistics of no job", &response, ApiStatus::ErrorRuntime)?;
        ensure!(message.contains("more than the specified number of fail_attempts"), "{message}");
    }
    fails("no job id", &api.wait_until_server_stats("", options, |_| true).await, ApiStatus::ErrorSyntax)?;
    api.logout().await;
    Ok(())
}
