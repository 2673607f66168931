//! One connection: an [`Endpoint`] between a link and the [`Driver`].
//!
//! ```text
//! link ──frames──▶ Endpoint ──requests──▶ Driver ──▶ Sim
//!      ◀──frames──          ◀──answers───
//!                           ◀───mail───── pushes, late answers, eviction
//! ```

use std::collections::HashMap;
use std::future::{Future as _, poll_fn};
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use flare_wire::cell::{Hello, ReturnCode, channel, headers};
use flare_wire::endpoint::{ANY_TOPIC, Answer, Endpoint, EndpointConfig, Event, InboundRequest, ReplyTo};
use flare_wire::is_uuid4;
use flare_wire::link::{FrameSource, Link};
use flare_wire::stream::StreamSettings;
use flare_wire::transfer::{download, upload};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::ambient::Clock;
use crate::core::{Release, Ticket};
use crate::driver::{Driver, Outcome};
use crate::faults::{Direction, Fate, Faults};
use crate::listen::PeerIdentity;
use crate::members::{Mail, Membership};
use crate::mutants::Mutant;
use crate::observer::{Observer, Watched};

/// Channels and topics that the server answers.
const SERVES: &[(&str, &str)] = &[
    (channel::TASK, channel::CHALLENGE),
    (channel::TASK, channel::REGISTER),
    (channel::HCI, ANY_TOPIC),
    (upload::CHANNEL, upload::REQUEST),
    (upload::CHANNEL, upload::ABORT),
    (download::CHANNEL, download::TOPIC),
];

/// Letters to a connection that it has not read yet; they are few and small, and a connection that does not even
/// read these is not worth waiting for.
const MAILBOX: usize = 256;

/// Requests of one connection that wait for a late answer. A console has one at a time.
const MAX_WAITING: usize = 256;

/// The longest payload of a plain answer: with prefix and headers it is what the official client takes as one
/// message (4 MiB), and a longer one ends its connection. Streamed answers are cut into chunks of 1 MiB.
const MAX_PLAIN_PAYLOAD: usize = 4 * 1024 * 1024 - flare_wire::frame::PREFIX_LEN - flare_wire::frame::MAX_HEADERS_LEN;

/// An acknowledgement is shorter: it has headers and nothing else.
const MAX_ACK_LEN: usize = 4096;

/// How long a peer may take to agree to the end of its connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Endpoints of admins are named by this and a UUID.
const ADMIN_PREFIX: &str = "_admin_";

/// Serves one connection until either side ends it. The peer has to say HELLO before `deadline`.
///
/// # Cancel safety
/// Dropping the future closes the connection at once.
pub(crate) async fn serve(
    link: Link,
    identity: PeerIdentity,
    driver: Arc<Driver>,
    deadline: Instant,
    mut stop: watch::Receiver<bool>,
) {
    let (mailbox, mail) = mpsc::channel(MAILBOX);
    let mut peer = Peer::new(identity, driver, mailbox);
    let mut link = link;
    let is_usable = tokio::select! {
        is_usable = peer.run(&mut link, mail, deadline) => is_usable,
        // An error means that the server's handle is gone.
        _ = stop.wait_for(|stop| *stop) => {
            peer.say_bye();
            true
        }
    };
    if is_usable {
        // The peer may be gone or not answer; either way this is the end.
        let _ = timeout(CLOSE_TIMEOUT, peer.close(link)).await;
    }
}

struct Peer {
    endpoint: Endpoint,
    clock: Clock,
    identity: PeerIdentity,
    driver: Arc<Driver>,
    mailbox: mpsc::Sender<Mail>,
    /// Kept while the peer is reachable under its name.
    membership: Option<Membership>,
    /// True since the first HELLO, whether it was any good or not.
    greeted: bool,
    waiting: HashMap<Ticket, Waiting>,
    faulty: Faulty,
    watched: Option<Arc<Watched>>,
}

/// Where an answer goes, and whether it can be cut into chunks.
struct Waiting {
    reply_to: ReplyTo,
    is_streamed: bool,
}

impl Waiting {
    fn of(request: &InboundRequest) -> Option<Self> {
        let is_streamed = request.headers.get(headers::STREAM_ID).is_some();
        request.reply_to.clone().map(|reply_to| Self { reply_to, is_streamed })
    }
}

