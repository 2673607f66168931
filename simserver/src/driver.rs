//! Between the tasks and the [`Sim`]: the lock around it, its clock, and the way out for what it says later.
//!
//! The lock is a plain one and never held across an `await`: every call into the [`Sim`] is short. One task
//! ([`Driver::run`]) sleeps until the next deadline of the [`Sim`] and is poked when a call may have changed it.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flare_wire::auth::{CellToken, ChallengeRequest, LoginHeaders, RegisterReply, RegisterRequest};
use flare_wire::cell::{Headers, Payload, ReturnCode, channel, headers};
use flare_wire::endpoint::{Answer, Gate, InboundRequest, OutgoingRequest};
use flare_wire::hci::Reply;
use flare_wire::msgpack::Value;
use flare_wire::transfer::download::{self, Conclusion, Pull, PullReply};
use flare_wire::transfer::upload::{self, Piece, PieceReply};
use flare_wire::{Moment, Randomness};
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::ambient::Clock;
use crate::blob::Blob;
use crate::clock::{ClockMode, SimulatedClock, Wake};
use crate::commands::{self, Submission, check_archive};
use crate::core::{Download, Effect, Sim, Ticket, Timer};
use crate::faults::Faults;
use crate::jobs::definition::Refusal;
use crate::jobs::lifecycle::DownloadFile;
use crate::members::{Mail, Members, Membership};
use crate::state::{Adopter, StateError, StateStore, Unwritten};
use crate::transfer::{self, Arrived, Ended, PLAIN_PIECE, PieceOutcome, Source, Sources, Uploads};

