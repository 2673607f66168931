//! Recorded exchanges replayed: an [`Endpoint`] takes the place of one side, is given the frames of the other,
//! and has to send what the real one sent.
//!
//! What differs by nature is left out of the comparison: times, the ids that the endpoint makes up (they are
//! translated in what it is given), and the counters of the prefix where the recording starts in the middle.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use flare_fixtures::{Direction, RecordedFrame, Vector};
use flare_wire::cell::{Encoding, Headers, Hello, Message, MessageKind, Payload, ReturnCode, channel, headers};
use flare_wire::endpoint::{Answer, Endpoint, Event, InboundRequest, OutgoingRequest};
use flare_wire::frame::{Frame, FrameKind};
use flare_wire::msgpack::Value;
use flare_wire::stream::StreamSettings;
use flare_wire::{Moment, RequestError};

/// Headers that authenticate the sender, on every message after the registration.
const STAMP: [&str; 4] = [headers::CLIENT_NAME, headers::SSID, headers::TOKEN, headers::TOKEN_SIGNATURE];

/// Longer than any recording.
const TIMEOUT: Duration = Duration::from_secs(120);

/// One side of a recording, played by an endpoint.
pub(crate) struct Replay {
    pub(crate) endpoint: Endpoint,
    vector: &'static Vector,
    pub(crate) side: Direction,
    now: Moment,
    sent: VecDeque<Frame>,
    /// `stream_id` and `sequence` of everything sent, in order.
    pub(crate) counters: Vec<(u16, u16)>,
    /// Recorded id of ours to the id that the endpoint made up, for streams and requests.
    stream_ids: HashMap<u64, Value>,
    request_ids: HashMap<String, Value>,
    /// Requests of the peer.
    pub(crate) requests: Vec<InboundRequest>,
    /// Outcomes of our requests.
    pub(crate) outcomes: Vec<Result<Payload, RequestError>>,
    /// Other events.
    pub(crate) events: Vec<Event>,
}

pub(crate) fn frame_of(recorded: &RecordedFrame) -> Frame {
    Frame::decode(recorded.raw.clone().into()).unwrap()
}

fn message_of(recorded: &RecordedFrame) -> Option<Message> {
    let frame = frame_of(recorded);
    (frame.kind == FrameKind::Data).then(|| Message::from_frame(&frame).unwrap())
}

/// All messages that `side` sent.
fn messages(vector: &Vector, side: Direction) -> impl Iterator<Item = Message> {
    vector.sent(side).filter_map(message_of)
}

/// Name of the cell on `side` of a recording.
pub(crate) fn cell_name(vector: &Vector, side: Direction) -> String {
    let hello = vector.sent(side).map(frame_of).find(|frame| matches!(frame.kind, FrameKind::Hello | FrameKind::Ready));
    let from_hello = hello.and_then(|frame| Hello::decode(&frame.payload).endpoint_name);
    let from_message =
        || messages(vector, side).find_map(|message| message.headers.text(headers::ORIGIN).map(str::to_owned));
    from_hello.or_else(from_message).unwrap()
}

/// What the streams of `side` announce in a recording.
pub(crate) fn settings(vector: &Vector, side: Direction, replies: bool, defaults: StreamSettings) -> StreamSettings {
    let mut settings = defaults;
    for message in messages(vector, side) {
        let head = &message.headers;
        let is_reply = head.text(headers::STREAM_CHANNEL) == Some(channel::RETURN_ONLY);
        if head.text(headers::TOPIC) != Some(channel::STREAM_DATA) || is_reply != replies {
            continue;
        }
        // The test client announces nothing.
        let size = head.number(headers::STREAM_CHUNK_SIZE).and_then(|size| usize::try_from(size).ok());
        settings.chunk_size = size.unwrap_or(settings.chunk_size);
        settings.window = head.number(headers::STREAM_WINDOW_SIZE).unwrap_or(settings.window);
        settings.ack_interval = head.number(headers::STREAM_ACK_INTERVAL).unwrap_or(settings.ack_interval);
    }
    settings
}

