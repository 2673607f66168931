//! One connection to the server, shared by everybody who has a handle of it.
//!
//! ```text
//! Connection (handle, cheap to clone) ── Ask ──▶ task: Endpoint + Link ──▶ server
//!            ◀── oneshot ──────────────────────┘
//! ```
//!
//! The task alone owns the link. It ends when it is told to close, when the server ends the session, or when the last
//! handle is gone. A link that breaks fails what is under way; the next request opens a new one under the same
//! endpoint name, and the tokens from before stay good (`reference/wire-protocol.md` sections 1.6 and 10).

mod admission;
mod challenge;
mod dial;
mod task;
mod tls;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use flare_wire::cell::ReturnCode;
use flare_wire::endpoint::{EndpointConfig, OutgoingRequest, Response};
use flare_wire::link::LinkError;
use flare_wire::stream::StreamError;
use flare_wire::{PublicKey, Randomness, RequestPhase};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

pub(crate) use admission::{Admission, admit};
pub(crate) use dial::Dialer;

use crate::clock::{Clock, after};
use crate::observer::Observer;
use crate::{Error, Phase};

/// Requests that may wait for the task. It takes them as fast as they come, so this only has to cover a burst.
const WAITING_REQUESTS: usize = 64;

/// Why a request has no reply: the outcome of the transport alone, without any meaning for a command.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Nothing moved for so long.
    TimedOut { phase: RequestPhase, after: Duration },
    /// The server's cell answered with a return code other than `ok`.
    Answered { code: ReturnCode, text: String },
    /// The transfer failed.
    Stream(StreamError),
    /// The link broke while the request was under way.
    Lost(Option<Arc<LinkError>>),
    /// The link is down and could not be opened again; the request was not sent.
    Offline(Arc<Error>),
    /// The server ended the session, with these words.
    Expired(String),
    /// The connection was closed on this side.
    Closed,
    /// Another server is active now; the request was not sent.
    Moved,
    /// Too many requests are under way.
    Busy,
    /// The link broke before the request was released.
    Unsent,
}

impl Fault {
    /// True when nobody answered at the server's address: a server that restarts knows the session when it is back.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Offline(error) if error.is_absence())
    }
}

/// What handles ask of the task.
enum Ask {
    Request(Box<Pending>),
    /// A request that is to wait, but for its last part, until it is released.
    Hold(u64, Box<Pending>),
    /// The rest of a request that was held. It is one of this link, or has failed.
    Release(u64),
    /// A message that wants no reply.
    Notify(Box<OutgoingRequest>),
    /// What to stamp on messages and what to expect of the server's from now on.
    Admit {
        admission: Box<Admission>,
        done: oneshot::Sender<()>,
    },
}

/// A request and who waits for its reply.
struct Pending {
    request: OutgoingRequest,
    timeout: Duration,
    reply: oneshot::Sender<Result<Box<Response>, Fault>>,
}

/// A request that is on its way but for its last part, so that it is as good as not sent. Dropped, it never was.
pub(crate) struct Held {
    key: u64,
    request: OutgoingRequest,
    timeout: Duration,
    answer: oneshot::Receiver<Result<Box<Response>, Fault>>,
}

/// Whether the connection can be used.
#[derive(Debug, Clone)]
enum State {
    Open,
    Expired(String),
    Closed,
    /// Nobody wants this server any more.
    Moved,
}

/// A handle of the connection.
#[derive(Clone)]
pub(crate) struct Connection {
    asks: mpsc::Sender<Ask>,
    state: watch::Receiver<State>,
    closing: Arc<Closing>,
    observer: Option<Observer>,
    /// Numbers the requests that are held.
    held: Arc<AtomicU64>,
}

/// Tells the task to end the connection. Apart from the asks, so that it is heard also while the task opens a link.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    told: Notify,
    /// The server is not the active one any more.
    is_moved: AtomicBool,
}

impl Closing {
    /// What a request gets that comes, or was waiting to be sent, when the connection ends.
    fn fault(&self) -> Fault {
        if self.is_moved.load(Ordering::Acquire) { Fault::Moved } else { Fault::Closed }
    }
}

impl Connection {
    /// Opens a link and exchanges HELLO and READY.
    ///
    /// # Cancel safety
    /// Dropping the future drops the link.
    pub(crate) async fn open(
        dialer: Dialer,
        clock: Clock,
        mut random: Randomness,
        connect_timeout: Duration,
        observer: Option<Observer>,
    ) -> Result<Self, Error> {
        let config = EndpointConfig::admin(&mut random);
        let (asks, waiting) = mpsc::channel(WAITING_REQUESTS);
        let (state, state_seen) = watch::channel(State::Open);
        let closing = Arc::<Closing>::default();
        let seat = task::Seat { asks: waiting, state, closing: Arc::clone(&closing), observer: observer.clone() };
        let mut task = task::Task::new(dialer, config, clock, random, connect_timeout, seat);
        let online = task.establish(after(connect_timeout)).await?;
        tokio::spawn(task.run(online));
        Ok(Self { asks, state: state_seen, closing, observer, held: Arc::default() })
    }

    /// Sends a request and waits for its reply; `timeout` starts again whenever a part of either moves.
    ///
    /// # Cancel safety
    /// Dropping the future forgets the request; the server may carry it out all the same.
    pub(crate) async fn request(&self, request: OutgoingRequest, timeout: Duration) -> Result<Box<Response>, Fault> {
        let Some(observer) = &self.observer else { return self.request_unseen(request, timeout).await };
        observer.sent(&request);
        let answered = self.request_unseen(request, timeout).await;
        match &answered {
            Ok(response) => observer.received(response),
            Err(fault) => observer.unanswered(fault),
        }
        answered
    }

