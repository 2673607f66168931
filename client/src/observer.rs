//! Seeing what a session says and hears.

use std::fmt;
use std::sync::Arc;

use flare_wire::cell::{Headers, Payload, headers};
use flare_wire::endpoint::{OutgoingRequest, Response};

/// One thing that happened between a session and its server; see [`SessionBuilder::observer`](crate::SessionBuilder::observer).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Observed<'a> {
    /// A message to the server, before it is cut into chunks: its dispatch keys and application headers, and its payload.
    Sent {
        /// Its headers.
        headers: &'a Headers,
        /// What it holds.
        payload: &'a Payload,
    },
    /// A message of the server: the reply to a request, or one that nobody asked for.
    Received {
        /// Its headers.
        headers: &'a Headers,
        /// What it holds.
        payload: &'a Payload,
    },
    /// A request that gets no reply.
    Unanswered {
        /// Why, as a sentence.
        reason: &'a str,
    },
}

/// What is called for everything that a session says and hears.
#[derive(Clone)]
pub(crate) struct Observer(Arc<dyn Fn(Observed<'_>) + Send + Sync>);

impl Observer {
    pub(crate) fn new(observe: impl Fn(Observed<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observe))
    }

    pub(crate) fn sent(&self, request: &OutgoingRequest) {
        let mut all = Headers::new()
            .with(headers::DESTINATION, request.destination.as_str())
            .with(headers::CHANNEL, request.channel.as_str())
            .with(headers::TOPIC, request.topic.as_str());
        all.extend(&request.headers);
        self.0(Observed::Sent { headers: &all, payload: &request.payload });
    }

    pub(crate) fn received(&self, response: &Response) {
        self.0(Observed::Received { headers: &response.headers, payload: &response.payload });
    }

    pub(crate) fn pushed(&self, headers: &Headers, payload: &Payload) {
        self.0(Observed::Received { headers, payload });
    }

    pub(crate) fn unanswered(&self, reason: &dyn fmt::Debug) {
        self.0(Observed::Unanswered { reason: &format!("{reason:?}") });
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer(..)")
    }
}
