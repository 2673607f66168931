//! One recording: state, command, comparison.

use flare_fixtures::RecordedReply;
use flare_wire::hci::Reply;
use serde_json::{Value, json};

use crate::federation::{Federation, no_headers, request};
use crate::{logins, normal, setup, shell, word};

/// Replays a recording.
///
/// # Panics
/// When the replies differ.
pub(crate) fn replay(recorded: &RecordedReply) {
    let mut federation = setup::federation(recorded);
    let reply = match word(recorded) {
        "_cert_login" => logins::login(&mut federation, recorded),
        "_check_session" | "_logout" => logins::session(&mut federation, recorded),
        "list_sessions" => logins::list_sessions(&mut federation, recorded),
        "ls" | "cat" | "head" | "tail" | "grep" => shell::run(&mut federation, recorded),
        _ if recorded.name.starts_with("proto.") => protocol(&mut federation, recorded),
        _ => command(&mut federation, recorded),
    };
    compare(recorded, &reply, &federation);
}

/// Compares reply and recording, after the ids and times in both were checked and replaced.
pub(crate) fn compare(recorded: &RecordedReply, reply: &Reply, federation: &Federation) {
    let mut actual: Value = serde_json::from_str(&reply.to_json()).unwrap();
    let mut expected = recorded.reply.clone();
    normal::normalize(&mut expected, None);
    normal::normalize(&mut actual, Some(federation));
    if normal::has_live_duration(&expected) {
        normal::compare_live_durations(&mut expected, &mut actual);
    }
    let expected = serde_json::to_string_pretty(&expected).unwrap();
    let actual = serde_json::to_string_pretty(&actual).unwrap();
    assert_eq!(actual, expected, "{}: {:?}", recorded.name, recorded.command);
}

/// A session of the user in the study, and the command in it.
fn command(federation: &mut Federation, recorded: &RecordedReply) -> Reply {
    let token = federation.login(&recorded.user, &recorded.study);
    setup::after_login(federation, recorded);
    let mut line = recorded.command.clone().unwrap_or_default();
    if line.contains("<token of site-1>") {
        let site = federation.sim.sites().find("site-1").and_then(|site| federation.sim.sites().get(site));
        line = line.replace("<token of site-1>", site.unwrap().token());
    }
    if recorded.name == "check_status.after_logout" {
        federation.send("_logout", &token);
    }
    let meta = recorded.request_meta.clone().unwrap_or_else(|| json!({}));
    federation.send_with(&line, Some(&token), &meta)
}

/// Requests that are odd in themselves.
fn protocol(federation: &mut Federation, recorded: &RecordedReply) -> Reply {
    let token = federation.login(&recorded.user, &recorded.study);
    let line = recorded.command.clone().unwrap_or_default();
    let send = |federation: &mut Federation, token: Option<&str>| federation.send_with(&line, token, &json!({}));
    match recorded.name.as_str() {
        "proto.bad_token" => send(federation, Some("nonsense")),
        "proto.bad_token2" => send(federation, Some("a:b")),
        "proto.tampered_token" => {
            let (body, signature) = token.split_once(':').unwrap();
            send(federation, Some(&format!("{}:{signature}", tampered(body))))
        }
        "proto.no_token" | "proto.unknown_command.no_token" => send(federation, None),
        "proto.not_json" => federation.send_raw("check_status server", &no_headers()),
        "proto.no_command" => {
            let text = json!({"data": [{"type": "token", "data": token}]}).to_string();
            federation.send_raw(&text, &no_headers())
        }
        _ => {
            let meta = recorded.request_meta.clone().unwrap_or_else(|| json!({}));
            federation.send_raw(&request(&line, Some(&token), &meta), &no_headers())
        }
    }
}

/// Another user's name in a token that was signed for this one.
fn tampered(body: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let text = String::from_utf8(STANDARD.decode(body).unwrap()).unwrap();
    STANDARD.encode(text.replace("project_admin", "super"))
}
