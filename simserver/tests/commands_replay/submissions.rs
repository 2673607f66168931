//! Recordings of uploads, and what is said afterwards about the jobs and tokens that they leave: through the whole path
//! from the line to the reply, with an archive like the one that was sent.
//!
//! Refusals of the definition itself (`submit_job.invalid.*`) are replayed beside the code that reads it.

use std::collections::HashMap;
use std::io::{Cursor, Write as _};
use std::sync::LazyLock;
use std::time::Duration;

use flare_fixtures::{RecordedReply, replies, reply as recorded};
use flare_simserver::core::SimConfig;
use flare_simserver::jobs::behaviour::Rule;
use flare_wire::Moment;
use flare_wire::hci::Reply;
use regex::Regex;
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::federation::{Federation, PROD, SITES, config};
use crate::{jobs, normal, setup, word};

/// Recordings that follow each other on one server; each line is a server of its own.
const STORIES: &[&[&str]] = &[
    // One token: its user, others, other content, abort, deletion.
    &[
        "submit_token.first",
        "submit_token.same_content",
        "submit_token.same_content_unsigned",
        "submit_token.different_content",
        "submit_token.renamed_folder",
        "submit_token.other_user",
        "submit_token.other_user_pa",
        "list_jobs.submit_token.owner",
        "list_jobs.submit_token.owner_d",
        "list_jobs.submit_token.other",
        "list_jobs.submit_token.with_filter",
        "clone_job.with_token",
        "list_jobs.submit_token.after_clone",
        "abort_job.token_job",
        "submit_token.after_abort",
        "delete_job.submit_token",
        "submit_token.after_delete",
        "submit_token.after_delete_different",
        "list_jobs.submit_token.deleted",
        "list_jobs.submit_token.deleted_d",
        "delete_job.submitted",
        "submit_token.128",
        "list_jobs.submit_token.128",
        "submit_token.charset",
        "submit_token.big_member",
        "submit_job.big_member_no_token",
        "submit_job.custom_props",
    ],
    &["study_submit.all", "study_submit.token_other_study", "study_submit.all_sites"],
    &["study_submit.site_not_enrolled", "study_submit.two_sites_not_enrolled"],
    &["submit_job.own_job_id", "submit_job.own_job_id_again", "abort_job.own_id", "delete_job.own_id"],
    &["submit_job.cant_schedule.mandatory"],
    &["submit_job.cant_schedule.mandres"],
    &["submit_job.cant_schedule.needall"],
    &["submit_job.cant_schedule.nores"],
    &["submit_job.cant_schedule.offline"],
    &["submit_job.bad_token"],
    &["submit_job.empty_token"],
    &["submit_job.long_token"],
    &["submit_job.unknown_option"],
    &["submit_job.noarg"],
    &["submit_job.no_upload"],
    &["submit_job.empty_file"],
    &["submit_job.not_a_zip"],
    &["submit_job.wrong_folder_name"],
    &["submit_job.member"],
    &["submit_job.org_admin"],
    &["submit_job.no_clients"],
    &["submit_job.site_disabled"],
    &["submit_job.ok.lead"],
    &["submit_job.unsigned"],
    &["submit_job.run.badclient"],
    &["submit_job.run.badserver"],
    &["submit_job.run.bombclient"],
    &["submit_job.run.bombserver"],
    &["submit_job.run.byocok"],
    &["submit_job.run.noname"],
    &["submit_job.run.ok"],
    &["submit_job.run.s3only"],
    &["submit_job.run.stoken"],
    &["submit_job.run.v_minstrnum"],
    &["submit_job.run.v_onlyserver"],
    &["submit_token.before_server_kill", "restart_recovery.submit_token", "restart_recovery.list_jobs_token"],
    &["study_submit.after_removed"],
    &["dead_client.submit"],
];

/// Submissions that are not replayed here, by the start of their names, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("submit_job.invalid.", "replayed by the tests of `jobs::definition`"),
    ("submit_token.concurrent", "a test of its own"),
];

/// True for a recording that is replayed here.
pub(crate) fn is_replayed(name: &str) -> bool {
    STORIES.iter().any(|story| story.contains(&name))
}

#[test]
fn uploads_are_answered_as_recorded() {
    for story in STORIES {
        replay(story);
    }
}

