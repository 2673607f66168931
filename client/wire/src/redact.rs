//! Messages as JSON that people may see: readable, and without secrets.
//!
//! Everything that shows messages to somebody (a log, a report, a recording) goes through [`Redactor::message`] and
//! [`Redactor::text`]. What is hidden: cell tokens and session tokens, signatures, the nonces of challenges, private keys,
//! and the tokens of sites in tables. A secret that was seen once is hidden wherever it turns up later.
//!
//! ```
//! use flare_wire::cell::{Headers, Payload};
//! use flare_wire::hci::Request;
//! use flare_wire::redact::Redactor;
//!
//! let token = "9ad1ef1b-7b32-4d2a-8a0e-0a5a3f1c1f60".to_owned();
//! let request = Request { token: Some(token.clone()), ..Request::new("list_jobs") };
//! let mut redactor = Redactor::new();
//! let shown = redactor.message(&Headers::new(), &Payload::text(&request.to_json()));
//! assert_eq!(shown.what, "message: list_jobs");
//! assert_eq!(shown.body.unwrap()["data"][1]["data"], "<token>");
//! assert_eq!(redactor.text(&format!("{token} is unknown")), "<token> is unknown");
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::cell::{Encoding, Headers, Message, Payload, SERVER, channel, headers};
use crate::fobs;
use crate::msgpack::Value;

/// Shorter texts are not looked for elsewhere: words of a few letters occur by chance.
const SHORTEST_SECRET: usize = 12;

/// Shorter runs of base64 are names and ids; a signature has 344 letters.
const SHORTEST_BASE64_SECRET: usize = 64;

/// What hides the value of a header, field or key of such a name.
fn label_of(name: &str) -> Option<&'static str> {
    match name {
        headers::TOKEN | "token" | "session_token" => Some("<token>"),
        headers::TOKEN_SIGNATURE | "signature" => Some("<signature>"),
        "nonce" => Some("<challenge>"),
        "cert" => Some("<certificate>"),
        "private_key" | "password" => Some("<secret>"),
        _ => None,
    }
}

/// A message that people may see.
#[derive(Debug, Clone, PartialEq)]
pub struct Redacted {
    /// What it is, on one line.
    pub what: String,
    /// Its headers.
    pub headers: Map<String, Json>,
    /// What it holds; nothing for a message without payload.
    pub body: Option<Json>,
}

/// Makes messages visible, and knows the secrets it has seen.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    /// Every secret and what stands in its place.
    seen: BTreeMap<String, &'static str>,
}

impl Redactor {
    /// A redactor that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A message as people may see it.
    pub fn message(&mut self, headers: &Headers, payload: &Payload) -> Redacted {
        let shown = headers.iter().map(|(name, value)| (name.to_owned(), self.value(name, value))).collect();
        let body = self.body(headers, payload);
        let what = self.text(&describe(headers, body.as_ref())).into_owned();
        Redacted { what, headers: shown, body }
    }

    /// As [`message`](Self::message), for a message that came in a frame.
    pub fn cell_message(&mut self, message: &Message) -> Redacted {
        self.message(&message.headers, &message.body())
    }

