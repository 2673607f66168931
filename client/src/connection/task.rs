//! The one task that owns the link: link, callers, deadlines.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flare_wire::cell::channel;
use flare_wire::endpoint::{
    BYE_TIMEOUT, Endpoint, EndpointConfig, Event, InboundRequest, OutgoingRequest, RequestId, Response,
};
use flare_wire::link::{FrameSource, Link, LinkError};
use flare_wire::{Moment, Randomness, RequestError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{Admission, Ask, Closing, Dialer, Fault, Pending, ServerStamp, State, within};
use crate::clock::{Clock, after};
use crate::observer::Observer;
use crate::{Error, ErrorKind, Phase};

/// How long a peer may take to close its side. Nothing depends on it: the link is dropped afterwards.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Channel and topic that every cell answers with what it was sent; a simulated one may answer that it does not.
const ECHO: (&str, &str) = ("_net_manager", "echo");

/// How long the first echo is waited for before it is asked for again; it doubles each time up to [`ECHO_PATIENCE`],
/// after which a server that says READY and nothing else is given up.
const FIRST_ECHO: Duration = Duration::from_millis(10);
const ECHO_PATIENCE: Duration = Duration::from_secs(5);

type Waiter = oneshot::Sender<Result<Box<Response>, Fault>>;

pub(super) struct Task {
    dialer: Dialer,
    config: EndpointConfig,
    clock: Clock,
    random: Randomness,
    connect_timeout: Duration,
    admission: Option<Box<Admission>>,
    seat: Seat,
    waiting: HashMap<RequestId, Waiter>,
    /// Those of them that are held, by the keys of their callers.
    held: HashMap<u64, RequestId>,
}

/// The task's ends of what connects it with the handles.
pub(super) struct Seat {
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) state: watch::Sender<State>,
    pub(super) closing: Arc<Closing>,
    pub(super) observer: Option<Observer>,
}

/// A link that carries frames, and the state of the cell connection on it.
pub(super) struct Online {
    link: Link,
    endpoint: Endpoint,
}

/// Why a link is no longer served.
enum End {
    /// It broke, or the peer closed it.
    Lost(Option<Arc<LinkError>>),
    /// The last handle is gone, or one asked to close.
    Close,
    /// The server ended the session.
    Expired(String),
}

/// True for what the peer may have done to this one connection.
fn may_be_bad_luck(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionLost | ErrorKind::ClientCertificateRejected | ErrorKind::TlsRefused)
}

impl Task {
    pub(super) fn new(
        dialer: Dialer,
        config: EndpointConfig,
        clock: Clock,
        random: Randomness,
        connect_timeout: Duration,
        seat: Seat,
    ) -> Self {
        Self {
            dialer,
            config,
            clock,
            random,
            connect_timeout,
            admission: None,
            seat,
            waiting: HashMap::new(),
            held: HashMap::new(),
        }
    }

    /// Opens a link and exchanges HELLO and READY; tries once more when the link broke on the way.
    ///
    /// A real server over `tcp` spoils one of a few hundred new connections while it closes others (it closes sockets
    /// that other threads still write to, and the freed descriptor belongs to the new connection). It looks like a
    /// refused certificate or like broken TLS; only what happens twice is told.
    pub(super) async fn establish(&mut self, deadline: Instant) -> Result<Online, Error> {
        match self.establish_once(deadline).await {
            Err(error) if may_be_bad_luck(&error) => {
                debug!(%error, "a new connection broke before READY: trying once more");
                self.establish_once(deadline).await
            }
            settled => settled,
        }
    }

