//! What goes into an endpoint and what comes out of it.

use super::exchange::{Correlation, RequestId};
use crate::Randomness;
use crate::cell::{Headers, Hello, Payload, ReturnCode, channel};
use crate::error::RequestError;
use crate::stream::{ReceiverLimits, StreamSettings};

/// Stands for every topic of a channel in [`EndpointConfig::serves`].
pub const ANY_TOPIC: &str = "*";

/// Decides whether a message may come in.
///
/// Messages for `challenge` and `register` and a `bye` to this cell pass without being asked for.
pub trait Gate: Send {
    /// True when the authentication in `headers` is good. A message that is not admitted is dropped without an
    /// answer, as real cells do.
    fn admit(&mut self, headers: &Headers) -> bool;
}

/// How an endpoint behaves.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// Its endpoint name, which is also its FQCN.
    pub name: String,
    /// What its streamed requests look like.
    pub request_stream: StreamSettings,
    /// What its streamed replies look like.
    pub reply_stream: StreamSettings,
    /// What it is ready to receive.
    pub limits: ReceiverLimits,
    /// Channels and topics it serves ([`ANY_TOPIC`] is every one); any other request is answered with "no callback".
    pub serves: &'static [(&'static str, &'static str)],
}

impl EndpointConfig {
    /// An admin client of release 2.9: `_admin_` and a fresh UUID.
    #[must_use]
    pub fn admin(random: &mut Randomness) -> Self {
        Self {
            name: format!("_admin_{}", random.uuid()),
            request_stream: StreamSettings::client(),
            reply_stream: StreamSettings::client(),
            limits: ReceiverLimits::default(),
            serves: &[(channel::HCI, channel::SESSION_EXPIRED)],
        }
    }

    /// A server of release 2.9 that serves these channels and topics.
    #[must_use]
    pub fn server(serves: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            name: crate::cell::SERVER.to_owned(),
            request_stream: StreamSettings { reliable: false, ..StreamSettings::server_reply() },
            reply_stream: StreamSettings::server_reply(),
            limits: ReceiverLimits::server(),
            serves,
        }
    }
}

/// True when somebody handles the topic of the channel.
pub(super) fn is_served(serves: &[(&str, &str)], channel: &str, topic: &str) -> bool {
    serves.iter().any(|(served, topics)| *served == channel && (*topics == ANY_TOPIC || *topics == topic))
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct OutgoingRequest {
    /// FQCN of the cell it is for.
    pub destination: String,
    /// Dispatch key, first half.
    pub channel: String,
    /// Dispatch key, second half.
    pub topic: String,
    /// Application headers.
    pub headers: Headers,
    /// Its payload.
    pub payload: Payload,
    /// As a stream (any size) or as one plain message.
    pub streamed: bool,
}

impl OutgoingRequest {
    /// A plain request to the server, without headers and payload.
    #[must_use]
    pub fn plain(channel: &str, topic: &str) -> Self {
        Self {
            destination: crate::cell::SERVER.to_owned(),
            channel: channel.to_owned(),
            topic: topic.to_owned(),
            headers: Headers::new(),
            payload: Payload::empty(),
            streamed: false,
        }
    }

    /// A streamed request to the server.
    #[must_use]
    pub fn streamed(channel: &str, topic: &str, payload: Payload) -> Self {
        Self { payload, streamed: true, ..Self::plain(channel, topic) }
    }
}

/// A request that came in.
#[derive(Debug, Clone)]
pub struct InboundRequest {
    /// FQCN of its author.
    pub origin: String,
    /// Dispatch key, first half.
    pub channel: String,
    /// Dispatch key, second half.
    pub topic: String,
    /// All headers.
    pub headers: Headers,
    /// Its payload.
    pub payload: Payload,
    /// Where the answer goes; `None` when none is wanted.
    pub reply_to: Option<ReplyTo>,
}

/// Address of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyTo {
    pub(super) origin: String,
    pub(super) channel: String,
    pub(super) topic: String,
    pub(super) correlation: Correlation,
    pub(super) optional: bool,
}

/// The answer to a request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Outcome; `None` is `ok` for a plain reply and no header at all for a streamed one, as HCI replies go.
    pub return_code: Option<ReturnCode>,
    /// Text beside a code that is not `ok`.
    pub error: Option<String>,
    /// Its payload.
    pub payload: Payload,
}

impl Answer {
    /// A payload, without a return code of its own.
    #[must_use]
    pub const fn payload(payload: Payload) -> Self {
        Self { return_code: None, error: None, payload }
    }

    /// A payload with code `ok`.
    #[must_use]
    pub const fn ok(payload: Payload) -> Self {
        Self { return_code: Some(ReturnCode::Ok), error: None, payload }
    }

    /// A failure.
    #[must_use]
    pub fn failure(code: ReturnCode, error: &str) -> Self {
        Self { return_code: Some(code), error: Some(error.to_owned()), payload: Payload::empty() }
    }
}

/// The reply to a request of ours.
#[derive(Debug, Clone)]
pub struct Response {
    /// All headers.
    pub headers: Headers,
    /// Its payload.
    pub payload: Payload,
}

/// What happened on the connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// The peer said who it is: with HELLO on the accepting side, with READY on the connecting one.
    Connected(Hello),
    /// The peer's HELLO names no usable endpoint. READY was sent all the same; a real server closes after it
    /// when the name has illegal characters, and otherwise lets the connection stand idle.
    BadHello {
        /// What it said.
        hello: Hello,
        /// True when the connection is to be closed.
        close: bool,
    },
    /// A request for the layer above.
    Request(Box<InboundRequest>),
    /// The outcome of a request of ours.
    Response {
        /// Which one.
        id: RequestId,
        /// Its reply, or why there is none.
        result: Result<Box<Response>, RequestError>,
    },
    /// The peer said `bye`.
    PeerLeft,
}
