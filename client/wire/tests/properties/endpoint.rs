//! Two endpoints back to back: any order of calls, any network, any frames.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use flare_fixtures::vectors;
use flare_wire::cell::{Encoding, Message, Payload, ReturnCode, headers};
use flare_wire::endpoint::{
    Answer, Endpoint, EndpointConfig, Event, HEARTBEAT_INTERVAL, OutgoingRequest, ReplyTo, RequestId,
};
use flare_wire::frame::{Frame, FrameKind};
use flare_wire::stream::{ReceiverLimits, StreamError, StreamSettings};
use flare_wire::{Moment, Randomness, RequestError};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::network::{Faults, Network};
use crate::strategies::bytes;

const SERVED: &[(&str, &str)] = &[("served", "topic")];

/// More than any delay of a network and any pause of a server in these tests add up to.
const TIMEOUT: Duration = Duration::from_secs(60);

fn start() -> Moment {
    Moment::from_unix(Duration::from_secs(1_795_308_187))
}

/// One request of a schedule.
#[derive(Debug, Clone)]
struct Plan {
    /// When it is made, after the one before.
    pause: Duration,
    streamed: bool,
    served: bool,
    body: Vec<u8>,
    /// How long the server thinks.
    thinking: Duration,
    /// Sent from the server to the client.
    backwards: bool,
}

fn plan() -> impl Strategy<Value = Plan> {
    (0..3000_u64, any::<bool>(), prop::bool::weighted(0.8), bytes(120), 0..3000_u64, prop::bool::weighted(0.2))
        .prop_map(|(pause, streamed, served, body, thinking, backwards)| Plan {
            pause: Duration::from_millis(pause),
            streamed,
            served,
            body,
            thinking: Duration::from_millis(thinking),
            backwards,
        })
}

fn payload(bytes: &[u8]) -> Payload {
    let encoding = if bytes.is_empty() { Encoding::None } else { Encoding::Bytes };
    Payload { encoding, bytes: bytes.to_vec().into() }
}

/// What a request is answered with.
fn echo(body: &[u8]) -> Vec<u8> {
    body.iter().rev().copied().collect()
}

struct Side {
    endpoint: Endpoint,
    network: Network<Bytes>,
    /// Answers that wait until the side has thought.
    thinking: Vec<(Moment, ReplyTo, Vec<u8>)>,
    asked: HashMap<RequestId, Plan>,
    outcomes: Vec<(Plan, Result<Vec<u8>, RequestError>)>,
    /// Bodies of the requests that came in.
    heard: Vec<Vec<u8>>,
}

impl Side {
    fn new(endpoint: Endpoint, faults: Faults, random: Randomness) -> Self {
        let network = Network::new(faults, random);
        Self { endpoint, network, thinking: Vec::new(), asked: HashMap::new(), outcomes: Vec::new(), heard: Vec::new() }
    }

    fn ask(&mut self, now: Moment, plan: &Plan, peer: &str) {
        let topic = if plan.served { "topic" } else { "another" };
        let request = OutgoingRequest {
            destination: peer.to_owned(),
            streamed: plan.streamed,
            ..OutgoingRequest::streamed("served", topic, payload(&plan.body))
        };
        let id = self.endpoint.request(now, request, TIMEOUT).unwrap();
        assert!(self.asked.insert(id, plan.clone()).is_none(), "request ids are not used twice");
    }

    fn react(&mut self, now: Moment, plans: &[Plan]) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Request(request) => {
                    let body = request.payload.bytes.to_vec();
                    let plan = plans.iter().find(|plan| plan.body == body);
                    let thinking = plan.map_or(Duration::ZERO, |plan| plan.thinking);
                    self.heard.push(body.clone());
                    self.thinking.push((now + thinking, request.reply_to.unwrap(), echo(&body)));
                }
                Event::Response { id, result } => {
                    let plan = self.asked.remove(&id).expect("one outcome for each request");
                    self.outcomes.push((plan, result.map(|response| response.payload.bytes.to_vec())));
                }
                other => panic!("{other:?}"),
            }
        }
        let (due, waiting) = self.thinking.drain(..).partition(|(at, ..)| *at <= now);
        self.thinking = waiting;
        for (_, reply_to, body) in due {
            self.endpoint.respond(now, &reply_to, Answer::payload(payload(&body)));
        }
    }

    fn send(&mut self, now: Moment) {
        while let Some(frame) = self.endpoint.next_frame(now) {
            self.network.send(now, &frame);
        }
    }

    fn next_moment(&self) -> Option<Moment> {
        let thought = self.thinking.iter().map(|(at, ..)| *at).min();
        [self.endpoint.next_deadline(), self.network.next_arrival(), thought].into_iter().flatten().min()
    }
}

