//! A server that is told to restart or to end: what it says, how long it stays, and what is there afterwards.

mod federation;

use std::time::Duration;

use federation::{Federation, ISSUED, config};
use flare_simserver::core::{Effect, SiteBehaviour, TimerName};
use flare_wire::hci::{Item, Reply};
use serde_json::json;

const ADMIN: &str = "admin@nvidia.com";
const TOO_LATE: &str = "Exception Occurred: RuntimeError: cannot schedule new futures after shutdown";

/// Long after a server that was told to restart is back with all its sites.
const LONG: Duration = Duration::from_secs(60);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn federation() -> Federation {
    Federation::start(config(&["site-1", "site-2", "site-3"], ISSUED), 3, ISSUED + seconds(60))
}

fn texts(reply: &Reply) -> Vec<&str> {
    reply
        .data
        .iter()
        .map(|item| match item {
            Item::String(text) | Item::Error(text) | Item::Success(text) | Item::Shutdown(text) => text.as_str(),
            Item::Table(_) => "a table",
            _ => "something else",
        })
        .collect()
}

fn sites(federation: &Federation) -> Vec<(String, String)> {
    federation.sim.sites().iter().map(|site| (site.name().to_string(), site.token().to_owned())).collect()
}

/// Jumps to what comes next; returns its name.
fn jump(federation: &mut Federation) -> Option<TimerName> {
    let timer = federation.sim.timers().into_iter().next()?;
    federation.advance(timer.at.since(federation.now));
    Some(timer.name)
}

fn jump_to(federation: &mut Federation, name: &TimerName) {
    while jump(federation).unwrap_or_else(|| panic!("{name:?} does not come")) != *name {}
}

