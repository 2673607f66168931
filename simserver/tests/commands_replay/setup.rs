//! The state that a recording tells of.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use flare_fixtures::{RecordedReply, replies};
use flare_simserver::core::{HostMemory, SimConfig, SiteBehaviour, StudyRegistry};
use flare_wire::Moment;
use flare_wire::hci::JsonObject;
use serde_json::{Value, json};

use crate::federation::{Federation, ISSUED, config};
use crate::normal::{moment, time_of};
use crate::word;

/// The job that most recordings of a running job are about.
pub(crate) const RUNNING_JOB: &str = "10ecf777-d2eb-4685-bc68-d18e3c5a0d62";

/// A server in the state of the recording, at its time.
pub(crate) fn federation(recorded: &RecordedReply) -> Federation {
    let started = match recorded.reply["meta"]["server_start_time"].as_f64() {
        Some(seconds) => Moment::from_unix(Duration::from_secs_f64(seconds)),
        None => ISSUED + Duration::from_secs(1000),
    };
    let sites = sites(recorded);
    let names: Vec<&str> = sites.iter().map(String::as_str).collect();
    let mut config = config(&names, started);
    config.studies = studies(recorded);
    config.jobs = jobs(recorded);
    machines(&mut config, recorded);
    let mut federation = Federation::start(config, 7, started);
    federation.now = time_of(&recorded.reply).max(started);
    for site in names {
        if let Some(behaviour) = behaviour(recorded, site) {
            federation.sim.set_site_behaviour(federation.now, site, behaviour);
        }
    }
    federation
}

/// What changes between the login and the command.
pub(crate) fn after_login(federation: &mut Federation, recorded: &RecordedReply) {
    if recorded.name.starts_with("study_session.after_removed") {
        federation.sim.set_studies(Some(registry(&json!({"s1": studies_json()["s1"]}))));
    }
    if recorded.name.starts_with("study_session.after_unmapped") {
        let mut studies = studies_json();
        studies["s2"]["admins"] = json!([]);
        federation.sim.set_studies(Some(registry(&studies)));
    }
}

/// The registered sites in their order: as the reply shows them, the others behind.
fn sites(recorded: &RecordedReply) -> Vec<String> {
    if recorded.state == "no clients" {
        return Vec::new();
    }
    let tables = recorded.reply["data"].as_array().unwrap().iter().filter_map(|item| item["rows"].as_array());
    for rows in tables {
        // This table is complete.
        if rows[0][0] == "CLIENT" && rows[0][1] == "FQCN" {
            return rows.iter().skip(1).map(|row| row[0].as_str().unwrap().to_owned()).collect();
        }
    }
    if recorded.reply["data"].as_array().unwrap().iter().any(|item| item["data"] == "Registered clients: 0 ") {
        return Vec::new();
    }
    let shown = recorded.reply["data"].to_string();
    let mut sites: Vec<&str> = vec!["site-1", "site-2", "site-3"];
    sites.retain(|site| is_there(recorded, site));
    sites.sort_by_key(|site| {
        (shown.find(&format!("\"{site}\"")).or_else(|| shown.find(site)).unwrap_or(usize::MAX), *site)
    });
    sites.into_iter().map(str::to_owned).collect()
}

/// False for a site that the state says is not registered.
pub(crate) fn is_there(recorded: &RecordedReply, site: &str) -> bool {
    let disabled = recorded.state.contains("site-3 is disabled") || WITHOUT_SITE_3.contains(&recorded.name.as_str());
    recorded.state != "no clients" && !(disabled && site == "site-3")
}

/// Recorded after `study_session.s2.disable_client_site-3`, though their state does not tell.
const WITHOUT_SITE_3: [&str; 3] =
    ["study_session.after_removed.check_status", "study_session.s2.pwd_site3", "sys_info.client.member_default_again"];

fn behaviour(recorded: &RecordedReply, site: &str) -> Option<SiteBehaviour> {
    match recorded.name.as_str() {
        name if name.starts_with("dead_client.") => (site == "site-2").then_some(SiteBehaviour::Gone),
        // Too little time for any answer.
        "proto.cmd_timeout" => Some(SiteBehaviour::Slow(Duration::from_millis(2))),
        _ => None,
    }
}

