//! `list_jobs` and `get_job_meta`.
//!
//! Source: `reference/server-behaviour.md` section 5.

use flare_wire::hci::{JsonObject, MetaStatus, Table, python_json_indented, python_repr};
use serde_json::{Value, json};

use super::arguments::LIST_JOBS;
use super::call::{Call, Step};
use crate::core::argparse::Arguments;
use crate::core::jobs::{set_live_duration, text, with_study};
use crate::core::studies::study_of;

/// Longest submit token.
const MAX_TOKEN: usize = 128;

const BAD_TOKEN: &str = "submit_token must be non-empty, at most 128 characters, and match ^[A-Za-z0-9._:-]{1,128}$";

/// Lists the jobs of the session's study.
pub(super) fn list_jobs(call: &mut Call<'_>) -> Step {
    let arguments = match LIST_JOBS.parse(call.arguments()) {
        Ok(arguments) => arguments,
        Err(error) => return call.refuse(&MetaStatus::SyntaxError, &error.to_string()),
    };
    let token = arguments.text("--submit-token");
    if token.is_some_and(|token| !is_submit_token(token)) {
        return call.refuse(&MetaStatus::SyntaxError, BAD_TOKEN);
    }
    // Nothing was submitted with a token here, so none leads to a job.
    if token.is_some() || call.sim.jobs().metas().is_empty() {
        no_jobs(call, "No jobs found.").push_success("");
        return Ok(());
    }
    let jobs = selected(call, &arguments);
    if jobs.is_empty() {
        // Without the success item that follows otherwise.
        no_jobs(call, "No jobs matching the specified criteria.");
        return Ok(());
    }
    if arguments.flag("-d") {
        details(call, jobs);
    } else {
        summary(call, &jobs);
    }
    call.reply.push_success("");
    Ok(())
}

fn is_submit_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-');
    (1..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(allowed)
}

fn no_jobs<'a>(call: &'a mut Call<'_>, text: &str) -> &'a mut flare_wire::hci::Reply {
    call.reply.push_string(text).set_status(&MetaStatus::Ok, "").set_meta("jobs", json!([]))
}

/// The metas that the options select, in order, with live durations.
fn selected(call: &Call<'_>, arguments: &Arguments) -> Vec<JsonObject> {
    let id_prefix = arguments.positional("job_id").first().map(|prefix| prefix.to_lowercase()).unwrap_or_default();
    let name_prefix = arguments.text("-n").unwrap_or_default().to_lowercase();
    let (user, ..) = call.user();
    let only_own = arguments.flag("-u") && !user.is_empty();
    let matches = |meta: &&JsonObject| {
        text(meta, "job_id").to_lowercase().starts_with(&id_prefix)
            && text(meta, "name").to_lowercase().starts_with(&name_prefix)
            && (!only_own || text(meta, "submitter_name") == user)
            && study_of(meta) == call.study()
    };
    let mut jobs: Vec<JsonObject> = call.sim.jobs().metas().iter().filter(matches).cloned().collect();
    let submitted = |meta: &JsonObject| meta.get("submit_time").and_then(Value::as_f64).unwrap_or_default();
    let reverse = arguments.flag("-r");
    jobs.sort_by(|left, right| {
        let order = submitted(left).total_cmp(&submitted(right));
        if reverse { order.reverse() } else { order }
    });
    limit(&mut jobs, arguments.integer("-m").unwrap_or_default(), reverse);
    for meta in &mut jobs {
        set_live_duration(meta, call.now, call.sim.clock());
    }
    jobs
}

/// Python's `jobs[:count]` for reverse order, `jobs[-count:]` for the other; zero is no limit.
fn limit<T>(jobs: &mut Vec<T>, count: i64, reverse: bool) {
    let len = jobs.len();
    let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX).min(len);
    match (count.signum(), reverse) {
        (1, true) => jobs.truncate(size),
        (-1, true) => jobs.truncate(len - size),
        (1, false) => drop(jobs.drain(..len - size)),
        (-1, false) => drop(jobs.drain(..size)),
        _ => {}
    }
}

fn summary(call: &mut Call<'_>, jobs: &[JsonObject]) {
    let mut table = Table::named("jobs", ["job id", "name", "status", "submit time", "run duration"]);
    for meta in jobs {
        let shown = |key: &str| meta.get(key).map_or_else(String::new, python_str);
        let duration = meta.get("duration").map_or_else(|| "N/A".to_owned(), python_str);
        let name = job_name(meta);
        let cells = [shown("job_id"), name, shown("status"), shown("submit_time_iso"), duration];
        let keys = ["job_id", "job_name", "status", "submit_time", "duration"];
        let mut row: JsonObject =
            keys.iter().zip(&cells).map(|(key, cell)| ((*key).to_owned(), cell.as_str().into())).collect();
        row.insert("study".to_owned(), study_of(meta).into());
        table.row_with_meta(cells, row);
    }
    call.reply.push_table(table);
}

/// The name of a job, or of the folder that it was submitted from.
fn job_name(meta: &JsonObject) -> String {
    match text(meta, "name") {
        "" => meta.get("job_folder_name").map_or_else(|| "No name".to_owned(), python_str),
        name => name.to_owned(),
    }
}

fn python_str(value: &Value) -> String {
    value.as_str().map_or_else(|| python_repr(value), str::to_owned)
}

fn details(call: &mut Call<'_>, jobs: Vec<JsonObject>) {
    let full: Vec<Value> = jobs.iter().map(|meta| Value::Object(with_study(meta))).collect();
    for meta in &full {
        call.reply.push_string(python_json_indented(meta, 4));
    }
    call.reply.push_string("").set_status(&MetaStatus::Ok, "").set_meta("jobs", Value::Array(full));
}

/// Shows the meta of a job as it is stored, without a live duration.
pub(super) fn get_job_meta(call: &mut Call<'_>) -> Step {
    let meta = call.job.as_ref().map(with_study).unwrap_or_default();
    call.reply.push_dict(meta.clone()).set_status(&MetaStatus::Ok, "").set_meta("job_meta", meta);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_python_slice() {
        let limited = |count, reverse| {
            let mut jobs = vec![1, 2, 3];
            limit(&mut jobs, count, reverse);
            jobs
        };
        assert_eq!(
            [limited(0, false), limited(9, false), limited(2, false)],
            [vec![1, 2, 3], vec![1, 2, 3], vec![2, 3]]
        );
        assert_eq!([limited(2, true), limited(-1, true), limited(-9, true)], [vec![1, 2], vec![1, 2], vec![]]);
        assert_eq!([limited(-1, false), limited(-9, false)], [vec![2, 3], vec![]]);
    }

    #[test]
    fn submit_tokens_follow_the_rule() {
        assert!(is_submit_token("a-B_9:.") && is_submit_token(&"x".repeat(128)));
        assert!(!is_submit_token("") && !is_submit_token("a/b") && !is_submit_token(&"x".repeat(129)));
    }
}
