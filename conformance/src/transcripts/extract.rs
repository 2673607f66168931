//! Commands and their replies, out of everything that a case was seen to say and hear.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io::{Cursor, Read as _};

use flare_wire::auth::LoginHeaders;
use flare_wire::cell::{Headers, Message, MessageKind, Payload, channel, headers};
use flare_wire::hci::{Request, split_line};
use flare_wire::msgpack::Value as Packed;
use flare_wire::redact::Redactor;
use flare_wire::transfer::download;
use flare_wire::transfer::upload::{self, Piece, PieceReply};
use serde_json::Value;

use super::legend::Legend;
use super::model::{Exchange, Transcript};
use crate::recorder::{Content, Said};
use crate::report::Direction;

/// Why a case cannot be replayed.
const BELOW: &str = "it is about what lies below commands";
const STUDY: &str = "it opens sessions in what is no study";
const NO_TEXT: &str = "it submits files that are no texts";
const SESSIONS: &str = "it is about sessions, which are made anew";
const OVERLAP: &str = "it asks for several things at the same time in one session";
const SILENCE: &str = "something gets no reply";
const NOTHING: &str = "it says no command";

/// The study that needs nothing to be prepared.
pub(super) const DEFAULT_STUDY: &str = "default";

/// How the names of the files begin that hold signatures: they are made anew.
const SIGNATURES: &str = ".__nvfl_";

/// What stands in texts for names that are another each time.
#[derive(Debug, Clone, Default)]
pub(super) struct OwnNames(pub(super) Vec<(String, &'static str)>);

impl OwnNames {
    /// `text` with marks in the place of these names.
    pub(super) fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, mark)| text.replace(name, mark))
    }

    /// A value with the names in the place of their marks.
    pub(super) fn show_in(&self, value: &Value) -> Value {
        let marks = self.0.iter().map(|(name, mark)| (*mark, name.as_str()));
        changed(value, &|text| marks.clone().fold(text.to_owned(), |text, (mark, name)| text.replace(mark, name)))
    }

    /// A value, in the same way.
    pub(super) fn hide_in(&self, value: &Value) -> Value {
        changed(value, &|text| self.hide(text))
    }
}