/// Everything that the connections of one server share.
pub(crate) struct Driver {
    clock: Clock,
    stamp: Headers,
    state: Mutex<State>,
    /// Wakes the deadline task.
    deadline_changed: Notify,
    members: Arc<Members>,
    uploads: Uploads,
    sources: Sources,
    faults: Arc<Faults>,
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
    /// There is no process any more that could answer.
    Gone,
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
        Self {
            clock,
            stamp: sim.stamp().to_headers(),
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
            uploads: Uploads::new(scratch.path().to_owned()),
            sources: Sources::new(scratch.path().to_owned()),
            faults: Arc::default(),
            life: watch::Sender::new(Life { ends: 0, was_killed: false, phase: Phase::Up }),
            _scratch: scratch,
        }
    }

    /// The clock of connections, which always shows the real time.
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

    /// What is wrong with the connections.
    pub(crate) const fn faults(&self) -> &Arc<Faults> {
        &self.faults
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

    /// Handles one request of a connection; a late answer goes to `mailbox`.
    pub(crate) fn handle(self: &Arc<Self>, request: &InboundRequest, mailbox: &mpsc::Sender<Mail>) -> Outcome {
        if !self.serves() {
            return Outcome::Gone;
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

    /// Does what is due whenever something is. Never ends by itself.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn run(&self) {
        loop {
            match self.do_what_is_due() {
                Some(wake) => tokio::select! {
                    () = sleep_until(wake) => {}
                    () = self.deadline_changed.notified() => {}
                },
                None => self.deadline_changed.notified().await,
            }
        }
    }

    // ---- uploads ---------------------------------------------------------------------------------------------

    fn upload_piece(self: &Arc<Self>, request: &InboundRequest, mailbox: &mpsc::Sender<Mail>) -> Outcome {
        let value = request.payload.value().unwrap_or(Value::Nil);
        let piece = match Piece::from_value(value) {
            Ok(piece) => piece,
            Err(error) => return Outcome::Answer(piece_answer(transfer::code_of(error), None)),
        };
        let now = self.now();
        match self.uploads.take(now, piece) {
            PieceOutcome::Answer(code) => Outcome::Answer(piece_answer(code, None)),
            PieceOutcome::Ended(ended) => self.end_upload(request, *ended, mailbox),
        }
    }

    fn abort_upload(self: &Arc<Self>, request: &InboundRequest, mailbox: &mpsc::Sender<Mail>) -> Outcome {
        let value = request.payload.value().unwrap_or(Value::Nil);
        let ended = upload::aborted_transaction(&value).ok().and_then(|transaction| self.uploads.abort(&transaction));
        match ended {
            Some(ended) => self.end_upload(request, *ended, mailbox),
            None => Outcome::Answer(piece_answer(PieceReply::OK, None)),
        }
    }

    /// Runs the command that an upload was for.
    fn end_upload(self: &Arc<Self>, request: &InboundRequest, ended: Ended, mailbox: &mpsc::Sender<Mail>) -> Outcome {
        let Ended { code, context, arrived } = ended;
        let login = LoginHeaders::from_headers(&request.headers);
        let incoming =
            commands::Incoming { origin: &request.origin, text: &context.request, login: &login, has_upload: true };
        let mut state = self.state();
        let now = state.time.now();
        let outcome = match commands::handle(&mut state.sim, now, incoming) {
            commands::Answer::Now(reply) => Outcome::Answer(piece_answer(code, Some(reply.to_json()))),
            commands::Answer::Later(ticket) => {
                state.waiting.insert(ticket, Waiting { mailbox: mailbox.clone(), upload: Some(code) });
                Outcome::Later(ticket)
            }
            commands::Answer::Submit(submission) => {
                let ticket = state.sim.new_ticket();
                let (driver, mailbox, process) = (Arc::clone(self), mailbox.clone(), state.process);
                // An archive takes as long as it is large: nobody else waits for it.
                tokio::task::spawn_blocking(move || {
                    let Some(reply) = driver.submit(*submission, arrived, process) else { return };
                    let answer = reply
                        .map_or_else(|error| unwritable(&error), |reply| piece_answer(code, Some(reply.to_json())));
                    // A connection that is gone meanwhile does not want it any more.
                    let _ = mailbox.blocking_send(Mail::Answer { ticket, answer });
                });
                Outcome::Later(ticket)
            }
        };
        let kept = state.keep();
        drop(state);
        self.deadline_changed.notify_one();
        kept.map_or_else(|error| Outcome::Answer(unwritable(&error)), |()| outcome)
    }

    /// Looks at an archive and takes the job in; `None` when the `process` that it came to has ended meanwhile.
    fn submit(&self, submission: Submission, arrived: Arrived, process: u64) -> Option<Result<Reply, StateError>> {
        let Arrived { path, problem } = arrived;
        let checked = match problem.map_or_else(|| File::open(&path), Err) {
            Ok(file) => check_archive(&submission, file),
            Err(error) => Err(Refusal::unreadable(&error)),
        };
        let archive = match &self.adopter {
            Some(adopter) if checked.is_ok() => {
                let name = self.state().random.uuid();
                match adopter.adopt(path, &name) {
                    Ok(archive) => archive,
                    Err(error) => return Some(Err(error)),
                }
            }
            _ => Blob::temporary(path),
        };
        let mut state = self.state();
        if state.process != process {
            return None;
        }
        let now = state.time.now();
        let reply = commands::finish(&mut state.sim, now, submission, checked, archive);
        let kept = state.keep();
        drop(state);
        self.deadline_changed.notify_one();
        Some(kept.map(|()| reply))
    }

    // ---- downloads -------------------------------------------------------------------------------------------

    fn pull(self: &Arc<Self>, request: &InboundRequest, mailbox: &mpsc::Sender<Mail>) -> Outcome {
        let value = request.payload.value().unwrap_or(Value::Nil);
        let pull = match Pull::from_value(&value) {
            Ok(pull) => pull,
            // A reference without a usable count of bytes.
            Err(_) if flare_wire::msgpack::field(&value, "ref_id").is_some() => {
                return Outcome::Answer(Answer::ok(PullReply::Error { nonce: None }.into_payload()));
            }
            Err(_) => return Outcome::Answer(Answer::failure(ReturnCode::InvalidRequest, "")),
        };
        let mut state = self.state();
        let now = state.time.now();
        if let Some(conclusion) = &pull.conclusion {
            match conclusion {
                Conclusion::Success { .. } | Conclusion::Failed { .. } => {
                    state.sim.finish_download(now, &pull.reference);
                }
                Conclusion::Cancel => state.sim.cancel_download(&pull.reference),
            }
            self.sources.close(&pull.reference);
            return Outcome::Answer(Answer::ok(Payload::empty()));
        }
        let max = if request.headers.get(headers::STREAM_ID).is_some() { download::PIECE_SIZE } else { PLAIN_PIECE };
        let found = state.sim.download(now, &pull.reference);
        let nonce = pull.confirm_capable.then(|| state.random.uuid());
        let file = match found {
            None => return Outcome::Answer(Answer::failure(ReturnCode::InvalidRequest, "")),
            Some(Download::Finished) => return Outcome::Answer(Answer::ok(PullReply::Eof { nonce }.into_payload())),
            Some(Download::File(file)) => file,
        };
        let request = PieceRequest { pull, nonce, max };
        if let Some(source) = self.sources.get(&request.pull.reference) {
            drop(state);
            return Outcome::Answer(self.piece_of(&request, &source));
        }
        match (Source::open(&file), file) {
            (Some(Ok(source)), _) => {
                drop(state);
                let source = self.sources.insert(&request.pull.reference, source);
                Outcome::Answer(self.piece_of(&request, &source))
            }
            (None, DownloadFile::Workspace { entries, archive }) => {
                let ticket = state.sim.new_ticket();
                let (driver, mailbox) = (Arc::clone(self), mailbox.clone());
                tokio::task::spawn_blocking(move || {
                    let made = Source::of_workspace(&entries, &archive, driver.sources.directory());
                    let answer = match made {
                        Ok(source) => {
                            let source = driver.sources.insert(&request.pull.reference, source);
                            driver.piece_of(&request, &source)
                        }
                        Err(error) => unreadable(&error),
                    };
                    let _ = mailbox.blocking_send(Mail::Answer { ticket, answer });
                });
                Outcome::Later(ticket)
            }
            (Some(Err(error)), _) => Outcome::Answer(unreadable(&error)),
            (None, _) => Outcome::Answer(Answer::failure(ReturnCode::InvalidRequest, "")),
        }
    }

    /// The piece that a client asks for, or the end.
    fn piece_of(&self, request: &PieceRequest, source: &Source) -> Answer {
        let PieceRequest { pull, nonce, max } = request;
        let start = pull.received.unwrap_or(0);
        let reply = match source.read(start, *max) {
            Ok(Some(data)) if data.is_empty() => {
                if nonce.is_none() {
                    // This client does not confirm: for it, the end is the end.
                    self.with_sim(|sim, now| sim.finish_download(now, &pull.reference));
                    self.sources.close(&pull.reference);
                }
                PullReply::Eof { nonce: nonce.clone() }
            }
            Ok(Some(data)) => {
                let received = start + data.len() as u64;
                PullReply::Data { data, received, cancel_capable: true }
            }
            Ok(None) => PullReply::Error { nonce: nonce.clone() },
            Err(error) => return unreadable(&error),
        };
        Answer::ok(reply.into_payload())
    }

    /// The simulated time.
    fn now(&self) -> Moment {
        let state = self.state();
        state.time.now()
    }

    /// Does what is due, and tells when to look again by itself.
    fn do_what_is_due(&self) -> Option<Instant> {
        let mut state = self.state();
        loop {
            match state.time.wake(state.sim.next_deadline()?) {
                Wake::Now => self.advance(&mut state),
                Wake::At(instant) => return Some(instant.into()),
                Wake::Never => return None,
            }
        }
    }

    fn advance(&self, state: &mut State) {
        let now = state.time.now();
        let effects = state.sim.advance(now);
        let kept = state.keep();
        if let Err(error) = &kept {
            unwritable(error);
        }
        for effect in effects {
            match effect {
                Effect::Answered { ticket, reply } => {
                    // A connection that is gone meanwhile does not want it any more.
                    if let Some(Waiting { mailbox, upload }) = state.waiting.remove(&ticket) {
                        let answer = match (&kept, upload) {
                            (Err(error), _) => unwritable(error),
                            (Ok(()), Some(code)) => piece_answer(code, Some(reply.to_json())),
                            (Ok(()), None) => answer(&reply),
                        };
                        let _ = mailbox.try_send(Mail::Answer { ticket, answer });
                    }
                }
                Effect::SessionExpired { endpoint, text } => {
                    let payload = Payload::text(text);
                    let mut push = OutgoingRequest::streamed(channel::HCI, channel::SESSION_EXPIRED, payload);
                    push.destination.clone_from(&endpoint);
                    self.members.send(&endpoint, Mail::Notify(push));
                }
                Effect::Ended { is_killed, comes_back } => {
                    self.end_process(state);
                    self.life.send_modify(|life| {
                        let phase = if comes_back { Phase::Away } else { Phase::ShutDown };
                        *life = Life { ends: life.ends + 1, was_killed: is_killed, phase };
                    });
                }
                Effect::Started => self.life.send_modify(|life| life.phase = Phase::Up),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic inside the simulation is a bug that a test should see as it is, not as poisoning elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a client asks for of a file.
struct PieceRequest {
    pull: Pull,
    /// What the end is to be confirmed with.
    nonce: Option<String>,
    /// The longest piece.
    max: usize,
}

/// What a client is told whose command was carried out but not kept: the next process may know nothing of it.
fn unwritable(error: &StateError) -> Answer {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(%error, cause, "the state cannot be written");
    let why = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    Answer::failure(ReturnCode::ProcessException, &why)
}

fn unreadable(error: &std::io::Error) -> Answer {
    tracing::warn!(%error, "a file cannot be downloaded");
    Answer::failure(ReturnCode::ProcessException, &error.to_string())
}

fn piece_answer(code: &str, end_result: Option<String>) -> Answer {
    Answer::ok(PieceReply { return_code: code.to_owned(), end_result }.to_payload())
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
