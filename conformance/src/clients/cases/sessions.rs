//! What holds for a session as a whole.

use std::sync::Arc;
use std::time::Duration;

use flare_wire::Moment;
use serde_json::{Value, json};

use super::calls::{Setting, prepared};
use super::{ENDED, about, case};
use crate::clients::bout::{Bout, CHIEF, SITE};
use crate::clients::process::Subject;
use crate::finding::{ensure, ensure_eq};
use crate::{Case, CaseResult, Finding};

/// How long something that must come may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Calls that are under way at the same time.
const AT_ONCE: usize = 8;

/// A text of several chunks, and longer than a plain message may be.
const LARGE: usize = 6 * 1024 * 1024;

pub(super) fn cases(subject: &Arc<Subject>) -> Vec<Case> {
    vec![
        case(
            subject,
            about("session.token", "every command bears the token of its login", &["CLIENT-TOKEN-001"], &["list_jobs"]),
            token,
        ),
        case(
            subject,
            about(
                "session.timeout",
                "set_timeout goes with every later command, until it is unset",
                &["API-TIMEOUT-001"],
                &["set_timeout", "unset_timeout"],
            ),
            command_timeout,
        ),
        case(
            subject,
            about(
                "session.quoting",
                "a word with blanks, quotes and backslashes arrives as it is",
                &["CLIENT-LINE-001", "API-SHELL-010"],
                &["list_jobs"],
            ),
            quoting,
        ),
        case(
            subject,
            about(
                "session.at-once",
                "many calls at once, each with its own answer",
                &["API-SESSION-006"],
                &["get_working_directory"],
            ),
            at_once,
        ),
        case(
            subject,
            about(
                "session.acknowledged",
                "every stream of the server is acknowledged",
                &["CLIENT-STREAM-001"],
                &["list_jobs"],
            ),
            acknowledged,
        ),
        case(
            subject,
            about(
                "session.large-reply",
                "a reply of several chunks is read whole",
                &["CLIENT-STREAM-001"],
                &["cat_target"],
            ),
            large_reply,
        ),
        case(
            subject,
            about("session.unicode", "a text of any language is a text", &["CLIENT-TEXT-001"], &["cat_target"]),
            unicode,
        ),
        case(
            subject,
            about(
                "session.words-not-authorized",
                "a file that says `not authorized` is a file",
                &["CLIENT-TEXT-001"],
                &["cat_target"],
            ),
            |subject| words(subject, "the site is not authorized to see this\n"),
        ),
        case(
            subject,
            about(
                "session.words-inactive",
                "a file that says `session_inactive` is a file",
                &["CLIENT-TEXT-001"],
                &["cat_target"],
            ),
            |subject| words(subject, "error: session_inactive\n"),
        ),
        case(
            subject,
            about(
                "session.words-invalid-client",
                "a file that says `invalid client` is a file",
                &["CLIENT-TEXT-001"],
                &["cat_target"],
            ),
            |subject| words(subject, "2026-11-26 invalid client: ward-c\n"),
        ),
        case(
            subject,
            about("close.logout", "closing logs out, and ends the connection", &["CLIENT-CLOSE-001"], &[]),
            logout,
        ),
        case(subject, about("close.bye", "closing says bye", &["CLIENT-CLOSE-001"], &[]), bye),
        case(subject, about("close.twice", "a session may be closed twice", &["API-SESSION-001"], &[]), twice),
        case(
            subject,
            about(
                "close.then-call",
                "a closed session sends nothing and says why",
                &["API-SESSION-002", "CLIENT-CLOSE-001"],
                &["list_jobs"],
            ),
            then_call,
        ),
        case(
            subject,
            about("close.process", "the process ends when it is told to", &["CLIENT-CLOSE-002"], &[]),
            process_ends,
        ),
        case(
            subject,
            about("session.two", "two sessions of one process are two", &["SESSION-TOKEN-001"], &["list_jobs"]),
            two,
        ),
    ]
}

async fn token(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    for call in ["list_jobs", "get_system_info", "list_studies"] {
        match bout.value(call, json!({})).await {
            Err(finding) if finding.state() == crate::State::Unsupported => {}
            other => drop(other?),
        }
    }
    let mut count = 0;
    for connection in bout.wire.all_commands().chunk_by(|one, other| one.connection == other.connection) {
        let tokens: Vec<Option<&str>> = connection
            .iter()
            .filter(|command| command.name != "_cert_login")
            .map(|command| command.request.token.as_deref())
            .collect();
        ensure!(tokens.iter().all(Option::is_some), "a command without a token");
        ensure!(tokens.windows(2).all(|pair| pair[0] == pair[1]), "commands of one session bear several tokens");
        count += tokens.len();
    }
    ensure!(count >= 3, "only {count} commands were seen");
    Ok(())
}

async fn command_timeout(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    let status = || json!({"target_type": "server"});
    bout.value("check_status", status()).await?;
    bout.value("set_timeout", json!({"value": 7.5})).await?;
    bout.value("check_status", status()).await?;
    bout.value("unset_timeout", json!({})).await?;
    bout.value("check_status", status()).await?;
    let timeouts: Vec<Option<f64>> = bout
        .wire
        .commands()
        .iter()
        .map(|command| command.request.meta.get("cmd_timeout").and_then(Value::as_f64))
        .collect();
    ensure_eq!(timeouts, [None, Some(7.5), None], "cmd_timeout of three commands");
    Ok(())
}