impl Peer {
    fn new(identity: PeerIdentity, driver: Arc<Driver>, mailbox: mpsc::Sender<Mail>) -> Self {
        let clock = driver.clock();
        let release = driver.release();
        let mut config = EndpointConfig::server(SERVES);
        if release < Release::V2_9 {
            config.reply_stream = StreamSettings::server_reply_before_2_9();
        }
        let mut endpoint = Endpoint::accept(config, driver.fork_randomness(), clock.now());
        endpoint.set_stamp(driver.stamp());
        endpoint.set_gate(driver.gate());
        let watched = driver.observer().get().map(Observer::watch).map(Arc::new);
        let faulty = Faulty::new(Arc::clone(driver.faults()), driver.mutant(Mutant::NoAcks), watched.clone());
        Self {
            endpoint,
            clock,
            identity,
            driver,
            mailbox,
            membership: None,
            greeted: false,
            waiting: HashMap::new(),
            faulty,
            watched,
        }
    }

    /// Returns false when the link is of no use any more.
    async fn run(&mut self, link: &mut Link, mut mail: mpsc::Receiver<Mail>, handshake: Instant) -> bool {
        let broken = Arc::clone(&self.faulty.broken);
        loop {
            while let Some(event) = self.endpoint.poll_event() {
                if self.on_event(event).is_break() {
                    return true;
                }
            }
            let wake = if self.greeted { self.next_deadline() } else { Some(handshake) };
            if self.faulty.is_cut {
                return false;
            }
            let held = self.faulty.held_until();
            let mut outgoing = Outgoing::new(&mut self.endpoint, self.clock, &mut self.faulty);
            tokio::select! {
                received = link.exchange(&mut outgoing) => match received {
                    Ok(Some(frame)) => {
                        if self.on_link(frame).await.is_break() {
                            return false;
                        }
                    }
                    Ok(None) => return false,
                    Err(error) => {
                        tracing::info!(%error, peer = self.name(), "a connection failed");
                        return false;
                    }
                },
                Some(letter) = mail.recv() => {
                    if self.on_mail(letter).is_break() {
                        return true;
                    }
                }
                // A fault has broken the connection while a frame went out.
                () = broken.notified() => return false,
                () = sleep_until(held.unwrap_or(handshake)), if held.is_some() => {}
                () = sleep_until(wake.unwrap_or(handshake)), if wake.is_some() => {
                    if !self.greeted {
                        tracing::info!("a peer did not say HELLO in time");
                        return true;
                    }
                    self.endpoint.advance(self.clock.now());
                }
            }
        }
    }

    fn name(&self) -> &str {
        self.membership.as_ref().map_or("?", Membership::name)
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.endpoint.next_deadline().map(|moment| self.clock.instant(moment).into())
    }