/// Client and server after their handshake.
struct Pair {
    now: Moment,
    sides: [Side; 2],
}

impl Pair {
    fn new(faults: Faults, settings: StreamSettings, seed: u64) -> Self {
        let mut random = Randomness::from_number(seed);
        let tune = |config: EndpointConfig| EndpointConfig {
            request_stream: settings,
            reply_stream: StreamSettings { reliable: true, ..settings },
            serves: SERVED,
            ..config
        };
        let now = start();
        let mut client = Endpoint::connect(tune(EndpointConfig::admin(&mut random)), random.fork(), now);
        let mut server = Endpoint::accept(tune(EndpointConfig::server(SERVED)), random.fork(), now);
        server.receive(now, client.next_frame(now).unwrap()).unwrap();
        client.receive(now, server.next_frame(now).unwrap()).unwrap();
        assert!(matches!(client.poll_event(), Some(Event::Connected(_))));
        assert!(matches!(server.poll_event(), Some(Event::Connected(_))));
        let sides = [client, server].map(|endpoint| Side::new(endpoint, faults, random.fork()));
        Self { now, sides }
    }

    /// Makes the requests, and goes on until nothing but heartbeats would happen.
    fn run(&mut self, plans: &[Plan]) {
        let names = self.sides.each_ref().map(|side| side.endpoint.name().to_owned());
        let mut at = self.now;
        let mut schedule: Vec<(Moment, &Plan)> = Vec::new();
        for plan in plans {
            at = at + plan.pause;
            schedule.push((at, plan));
        }
        schedule.reverse();
        // A request has its outcome within its time-out of the last progress; streams are over soon after.
        let end = at + TIMEOUT * 8;
        while self.now < end {
            while let Some((_, plan)) = schedule.pop_if(|(at, _)| *at <= self.now) {
                let asks = usize::from(plan.backwards);
                self.sides[asks].ask(self.now, plan, &names[1 - asks]);
            }
            self.step(plans);
            let next = self.sides.iter().filter_map(Side::next_moment).chain(schedule.last().map(|(at, _)| *at)).min();
            let next = next.expect("a connected endpoint has at least its heartbeat to do");
            assert!(next > self.now, "nothing is left to do at {:?}, but the next deadline is {next:?}", self.now);
            self.now = next;
        }
    }

    fn step(&mut self, plans: &[Plan]) {
        let [client, server] = &mut self.sides;
        for side in [&mut *client, &mut *server] {
            side.endpoint.advance(self.now);
        }
        loop {
            for side in [&mut *client, &mut *server] {
                side.react(self.now, plans);
                side.send(self.now);
            }
            let mut moved = false;
            while let Some(frame) = client.network.deliver(self.now) {
                let _ = server.endpoint.receive(self.now, frame);
                moved = true;
            }
            while let Some(frame) = server.network.deliver(self.now) {
                let _ = client.endpoint.receive(self.now, frame);
                moved = true;
            }
            if !moved {
                return;
            }
        }
    }
}

fn settings() -> impl Strategy<Value = StreamSettings> {
    (8..60_usize, 20..200_u64).prop_map(|(chunk_size, window)| StreamSettings {
        chunk_size,
        window,
        ack_interval: 20,
        reliable: false,
        optional: false,
        announced: true,
    })
}