/// Studies as they were most of the time.
pub(crate) fn studies_json() -> Value {
    json!({
        "s1": {
            "admins": ["admin@nvidia.com", "lead@nvidia.com", "lead@acme.org"],
            "site_orgs": {"acme": ["site-3"], "nvidia": ["site-1", "site-2"]},
        },
        "s2": {
            "admins": ["admin@nvidia.com", "lead@nvidia.com", "member@nvidia.com"],
            "site_orgs": {"nvidia": ["site-1"]},
        },
    })
}

pub(crate) fn registry(studies: &Value) -> StudyRegistry {
    StudyRegistry::from_json(&json!({"format_version": "1.0", "studies": studies}).to_string()).unwrap()
}

fn studies(recorded: &RecordedReply) -> Option<StudyRegistry> {
    let mut studies = studies_json();
    match recorded.name.as_str() {
        name if name.starts_with("list_studies.empty") => return None,
        "list_studies.extra_arg" | "_cert_login.study_not_configured" => return None,
        name if name.starts_with("list_studies.two") => {
            for study in ["s1", "s2"] {
                studies[study]["admins"] = json!(["admin@nvidia.com"]);
            }
            studies["s2"]["site_orgs"] = json!({"nvidia": ["site-1", "site-2"]});
        }
        "list_studies.orgadmin_acme.empty_org" => {
            studies["s2"]["site_orgs"] = json!({"acme": [], "nvidia": ["site-1", "site-2"]});
        }
        "restart_recovery.list_studies" => studies = json!({"keep": {"admins": ["admin@nvidia.com"]}}),
        "_cert_login.after_unmapped" => studies["s2"]["admins"] = json!([]),
        _ => {}
    }
    Some(registry(&studies))
}

/// Memory of the machines, as the reply shows it.
fn machines(config: &mut SimConfig, recorded: &RecordedReply) {
    if word(recorded) != "sys_info" {
        return;
    }
    let items = recorded.reply["data"].as_array().unwrap();
    let mut site = None;
    for item in items {
        if let Some(name) = item["data"].as_str().and_then(|text| text.strip_prefix("Client: ")) {
            site = Some(name.to_owned());
        }
        let Some(memory) = item["rows"].as_array().and_then(|rows| memory(rows)) else { continue };
        // All run on one machine here; its figures also make the last row.
        config.server.host = memory;
        if let Some(site) = config.sites.iter_mut().find(|candidate| Some(&candidate.name) == site.as_ref()) {
            site.host = Arc::new(memory);
        }
    }
}

fn memory(rows: &[Value]) -> Option<HostMemory> {
    let figure = |name: &str| rows.iter().find(|row| row[0] == name)?[1].as_str()?.parse::<f64>().ok();
    let bytes = |name: &str| figure(name).map(|figure| figure as u64);
    Some(HostMemory {
        total: bytes("total")?,
        available: bytes("available")?,
        percent: figure("percent")?,
        used: bytes("used")?,
        free: bytes("free")?,
        active: bytes("active")?,
        inactive: bytes("inactive")?,
        buffers: bytes("buffers")?,
        cached: bytes("cached")?,
        shared: bytes("shared")?,
        slab: bytes("slab")?,
    })
}

/// Every full meta that some reply shows.
static METAS: LazyLock<Vec<JsonObject>> = LazyLock::new(|| {
    let mut metas = Vec::new();
    for recorded in replies() {
        metas.extend(recorded.reply["meta"]["job_meta"].as_object().cloned());
        for job in recorded.reply["meta"]["jobs"].as_array().into_iter().flatten() {
            metas.extend(job.as_object().filter(|job| job.contains_key("submitter_name")).cloned());
        }
    }
    metas
});

pub(crate) fn full_meta(id: &str, status: Option<&str>) -> Option<JsonObject> {
    let matches = |meta: &&JsonObject| meta["job_id"] == id && status.is_none_or(|status| meta["status"] == status);
    METAS.iter().find(matches).cloned()
}

fn jobs(recorded: &RecordedReply) -> Vec<JsonObject> {
    match word(recorded) {
        "get_job_meta" => one_job(recorded),
        "list_jobs" => listed_jobs(recorded),
        _ => Vec::new(),
    }
}

