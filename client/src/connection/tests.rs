//! The connection against a scripted server, over memory and in paused time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use flare_wire::cell::{Payload, ReturnCode, channel};
use flare_wire::endpoint::{Answer, Endpoint, EndpointConfig, Event, OutgoingRequest};
use flare_wire::link::{FrameSource, Link};
use flare_wire::{Randomness, RequestPhase};
use tokio::time::Instant;

use super::{Connection, Dialer, Fault};
use crate::clock::Clock;
use crate::{Error, ErrorKind, Phase};

const TIMEOUT: Duration = Duration::from_secs(5);

/// The server's side of one link.
struct Server {
    link: Link,
    endpoint: Endpoint,
    clock: Clock,
}

struct Frames<'a>(&'a mut Endpoint, Clock);

impl FrameSource for Frames<'_> {
    fn next_frame(&mut self) -> Option<Bytes> {
        self.0.next_frame(self.1.now())
    }
}

impl Server {
    fn new(link: Link) -> Self {
        let clock = Clock::start();
        let config = EndpointConfig::server(&[(channel::HCI, channel::COMMAND)]);
        Self { link, endpoint: Endpoint::accept(config, Randomness::from_number(7), clock.now()), clock }
    }

    /// The next event; `None` when the client closed the link.
    async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.endpoint.poll_event() {
                return Some(event);
            }
            let frame = self.link.exchange(&mut Frames(&mut self.endpoint, self.clock)).await.ok()??;
            self.endpoint.receive(self.clock.now(), frame).unwrap();
        }
    }

    /// Greets, and gives the client's endpoint name.
    async fn greet(&mut self) -> String {
        let name = match self.event().await {
            Some(Event::Connected(hello)) => hello.endpoint_name.unwrap(),
            other => panic!("HELLO was expected, not {other:?}"),
        };
        self.flush().await;
        name
    }

    /// Sends what is there to send: one look at the link is enough for that.
    async fn flush(&mut self) {
        let mut frames = Frames(&mut self.endpoint, self.clock);
        tokio::select! {
            biased;
            frame = self.link.exchange(&mut frames) => panic!("{frame:?} came too early"),
            () = std::future::ready(()) => {}
        }
    }

    /// Answers requests until the client leaves, each with the text it came with.
    async fn echo(&mut self) {
        while let Some(event) = self.event().await {
            let Event::Request(request) = event else { continue };
            let reply_to = request.reply_to.unwrap();
            let answer = match request.payload.as_text().unwrap().as_str() {
                "fail" => Answer::failure(ReturnCode::ProcessException, "boom"),
                _ => Answer::payload(request.payload),
            };
            self.endpoint.respond(self.clock.now(), &reply_to, answer);
        }
    }

    /// Takes one frame and does nothing about it.
    async fn lose_one(&mut self) {
        assert!(self.link_is_open().await, "there is no frame to lose");
    }

    /// Waits for a frame, which is lost; false when the client closed the link instead.
    async fn link_is_open(&mut self) -> bool {
        matches!(self.link.exchange(&mut Frames(&mut self.endpoint, self.clock)).await, Ok(Some(_)))
    }

    fn push_expiry(&mut self, client: &str, text: &str) {
        let push = OutgoingRequest {
            destination: client.to_owned(),
            ..OutgoingRequest::streamed(channel::HCI, channel::SESSION_EXPIRED, Payload::text(text))
        };
        self.endpoint.notify(self.clock.now(), push);
    }
}

/// A dialer whose links lead to these servers, one after the other.
fn dialer(count: usize) -> (Dialer, VecDeque<Server>) {
    let (links, servers) =
        (0..count).map(|_| Link::memory_pair()).map(|(ours, theirs)| (ours, Server::new(theirs))).unzip();
    (Dialer::Memory(Arc::new(Mutex::new(links))), servers)
}

async fn open(dialer: Dialer) -> Result<Connection, Error> {
    Connection::open(dialer, Clock::start(), Randomness::from_number(1), TIMEOUT, None).await
}

fn request(text: &str, streamed: bool) -> OutgoingRequest {
    let payload = Payload::text(text);
    OutgoingRequest { payload, streamed, ..OutgoingRequest::plain(channel::HCI, channel::COMMAND) }
}

async fn ask(connection: &Connection, text: &str) -> Result<String, Fault> {
    let response = connection.request(request(text, false), TIMEOUT).await?;
    Ok(response.payload.as_text().unwrap())
}

/// One connection and its server, which has greeted.
async fn connected() -> (Connection, Server, String) {
    let (dialer, mut servers) = dialer(1);
    let mut server = servers.pop_front().unwrap();
    let (connection, name) = tokio::join!(open(dialer), server.greet());
    (connection.unwrap(), server, name)
}

