//! What the client under test has sent, and what it was sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flare_simserver::faults::Direction;
use flare_simserver::observer::{Observation, ObservedEvent};
use flare_wire::auth::{LoginHeaders, RegisterRequest};
use flare_wire::cell::{Headers, channel, headers};
use flare_wire::frame::FrameKind;
use flare_wire::hci::{Request, split_line};
use flare_wire::transfer::download::{self, Pull};
use flare_wire::transfer::upload::{self, Piece};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::report;
use crate::scope::Tap;
use crate::{CaseResult, Finding};

/// Things seen in one case; beyond this something goes round in circles.
const MAX_SEEN: usize = 100_000;

/// One thing that was seen.
#[derive(Debug, Clone)]
struct Seen {
    connection: u64,
    event: Event,
}

#[derive(Debug, Clone)]
enum Event {
    Opened,
    Frame { direction: Direction, kind: FrameKind, headers: Option<Headers> },
    Command(Box<Command>),
    Register(Headers, RegisterRequest),
    Challenge,
    Piece { has_context: bool },
    Pull(Pull),
    Bye,
    Closed,
}

/// An admin command as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    /// Its name, without the scope.
    pub(crate) name: String,
    /// The words behind it.
    pub(crate) words: Vec<String>,
    /// The whole request.
    pub(crate) request: Request,
    /// The headers of the message it came in.
    pub(crate) headers: Headers,
    /// Whether a file came with it.
    pub(crate) is_upload: bool,
    /// Which connection it came over.
    pub(crate) connection: u64,
}

impl Command {
    fn new(connection: u64, request: Request, headers: Headers, is_upload: bool) -> Self {
        let line = split_line(&request.command);
        let (name, words) = (line.name().to_owned(), line.args().to_vec());
        Self { name, words, request, headers, is_upload, connection }
    }

    /// Name and words, joined by blanks. Two words in one pair of quotes look like two words without: to the programs
    /// that the server starts they are the same.
    pub(crate) fn line(&self) -> String {
        let words = std::iter::once(self.name.as_str()).chain(self.words.iter().map(String::as_str));
        words.collect::<Vec<_>>().join(" ")
    }

    /// True for what the client does by itself to open, keep and end a session.
    pub(crate) fn is_housekeeping(&self) -> bool {
        self.name.starts_with('_')
    }
}

/// The record of one simulator's connections.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    seen: Arc<Mutex<Log>>,
    /// Where the transcript of the case is kept.
    tap: Tap,
    changed: Arc<watch::Sender<()>>,
}

#[derive(Debug, Default)]
struct Log {
    seen: Vec<Seen>,
    /// Connections up to this one are the referee's own.
    own: u64,
    last: u64,
}

