//! `remove_client`, `disable_client`, `enable_client`, `restart`, `shutdown`, `configure_site_log`, `dead`.
//!
//! Source: `reference/server-behaviour.md` sections 6 and 13.

use std::sync::Arc;

use flare_wire::hci::{JsonObject, MetaStatus, Table, python_repr};
use serde_json::{Value, json};

use super::call::{Call, Step, Stop};
use super::log_config;
use super::targets::TargetKind;
use crate::core::{SiteAnswer, SiteReply, SiteRequest};

/// Drops the entries of sites.
pub(super) fn remove_client(call: &mut Call<'_>) -> Step {
    let sites = call.targets.sites.clone();
    call.sim.remove_sites(call.now, sites);
    call.reply.push_success("");
    Ok(())
}

/// Keeps clients out.
pub(super) fn disable_client(call: &mut Call<'_>) -> Step {
    each_client(call, |call, name| {
        let (was_disabled, was_registered) = call.sim.disable_site(call.now, name);
        json!({
            "client_name": name,
            "state": "disabled",
            "already_disabled": was_disabled,
            "active_session_removed": was_registered,
            "credential_revoked": false,
            "rejoin_allowed": false,
        })
    })
}

/// Lets clients in again.
pub(super) fn enable_client(call: &mut Call<'_>) -> Step {
    each_client(call, |call, name| {
        let was_disabled = call.sim.enable_site(call.now, name);
        json!({
            "client_name": name,
            "state": "enabled",
            "was_disabled": was_disabled,
            "credential_revoked": false,
            "rejoin_allowed": true,
        })
    })
}

/// The names are not checked: a client may be disabled before it was ever seen.
fn each_client(call: &mut Call<'_>, change: impl Fn(&mut Call<'_>, &str) -> Value) -> Step {
    let names = call.arguments().to_vec();
    if names.is_empty() {
        return call.refuse_with("missing client name", &MetaStatus::SyntaxError, "");
    }
    let clients: Vec<Value> = names.iter().map(|name| change(call, name)).collect();
    let clients = JsonObject::from_iter([("clients".to_owned(), clients.into())]);
    call.reply.push_dict(clients).set_status(&MetaStatus::Ok, "");
    Ok(())
}

/// Restarts sites, or the server with all of them.
pub(super) fn restart(call: &mut Call<'_>) -> Step {
    if call.sim.jobs().tracked().next().is_some() {
        let text = "There are still jobs running. Please let them finish or abort_job before restart.";
        return call.refuse(&MetaStatus::JobRunning, text);
    }
    if !target(call)?.has_server() {
        let shown = restart_sites(call)?;
        call.reply.push_string(shown).push_success("");
        return Ok(());
    }
    // Whatever the target and the study: every site there is.
    call.targets.sites = call.sim.sites().indexes().collect();
    if !call.targets.sites.is_empty() {
        call.reply.push_string("Trying to restart all clients before restarting server...");
        let shown = restart_sites(call)?;
        call.reply.push_string(shown);
    }
    end_process(call, true)?;
    call.reply.push_string("Server scheduled for restart").set_meta("server_status", "ok");
    call.reply.push_success("");
    Ok(())
}

/// The process of the server ends, counted from when the reply is sent.
fn end_process(call: &mut Call<'_>, starts_again: bool) -> Step {
    // What the real server says whose process is about to end already.
    let too_late = "RuntimeError: cannot schedule new futures after shutdown";
    let at = call.now + call.wait;
    call.sim.end_process(at, starts_again).map_err(|_| Stop::Exception(too_late.to_owned()))
}

/// Tells the targets to restart; returns their answers as the reply shows them.
fn restart_sites(call: &mut Call<'_>) -> Step<String> {
    let answers = call.ask_targets(SiteRequest::Restart)?;
    let mut statuses = JsonObject::new();
    let mut shown = if answers.is_empty() { "no responses from clients".to_owned() } else { String::new() };
    for answer in &answers {
        let (text, status) = match said(answer) {
            Some(text) => (text, text),
            None => ("No replies", "no_reply"),
        };
        shown.push_str(&format!("client:{} : {text}\n", answer.site));
        statuses.insert(answer.site.to_string(), status.into());
    }
    let obeyed = obedient(&answers);
    call.sim.restart_sites(call.now, &obeyed);
    call.reply.set_meta("client_status", statuses);
    Ok(shown)
}

