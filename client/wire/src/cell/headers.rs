//! Message headers: their names, each written once, and an ordered map of them.
//!
//! Source: `reference/wire-protocol.md` sections 3.1, 4.2 and 6.4.

use std::borrow::Cow;
use std::fmt;

use crate::msgpack::{self, MsgpackError, Value};

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*
    };
}

names! {
    /// FQCN of the author.
    ORIGIN = "cn__origin";
    /// FQCN of the cell it is for.
    DESTINATION = "cn__destination";
    /// `req`, `reply` or `return`.
    MSG_TYPE = "cn__msg_type";
    /// Dispatch key, first half.
    CHANNEL = "cn__channel";
    /// Dispatch key, second half.
    TOPIC = "cn__topic";
    /// Id that a plain reply repeats.
    REQ_ID = "cn__req_id";
    /// True when a plain reply is wanted.
    REPLY_EXPECTED = "cn__reply_expected";
    /// `none`, `bytes` or `fobs`.
    PAYLOAD_ENCODING = "cn__payload_encoding";
    /// Length of the payload; informational.
    PAYLOAD_LEN = "cn__payload_len";
    /// Outcome of a request.
    RETURN_CODE = "cn__return_code";
    /// Error text beside a return code.
    ERROR = "cn__error";
    /// Previous hop.
    FROM = "cn__from";
    /// Next hop.
    TO = "cn__to";
    /// Cells passed so far, with times.
    ROUTE = "cn__route";
    /// End-to-end encryption; always false here.
    SECURE = "cn__secure";
    /// Log level only.
    OPTIONAL = "cn__optional";
    /// When it was sent; informational.
    SEND_TIME = "cn__send_time";
    /// Headers of a message that came back.
    ORIGINAL_HEADERS = "cn__original_headers";
    /// Why a message came back.
    RETURN_REASON = "cn__return_reason";

    /// Stream id, unique per sender.
    STREAM_ID = "sm__id";
    /// Kind of stream message.
    STREAM_DATA_TYPE = "sm__dt";
    /// Chunk number from 0; in an acknowledgement the highest in-order chunk.
    STREAM_SEQUENCE = "sm__sq";
    /// Offset of the chunk; in an acknowledgement the bytes consumed.
    STREAM_OFFSET = "sm__os";
    /// Size of the whole blob; 0 is unknown (or empty).
    STREAM_SIZE = "sm__sz";
    /// Application channel.
    STREAM_CHANNEL = "sm__ch";
    /// Application topic.
    STREAM_TOPIC = "sm__tp";
    /// Encoding of the assembled blob.
    STREAM_PAYLOAD_ENCODING = "sm__pe";
    /// Request id; present when a reply is wanted, repeated in the reply.
    STREAM_REQ_ID = "sm__ri";
    /// The sender repeats chunks until they are acknowledged.
    STREAM_RELIABLE = "sm__rs";
    /// Log level only.
    STREAM_OPTIONAL = "sm__op";
    /// Chunk size of the sender.
    STREAM_CHUNK_SIZE = "sm__cs";
    /// Window of the sender.
    STREAM_WINDOW_SIZE = "sm__ws";
    /// Acknowledgement interval that the sender suggests.
    STREAM_ACK_INTERVAL = "sm__ai";
    /// Seconds before an unacknowledged chunk is repeated.
    STREAM_RETRY_WAIT = "sm__rw";
    /// Seconds of repeating before the sender gives up.
    STREAM_RETRY_TIMEOUT = "sm__rt";
    /// Error text.
    STREAM_ERROR = "sm__em";
    /// Error class name.
    STREAM_ERROR_TYPE = "sm__et";

    /// Who says it is: part of the authentication stamp and of the register request.
    CLIENT_NAME = "client_name";
    /// Token of a registered cell.
    TOKEN = "__token__";
    /// The server's signature over name and token.
    TOKEN_SIGNATURE = "__token_signature__";
    /// Service session id; `NA` since 2.8.
    SSID = "ssid";
}

/// Headers of a message, in the order they were written.
#[derive(Clone, PartialEq, Default)]
pub struct Headers(Vec<(Cow<'static, str>, Value)>);

impl Headers {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value of a header.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// A text header.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// A header with a non-negative integer.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.as_u64()
    }

    /// A flag; absent or of another type is false.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Sets a header; one that is there keeps its place.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        let name = name.into();
        let value = value.into();
        match self.0.iter_mut().find(|(key, _)| *key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// As [`Headers::set`], for chaining.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.set(name, value);
        self
    }

    /// Removes a header.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let index = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(index).1)
    }

    /// Sets every header of `other`.
    pub fn extend(&mut self, other: &Self) {
        for (name, value) in &other.0 {
            self.set(name.clone(), value.clone());
        }
    }

    /// Name and value of every header, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// The msgpack map as a value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Map(self.0.iter().map(|(name, value)| (Value::from(name.as_ref()), value.clone())).collect())
    }

    /// The msgpack map.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        msgpack::encode(&self.to_value())
    }

    /// Reads a msgpack map; no bytes are no headers. The last of repeated keys counts.
    ///
    /// # Errors
    /// [`HeadersError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, HeadersError> {
        if bytes.is_empty() {
            return Ok(Self::new());
        }
        let Value::Map(entries) = msgpack::decode(bytes).map_err(HeadersError::Msgpack)? else {
            return Err(HeadersError::NotAMap);
        };
        // Keys are collected first and duplicates dropped in one sorted pass: a hostile map of 20,000 short
        // keys must not cost the square of that.
        let mut pairs = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            let Value::String(name) = name else { return Err(HeadersError::NotAMap) };
            let name = name.into_str().ok_or(HeadersError::NotAMap)?;
            pairs.push((Cow::Owned(name), value));
        }
        Ok(Self(without_repeats(pairs)))
    }
}

fn without_repeats(pairs: Vec<(Cow<'static, str>, Value)>) -> Vec<(Cow<'static, str>, Value)> {
    let mut last: std::collections::HashMap<&str, usize> = std::collections::HashMap::with_capacity(pairs.len());
    for (index, (name, _)) in pairs.iter().enumerate() {
        last.insert(name, index);
    }
    if last.len() == pairs.len() {
        return pairs;
    }
    let keep: Vec<bool> =
        pairs.iter().enumerate().map(|(index, (name, _))| last.get(name.as_ref()) == Some(&index)).collect();
    pairs.into_iter().zip(keep).filter_map(|(pair, keep)| keep.then_some(pair)).collect()
}

/// Headers are printed without the values that would let a reader of the log act for somebody else.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in self.iter() {
            if matches!(name, TOKEN | TOKEN_SIGNATURE | "signature") {
                map.entry(&name, &"<hidden>");
            } else {
                map.entry(&name, &format_args!("{value}"));
            }
        }
        map.finish()
    }
}

impl FromIterator<(&'static str, Value)> for Headers {
    fn from_iter<T: IntoIterator<Item = (&'static str, Value)>>(iter: T) -> Self {
        let mut headers = Self::new();
        for (name, value) in iter {
            headers.set(name, value);
        }
        headers
    }
}

/// Why bytes are no headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadersError {
    /// Not msgpack.
    Msgpack(MsgpackError),
    /// Msgpack, but not a map with text keys.
    NotAMap,
}

impl fmt::Display for HeadersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Msgpack(_) => f.write_str("the headers cannot be read"),
            Self::NotAMap => f.write_str("the headers are not a map with text keys"),
        }
    }
}

impl std::error::Error for HeadersError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Msgpack(error) => Some(error),
            Self::NotAMap => None,
        }
    }
}