impl Wire {
    pub(crate) fn new() -> Self {
        Self { seen: Arc::default(), tap: Tap::new("client"), changed: Arc::new(watch::Sender::new(())) }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the simulator has observed.
    pub(crate) fn observe(&self, observation: Observation<'_>) {
        let connection = observation.connection;
        self.keep(connection, &observation.event);
        let event = match observation.event {
            ObservedEvent::Opened => Some(Event::Opened),
            ObservedEvent::Closed => Some(Event::Closed),
            ObservedEvent::Frame { direction, frame, message } => Some(Event::Frame {
                direction,
                kind: frame.kind,
                headers: message.map(|message| message.headers.clone()),
            }),
            ObservedEvent::Request(request) => {
                let payload = || request.payload.value().unwrap_or(flare_wire::msgpack::Value::Nil);
                match (request.channel.as_str(), request.topic.as_str()) {
                    (channel::HCI, _) => {
                        request.payload.as_text().ok().and_then(|text| Request::parse(&text).ok()).map(|command| {
                            Event::Command(Box::new(Command::new(connection, command, request.headers.clone(), false)))
                        })
                    }
                    (channel::TASK, channel::CHALLENGE) => Some(Event::Challenge),
                    (channel::TASK, channel::REGISTER) => RegisterRequest::from_message(&request.headers, &payload())
                        .ok()
                        .map(|register| Event::Register(request.headers.clone(), register)),
                    (upload::CHANNEL, upload::REQUEST) => Piece::from_value(payload()).ok().map(|piece| {
                        let command = piece.context.as_ref().and_then(|context| Request::parse(&context.request).ok());
                        if let Some(command) = command {
                            let command = Command::new(connection, command, request.headers.clone(), true);
                            self.push(connection, Event::Command(Box::new(command)));
                        }
                        Event::Piece { has_context: piece.context.is_some() }
                    }),
                    (download::CHANNEL, _) => Pull::from_value(&payload()).ok().map(Event::Pull),
                    _ => None,
                }
            }
            _ => None,
        };
        if let Some(event) = event {
            self.push(connection, event);
        }
    }

    /// Keeps what is the client's own doing for the transcript of the case. The client is the subject.
    fn keep(&self, connection: u64, event: &ObservedEvent<'_>) {
        if connection <= self.log().own {
            return;
        }
        let tap = self.tap.of(format!("connection {connection}"));
        match event {
            ObservedEvent::Opened => tap.line(report::Direction::Event, "the client opened a connection"),
            ObservedEvent::Frame { direction: Direction::ToServer, frame, .. } => {
                tap.frame(report::Direction::Received, frame);
            }
            ObservedEvent::Frame { direction: Direction::ToClient, frame, .. } => {
                tap.frame(report::Direction::Sent, frame);
            }
            ObservedEvent::Closed => tap.line(report::Direction::Event, "the connection has ended"),
            _ => {}
        }
    }

    fn push(&self, connection: u64, event: Event) {
        let is_bye = |headers: &Headers| {
            headers.text(headers::CHANNEL) == Some(channel::CELLNET)
                && headers.text(headers::TOPIC) == Some(channel::BYE)
        };
        let mut log = self.log();
        log.last = log.last.max(connection);
        if connection <= log.own || log.seen.len() >= MAX_SEEN {
            return;
        }
        let bye = matches!(
            &event,
            Event::Frame { direction: Direction::ToServer, headers: Some(headers), .. } if is_bye(headers)
        );
        log.seen.push(Seen { connection, event });
        if bye {
            log.seen.push(Seen { connection, event: Event::Bye });
        }
        drop(log);
        self.changed.send_replace(());
    }

    /// What was seen so far is the referee's own doing, and what the connections that there are do from now on.
    pub(crate) fn forget(&self) {
        let mut log = self.log();
        log.own = log.last;
        log.seen.clear();
    }

    /// Waits until what was seen is so.
    ///
    /// # Errors
    /// Fails with `what` when it never is.
    pub(crate) async fn until(&self, what: &str, patience: Duration, is_so: impl Fn(&Self) -> bool) -> CaseResult {
        let mut changes = self.changed.subscribe();
        let waited = timeout(patience, async {
            while !is_so(self) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        });
        waited.await.map_err(|_| Finding::fail(format!("never seen on the wire: {what}")))
    }

    fn count(&self, is_it: impl Fn(&Event) -> bool) -> usize {
        self.log().seen.iter().filter(|seen| is_it(&seen.event)).count()
    }

    /// Every command, in the order in which they came.
    pub(crate) fn all_commands(&self) -> Vec<Command> {
        let command = |seen: &Seen| match &seen.event {
            Event::Command(command) => Some(command.as_ref().clone()),
            _ => None,
        };
        self.log().seen.iter().filter_map(command).collect()
    }

    /// The commands that the caller of the client has asked for.
    pub(crate) fn commands(&self) -> Vec<Command> {
        self.all_commands().into_iter().filter(|command| !command.is_housekeeping()).collect()
    }

    /// Those of this name, housekeeping included.
    pub(crate) fn named(&self, name: &str) -> Vec<Command> {
        self.all_commands().into_iter().filter(|command| command.name == name).collect()
    }

    /// Their lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.commands().iter().map(Command::line).collect()
    }

