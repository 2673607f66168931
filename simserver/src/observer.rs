//! What passes over the connections of a server, for whoever wants to judge the peer by it.
//!
//! ```text
//! peer ──frame──▶ observer ──▶ faults ──▶ server      as the peer sent it
//! peer ◀──frame── observer ◀── faults ◀── server      as the peer gets it
//! ```
//!
//! Faults lie behind the observer: a frame that they lose on its way to the server is seen, one that they lose on its
//! way to the peer is not.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use flare_wire::cell::Message;
use flare_wire::endpoint::InboundRequest;
use flare_wire::frame::{Frame, FrameKind};

use crate::faults::Direction;

/// Something that happened on a connection.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// Which connection, counted from 1 in the order in which they came.
    pub connection: u64,
    /// What happened.
    pub event: ObservedEvent<'a>,
}

/// What can be seen of a connection.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum ObservedEvent<'a> {
    /// It was opened: the TLS handshake is over, and HELLO may come.
    Opened,
    /// A frame passed.
    Frame {
        /// Which way.
        direction: Direction,
        /// The frame.
        frame: &'a Frame,
        /// The cell message in it, when it holds one. Of a stream this is a part or an acknowledgement.
        message: Option<&'a Message>,
    },
    /// A request arrived whole, a streamed one with all of its parts, and the server is about to act on it.
    Request(&'a InboundRequest),
    /// It is gone.
    Closed,
}

type Listener = dyn Fn(Observation<'_>) + Send + Sync;

/// Who looks at the connections of one server.
#[derive(Clone)]
pub(crate) struct Observer {
    listener: Arc<Listener>,
    connections: Arc<AtomicU64>,
}

impl Observer {
    pub(crate) fn new(listener: impl Fn(Observation<'_>) + Send + Sync + 'static) -> Self {
        Self { listener: Arc::new(listener), connections: Arc::default() }
    }

    /// A connection that was just opened.
    pub(crate) fn watch(&self) -> Watched {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let watched = Watched { listener: Arc::clone(&self.listener), connection };
        watched.say(ObservedEvent::Opened);
        watched
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("connections", &self.connections).finish_non_exhaustive()
    }
}

/// One connection that is looked at until this is dropped.
pub(crate) struct Watched {
    listener: Arc<Listener>,
    connection: u64,
}

impl Watched {
    /// A frame passes. What is no frame is not told.
    pub(crate) fn frame(&self, direction: Direction, bytes: &Bytes) {
        let Ok(frame) = Frame::decode(bytes.clone()) else { return };
        let message = if frame.kind == FrameKind::Data { Message::from_frame(&frame).ok() } else { None };
        self.say(ObservedEvent::Frame { direction, frame: &frame, message: message.as_ref() });
    }

    /// A request has arrived.
    pub(crate) fn request(&self, request: &InboundRequest) {
        self.say(ObservedEvent::Request(request));
    }

    fn say(&self, event: ObservedEvent<'_>) {
        (self.listener)(Observation { connection: self.connection, event });
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.say(ObservedEvent::Closed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn connections_are_told_apart_and_each_one_ends() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let observer = Observer::new(move |observation| {
            let what = match observation.event {
                ObservedEvent::Opened => "opened".to_owned(),
                ObservedEvent::Frame { direction, frame, message } => {
                    format!("{direction:?} {:?} {}", frame.kind, message.is_some())
                }
                ObservedEvent::Request(request) => request.topic.clone(),
                ObservedEvent::Closed => "closed".to_owned(),
            };
            log.lock().unwrap().push((observation.connection, what));
        });
        let (first, second) = (observer.watch(), observer.watch());
        let frames = &flare_fixtures::vector("plain_command").frames;
        first.frame(Direction::ToServer, &frames[0].raw.clone().into());
        second.frame(Direction::ToClient, &Bytes::from_static(b"no frame"));
        drop(first);
        let seen = seen.lock().unwrap();
        let kinds: Vec<(u64, &str)> = seen.iter().map(|(connection, what)| (*connection, what.as_str())).collect();
        assert_eq!(kinds.len(), 4, "{kinds:?}");
        assert_eq!((kinds[0], kinds[1]), ((1, "opened"), (2, "opened")));
        assert!(kinds[2].0 == 1 && kinds[2].1.starts_with("ToServer"), "{kinds:?}");
        assert_eq!(kinds[3], (1, "closed"));
    }
}
