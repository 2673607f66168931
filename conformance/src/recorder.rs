//! What a case says and hears, kept until its outcome is known, and then shown without secrets.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flare_wire::cell::{Encoding, Headers, Message, Payload};
use flare_wire::frame::{Frame, FrameKind};
use flare_wire::redact::Redactor;
use serde_json::{Map, Value};

use crate::report::{Direction, Exchange};

/// Events kept from the beginning of a case: how it logged in.
const FIRST_EVENTS: usize = 40;
/// Events kept of a case that is recorded: some hundred times as many as a case has.
const RECORDED_EVENTS: usize = 20_000;
/// Events kept from its end: what it stumbled over. A case has some ten events; streams in small pieces have thousands.
const LAST_EVENTS: usize = 100;
/// Longer payloads are known by their length only: replies that say something are shorter, longer ones hold jobs.
const MAX_PAYLOAD: usize = 256 * 1024;
/// Longest text of a body or a headers' value in a report, in bytes. A whole table fits in; hundreds of cases may fail.
const MAX_TEXT: usize = 4 * 1024;

/// The recorder of one case. It keeps messages as they are, and makes them readable only when somebody wants them.
#[derive(Debug)]
pub(crate) struct Recorder {
    started: Instant,
    tape: Mutex<Tape>,
    /// Events kept from the beginning.
    first: usize,
}

/// One thing that was said or heard.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// On which of the case's connections.
    pub(crate) connection: String,
    /// Which way it went.
    pub(crate) direction: Direction,
    /// What it was.
    pub(crate) content: Content,
}