/// A value with all its texts changed.
fn changed(value: &Value, change: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => change(text).into(),
        Value::Array(items) => items.iter().map(|item| changed(item, change)).collect(),
        Value::Object(map) => {
            let members = map.iter().map(|(name, item)| (change(name), changed(item, change)));
            members.collect::<serde_json::Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// What waits for a reply.
#[derive(Debug, Clone, Copy)]
enum Pending {
    Command(usize),
    Upload(usize),
    Other,
}

/// One connection.
#[derive(Debug, Default)]
struct Line {
    user: Option<String>,
    study: String,
    pending: VecDeque<Pending>,
    by_id: HashMap<String, Pending>,
    upload: Option<usize>,
    /// What has been sent of the file.
    file: Vec<u8>,
}

#[derive(Default)]
struct Extraction {
    lines: HashMap<String, Line>,
    exchanges: Vec<Exchange>,
    left_out: BTreeSet<&'static str>,
    fetches: bool,
    redactor: Redactor,
}

/// The transcript of a case.
pub(super) fn extract(case: &str, said: &[Said], own: &OwnNames) -> Transcript {
    let mut extraction = Extraction::default();
    // Whatever is learnt at the end is hidden in the beginning as well.
    for said in said {
        if let Content::Message(headers, payload) = &said.content {
            extraction.redactor.message(headers, payload);
        }
    }
    for said in said {
        extraction.take(said);
    }
    let Extraction { mut exchanges, mut left_out, fetches, .. } = extraction;
    if exchanges.iter().any(|exchange| exchange.reply.is_null()) {
        left_out.insert(SILENCE);
    }
    if exchanges.is_empty() && left_out.is_empty() {
        left_out.insert(NOTHING);
    }
    if !left_out.is_empty() {
        exchanges.clear();
    }
    let mut legend = Legend::default();
    let mut kept: Vec<Exchange> = Vec::new();
    for exchange in exchanges {
        let exchange = Exchange {
            command: legend.text(&own.hide(&exchange.command)),
            meta: legend.map(&exchange.meta),
            reply: legend.value(&own.hide_in(&exchange.reply)),
            ..exchange
        };
        // Who asks until something has happened gets the same reply many times.
        if !kept.last().is_some_and(|last| is_repeated(last, &exchange)) {
            kept.push(exchange);
        }
    }
    let left_out = left_out.into_iter().map(str::to_owned).collect();
    // Moments of replies that are not kept are in nobody's way.
    Transcript { case: case.to_owned(), left_out, fetches, legend: legend.into_table(), exchanges: kept }
}

/// The same but for the moment of the reply.
fn is_repeated(last: &Exchange, next: &Exchange) -> bool {
    let without_time = |exchange: &Exchange| {
        let mut exchange = exchange.clone();
        if let Some(reply) = exchange.reply.as_object_mut() {
            reply.shift_remove("time");
        }
        exchange
    };
    without_time(last) == without_time(next)
}

impl Extraction {
    fn take(&mut self, said: &Said) {
        match (&said.content, said.direction) {
            (Content::Message(headers, payload), Direction::Sent) => self.sent(&said.connection, headers, payload),
            (Content::Message(headers, payload), Direction::Received) => {
                self.received(&said.connection, headers, payload);
            }
            (Content::Line(text), _) if text.starts_with("no reply") => {
                self.left_out.insert(SILENCE);
            }
            (Content::Line(text), Direction::Sent) if text.contains("bytes as they are") => {
                self.left_out.insert(BELOW);
            }
            _ => {}
        }
    }

    fn sent(&mut self, connection: &str, headers: &Headers, payload: &Payload) {
        let pending = match (headers.text(headers::CHANNEL), headers.text(headers::TOPIC)) {
            (Some(channel::HCI), _) => self.command(connection, headers, payload),
            (Some(upload::CHANNEL), _) => self.piece(connection, payload),
            (Some(download::CHANNEL), _) => {
                // Pieces of several files are asked for at the same time; whose answer is whose makes no difference, as long
                // as no command waits.
                self.fetches = true;
                if self.lines.get(connection).is_some_and(|line| !line.pending.is_empty()) {
                    self.left_out.insert(OVERLAP);
                }
                return;
            }
            (Some(channel::TASK), _) => Pending::Other,
            (Some(channel::STREAM), Some(channel::STREAM_ACK)) | (Some(channel::CELLNET), Some(channel::BYE)) => return,
            _ => {
                self.left_out.insert(BELOW);
                Pending::Other
            }
        };
        let line = self.lines.entry(connection.to_owned()).or_default();
        match headers.text(headers::REQ_ID).filter(|id| !id.is_empty()) {
            Some(id) => drop(line.by_id.insert(id.to_owned(), pending)),
            None => {
                if !line.pending.is_empty() {
                    self.left_out.insert(OVERLAP);
                }
                line.pending.push_back(pending);
            }
        }
    }

    fn command(&mut self, connection: &str, headers: &Headers, payload: &Payload) -> Pending {
        let Some(request) = payload.as_text().ok().and_then(|text| Request::parse(&text).ok()) else {
            self.left_out.insert(BELOW);
            return Pending::Other;
        };
        let words = split_line(&request.command);
        match words.name() {
            "_cert_login" => {
                let study = LoginHeaders::from_headers(headers).study;
                let study = study.as_ref().and_then(Packed::as_str);
                if study.is_none() {
                    self.left_out.insert(STUDY);
                }
                let line = self.lines.entry(connection.to_owned()).or_default();
                line.study = study.filter(|study| *study != DEFAULT_STUDY).unwrap_or_default().to_owned();
                line.user = words.args().first().cloned();
                Pending::Other
            }
            "_logout" | "_check_session" => Pending::Other,
            // A session of our client asks for them by itself; whoever is after them does so by hand.
            "_commands" if headers.text(headers::REQ_ID).is_none() => Pending::Other,
            "list_sessions" => {
                self.left_out.insert(SESSIONS);
                Pending::Other
            }
            _ => Pending::Command(self.push(connection, request, false)),
        }
    }

    fn piece(&mut self, connection: &str, payload: &Payload) -> Pending {
        let Some(piece) = payload.value().ok().and_then(|value| Piece::from_value(value).ok()) else {
            return Pending::Other;
        };
        if let Some(request) = piece.context.and_then(|context| Request::parse(&context.request).ok()) {
            let index = self.push(connection, request, true);
            let line = self.lines.entry(connection.to_owned()).or_default();
            (line.upload, line.file) = (Some(index), Vec::new());
        }
        let line = self.lines.entry(connection.to_owned()).or_default();
        let Some(index) = line.upload else { return Pending::Other };
        line.file.extend_from_slice(&piece.data.to_bytes());
        if piece.eof {
            match texts_in(&line.file) {
                Some(files) => self.exchanges[index].files = files,
                None => drop(self.left_out.insert(NO_TEXT)),
            }
        }
        Pending::Upload(index)
    }

    fn push(&mut self, connection: &str, request: Request, upload: bool) -> usize {
        if request.token.is_none() {
            self.left_out.insert(SESSIONS);
        }
        let known = self.lines.get(connection).and_then(|line| line.user.clone());
        // The connection of a session is named after its user, with a number behind it when there are several.
        let user = known.unwrap_or_else(|| connection.split(" #").next().unwrap_or(connection).to_owned());
        let study = self.lines.get(connection).map(|line| line.study.clone()).unwrap_or_default();
        self.exchanges.push(Exchange {
            user,
            study,
            command: request.command,
            meta: request.meta,
            upload,
            files: BTreeMap::new(),
            reply: Value::Null,
        });
        self.exchanges.len() - 1
    }

    fn received(&mut self, connection: &str, headers: &Headers, payload: &Payload) {
        let Some(line) = self.lines.get_mut(connection) else { return };
        let id = headers.text(headers::REQ_ID).filter(|id| !id.is_empty());
        let pending = match id.and_then(|id| line.by_id.remove(id)) {
            Some(pending) => Some(pending),
            None if is_push(headers) => None,
            None => line.pending.pop_front(),
        };
        match pending {
            Some(Pending::Command(index)) => {
                let reply = payload.as_text().ok();
                self.reply(index, reply.as_deref());
            }
            Some(Pending::Upload(index)) => {
                let answer = payload.value().ok().and_then(|value| PieceReply::from_value(&value).ok());
                if let Some(text) = answer.and_then(|answer| answer.end_result) {
                    self.reply(index, Some(&text));
                }
            }
            Some(Pending::Other) | None => {}
        }
    }

    fn reply(&mut self, index: usize, text: Option<&str>) {
        let Some(text) = text else { return };
        if text.contains("session_inactive") || text.contains("not authenticated") {
            self.left_out.insert(SESSIONS);
        }
        let body = self.redactor.message(&Headers::new(), &Payload::text(text)).body;
        self.exchanges[index].reply = body.unwrap_or_default();
    }
}

/// The files of an archive but for signatures; none when it is no archive, or when one of them is no text.
fn texts_in(archive: &[u8]) -> Option<BTreeMap<String, String>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).ok()?;
    let mut files = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).ok()?;
        let name = entry.name().ok()?.into_owned();
        if entry.is_file() && !name.contains(SIGNATURES) {
            let mut text = String::new();
            entry.read_to_string(&mut text).ok()?;
            files.insert(name, text);
        }
    }
    Some(files)
}