/// The job that the command is about: as the reply shows it, or of another study.
fn one_job(recorded: &RecordedReply) -> Vec<JsonObject> {
    if let Some(meta) = recorded.reply["meta"]["job_meta"].as_object() {
        return vec![meta.clone()];
    }
    let id = recorded.command.as_deref().unwrap().split(' ').nth(1).unwrap_or_default();
    let refused = recorded.reply["data"][0]["data"].as_str().unwrap_or_default();
    if refused.starts_with("no such job") && !recorded.name.starts_with("study.") {
        return Vec::new();
    }
    full_meta(id, None).into_iter().collect()
}

fn listed_jobs(recorded: &RecordedReply) -> Vec<JsonObject> {
    let nothing_found = recorded.reply["data"][0]["data"] == "No jobs found.";
    if nothing_found || recorded.reply["data"][0]["type"] == "error" {
        return Vec::new();
    }
    let mut jobs = match recorded.state.as_str() {
        "19 jobs in all states" => all_jobs("list_jobs.max0"),
        _ => shown_jobs(&recorded.reply),
    };
    if recorded.reply["meta"]["jobs"] == json!([]) && jobs.is_empty() {
        // There are jobs, which the command does not select.
        let other_study = if recorded.study == "s2" { "list_jobs.max0" } else { "study.list_jobs.s2" };
        jobs = all_jobs(other_study);
    }
    jobs
}

fn all_jobs(name: &str) -> Vec<JsonObject> {
    shown_jobs(&flare_fixtures::reply(name).reply)
}

fn shown_jobs(reply: &Value) -> Vec<JsonObject> {
    let jobs = reply["meta"]["jobs"].as_array().unwrap();
    jobs.iter().map(|job| job.as_object().unwrap()).map(stored).collect()
}

/// The stored meta behind a row of a list.
fn stored(row: &JsonObject) -> JsonObject {
    if row.contains_key("submitter_name") {
        return row.clone();
    }
    let (id, status) = (row["job_id"].as_str().unwrap(), row["status"].as_str().unwrap());
    if let Some(meta) = full_meta(id, Some(status)) {
        return meta;
    }
    let submitted = row["submit_time"].as_str().unwrap();
    let seconds = submitted.parse::<jiff::Timestamp>().unwrap().as_microsecond() as f64 / 1e6;
    let mut meta = json!({
        "name": row["job_name"], "study": row["study"], "job_id": id, "status": status,
        "submit_time": seconds, "submit_time_iso": submitted, "duration": row["duration"],
        "submitter_name": submitter(id),
    });
    if status == "RUNNING" {
        meta["start_time"] = json!(start_of(id));
    }
    meta.as_object().unwrap().clone()
}

/// Who submitted a job whose meta no reply shows: the lead's jobs are listed, the others are the admin's.
fn submitter(id: &str) -> &'static str {
    let leads = &flare_fixtures::reply("list_jobs.mine_lead").reply["meta"]["jobs"];
    let is_leads = leads.as_array().unwrap().iter().any(|job| job["job_id"] == id);
    if is_leads { "lead@nvidia.com" } else { "admin@nvidia.com" }
}

/// When a job started whose meta no reply shows while it ran.
fn start_of(id: &str) -> String {
    if let Some(meta) = METAS.iter().find(|meta| meta["job_id"] == id && meta["start_time"] != "") {
        return meta["start_time"].as_str().unwrap().to_owned();
    }
    // From the only list that shows it running.
    let shows = |recorded: &&RecordedReply| {
        let jobs = recorded.reply["meta"]["jobs"].as_array();
        jobs.is_some_and(|jobs| jobs.iter().any(|job| job["job_id"] == id && job["status"] == "RUNNING"))
    };
    let recorded = replies().iter().find(shows).unwrap();
    let jobs = recorded.reply["meta"]["jobs"].as_array().unwrap();
    let duration = jobs.iter().find(|job| job["job_id"] == id).unwrap()["duration"].as_str().unwrap();
    let seconds = duration.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap());
    let started = moment(recorded.reply["time"].as_str().unwrap()) - Duration::from_secs_f64(seconds);
    flare_simserver::core::LocalTime::UTC.stamp(started)
}