impl Replay {
    pub(crate) fn new(vector: &'static Vector, side: Direction, endpoint: Endpoint, now: Moment) -> Self {
        let mut replay = Self {
            endpoint,
            vector,
            side,
            now,
            sent: VecDeque::new(),
            counters: Vec::new(),
            stream_ids: HashMap::new(),
            request_ids: HashMap::new(),
            requests: Vec::new(),
            outcomes: Vec::new(),
            events: Vec::new(),
        };
        let first_stamped =
            messages(vector, side).find(|message| message.headers.get(headers::TOKEN_SIGNATURE).is_some());
        if frame_of(&vector.frames[0]).kind != FrameKind::Hello {
            replay.shake_hands();
        }
        if let Some(message) = first_stamped
            && (side == Direction::ServerToClient || frame_of(&vector.frames[0]).kind != FrameKind::Hello)
        {
            replay.stamp_as(&message.headers);
        }
        replay
    }

    /// The handshake that the recording leaves out.
    fn shake_hands(&mut self) {
        let (kind, peer) = match self.side {
            Direction::ClientToServer => (FrameKind::Ready, Direction::ServerToClient),
            Direction::ServerToClient => (FrameKind::Hello, Direction::ClientToServer),
        };
        let payload = Hello::new(&cell_name(self.vector, peer), self.now).encode().into();
        let headers = Bytes::new();
        let frame = Frame { kind, reserved: 0, flags: 0, app_id: 0, stream_id: 1, sequence: 1, headers, payload };
        self.endpoint.receive(self.now, frame.encode().unwrap()).unwrap();
        assert!(matches!(self.endpoint.poll_event(), Some(Event::Connected(_))));
        while self.endpoint.next_frame(self.now).is_some() {}
    }

    /// Plays the whole recording.
    pub(crate) fn run(&mut self) {
        let start = self.now;
        for recorded in &self.vector.frames {
            self.now = start + Duration::from_secs_f64(recorded.at_milliseconds / 1000.0);
            if recorded.direction == self.side {
                self.expect(recorded);
            } else {
                self.give(recorded);
            }
        }
        self.collect();
        let needless: Vec<usize> = (0..self.sent.len()).filter(|index| self.is_overtaken(&self.sent[*index])).collect();
        for index in needless.into_iter().rev() {
            self.sent.remove(index);
        }
        assert!(self.sent.is_empty(), "{}: sent beyond the recording: {:#?}", self.vector.name, self.describe_sent());
    }

    /// True for an acknowledgement on the way to a later one of the same stream: real receivers skip some of
    /// them, depending on how their threads run.
    fn is_overtaken(&self, frame: &Frame) -> bool {
        let Some((id, offset)) = acknowledged(&Message::from_frame(frame).unwrap().headers) else { return false };
        messages(self.vector, self.side)
            .filter_map(|message| acknowledged(&message.headers))
            .any(|(recorded, later)| recorded == id && later > offset)
    }

    /// Plays a recording whose own side was not an endpoint like ours: makes its requests, but does not compare how
    /// they look.
    pub(crate) fn run_loosely(&mut self) {
        for recorded in &self.vector.frames {
            if recorded.direction != self.side {
                self.give(recorded);
                continue;
            }
            let Some(message) = message_of(recorded).filter(starts_something) else { continue };
            self.stamp_as(&message.headers);
            self.sent.clear();
            self.begin(&message, &self.vector.name);
            self.collect();
            let sent = Message::from_frame(&self.sent[0]).unwrap();
            self.note_ids(&message, &sent);
        }
    }

    fn describe_sent(&self) -> Vec<String> {
        self.sent.iter().map(|frame| format!("{:?} {:?}", frame.kind, Headers::decode(&frame.headers))).collect()
    }