/// What a network without loss and repeats owes a request.
fn expected(plan: &Plan) -> Result<Vec<u8>, RequestError> {
    if plan.served {
        return Ok(echo(&plan.body));
    }
    let text = "no callback".to_owned();
    Err(RequestError::Failed { code: ReturnCode::ProcessException, text })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_request_has_its_own_reply_in_whatever_order_frames_arrive(
        plans in vec(plan(), 1..12), delay in 0..4000_u64, settings in settings(), seed: u64,
    ) {
        let faults = Faults { loss: 0, repeat: 0, delay: Duration::from_millis(delay) };
        let mut pair = Pair::new(faults, settings, seed);
        pair.run(&plans);
        for side in &pair.sides {
            prop_assert!(side.asked.is_empty(), "without an outcome: {:?}", side.asked);
            for (plan, outcome) in &side.outcomes {
                match (plan.streamed && !plan.served, outcome) {
                    (true, Err(RequestError::Stream(StreamError::Refused { .. }))) => {}
                    (true, other) => prop_assert!(false, "{:?}", other),
                    (false, outcome) => prop_assert_eq!(outcome, &expected(plan)),
                }
            }
        }
        let served = plans.iter().filter(|plan| plan.served).count();
        prop_assert_eq!(pair.sides.iter().map(|side| side.heard.len()).sum::<usize>(), served);
        prop_assert_eq!(pair.sides.iter().map(|side| side.outcomes.len()).sum::<usize>(), plans.len());
    }

    #[test]
    fn every_request_has_one_outcome_whatever_is_lost(
        plans in vec(plan(), 1..8), faults in Faults::lossy(), settings in settings(), seed: u64,
    ) {
        let mut pair = Pair::new(faults, settings, seed);
        pair.run(&plans);
        for side in &pair.sides {
            prop_assert!(side.asked.is_empty(), "without an outcome: {:?}", side.asked);
            for (plan, outcome) in &side.outcomes {
                if let Ok(reply) = outcome {
                    prop_assert!(plan.served);
                    prop_assert_eq!(reply, &echo(&plan.body));
                }
            }
        }
        prop_assert_eq!(pair.sides.iter().map(|side| side.outcomes.len()).sum::<usize>(), plans.len());
    }

    #[test]
    fn a_streamed_request_is_heard_at_most_once_whatever_is_repeated(
        plans in vec(plan(), 1..8), faults in Faults::lossy(), settings in settings(), seed: u64,
    ) {
        let plans: Vec<Plan> = plans
            .into_iter()
            .zip(0_u8..)
            .map(|(plan, index)| Plan { streamed: true, served: true, body: [vec![index], plan.body].concat(), ..plan })
            .collect();
        let mut pair = Pair::new(faults, settings, seed);
        pair.run(&plans);
        let mut heard: Vec<&Vec<u8>> = pair.sides.iter().flat_map(|side| &side.heard).collect();
        let count = heard.len();
        heard.sort();
        heard.dedup();
        prop_assert_eq!(heard.len(), count);
    }

    #[test]
    fn frames_of_any_kind_do_no_harm(
        frames in vec(prop_oneof![bytes(60), prop::sample::select(recorded())], 0..20),
        changes in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..20),
        connected: bool,
    ) {
        let mut frames = frames;
        for (frame, at, byte) in changes {
            if frames.is_empty() {
                break;
            }
            let frame = frame.index(frames.len());
            let frame = &mut frames[frame];
            if !frame.is_empty() {
                let at = at.index(frame.len());
                frame[at] = byte;
            }
        }
        let mut now = start();
        let mut random = Randomness::from_number(5);
        let limits = ReceiverLimits { max_blob: 100_000, max_streams: 4, ..ReceiverLimits::default() };
        let admin = EndpointConfig { name: recorded_name(), limits, ..EndpointConfig::admin(&mut random) };
        let served = &[("hci_channel", "command"), ("task", "challenge")];
        let server = EndpointConfig { limits, ..EndpointConfig::server(served) };
        let mut ends = [Endpoint::connect(admin, random.fork(), now), Endpoint::accept(server, random.fork(), now)];
        if connected {
            let [client, server] = &mut ends;
            server.receive(now, client.next_frame(now).unwrap()).unwrap();
            client.receive(now, server.next_frame(now).unwrap()).unwrap();
        }
        for frame in frames {
            for end in &mut ends {
                now = now + Duration::from_secs(7);
                let _ = end.receive(now, frame.clone().into());
                while let Some(event) = end.poll_event() {
                    if let Event::Request(request) = event
                        && let Some(reply_to) = &request.reply_to
                    {
                        end.respond(now, reply_to, Answer::payload(Payload::text("answer")));
                    }
                }
                end.advance(now);
                while end.next_frame(now).is_some() {}
                prop_assert!(end.next_deadline().is_none_or(|deadline| deadline > now));
            }
        }
    }
}

/// The name that the client of the recorded login has, so that its server's frames are for this endpoint.
fn recorded_name() -> String {
    let login = vectors().iter().find(|vector| vector.name == "login").unwrap();
    login.frames[0].payload_msgpack.as_ref().unwrap()["endpoint_name"].as_str().unwrap().to_owned()
}

