//! A server that answers as the recorded one did, to a client that says what the recorded one said.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flare_simserver::Scripted;
use flare_wire::hci::{Item, MetaStatus, Reply};
use serde_json::{Map, Value};

use super::extract::{DEFAULT_STUDY, OwnNames};
use super::legend::{put_back, put_back_in};
use super::model::Transcript;
use crate::{CaseResult, Finding};

/// What a client asks for by itself when it opens a session, and before it submits a job.
const COMMANDS: &str = "_commands";

/// What the server has to say, and how far it got.
#[derive(Debug, Clone)]
pub(super) struct RecordedServer(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// By user and study.
    queues: BTreeMap<(String, String), Queue>,
    /// Where the server is now.
    own: OwnNames,
    problem: Option<String>,
    is_over: bool,
}

/// What one user said in a study, in this order.
#[derive(Debug, Default)]
struct Queue {
    turns: Vec<Turn>,
    next: usize,
}

#[derive(Debug)]
struct Turn {
    line: String,
    meta: Map<String, Value>,
    upload: bool,
    reply: Value,
}

impl Turn {
    fn is(&self, asked: &Scripted<'_>) -> bool {
        self.line == asked.line && self.meta == *asked.meta && self.upload == asked.has_upload
    }
}

impl RecordedServer {
    /// # Errors
    /// When a reply in the transcript is none.
    pub(super) fn new(transcript: &Transcript) -> CaseResult<Self> {
        let table = &transcript.legend;
        let mut state = State::default();
        for exchange in &transcript.exchanges {
            let reply = put_back_in(table, &exchange.reply);
            Reply::parse(&reply.to_string())
                .map_err(|error| Finding::harness(format!("the recorded reply to {}: {error}", exchange.command)))?;
            let Value::Object(meta) = put_back_in(table, &Value::Object(exchange.meta.clone())) else {
                return Err(Finding::harness("settings that are no object"));
            };
            let line = put_back(table, &exchange.command);
            let queue = state.queues.entry((exchange.user.clone(), exchange.study.clone())).or_default();
            queue.turns.push(Turn { line, meta, upload: exchange.upload, reply });
        }
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    /// Says where the server is, which its replies tell.
    pub(super) fn place(&self, own: OwnNames) {
        self.state().own = own;
    }

    /// The answer to what the client says.
    pub(super) fn answer(&self, asked: Scripted<'_>) -> Option<Reply> {
        let mut state = self.state();
        if state.is_over {
            // What comes now tidies up and is no part of the transcript.
            return None;
        }
        let study = if asked.study == DEFAULT_STUDY { "" } else { asked.study };
        let who = (asked.user.to_owned(), study.to_owned());
        let answered = state.queues.get_mut(&who).and_then(|queue| queue.answer(|turn| turn.is(&asked)));
        if answered.is_none() && asked.line.starts_with(COMMANDS) {
            return None;
        }
        let answered = answered.and_then(|reply| Reply::parse(&state.own.show_in(&reply).to_string()).ok());
        Some(answered.unwrap_or_else(|| {
            let problem = format!("{} says what was not recorded here: {}", asked.user, asked.line);
            let mut reply = Reply::new();
            reply.set_status(&MetaStatus::Error, &problem);
            reply.data.push(Item::Error(problem.clone()));
            state.problem.get_or_insert(problem);
            reply
        }))
    }

    /// What is wrong with what the client said, now that it has said everything.
    ///
    /// # Errors
    /// When it said something else, or not all.
    pub(super) fn verdict(&self) -> CaseResult {
        let mut state = self.state();
        state.is_over = true;
        if let Some(problem) = &state.problem {
            return Err(Finding::fail(problem.clone()));
        }
        for ((user, _), queue) in &state.queues {
            if let Some(turn) = queue.turns.get(queue.next) {
                let left = queue.turns.len() - queue.next;
                let message = format!("{user} did not say {left} of the recorded commands, the first: {}", turn.line);
                return Err(Finding::fail(message));
            }
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// The next turn if it fits; else the last one that did: a client that asks until something has happened may ask
    /// more often than it did then.
    fn answer(&mut self, fits: impl Fn(&Turn) -> bool) -> Option<Value> {
        if let Some(turn) = self.turns.get(self.next).filter(|turn| fits(turn)) {
            self.next += 1;
            return Some(turn.reply.clone());
        }
        self.turns[..self.next].iter().rev().find(|turn| fits(turn)).map(|turn| turn.reply.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::model::Exchange;
    use super::*;

    const USER: &str = "lead@nvidia.com";

    fn server(turns: &[(&str, &str)]) -> RecordedServer {
        let exchanges = turns.iter().map(|(line, said)| Exchange {
            user: USER.to_owned(),
            study: String::new(),
            command: (*line).to_owned(),
            meta: Map::new(),
            upload: false,
            files: BTreeMap::new(),
            reply: json!({"time": "", "data": [{"type": "string", "data": said}], "meta": {}}),
        });
        let exchanges = exchanges.collect();
        let (case, left_out, legend) = ("a.case".to_owned(), [].into(), [].into());
        RecordedServer::new(&Transcript { case, left_out, fetches: false, legend, exchanges }).unwrap()
    }

    /// What the server says to the lines, as texts.
    fn said(server: &RecordedServer, lines: &[&str]) -> Vec<String> {
        let queue = |line: &&str| {
            let mut state = server.state();
            let asked = |turn: &Turn| turn.line == **line;
            let queue = state.queues.get_mut(&(USER.to_owned(), String::new())).unwrap();
            queue
                .answer(asked)
                .map_or_else(|| "?".to_owned(), |reply| reply["data"][0]["data"].as_str().unwrap().to_owned())
        };
        lines.iter().map(queue).collect()
    }

    #[test]
    fn who_asks_more_often_gets_the_last_answer_and_not_a_later_one() {
        let server = server(&[("meta", "SUBMITTED"), ("meta", "RUNNING"), ("abort", "OK"), ("meta", "ABORTED")]);
        let told = said(&server, &["meta", "meta", "meta", "meta", "abort", "meta", "meta"]);
        assert_eq!(told, ["SUBMITTED", "RUNNING", "RUNNING", "RUNNING", "OK", "ABORTED", "ABORTED"]);
        assert_eq!(server.verdict(), Ok(()));
    }

    #[test]
    fn what_was_not_recorded_and_what_was_not_said_is_wrong() {
        let server = server(&[("meta", "SUBMITTED"), ("abort", "OK")]);
        assert_eq!(said(&server, &["abort", "meta"]), ["?", "SUBMITTED"]);
        let finding = server.verdict().unwrap_err();
        assert_eq!(finding.message(), "lead@nvidia.com did not say 1 of the recorded commands, the first: abort");
    }
}
