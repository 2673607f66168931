//! `sys_info`, `report_resources`, `report_env`, `report_version`.
//!
//! Source: `reference/server-behaviour.md` section 6.

use flare_wire::hci::{JsonObject, MetaStatus, Table, python_repr};
use serde_json::{Value, json};

use super::call::{Call, Step};
use super::targets::TargetKind;
use crate::core::{Release, SiteAnswer, SiteReply, SiteRequest};

/// Memory of the server's machine, or of each site's.
pub(super) fn sys_info(call: &mut Call<'_>) -> Step {
    let target = call.first_argument()?;
    match TargetKind::read(&target) {
        Some(TargetKind::Server) => {
            let figures = call.sim.host().to_json();
            let table = figures_table(call, &figures);
            call.reply.push_table(table);
        }
        Some(TargetKind::Client) => {
            let answers = call.ask_targets(SiteRequest::SystemInfo)?;
            if answers.is_empty() {
                call.reply.push_error("no responses from clients");
            }
            for answer in &answers {
                site_info(call, answer);
            }
        }
        _ => {
            call.reply
                .push_string(format!("invalid target type {target}. Usage: sys_info server|client <client-name>"));
        }
    }
    Ok(())
}

fn site_info(call: &mut Call<'_>, answer: &SiteAnswer) {
    call.reply.push_string(format!("Client: {}", answer.site));
    let table = match &answer.reply {
        Some(SiteReply::Body(Value::Object(figures))) => figures_table(call, figures),
        Some(SiteReply::Refused(text)) => {
            let mut table = Table::new(["metrics", "value"]);
            table.row([text.as_str(), ""]);
            table
        }
        _ => Table::new(["metrics", "value"]),
    };
    call.reply.push_table(table);
    if answer.reply.is_none() {
        call.reply.push_string(": No replies");
    }
}

/// The last row is about the server's machine, also when the others are about a site's: so the real server has it.
fn figures_table(call: &Call<'_>, figures: &JsonObject) -> Table {
    let mut table = Table::new(["metrics", "value"]);
    for (name, value) in figures {
        table.row([name.clone(), python_str(value)]);
    }
    table.row(["available_percent".to_owned(), call.sim.host().available_percent()]);
    table
}

/// Resources of the server and of each site.
pub(super) fn report_resources(call: &mut Call<'_>) -> Step {
    let target = call.first_argument()?;
    let kind = TargetKind::read(&target).unwrap_or(TargetKind::Server);
    if kind == TargetKind::All && call.sim.release() < Release::V2_8 {
        let text = format!("invalid target type {target}. Usage: sys_info server|client <client-name>");
        call.reply.push_string(text);
        return Ok(());
    }
    let answers = if kind.has_sites() { call.ask_targets(SiteRequest::Resources)? } else { Vec::new() };
    if kind == TargetKind::Client && answers.is_empty() {
        call.reply.push_error("no responses from clients");
        return Ok(());
    }
    let mut table = Table::new(["sites", "resources"]);
    if kind.has_server() {
        table.row(["server", "unlimited"]);
    }
    for answer in &answers {
        table.row([answer.site.to_string(), python_str(&reported(answer))]);
    }
    call.reply.push_table(table);
    Ok(())
}

/// Where and how each site runs.
pub(super) fn report_env(call: &mut Call<'_>) -> Step {
    let answers = call.ask_targets(SiteRequest::Environment)?;
    if answers.is_empty() {
        call.reply.push_error("no responses from clients");
        return Ok(());
    }
    let mut table = Table::new(["sites", "env"]);
    let mut rows = Vec::new();
    for answer in &answers {
        let env = reported(answer);
        table.row([answer.site.to_string(), python_str(&env)]);
        // An object, or the text of a refusal.
        rows.push(env);
    }
    call.reply.set_meta("clients", Value::Array(rows)).push_table(table);
    Ok(())
}

/// Versions of the server and of each site.
pub(super) fn report_version(call: &mut Call<'_>) -> Step {
    let target = call.first_argument()?;
    let kind = TargetKind::read(&target).unwrap_or(TargetKind::Server);
    let mut versions = JsonObject::new();
    if kind.has_server() {
        versions.insert("server".to_owned(), json!({"version": call.sim.release().version()}));
    }
    if kind.has_sites() {
        let answers = call.ask_targets(SiteRequest::Version)?;
        if kind == TargetKind::Client && answers.is_empty() {
            call.reply.push_error("no responses from clients");
            return Ok(());
        }
        for answer in answers {
            let version = match answer.reply {
                Some(SiteReply::Body(version)) => version,
                Some(SiteReply::Refused(text)) => json!({"error": text}),
                None => json!({"error": "No replies"}),
            };
            versions.insert(answer.site.to_string(), version);
        }
    }
    call.reply.push_dict(versions).set_status(&MetaStatus::Ok, "");
    Ok(())
}

/// What a site reports, or the text that stands for it.
fn reported(answer: &SiteAnswer) -> Value {
    match &answer.reply {
        Some(SiteReply::Body(body)) => body.clone(),
        Some(SiteReply::Refused(text)) => text.as_str().into(),
        None => "No replies".into(),
    }
}

/// Python's `str`: a text as it is, anything else by its repr.
fn python_str(value: &Value) -> String {
    value.as_str().map_or_else(|| python_repr(value), str::to_owned)
}
