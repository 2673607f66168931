//! Recordings of the commands that show and change studies.

use std::panic::{AssertUnwindSafe, catch_unwind};

use flare_fixtures::{RecordedReply, replies};
use flare_simserver::core::StudyRegistry;
use serde_json::{Value, json};

use crate::federation::{Federation, config};
use crate::{normal, replay, setup, word};

const COMMANDS: [&str; 7] = [
    "add_study_site",
    "add_study_user",
    "register_study",
    "remove_study",
    "remove_study_site",
    "remove_study_user",
    "show_study",
];

/// How many recordings there are of them.
const RECORDED: usize = 94;

/// True for a recording that is replayed here.
pub(crate) fn is_replayed(recorded: &RecordedReply) -> bool {
    COMMANDS.contains(&word(recorded))
}

#[test]
fn study_commands_answer_as_recorded() {
    let recorded: Vec<_> = replies().iter().filter(|recorded| is_replayed(recorded)).collect();
    let failed = |recorded: &&&RecordedReply| catch_unwind(AssertUnwindSafe(|| replay_one(recorded))).is_err();
    let failures: Vec<&str> = recorded.iter().filter(failed).map(|recorded| recorded.name.as_str()).collect();
    assert_eq!(failures, Vec::<&str>::new());
    assert_eq!(recorded.len(), RECORDED);
}

fn replay_one(recorded: &RecordedReply) {
    let now = normal::time_of(&recorded.reply);
    let mut config = config(&["site-1", "site-2", "site-3"], now);
    config.studies = studies(recorded).map(|studies| setup::registry(&studies));
    if recorded.name == "remove_study.has_jobs" {
        let job = |number: usize, study: &str| {
            let id = format!("00000000-0000-4000-8000-00000000000{number}");
            json!({"job_id": id, "study": study, "status": "FINISHED:COMPLETED"}).as_object().unwrap().clone()
        };
        config.jobs = vec![job(1, "s2"), job(2, "s1"), job(3, "s2")];
    }
    let mut federation = Federation::start(config, 11, now);
    if let Some(site) = comes_back_by_heartbeat(&recorded.name) {
        federation.come_back(site);
    }
    let token = federation.login(&recorded.user, "default");
    let before = federation.sim.studies().map(StudyRegistry::to_json);
    let reply = federation.send(recorded.command.as_deref().unwrap(), &token);
    replay::compare(recorded, &reply, &federation);
    let after = federation.sim.studies().map(StudyRegistry::to_json);
    let payload = &recorded.reply["data"][0]["data"];
    let is_refusal = !payload["error_code"].is_null() || payload.is_string();
    if is_refusal || word(recorded) == "show_study" {
        assert_eq!(before, after, "{} changes nothing", recorded.name);
    } else {
        assert_is_written(&federation, &after.unwrap());
    }
}

/// The file in the server's workspace is what the registry became.
fn assert_is_written(federation: &Federation, registry: &str) {
    let file = federation.sim.files().read("study_registry.json").unwrap();
    assert_eq!(std::str::from_utf8(file).unwrap(), registry);
    assert_eq!(federation.sim.files().node("study_registry.json").unwrap().mode, 0o600);
}

/// The site that the recorded server had lost the organisation of.
fn comes_back_by_heartbeat(name: &str) -> Option<&'static str> {
    match name {
        "add_study_site.reactivated_site" | "restart_recovery.add_study_site" => Some("site-2"),
        "register_study.reactivated_site" => Some("site-3"),
        _ => None,
    }
}

/// The studies before the command, as its reply and the recordings around it tell.
fn studies(recorded: &RecordedReply) -> Option<Value> {
    let s1 = json!({"admins": ["admin@nvidia.com"], "site_orgs": {"nvidia": ["site-1", "site-2"]}});
    let s1_full =
        json!({"admins": ["admin@nvidia.com"], "site_orgs": {"acme": ["site-3"], "nvidia": ["site-1", "site-2"]}});
    let s2 = |users: Value, orgs: Value| json!({"admins": users, "site_orgs": orgs});
    let both = json!(["site-1", "site-2"]);
    let two = |orgs: Value| {
        let users = json!(["orgadmin@nvidia.com", "admin@nvidia.com"]);
        Some(json!({"s1": s1_full, "s2": s2(users, orgs)}))
    };
    let only_nvidia = || json!({"nvidia": both});
    let empty_acme = || json!({"acme": [], "nvidia": both});
    match recorded.name.as_str() {
        "register_study.again_same" | "register_study.merge_other_org" | "register_study.ok.org_admin" => {
            Some(json!({"s1": s1}))
        }
        "register_study.merge.org_admin" => {
            Some(json!({"s2": s2(json!(["orgadmin@nvidia.com"]), json!({"nvidia": ["site-1"]}))}))
        }
        "register_study.taken.org_admin" | "register_study.pa_merge_s2" => {
            Some(json!({"s2": s2(json!(["orgadmin@nvidia.com"]), only_nvidia())}))
        }
        "add_study_site.oa2_now_visible" | "add_study_site.oa_own" | "remove_study_site.ok" => {
            two(json!({"acme": ["site-3"], "nvidia": both}))
        }
        "remove_study_site.oa"
        | "remove_study_site.not_enrolled"
        | "remove_study_site.unknown_org"
        | "remove_study_site.unknown_site_ok" => two(empty_acme()),
        "remove_study_site.oa2_still_visible_empty_org" => two(json!({"acme": [], "nvidia": ["site-1"]})),
        "show_study.s2.after" => {
            let users = json!(["orgadmin@nvidia.com", "admin@nvidia.com", "lead@nvidia.com", "member@nvidia.com"]);
            Some(json!({"s2": s2(users, json!({"acme": [], "nvidia": ["site-1"]}))}))
        }
        "add_study_user.again" => Some(json!({"s1": {"admins": ["admin@nvidia.com", "lead@nvidia.com"]}})),
        "remove_study_user.ok" => Some(json!({"s1": {"admins": ["admin@nvidia.com", "nobody@nowhere"]}})),
        "register_study.reactivated_site" | "add_study_site.reactivated_site" => {
            Some(json!({"s9": {"admins": ["admin@nvidia.com"], "site_orgs": {"nvidia": ["site-1"]}}}))
        }
        "restart_recovery.add_study_site" => Some(json!({"keep": {"admins": ["admin@nvidia.com"]}})),
        name if name.starts_with("register_study.") => None,
        _ if recorded.state.starts_with("no study registry") => None,
        _ => two(only_nvidia()),
    }
}