    async fn establish_once(&mut self, deadline: Instant) -> Result<Online, Error> {
        let mut link = self.dialer.dial(deadline).await?;
        let mut endpoint = Endpoint::connect(self.config.clone(), self.random.fork(), self.clock.now());
        if let Some(admission) = &self.admission {
            apply(admission, &mut endpoint);
        }
        within(Phase::Handshake, deadline, async {
            loop {
                match next_frame(&mut link, &mut endpoint, self.clock).await {
                    Ok(Some(frame)) => receive(&mut endpoint, self.clock, frame),
                    Ok(None) => {
                        let message = "the server closed the connection before it said READY";
                        return Err(Error::new(ErrorKind::ConnectionLost, message));
                    }
                    Err(error) => return Err(self.dialer.broken(error)),
                }
                if let Some(Event::Connected(_)) = endpoint.poll_event() {
                    return Ok(());
                }
            }
        })
        .await??;
        Ok(Online { link, endpoint })
    }

    /// Opens a link under the name and with the tokens from before, and makes sure that the server works with it. It
    /// says READY before that, and loses a message that comes too soon; a command must not be the one, since nobody
    /// could tell that from one that was carried out. A server that does not know the tokens any more keeps silent here
    /// too.
    async fn establish_again(&mut self, deadline: Instant) -> Result<Online, Error> {
        let mut online = self.establish(deadline).await?;
        let clock = self.clock;
        let mut wait = FIRST_ECHO;
        let echoed = async {
            loop {
                let Online { link, endpoint } = &mut online;
                let echo = OutgoingRequest::plain(ECHO.0, ECHO.1);
                let Ok(echo) = endpoint.request(clock.now(), echo, ECHO_PATIENCE) else { return false };
                match tokio::time::timeout(wait, outcome(link, endpoint, clock, echo)).await {
                    Ok(answered) => return answered,
                    Err(_) => endpoint.cancel(echo),
                }
                wait *= 2;
            }
        };
        let deadline = deadline.min(Instant::now() + ECHO_PATIENCE);
        if within(Phase::Handshake, deadline, echoed).await? {
            return Ok(online);
        }
        Err(Error::new(ErrorKind::ConnectionLost, "the new connection was lost at once"))
    }

    /// Serves links until the end.
    pub(super) async fn run(mut self, mut online: Online) {
        let ended = loop {
            let ended = match self.serve(&mut online).await {
                End::Lost(reason) => {
                    debug!(?reason, "the connection to the server is lost");
                    self.fail_waiting(&Fault::Lost(reason));
                    drop(online);
                    match self.wait_for_request().await {
                        Some(again) => {
                            online = again;
                            continue;
                        }
                        None => break self.closed(),
                    }
                }
                End::Close => self.closed(),
                End::Expired(text) => {
                    debug!(text, "the server ended the session");
                    self.seat.state.send_replace(State::Expired(text.clone()));
                    Fault::Expired(text)
                }
            };
            match ended {
                // What is under way may have been carried out.
                Fault::Moved => self.fail_waiting(&Fault::Lost(None)),
                _ => self.fail_waiting(&ended),
            }
            leave(online, self.clock).await;
            break ended;
        };
        self.refuse_the_rest(&ended).await;
    }

    /// The connection has ended on this side.
    fn closed(&self) -> Fault {
        let fault = self.seat.closing.fault();
        self.seat.state.send_replace(if matches!(fault, Fault::Moved) { State::Moved } else { State::Closed });
        fault
    }

    async fn serve(&mut self, online: &mut Online) -> End {
        let Online { link, endpoint } = online;
        loop {
            while let Some(event) = endpoint.poll_event() {
                if let Some(end) = self.on_event(event) {
                    return end;
                }
            }
            let deadline = endpoint.next_deadline().map(|moment| self.clock.instant(moment));
            // The link comes before the asks: a request is better sent on a new link than on one whose end is already
            // here.
            tokio::select! {
                biased;
                () = self.seat.closing.told.notified() => return End::Close,
                () = sleep_until(deadline) => endpoint.advance(self.clock.now()),
                frame = next_frame(link, endpoint, self.clock) => match frame {
                    Ok(Some(frame)) => receive(endpoint, self.clock, frame),
                    Ok(None) => return End::Lost(None),
                    Err(error) => return End::Lost(Some(Arc::new(error))),
                },
                ask = self.seat.asks.recv() => match ask {
                    Some(Ask::Request(pending)) => drop(self.start(endpoint, Endpoint::request, *pending)),
                    Some(Ask::Hold(key, pending)) => {
                        let id = self.start(endpoint, Endpoint::hold, *pending);
                        self.held.extend(id.map(|id| (key, id)));
                    }
                    Some(Ask::Release(key)) => {
                        if let Some(id) = self.held.remove(&key) {
                            endpoint.release(self.clock.now(), id);
                        }
                    }
                    Some(Ask::Notify(request)) => endpoint.notify(self.clock.now(), *request),
                    Some(Ask::Admit { admission, done }) => {
                        apply(&admission, endpoint);
                        self.admission = Some(admission);
                        // The caller may have gone; the admission holds all the same.
                        let _ = done.send(());
                    }
                    None => return End::Close,
                },
            }
        }
    }