/// Ends sites, or the server.
pub(super) fn shutdown(call: &mut Call<'_>) -> Step {
    let running = call.sim.jobs().tracked().find(|(_, is_aborted)| !is_aborted).map(|(job_id, _)| job_id.to_owned());
    if let Some(job_id) = running {
        let text = "There are still jobs running. Please let them finish or abort_job before shutdown.";
        return call.refuse_with(text, &MetaStatus::JobRunning, &job_id);
    }
    let kind = target(call)?;
    if kind == TargetKind::Server && call.sim.sites().iter().len() > 0 {
        let text = "There are still active clients. Shutdown all clients first.";
        return call.refuse_with(text, &MetaStatus::ClientsRunning, "");
    }
    if !call.targets.sites.is_empty() {
        let answers = call.ask_targets(SiteRequest::ShutDown)?;
        push_responses(call, &answers);
        let obeyed = obedient(&answers);
        call.sim.shut_down_sites(call.now, &obeyed);
        if answers.iter().any(|answer| matches!(answer.reply, Some(SiteReply::Refused(_)))) {
            call.reply.set_status(&MetaStatus::Error, "failed to shut down all clients");
            return Ok(());
        }
    }
    if kind.has_server() {
        end_process(call, false)?;
        call.reply.push_string("Flare Server has been shutdown.").push_shutdown("Goodbye!");
    }
    call.reply.push_success("");
    Ok(())
}

/// Configures what the server or sites log, which does not show.
pub(super) fn configure_site_log(call: &mut Call<'_>) -> Step {
    let is_known = call.arguments().last().is_some_and(|config| log_config::is_log_config(config));
    if !is_known {
        return call.refuse(&MetaStatus::SyntaxError, log_config::REFUSAL);
    }
    let kind = target(call)?;
    if kind.has_server() {
        call.reply.push_string("successfully configured server site log");
    }
    if kind.has_sites() {
        if call.targets.sites.is_empty() {
            // The real server has no list of answers at all when it asks nobody.
            call.reply.push_string("no responses from clients").push_table(Table::new(["CLIENT", "RESPONSE"]));
            return Err(Stop::Exception("TypeError: 'NoneType' object is not iterable".to_owned()));
        }
        let answers = call.ask_targets(SiteRequest::ConfigureLog)?;
        push_responses(call, &answers);
    }
    Ok(())
}

/// A hint to the process of a job that a site is gone, which does nothing while the site is there.
pub(super) fn dead(call: &mut Call<'_>) -> Step {
    let [client_name, job_id] = call.arguments() else {
        return call.refuse(&MetaStatus::Error, "Usage: dead client_name job_id");
    };
    let quoted = |text: &str| python_repr(&text.into());
    let text =
        format!("called notify_dead_job for client client_name={} job_id={}", quoted(client_name), quoted(job_id));
    call.reply.push_string(text);
    Ok(())
}

fn target(call: &Call<'_>) -> Step<TargetKind> {
    // The checks let no other word pass.
    Ok(TargetKind::read(&call.first_argument()?).unwrap_or(TargetKind::Server))
}

/// What a site answered, its refusal included.
fn said(answer: &SiteAnswer) -> Option<&str> {
    match answer.reply.as_ref()? {
        SiteReply::Body(body) => body.as_str(),
        SiteReply::Refused(text) => Some(text),
    }
}

/// The sites that do what they were told.
fn obedient(answers: &[SiteAnswer]) -> Vec<Arc<str>> {
    let obeys = |answer: &&SiteAnswer| matches!(answer.reply, Some(SiteReply::Body(_)));
    answers.iter().filter(obeys).map(|answer| answer.site.clone()).collect()
}

fn push_responses(call: &mut Call<'_>, answers: &[SiteAnswer]) {
    if answers.is_empty() {
        call.reply.push_string("no responses from clients");
    }
    let mut table = Table::new(["CLIENT", "RESPONSE"]);
    for answer in answers {
        table.row([answer.site.to_string(), said(answer).unwrap_or_default().to_owned()]);
    }
    call.reply.push_table(table);
}