/// What answers nothing: part of a stream that is no reply, or a message that nobody asked for.
fn is_push(headers: &Headers) -> bool {
    if headers.text(headers::CHANNEL) == Some(channel::STREAM) {
        return headers.text(headers::STREAM_CHANNEL) != Some(channel::RETURN_ONLY);
    }
    let message = Message { headers: headers.clone(), payload: flare_wire::Segments::new() };
    message.kind() == Some(MessageKind::Request)
}

#[cfg(test)]
mod tests {
    use flare_wire::hci::Reply;

    use super::*;

    const USER: &str = "lead@nvidia.com";
    const JOB: &str = "8842f542-9eef-4899-aec1-b0733a8cfe40";

    fn said(direction: Direction, channel_name: &str, payload: Payload) -> Said {
        let headers = Headers::new().with(headers::CHANNEL, channel_name).with(headers::TOPIC, channel::COMMAND);
        Said { connection: USER.to_owned(), direction, content: Content::Message(headers, payload) }
    }

    fn command(line: &str) -> Said {
        let request = Request { token: Some("eyJuIjogIngifQ==:c2lnbmF0dXJl".to_owned()), ..Request::new(line) };
        said(Direction::Sent, channel::HCI, Payload::text(&request.to_json()))
    }

    fn reply(time: &str, text: &str) -> Said {
        let mut reply = Reply { time: time.to_owned(), ..Reply::new() };
        reply.push_string(text);
        said(Direction::Received, channel::HCI, Payload::text(&reply.to_json()))
    }