    async fn request_unseen(&self, request: OutgoingRequest, timeout: Duration) -> Result<Box<Response>, Fault> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Request(Box::new(Pending { request, timeout, reply }))).await?;
        answer.await.unwrap_or_else(|_| Err(self.ended()))
    }

    /// Sends a streamed request but for its last part, while something else is waited for.
    ///
    /// # Cancel safety
    /// Dropping the future sends nothing that counts.
    pub(crate) async fn hold(&self, request: OutgoingRequest, timeout: Duration) -> Result<Held, Fault> {
        let (reply, answer) = oneshot::channel();
        let key = self.held.fetch_add(1, Ordering::Relaxed);
        let pending = Pending { request: request.clone(), timeout, reply };
        self.ask(Ask::Hold(key, Box::new(pending))).await?;
        Ok(Held { key, request, timeout, answer })
    }

    /// Sends the rest of a request and waits for its reply, as [`request`](Self::request) does. One whose link was lost
    /// meanwhile is sent on the next.
    ///
    /// # Cancel safety
    /// As [`request`](Self::request).
    pub(crate) async fn release(&self, held: Held) -> Result<Box<Response>, Fault> {
        let Some(observer) = &self.observer else { return self.release_unseen(held).await };
        observer.sent(&held.request);
        let answered = self.release_unseen(held).await;
        match &answered {
            Ok(response) => observer.received(response),
            Err(fault) => observer.unanswered(fault),
        }
        answered
    }

    async fn release_unseen(&self, held: Held) -> Result<Box<Response>, Fault> {
        let Held { key, request, timeout, answer } = held;
        self.ask(Ask::Release(key)).await?;
        match answer.await {
            Ok(Err(Fault::Unsent)) => self.request_unseen(request, timeout).await,
            Ok(answered) => answered,
            Err(_) => Err(self.ended()),
        }
    }

    /// Sends a message that wants no reply, if the connection is up.
    ///
    /// # Cancel safety
    /// Dropping the future sends nothing.
    pub(crate) async fn notify(&self, request: OutgoingRequest) {
        if let Some(observer) = &self.observer {
            observer.sent(&request);
        }
        // Nobody waits for what became of it.
        let _ = self.ask(Ask::Notify(Box::new(request))).await;
    }

    /// As [`notify`](Self::notify) without waiting for room: at worst the message is not sent.
    pub(crate) fn try_notify(&self, request: OutgoingRequest) {
        if let Some(observer) = &self.observer {
            observer.sent(&request);
        }
        // Nobody waits for what became of it.
        let _ = self.asks.try_send(Ask::Notify(Box::new(request)));
    }

    /// Stamps every message from now on, and admits only messages that the server stamped.
    pub(crate) async fn admit(&self, admission: Admission) -> Result<(), Fault> {
        let (done, admitted) = oneshot::channel();
        self.ask(Ask::Admit { admission: Box::new(admission), done }).await?;
        admitted.await.map_err(|_| self.ended())
    }

    async fn ask(&self, ask: Ask) -> Result<(), Fault> {
        if let State::Expired(text) = &*self.state.borrow() {
            return Err(Fault::Expired(text.clone()));
        }
        self.asks.send(ask).await.map_err(|_| self.ended())
    }

    /// Why the task is no longer there.
    fn ended(&self) -> Fault {
        match &*self.state.borrow() {
            State::Expired(text) => Fault::Expired(text.clone()),
            State::Moved => Fault::Moved,
            State::Open | State::Closed => Fault::Closed,
        }
    }

    /// True when the server ended the session.
    pub(crate) fn is_expired(&self) -> bool {
        matches!(&*self.state.borrow(), State::Expired(_))
    }

    /// Says `bye`, closes the link and waits until the task has ended. May be called any number of times.
    ///
    /// # Cancel safety
    /// Once the first poll is over, the connection closes also when the future is dropped.
    pub(crate) async fn close(&self) {
        self.closing.told.notify_one();
        self.asks.closed().await;
    }

    /// Ends the connection because another server is active now: what is under way counts as lost, and what comes later
    /// gets [`Fault::Moved`].
    pub(crate) fn move_away(&self) {
        self.closing.is_moved.store(true, Ordering::Release);
        self.closing.told.notify_one();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}

/// Runs one step of opening a connection until `deadline`.
async fn within<T>(phase: Phase, deadline: Instant, step: impl Future<Output = T>) -> Result<T, Error> {
    let started = Instant::now();
    tokio::time::timeout_at(deadline, step).await.map_err(|_| Error::timed_out(phase, started.elapsed()))
}

/// Admits messages that carry the server's signature over its own name.
struct ServerStamp {
    key: PublicKey,
    /// The stamp that was verified last: a server sends the same one every time, and checking it costs more than
    /// everything else about a message.
    verified: Option<flare_wire::auth::CellToken>,
}

impl flare_wire::endpoint::Gate for ServerStamp {
    fn admit(&mut self, headers: &flare_wire::cell::Headers) -> bool {
        let Ok(token) = flare_wire::auth::CellToken::from_headers(headers) else { return false };
        if self.verified.as_ref() == Some(&token) {
            return true;
        }
        let good = token.client_name == flare_wire::cell::SERVER && token.verify(&self.key).is_ok();
        if good {
            self.verified = Some(token);
        }
        good
    }
}
