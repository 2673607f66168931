//! Between the tasks and the [`Sim`]: the lock around it, its clock, and the way out for what it says later.
//!
//! The lock is a plain one and never held across an `await`: every call into the [`Sim`] is short. One task
//! ([`Driver::run`]) sleeps until the next deadline of the [`Sim`] and is poked when a call may have changed it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flare_wire::auth::{CellToken, ChallengeRequest, LoginHeaders, RegisterReply, RegisterRequest};
use flare_wire::cell::{Headers, Payload, ReturnCode, channel, headers};
use flare_wire::endpoint::{Answer, Gate, InboundRequest, OutgoingRequest};
use flare_wire::hci::Reply;
use flare_wire::msgpack::Value;
use flare_wire::{Moment, Randomness};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

use crate::ambient::Clock;
use crate::commands;
use crate::core::{Effect, Sim, Ticket};
use crate::members::{Mail, Members, Membership};

/// Everything that the connections of one server share.
pub(crate) struct Driver {
    clock: Clock,
    stamp: Headers,
    state: Mutex<State>,
    /// Wakes the deadline task.
    deadline_changed: Notify,
    members: Arc<Members>,
}

struct State {
    sim: Sim,
    random: Randomness,
    /// How far a test has moved the simulated time ahead of the clock.
    ahead: Duration,
    /// Which connection gets a late answer. The [`Sim`] bounds how many there are.
    waiting: HashMap<Ticket, mpsc::Sender<Mail>>,
}

/// What becomes of a request.
pub(crate) enum Outcome {
    /// The answer.
    Answer(Answer),
    /// The answer comes as [`Mail::Answer`] with this ticket.
    Later(Ticket),
}

impl Driver {
    /// Puts a simulation behind a lock, at the present time.
    pub(crate) fn new(clock: Clock, mut sim: Sim, random: Randomness) -> Self {
        Self {
            clock,
            stamp: sim.stamp().to_headers(),
            state: Mutex::new(State { sim, random, ahead: Duration::ZERO, waiting: HashMap::new() }),
            deadline_changed: Notify::new(),
            members: Arc::default(),
        }
    }

    /// The clock of connections. The simulated time is this and what a test has added.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// The headers that authenticate the server's own messages.
    pub(crate) fn stamp(&self) -> Headers {
        self.stamp.clone()
    }

    /// What decides which messages of a connection are let in.
    pub(crate) fn gate(self: &Arc<Self>) -> Box<dyn Gate> {
        Box::new(TokenGate(Arc::clone(self)))
    }

    /// A generator for a connection.
    pub(crate) fn fork_randomness(&self) -> Randomness {
        self.state().random.fork()
    }

    /// Makes a connection reachable under its endpoint name until the result is dropped. A connection that had
    /// the name is told to end.
    pub(crate) fn join(&self, name: &str, mailbox: mpsc::Sender<Mail>) -> Membership {
        self.members.join(name, mailbox)
    }

    /// Handles one request of a connection; a late answer goes to `mailbox`.
    pub(crate) fn handle(&self, request: &InboundRequest, mailbox: &mpsc::Sender<Mail>) -> Outcome {
        let mut state = self.state();
        let now = self.clock.now() + state.ahead;
        let before = state.sim.next_deadline();
        let outcome = match (request.channel.as_str(), request.topic.as_str()) {
            (channel::TASK, channel::CHALLENGE) => Outcome::Answer(challenge(&mut state.sim, now, request)),
            (channel::TASK, channel::REGISTER) => Outcome::Answer(register(&mut state.sim, now, request)),
            _ => command(&mut state, now, request, mailbox),
        };
        if state.sim.next_deadline() != before {
            self.deadline_changed.notify_one();
        }
        outcome
    }

    /// Looks at or changes the simulation.
    pub(crate) fn with_sim<T>(&self, look: impl FnOnce(&mut Sim, Moment) -> T) -> T {
        let mut state = self.state();
        let now = self.clock.now() + state.ahead;
        let result = look(&mut state.sim, now);
        self.deadline_changed.notify_one();
        result
    }

    /// Moves the simulated time ahead and does what has become due.
    pub(crate) fn skip(&self, time: Duration) {
        self.state().ahead += time;
        self.advance();
        self.deadline_changed.notify_one();
    }

    /// Does what is due whenever something is. Never ends by itself.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn run(&self) {
        loop {
            let wake = {
                let state = self.state();
                state.sim.next_deadline().map(|moment| Instant::from(self.clock.instant(moment - state.ahead)))
            };
            match wake {
                Some(wake) => tokio::select! {
                    () = sleep_until(wake) => self.advance(),
                    () = self.deadline_changed.notified() => {}
                },
                None => self.deadline_changed.notified().await,
            }
        }
    }

    fn advance(&self) {
        let mut state = self.state();
        let now = self.clock.now() + state.ahead;
        for effect in state.sim.advance(now) {
            match effect {
                Effect::Answered { ticket, reply } => {
                    // A connection that is gone meanwhile does not want it any more.
                    if let Some(mailbox) = state.waiting.remove(&ticket) {
                        let _ = mailbox.try_send(Mail::Answer { ticket, answer: answer(&reply) });
                    }
                }
                Effect::SessionExpired { endpoint, text } => {
                    let payload = Payload::text(text);
                    let mut push = OutgoingRequest::streamed(channel::HCI, channel::SESSION_EXPIRED, payload);
                    push.destination.clone_from(&endpoint);
                    self.members.send(&endpoint, Mail::Notify(push));
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic inside the simulation is a bug that a test should see as it is, not as poisoning elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
    let incoming = commands::Incoming { origin: &request.origin, text: &text, login: &login };
    match commands::handle(&mut state.sim, now, incoming) {
        commands::Answer::Now(reply) => Outcome::Answer(answer(&reply)),
        commands::Answer::Later(ticket) => {
            state.waiting.insert(ticket, mailbox.clone());
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

/// A reply as it travels: a text without a return code. One without items has no payload at all.
fn answer(reply: &Reply) -> Answer {
    let payload = if reply.data.is_empty() { Payload::empty() } else { Payload::text(&reply.to_json()) };
    Answer::payload(payload)
}

/// Admits messages with a token that the server has signed; nothing else counts.
struct TokenGate(Arc<Driver>);

impl Gate for TokenGate {
    fn admit(&mut self, headers: &Headers) -> bool {
        CellToken::from_headers(headers).is_ok_and(|token| self.0.state().sim.admit(&token))
    }
}