    /// Where what was sent differs from `expected`.
    fn differences(&self, expected: &Frame) -> String {
        let (kind, headers, payload) = comparable(expected);
        let names =
            |headers: &[(String, Value)]| headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join(" ");
        let mut out = format!("wanted {kind:?} {}\n", names(&headers));
        for frame in &self.sent {
            let (sent_kind, sent_headers, sent_payload) = comparable(frame);
            out += &format!("sent   {sent_kind:?} {} payload {}\n", names(&sent_headers), sent_payload == payload);
            for (name, value) in &headers {
                let sent = sent_headers.iter().find(|(sent, _)| sent == name);
                if sent.is_some_and(|(_, sent)| sent != value) {
                    out += &format!("    {name}: {value}, sent {:?}\n", sent.map(|(_, sent)| sent.to_string()));
                }
            }
        }
        out
    }

    fn collect(&mut self) {
        while let Some(bytes) = self.endpoint.next_frame(self.now) {
            let frame = Frame::decode(bytes).unwrap();
            self.counters.push((frame.stream_id, frame.sequence));
            self.sent.push_back(frame);
        }
    }

    /// Hands the endpoint a frame of its peer.
    fn give(&mut self, recorded: &RecordedFrame) {
        let frame = frame_of(recorded);
        let bytes = match frame.kind {
            FrameKind::Data => {
                let mut message = Message::from_frame(&frame).unwrap();
                self.translate(&mut message.headers);
                message.to_frame(frame.stream_id, frame.sequence).encode().unwrap()
            }
            _ => frame.encode().unwrap(),
        };
        let _ = self.endpoint.receive(self.now, bytes);
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Request(request) => {
                    self.answer(&request);
                    self.requests.push(*request);
                }
                Event::Response { result, .. } => self.outcomes.push(result.map(|response| response.payload)),
                other => self.events.push(other),
            }
        }
        self.collect();
    }

    /// Puts the ids that the endpoint made up in the place of the recorded ones.
    fn translate(&self, head: &mut Headers) {
        if let Some(id) = head.number(headers::STREAM_ID).and_then(|id| self.stream_ids.get(&id)) {
            head.set(headers::STREAM_ID, id.clone());
        }
        for name in [headers::REQ_ID, headers::STREAM_REQ_ID] {
            let translated = match head.get(name) {
                Some(Value::String(id)) => id.as_str().and_then(|id| self.request_ids.get(id)).cloned(),
                Some(Value::Array(ids)) => {
                    let ids = ids.iter().filter_map(|id| self.request_ids.get(id.as_str()?)).cloned();
                    Some(Value::Array(ids.collect()))
                }
                _ => None,
            };
            if let Some(id) = translated {
                head.set(name, id);
            }
        }
    }

    /// Answers a request as the recording does.
    fn answer(&mut self, request: &InboundRequest) {
        let Some(reply_to) = &request.reply_to else { return };
        let id =
            request.headers.text(headers::STREAM_REQ_ID).or_else(|| request.headers.text(headers::REQ_ID)).unwrap();
        let parts: Vec<Message> = messages(self.vector, self.side)
            .filter(|message| {
                let head = &message.headers;
                let topic = head.text(headers::TOPIC);
                let streamed = topic == Some(channel::STREAM_DATA) && head.text(headers::STREAM_REQ_ID) == Some(id);
                streamed || (message.kind() == Some(MessageKind::Reply) && head.text(headers::REQ_ID) == Some(id))
            })
            .collect();
        let Some(first) = parts.first() else { return };
        let encoding = first.headers.text(headers::STREAM_PAYLOAD_ENCODING);
        let encoding = Encoding::parse(encoding.or_else(|| first.headers.text(headers::PAYLOAD_ENCODING)));
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.payload.to_vec()).collect();
        // A code behind `cn__secure` is not the handler's: the cell added it.
        let by_handler = first.headers.iter().take_while(|(name, _)| *name != headers::SECURE);
        let code = by_handler.filter(|(name, _)| *name == headers::RETURN_CODE).find_map(|(_, value)| value.as_str());
        let answer = Answer {
            return_code: code.map(ReturnCode::from),
            error: first.headers.text(headers::ERROR).map(str::to_owned),
            payload: Payload { encoding, bytes: bytes.into() },
        };
        self.stamp_as(&first.headers);
        self.endpoint.respond(self.now, reply_to, answer);
    }

    /// Takes over the authentication of a recorded message of ours.
    fn stamp_as(&mut self, head: &Headers) {
        if head.get(headers::TOKEN_SIGNATURE).is_none() {
            return;
        }
        let stamp = STAMP.iter().filter_map(|name| Some((*name, head.get(name)?.clone())));
        let order: Headers =
            head.iter().filter_map(|(name, _)| stamp.clone().find(|(known, _)| *known == name)).collect();
        self.endpoint.set_stamp(order);
    }

    /// Has the endpoint send what the recording sends next.
    fn expect(&mut self, recorded: &RecordedFrame) {
        let place = format!("{} frame {}", self.vector.name, recorded.index);
        let frame = frame_of(recorded);
        if frame.kind == FrameKind::Data {
            let message = Message::from_frame(&frame).unwrap();
            self.stamp_as(&message.headers);
            self.collect();
            if self.was_acknowledged(recorded, &message) {
                return;
            }
            if !self.find(&frame) {
                if starts_something(&message) {
                    self.begin(&message, &place);
                    self.collect();
                }
                assert!(self.find(&frame), "{place}: not sent\n{}", self.differences(&frame));
            }
        } else {
            self.collect();
            assert!(self.find(&frame), "{place}: not sent, but {:?}", self.sent);
        }
    }

    /// True for the second of two equal acknowledgements: real receivers often send the last one twice, once
    /// when it came and once when it was consumed.
    fn was_acknowledged(&self, recorded: &RecordedFrame, message: &Message) -> bool {
        let Some(acknowledgement) = acknowledged(&message.headers) else { return false };
        let before = self.vector.frames[..recorded.index].iter().filter(|frame| frame.direction == self.side);
        before.filter_map(message_of).any(|earlier| acknowledged(&earlier.headers) == Some(acknowledgement))
    }

    /// Looks for `expected` among the frames that the endpoint sent.
    fn find(&mut self, expected: &Frame) -> bool {
        let wanted = comparable(expected);
        let Some(index) = self.sent.iter().position(|frame| comparable(frame) == wanted) else { return false };
        if let Some(sent) = self.sent.remove(index)
            && expected.kind == FrameKind::Data
        {
            self.note_ids(&Message::from_frame(expected).unwrap(), &Message::from_frame(&sent).unwrap());
        }
        true
    }

    /// Remembers which ids of the endpoint stand for which recorded ones.
    fn note_ids(&mut self, expected: &Message, sent: &Message) {
        if expected.headers.text(headers::TOPIC) == Some(channel::STREAM_DATA)
            && let Some((id, ours)) =
                expected.headers.number(headers::STREAM_ID).zip(sent.headers.get(headers::STREAM_ID))
        {
            self.stream_ids.insert(id, ours.clone());
        }
        for name in [headers::REQ_ID, headers::STREAM_REQ_ID] {
            if let Some((id, ours)) = expected.headers.text(name).zip(sent.headers.get(name)) {
                self.request_ids.insert(id.to_owned(), ours.clone());
            }
        }
    }

    /// Makes the request that starts with this recorded message.
    fn begin(&mut self, message: &Message, place: &str) {
        let head = &message.headers;
        let text = |name| head.text(name).unwrap_or_default().to_owned();
        let streamed = head.text(headers::TOPIC) == Some(channel::STREAM_DATA);
        let stamped = head.get(headers::TOKEN_SIGNATURE).is_some();
        let application: Headers = head
            .iter()
            .filter(|(name, _)| is_application(name, stamped))
            .fold(Headers::new(), |all, (name, value)| all.with(name.to_owned(), value.clone()));
        let (channel, topic) = if streamed {
            (text(headers::STREAM_CHANNEL), text(headers::STREAM_TOPIC))
        } else {
            (text(headers::CHANNEL), text(headers::TOPIC))
        };
        let payload = if streamed { self.whole_stream(head) } else { message.body() };
        let destination = text(headers::DESTINATION);
        let request = OutgoingRequest { destination, channel, topic, headers: application, payload, streamed };
        if streamed && head.get(headers::STREAM_REQ_ID).is_none() {
            self.endpoint.notify(self.now, request);
        } else if request.channel == channel::CELLNET {
            self.endpoint.bye(self.now).unwrap_or_else(|error| panic!("{place}: {error}"));
        } else {
            self.endpoint.request(self.now, request, TIMEOUT).unwrap_or_else(|error| panic!("{place}: {error}"));
        }
    }

    /// The blob of the recorded stream that `head` belongs to.
    fn whole_stream(&self, head: &Headers) -> Payload {
        let id = head.number(headers::STREAM_ID);
        let parts = messages(self.vector, self.side).filter(|message| {
            message.headers.number(headers::STREAM_ID) == id
                && message.headers.text(headers::TOPIC) == Some(channel::STREAM_DATA)
        });
        let bytes: Vec<u8> = parts.flat_map(|part| part.payload.to_vec()).collect();
        Payload { encoding: Encoding::parse(head.text(headers::STREAM_PAYLOAD_ENCODING)), bytes: bytes.into() }
    }
}

