//! Between the tasks and the [`Sim`]: the lock around it, its clock, and the way out for what it says later.
//!
//! The lock is a plain one and never held across an `await`: every call into the [`Sim`] is short. One task
//! ([`Driver::run`]) sleeps until the next deadline of the [`Sim`] and is poked when a call may have changed it.
//!
//! - `requests` — where every request comes in
//! - `uploads`, `downloads` — what travels in pieces
//! - `due` — what time brings
//! - `answers` — answers as they travel

mod answers;
mod downloads;
mod due;
mod requests;
mod uploads;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use flare_wire::auth::CellToken;
use flare_wire::cell::Headers;
use flare_wire::endpoint::{Answer, Gate};
use flare_wire::{Moment, Randomness};
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc, watch};

use crate::ambient::Clock;
use crate::clock::{ClockMode, SimulatedClock};
use crate::core::{Release, Sim, Ticket, Timer};
use crate::faults::Faults;
use crate::members::{Mail, Members, Membership};
use crate::mutants::{Mutant, Mutants};
use crate::observer::Observer;
use crate::state::{Adopter, StateError, StateStore, Unwritten};
use crate::transfer::{Sources, Uploads};
use answers::unwritable;

/// Everything that the connections of one server share.
pub(crate) struct Driver {
    clock: Clock,
    stamp: Headers,
    release: Release,
    state: Mutex<State>,
    /// Wakes the deadline task.
    deadline_changed: Notify,
    members: Arc<Members>,
    uploads: Uploads,
    sources: Sources,
    faults: Arc<Faults>,
    /// Who looks at the connections, when somebody does.
    observer: OnceLock<Observer>,
    mutants: Mutants,
    life: watch::Sender<Life>,
    /// Takes archives into the state directory, when there is one.
    adopter: Option<Adopter>,
    /// Where files on their way are; removed with the server, after everything in it.
    _scratch: TempDir,
}

struct State {
    sim: Sim,
    random: Randomness,
    time: SimulatedClock,
    /// Which connection gets a late answer. The [`Sim`] bounds how many there are.
    waiting: HashMap<Ticket, Waiting>,
    /// How often the server was restarted: what one process has begun, the next does not finish.
    process: u64,
    /// Where everything is written that has to outlive the process.
    store: Option<StateStore>,
    unwritten: Unwritten,
}

impl State {
    /// Writes what has changed. Every reply is sent after this: what it says is on disk then.
    fn keep(&mut self) -> Result<(), StateError> {
        self.unwritten.note(&mut self.sim);
        let Some(store) = &mut self.store else {
            self.unwritten.clear();
            return Ok(());
        };
        store.keep_logs(self.sim.files());
        store.write(&self.unwritten.changes(&self.sim))?;
        self.unwritten.clear();
        Ok(())
    }

    /// The same for what nobody gets a reply to. What could not be written is tried again before the next reply.
    fn keep_or_warn(&mut self) {
        if let Err(error) = self.keep() {
            unwritable(&error);
        }
    }
}

/// Who waits for a late reply of a command.
struct Waiting {
    mailbox: mpsc::Sender<Mail>,
    /// The code of the upload that the command came with; its reply travels in the answer to the last piece.
    upload: Option<&'static str>,
}

/// What becomes of a request.
pub(crate) enum Outcome {
    /// The answer.
    Answer(Answer),
    /// The answer comes as [`Mail::Answer`] with this ticket.
    Later(Ticket),
    /// Nobody answers: there is no process any more, or the thread that would hangs.
    Silence,
}

/// Whether the process of the server is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    /// How often it has ended by itself. One that has started again meanwhile has other connections all the same.
    pub(crate) ends: u64,
    /// True when it was killed the last time.
    pub(crate) was_killed: bool,
    /// What it is now.
    pub(crate) phase: Phase,
}

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It serves.
    Up,
    /// It comes back by itself.
    Away,
    /// It does not.
    ShutDown,
}