#[tokio::test(start_paused = true)]
async fn requests_get_their_replies_plain_and_streamed() {
    let (connection, mut server, name) = connected().await;
    assert!(name.starts_with("_admin_"), "{name}");
    let server = tokio::spawn(async move { server.echo().await });
    assert_eq!(ask(&connection, "plain").await.unwrap(), "plain");
    let streamed = connection.request(request("streamed", true), TIMEOUT).await.unwrap();
    assert_eq!(streamed.payload.as_text().unwrap(), "streamed");
    let failed = ask(&connection, "fail").await.unwrap_err();
    assert!(matches!(failed, Fault::Answered { code: ReturnCode::ProcessException, text } if text == "boom"));
    connection.close().await;
    server.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn many_callers_share_one_connection() {
    let (connection, mut server, _) = connected().await;
    tokio::spawn(async move { server.echo().await });
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..200 {
        let connection = connection.clone();
        callers.spawn(async move { ask(&connection, &number.to_string()).await.unwrap() == number.to_string() });
    }
    assert!(callers.join_all().await.into_iter().all(|own_reply| own_reply));
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_timeout_that_says_how_far_the_request_got() {
    let (connection, mut server, _) = connected().await;
    let silent = tokio::spawn(async move { while server.event().await.is_some() {} });
    let started = Instant::now();
    let fault = ask(&connection, "x").await.unwrap_err();
    assert_eq!(started.elapsed().as_secs(), TIMEOUT.as_secs());
    assert!(matches!(fault, Fault::TimedOut { phase: RequestPhase::Waiting, after: TIMEOUT }), "{fault:?}");
    drop(connection);
    silent.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_says_ready_times_out_in_the_handshake() {
    let (dialer, servers) = dialer(1);
    let started = Instant::now();
    let error = open(dialer).await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Some(Phase::Handshake)));
    assert_eq!((error.after(), started.elapsed()), (Some(TIMEOUT), TIMEOUT));
    drop(servers);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_before_ready_is_told_apart_from_a_silent_one() {
    let (dialer, servers) = dialer(2);
    drop(servers);
    assert_eq!(open(dialer).await.unwrap_err().kind(), ErrorKind::ConnectionLost);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_breaks_before_ready_is_opened_once_more_under_the_same_name() {
    let (dialer, mut servers) = dialer(2);
    let (mut spoilt, mut second) = (servers.pop_front().unwrap(), servers.pop_front().unwrap());
    let (connection, (first_name, second_name)) = tokio::join!(open(dialer), async {
        let Some(Event::Connected(hello)) = spoilt.event().await else { panic!("HELLO was expected") };
        drop(spoilt);
        (hello.endpoint_name.unwrap(), second.greet().await)
    });
    assert_eq!(first_name, second_name);
    drop(connection.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_fails_what_is_under_way_and_the_next_request_opens_another_under_the_same_name() {
    let (dialer, mut servers) = dialer(2);
    let (mut first, mut second) = (servers.pop_front().unwrap(), servers.pop_front().unwrap());
    let (connection, name) = tokio::join!(open(dialer), first.greet());
    let connection = connection.unwrap();
    let (lost, ()) = tokio::join!(ask(&connection, "lost"), async {
        assert!(matches!(first.event().await, Some(Event::Request(_))));
        drop(first);
    });
    assert!(matches!(lost.unwrap_err(), Fault::Lost(_)));
    let (again, second_name) = tokio::join!(ask(&connection, "again"), async {
        let name = second.greet().await;
        tokio::spawn(async move { second.echo().await });
        name
    });
    assert_eq!((again.unwrap().as_str(), second_name), ("again", name));
}

#[tokio::test(start_paused = true)]
async fn a_held_request_is_answered_once_it_is_released() {
    let (connection, mut server, _) = connected().await;
    tokio::spawn(async move { server.echo().await });
    let held = connection.hold(request("held", true), TIMEOUT).await.unwrap();
    assert_eq!(ask(&connection, "first").await.unwrap(), "first");
    let response = connection.release(held).await.unwrap();
    assert_eq!(response.payload.as_text().unwrap(), "held");
}

#[tokio::test(start_paused = true)]
async fn a_held_request_whose_link_is_lost_opens_none_and_goes_over_the_next_when_it_is_released() {
    let (dialer, mut servers) = dialer(2);
    let (mut first, mut second) = (servers.pop_front().unwrap(), servers.pop_front().unwrap());
    let (connection, _) = tokio::join!(open(dialer), first.greet());
    let connection = connection.unwrap();
    let before = connection.hold(request("before", true), TIMEOUT).await.unwrap();
    let (lost, ()) = tokio::join!(ask(&connection, "lost"), async {
        assert!(matches!(first.event().await, Some(Event::Request(_))));
        drop(first);
    });
    assert!(matches!(lost.unwrap_err(), Fault::Lost(_)));
    let after = connection.hold(request("after", true), TIMEOUT).await.unwrap();
    assert!(tokio::time::timeout(TIMEOUT, second.event()).await.is_err(), "nobody has opened the second link");
    let (answers, ()) = tokio::join!(
        async { (connection.release(before).await.unwrap(), connection.release(after).await.unwrap()) },
        async {
            second.greet().await;
            tokio::spawn(async move { second.echo().await });
        }
    );
    assert_eq!(answers.0.payload.as_text().unwrap(), "before");
    assert_eq!(answers.1.payload.as_text().unwrap(), "after");
}

#[tokio::test(start_paused = true)]
async fn a_command_on_a_new_link_waits_until_the_server_works_with_it() {
    let (dialer, mut servers) = dialer(2);
    let (mut first, mut second) = (servers.pop_front().unwrap(), servers.pop_front().unwrap());
    let (connection, _) = tokio::join!(open(dialer), first.greet());
    let connection = connection.unwrap();
    drop(first);
    let (reply, ()) = tokio::join!(ask(&connection, "x"), async {
        second.greet().await;
        // As a real server does that has not entered the endpoint yet.
        second.lose_one().await;
        tokio::spawn(async move { second.echo().await });
    });
    assert_eq!(reply.unwrap(), "x");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_ready_and_nothing_else_is_given_up() {
    let (dialer, mut servers) = dialer(2);
    let (mut first, mut second) = (servers.pop_front().unwrap(), servers.pop_front().unwrap());
    let (connection, _) = tokio::join!(open(dialer), first.greet());
    let connection = connection.unwrap();
    drop(first);
    let (given_up, ()) = tokio::join!(ask(&connection, "x"), async {
        second.greet().await;
        while second.link_is_open().await {}
    });
    assert!(matches!(given_up.unwrap_err(), Fault::Offline(error) if error.phase() == Some(Phase::Handshake)));
}

#[tokio::test(start_paused = true)]
async fn while_nobody_listens_requests_fail_at_once() {
    let (connection, server, _) = connected().await;
    drop(server);
    let started = Instant::now();
    for _ in 0..3 {
        let fault = ask(&connection, "x").await.unwrap_err();
        assert!(matches!(&fault, Fault::Offline(error) if error.kind() == ErrorKind::Unreachable), "{fault:?}");
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_close_is_heard_while_a_new_link_is_being_opened() {
    let (dialer, mut servers) = dialer(2);
    let mut first = servers.pop_front().unwrap();
    let (connection, _) = tokio::join!(open(dialer), first.greet());
    let connection = connection.unwrap();
    drop(first);
    let started = Instant::now();
    // The second server never says READY.
    let asking = tokio::spawn({
        let connection = connection.clone();
        async move { ask(&connection, "x").await }
    });
    tokio::task::yield_now().await;
    connection.close().await;
    assert!(asking.await.unwrap().is_err());
    assert_eq!(started.elapsed(), Duration::ZERO);
    drop(servers);
}

#[tokio::test(start_paused = true)]
async fn the_servers_push_ends_the_session_with_its_words() {
    let (connection, mut server, name) = connected().await;
    server.push_expiry(&name, "too idle");
    let (under_way, ()) = tokio::join!(ask(&connection, "x"), async {
        // The client acknowledges, says bye and closes.
        while server.event().await.is_some() {}
    });
    assert!(matches!(under_way.unwrap_err(), Fault::Expired(text) if text == "too idle"));
    assert!(connection.is_expired());
    assert!(matches!(ask(&connection, "y").await.unwrap_err(), Fault::Expired(_)));
    connection.close().await;
}

#[tokio::test(start_paused = true)]
async fn closing_says_bye_fails_what_is_under_way_and_may_be_repeated() {
    let (connection, mut server, _) = connected().await;
    let asking = tokio::spawn({
        let connection = connection.clone();
        async move { ask(&connection, "x").await }
    });
    assert!(matches!(server.event().await, Some(Event::Request(_))));
    let ((), left) = tokio::join!(connection.close(), async {
        let left = matches!(server.event().await, Some(Event::PeerLeft));
        while server.event().await.is_some() {}
        left
    });
    assert!(left, "the client says bye");
    assert!(matches!(asking.await.unwrap().unwrap_err(), Fault::Closed));
    connection.close().await;
    assert!(matches!(ask(&connection, "y").await.unwrap_err(), Fault::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_does_not_hold_up_closing() {
    let (connection, server, _) = connected().await;
    let started = Instant::now();
    connection.close().await;
    assert!(started.elapsed() <= Duration::from_secs(1), "{:?}", started.elapsed());
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn the_connection_ends_with_its_last_handle() {
    let (connection, mut server, _) = connected().await;
    let clone = connection.clone();
    drop(connection);
    drop(clone);
    assert!(matches!(server.event().await, Some(Event::PeerLeft)));
    while server.event().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gave_up_leaves_its_place_to_others() {
    let (connection, mut server, _) = connected().await;
    tokio::spawn(async move { while server.event().await.is_some() {} });
    for _ in 0..3000 {
        let gave_up = tokio::time::timeout(Duration::from_millis(1), ask(&connection, "x")).await;
        assert!(!matches!(gave_up, Ok(Err(Fault::Busy))));
    }
}