#[test]
fn a_restarted_server_answers_for_some_seconds_and_comes_back_without_its_sites() {
    let mut federation = federation();
    let token = federation.login(ADMIN, "default");
    let before = sites(&federation);
    let reply = federation.send("restart server", &token);
    assert_eq!(
        texts(&reply),
        [
            "Trying to restart all clients before restarting server...",
            "client:site-1 : Restart the client...\nclient:site-2 : Restart the client...\n\
             client:site-3 : Restart the client...\n",
            "Server scheduled for restart",
            "",
        ]
    );
    let meta: Vec<&str> = reply.meta.keys().map(String::as_str).collect();
    assert_eq!(meta, ["client_status", "server_status", "status", "info"]);

    federation.advance(seconds(3));
    assert!(federation.effects.is_empty(), "it is still there: {:?}", federation.effects);
    assert_eq!(texts(&federation.send("check_status server", &token)).last(), Some(&"Registered clients: 0 "));
    jump_to(&mut federation, &TimerName::ServerEnd);
    assert_eq!(federation.effects, [Effect::Ended { is_killed: false, comes_back: true }]);
    assert!(!federation.sim.serves() && !federation.sim.is_shut_down());
    assert_eq!(federation.sim.sessions().count(), 0);

    let started = federation.sim.started();
    assert_eq!(jump(&mut federation), Some(TimerName::ServerStart));
    assert_eq!(federation.effects[1..], [Effect::Started]);
    assert!(federation.sim.serves() && federation.sim.started() > started);
    assert!(sites(&federation).is_empty());
    federation.advance(LONG);
    let after = sites(&federation);
    assert_eq!(after.len(), before.len());
    assert!(before.iter().all(|site| !after.contains(site)), "they registered anew: {after:?}");
    // The token outlives the server, and sites that registered are known by their organisation.
    let registered = federation.send("register_study trial --site-org nvidia:site-1,site-2", &token);
    assert!(registered.to_json().contains(r#""site-2""#), "{}", registered.to_json());
}

#[test]
fn a_second_command_is_taken_until_the_server_has_noticed_the_first() {
    let mut federation = federation();
    let token = federation.login(ADMIN, "default");
    federation.send("restart all", &token);
    // No site is left to be restarted.
    let reply = federation.send("restart all", &token);
    assert_eq!(texts(&reply), ["Server scheduled for restart", ""]);
    let end = federation.sim.next_deadline();
    federation.advance(Duration::from_millis(1_500));
    for line in ["restart server", "shutdown server", "shutdown all"] {
        let reply = federation.send(line, &token);
        assert_eq!(texts(&reply), [TOO_LATE], "{line}");
    }
    assert_eq!(federation.sim.next_deadline(), end);
}

#[test]
fn a_server_that_is_told_to_restart_and_to_end_does_not_come_back() {
    for lines in [["restart all", "shutdown server"], ["shutdown all", "restart server"]] {
        let mut federation = federation();
        let token = federation.login(ADMIN, "default");
        for line in lines {
            federation.send(line, &token);
        }
        federation.advance(LONG);
        assert_eq!(federation.effects, [Effect::Ended { is_killed: false, comes_back: false }], "{lines:?}");
        assert!(federation.sim.is_shut_down());
    }
}

#[test]
fn shutdown_all_ends_the_sites_and_then_the_server() {
    let mut federation = federation();
    let token = federation.login(ADMIN, "default");
    let refused = federation.send("shutdown server", &token);
    assert_eq!(texts(&refused), ["There are still active clients. Shutdown all clients first."]);
    let reply = federation.send("shutdown all", &token);
    assert_eq!(texts(&reply), ["a table", "Flare Server has been shutdown.", "Goodbye!", ""]);
    assert_eq!(json!(reply.meta), json!({"status": "ok", "info": ""}));
    federation.advance(LONG);
    assert_eq!(federation.effects, [Effect::Ended { is_killed: false, comes_back: false }]);
    assert_eq!((federation.sim.next_deadline(), federation.sim.timers()), (None, Vec::new()));

    // Somebody starts the server again; its sites stay where they are.
    let now = federation.now;
    federation.sim.restart(now);
    federation.advance(LONG);
    assert!(federation.sim.serves());
    assert!(sites(&federation).is_empty());
}

#[test]
fn shutdown_server_needs_no_more_than_that_no_client_is_registered() {
    let mut federation = federation();
    let token = federation.login(ADMIN, "default");
    federation.send("disable_client site-1 site-2 site-3", &token);
    let reply = federation.send("shutdown server", &token);
    assert_eq!(texts(&reply), ["Flare Server has been shutdown.", "Goodbye!", ""]);
}

#[test]
fn a_site_that_refuses_keeps_shutdown_all_from_ending_the_server() {
    let mut federation = federation();
    // The server's own policy lets this admin pass, the other organisation's site does not.
    let token = federation.login("orgadmin@nvidia.com", "default");
    let reply = federation.send("shutdown all", &token);
    assert_eq!(texts(&reply), ["a table"]);
    assert_eq!(json!(reply.meta), json!({"status": "error", "info": "failed to shut down all clients"}));
    let left: Vec<String> = sites(&federation).into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["site-3"]);
    federation.advance(LONG);
    assert!(federation.sim.serves());
}

#[test]
fn a_site_that_does_not_answer_has_the_server_killed() {
    let mut federation = federation();
    let token = federation.login(ADMIN, "default");
    let now = federation.now;
    assert!(federation.sim.set_site_behaviour(now, "site-1", SiteBehaviour::Silent));
    let reply = federation.send_with("restart server", Some(&token), &json!({"cmd_timeout": 2}));
    assert_eq!(federation.now.since(now), seconds(2), "the reply waits for it");
    assert_eq!(
        texts(&reply)[1],
        "client:site-1 : No replies\nclient:site-2 : Restart the client...\nclient:site-3 : Restart the client...\n"
    );
    assert_eq!(reply.meta["client_status"]["site-1"], "no_reply");
    let site = sites(&federation);
    assert_eq!(site.len(), 1);
    federation.advance(LONG);
    assert_eq!(federation.effects[0], Effect::Ended { is_killed: true, comes_back: true });
    // It never noticed anything, and is back with its heartbeat.
    assert_eq!(federation.sim.sites().iter().len(), 3);
    assert!(sites(&federation).contains(&site[0]));
}

#[test]
fn a_disabled_site_stays_out_over_a_restart_by_command() {
    let mut federation = federation();
    let token = federation.login(ADMIN, "default");
    federation.send("disable_client site-2", &token);
    federation.send("restart server", &token);
    federation.advance(LONG);
    let names = |federation: &Federation| sites(federation).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&federation), ["site-1", "site-3"]);
    federation.send("enable_client site-2", &token);
    federation.advance(seconds(10));
    assert_eq!(names(&federation), ["site-1", "site-3", "site-2"]);
    // It came back by a heartbeat, which shows no certificate.
    let refused = federation.send("register_study trial --site-org nvidia:site-2", &token);
    assert!(refused.to_json().contains("INVALID_SITE"), "{}", refused.to_json());
}

#[test]
fn sites_are_back_by_their_heartbeats_after_a_restart_that_no_command_asked_for() {
    let mut federation = federation();
    let token = federation.login(ADMIN, "default");
    let before = sites(&federation);
    let now = federation.now;
    federation.sim.restart(now);
    let shown = federation.send("check_status server", &token);
    assert_eq!(texts(&shown).last(), Some(&"Registered clients: 0 "));
    federation.advance(LONG);
    assert_eq!(sites(&federation), before, "with the tokens that they had");
    let refused = federation.send("register_study trial --site-org nvidia:site-1", &token);
    assert!(refused.to_json().contains("INVALID_SITE"), "{}", refused.to_json());
}