    /// A text as people may see it: without secrets that were seen before, without private keys, and without anything
    /// that looks like a signature.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut shown = Cow::Borrowed(text);
        for (secret, label) in &self.seen {
            if shown.contains(secret.as_str()) {
                shown = shown.replace(secret.as_str(), label).into();
            }
        }
        if let Some(hidden) = without_private_keys(&shown) {
            shown = hidden.into();
        }
        if let Some(hidden) = without_base64(&shown) {
            shown = hidden.into();
        }
        shown
    }

    fn body(&mut self, headers: &Headers, payload: &Payload) -> Option<Json> {
        if payload.bytes.is_empty() {
            return None;
        }
        let value = match &payload.encoding {
            // A stream that fits into one chunk can be read as what it carries.
            Encoding::Bytes if headers.text(headers::STREAM_PAYLOAD_ENCODING) == Some("fobs") => {
                fobs::decode(&payload.bytes.to_bytes()).ok()
            }
            Encoding::Fobs => fobs::decode(&payload.bytes.to_bytes()).ok(),
            _ => None,
        };
        Some(match value {
            Some(Value::String(text)) if text.is_str() => self.hci(text.as_str().unwrap_or_default()),
            Some(value) => self.value("", &value),
            None => bytes(payload.bytes.len()),
        })
    }

    /// A text that is mostly JSON.
    fn hci(&mut self, text: &str) -> Json {
        match serde_json::from_str(text) {
            Ok(json @ (Json::Object(_) | Json::Array(_))) => self.json("", &json),
            _ => self.text(text).into(),
        }
    }

    fn value(&mut self, name: &str, value: &Value) -> Json {
        if let Some(label) = label_of(name) {
            return match value {
                Value::String(text) => self.hide(label, text.as_str().unwrap_or_default()),
                Value::Nil => Json::Null,
                _ => label.into(),
            };
        }
        match value {
            Value::Nil => Json::Null,
            Value::Boolean(flag) => (*flag).into(),
            Value::Integer(number) => number.as_u64().map_or_else(|| json!(number.as_i64()), Json::from),
            Value::F32(number) => f64::from(*number).into(),
            Value::F64(number) => (*number).into(),
            Value::String(text) => self.text(text.as_str().unwrap_or_default()).into(),
            Value::Binary(content) => bytes(content.len()),
            Value::Ext(_, content) => bytes(content.len()),
            Value::Array(items) => items.iter().map(|item| self.value("", item)).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|(key, item)| {
                    let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                    let shown = self.value(&key, item);
                    (self.text(&key).into_owned(), shown)
                })
                .collect::<Map<_, _>>()
                .into(),
        }
    }

    fn json(&mut self, name: &str, value: &Json) -> Json {
        if let Some(label) = label_of(name) {
            return match value {
                Json::String(text) => self.hide(label, text),
                Json::Null => Json::Null,
                _ => label.into(),
            };
        }
        match value {
            Json::String(text) => self.text(text).into(),
            Json::Array(items) => items.iter().map(|item| self.json("", item)).collect(),
            Json::Object(map) => self.object(map),
            other => other.clone(),
        }
    }

    /// Items of a message say in `type` what their `data` is; a table names its columns in the first row.
    fn object(&mut self, map: &Map<String, Json>) -> Json {
        let is_token = map.get("type").and_then(Json::as_str) == Some("token");
        let shown = map.iter().map(|(key, value)| {
            let shown = match (key.as_str(), value) {
                ("data", value) if is_token => self.json(headers::TOKEN, value),
                ("rows", Json::Array(rows)) => self.table(rows),
                _ => self.json(key, value),
            };
            (self.text(key).into_owned(), shown)
        });
        Json::Object(shown.collect())
    }

    fn table(&mut self, rows: &[Json]) -> Json {
        let is_secret = |cell: &Json| cell.as_str().is_some_and(|name| name.eq_ignore_ascii_case("token"));
        let heading = rows.first().and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let secret: Vec<bool> = heading.iter().map(is_secret).collect();
        let shown = rows.iter().enumerate().map(|(row, cells)| {
            let Json::Array(cells) = cells else { return self.json("", cells) };
            let shown = cells.iter().enumerate().map(|(column, cell)| {
                let hidden = row > 0 && secret.get(column).copied().unwrap_or_default();
                self.json(if hidden { headers::TOKEN } else { "" }, cell)
            });
            shown.collect()
        });
        shown.collect()
    }

    /// A server stamps its own name in the place of a token, which is no secret.
    fn hide(&mut self, label: &'static str, secret: &str) -> Json {
        if secret.is_empty() || secret == SERVER {
            return secret.into();
        }
        if secret.len() >= SHORTEST_SECRET {
            self.seen.insert(secret.to_owned(), label);
        }
        label.into()
    }
}

fn bytes(length: usize) -> Json {
    format!("<{length} bytes>").into()
}

