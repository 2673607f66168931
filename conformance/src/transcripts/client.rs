//! A client that says to a simulator what the recorded one said, and compares the replies.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flare_client::{Observed, Session, StartupKit, StudyName, SubmitToken};
use flare_wire::cell::{Headers, Payload};
use flare_wire::hci::{Reply, split_line};
use flare_wire::redact::Redactor;
use flare_wire::transfer::download::{CHANNEL, Pull, PullReply, TOPIC};
use flare_wire::transfer::upload::PieceReply;
use serde_json::Value;
use tempfile::TempDir;

use super::extract::{DEFAULT_STUDY, OwnNames};
use super::legend::{put_back, put_back_in};
use super::model::{Exchange, Transcript};
use crate::diff::{References, allowances_of};
use crate::kits::AdminKit;
use crate::raw::{Admin, value};
use crate::{CaseResult, Finding, Target};

/// Cases whose replies tell of what the recorded server had been through before.
const OF_THEIR_OWN: &[(&str, &str)] = &[
    ("api.session.timeout", "the recorded sites were too late for a very short timeout, simulated ones are not"),
    ("api.shell.logs", "the lines of logs are those of the recorded server's own start"),
    ("api.shell.ls", "the recorded server had files of what was done on it before"),
    ("jobs.list.filters", "it names jobs by the first letters of the ids that the recorded server gave them"),
];

/// Commands that only look, at what changes by itself: they are said again until the reply is the recorded one.
const LOOKING: [&str; 3] = ["get_job_meta", "list_jobs", "check_status"];

/// For how long they are. The scheduler of a real server looks at a new job within a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often.
const POLL: Duration = Duration::from_millis(50);

/// Says everything in a transcript to `target`.
///
/// # Errors
/// Unsupported for what cannot be said again; fails when a reply is another one.
pub(super) async fn replay(transcript: &Transcript, target: &Target, own: &OwnNames) -> CaseResult {
    if let Some((_, reason)) = OF_THEIR_OWN.iter().find(|(case, _)| *case == transcript.case) {
        return Err(Finding::untestable(*reason));
    }
    let mut client = RecordedClient {
        target,
        own,
        legend: &transcript.legend,
        admins: BTreeMap::new(),
        references: References::default(),
        redactor: Redactor::new(),
    };
    for (index, exchange) in transcript.exchanges.iter().enumerate() {
        // Of what was said until something had happened, the last reply counts.
        if !transcript.exchanges.get(index + 1).is_some_and(|next| is_asked_again(exchange, next)) {
            client.say(exchange).await?;
        }
    }
    Ok(())
}

/// True for a command that only looks.
fn looks(line: &str) -> bool {
    LOOKING.contains(&split_line(line).name())
}

fn is_asked_again(exchange: &Exchange, next: &Exchange) -> bool {
    let said = |exchange: &Exchange| (exchange.user.clone(), exchange.study.clone(), exchange.command.clone());
    looks(&exchange.command) && said(exchange) == said(next)
}

/// Leaves out of the metas of jobs what the scheduler has noted: how often it has looked at a waiting job by the time of a
/// reply is chance.
fn leave_out_attempts(reply: &mut Value) {
    match reply {
        Value::Object(members) => {
            if members.contains_key("job_id") {
                for name in ["schedule_count", "last_schedule_time", "schedule_history"] {
                    members.shift_remove(name);
                }
            }
            members.values_mut().for_each(leave_out_attempts);
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out_attempts),
        _ => {}
    }
}

struct RecordedClient<'a> {
    target: &'a Target,
    own: &'a OwnNames,
    legend: &'a BTreeMap<String, String>,
    /// By user and study.
    admins: BTreeMap<(&'a str, &'a str), Admin>,
    references: References,
    redactor: Redactor,
}

