//! Recordings about a job in a certain state: waiting, running, finished, with components.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use flare_fixtures::{RecordedReply, reply as recorded};
use flare_simserver::blob::Blob;
use flare_simserver::core::SimConfig;
use flare_simserver::jobs::behaviour::Rule;
use flare_simserver::jobs::content::{AppContent, JobContent};
use flare_simserver::jobs::lifecycle::Timings;
use flare_simserver::jobs::meta::JobMeta;
use flare_simserver::jobs::signature::Trust;
use flare_simserver::jobs::store::StoredJob;
use flare_wire::is_uuid4;
use serde_json::{Value, json};

use crate::federation::{Federation, SITES, config};
use crate::{normal, setup};

/// What a job is doing when the command comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has this status, and no process.
    Stored(&'static str),
    /// Its processes run.
    Running,
    /// They run and were told to stop.
    Aborting,
    /// It was aborted before its processes ran, and they run all the same: a race of the real server.
    RunsOn,
    /// The server was killed while they ran, and started again.
    Killed,
    /// It ran to its end.
    Finished,
}

const RECORDINGS: &[(&str, State)] = &[
    ("abort_job.dispatched", State::Stored("DISPATCHED")),
    ("abort_job.running.org_admin", State::Running),
    ("abort_job.running.owner", State::Running),
    ("abort_job.running.second", State::Aborting),
    ("abort_job.submitted", State::Stored("SUBMITTED")),
    ("aborted_dispatched.abort_job", State::RunsOn),
    ("aborted_dispatched.download", State::RunsOn),
    ("aborted_dispatched.show_stats", State::RunsOn),
    ("aborted_dispatched.shutdown", State::RunsOn),
    ("app_command.running.too_many", State::Running),
    ("app_command.running.unknown_topic", State::Running),
    ("check_status.all.running", State::Running),
    ("check_status.client.running", State::Running),
    ("clone_job.finished_pa", State::Finished),
    ("clone_job.of_clone", State::Finished),
    ("clone_job.running", State::Running),
    ("clone_job.with_token", State::Stored("FINISHED:COMPLETED")),
    ("configure_job_log.not_running", State::Stored("SUBMITTED")),
    ("configure_job_log.running.all_INFO", State::Running),
    ("configure_job_log.running.as_lead_owner", State::Running),
    ("configure_job_log.running.as_org_admin", State::Running),
    ("configure_job_log.running.client_DEBUG", State::Running),
    ("configure_job_log.running.client_site-1_INFO", State::Running),
    ("configure_job_log.running.client_site-3_INFO", State::Running),
    ("configure_job_log.running.server_10", State::Running),
    ("configure_job_log.running.server_DEBUG", State::Running),
    ("configure_job_log.running.server_INFO", State::Running),
    ("configure_job_log.running.server_bogus", State::Running),
    ("configure_job_log.running.server_concise", State::Running),
    ("configure_job_log.running.server_full", State::Running),
    ("configure_job_log.running.server_msg_only", State::Running),
    ("configure_job_log.running.server_reload", State::Running),
    ("configure_job_log.running.server_site-1_INFO", State::Running),
    ("configure_job_log.running.server_verbose", State::Running),
    ("configure_job_log.running.server_version_1", State::Running),
    ("delete_job.aborting", State::Aborting),
    ("delete_job.running", State::Running),
    ("download_job.completed", State::Finished),
    ("download_job.dest_server", State::Finished),
    ("download_job.lead_owner", State::Finished),
    ("download_job.nores", State::Stored("FINISHED:CAN_NOT_SCHEDULE")),
    ("download_job.not_done", State::Stored("SUBMITTED")),
    ("download_job.org_admin", State::Finished),
    ("download_job.running", State::Running),
    ("download_job_components.errorlog", State::Finished),
    ("get_job_log.finished.ALL", State::Finished),
    ("get_job_log.finished.SERVER", State::Finished),
    ("get_job_log.finished.all", State::Finished),
    ("get_job_log.finished.default", State::Finished),
    ("get_job_log.finished.server_log.json", State::Finished),
    ("get_job_log.running._ALL", State::Running),
    ("get_job_log.running.all", State::Running),
    ("get_job_log.running.server", State::Running),
    ("get_job_log.running.server_error_log.txt", State::Running),
    ("get_job_log.running.server_log.json", State::Running),
    ("list_job.done.badclient", State::Finished),
    ("list_job.done.bombclient", State::Finished),
    ("reset_errors.running.all", State::Running),
    ("reset_errors.running.client", State::Running),
    ("reset_errors.running.client_nope", State::Running),
    ("reset_errors.running.client_site-1", State::Running),
    ("reset_errors.running.client_site-3", State::Running),
    ("reset_errors.running.foo", State::Running),
    ("reset_errors.running.lead_acme", State::Running),
    ("reset_errors.running.member", State::Running),
    ("reset_errors.running.server", State::Running),
    ("restart_recovery.download_job", State::Killed),
    ("restart_recovery.get_job_log", State::Killed),
    ("restart_recovery.list_job", State::Finished),
    ("show_errors.running.all", State::Running),
    ("show_errors.running.client", State::Running),
    ("show_errors.running.client_nope", State::Running),
    ("show_errors.running.client_site-1", State::Running),
    ("show_errors.running.client_site-3", State::Running),
    ("show_errors.running.foo", State::Running),
    ("show_errors.running.lead_acme", State::Running),
    ("show_errors.running.member", State::Running),
    ("show_errors.running.server", State::Running),
    ("show_stats.client_disabled_job", State::Running),
    ("show_stats.running.all", State::Running),
    ("show_stats.running.client", State::Running),
    ("show_stats.running.client_nope", State::Running),
    ("show_stats.running.client_site-1", State::Running),
    ("show_stats.running.client_site-3", State::Running),
    ("show_stats.running.foo", State::Running),
    ("show_stats.running.lead_acme", State::Running),
    ("show_stats.running.member", State::Running),
    ("show_stats.running.server", State::Running),
    ("study.clone_job", State::Stored("FINISHED:CAN_NOT_SCHEDULE")),
    ("zombie.clone_job", State::Stored("RUNNING")),
];