async fn quoting(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    let prefix = r#"a b"c\d'e"#;
    bout.value("list_jobs", json!({"name_prefix": prefix})).await?;
    let commands = bout.wire.commands();
    let words: Vec<&str> = commands.iter().flat_map(|command| command.words.iter().map(String::as_str)).collect();
    ensure_eq!(words, ["-n", prefix], "the words behind list_jobs");
    Ok(())
}

async fn at_once(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    if !bout.client.hello.concurrent {
        return Err(Finding::unsupported("the client takes one call at a time"));
    }
    let targets = ["server", SITE];
    let mut asked = Vec::new();
    for target in targets.iter().cycle().take(AT_ONCE) {
        asked.push((*target, bout.ask("get_working_directory", json!({"target": target})).await?));
    }
    for (target, id) in asked.into_iter().rev() {
        let folder = bout.answer(id, "get_working_directory").await?.value("get_working_directory")?;
        ensure!(
            folder.as_str().is_some_and(|folder| folder.trim_end().ends_with(target)),
            "the folder of {target} is {folder}"
        );
    }
    Ok(())
}

async fn acknowledged(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, _) = prepared(&subject, Setting::Waiting).await?;
    bout.value("list_jobs", json!({})).await?;
    ensure!(!bout.wire.streams_out().is_empty(), "the server has sent no stream");
    bout.wire
        .until("an acknowledgement of every stream", PATIENCE, |wire| {
            wire.streams_out().values().all(|acknowledged| *acknowledged)
        })
        .await
}

/// Lets the client read a file of a site that says this.
async fn read_back(subject: &Subject, text: &str) -> CaseResult<Value> {
    let mut bout = Bout::open(subject).await?;
    let content = text.as_bytes().to_vec();
    let is_there = bout.server.control(move |sim, now: Moment| {
        sim.site_files_mut(SITE).map(|files| files.insert("said.txt", content, 0o644, now)).is_some()
    });
    ensure!(is_there, "the simulator has no {SITE}");
    bout.connect_as(CHIEF).await?;
    bout.value("cat_target", json!({"target": SITE, "file": "said.txt"})).await
}

async fn large_reply(subject: Arc<Subject>) -> CaseResult {
    let line = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n";
    let text = line.repeat(LARGE / line.len());
    let value = read_back(&subject, &text).await?;
    let read = value.as_str().unwrap_or_default();
    ensure_eq!(read.trim_end().len(), text.trim_end().len(), "length of a long text");
    ensure!(read.trim_end() == text.trim_end(), "a long text arrived changed");
    Ok(())
}

async fn unicode(subject: Arc<Subject>) -> CaseResult {
    let text = "Zürich 東京 \u{1f3e5} a\u{308}\n";
    ensure_eq!(read_back(&subject, text).await?, Value::from(text), "a text of many languages");
    Ok(())
}

async fn words(subject: Arc<Subject>, text: &'static str) -> CaseResult {
    ensure_eq!(read_back(&subject, text).await?, Value::from(text), "the text of a file");
    Ok(())
}

async fn logout(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    bout.value("list_jobs", json!({})).await?;
    bout.close().await?;
    bout.wire
        .until("a logout, and the end of the connection", PATIENCE, |wire| {
            !wire.named("_logout").is_empty() && wire.open() == 0
        })
        .await?;
    let commands = bout.wire.all_commands();
    ensure_eq!(commands.last().map(|command| command.name.as_str()), Some("_logout"), "the last command");
    ensure!(commands.last().is_some_and(|command| command.request.token.is_some()), "the logout has no token");
    ensure_eq!(bout.server.control(|sim, _| sim.sessions().count()), 0, "sessions on the server");
    Ok(())
}

async fn bye(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    bout.value("list_jobs", json!({})).await?;
    bout.close().await?;
    bout.wire.until("a bye", PATIENCE, |wire| wire.byes() > 0).await
}

async fn twice(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    bout.needs_sessions()?;
    bout.close().await?;
    bout.close().await
}

async fn then_call(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    bout.needs_sessions()?;
    bout.close().await?;
    let before = bout.wire.all_commands().len();
    bout.failure("list_jobs", json!({}), &["SessionClosed"]).await?;
    ensure_eq!(bout.wire.all_commands().len(), before, "commands after the session was closed");
    Ok(())
}

async fn process_ends(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    bout.close().await?;
    bout.client.quit().await
}

async fn two(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, job) = prepared(&subject, Setting::Waiting).await?;
    bout.needs_sessions()?;
    bout.value("list_jobs", json!({})).await?;
    bout.connect().await?;
    let jobs = bout.value("list_jobs", json!({})).await?;
    ensure_eq!(jobs[0]["job_id"], Value::from(job), "the job in the second session");
    let commands = bout.wire.named("list_jobs");
    let tokens: std::collections::BTreeSet<_> = commands.iter().map(|command| command.request.token.clone()).collect();
    ensure_eq!(tokens.len(), 2, "tokens of two sessions");
    bout.close().await?;
    bout.failure("list_jobs", json!({}), ENDED).await.map(drop)
}