    #[test]
    fn commands_stand_with_their_replies_and_repeated_ones_once() {
        let line = format!("get_job_meta {JOB}");
        let own = OwnNames(vec![("/srv/kits".to_owned(), "<kits>")]);
        let seen = [
            command("pwd server"),
            reply("2026-11-26 05:00:00", "/srv/kits/server"),
            command(&line),
            reply("2026-11-26 05:00:01", "SUBMITTED"),
            command(&line),
            reply("2026-11-26 05:00:02", "SUBMITTED"),
            command(&line),
            reply("2026-11-26 05:00:03", "RUNNING"),
        ];
        let transcript = extract("a.case", &seen, &own);
        let told: Vec<(&str, &str)> = transcript
            .exchanges
            .iter()
            .map(|exchange| (exchange.command.as_str(), exchange.reply["data"][0]["data"].as_str().unwrap()))
            .collect();
        let meta = "get_job_meta <id 1>";
        assert_eq!(told, [("pwd server", "<kits>/server"), (meta, "SUBMITTED"), (meta, "RUNNING")]);
        assert_eq!(transcript.exchanges[0].user, USER);
        assert_eq!(transcript.legend["<id 1>"], JOB);
        let text = serde_json::to_string(&transcript).unwrap();
        assert!(!text.contains("eyJuIjogIngifQ"), "{text}");
    }

    #[test]
    fn what_cannot_be_said_again_is_told_and_nothing_else_is_kept() {
        let out = |seen: &[Said]| {
            let transcript = extract("a.case", seen, &OwnNames::default());
            assert!(transcript.exchanges.is_empty() || transcript.left_out.is_empty());
            transcript.left_out.into_iter().collect::<Vec<_>>()
        };
        let answered = [command("list_studies"), reply("2026-11-26 05:00:00", "OK")];
        assert_eq!(out(&answered), Vec::<String>::new());
        assert_eq!(out(&[]), [NOTHING]);
        assert_eq!(out(&[command("list_studies")]), [SILENCE]);
        assert_eq!(out(&[command("list_studies"), command("list_jobs")]), [OVERLAP, SILENCE]);
        let pull = || said(Direction::Sent, download::CHANNEL, Payload::empty());
        assert_eq!(out(&[command("list_studies"), pull()]), [OVERLAP, SILENCE]);
        let fetched = extract("a.case", &[&answered[..], &[pull()]].concat(), &OwnNames::default());
        assert!(fetched.fetches && fetched.left_out.is_empty(), "{fetched:?}");
        let chunk = said(Direction::Sent, channel::STREAM, Payload::empty());
        assert_eq!(out(&[&answered[..], &[chunk]].concat()), [BELOW]);
        let anonymous = said(Direction::Sent, channel::HCI, Payload::text(&Request::new("list_jobs").to_json()));
        assert_eq!(out(&[anonymous, reply("2026-11-26 05:00:00", "OK")]), [SESSIONS]);
    }
}
