//! Both readings of recorded replies.

use flare_wire::hci::Reply;
use serde_json::json;

use super::reading::{delivered, understood};
use super::*;

fn recorded(name: &str) -> Reply {
    Reply::parse(&flare_fixtures::reply(name).reply.to_string()).unwrap()
}

fn read(name: &str, reading: StatusReading) -> (ApiStatus, String) {
    match understood(delivered(recorded(name), reading), reading) {
        Ok(understood) => (ApiStatus::Success, understood.text),
        Err(response) => (response.status, response.message().unwrap_or_default().to_owned()),
    }
}

#[test]
fn what_was_refused_is_an_error_though_the_original_calls_it_success() {
    for (name, strict, original) in [
        ("clone_job.bad_id", ApiStatus::ErrorRuntime, ApiStatus::Success),
        ("ls.unknown", ApiStatus::ErrorInvalidClient, ApiStatus::Success),
        ("pwd.server.member", ApiStatus::ErrorAuthorization, ApiStatus::ErrorAuthorization),
        ("show_stats.running.client_nope", ApiStatus::ErrorInvalidClient, ApiStatus::ErrorInvalidClient),
        ("show_stats.finished", ApiStatus::ErrorRuntime, ApiStatus::Success),
        ("proto.bad_token", ApiStatus::ErrorInactiveSession, ApiStatus::ErrorAuthentication),
        ("cat.missing", ApiStatus::Success, ApiStatus::Success),
    ] {
        assert_eq!(read(name, StatusReading::Strict).0, strict, "{name}");
        assert_eq!(read(name, StatusReading::AsOriginal).0, original, "{name}");
    }
}

#[test]
fn the_words_are_those_of_the_original_where_it_sees_the_error_too() {
    for reading in [StatusReading::Strict, StatusReading::AsOriginal] {
        let (_, text) = read("show_stats.running.client_nope", reading);
        assert!(text.starts_with("Error: LookupError: "), "{text}");
        let (_, text) = read("pwd.server.member", reading);
        assert!(text.starts_with("Error: PermissionError: "), "{text}");
    }
}

#[test]
fn a_file_with_a_key_word_in_it_is_shown() {
    let mut reply = Reply::new();
    reply.push_string("user x is not authorized for submit_job");
    let raw = |reading| delivered(reply.clone(), reading);
    assert!(understood(raw(StatusReading::Strict), StatusReading::Strict).is_ok());
    let original = understood(raw(StatusReading::AsOriginal), StatusReading::AsOriginal).unwrap_err();
    assert_eq!(original.status, ApiStatus::ErrorAuthorization);
}

#[test]
fn a_site_that_refuses_is_recognised_by_its_whole_sentence() {
    let said = |text: &str| {
        let mut reply = Reply::new();
        reply.push_string(text);
        let understood = understood(delivered(reply, StatusReading::Strict), StatusReading::Strict).unwrap();
        understood.unless_refused_by_a_site("me", "pwd").map_err(|response| response.status).map(|_| ())
    };
    let refused = Err(ApiStatus::ErrorAuthorization);
    assert_eq!(said("user 'me' is not authorized for 'pwd'"), refused);
    assert_eq!(said("client:a : shutdown\nclient:b : user 'me' is not authorized for 'pwd'\n"), refused);
    assert_eq!(said("user 'you' is not authorized for 'pwd'"), Ok(()));
    assert_eq!(said("user 'me' is not authorized for 'pwd'\nanother line of a log\n"), Ok(()));
}

#[test]
fn an_older_server_tells_by_its_words_alone() {
    for (text, status) in [
        ("user not authorized", ApiStatus::ErrorAuthorization),
        ("invalid client(s): x", ApiStatus::ErrorInvalidClient),
        ("no", ApiStatus::ErrorRuntime),
    ] {
        let reply = Reply::parse(&json!({"data": [{"type": "error", "data": text}]}).to_string()).unwrap();
        let raw = delivered(reply, StatusReading::Strict);
        assert!(raw.is_success(), "it was delivered and answered");
        assert_eq!(understood(raw, StatusReading::Strict).unwrap_err().status, status, "{text}");
    }
}

#[test]
fn names_are_looked_up_with_and_without_their_scope() {
    let description = |scope: &str, name: &str| CommandDescription {
        scope: scope.to_owned(),
        name: name.to_owned(),
        description: String::new(),
        usage: String::new(),
        confirm: "none".to_owned(),
        client_command: None,
        visible: true,
    };
    let table = [description("a", "x"), description("b", "x"), description("b", "y")];
    assert_eq!(find(&table, "y").unwrap().scope, "b");
    assert_eq!(find(&table, "a.x").unwrap().scope, "a");
    let refused = |name| find(&table, name).unwrap_err();
    assert_eq!(refused("x"), "Ambiguous command x - qualify with scope");
    assert_eq!(refused("z"), "Command z not found");
    assert_eq!(refused("c.y"), "Command c.y not found");
}

#[test]
fn a_response_is_the_dictionary_of_the_original() {
    let raw = delivered(recorded("list_jobs.empty"), StatusReading::Strict);
    let response = FlAdminApiResponse::success(json!([])).with_raw(raw).to_json();
    assert_eq!((&response["status"], &response["details"]), (&json!("SUCCESS"), &json!([])));
    let mut keys: Vec<_> = response["raw"].as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["data", "meta", "status", "time"]);
}
