//! Recordings of the commands that manage clients, and of those that restart and shut down.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use flare_fixtures::{RecordedReply, replies};
use flare_simserver::core::SiteBehaviour;
use flare_simserver::jobs::behaviour::Rule;

use crate::federation::{Federation, SITES, config};
use crate::{jobs, normal, replay, setup, word};

const COMMANDS: [&str; 7] =
    ["configure_site_log", "dead", "disable_client", "enable_client", "remove_client", "restart", "shutdown"];

/// Recordings that are not replayed, and why.
const LEFT_OUT: &[(&str, &str)] = &[("aborted_dispatched.shutdown", "replayed among the jobs")];

/// How many recordings there are of these commands.
const RECORDED: usize = 83;

/// True for a recording that is replayed here, or left out here.
pub(crate) fn is_replayed(recorded: &RecordedReply) -> bool {
    COMMANDS.contains(&word(recorded))
}

#[test]
fn commands_about_clients_answer_as_recorded() {
    let recorded: Vec<_> = replies().iter().filter(|recorded| is_replayed(recorded)).collect();
    for (name, _) in LEFT_OUT {
        assert!(recorded.iter().any(|recorded| recorded.name == *name), "{name} is no recording");
    }
    let is_left_out = |name: &str| LEFT_OUT.iter().any(|(left_out, _)| *left_out == name);
    let failed = |recorded: &&&RecordedReply| {
        !is_left_out(&recorded.name) && catch_unwind(AssertUnwindSafe(|| replay_one(recorded))).is_err()
    };
    let failures: Vec<&str> = recorded.iter().filter(failed).map(|recorded| recorded.name.as_str()).collect();
    assert_eq!(failures, Vec::<&str>::new());
    assert_eq!(recorded.len(), RECORDED);
}

fn replay_one(recorded: &RecordedReply) {
    let now = normal::time_of(&recorded.reply);
    let shown = recorded.reply.to_string();
    let state = recorded.state.as_str();
    let nobody = state.starts_with("no clients");
    let mut names: Vec<&str> = SITES.iter().map(|(name, _)| *name).filter(|_| !nobody).collect();
    names.sort_by_key(|name| shown.find(&format!("\"{name}\"")).unwrap_or(usize::MAX));
    let mut config = config(&names, now);
    if recorded.study != "default" {
        config.studies = Some(setup::registry(&setup::studies_json()));
    }
    let runs = recorded.name.ends_with("job_running") && word(recorded) != "disable_client";
    if runs {
        jobs::let_jobs_run(&mut config, Rule::named("*").until_aborted());
    }
    let mut federation = Federation::start(config, 13, now);
    if runs {
        jobs::run_a_job(&mut federation, setup::RUNNING_JOB);
    }
    let admin = federation.login("admin@nvidia.com", "default");
    for before in commands_before(recorded) {
        federation.send(before, &admin);
    }
    if recorded.name.starts_with("dead_client.") {
        federation.sim.set_site_behaviour(federation.now, "site-2", SiteBehaviour::Gone);
    }
    let token = federation.login(&recorded.user, &recorded.study);
    let reply = federation.send(recorded.command.as_deref().unwrap(), &token);
    replay::compare(recorded, &reply, &federation);
}

/// What had been done before.
fn commands_before(recorded: &RecordedReply) -> Vec<&'static str> {
    let mut before = Vec::new();
    if recorded.state.contains("site-3 is disabled") {
        before.push("disable_client site-3");
    }
    match recorded.name.as_str() {
        "enable_client.two" => before.push("disable_client x1 x2"),
        "enable_client.unknown" => before.push("disable_client nosuch"),
        "restart_recovery.enable_ghost" => before.push("disable_client ghost"),
        "restart.all.ok" | "restart.client.already_shutdown" => before.push("shutdown client site-3"),
        _ => {}
    }
    before
}

fn names(federation: &Federation) -> Vec<String> {
    federation.sim.sites().iter().map(|site| site.name().to_string()).collect()
}

fn start() -> (Federation, String) {
    let now = crate::federation::ISSUED + Duration::from_secs(1000);
    let mut federation = Federation::start(config(&["site-1", "site-2", "site-3"], now), 17, now);
    let admin = federation.login("admin@nvidia.com", "default");
    (federation, admin)
}

fn token(federation: &Federation, name: &str) -> String {
    let site = federation.sim.sites().find(name).unwrap();
    federation.sim.sites().get(site).unwrap().token().to_owned()
}

