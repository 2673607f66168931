//! Odd requests, and what a real server of release 2.9.0 answered to each.
//!
//! The reference replies show what clients send; these show the corners: every kind of target, abbreviated, joined and
//! misspelt options, quotes, blanks, requests that are none, and what each role may do. `data/live_replies.json` holds
//! `[user, line, raw text instead, meta of the request, reply]`; a reply of null has no payload.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

mod federation;

use std::collections::HashMap;
use std::time::Duration;

use federation::{Federation, ISSUED, config, no_headers};
use flare_simserver::commands::arguments::LIST_JOBS_HELP;
use flare_simserver::core::LocalTime;
use flare_wire::{Moment, is_uuid4};
use serde_json::{Value, json};

const RECORDED: &str = include_str!("data/live_replies.json");

/// User, line, text in place of a line, meta of the request, reply.
type Case = (String, Option<String>, Option<String>, Option<Value>, Value);

#[test]
fn odd_requests_are_answered_as_by_the_real_server() {
    let cases: Vec<Case> = serde_json::from_str(RECORDED).unwrap();
    let mut federation = start(&cases);
    let mut tokens = HashMap::new();
    let (mut same, mut not_simulated, mut different) = (0, 0, Vec::new());
    for (user, line, raw, meta, expected) in &cases {
        // Three of the people are called otherwise here.
        let name = user.replace("org_admin@", "orgadmin@");
        let token = tokens.entry(name.clone()).or_insert_with(|| federation.login(&name, "default")).clone();
        let reply = match (line, raw) {
            (Some(line), _) => {
                let meta = meta.clone().unwrap_or_else(|| json!({}));
                federation.send_with(line, Some(&token), &meta)
            }
            (None, Some(raw)) => federation.send_raw(raw, &no_headers()),
            (None, None) => panic!("a case has a line or a text"),
        };
        let mut actual: Value = serde_json::from_str(&reply.to_json()).unwrap();
        if actual["data"][0]["data"].as_str().is_some_and(|text| text.starts_with("not modelled by ")) {
            not_simulated += 1;
            continue;
        }
        let mut expected = serde_json::from_str(&expected.to_string().replace("org_admin@", "orgadmin@")).unwrap();
        normalize(&mut expected);
        normalize(&mut actual);
        if reply.data.is_empty() {
            actual = Value::Null;
        }
        if actual == expected {
            same += 1;
        } else {
            different.push(format!("{user}: {line:?} {raw:?} {meta:?}\n  real      {expected}\n  simulated {actual}"));
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
    // Changes when commands are simulated that were not.
    assert_eq!((same, not_simulated), (1030, 0));
}

/// Sites in the order that the real server had, and the files that the commands name.
fn start(cases: &[Case]) -> Federation {
    let of_line = |wanted: &str| {
        let case = cases.iter().find(|(user, line, ..)| line.as_deref() == Some(wanted) && user == "admin@nvidia.com");
        &case.unwrap_or_else(|| panic!("nobody asked for {wanted}")).4
    };
    let text = |line: &str| of_line(line)["data"][0]["data"].as_str().unwrap().to_owned();
    let clients = of_line("check_status server")["meta"]["clients"].as_array().unwrap();
    let sites: Vec<&str> = clients.iter().map(|client| client["client_name"].as_str().unwrap()).collect();

    let started = ISSUED + Duration::from_secs(60);
    let mut config = config(&sites, started);
    let files = &mut config.server.files;
    files.insert("readme.txt", text("cat server readme.txt").into_bytes(), 0o644, started);
    for (number, name) in text("ls server startup").lines().enumerate() {
        // Of the sizes that decide the order of `ls -S`.
        let size = text("ls server -S startup").lines().rev().position(|listed| listed == name).unwrap();
        files.insert(&format!("startup/{name}"), vec![b'x'; size * 100 + number % 2], 0o644, started);
    }
    for name in text("ls server local").lines() {
        files.insert(&format!("local/{name}"), Vec::new(), 0o644, started);
    }
    let (head, tail) =
        (text("head server -n 2 startup/fed_server.json"), text("tail server -n 2 startup/fed_server.json"));
    files.insert("startup/fed_server.json", format!("{head}...\n{tail}").into_bytes(), 0o644, started);
    for site in &mut config.sites {
        for name in text("ls site-1 startup").lines() {
            site.workspace.files_mut().insert(&format!("startup/{name}"), Vec::new(), 0o644, started);
        }
        let kit = text("cat site-1 startup/fed_client.json");
        site.workspace.files_mut().insert("startup/fed_client.json", kit.into_bytes(), 0o644, started);
    }
    Federation::start(config, 11, started)
}

/// Replaces what is different in every federation, after a look at it.
fn normalize(reply: &mut Value) {
    let Some(body) = reply.as_object_mut() else { return };
    body.shift_remove("time");
    let text = body["data"].to_string().replace(&json!(LIST_JOBS_HELP).to_string().replace('"', ""), "<help>");
    body["data"] = serde_json::from_str(&text).unwrap();
    if let Some(info) = body["meta"].get("info").and_then(Value::as_str) {
        body["meta"]["info"] = json!(info.replace(LIST_JOBS_HELP, "<help>"));
    }
    if let Some(started) = body["meta"].get_mut("server_start_time") {
        assert!(started.is_f64());
        *started = json!("<started>");
    }
    let mut seen = Vec::new();
    for client in body["meta"].get_mut("clients").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(time) = client.get_mut("client_last_conn_time") else { return };
        seen.push(Moment::from_unix(Duration::from_secs_f64(time.as_f64().unwrap())));
        *time = json!("<heartbeat>");
    }
    let tables = body["data"].as_array_mut().unwrap().iter_mut().filter_map(|item| item["rows"].as_array_mut());
    for rows in tables.filter(|rows| rows[0][1] == "FQCN") {
        for (row, seen) in rows.iter_mut().skip(1).zip(&seen) {
            assert!(is_uuid4(row[4].as_str().unwrap()));
            assert_eq!(row[5], json!(LocalTime::UTC.asctime(*seen)));
            row[4] = json!("<token>");
            row[5] = json!("<heartbeat>");
        }
    }
}