/// True for a recording that is replayed here.
pub(crate) fn is_replayed(name: &str) -> bool {
    RECORDINGS.iter().any(|(replayed, _)| *replayed == name)
}

#[test]
fn a_job_in_each_state_is_answered_for_as_recorded() {
    let failed =
        |(name, state): &&(&str, State)| catch_unwind(AssertUnwindSafe(|| replay(recorded(name), *state))).is_err();
    let failures: Vec<&str> = RECORDINGS.iter().filter(failed).map(|(name, _)| *name).collect();
    assert_eq!(failures, Vec::<&str>::new());
}

fn replay(recorded: &RecordedReply, state: State) {
    let (mut federation, job_id) = federation(recorded, state);
    if recorded.name == "show_stats.client_disabled_job" {
        let admin = federation.login("admin@nvidia.com", "default");
        federation.send("disable_client site-2", &admin);
    }
    let token = federation.login(&recorded.user, &recorded.study);
    let line = recorded.command.clone().unwrap();
    let meta = recorded.request_meta.clone().unwrap_or_else(|| json!({}));
    let reply = federation.send_with(&line, Some(&token), &meta);
    let shown = |text: &str, federation: Option<&Federation>| {
        let mut reply: Value = serde_json::from_str(text).unwrap();
        normal::normalize(&mut reply, federation);
        comparable(&mut reply, &job_id, &mut BTreeSet::new());
        serde_json::to_string_pretty(&reply).unwrap()
    };
    let actual = shown(&reply.to_json(), Some(&federation));
    assert_eq!(actual, shown(&recorded.reply.to_string(), None), "{}: {line}", recorded.name);
}

/// Ids but for the job's become their kind, and a log that is not empty becomes a mark: both are each run's own.
fn comparable(value: &mut Value, job_id: &str, seen: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            for word in text.clone().split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
                let id = word.strip_prefix('R').unwrap_or(word);
                if is_uuid4(id) && id != job_id {
                    assert!(word.len() == id.len() || seen.insert(word.to_owned()), "{word} stands for one file");
                    *text = text.replace(id, "<id>");
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| comparable(item, job_id, seen)),
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match member {
                    // How far a run is at a moment is its own.
                    Value::Number(_) if name == "current_round" => *member = json!("<round>"),
                    Value::Array(_) if name == "current_tasks" => *member = json!("<tasks>"),
                    Value::Object(tasks) if name == "tasks" => {
                        tasks.values_mut().for_each(|sites| *sites = json!("<sites>"));
                    }
                    Value::Object(logs) if name == "logs" => {
                        for log in logs.values_mut() {
                            assert!(log.as_str().unwrap().contains("Runner_process started."));
                            *log = json!("<log>");
                        }
                    }
                    // Which component stands first is not defined.
                    Value::Array(names) if name == "job_components" || name == "files" => {
                        names.sort_by_key(Value::to_string);
                        names.iter_mut().for_each(|item| comparable(item, job_id, seen));
                        names.sort_by_key(Value::to_string);
                    }
                    Value::String(text) if name == "data" && text.starts_with("ERRORLOG_") => {
                        let mut names: Vec<&str> = text.split(", ").collect();
                        names.sort_unstable();
                        *text = names.join(", ");
                    }
                    other => comparable(other, job_id, seen),
                }
            }
        }
        _ => {}
    }
}

