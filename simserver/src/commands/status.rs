//! `check_status`, `admin_check_status`, `show_scopes`.
//!
//! Source: `reference/server-behaviour.md` section 6.

use flare_wire::hci::{JsonObject, MetaStatus, Table};
use serde_json::Value;

use super::call::{Call, Step};
use super::targets::TargetKind;
use crate::core::{SiteAnswer, SiteReply, SiteRequest};
use crate::mutants::Mutant;

/// Shows the server, its clients, and what the clients do.
pub(super) fn check_status(call: &mut Call<'_>) -> Step {
    let target = call.first_argument()?;
    let Some(kind) = TargetKind::read(&target) else {
        let text = format!("invalid target type {target}. Usage: check_status server|client ...");
        return call.refuse_with(&text, &MetaStatus::SyntaxError, &format!("invalid target type {target}"));
    };
    if kind.has_server() {
        server_status(call);
    }
    if kind.has_sites() {
        let answers = call.ask_targets(SiteRequest::CheckStatus)?;
        site_statuses(call, &answers);
    }
    Ok(())
}

fn server_status(call: &mut Call<'_>) {
    let started = call.sim.started().as_secs_f64();
    let running: Vec<(String, String)> =
        call.sim.jobs().running().map(|(job_id, app)| (job_id.to_owned(), app.to_owned())).collect();
    // The server's engine runs while a job does.
    let engine = if running.is_empty() { "stopped" } else { "started" };
    call.reply.push_string(format!("Engine status: {engine}"));
    call.reply.set_status(&MetaStatus::Ok, "");
    call.reply.set_meta("server_status", engine).set_meta("server_start_time", started);
    let mut jobs = Table::named("jobs", ["job_id", "app name"]);
    for (job_id, app) in &running {
        let meta = object([("app_name", app.as_str().into()), ("job_id", job_id.as_str().into())]);
        jobs.row_with_meta([job_id, app], meta);
    }
    call.reply.push_table(jobs);
    let count = call.sim.sites().iter().len() + usize::from(call.sim.mutant(Mutant::ClientCountWrong));
    call.reply.push_string(format!("Registered clients: {count} "));
    if count == 0 {
        return;
    }
    let mut table = Table::named("clients", ["client", "fqcn", "fqsn", "leaf", "token", "last connect time"]);
    for site in call.sim.sites().iter() {
        let seen = site.last_heartbeat(call.now);
        let name = site.name().as_ref();
        let cells = [name, name, name, "True", site.token(), &call.sim.clock().asctime(seen)];
        table.row_with_meta(
            cells,
            object([
                ("client_name", name.into()),
                ("client_last_conn_time", seen.as_secs_f64().into()),
                ("fqcn", name.into()),
            ]),
        );
    }
    call.reply.push_table(table);
}

fn site_statuses(call: &mut Call<'_>, answers: &[SiteAnswer]) {
    if answers.is_empty() {
        call.reply.push_error("no responses from clients");
        return;
    }
    let mut table = Table::named("client_status", ["client", "app_name", "job_id", "status"]);
    for answer in answers {
        let site = answer.site.as_ref();
        let (shown, status) = match &answer.reply {
            None => ("No Reply", "no_reply"),
            Some(SiteReply::Refused(text)) => (text.as_str(), "error"),
            Some(SiteReply::Body(body)) => {
                if running_jobs(&mut table, site, body) {
                    continue;
                }
                ("No Jobs", "no_jobs")
            }
        };
        table.row_with_meta([site, "?", "?", shown], object([("client_name", site.into()), ("status", status.into())]));
    }
    call.reply.push_table(table);
}

/// Adds a row for every job that runs on a site; false when none does.
fn running_jobs(table: &mut Table, site: &str, body: &Value) -> bool {
    let jobs = body.get("running_jobs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for job in jobs {
        let text = |key: &str| job.get(key).and_then(Value::as_str).unwrap_or_default();
        let (app, job_id, status) = (text("app_name"), text("job_id"), text("status"));
        let meta = [("client_name", site), ("app_name", app), ("job_id", job_id), ("status", status)];
        table.row_with_meta([site, app, job_id, status], object(meta.map(|(key, text)| (key, text.into()))));
    }
    !jobs.is_empty()
}

/// Shows the privacy scopes.
pub(super) fn show_scopes(call: &mut Call<'_>) -> Step {
    let target = call.first_argument()?;
    let kind = TargetKind::read(&target).unwrap_or(TargetKind::Server);
    let mut table = Table::new(["site", "scopes", "default"]);
    if kind.has_server() {
        table.row(["server", "", ""]);
    }
    let answers = match kind.has_sites() {
        true => call.ask_targets(SiteRequest::Scopes),
        false => Ok(Vec::new()),
    };
    let answers = match answers {
        Ok(answers) => answers,
        Err(stop) => {
            // What was to be said before stays in the reply.
            call.reply.push_table(table);
            return Err(stop);
        }
    };
    for answer in &answers {
        let (scopes, default) = match &answer.reply {
            None => (String::new(), "no reply".to_owned()),
            // The real server joins a list of names here, and gets the characters of the text.
            Some(SiteReply::Refused(text)) => (spread(text), String::new()),
            Some(SiteReply::Body(body)) => {
                let names = body["scope_names"].as_array().into_iter().flatten().filter_map(Value::as_str);
                (names.collect::<Vec<_>>().join(", "), body["default_scope"].as_str().unwrap_or_default().to_owned())
            }
        };
        table.row([answer.site.to_string(), scopes, default]);
    }
    call.reply.push_table(table);
    if kind.has_sites() && answers.is_empty() {
        call.reply.push_error("no responses from clients");
    }
    Ok(())
}

fn spread(text: &str) -> String {
    text.chars().map(String::from).collect::<Vec<_>>().join(", ")
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> JsonObject {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_place_of_names_is_spread() {
        assert_eq!(spread("not ok"), "n, o, t,  , o, k");
    }
}