#[test]
fn every_recorded_submission_is_replayed_or_left_out_for_a_reason() {
    let is_left_out = |name: &str| LEFT_OUT.iter().any(|(start, _)| name.starts_with(start));
    let mut submissions = replies().iter().filter(|recorded| word(recorded) == "submit_job");
    let lost: Vec<_> = submissions
        .by_ref()
        .map(|recorded| recorded.name.as_str())
        .filter(|name| is_replayed(name) == is_left_out(name))
        .collect();
    assert_eq!(lost, Vec::<&str>::new());
}

#[test]
fn submissions_with_one_token_at_the_same_time_are_one_job() {
    let concurrent = recorded("submit_token.concurrent");
    let each = concurrent.reply.as_array().unwrap();
    let mut federation = federation(concurrent, normal::time_of(&each[0]));
    let sessions: Vec<String> = each.iter().map(|_| federation.login(&concurrent.user, &concurrent.study)).collect();
    // All have arrived, and all are looked at, before the first becomes a job.
    let line = "submit_job nores --submit-token conc";
    let begun: Vec<_> =
        sessions.iter().map(|token| federation.begin_upload(line, token, &json!({})).unwrap()).collect();
    let archive = archive("nores", true);
    let checked: Vec<_> = begun.into_iter().map(|begun| Federation::check_upload(begun, &archive)).collect();
    let mut ids = Ids::default();
    for (checked, expected) in checked.into_iter().zip(each) {
        let reply = federation.finish_upload(checked);
        ids.compare("submit_token.concurrent", expected, &reply);
    }
    assert_eq!(federation.sim.jobs().store().len(), 1);
}

