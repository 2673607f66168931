//! Recordings of logins and sessions.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flare_fixtures::RecordedReply;
use flare_wire::hci::{Item, Reply};
use flare_wire::is_uuid4;
use flare_wire::msgpack;
use serde_json::{Value, json};

use crate::federation::{Federation, PKI, no_headers, request, token_of};
use crate::normal::moment;

/// A login as the recording describes it.
pub(crate) fn login(federation: &mut Federation, recorded: &RecordedReply) -> Reply {
    let line = recorded.command.as_deref().unwrap();
    let mut headers = PKI.login_headers(&recorded.user, &recorded.study);
    let mut line = line.to_owned();
    match recorded.name.as_str() {
        "_cert_login.bad_signature" => headers.signature = Some(msgpack::Value::Binary(vec![0; 256])),
        "_cert_login.no_headers" => headers = no_headers(),
        "_cert_login.study_none" => headers.study = Some(msgpack::Value::Nil),
        "_cert_login.study_not_str" => headers.study = Some(5.into()),
        // The recording shows the command without its argument.
        "_cert_login.after_unmapped" => line = format!("_cert_login {}", recorded.user),
        _ => {}
    }
    let mut reply = federation.send_raw(&request(&line, None, &json!({})), &headers);
    if let Some(token) = token_of(&reply) {
        same_token(recorded, &token);
        // Compared; what is left is its place in the reply.
        reply.data = vec![Item::String("OK".into()), Item::Token(recorded_token(recorded))];
    }
    reply
}

fn recorded_token(recorded: &RecordedReply) -> String {
    let items = recorded.reply["data"].as_array().unwrap();
    items.iter().find(|item| item["type"] == "token").expect("a refusal was recorded")["data"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The tokens hold the same, but for the id of the session and the end of the certificate.
fn same_token(recorded: &RecordedReply, token: &str) {
    let text = |token: &str| String::from_utf8(STANDARD.decode(token.split(':').next().unwrap()).unwrap()).unwrap();
    let expected = recorded_token(recorded);
    let (expected, actual) = (text(&expected), text(token));
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let replace = |text: &str| {
        let body = read(text);
        let id = body["s"].as_str().unwrap();
        assert!(is_uuid4(id) && id.contains('-'), "{id}");
        let expiry = body["ce"].to_string();
        assert!(expiry.ends_with(".0"), "{expiry}");
        text.replace(id, "<session>").replace(&expiry, "<expiry>")
    };
    assert_eq!(replace(&actual), replace(&expected), "{}", recorded.name);
    let leaf = PKI.person(&recorded.user).certificate().not_after();
    assert_eq!(read(&actual)["ce"], json!(leaf.as_secs_f64()));
}

/// `_check_session` and `_logout` in the states that the recordings tell of.
pub(crate) fn session(federation: &mut Federation, recorded: &RecordedReply) -> Reply {
    let token = federation.login(&recorded.user, &recorded.study);
    let line = recorded.command.as_deref().unwrap();
    match recorded.name.as_str() {
        "_check_session.no_token" | "_logout.no_token" => return federation.send_with(line, None, &json!({})),
        "_check_session.bad_token" => return federation.send(line, "nonsense"),
        "_check_session.after_logout" => drop(federation.send("_logout", &token)),
        "_check_session.after_recreate" => {
            federation.send("_logout", &token);
            federation.send("list_sessions", &token);
        }
        _ => {}
    }
    federation.send(line, &token)
}

/// Opens the recorded sessions at the recorded times, and compares with their ids replaced.
pub(crate) fn list_sessions(federation: &mut Federation, recorded: &RecordedReply) -> Reply {
    let rows = recorded.reply["data"][0]["rows"].as_array().unwrap()[1..].to_vec();
    let cell = |row: &Value, at: usize| row[at].as_str().unwrap().to_owned();
    let listed = federation.now;
    // Logins and later commands, in the order of time; the command itself comes last.
    let mut steps: Vec<_> = rows.iter().map(|row| (moment(&cell(row, 4)), false, row)).collect();
    steps.extend(rows.iter().map(|row| (moment(&cell(row, 5)), true, row)));
    steps.sort_by_key(|(at, is_command, _)| (*at, *is_command));
    let mut tokens: HashMap<String, String> = HashMap::new();
    for (at, is_command, row) in steps {
        federation.now = at;
        let id = cell(row, 3);
        if is_command {
            federation.send("_commands", &tokens[&id]);
        } else {
            let token = federation.login(&cell(row, 0), "default");
            tokens.insert(id, token);
        }
    }
    let own = rows.iter().filter(|row| cell(row, 0) == recorded.user);
    let latest = own.max_by_key(|row| cell(row, 5)).unwrap();
    federation.now = listed;
    let mut reply = federation.send("list_sessions", &tokens[&cell(latest, 3)]);
    let Some(Item::Table(table)) = reply.data.first_mut() else { panic!("no table: {reply:?}") };
    assert_eq!(table.len(), rows.len() + 1);
    for (row, expected) in table.iter_mut().skip(1).zip(&rows) {
        let session = row[3].take().unwrap();
        assert!(is_uuid4(&session));
        assert_eq!(session_id(&tokens[&cell(expected, 3)]), session);
        row[3] = Some(cell(expected, 3));
        // The sessions were used at whole seconds here, and at any time there.
        let idle: f64 = row[6].take().unwrap().parse().unwrap();
        let expected_idle: f64 = cell(expected, 6).parse().unwrap();
        assert!((-0.01..=1.0).contains(&(idle - expected_idle)), "{idle} {expected_idle}");
        row[6] = Some(cell(expected, 6));
    }
    reply
}

fn session_id(token: &str) -> String {
    let body: Value = serde_json::from_slice(&STANDARD.decode(token.split(':').next().unwrap()).unwrap()).unwrap();
    body["s"].as_str().unwrap().to_owned()
}