/// A server with the job of a recording in this state.
fn federation(recorded: &RecordedReply, state: State) -> (Federation, String) {
    let now = normal::time_of(&recorded.reply);
    let shown = recorded.reply.to_string();
    let mut names: Vec<&str> =
        SITES.iter().map(|(name, _)| *name).filter(|site| setup::is_there(recorded, site)).collect();
    // The sites are shown in the order in which they registered.
    let place = |name: &str| shown.find(&format!("\"{name}\":")).or_else(|| shown.find(&format!("\"{name}\"")));
    names.sort_by_key(|name| place(name).unwrap_or(usize::MAX));
    let created = match recorded.reply["meta"]["server_start_time"].as_f64() {
        Some(seconds) => flare_wire::Moment::from_unix(Duration::from_secs_f64(seconds)),
        None => now,
    };
    let mut config = config(&names, created);
    config.studies = Some(setup::registry(&setup::studies_json()));
    let_jobs_run(
        &mut config,
        match state {
            State::Finished => Rule::named("*").running_for(Duration::from_secs(1)),
            _ => Rule::named("*").until_aborted(),
        },
    );
    config.job_settings.policy.max_jobs = usize::from(!matches!(state, State::Stored(_)));
    config.job_settings.quirks.aborted_while_dispatched_runs_on = state == State::RunsOn;
    let mut federation = Federation::start(config, 5, created);
    federation.now = now;

    let job_id = job_id(recorded);
    let mut job = job(recorded, &job_id, state);
    if let Some(components) = recorded.reply["meta"]["job_components"].as_array() {
        let names = components.iter().map(|name| name.as_str().unwrap().to_owned());
        job.details_mut().components = names.map(|name| (name, Vec::new())).collect();
    }
    if recorded.name == "download_job_components.errorlog" {
        job.details_mut().components =
            ["ERRORLOG_site-1", "ERRORLOG_site-2"].map(|name| (name.to_owned(), Vec::new())).into();
    }
    federation.sim.jobs_mut().restore_job(job);
    run(&mut federation, &job_id, state);
    (federation, job_id)
}

/// Lets one job run at a time, by this rule.
pub(crate) fn let_jobs_run(config: &mut SimConfig, rule: Rule) {
    config.job_settings.policy.max_jobs = 1;
    config.rules = vec![rule];
    config.server.requires_signed_jobs = false;
    config.sites.iter_mut().for_each(|site| site.requires_signed_jobs = false);
}

/// Submits a job and lets time pass until it runs; the time stays where that is.
pub(crate) fn run_a_job(federation: &mut Federation, job_id: &str) {
    let recorded = recorded("restart.all.job_running");
    federation.sim.jobs_mut().restore_job(job(recorded, job_id, State::Running));
    run(federation, job_id, State::Running);
}

/// Lets time pass until the job is where it should be; the time of the recording comes back afterwards.
fn run(federation: &mut Federation, job_id: &str, state: State) {
    let wanted = match state {
        State::Stored(_) => return,
        State::Running | State::Aborting | State::Killed => "RUNNING",
        State::RunsOn => "DISPATCHED",
        State::Finished => "FINISHED:COMPLETED",
    };
    let status = |federation: &Federation| federation.sim.jobs().meta(job_id).unwrap().status().as_str().to_owned();
    while status(federation) != wanted {
        federation.now = federation.now.max(federation.sim.next_deadline().unwrap());
        federation.sim.advance(federation.now);
    }
    if matches!(state, State::Aborting | State::RunsOn) {
        let now = federation.now;
        federation.sim.jobs_mut().abort(job_id, now);
    }
    match state {
        State::RunsOn => {
            while federation.sim.jobs().running().count() == 0 {
                federation.now = federation.now.max(federation.sim.next_deadline().unwrap());
                federation.sim.advance(federation.now);
            }
        }
        State::Killed => {
            let now = federation.now;
            federation.sim.restart(now);
        }
        _ => {}
    }
}