fn replay(story: &[&str]) {
    let first = recorded(story[0]);
    // The scheduler looks for jobs each second: on the real server of the tokens, at this part of one.
    let created = normal::time_of(&first.reply) - TICK_BEFORE_FIRST;
    let mut federation = federation(first, created);
    let mut ids = Ids::default();
    let mut sessions: HashMap<(&str, &str), String> = HashMap::new();
    for name in story {
        let recorded = recorded(name);
        federation.now = federation.now.max(normal::time_of(&recorded.reply));
        federation.sim.advance(federation.now);
        if *name == "restart_recovery.submit_token" {
            assert_eq!(federation.sim.jobs().running().count(), 1);
            let now = federation.now;
            federation.sim.restart(now);
            // An upload brings no session back, so its user has logged in anew.
            sessions.clear();
        }
        let token = sessions
            .entry((&recorded.user, &recorded.study))
            .or_insert_with(|| federation.login(&recorded.user, &recorded.study))
            .clone();
        if *name == "study_submit.after_removed" {
            let admin = federation.login("admin@nvidia.com", "default");
            let removed = federation.send(&format!("remove_study {}", recorded.study), &admin);
            assert!(removed.to_json().contains(r#""removed": true"#), "{}", removed.to_json());
        }
        let line = ids.ours(recorded.command.as_deref().unwrap());
        let meta = recorded.request_meta.clone().unwrap_or_else(|| json!({}));
        let reply = if recorded.sent_as.as_deref() == Some("request") {
            federation.send_with(&line, Some(&token), &meta)
        } else {
            federation.upload(&line, &token, &meta, &sent(recorded))
        };
        ids.compare(name, &recorded.reply, &reply);
    }
}

/// How long before the first submission of a token the scheduler had looked: it looked again 165 ms after it.
const TICK_BEFORE_FIRST: Duration = Duration::from_millis(835);

/// The server of a recording.
fn federation(recorded: &RecordedReply, created: Moment) -> Federation {
    let sites: Vec<&str> = match recorded.name.as_str() {
        "submit_job.no_clients" => Vec::new(),
        _ => SITES.iter().map(|(name, _)| *name).collect(),
    };
    let mut config: SimConfig = config(&sites, created);
    config.studies = Some(setup::registry(&setup::studies_json()));
    // Jobs wait where they are not to run.
    config.job_settings.policy.max_jobs = 1;
    config.job_settings.store_root = PROD.split('/').next().map(|poc| format!("{poc}/jobs-storage")).unwrap();
    if recorded.name == "submit_token.before_server_kill" {
        jobs::let_jobs_run(&mut config, Rule::named("*").until_aborted());
    }
    if recorded.name == "submit_job.site_disabled" {
        config.disabled_clients = vec!["site-2".to_owned()];
    }
    Federation::start(config, 11, created)
}

/// What was uploaded.
fn sent(recorded: &RecordedReply) -> Vec<u8> {
    match recorded.name.as_str() {
        "submit_job.empty_file" => Vec::new(),
        "submit_job.not_a_zip" => b"this is no archive".to_vec(),
        "submit_job.wrong_folder_name" => archive("ok", true),
        name => {
            let folder = recorded.command.as_deref().unwrap().split(' ').nth(1).unwrap_or("ok");
            archive(folder, !name.ends_with("unsigned"))
        }
    }
}

/// A job folder of the recordings, as far as its replies show it. With signature files, which here sign nothing: only a
/// job that is deployed is asked for good ones.
fn archive(folder: &str, with_signatures: bool) -> Vec<u8> {
    // The same job under another name of its folder.
    let name = folder.trim_end_matches("_copy");
    let mut meta =
        json!({"name": name, "resource_spec": {}, "min_clients": 1, "deploy_map": {"app": ["server", "site-1"]}});
    let too_much = json!({"site-1": {"num_of_gpus": 4, "mem_per_gpu_in_GiB": 1}});
    match name {
        "nores" => meta["resource_spec"] = too_much,
        "mandres" => {
            meta["resource_spec"] = too_much;
            meta["mandatory_clients"] = json!(["site-1"]);
        }
        "ok12" => meta["deploy_map"]["app"] = json!(["server", "site-1", "site-2"]),
        "jobid_ok" => meta["job_id"] = json!("my-own-id"),
        "v_minstrnum" => meta["min_clients"] = json!("1"),
        "v_onlyserver" => meta["deploy_map"]["app"] = json!(["server"]),
        "okmin1" => meta["deploy_map"]["app"] = json!(["@ALL"]),
        _ => {}
    }
    let mut files = vec![
        (format!("{folder}/meta.json"), meta.to_string().into_bytes()),
        (format!("{folder}/app/config/config_fed_server.json"), br#"{"format_version": 2}"#.to_vec()),
        (format!("{folder}/app/config/config_fed_client.json"), br#"{"format_version": 2}"#.to_vec()),
    ];
    if name == "bigfile" {
        // One byte more than a job with a token may have in a file.
        files.push((format!("{folder}/app/config/big.bin"), vec![0; (10 << 20) + 1]));
    }
    if with_signatures {
        files.push((format!("{folder}/.__nvfl_sig.json"), b"{}".to_vec()));
        files.push((format!("{folder}/.__nvfl_submitter.crt"), Vec::new()));
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for directory in ["", "/app", "/app/config"] {
        zip.add_directory(format!("{folder}{directory}"), SimpleFileOptions::default()).unwrap();
    }
    for (path, content) in files {
        zip.start_file(path, SimpleFileOptions::default()).unwrap();
        zip.write_all(&content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Which of our jobs stands for which of the recorded ones.
#[derive(Default)]
struct Ids(HashMap<String, String>);

impl Ids {
    /// A recorded line with our ids.
    fn ours(&self, line: &str) -> String {
        self.0.iter().fold(line.to_owned(), |line, (theirs, ours)| line.replace(theirs.as_str(), ours))
    }

    /// Compares items and meta, but for times; ids have to be the same throughout a story.
    fn compare(&mut self, name: &str, expected: &Value, actual: &Reply) {
        static ID: LazyLock<Regex> = LazyLock::new(|| Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap());
        static STAMP: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00").unwrap());
        static SECONDS: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r#"((?:submit|schedule)_time\\?": )\d+\.\d+"#).unwrap());
        static LIVE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""\d:\d\d:\d\d\.\d{6}""#).unwrap());
        let shape = |reply: &Value| {
            let text = serde_json::to_string_pretty(&json!([reply["data"], reply["meta"]])).unwrap();
            let text = LIVE.replace_all(&text, r#""<duration>""#);
            let text = STAMP.replace_all(&text, "<time>");
            SECONDS.replace_all(&text, "$1<time>").into_owned()
        };
        let (expected, actual) = (shape(expected), shape(&serde_json::from_str(&actual.to_json()).unwrap()));
        let ids = |text: &str| ID.find_iter(text).map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
        for (theirs, ours) in ids(&expected).into_iter().zip(ids(&actual)) {
            let is_new = !self.0.contains_key(&theirs);
            assert!(!is_new || !self.0.values().any(|known| *known == ours), "{name}: {ours} stands for two jobs");
            self.0.entry(theirs).or_insert(ours);
        }
        assert_eq!(actual, self.ours(&expected), "{name}");
    }
}
