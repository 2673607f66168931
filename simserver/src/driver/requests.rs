//! The entry of every request.

use std::sync::Arc;

use flare_wire::Moment;
use flare_wire::auth::{ChallengeRequest, LoginHeaders, RegisterReply, RegisterRequest};
use flare_wire::cell::{Payload, ReturnCode, channel, headers};
use flare_wire::endpoint::{Answer, InboundRequest};
use flare_wire::msgpack::Value;
use flare_wire::transfer::{download, upload};
use tokio::sync::mpsc;

use super::answers::{answer, unwritable};
use super::{Driver, Outcome, State, Waiting};
use crate::commands;
use crate::core::Sim;
use crate::members::Mail;

impl Driver {
    /// Handles one request of a connection; a late answer goes to `mailbox`.
    pub(crate) fn handle(self: &Arc<Self>, request: &InboundRequest, mailbox: &mpsc::Sender<Mail>) -> Outcome {
        if !self.serves() {
            return Outcome::Silence;
        }
        match (request.channel.as_str(), request.topic.as_str()) {
            (upload::CHANNEL, upload::REQUEST) => return self.upload_piece(request, mailbox),
            (upload::CHANNEL, upload::ABORT) => return self.abort_upload(request, mailbox),
            (download::CHANNEL, download::TOPIC) => return self.pull(request, mailbox),
            _ => {}
        }
        let mut state = self.state();
        let now = state.time.now();
        let before = state.sim.next_deadline();
        let outcome = match (request.channel.as_str(), request.topic.as_str()) {
            (channel::TASK, channel::CHALLENGE) => Outcome::Answer(challenge(&mut state.sim, now, request)),
            (channel::TASK, channel::REGISTER) => Outcome::Answer(register(&mut state.sim, now, request)),
            _ => command(&mut state, now, request, mailbox),
        };
        let kept = state.keep();
        if state.sim.next_deadline() != before {
            self.deadline_changed.notify_one();
        }
        kept.map_or_else(|error| Outcome::Answer(unwritable(&error)), |()| outcome)
    }
}

fn challenge(sim: &mut Sim, now: Moment, request: &InboundRequest) -> Answer {
    match ChallengeRequest::from_headers(&request.headers) {
        Ok(challenge) => Answer::ok(sim.challenge(now, &request.origin, &challenge).to_payload()),
        // The handler of a real server fails on it.
        Err(error) => Answer::failure(ReturnCode::ProcessException, &error.to_string()),
    }
}

fn register(sim: &mut Sim, now: Moment, request: &InboundRequest) -> Answer {
    let body = request.payload.value().unwrap_or(Value::Nil);
    // What cannot be read is as good as a certificate that is not accepted: first come the checks before it.
    let registration = RegisterRequest::from_message(&request.headers, &body).unwrap_or_else(|_| RegisterRequest {
        client_name: text(request, headers::CLIENT_NAME),
        client_type: text(request, "client_type"),
        client_ip: text(request, "client_ip"),
        project_name: text(request, "project_name"),
        certificate: Vec::new(),
        signature: Vec::new(),
    });
    match sim.register(now, &request.origin, &registration) {
        Ok(Some(reply)) => Answer::ok(reply.to_payload()),
        Ok(None) => Answer::ok(RegisterReply::refusal_payload()),
        Err(refusal) => Answer::failure(ReturnCode::Unauthenticated, &refusal.to_string()),
    }
}

fn text(request: &InboundRequest, name: &str) -> String {
    request.headers.text(name).unwrap_or_default().to_owned()
}

fn command(state: &mut State, now: Moment, request: &InboundRequest, mailbox: &mpsc::Sender<Mail>) -> Outcome {
    let Some(text) = command_text(&request.payload) else {
        // A real server leaves anything but a text unanswered: the reply has no payload.
        return Outcome::Answer(Answer::payload(Payload::empty()));
    };
    let login = LoginHeaders::from_headers(&request.headers);
    let incoming = commands::Incoming { origin: &request.origin, text: &text, login: &login, has_upload: false };
    match commands::handle(&mut state.sim, now, incoming) {
        commands::Answer::Now(reply) => Outcome::Answer(answer(&reply)),
        // Only a command with an upload gets here.
        commands::Answer::Submit(_) => Outcome::Answer(Answer::payload(Payload::empty())),
        commands::Answer::Later(ticket) => {
            state.waiting.insert(ticket, Waiting { mailbox: mailbox.clone(), upload: None });
            Outcome::Later(ticket)
        }
    }
}

/// The text of a command; bytes that hold a text will do for a real server as well.
fn command_text(payload: &Payload) -> Option<String> {
    match payload.value().ok()? {
        Value::String(text) => text.into_str(),
        Value::Binary(bytes) => String::from_utf8(bytes).ok(),
        _ => None,
    }
}