fn recorded() -> Vec<Vec<u8>> {
    let names = ["login", "plain_command", "logout", "large_reply_chunked", "error_plain_request_replies"];
    let chosen = vectors().iter().filter(|vector| names.contains(&vector.name.as_str()));
    chosen.flat_map(|vector| &vector.frames).map(|frame| frame.raw.clone()).collect()
}

#[test]
fn an_idle_connection_asks_once_a_minute_and_nothing_else() {
    let faults = Faults { loss: 0, repeat: 0, delay: Duration::ZERO };
    let mut pair = Pair::new(faults, StreamSettings::client(), 1);
    pair.run(&[]);
    for side in &pair.sides {
        assert!(side.endpoint.next_deadline().unwrap() <= pair.now + HEARTBEAT_INTERVAL);
        assert!(side.outcomes.is_empty() && side.heard.is_empty());
    }
}

#[test]
fn a_reply_of_another_cell_than_the_one_asked_is_dropped() {
    for streamed in [false, true] {
        let faults = Faults { loss: 0, repeat: 0, delay: Duration::ZERO };
        let mut pair = Pair::new(faults, StreamSettings::client(), 1);
        let plan = Plan {
            pause: Duration::ZERO,
            streamed,
            served: true,
            body: b"x".to_vec(),
            thinking: Duration::ZERO,
            backwards: false,
        };
        let [client, server] = &mut pair.sides;
        client.ask(pair.now, &plan, "server");
        while let Some(frame) = client.endpoint.next_frame(pair.now) {
            server.endpoint.receive(pair.now, frame).unwrap();
        }
        server.react(pair.now, &[]);
        while let Some(frame) = server.endpoint.next_frame(pair.now) {
            let frame = Frame::decode(frame).unwrap();
            let mut message = Message::from_frame(&frame).unwrap();
            message.headers.set(headers::ORIGIN, "site-1");
            let forged = message.to_frame(frame.stream_id, frame.sequence).encode().unwrap();
            let _ = client.endpoint.receive(pair.now, forged);
        }
        client.react(pair.now, &[]);
        assert!(client.outcomes.is_empty(), "{streamed}");
    }
}

#[test]
fn counters_go_round_without_the_reserved_numbers() {
    let faults = Faults { loss: 0, repeat: 0, delay: Duration::ZERO };
    let mut pair = Pair::new(faults, StreamSettings::client(), 1);
    let [client, _] = &mut pair.sides;
    let ping = Frame {
        kind: FrameKind::Ping,
        reserved: 0,
        flags: 0,
        app_id: 0,
        stream_id: 17,
        sequence: 2,
        headers: Bytes::new(),
        payload: vec![0xc0].into(),
    };
    let ping = ping.encode().unwrap();
    let mut last = None;
    for _ in 0..70_000 {
        client.endpoint.receive(pair.now, ping.clone()).unwrap();
        let pong = Frame::decode(client.endpoint.next_frame(pair.now).unwrap()).unwrap();
        assert!(pong.stream_id >= 17);
        if let Some((stream_id, sequence)) = last {
            assert_eq!(pong.stream_id, if stream_id == u16::MAX { 17 } else { stream_id + 1 });
            assert_eq!(pong.sequence, u16::wrapping_add(sequence, 1));
        }
        last = Some((pong.stream_id, pong.sequence));
    }
}

#[test]
fn a_peer_that_sends_without_reading_is_not_read_from() {
    let faults = Faults { loss: 0, repeat: 0, delay: Duration::ZERO };
    let mut pair = Pair::new(faults, StreamSettings::client(), 1);
    let [client, server] = &mut pair.sides;
    let mut taken = 0;
    while server.endpoint.accepts_input() && taken < 100_000 {
        let request = OutgoingRequest::plain("not served", "topic");
        if let Ok(id) = client.endpoint.request(pair.now, request, TIMEOUT) {
            client.endpoint.cancel(id);
        }
        server.endpoint.receive(pair.now, client.endpoint.next_frame(pair.now).unwrap()).unwrap();
        taken += 1;
    }
    assert!(taken < 10_000, "its answers are not held without limit");
    assert!(server.endpoint.next_frame(pair.now).is_some());
    assert!(server.endpoint.accepts_input(), "there is room again");
}