    fn start(
        &mut self,
        endpoint: &mut Endpoint,
        begin: impl FnOnce(&mut Endpoint, Moment, OutgoingRequest, Duration) -> Result<RequestId, RequestError>,
        pending: Pending,
    ) -> Option<RequestId> {
        let Pending { request, timeout, reply } = pending;
        // Callers that gave up would otherwise hold their places until their time is over.
        self.waiting.retain(|id, waiter| {
            if waiter.is_closed() {
                endpoint.cancel(*id);
            }
            !waiter.is_closed()
        });
        let waiting = &self.waiting;
        self.held.retain(|_, id| waiting.contains_key(id));
        match begin(endpoint, self.clock.now(), request, timeout) {
            Ok(id) => {
                self.waiting.insert(id, reply);
                Some(id)
            }
            Err(error) => {
                answer(reply, Err(fault(error)));
                None
            }
        }
    }

    fn on_event(&mut self, event: Event) -> Option<End> {
        match event {
            Event::Response { id, result } => {
                if let Some(waiter) = self.waiting.remove(&id) {
                    answer(waiter, result.map_err(fault));
                }
                None
            }
            Event::Request(request) => {
                if let Some(observer) = &self.seat.observer {
                    observer.pushed(&request.headers, &request.payload);
                }
                Some(End::Expired(expiry_text(&request)))
            }
            // The server leaves: it closes the link next, and until then answers nothing.
            Event::PeerLeft => None,
            _ => None,
        }
    }

    /// Ends every request under way.
    fn fail_waiting(&mut self, fault: &Fault) {
        if matches!(fault, Fault::Lost(_)) {
            for (_, id) in self.held.drain() {
                if let Some(waiter) = self.waiting.remove(&id) {
                    answer(waiter, Err(Fault::Unsent));
                }
            }
        }
        self.held.clear();
        for (_, waiter) in self.waiting.drain() {
            answer(waiter, Err(fault.clone()));
        }
    }

    /// Waits until somebody wants something of the server, and opens a new link for it. Everybody who asks while that
    /// fails learns why. `None` when the connection is to end.
    async fn wait_for_request(&mut self) -> Option<Online> {
        let closing = Arc::clone(&self.seat.closing);
        loop {
            let ask = tokio::select! {
                () = closing.told.notified() => return None,
                ask = self.seat.asks.recv() => ask?,
            };
            let mut pending = match ask {
                Ask::Request(pending) => pending,
                Ask::Hold(_, pending) => {
                    // Nobody waits for it yet: it opens no link.
                    answer(pending.reply, Err(Fault::Unsent));
                    continue;
                }
                Ask::Notify(_) | Ask::Release(_) => continue,
                Ask::Admit { admission, done } => {
                    self.admission = Some(admission);
                    let _ = done.send(());
                    continue;
                }
            };
            let deadline = after(pending.timeout.min(self.connect_timeout));
            let established = tokio::select! {
                () = closing.told.notified() => {
                    answer(pending.reply, Err(closing.fault()));
                    return None;
                }
                // Nobody waits for this link any more.
                () = pending.reply.closed() => continue,
                established = self.establish_again(deadline) => established,
            };
            match established {
                Ok(mut online) => {
                    self.start(&mut online.endpoint, Endpoint::request, *pending);
                    return Some(online);
                }
                Err(error) => self.refuse_waiting(*pending, &Arc::new(error)),
            }
        }
    }

