//! The pipeline that every command goes through: parse, split, look up, and how a reply is written.

use flare_wire::cell::{Headers, Payload, channel};
use flare_wire::hci::{Item, JsonObject, Reply, Request};
use flare_wire::msgpack::Value;

use crate::finding::{ensure, ensure_eq};
use crate::raw::{Admin, read_reply};
use crate::{Case, CaseResult, Context, Finding, Need, Who};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("protocol.not-json", "what is not JSON is a violation", |context| {
            violation(context, &["", "nonsense", "{", "list_sessions"])
        })
        .checks(&["PROTOCOL-PARSE-001"]),
        Case::new("protocol.no-command", "a request without a command is a violation", |context| {
            violation(context, &[r#"{"data": [], "meta": {}}"#, r#"{"data": [{"type": "token", "data": "t"}]}"#])
        })
        .checks(&["PROTOCOL-PARSE-002"]),
        Case::new("protocol.wrong-shape", "a request of another shape is a violation", |context| {
            violation(context, &["[]", "7", r#""text""#, "{}"])
        })
        .checks(&["PROTOCOL-PARSE-003"]),
        Case::new("protocol.bytes", "bytes that are not JSON are a violation", bytes).checks(&["PROTOCOL-PARSE-001"]),
        Case::new("protocol.unknown-keys", "unknown keys are passed over", unknown_keys)
            .checks(&["PROTOCOL-PARSE-004"]),
        Case::new("protocol.blanks", "several blanks are as one, but those at the end count", blanks)
            .checks(&["PROTOCOL-SPLIT-001"])
            .needs([Need::Admin(Who::PROJECT_ADMIN)]),
        Case::new("protocol.quotes", "quotes group, and vanish", |context| {
            same_as_pwd(context, &[r#"pwd "server""#, "pwd 'server'", r#""pwd" ser"ver""#, "'pwd'   'server' "])
        })
        .checks(&["PROTOCOL-SPLIT-002"])
        .needs([Need::Admin(Who::PROJECT_ADMIN)]),
        Case::new("protocol.unfinished-quotes", "unfinished quotes are taken as they are", unfinished_quotes)
            .checks(&["PROTOCOL-SPLIT-003"])
            .needs([Need::Admin(Who::PROJECT_ADMIN)]),
        Case::new("protocol.hash", "a hash is a character like any other", hash).checks(&["PROTOCOL-SPLIT-004"]),
        Case::new("protocol.scope", "a command may be named with its scope", |context| {
            same_as_pwd(context, &["sys.pwd server"])
        })
        .checks(&["PROTOCOL-NAME-001"])
        .needs([Need::Admin(Who::PROJECT_ADMIN)]),
        Case::new("protocol.unknown-without-token", "an unknown command is told without a session", unknown_command)
            .checks(&["PROTOCOL-NAME-002"]),
        Case::new("protocol.reply-text", "replies are dated, and ASCII", reply_text)
            .checks(&["PROTOCOL-REPLY-001", "PROTOCOL-REPLY-002"]),
    ]
}

fn is_violation(reply: &Reply) -> CaseResult {
    ensure_eq!(reply.data, [Item::Error("protocol violation".to_owned())], "items of the reply");
    ensure_eq!(reply.status().map(|status| status.as_str().to_owned()), Some("internal_error".to_owned()), "status");
    ensure_eq!(reply.info(), "protocol violation", "info");
    Ok(())
}

async fn violation(context: Context, texts: &'static [&'static str]) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    for text in texts {
        let reply = admin.send_text(text).await.map_err(|finding| finding.during(text))?;
        is_violation(&reply).map_err(|finding| finding.during(text))?;
    }
    admin.command("list_sessions").await.map(drop)
}

async fn bytes(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let payload = Payload::fobs(&Value::from(&b"nonsense"[..]));
    let reply = admin.peer.request(channel::HCI, channel::COMMAND, &Headers::new(), &payload).await?;
    is_violation(&read_reply(&reply)?)
}

async fn unknown_keys(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let request = Request { token: admin.token.clone(), ..Request::new("list_sessions") };
    let text = request.to_json().replacen('{', r#"{"novel": [1, {"a": null}], "#, 1);
    let text = text.replace(r#""meta": {}"#, r#""meta": {"novel": true}"#);
    ensure!(text.contains("novel\": true"), "the case's own request {text}");
    let reply = admin.send_text(&text).await?;
    ensure!(matches!(reply.data.as_slice(), [Item::Table(_)]), "the reply is no table: {}", reply.to_json());
    Ok(())
}

/// Each of these lines gives what `pwd server` gives.
async fn same_as_pwd(context: Context, lines: &'static [&'static str]) -> CaseResult {
    let mut admin = Admin::login(context.kit(Who::PROJECT_ADMIN)?).await?;
    let expected = admin.command("pwd server").await?;
    ensure!(matches!(expected.data.as_slice(), [Item::String(_)]), "pwd gave {}", expected.to_json());
    for line in lines {
        let reply = admin.command(line).await?;
        ensure_eq!(reply.data, expected.data, "items of the reply to `{line}`");
        ensure_eq!(reply.meta, JsonObject::new(), "meta of the reply to `{line}`");
    }
    Ok(())
}

async fn blanks(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.kit(Who::PROJECT_ADMIN)?).await?;
    let expected = admin.command("pwd server").await?;
    let reply = admin.command("pwd    server").await?;
    ensure_eq!(reply.data, expected.data, "items of the reply with blanks between the words");
    for line in ["pwd server ", "pwd server    "] {
        let reply = admin.command(line).await?;
        let expected = "this command does not accept extra args";
        ensure_eq!(reply.data, [Item::Error(expected.to_owned())], "items of the reply to `{line}`");
    }
    Ok(())
}

async fn hash(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let reply = admin.command("no_such_command#x # list_sessions").await?;
    ensure_eq!(reply.data, [Item::Error("Unknown command \"no_such_command#x\"".to_owned())], "items of the reply");
    let reply = admin.command("check_status foo # bar").await?;
    ensure_eq!(reply.data, [Item::Error("unknown target type foo".to_owned())], "items of the reply");
    Ok(())
}

async fn unfinished_quotes(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.kit(Who::PROJECT_ADMIN)?).await?;
    for (line, target) in [("pwd \"server", "\"server"), ("pwd it's", "it's")] {
        let reply = admin.command(line).await?;
        let expected = format!("invalid target: {target}");
        ensure_eq!(reply.data, [Item::Error(expected)], "items of the reply to `{line}`");
    }
    Ok(())
}

async fn unknown_command(context: Context) -> CaseResult {
    let mut admin = Admin::register(context.any_kit()?).await?;
    for token in [None, Some("garbage")] {
        let reply = admin.command_as("no_such_command", token).await?;
        let expected = "Unknown command \"no_such_command\"";
        ensure_eq!(reply.data, [Item::Error(expected.to_owned())], "items of the reply, token {token:?}");
    }
    Ok(())
}

async fn reply_text(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let request = Request { token: admin.token.clone(), ..Request::new("größe_😀") };
    let payload = Payload::text(&request.to_json());
    let reply = admin.peer.request(channel::HCI, channel::COMMAND, &Headers::new(), &payload).await?;
    let text = reply.body().as_text().map_err(|error| Finding::fail(error.to_string()))?;
    let parsed = Reply::parse(&text).map_err(|error| Finding::fail(error.to_string()))?;
    ensure!(is_dated(&parsed.time), "time `{}`", parsed.time);
    let message = r#"Unknown command \"gr\u00f6\u00dfe_\ud83d\ude00\""#;
    let expected = format!(
        r#"{{"time": "{}", "data": [{{"type": "error", "data": "{message}"}}], "meta": {{"status": "error", "info": "{message}"}}}}"#,
        parsed.time
    );
    ensure_eq!(text, expected, "text of the reply");
    Ok(())
}

/// `YYYY-MM-DD HH:MM:SS.ffffff`; a time on a whole second has no fraction, as Python prints it.
fn is_dated(text: &str) -> bool {
    let pattern = "dddd-dd-dd dd:dd:dd.dddddd";
    (text.len() == pattern.len() || text.len() == pattern.len() - 7)
        && text.chars().zip(pattern.chars()).all(|(c, p)| if p == 'd' { c.is_ascii_digit() } else { c == p })
}