    /// Takes a frame as the faults let it through; breaks when the connection does.
    async fn on_link(&mut self, frame: Bytes) -> ControlFlow<()> {
        if let Some(watched) = &self.watched {
            watched.frame(Direction::ToServer, &frame);
        }
        match self.driver.faults().fate(Direction::ToServer, frame) {
            Fate::Pass(frame) => self.on_frame(frame),
            Fate::Late(frame, delay) => {
                tokio::time::sleep(delay).await;
                self.on_frame(frame);
            }
            Fate::Lost => {}
            Fate::CutBefore => return ControlFlow::Break(()),
            Fate::CutAfter(frame) => {
                self.on_frame(frame);
                // What it leads to happens; nothing of it gets out.
                while let Some(event) = self.endpoint.poll_event() {
                    if self.on_event(event).is_break() {
                        break;
                    }
                }
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn on_frame(&mut self, frame: Bytes) {
        if let Err(error) = self.endpoint.receive(self.clock.now(), frame) {
            // A real cell drops what it cannot use, and the connection goes on.
            tracing::debug!(%error, peer = self.name(), "a frame was dropped");
        }
    }

    fn on_event(&mut self, event: Event) -> ControlFlow<()> {
        match event {
            Event::Connected(hello) => return self.on_hello(&hello),
            Event::BadHello { close, .. } => {
                self.greeted = true;
                if close {
                    return ControlFlow::Break(());
                }
            }
            Event::Request(request) => self.on_request(&request),
            // The answer was sent; the peer closes the connection, and is not reachable any more until then.
            Event::PeerLeft => self.membership = None,
            // The server asks nothing of its peers, and events that are new here concern nobody.
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn on_hello(&mut self, hello: &Hello) -> ControlFlow<()> {
        self.greeted = true;
        let Some(name) = hello.endpoint_name.as_deref() else { return ControlFlow::Continue(()) };
        let checks_names = self.driver.release() >= Release::V2_9;
        if checks_names && !may_be_called(name, &self.identity) && !self.driver.mutant(Mutant::AnyEndpointName) {
            tracing::info!(name, identity = ?self.identity, "an endpoint name does not fit the certificate");
            return ControlFlow::Break(());
        }
        // First out, then in: a second HELLO on the same connection must not evict itself.
        self.membership = None;
        self.membership = Some(self.driver.join(name, self.mailbox.clone()));
        ControlFlow::Continue(())
    }

    fn on_request(&mut self, request: &InboundRequest) {
        if let Some(watched) = &self.watched {
            watched.request(request);
        }
        let waiting = Waiting::of(request);
        if self.waiting.len() >= MAX_WAITING {
            self.answer(waiting, Answer::failure(ReturnCode::ServiceUnavailable, "too many requests"));
            return;
        }
        match self.driver.handle(request, &self.mailbox) {
            Outcome::Answer(answer) => self.answer(waiting, answer),
            Outcome::Later(ticket) => {
                if let Some(waiting) = waiting {
                    self.waiting.insert(ticket, waiting);
                }
            }
            Outcome::Silence => {}
        }
    }

    /// Tells the peer that the server leaves, as a real one does that ends in order. Its answer makes no difference.
    fn say_bye(&mut self) {
        if self.membership.is_some() {
            // What cannot be sent any more does not have to be.
            let _ = self.endpoint.bye(self.clock.now());
        }
    }

    fn on_mail(&mut self, letter: Mail) -> ControlFlow<()> {
        match letter {
            Mail::Answer { ticket, answer } => {
                let waiting = self.waiting.remove(&ticket);
                self.answer(waiting, answer);
            }
            Mail::Notify(request) => self.endpoint.notify(self.clock.now(), request),
            Mail::Evicted => {
                tracing::info!(peer = self.name(), "another connection has taken this endpoint name");
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn answer(&mut self, waiting: Option<Waiting>, answer: Answer) {
        let Some(Waiting { reply_to, is_streamed }) = waiting else { return };
        let answer = if is_streamed || answer.payload.bytes.len() <= MAX_PLAIN_PAYLOAD {
            answer
        } else {
            Answer::failure(ReturnCode::Other("msg_too_big".to_owned()), "the answer needs a stream")
        };
        self.endpoint.respond(self.clock.now(), &reply_to, answer);
    }

    /// Sends what is left and ends the connection in order.
    async fn close(&mut self, mut link: Link) {
        self.membership = None;
        let mut outgoing = Outgoing::new(&mut self.endpoint, self.clock, &mut self.faulty);
        poll_fn(|context| {
            while !outgoing.is_exhausted {
                let polled = pin!(link.exchange(&mut outgoing)).poll(context);
                match polled {
                    // What comes in now is too late.
                    Poll::Ready(Ok(Some(_))) => {}
                    Poll::Ready(_) => break,
                    Poll::Pending if outgoing.is_exhausted => break,
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(())
        })
        .await;
        // The peer may have closed first.
        let _ = link.close().await;
    }
}

/// Whether an endpoint may have this name, given the certificate behind it: admins are named at random and come to their
/// port, any other cell is named after its certificate (2.9, mutual TLS only; `reference/wire-protocol.md` section 1.2).
fn may_be_called(name: &str, identity: &PeerIdentity) -> bool {
    match identity {
        PeerIdentity::Unknown => true,
        PeerIdentity::Certified { common_name, may_be_admin } => {
            if name.strip_prefix(ADMIN_PREFIX).is_some_and(is_uuid4) {
                *may_be_admin
            } else {
                name.split('.').next() == Some(common_name)
            }
        }
    }
}

/// What faults have done to a connection so far.
struct Faulty {
    faults: Arc<Faults>,
    /// Acknowledgements do not get out ([`Mutant::NoAcks`]).
    drops_acks: bool,
    /// The connection is broken as soon as what was sent before is out.
    is_cut: bool,
    /// Told when it is.
    broken: Arc<Notify>,
    /// A frame that is late, and when it may go.
    held: Option<(Bytes, Instant)>,
    watched: Option<Arc<Watched>>,
}

impl Faulty {
    fn new(faults: Arc<Faults>, drops_acks: bool, watched: Option<Arc<Watched>>) -> Self {
        Self { faults, drops_acks, is_cut: false, broken: Arc::default(), held: None, watched }
    }

    fn held_until(&self) -> Option<Instant> {
        self.held.as_ref().map(|(_, until)| *until)
    }

    /// The frame that goes out next, of those that `next` gives.
    fn outgoing(&mut self, next: impl FnMut() -> Option<Bytes>) -> Option<Bytes> {
        let frame = self.next_outgoing(next);
        if let (Some(watched), Some(frame)) = (&self.watched, &frame) {
            watched.frame(Direction::ToClient, frame);
        }
        frame
    }

    fn next_outgoing(&mut self, mut next: impl FnMut() -> Option<Bytes>) -> Option<Bytes> {
        loop {
            if self.is_cut {
                self.broken.notify_one();
                return None;
            }
            if let Some((frame, until)) = self.held.take() {
                if Instant::now() < until {
                    self.held = Some((frame, until));
                    return None;
                }
                return Some(frame);
            }
            let frame = next()?;
            if self.drops_acks && is_ack(&frame) {
                continue;
            }
            match self.faults.fate(Direction::ToClient, frame) {
                Fate::Pass(frame) => return Some(frame),
                Fate::Late(frame, delay) => self.held = Some((frame, Instant::now() + delay)),
                Fate::Lost => {}
                Fate::CutBefore => self.is_cut = true,
                Fate::CutAfter(frame) => {
                    self.is_cut = true;
                    return Some(frame);
                }
            }
        }
    }
}

/// True for a frame that acknowledges what a stream brought: nothing else has the name of their channel among its headers.
fn is_ack(frame: &[u8]) -> bool {
    let name = channel::STREAM_ACK.as_bytes();
    frame.len() < MAX_ACK_LEN && frame.windows(name.len()).any(|part| part == name)
}

/// The frames of an endpoint for its link.
struct Outgoing<'a> {
    endpoint: &'a mut Endpoint,
    clock: Clock,
    faulty: &'a mut Faulty,
    is_exhausted: bool,
}

impl<'a> Outgoing<'a> {
    fn new(endpoint: &'a mut Endpoint, clock: Clock, faulty: &'a mut Faulty) -> Self {
        Self { endpoint, clock, faulty, is_exhausted: false }
    }
}

impl FrameSource for Outgoing<'_> {
    fn next_frame(&mut self) -> Option<Bytes> {
        let Self { endpoint, clock, faulty, .. } = self;
        let frame = faulty.outgoing(|| endpoint.next_frame(clock.now()));
        self.is_exhausted = frame.is_none();
        frame
    }

    fn accepts_input(&self) -> bool {
        self.endpoint.accepts_input()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_admins_may_have_a_name_that_is_not_in_their_certificate() {
        let certified = |common_name: &str, may_be_admin| PeerIdentity::Certified {
            common_name: common_name.to_owned(),
            may_be_admin,
        };
        let (lead, site) = (certified("lead@nvidia.com", true), certified("site-1", true));
        let admin = "_admin_a0e9d25d-300b-42a1-9216-c0e3b9cb0643";
        assert!(may_be_called(admin, &lead));
        assert!(may_be_called(admin, &site));
        assert!(may_be_called("site-1", &site));
        assert!(may_be_called("site-1.job", &site));
        assert!(!may_be_called("site-1", &lead));
        assert!(!may_be_called("_admin_x", &lead));
        assert!(!may_be_called(admin, &certified("lead@nvidia.com", false)));
        assert!(may_be_called("site-1", &certified("site-1", false)));
        assert!(may_be_called("anything", &PeerIdentity::Unknown));
    }
}