    /// How many connections were opened.
    pub(crate) fn opened(&self) -> usize {
        self.count(|event| matches!(event, Event::Opened))
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.opened() - self.count(|event| matches!(event, Event::Closed))
    }

    /// How often the client said that it leaves.
    pub(crate) fn byes(&self) -> usize {
        self.count(|event| matches!(event, Event::Bye))
    }

    /// How many frames came from the client.
    pub(crate) fn frames_in(&self) -> u64 {
        let count = self.count(|event| matches!(event, Event::Frame { direction: Direction::ToServer, .. }));
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// The kinds of the frames that came over the first connection.
    pub(crate) fn first_frames(&self) -> Vec<FrameKind> {
        let log = self.log();
        let first = log.seen.first().map(|seen| seen.connection);
        let kind = |seen: &Seen| match seen.event {
            Event::Frame { direction: Direction::ToServer, kind, .. } if Some(seen.connection) == first => Some(kind),
            _ => None,
        };
        log.seen.iter().filter_map(kind).collect()
    }

    /// The headers of every message from the client.
    pub(crate) fn messages_in(&self) -> Vec<Headers> {
        let headers = |seen: &Seen| match &seen.event {
            Event::Frame { direction: Direction::ToServer, headers: Some(headers), .. } => Some(headers.clone()),
            _ => None,
        };
        self.log().seen.iter().filter_map(headers).collect()
    }

    /// The registrations with their headers.
    pub(crate) fn registrations(&self) -> Vec<(Headers, RegisterRequest)> {
        let registration = |seen: &Seen| match &seen.event {
            Event::Register(headers, request) => Some((headers.clone(), request.clone())),
            _ => None,
        };
        self.log().seen.iter().filter_map(registration).collect()
    }

    /// How often a challenge was asked for.
    pub(crate) fn challenges(&self) -> usize {
        self.count(|event| matches!(event, Event::Challenge))
    }

    /// The logins: what their headers say.
    pub(crate) fn logins(&self) -> Vec<LoginHeaders> {
        self.named("_cert_login").iter().map(|command| LoginHeaders::from_headers(&command.headers)).collect()
    }

    /// How many uploads were begun, and how many pieces came.
    pub(crate) fn uploads(&self) -> (usize, usize) {
        let begun = self.count(|event| matches!(event, Event::Piece { has_context: true }));
        (begun, self.count(|event| matches!(event, Event::Piece { .. })))
    }

    /// What was asked of the download service.
    pub(crate) fn pulls(&self) -> Vec<Pull> {
        let pull = |seen: &Seen| match &seen.event {
            Event::Pull(pull) => Some(pull.clone()),
            _ => None,
        };
        self.log().seen.iter().filter_map(pull).collect()
    }

    /// Streams that the server has sent on each connection, and those that the client acknowledged to the end.
    pub(crate) fn streams_out(&self) -> BTreeMap<u64, bool> {
        let mut streams = BTreeMap::new();
        for seen in &self.log().seen {
            let Event::Frame { direction, headers: Some(headers), .. } = &seen.event else { continue };
            if headers.text(headers::CHANNEL) != Some(channel::STREAM) {
                continue;
            }
            let Some(id) = headers.number(headers::STREAM_ID) else { continue };
            match (direction, headers.text(headers::TOPIC)) {
                (Direction::ToClient, Some(channel::STREAM_DATA)) => {
                    streams.entry(id).or_insert(false);
                }
                (Direction::ToServer, Some(channel::STREAM_ACK)) => {
                    if let Some(acknowledged) = streams.get_mut(&id) {
                        *acknowledged = true;
                    }
                }
                _ => {}
            }
        }
        streams
    }
}
