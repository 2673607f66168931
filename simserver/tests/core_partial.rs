//! Answers of some sites and silence of others: what a reply shows, and when it comes.

mod federation;

use std::time::Duration;

use federation::{Federation, ISSUED, config};
use flare_simserver::core::SiteBehaviour;
use flare_wire::hci::Reply;
use serde_json::{Value, json};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One site answers, one takes three seconds, one refuses, one is silent.
fn federation() -> Federation {
    let mut config = config(&["site-1", "site-2", "site-3", "site-4"], ISSUED);
    config.sites[1].behaviour = SiteBehaviour::Slow(seconds(3));
    config.sites[2].behaviour = SiteBehaviour::Refuses;
    config.sites[3].behaviour = SiteBehaviour::Silent;
    Federation::start(config, 3, ISSUED + seconds(60))
}

/// The reply to a line, and how long it took.
fn timed(federation: &mut Federation, line: &str, meta: &Value) -> (Value, Duration) {
    let token = federation.login("admin@nvidia.com", "default");
    let before = federation.now;
    let reply: Reply = federation.send_with(line, Some(&token), meta);
    (serde_json::from_str(&reply.to_json()).expect("a reply is JSON"), federation.now.since(before))
}

fn refusal(command: &str) -> String {
    format!("user 'admin@nvidia.com' is not authorized for '{command}'")
}

#[test]
fn the_timeout_of_a_request_decides_who_is_too_late() {
    let version = json!({"version": "2.9.0"});
    let late = json!({"error": "No replies"});
    for (meta, of_slow, took) in [
        (json!({"cmd_timeout": 2}), &late, seconds(2)),
        (json!({"cmd_timeout": 5.0}), &version, seconds(5)),
        // What an admin's server gives its sites otherwise.
        (json!({}), &version, seconds(10)),
    ] {
        let (reply, after) = timed(&mut federation(), "report_version all", &meta);
        let expected = json!({
            "server": version, "site-1": version, "site-2": of_slow,
            "site-3": {"error": refusal("report_version")}, "site-4": late,
        });
        assert_eq!((&reply["data"][0]["data"], after), (&expected, took), "{meta}");
        assert_eq!(reply["meta"]["status"], "ok", "{meta}");
    }
}

#[test]
fn a_refusal_and_a_silence_stand_where_an_answer_would() {
    let meta = json!({"cmd_timeout": 4});
    let (reply, _) = timed(&mut federation(), "check_status client", &meta);
    let statuses: Vec<&str> = reply["meta"]["client_status"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|client| client["status"].as_str())
        .collect();
    assert_eq!(statuses, ["no_jobs", "no_jobs", "error", "no_reply"], "{reply}");

    let (reply, _) = timed(&mut federation(), "report_resources client", &meta);
    let rows = reply["data"][0]["rows"].as_array().map(|rows| rows[1..].to_vec()).unwrap_or_default();
    let cells: Vec<&str> = rows.iter().filter_map(|row| row[1].as_str()).collect();
    let resources = "{'resources': [], 'reserved_resources': {}}";
    let refused = refusal("report_resources");
    assert_eq!(cells, [resources, resources, refused.as_str(), "No replies"], "{reply}");

    let (reply, after) = timed(&mut federation(), "pwd site-4", &meta);
    assert_eq!(reply["data"][0]["data"], "no reply from client - timed out");
    assert_eq!(after, seconds(10), "shell commands do not ask what the request allows");
    let (reply, after) = timed(&mut federation(), "pwd site-3", &meta);
    assert_eq!((&reply["data"][0]["data"], after), (&json!(refusal("pwd")), Duration::ZERO));
}

#[test]
fn nobody_waits_for_sites_when_the_timeout_is_negative() {
    let (reply, after) = timed(&mut federation(), "check_status client", &json!({"cmd_timeout": -1}));
    assert_eq!(after, Duration::ZERO, "{reply}");
    let clients = reply["meta"]["client_status"].as_array().map_or(0, Vec::len);
    assert_eq!(clients, 0, "{reply}");
}