#[test]
fn a_disabled_site_stays_out_until_it_is_enabled_and_then_comes_back_with_its_token_but_without_its_organisation() {
    let (mut federation, admin) = start();
    let before = token(&federation, "site-2");
    federation.send("disable_client site-2", &admin);
    assert_eq!(names(&federation), ["site-1", "site-3"]);
    assert_eq!(
        federation.sim.files().read("disabled_clients.json").unwrap(),
        b"{\n  \"disabled_clients\": [\n    \"site-2\"\n  ]\n}"
    );
    federation.advance(Duration::from_secs(3600));
    assert_eq!(names(&federation), ["site-1", "site-3"]);

    federation.send("enable_client site-2", &admin);
    assert_eq!(names(&federation), ["site-1", "site-3"]);
    federation.advance(Duration::from_secs(5));
    assert_eq!(names(&federation), ["site-1", "site-3", "site-2"]);
    assert_eq!(token(&federation, "site-2"), before);
    let reply = federation.send("register_study s --site-org nvidia:site-2", &admin);
    assert!(reply.to_json().contains("Sites ['site-2'] are unknown"), "{reply:?}");
    assert_eq!(federation.sim.files().read("disabled_clients.json").unwrap(), b"{\n  \"disabled_clients\": []\n}");
}

#[test]
fn a_site_that_was_disabled_before_the_start_comes_when_it_is_enabled() {
    let now = crate::federation::ISSUED + Duration::from_secs(1000);
    let mut config = config(&["site-1", "site-2"], now);
    config.disabled_clients = vec!["site-1".to_owned()];
    let mut federation = Federation::start(config, 17, now);
    let admin = federation.login("admin@nvidia.com", "default");
    assert_eq!(names(&federation), ["site-2"]);
    federation.send("enable_client site-1", &admin);
    federation.advance(Duration::from_secs(5));
    assert_eq!(names(&federation), ["site-2", "site-1"]);
}

#[test]
fn a_restarted_site_registers_anew_and_its_organisation_is_known_again() {
    let (mut federation, admin) = start();
    federation.come_back("site-3");
    let before = token(&federation, "site-3");
    federation.send("restart client site-3", &admin);
    assert_eq!(names(&federation), ["site-1", "site-2"]);
    federation.advance(Duration::from_secs(13));
    assert_eq!(names(&federation), ["site-1", "site-2"]);
    federation.advance(Duration::from_secs(1));
    assert_eq!(names(&federation), ["site-1", "site-2", "site-3"]);
    assert_ne!(token(&federation, "site-3"), before);
    let reply = federation.send("register_study s --site-org acme:site-3", &admin);
    assert!(reply.to_json().contains("\"sites\": [\"site-3\"]"), "{reply:?}");
}

#[test]
fn a_site_that_was_shut_down_does_not_come_back() {
    let (mut federation, admin) = start();
    federation.send("shutdown client site-1 site-3", &admin);
    assert_eq!(names(&federation), ["site-2"]);
    federation.advance(Duration::from_secs(24 * 3600));
    federation.send("enable_client site-1", &admin);
    federation.advance(Duration::from_secs(60));
    assert_eq!(names(&federation), ["site-2"]);
}

#[test]
fn without_names_every_site_is_removed_and_all_come_back() {
    let (mut federation, admin) = start();
    federation.send("remove_client", &admin);
    assert_eq!(names(&federation), Vec::<String>::new());
    federation.advance(Duration::from_secs(10));
    assert_eq!(names(&federation).len(), 3);
}

#[test]
fn a_site_that_refuses_to_end_stays_and_those_that_do_not_are_gone() {
    let (mut federation, _) = start();
    let lead = federation.login("lead@acme.org", "default");
    let reply = federation.send("shutdown client", &lead);
    assert_eq!(reply.info(), "failed to shut down all clients");
    assert_eq!(names(&federation), ["site-1", "site-2"]);
}

#[test]
fn a_job_that_runs_on_a_site_goes_on_when_the_site_is_disabled() {
    let now = crate::federation::ISSUED + Duration::from_secs(1000);
    let mut config = config(&["site-1", "site-2"], now);
    jobs::let_jobs_run(&mut config, Rule::named("*").running_for(Duration::from_secs(60)));
    let mut federation = Federation::start(config, 19, now);
    jobs::run_a_job(&mut federation, setup::RUNNING_JOB);
    let admin = federation.login("admin@nvidia.com", "default");
    federation.send("disable_client site-1", &admin);
    federation.send("remove_client site-2", &admin);
    federation.advance(Duration::from_secs(30));
    let status =
        |federation: &Federation| federation.sim.jobs().meta(setup::RUNNING_JOB).unwrap().status().as_str().to_owned();
    assert_eq!(status(&federation), "RUNNING");
    federation.advance(Duration::from_secs(60));
    assert_eq!(status(&federation), "FINISHED:COMPLETED");
}