/// Stream id and offset of an acknowledgement.
fn acknowledged(head: &Headers) -> Option<(u64, u64)> {
    (head.number(headers::STREAM_DATA_TYPE) == Some(3))
        .then(|| head.number(headers::STREAM_ID).zip(head.number(headers::STREAM_OFFSET)))?
}

/// True for a message that its side sends of its own accord.
fn starts_something(message: &Message) -> bool {
    let topic = message.headers.text(headers::TOPIC);
    let answers = message.headers.text(headers::STREAM_CHANNEL) == Some(channel::RETURN_ONLY)
        || matches!(topic, Some(channel::STREAM_ACK | channel::STREAM_ERROR));
    message.kind() == Some(MessageKind::Request) && !answers
}

/// Headers that neither the cell network nor the stream layer nor the stamp put there. Without a stamp,
/// `client_name` is one of them: the register request has it.
fn is_application(name: &str, stamped: bool) -> bool {
    let lower_layers = name.starts_with("cn__") || name.starts_with("sm__");
    let stamp = stamped && STAMP.contains(&name);
    !lower_layers && !stamp
}

/// Kind, headers and payload of a frame, without what differs by nature.
fn comparable(frame: &Frame) -> (FrameKind, Vec<(String, Value)>, Bytes) {
    if frame.kind != FrameKind::Data {
        let mut hello = Hello::decode(&frame.payload);
        hello.timestamp = hello.timestamp.map(|_| 0.0);
        return (frame.kind, Vec::new(), hello.encode().into());
    }
    let message = Message::from_frame(frame).unwrap();
    let head = &message.headers;
    let is_chunk = head.text(headers::TOPIC) == Some(channel::STREAM_DATA);
    let starts = starts_something(&message);
    // The sender chooses the log level of a message that wants no reply.
    let silent = is_chunk && head.get(headers::STREAM_REQ_ID).is_none();
    let values = head.iter().map(|(name, value)| {
        let value = match name {
            headers::ROUTE => value[0][0].clone(),
            headers::SEND_TIME => Value::Nil,
            headers::STREAM_ID if is_chunk => Value::Nil,
            headers::REQ_ID | headers::STREAM_REQ_ID if starts => Value::Nil,
            headers::OPTIONAL | headers::STREAM_OPTIONAL if silent => Value::Nil,
            _ => value.clone(),
        };
        (name.to_owned(), value)
    });
    let mut values: Vec<(String, Value)> = values.collect();
    if head.text(headers::STREAM_CHANNEL) == Some("aux_communication") {
        // This layer writes some routing headers before the stream layer does.
        values.sort_by(|one, other| one.0.cmp(&other.0));
    }
    (frame.kind, values, message.payload.to_bytes())
}