impl<'a> RecordedClient<'a> {
    /// Says one command and compares the reply.
    async fn say(&mut self, exchange: &'a Exchange) -> CaseResult {
        let line = self.references.translated(&put_back(self.legend, &exchange.command));
        let mut recorded = put_back_in(self.legend, &exchange.reply);
        leave_out_attempts(&mut recorded);
        let allowances = allowances_of(split_line(&line).name());
        let until = Instant::now() + PATIENCE;
        loop {
            let observed = self.reply(exchange, &line).await?;
            let shown = self.redactor.message(&Headers::new(), &Payload::text(&observed)).body.unwrap_or_default();
            let mut shown = self.own.hide_in(&shown);
            leave_out_attempts(&mut shown);
            let mut references = self.references.clone();
            let differences = references.differences(&recorded, &shown, &allowances);
            if differences.is_empty() {
                self.references = references;
                return self.fetch(exchange, &observed).await;
            }
            if !looks(&line) || Instant::now() > until {
                let what = format!("reply to `{line}` of {}: {}", exchange.user, differences.join("; "));
                return Err(Finding::differs(what, recorded.to_string(), shown.to_string()));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The text of the reply to a command.
    async fn reply(&mut self, exchange: &'a Exchange, line: &str) -> CaseResult<String> {
        if exchange.upload {
            return submit(self.kit(exchange)?, exchange, line).await;
        }
        let admin = self.admin(exchange).await?;
        Ok(admin.command_with(line, exchange.meta.clone()).await?.to_json())
    }

    fn kit(&self, exchange: &Exchange) -> CaseResult<&'a AdminKit> {
        let kit = self.target.admins().iter().find(|kit| kit.user == exchange.user);
        kit.ok_or_else(|| Finding::untestable(format!("the target lacks {}", exchange.user)))
    }

    async fn admin(&mut self, exchange: &'a Exchange) -> CaseResult<&mut Admin> {
        let kit = self.kit(exchange)?;
        match self.admins.entry((&exchange.user, &exchange.study)) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(Admin::login_to(kit, study_of(exchange)).await?)),
        }
    }

    /// Fetches the files that a reply offers, each to its end.
    async fn fetch(&mut self, exchange: &'a Exchange, reply: &str) -> CaseResult {
        let reply = Reply::parse(reply).map_err(|error| Finding::fail(error.to_string()))?;
        let Some(Value::Array(files)) = reply.meta.get("files") else { return Ok(()) };
        let admin = self.admin(exchange).await?;
        for file in files {
            let (Some(path), Some(reference)) = (file[0].as_str(), file[1].as_str()) else {
                return Err(Finding::fail(format!("an offered file without path and reference: {file}")));
            };
            let mut len = 0;
            loop {
                let pull = Pull::piece(reference, len).to_payload();
                let piece = admin.peer.request(CHANNEL, TOPIC, &Headers::new(), &pull).await?;
                match PullReply::from_value(value(&piece)?) {
                    Ok(PullReply::Data { received, .. }) if received > len => len = received,
                    Ok(PullReply::Eof { .. }) if len > 0 => break,
                    other => return Err(Finding::fail(format!("{path} after {len} bytes: {other:?}"))),
                }
            }
        }
        Ok(())
    }
}

/// Submits the recorded files, signed with the key of the user here; gives what the server says.
async fn submit(kit: &AdminKit, exchange: &Exchange, line: &str) -> CaseResult<String> {
    if exchange.files.is_empty() {
        return Err(Finding::unsupported("the files that it submits are not recorded"));
    }
    let place = TempDir::new().map_err(|error| Finding::harness(error.to_string()))?;
    for (path, text) in &exchange.files {
        write(place.path(), path, text)?;
    }
    let words = split_line(line);
    let folder = words.args().first().cloned().unwrap_or_default();
    let answer: Arc<Mutex<Option<String>>> = Arc::default();
    let heard = Arc::clone(&answer);
    let builder = Session::builder(StartupKit::open(&kit.path)?);
    let builder = builder.study(StudyName::new(study_of(exchange))?).observer(move |seen| {
        let Observed::Received { payload, .. } = seen else { return };
        let piece = payload.value().ok().and_then(|value| PieceReply::from_value(&value).ok());
        if let Some(result) = piece.and_then(|piece| piece.end_result) {
            *heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    });
    let session = builder.connect().await?;
    let mut submission = session.submit_job(place.path().join(folder));
    if let Some(token) = token_in(words.args()) {
        submission = submission.token(SubmitToken::new(token)?);
    }
    if let Some(Value::Object(props)) = exchange.meta.get("custom_props") {
        submission = submission.custom_props(props.clone());
    }
    // What a client makes of the reply is what the other part is about.
    let submitted = submission.await;
    session.close().await;
    let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
    answer.ok_or_else(|| Finding::fail(format!("`{line}` got no reply: {submitted:?}")))
}

fn study_of(exchange: &Exchange) -> &str {
    if exchange.study.is_empty() { DEFAULT_STUDY } else { &exchange.study }
}

/// The submit token among these arguments.
fn token_in(args: &[String]) -> Option<&str> {
    let index = args.iter().position(|arg| arg == "--submit-token")?;
    args.get(index + 1).map(String::as_str)
}

/// Writes a file of a recording, which is somebody else's, below `place`.
fn write(place: &Path, path: &str, text: &str) -> CaseResult {
    let is_below = Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !is_below {
        return Err(Finding::harness(format!("a recorded file is elsewhere: {path}")));
    }
    let path = place.join(path);
    let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, text));
    written.map_err(|error| Finding::harness(format!("{}: {error}", path.display())))
}