/// The job that the command names, or the one that runs.
fn job_id(recorded: &RecordedReply) -> String {
    if recorded.name == "aborted_dispatched.shutdown" {
        return recorded.reply["meta"]["info"].as_str().unwrap().to_owned();
    }
    let word = recorded.command.as_deref().unwrap().split(' ').nth(1).unwrap();
    if is_uuid4(word) { word.to_owned() } else { setup::RUNNING_JOB.to_owned() }
}

fn job(recorded: &RecordedReply, job_id: &str, state: State) -> StoredJob<Blob> {
    let mut meta = setup::full_meta(job_id, None).unwrap_or_default();
    meta.insert("job_id".to_owned(), job_id.into());
    meta.insert("study".to_owned(), recorded.study.as_str().into());
    for (key, value) in [
        ("submitter_name", json!("lead@nvidia.com")),
        ("submitter_org", json!("nvidia")),
        ("deploy_map", json!({"app": ["server", "site-1", "site-2"]})),
    ] {
        meta.entry(key).or_insert(value);
    }
    let status = match state {
        State::Stored(status) => status,
        _ => "SUBMITTED",
    };
    meta.insert("status".to_owned(), status.into());
    if status == "SUBMITTED" {
        meta.insert("start_time".to_owned(), "".into());
        for key in ["schedule_count", "last_schedule_time", "schedule_history", "mandatory_clients"] {
            meta.shift_remove(key);
        }
        meta.insert("min_clients".to_owned(), 1.into());
    }
    // What its statistics tell of.
    let workflow = json!({"format_version": 2, "workflows": [{
        "id": "scatter_and_gather",
        "path": "nvflare.app_common.workflows.scatter_and_gather.ScatterAndGather",
        "args": {"num_rounds": 60},
    }]});
    let app = AppContent {
        trust: Trust::Unsigned.into(),
        has_custom_code: false,
        server_config: recorded
            .command
            .as_deref()
            .is_some_and(|line| line.starts_with("show_stats"))
            .then_some(workflow),
        client_config: None,
        custom_classes: Vec::new(),
        files: Vec::new(),
    };
    let content = JobContent { apps: BTreeMap::from([("app".to_owned(), app)]), is_unsafe: false };
    StoredJob::new(JobMeta::restored(meta), Arc::new(content), Blob::none())
}

/// Seen on a real server: it says that it cannot find the job, then has nothing to tell, then it tells; and an abort is
/// answered after its waits for sites and for the job's process.
#[test]
fn a_job_that_has_just_started_cannot_be_asked_and_its_abort_takes_a_while() {
    const JOB: &str = "27c7e82c-7272-4c03-8975-51b97af32523";
    let start = flare_wire::Moment::from_unix(Duration::from_secs(1_795_308_677));
    let mut config = config(&["site-1"], start);
    let_jobs_run(&mut config, Rule::named("*").until_aborted());
    config.job_settings.timings = Timings::default();
    let Timings { check_in, warm_up, abort_reply, .. } = config.job_settings.timings;
    let mut federation = Federation::start(config, 5, start);
    run_a_job(&mut federation, JOB);
    let token = federation.login("admin@nvidia.com", "default");
    let ask = |federation: &mut Federation, line: &str| {
        let reply = federation.send(&format!("{line} {JOB} all"), &token);
        serde_json::from_str::<Value>(&reply.to_json()).unwrap()
    };
    for line in ["show_stats", "show_errors", "reset_errors"] {
        let reply = ask(&mut federation, line);
        assert_eq!(
            reply["data"][0]["data"],
            format!("Cannot find job: {JOB}. Please make sure the first arg following the command is a valid job_id.")
        );
        assert_eq!((&reply["meta"]["status"], &reply["meta"]["info"]), (&json!("invalid_job_id"), &json!(JOB)));
    }
    federation.advance(check_in);
    assert_eq!(ask(&mut federation, "show_stats")["data"][0]["data"], json!({"server": {}, "site-1": {}}));
    federation.advance(warm_up);
    let stats = ask(&mut federation, "show_stats");
    assert_eq!(stats["data"][0]["data"]["site-1"]["ClientRunner"]["job_id"], JOB, "{stats}");
    let before = federation.now;
    let aborted = federation.send(&format!("abort_job {JOB}"), &token);
    assert_eq!(Federation::first_text(&aborted), "Abort signal has been sent to the server app.");
    assert_eq!(federation.now.since(before), abort_reply);
}
