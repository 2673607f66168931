//! Two endpoints, one thread, time passed in.

use super::*;
use crate::error::RequestPhase;

const SERVED: &[(&str, &str)] = &[(channel::HCI, channel::COMMAND)];
const TIMEOUT: Duration = Duration::from_secs(5);

fn start() -> Moment {
    Moment::from_unix(Duration::from_secs(1_795_308_187))
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

struct Pair {
    now: Moment,
    client: Endpoint,
    server: Endpoint,
}

impl Pair {
    fn connected() -> Self {
        let now = start();
        let mut random = Randomness::from_number(7);
        let client = Endpoint::connect(EndpointConfig::admin(&mut random), random.fork(), now);
        let server = Endpoint::accept(EndpointConfig::server(SERVED), random.fork(), now);
        let mut pair = Self { now, client, server };
        pair.exchange();
        assert!(matches!(pair.server.poll_event(), Some(Event::Connected(_))));
        assert!(matches!(pair.client.poll_event(), Some(Event::Connected(_))));
        pair
    }

    /// Carries frames both ways until there are none.
    fn exchange(&mut self) {
        loop {
            let mut moved = false;
            while let Some(frame) = self.client.next_frame(self.now) {
                moved = true;
                let _ = self.server.receive(self.now, frame);
            }
            while let Some(frame) = self.server.next_frame(self.now) {
                moved = true;
                let _ = self.client.receive(self.now, frame);
            }
            if !moved {
                return;
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.client.advance(self.now);
        self.server.advance(self.now);
    }

    fn request(&mut self, request: OutgoingRequest) -> RequestId {
        self.client.request(self.now, request, TIMEOUT).unwrap()
    }

    fn inbound(&mut self) -> InboundRequest {
        match self.server.poll_event() {
            Some(Event::Request(request)) => *request,
            other => panic!("expected a request, got {other:?}"),
        }
    }

    fn outcome(&mut self) -> Result<Response, RequestError> {
        match self.client.poll_event() {
            Some(Event::Response { result, .. }) => result.map(|response| *response),
            other => panic!("expected a response, got {other:?}"),
        }
    }
}

fn hci(text: &str) -> OutgoingRequest {
    OutgoingRequest::streamed(channel::HCI, channel::COMMAND, Payload::text(text))
}

fn plain_hci(text: &str) -> OutgoingRequest {
    OutgoingRequest { streamed: false, ..hci(text) }
}

#[test]
fn plain_and_streamed_requests_are_answered_the_way_they_came() {
    for request in [hci("x"), plain_hci("x")] {
        let mut pair = Pair::connected();
        let streamed = request.streamed;
        pair.request(request);
        pair.exchange();
        let inbound = pair.inbound();
        assert_eq!(inbound.payload.as_text().unwrap(), "x");
        pair.server.respond(pair.now, &inbound.reply_to.unwrap(), Answer::payload(Payload::text("y")));
        pair.exchange();
        let response = pair.outcome().unwrap();
        assert_eq!(response.payload.as_text().unwrap(), "y");
        let kind = response.headers.text(headers::MSG_TYPE).unwrap();
        assert_eq!(kind, if streamed { "req" } else { "reply" });
        // Nothing is repeated once everything was acknowledged.
        pair.pass(seconds(30));
        assert!(pair.server.next_frame(pair.now).is_none());
    }
}

/// Longer than a chunk.
fn long_request() -> OutgoingRequest {
    hci(&"x".repeat(stream::CHUNK_SIZE + 1))
}

#[test]
fn a_held_request_is_sent_but_for_its_last_chunk_and_its_time_runs_once_it_is_released() {
    let mut pair = Pair::connected();
    let held = pair.client.hold(pair.now, long_request(), TIMEOUT).unwrap();
    pair.exchange();
    assert_eq!(pair.server.receiver.unfinished(), 1);
    assert!(pair.server.poll_event().is_none());
    pair.pass(TIMEOUT * 2);
    assert!(pair.client.poll_event().is_none());
    pair.client.release(pair.now, held);
    pair.exchange();
    assert_eq!(pair.inbound().payload.as_text().unwrap().len(), stream::CHUNK_SIZE + 1);
    pair.pass(TIMEOUT);
    assert!(matches!(pair.outcome(), Err(RequestError::TimedOut { .. })));
}

#[test]
fn a_held_request_that_is_cancelled_is_ended_at_its_receiver_too() {
    let mut pair = Pair::connected();
    let held = pair.client.hold(pair.now, long_request(), TIMEOUT).unwrap();
    pair.exchange();
    pair.client.cancel(held);
    pair.exchange();
    assert_eq!(pair.server.receiver.unfinished(), 0);
    pair.client.release(pair.now, held);
    assert!(pair.client.next_frame(pair.now).is_none() && pair.server.poll_event().is_none());
}

#[test]
fn a_request_nobody_serves_is_refused_at_once() {
    let mut pair = Pair::connected();
    pair.request(OutgoingRequest::plain("foo", "bar"));
    pair.exchange();
    let refused = RequestError::Failed { code: ReturnCode::ProcessException, text: "no callback".into() };
    assert_eq!(pair.outcome().unwrap_err(), refused);
    pair.request(OutgoingRequest::streamed("foo", "bar", Payload::text("x")));
    pair.exchange();
    match pair.outcome().unwrap_err() {
        RequestError::Stream(stream::StreamError::Refused { text }) => {
            assert!(text.ends_with("No callback is registered for foo/bar"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_for_an_unknown_cell_comes_back() {
    let mut pair = Pair::connected();
    pair.request(OutgoingRequest { destination: "nosuchsite".into(), ..OutgoingRequest::plain("foo", "bar") });
    pair.exchange();
    let returned = RequestError::Failed { code: ReturnCode::CommError, text: "cannot forward".into() };
    assert_eq!(pair.outcome().unwrap_err(), returned);
}

struct Closed;

impl Gate for Closed {
    fn admit(&mut self, _headers: &Headers) -> bool {
        false
    }
}

#[test]
fn what_the_gate_does_not_admit_gets_silence() {
    let mut pair = Pair::connected();
    pair.server.set_gate(Box::new(Closed));
    pair.request(plain_hci("x"));
    pair.exchange();
    assert!(pair.server.poll_event().is_none());
    pair.pass(TIMEOUT);
    let silence = RequestError::TimedOut { phase: RequestPhase::Waiting, after: TIMEOUT };
    assert_eq!(pair.outcome().unwrap_err(), silence);
}

#[test]
fn challenge_and_bye_pass_a_closed_gate() {
    let mut pair = Pair::connected();
    pair.server.set_gate(Box::new(Closed));
    pair.request(OutgoingRequest::plain(channel::TASK, channel::CHALLENGE));
    pair.exchange();
    assert!(matches!(pair.outcome(), Err(RequestError::Failed { .. })), "not served here, but heard");
    pair.client.bye(pair.now).unwrap();
    pair.exchange();
    assert!(matches!(pair.server.poll_event(), Some(Event::PeerLeft)));
    assert!(pair.outcome().is_ok());
}

#[test]
fn after_bye_streams_get_no_answer() {
    let mut pair = Pair::connected();
    pair.client.bye(pair.now).unwrap();
    pair.exchange();
    pair.outcome().unwrap();
    assert!(matches!(pair.server.poll_event(), Some(Event::PeerLeft)));
    pair.request(hci("x"));
    pair.exchange();
    assert!(pair.server.poll_event().is_none());
    assert!(pair.client.poll_event().is_none());
}

#[test]
fn a_reply_in_parts_keeps_its_request_alive() {
    let mut pair = Pair::connected();
    pair.server.config.reply_stream.chunk_size = 4;
    pair.server.config.reply_stream.window = 4;
    pair.request(hci("x"));
    pair.exchange();
    let reply_to = pair.inbound().reply_to.unwrap();
    pair.pass(seconds(4));
    pair.server.respond(pair.now, &reply_to, Answer::payload(Payload::text("a longer reply")));
    let first = pair.server.next_frame(pair.now).unwrap();
    pair.client.receive(pair.now, first).unwrap();
    pair.pass(seconds(4));
    assert!(pair.client.poll_event().is_none(), "eight seconds after the request, four after its last progress");
    pair.pass(seconds(1));
    let late = RequestError::TimedOut { phase: RequestPhase::Receiving, after: TIMEOUT };
    assert_eq!(pair.outcome().unwrap_err(), late);
}

#[test]
fn an_unacknowledged_reply_is_repeated_and_answered_once() {
    let mut pair = Pair::connected();
    pair.request(hci("x"));
    pair.exchange();
    let reply_to = pair.inbound().reply_to.unwrap();
    pair.server.respond(pair.now, &reply_to, Answer::payload(Payload::text("y")));
    let lost = pair.server.next_frame(pair.now);
    assert!(lost.is_some());
    pair.pass(seconds(4));
    assert!(pair.server.next_frame(pair.now).is_none());
    pair.now = pair.now + seconds(1);
    pair.server.advance(pair.now);
    let repeat = pair.server.next_frame(pair.now).unwrap();
    pair.client.receive(pair.now, repeat.clone()).unwrap();
    pair.client.receive(pair.now, repeat).unwrap();
    assert_eq!(pair.outcome().unwrap().payload.as_text().unwrap(), "y");
    assert!(pair.client.poll_event().is_none());
    pair.exchange();
    pair.pass(seconds(20));
    assert!(pair.server.next_frame(pair.now).is_none());
}

#[test]
fn a_reply_without_any_acknowledgement_is_given_up_after_a_minute() {
    let mut pair = Pair::connected();
    pair.request(hci("x"));
    pair.exchange();
    let reply_to = pair.inbound().reply_to.unwrap();
    pair.server.respond(pair.now, &reply_to, Answer::payload(Payload::text("y")));
    let mut sent = 0;
    for _ in 0..100 {
        while pair.server.next_frame(pair.now).is_some() {
            sent += 1;
        }
        pair.now = pair.now + seconds(1);
        pair.server.advance(pair.now);
    }
    // The reply, twelve repeats and the word that the sender gives up; then a PING.
    assert_eq!(sent, 1 + 12 + 1 + 1);
    assert!(pair.server.outbox.next_deadline().is_none());
}

#[test]
fn silence_for_a_minute_is_asked_about() {
    let mut pair = Pair::connected();
    assert_eq!(pair.client.next_deadline(), Some(pair.now + HEARTBEAT_INTERVAL));
    pair.now = pair.now + HEARTBEAT_INTERVAL;
    pair.client.advance(pair.now);
    let ping = pair.client.next_frame(pair.now).unwrap();
    assert_eq!(Frame::decode(ping.clone()).unwrap().kind, FrameKind::Ping);
    pair.server.receive(pair.now, ping).unwrap();
    let pong = pair.server.next_frame(pair.now).unwrap();
    assert_eq!(Frame::decode(pong.clone()).unwrap().kind, FrameKind::Pong);
    pair.client.receive(pair.now, pong).unwrap();
    assert!(pair.client.next_frame(pair.now).is_none());
}

#[test]
fn hello_is_always_answered_but_not_always_accepted() {
    let hello = |name: Option<&str>| {
        let body = Hello { endpoint_name: name.map(str::to_owned), timestamp: None, fqcn: None };
        let payload = body.encode().into();
        let kind = FrameKind::Hello;
        Frame { kind, reserved: 0, flags: 0, app_id: 0, stream_id: 1, sequence: 1, headers: Bytes::new(), payload }
    };
    for (name, closes) in [(None, false), (Some("server"), false), (Some("no spaces"), true)] {
        let mut server = Endpoint::accept(EndpointConfig::server(SERVED), Randomness::from_number(1), start());
        server.receive(start(), hello(name).encode().unwrap()).unwrap();
        let answer = Frame::decode(server.next_frame(start()).unwrap()).unwrap();
        assert_eq!(answer.kind, FrameKind::Ready);
        assert!(matches!(server.poll_event(), Some(Event::BadHello { close, .. }) if close == closes), "{name:?}");
        assert!(!server.is_connected());
    }
}

#[test]
fn a_second_hello_is_answered_and_ends_the_connection() {
    let mut pair = Pair::connected();
    let hello = Hello::new(pair.client.name(), pair.now);
    let (kind, payload) = (FrameKind::Hello, hello.encode().into());
    let frame =
        Frame { kind, reserved: 0, flags: 0, app_id: 0, stream_id: 1, sequence: 9, headers: Bytes::new(), payload };
    pair.server.receive(pair.now, frame.encode().unwrap()).unwrap();
    let answer = Frame::decode(pair.server.next_frame(pair.now).unwrap()).unwrap();
    assert_eq!(answer.kind, FrameKind::Ready);
    assert!(matches!(pair.server.poll_event(), Some(Event::BadHello { close: true, .. })));
}

#[test]
fn a_ping_before_the_handshake_gets_no_answer() {
    let mut server = Endpoint::accept(EndpointConfig::server(SERVED), Randomness::from_number(1), start());
    let payload = Bytes::from_static(&[0xc0]);
    let kind = FrameKind::Ping;
    let ping =
        Frame { kind, reserved: 0, flags: 0, app_id: 0, stream_id: 17, sequence: 1, headers: Bytes::new(), payload };
    assert_eq!(server.receive(start(), ping.encode().unwrap()), Err(ProtocolError::BeforeHandshake));
    assert!(server.next_frame(start()).is_none());
}

#[test]
fn requests_end_when_the_connection_does() {
    let mut pair = Pair::connected();
    pair.request(hci("x"));
    pair.client.disconnect();
    assert_eq!(pair.outcome().unwrap_err(), RequestError::Disconnected);
    assert_eq!(pair.client.request(pair.now, hci("y"), TIMEOUT), Err(RequestError::Disconnected));
}

#[test]
fn the_late_reply_of_a_cancelled_request_is_acknowledged_and_dropped() {
    let mut pair = Pair::connected();
    let id = pair.request(hci("x"));
    pair.exchange();
    let reply_to = pair.inbound().reply_to.unwrap();
    pair.client.cancel(id);
    pair.server.respond(pair.now, &reply_to, Answer::payload(Payload::text("y")));
    pair.exchange();
    assert!(pair.client.poll_event().is_none());
    pair.pass(seconds(20));
    assert!(pair.server.next_frame(pair.now).is_none(), "the reply was acknowledged");
}

#[test]
fn requests_under_way_are_bounded() {
    let mut pair = Pair::connected();
    for _ in 0..exchange::MAX_IN_FLIGHT {
        pair.client.request(pair.now, plain_hci("x"), TIMEOUT).unwrap();
    }
    let refused = pair.client.request(pair.now, plain_hci("x"), TIMEOUT);
    assert_eq!(refused, Err(RequestError::TooManyRequests));
}

#[test]
fn an_endpoint_stops_reading_when_too_much_waits_to_be_sent() {
    let mut pair = Pair::connected();
    let ping = || {
        let (kind, payload) = (FrameKind::Ping, Bytes::from_static(&[0xc0]));
        Frame { kind, reserved: 0, flags: 0, app_id: 0, stream_id: 17, sequence: 1, headers: Bytes::new(), payload }
            .encode()
            .unwrap()
    };
    for _ in 0..outbox::MAX_QUEUED {
        assert!(pair.server.accepts_input());
        pair.server.receive(pair.now, ping()).unwrap();
    }
    assert!(!pair.server.accepts_input());
    assert!(pair.server.next_frame(pair.now).is_some());
    assert!(pair.server.accepts_input());
}

#[test]
fn the_secrets_of_a_stamp_are_not_printed() {
    let stamp = Headers::new().with(headers::CLIENT_NAME, "a").with(headers::TOKEN, "secret");
    assert!(!format!("{stamp:?}").contains("secret"));
}