    fn refuse_waiting(&mut self, first: Pending, error: &Arc<Error>) {
        answer(first.reply, Err(Fault::Offline(Arc::clone(error))));
        while let Ok(Ask::Request(pending) | Ask::Hold(_, pending)) = self.seat.asks.try_recv() {
            answer(pending.reply, Err(Fault::Offline(Arc::clone(error))));
        }
    }

    async fn refuse_the_rest(mut self, ended: &Fault) {
        self.seat.asks.close();
        while let Some(ask) = self.seat.asks.recv().await {
            if let Ask::Request(pending) | Ask::Hold(_, pending) = ask {
                answer(pending.reply, Err(ended.clone()));
            }
        }
    }
}

/// Says `bye` and closes the link.
async fn leave(online: Online, clock: Clock) {
    let Online { mut link, mut endpoint } = online;
    // A link that is no longer connected has nobody to say it to.
    let Ok(bye) = endpoint.bye(clock.now()) else { return };
    let said = outcome(&mut link, &mut endpoint, clock, bye);
    // Whatever fails from here on, the link is dropped.
    if tokio::time::timeout(BYE_TIMEOUT, said).await.unwrap_or(true) {
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, link.close()).await;
    }
}

/// Waits for the outcome of a request, whatever it is; false when the link ends first. Other events are passed over:
/// nothing else is under way, and the server brings a session back to life whose end was not heard.
async fn outcome(link: &mut Link, endpoint: &mut Endpoint, clock: Clock, request: RequestId) -> bool {
    loop {
        match next_frame(link, endpoint, clock).await {
            Ok(Some(frame)) => receive(endpoint, clock, frame),
            Ok(None) | Err(_) => return false,
        }
        while let Some(event) = endpoint.poll_event() {
            if matches!(event, Event::Response { id, .. } if id == request) {
                return true;
            }
        }
    }
}

/// Waits for the next frame and meanwhile sends what the endpoint has; as cancel-safe as [`Link::exchange`].
async fn next_frame(link: &mut Link, endpoint: &mut Endpoint, clock: Clock) -> Result<Option<Bytes>, LinkError> {
    link.exchange(&mut Frames { endpoint, clock }).await
}

fn apply(admission: &Admission, endpoint: &mut Endpoint) {
    endpoint.set_stamp(admission.stamp.clone());
    endpoint.set_gate(Box::new(ServerStamp { key: admission.server_key.clone(), verified: None }));
}

fn receive(endpoint: &mut Endpoint, clock: Clock, frame: Bytes) {
    if let Err(error) = endpoint.receive(clock.now(), frame) {
        // A real client drops what it cannot use and goes on; whoever waits for it runs into the timeout.
        warn!(%error, "a message of the server was dropped");
    }
}

fn answer(waiter: Waiter, result: Result<Box<Response>, Fault>) {
    // A caller that gave up does not want it any more.
    let _ = waiter.send(result);
}

fn fault(error: RequestError) -> Fault {
    match error {
        RequestError::TimedOut { phase, after } => Fault::TimedOut { phase, after },
        RequestError::Failed { code, text } => Fault::Answered { code, text },
        RequestError::Stream(error) => Fault::Stream(error),
        RequestError::TooManyRequests => Fault::Busy,
        _ => Fault::Lost(None),
    }
}

/// The endpoint serves only the push that ends a session.
fn expiry_text(request: &InboundRequest) -> String {
    debug_assert_eq!(request.topic, channel::SESSION_EXPIRED);
    request.payload.as_text().unwrap_or_default()
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The endpoint as a source of frames.
struct Frames<'a> {
    endpoint: &'a mut Endpoint,
    clock: Clock,
}

impl FrameSource for Frames<'_> {
    fn next_frame(&mut self) -> Option<Bytes> {
        self.endpoint.next_frame(self.clock.now())
    }

    fn accepts_input(&self) -> bool {
        self.endpoint.accepts_input()
    }
}
