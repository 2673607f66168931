//! Between the tasks and the [`Sim`]: the lock around it, its clock, and the way out for what it says later.
//!
//! The lock is a plain one and never held across an `await`: every call into the [`Sim`] is short. One task
//! ([`Driver::run`]) sleeps until the next deadline of the [`Sim`] and is poked when a call may have changed it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flare_wire::cell::{Headers, Payload, channel};
use flare_wire::endpoint::{Answer, Gate, InboundRequest, OutgoingRequest};
use flare_wire::{Moment, Randomness};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

use crate::ambient::Clock;
use crate::core::{Effect, Sim};
use crate::members::{Mail, Members, Membership, Ticket};
use crate::reception::Reception;

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
    reception: Reception,
    random: Randomness,
    /// How far a test has moved the simulated time ahead of the clock.
    ahead: Duration,
}

/// What becomes of a request.
pub(crate) enum Outcome {
    /// The answer.
    Answer(Answer),
    /// The answer comes as [`Mail::Answer`] with this ticket.
    Later(Ticket),
}

impl Driver {
    /// Puts a simulation and a reception behind one lock, at the present time.
    pub(crate) fn new(clock: Clock, sim: Sim, reception: Reception, random: Randomness) -> Self {
        Self {
            clock,
            stamp: reception.stamp(),
            state: Mutex::new(State { sim, reception, random, ahead: Duration::ZERO }),
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
    pub(crate) fn gate(&self) -> Box<dyn Gate> {
        Box::new(self.state().reception.gate())
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

    /// Handles one request of a connection.
    pub(crate) fn handle(&self, request: &InboundRequest) -> Outcome {
        let mut state = self.state();
        // Certificates are judged by the real time, as TLS did before.
        match (request.channel.as_str(), request.topic.as_str()) {
            (channel::TASK, channel::CHALLENGE) => {
                Outcome::Answer(state.reception.challenge(self.clock.now(), request))
            }
            (channel::TASK, channel::REGISTER) => Outcome::Answer(state.reception.register(self.clock.now(), request)),
            _ => self.command(state, request),
        }
    }

    fn command(&self, mut state: MutexGuard<'_, State>, request: &InboundRequest) -> Outcome {
        let now = self.clock.now() + state.ahead;
        let Ok(text) = request.payload.as_text() else {
            // A real server leaves anything but a text unanswered: the reply has no payload.
            return Outcome::Answer(Answer::payload(Payload::empty()));
        };
        let before = state.sim.next_deadline();
        let reply = state.sim.command(now, &request.origin, &request.headers, &text);
        if state.sim.next_deadline() != before {
            self.deadline_changed.notify_one();
        }
        Outcome::Answer(Answer::payload(Payload::text(&reply)))
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
        let effects = {
            let mut state = self.state();
            let now = self.clock.now() + state.ahead;
            state.sim.advance(now)
        };
        for effect in effects {
            self.deliver(effect);
        }
    }

    fn deliver(&self, effect: Effect) {
        match effect {
            Effect::SessionExpired { endpoint, text } => {
                let mut push = OutgoingRequest::streamed(channel::HCI, channel::SESSION_EXPIRED, Payload::text(&text));
                push.destination.clone_from(&endpoint);
                self.members.send(&endpoint, Mail::Notify(push));
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic inside the simulation is a bug that a test should see as it is, not as poisoning elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