#[derive(Debug, Default)]
struct Tape {
    first: Vec<Event>,
    last: VecDeque<Event>,
    left_out: usize,
    connections: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Event {
    at: Duration,
    connection: String,
    direction: Direction,
    content: Content,
}

/// A message, or what is none.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Message(Headers, Payload),
    Line(String),
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), tape: Mutex::default(), first: FIRST_EVENTS }
    }

    /// A recorder that leaves nothing out but what is very long.
    pub(crate) fn of_everything() -> Self {
        Self { first: RECORDED_EVENTS, ..Self::new() }
    }

    /// What was kept, as it was: with its secrets.
    pub(crate) fn said(&self) -> Vec<Said> {
        let tape = self.tape();
        let said = |event: &Event| Said {
            connection: event.connection.clone(),
            direction: event.direction,
            content: event.content.clone(),
        };
        tape.first.iter().chain(&tape.last).map(said).collect()
    }

    /// Forgets everything: the case begins again.
    pub(crate) fn rewind(&self) {
        *self.tape() = Tape::default();
    }

    /// A name for another connection of `who`.
    pub(crate) fn connection(&self, who: &str) -> String {
        let mut tape = self.tape();
        let count = tape.connections.entry(who.to_owned()).or_default();
        *count += 1;
        if *count == 1 { who.to_owned() } else { format!("{who} #{count}") }
    }

    /// Keeps a message.
    pub(crate) fn message(&self, connection: &str, direction: Direction, headers: &Headers, payload: &Payload) {
        self.keep(connection, direction, Content::Message(headers.clone(), bounded(payload)));
    }

    /// Keeps a frame.
    pub(crate) fn frame(&self, connection: &str, direction: Direction, frame: &Frame) {
        let message = (frame.kind == FrameKind::Data).then(|| Message::from_frame(frame));
        match message {
            Some(Ok(message)) => self.message(connection, direction, &message.headers, &message.body()),
            Some(Err(error)) => {
                self.line(connection, direction, format!("DATA frame with unreadable headers: {error}"))
            }
            None => {
                let kind = format!("{:?}", frame.kind).to_uppercase();
                self.line(connection, direction, format!("{kind} frame, {} bytes", frame.encoded_len()));
            }
        }
    }

    /// Keeps what is no message.
    pub(crate) fn line(&self, connection: &str, direction: Direction, what: impl Into<String>) {
        self.keep(connection, direction, Content::Line(what.into()));
    }

    fn keep(&self, connection: &str, direction: Direction, content: Content) {
        let at = self.started.elapsed();
        let event = Event { at, connection: connection.to_owned(), direction, content };
        let mut tape = self.tape();
        if tape.first.len() < self.first {
            tape.first.push(event);
            return;
        }
        if tape.last.len() == LAST_EVENTS {
            tape.last.pop_front();
            tape.left_out += 1;
        }
        tape.last.push_back(event);
    }

    /// What was kept, as people may see it, and what removes the secrets of this case from other texts about it.
    pub(crate) fn develop(&self) -> (Vec<Exchange>, Redactor) {
        let tape = self.tape();
        let mut redactor = Redactor::new();
        // Whatever is learnt at the end is hidden in the beginning as well.
        for event in tape.first.iter().chain(&tape.last) {
            if let Content::Message(headers, payload) = &event.content {
                redactor.message(headers, payload);
            }
        }
        let mut shown: Vec<Exchange> = tape.first.iter().map(|event| event.develop(&mut redactor)).collect();
        if tape.left_out > 0 {
            let at_ms = tape.last.front().map(|event| milliseconds(event.at)).unwrap_or_default();
            shown.push(Exchange {
                at_ms,
                connection: String::new(),
                direction: Direction::Event,
                what: format!("{} more that are left out here", tape.left_out),
                headers: Map::new(),
                body: None,
            });
        }
        shown.extend(tape.last.iter().map(|event| event.develop(&mut redactor)));
        (shown, redactor)
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        // Nothing that holds the lock can panic; even then what is there is whole.
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Event {
    fn develop(&self, redactor: &mut Redactor) -> Exchange {
        let (what, headers, body) = match &self.content {
            Content::Line(what) => (redactor.text(what).into_owned(), Map::new(), None),
            Content::Message(headers, payload) => {
                let seen = redactor.message(headers, payload);
                let body = if is_left_out(payload) { Some(LEFT_OUT.into()) } else { seen.body };
                (seen.what, seen.headers, body)
            }
        };
        Exchange {
            at_ms: milliseconds(self.at),
            connection: self.connection.clone(),
            direction: self.direction,
            what: cut(&what),
            headers: headers.into_iter().map(|(name, value)| (name, short(value))).collect(),
            body: body.map(short),
        }
    }
}

/// What stands in the place of a payload that was too long to be kept.
const LEFT_OUT: &str = "<a long payload>";

fn bounded(payload: &Payload) -> Payload {
    if payload.bytes.len() <= MAX_PAYLOAD {
        return payload.clone();
    }
    Payload { encoding: Encoding::Other(LEFT_OUT.to_owned()), bytes: Bytes::from_static(b"-").into() }
}

fn is_left_out(payload: &Payload) -> bool {
    payload.encoding == Encoding::Other(LEFT_OUT.to_owned())
}

/// The value if its text is short, else the beginning of its text.
fn short(value: Value) -> Value {
    let text = match &value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.len() <= MAX_TEXT { value } else { cut(&text).into() }
}

fn cut(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(MAX_TEXT);
    format!("{} … ({} bytes)", &text[..end], text.len())
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use flare_wire::cell::headers;
    use flare_wire::hci::Request;

    use super::*;

    const TOKEN: &str = "5e0cfd55-5b0f-4f0e-9f0a-5a1e2d3c4b5a";

    fn stamped() -> Headers {
        Headers::new().with(headers::TOKEN, TOKEN)
    }

    #[test]
    fn what_was_said_is_shown_in_order_without_secrets_also_of_texts_before_they_were_seen() {
        let recorder = Recorder::new();
        let connection = recorder.connection("lead");
        recorder.line(&connection, Direction::Event, format!("about {TOKEN}"));
        let request = Request { token: Some(TOKEN.into()), ..Request::new("list_jobs") };
        recorder.message(&connection, Direction::Sent, &stamped(), &Payload::text(&request.to_json()));
        let (shown, redactor) = recorder.develop();
        let text = serde_json::to_string(&shown).unwrap();
        assert!(!text.contains(TOKEN), "{text}");
        assert_eq!(shown[0].what, "about <token>");
        assert_eq!(shown[1].what, "message: list_jobs");
        assert_eq!(redactor.text(&format!("no session {TOKEN}")), "no session <token>");
    }

    #[test]
    fn connections_of_the_same_user_are_told_apart() {
        let recorder = Recorder::new();
        let names = ["lead", "member", "lead"].map(|who| recorder.connection(who));
        assert_eq!(names, ["lead", "member", "lead #2"]);
    }

    #[test]
    fn a_long_case_keeps_its_beginning_and_its_end_and_long_content_is_cut() {
        let recorder = Recorder::new();
        for index in 0..1000 {
            recorder.line("x", Direction::Sent, index.to_string());
        }
        recorder.message("x", Direction::Sent, &stamped(), &Payload::text(&"long ".repeat(MAX_TEXT)));
        recorder.message("x", Direction::Sent, &stamped(), &Payload::text(&"long ".repeat(MAX_PAYLOAD)));
        let (shown, _) = recorder.develop();
        assert_eq!(shown.len(), FIRST_EVENTS + 1 + LAST_EVENTS);
        assert_eq!(shown[FIRST_EVENTS - 1].what, "39");
        assert_eq!(shown[FIRST_EVENTS].what, "862 more that are left out here");
        assert_eq!(shown[FIRST_EVENTS + 1].what, "902");
        let size = serde_json::to_string(&shown).unwrap().len();
        assert!(size < shown.len() * 200 + 2 * MAX_TEXT, "{size}");
        assert_eq!(shown.last().and_then(|exchange| exchange.body.clone()), Some(LEFT_OUT.into()));
        recorder.rewind();
        assert_eq!(recorder.develop().0, []);
    }
}
