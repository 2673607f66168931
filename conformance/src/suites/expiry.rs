//! Sessions that end by themselves. Needs a server of our own whose time can be moved: the idle limit is half an hour.

use std::time::Duration;

use flare_client::{ErrorKind, Session, StartupKit};
use flare_wire::auth::SessionToken;
use flare_wire::cell::{Encoding, Payload, SERVER, channel, headers};
use flare_wire::hci::Item;

use crate::finding::{chain, ensure, ensure_eq};
use crate::raw::{Admin, is_topic, until};
use crate::simulated::Simulator;
use crate::{Case, CaseResult, Context, Finding, Need, Role};

/// Idle limit of a session.
const IDLE_LIMIT: Duration = Duration::from_secs(1800);
/// The server looks for idle sessions this often.
const PASS: Duration = Duration::from_secs(5);
const NOTICE: &str = "Your session is closed due to inactivity or cert expiry.";

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("expiry.announced", "an idle session is ended with an announcement", announced)
            .checks(&["EXPIRY-IDLE-001", "EXPIRY-PUSH-001"])
            .needs([Need::ControlledTime]),
        Case::new("expiry.client", "our client learns of the end of its session", client)
            .checks(&["EXPIRY-CLIENT-001"])
            .needs([Need::ControlledTime]),
        Case::new("expiry.active", "commands keep a session alive", active)
            .checks(&["EXPIRY-IDLE-001", "EXPIRY-IDLE-002"])
            .needs([Need::ControlledTime]),
        Case::new("expiry.check-session", "_check_session does not keep a session alive", check_session)
            .checks(&["EXPIRY-IDLE-003"])
            .needs([Need::ControlledTime]),
        Case::new("expiry.one-at-a-time", "idle sessions end one after the other", one_at_a_time)
            .checks(&["EXPIRY-IDLE-004"])
            .needs([Need::ControlledTime]),
        Case::new("expiry.token", "the token of an expired session makes it again", token)
            .checks(&["EXPIRY-TOKEN-001"])
            .needs([Need::ControlledTime]),
    ]
}

/// A simulator of this case's own, so that no other case feels its time jump.
async fn simulator(context: &Context) -> CaseResult<Simulator> {
    Simulator::start_unhurried(&context.target().description().scheme, context.target().mutant()).await
}

/// Waits for the announcement, and gives its text.
async fn announcement(admin: &mut Admin) -> CaseResult<String> {
    let message = admin
        .peer
        .wait_for_message("the announcement", |message| {
            is_topic(message, channel::STREAM_DATA)
                && message.headers.text(headers::STREAM_TOPIC) == Some(channel::SESSION_EXPIRED)
        })
        .await?;
    let text = |name| message.headers.text(name);
    ensure_eq!(text(headers::STREAM_CHANNEL), Some(channel::HCI), "channel");
    ensure_eq!(text(headers::STREAM_REQ_ID), None, "request id");
    ensure_eq!(text(headers::ORIGIN), Some(SERVER), "origin");
    let payload =
        Payload { encoding: Encoding::parse(text(headers::STREAM_PAYLOAD_ENCODING)), bytes: message.payload.clone() };
    payload.as_text().map_err(|error| Finding::fail(format!("the announcement's payload: {error}")))
}

async fn announced(context: Context) -> CaseResult {
    let simulator = simulator(&context).await?;
    let mut admin = Admin::login(&simulator.admin(Role::Lead)?).await?;
    simulator.skip_time(IDLE_LIMIT + PASS + Duration::from_secs(1));
    ensure_eq!(announcement(&mut admin).await?, NOTICE, "text of the announcement");
    let reply = admin.command("_check_session").await?;
    ensure!(matches!(reply.data.first(), Some(Item::Error(text)) if text == "session_inactive"), "{}", reply.to_json());
    Ok(())
}

async fn client(context: Context) -> CaseResult {
    let simulator = simulator(&context).await?;
    let kit = StartupKit::open(simulator.admin(Role::Lead)?.path)?;
    let session = Session::builder(kit).renew(false).connect().await?;
    simulator.skip_time(IDLE_LIMIT + PASS + Duration::from_secs(1));
    until("the session is closed", || session.is_closed()).await?;
    match session.list_studies().await {
        Err(error) => ensure_eq!(error.kind(), ErrorKind::SessionExpired, "kind of {error:?}"),
        Ok(listing) => return Err(Finding::fail(format!("the expired session answered {listing:?}"))),
    }
    session.close().await;
    Ok(())
}

/// The session is listed as live by the server.
async fn is_live(admin: &mut Admin) -> CaseResult<bool> {
    let reply = admin.command("_check_session").await?;
    Ok(matches!(reply.data.as_slice(), [Item::String(ok)] if ok == "OK"))
}

async fn active(context: Context) -> CaseResult {
    let simulator = simulator(&context).await?;
    let mut admin = Admin::login(&simulator.admin(Role::Member)?).await?;
    for _ in 0..3 {
        simulator.skip_time(IDLE_LIMIT - PASS);
        ensure!(is_live(&mut admin).await?, "the session was ended too early");
        admin.command("list_studies").await?;
    }
    simulator.skip_time(IDLE_LIMIT + PASS + Duration::from_secs(1));
    announcement(&mut admin).await.map(drop)
}

async fn check_session(context: Context) -> CaseResult {
    let simulator = simulator(&context).await?;
    let mut admin = Admin::login(&simulator.admin(Role::Member)?).await?;
    simulator.skip_time(IDLE_LIMIT / 2);
    ensure!(is_live(&mut admin).await?, "the session was ended too early");
    simulator.skip_time(IDLE_LIMIT / 2 + PASS + Duration::from_secs(1));
    announcement(&mut admin).await.map(drop)
}

async fn one_at_a_time(context: Context) -> CaseResult {
    let simulator = simulator(&context).await?;
    let kit = simulator.admin(Role::Member)?;
    let mut admins = vec![Admin::login(&kit).await?, Admin::login(&kit).await?, Admin::login(&kit).await?];
    simulator.skip_time(IDLE_LIMIT + Duration::from_secs(1));
    for live in [2, 1, 0] {
        simulator.skip_time(PASS);
        let mut counted = 0;
        for admin in &mut admins {
            counted += usize::from(is_live(admin).await?);
        }
        ensure!(counted <= live, "{counted} sessions are live where at most {live} should be");
        ensure!(counted + 1 >= live, "{counted} sessions are live where about {live} should be");
    }
    Ok(())
}

async fn token(context: Context) -> CaseResult {
    let simulator = simulator(&context).await?;
    let mut admin = Admin::login(&simulator.admin(Role::Lead)?).await?;
    let token = SessionToken::decode(&admin.session_token()?, &admin.server.key)
        .map_err(|error| Finding::fail(chain(&error)))?;
    simulator.skip_time(IDLE_LIMIT + PASS + Duration::from_secs(1));
    announcement(&mut admin).await?;
    let reply = admin.command("list_sessions").await?;
    ensure!(reply.to_json().contains(&token.session_id), "the session was not made again: {}", reply.to_json());
    ensure!(is_live(&mut admin).await?, "the session was not made again");
    Ok(())
}