impl Driver {
    /// Puts a simulation behind a lock, at the present time.
    /// Files on their way are kept in `scratch`.
    /// `store` is where everything is written that has to outlive the process.
    pub(crate) fn new(
        clock: Clock,
        mode: ClockMode,
        mut sim: Sim,
        random: Randomness,
        scratch: TempDir,
        store: Option<StateStore>,
    ) -> Self {
        let time = SimulatedClock::new(mode, clock);
        let mutants = sim.mutants();
        Self {
            clock,
            stamp: sim.stamp().to_headers(),
            release: sim.release(),
            adopter: store.as_ref().map(StateStore::adopter),
            state: Mutex::new(State {
                sim,
                random,
                time,
                waiting: HashMap::new(),
                process: 0,
                store,
                unwritten: Unwritten::default(),
            }),
            deadline_changed: Notify::new(),
            members: Arc::default(),
            uploads: Uploads::new(scratch.path().to_owned(), mutants),
            sources: Sources::new(scratch.path().to_owned()),
            faults: Arc::default(),
            observer: OnceLock::new(),
            mutants,
            life: watch::Sender::new(Life { ends: 0, was_killed: false, phase: Phase::Up }),
            _scratch: scratch,
        }
    }

    /// The clock of connections, which always shows the real time.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// The release that the server behaves like.
    pub(crate) const fn release(&self) -> Release {
        self.release
    }

    /// The headers that authenticate the server's own messages.
    pub(crate) fn stamp(&self) -> Headers {
        self.stamp.clone()
    }

    /// What decides which messages of a connection are let in.
    pub(crate) fn gate(self: &Arc<Self>) -> Box<dyn Gate> {
        Box::new(TokenGate(Arc::clone(self)))
    }

    /// What is wrong with the connections.
    pub(crate) const fn faults(&self) -> &Arc<Faults> {
        &self.faults
    }

    /// Who looks at the connections; set once, before there are any.
    pub(crate) const fn observer(&self) -> &OnceLock<Observer> {
        &self.observer
    }

    /// True when a rule is broken on purpose.
    pub(crate) const fn mutant(&self, mutant: Mutant) -> bool {
        self.mutants.has(mutant)
    }

    /// Tells when the process ends and starts by itself.
    pub(crate) fn life(&self) -> watch::Receiver<Life> {
        self.life.subscribe()
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

    /// True while there is a process to answer.
    fn serves(&self) -> bool {
        let mut state = self.state();
        if state.sim.process_is_due(state.time.now()) {
            self.advance(&mut state);
        }
        state.sim.serves()
    }

    /// Looks at or changes the simulation.
    pub(crate) fn with_sim<T>(&self, look: impl FnOnce(&mut Sim, Moment) -> T) -> T {
        let mut state = self.state();
        let now = state.time.now();
        let result = look(&mut state.sim, now);
        state.keep_or_warn();
        self.deadline_changed.notify_one();
        result
    }

    /// Moves the simulated time ahead and does what has become due.
    pub(crate) fn skip(&self, time: Duration) {
        let mut state = self.state();
        state.time.skip(time);
        self.advance(&mut state);
        self.deadline_changed.notify_one();
    }

    /// Moves the simulated time to the first of the deadlines to come, and does what is due then. Returns it, or
    /// `None` when nothing is waited for.
    pub(crate) fn jump(&self) -> Option<Timer> {
        let mut state = self.state();
        let timer = state.sim.timers().into_iter().next()?;
        state.time.skip_to(timer.at);
        self.advance(&mut state);
        self.deadline_changed.notify_one();
        Some(timer)
    }

    /// The process ends and a new one starts. The caller has ended the connections.
    pub(crate) fn restart(&self) {
        let mut state = self.state();
        let now = state.time.now();
        // What was due came before the end.
        self.advance(&mut state);
        state.sim.restart(now);
        state.keep_or_warn();
        self.end_process(&mut state);
        self.life.send_modify(|life| life.phase = Phase::Up);
        self.deadline_changed.notify_one();
    }

    /// What a process has begun, the next does not finish.
    fn end_process(&self, state: &mut State) {
        state.waiting.clear();
        state.process += 1;
        self.uploads.clear();
        self.sources.clear();
    }

    /// The simulated time.
    fn now(&self) -> Moment {
        let state = self.state();
        state.time.now()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic inside the simulation is a bug that a test should see as it is, not as poisoning elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Admits messages with a token that the server has signed; nothing else counts.
struct TokenGate(Arc<Driver>);

impl Gate for TokenGate {
    fn admit(&mut self, headers: &Headers) -> bool {
        CellToken::from_headers(headers).is_ok_and(|token| self.0.state().sim.admit(&token))
    }
}