/// What a message is: who it is for, and the command or status in it.
fn describe(headers: &Headers, body: Option<&Json>) -> String {
    let header = |name| headers.text(name);
    let is_stream = header(headers::CHANNEL) == Some(channel::STREAM);
    if is_stream && header(headers::TOPIC) == Some(channel::STREAM_ACK) {
        let offset = headers.number(headers::STREAM_OFFSET).unwrap_or_default();
        return format!("acknowledgement of {offset} bytes");
    }
    let (application, topic) = if is_stream {
        (header(headers::STREAM_CHANNEL), header(headers::STREAM_TOPIC))
    } else {
        (header(headers::CHANNEL), header(headers::TOPIC))
    };
    let kind = header(headers::MSG_TYPE).unwrap_or("message");
    let mut what = match (application, topic) {
        (Some(application), Some(topic)) => format!("{kind} {application}/{topic}"),
        _ => kind.to_owned(),
    };
    if let Some(code) = header(headers::RETURN_CODE) {
        what.push_str(&format!(" {code}"));
    }
    if let Some(said) = body.and_then(said) {
        what.push_str(&format!(": {said}"));
    }
    what
}

/// The command of a request, or the status of a reply.
fn said(body: &Json) -> Option<String> {
    let items = body.get("data")?.as_array()?;
    let item = |kind| items.iter().find(|item| item.get("type").and_then(Json::as_str) == Some(kind));
    if let Some(line) = item("command").and_then(|item| item.get("data")?.as_str()) {
        return Some(line.to_owned());
    }
    let meta = body.get("meta")?;
    let text = |name: &str| meta.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
    match (text("status"), text("info")) {
        (Some(status), Some(info)) => Some(format!("{status} ({info})")),
        (Some(status), None) => Some(status.to_owned()),
        _ => item("string").and_then(|item| item.get("data")?.as_str()).map(str::to_owned),
    }
}

/// The text with every PEM private key replaced, or nothing when there is none. One whose end is missing goes on to the
/// end of the text.
fn without_private_keys(text: &str) -> Option<String> {
    const BEGIN: &str = "-----BEGIN";
    const KEY: &str = "PRIVATE KEY-----";
    const LONGEST_BEGIN: usize = 64;
    let mut shown = String::new();
    let mut rest = text;
    let mut found = false;
    while let Some(start) = rest.find(BEGIN) {
        let (before, block) = rest.split_at(start);
        shown.push_str(before);
        match block.find(KEY) {
            Some(at) if at <= LONGEST_BEGIN => {
                found = true;
                shown.push_str("<private key>");
                let inside = at + KEY.len();
                rest = block[inside..].find(KEY).map_or("", |end| &block[inside + end + KEY.len()..]);
            }
            _ => {
                shown.push_str(BEGIN);
                rest = &block[BEGIN.len()..];
            }
        }
    }
    shown.push_str(rest);
    found.then_some(shown)
}

/// The text with every long run of base64 replaced, or nothing when there is none. Hex digits are no such run.
fn without_base64(text: &str) -> Option<String> {
    let is_base64 = |letter: char| letter.is_ascii_alphanumeric() || "+/=_-".contains(letter);
    let is_secret = |run: &str| {
        let has = |wanted: fn(&u8) -> bool| run.bytes().any(|byte| wanted(&byte));
        run.len() >= SHORTEST_BASE64_SECRET
            && has(u8::is_ascii_uppercase)
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_digit)
    };
    let mut shown = String::new();
    let mut rest = text;
    let mut found = false;
    while !rest.is_empty() {
        let run = rest.find(|letter| !is_base64(letter)).unwrap_or(rest.len());
        if is_secret(&rest[..run]) {
            found = true;
            shown.push_str("<secret>");
        } else {
            shown.push_str(&rest[..run]);
        }
        rest = &rest[run..];
        let gap = rest.find(is_base64).unwrap_or(rest.len());
        shown.push_str(&rest[..gap]);
        rest = &rest[gap..];
    }
    found.then_some(shown)
}
