//! One raw endpoint: HELLO, frames and cell messages, sent one by one.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use flare_wire::cell::{Encoding, Headers, Hello, Message, MessageKind, Payload, SERVER, channel, headers};
use flare_wire::frame::{Frame, FrameKind};
use flare_wire::{Moment, Randomness};
use tokio::time::timeout;

use super::{Identity, PATIENCE, Received, Wire};
use crate::kits::ServerAddress;
use crate::report::Direction;
use crate::scope::Tap;
use crate::{CaseResult, Finding};

/// A chunk of a stream (`sm__dt`).
pub(crate) const CHUNK: u64 = 1;
/// The last chunk of a stream.
pub(crate) const FINAL: u64 = 2;
/// Progress of the receiver.
const ACK: u64 = 3;

/// What a peer received.
#[derive(Debug, Clone)]
pub(crate) enum Incoming {
    /// A cell message.
    Message(Message),
    /// A frame of another kind.
    Frame(Frame),
}

impl Incoming {
    /// The cell message, if it is one.
    pub(crate) fn message(&self) -> Option<&Message> {
        match self {
            Self::Message(message) => Some(message),
            Self::Frame(_) => None,
        }
    }

    /// True for a frame of this kind.
    pub(crate) fn is_frame(&self, kind: FrameKind) -> bool {
        matches!(self, Self::Frame(frame) if frame.kind == kind)
    }
}

/// A request of a case, as a stream: what `sm__ch`, `sm__tp` and `sm__pe` say, and the blob.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    /// Application channel.
    pub(crate) channel: String,
    /// Application topic.
    pub(crate) topic: String,
    /// Stream id.
    pub(crate) id: u64,
    /// Request id, when a reply is wanted.
    pub(crate) request: Option<String>,
    /// The blob.
    pub(crate) payload: Payload,
}

/// A connection that ended before anything came through it.
fn unopened(may_be_spoilt: bool, message: String) -> Finding {
    if may_be_spoilt { Finding::indeterminate(message) } else { Finding::fail(message) }
}

/// The scheme on which a real server ends a connection that it is done with only when the next frame comes in: it marks it
/// as closed, and the thread that reads the call looks at the mark when it has something to read (seen on 2.9.0; what is
/// sent to the peer meanwhile gets lost).
const ENDS_LATE: &str = "grpc";

/// How long the end of such a connection is waited for before it is nudged again.
const NUDGE: Duration = Duration::from_millis(200);

/// A raw endpoint on one connection.
pub(crate) struct Peer {
    wire: Wire,
    name: String,
    random: Randomness,
    stamp: Headers,
    inbox: VecDeque<Incoming>,
    sequence: u16,
    next_stream: u64,
    acknowledges: bool,
    may_be_spoilt: bool,
    ends_late: bool,
    tap: Tap,
}

/// The scheme on which a real server can spoil a connection that it has just accepted: it closes sockets while other
/// threads still write to them, and what they write then lands on the next connection, which gets the freed descriptor
/// (seen on 2.9.0 on about one of two hundred new connections while others were being closed: TLS records that nobody
/// can decrypt, or the end of the connection before READY). Says nothing about what a case asks.
const SPOILS_CONNECTIONS: &str = "tcp";

impl Peer {
    /// Connects as a new admin endpoint, and waits until the server works with it.
    pub(crate) async fn connect(server: &ServerAddress, identity: &Identity) -> CaseResult<Self> {
        let mut peer = Self::open(server, identity).await?;
        peer.say_hello().await?;
        peer.established().await?;
        Ok(peer)
    }

    /// Connects, and sends nothing.
    pub(crate) async fn open(server: &ServerAddress, identity: &Identity) -> CaseResult<Self> {
        let opened = timeout(PATIENCE, Wire::open(server, Some(identity))).await;
        let may_be_spoilt = server.scheme == SPOILS_CONNECTIONS;
        let wire = opened
            .map_err(|_| Finding::fail(format!("no connection within {} s", PATIENCE.as_secs())))?
            .map_err(|error| unopened(may_be_spoilt, format!("cannot connect: {error}")))?;
        let mut random = super::randomness()?;
        let name = format!("_admin_{}", random.uuid());
        let next_stream = random.number() >> 2;
        Ok(Self {
            wire,
            name,
            random,
            stamp: Headers::new(),
            inbox: VecDeque::new(),
            sequence: 0,
            next_stream,
            acknowledges: true,
            may_be_spoilt,
            ends_late: server.scheme == ENDS_LATE,
            tap: Tap::new("raw endpoint"),
        })
    }

    /// The endpoint's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Takes another endpoint name than the random one.
    pub(crate) fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    /// Source of ids and nonces.
    pub(crate) fn random(&mut self) -> &mut Randomness {
        &mut self.random
    }

    /// Headers set on every message from now on.
    pub(crate) fn set_stamp(&mut self, stamp: Headers) {
        self.stamp = stamp;
    }

    /// From now on streams that come in are not acknowledged.
    pub(crate) fn stop_acknowledging(&mut self) {
        self.acknowledges = false;
    }

    /// Sends HELLO under this peer's name and waits for READY.
    pub(crate) async fn say_hello(&mut self) -> CaseResult<Frame> {
        self.send_hello().await?;
        self.ready().await
    }

    /// Says HELLO and waits until the server closes the connection. READY may come before that and need not: a real
    /// server hands it to its connection and closes that at once, without waiting until it has been sent.
    pub(crate) async fn is_turned_away(&mut self) -> CaseResult {
        self.send_hello().await?;
        self.closed().await?;
        match self
            .inbox()
            .find(|incoming| ![FrameKind::Ready, FrameKind::Pong].iter().any(|kind| incoming.is_frame(*kind)))
        {
            None => Ok(()),
            Some(other) => Err(Finding::fail(format!("the server answered an endpoint it turns away: {other:?}"))),
        }
    }

    /// Waits until the server works with this endpoint. A real server says READY before it has entered the endpoint,
    /// and drops frames that overtake that; only from then on it answers PING.
    pub(crate) async fn established(&mut self) -> CaseResult {
        const BETWEEN_PINGS: Duration = Duration::from_millis(50);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.send_ping().await?;
            if let Ok(pong) = timeout(BETWEEN_PINGS, self.pong()).await {
                return pong.map(drop);
            }
        }
        Err(Finding::fail(format!("PONG did not come within {} s of READY", PATIENCE.as_secs())))
    }

    /// Sends HELLO under this peer's name.
    pub(crate) async fn send_hello(&mut self) -> CaseResult {
        let hello = Hello::new(&self.name, now()).encode();
        self.send_frame(FrameKind::Hello, 1, Bytes::new(), hello.into()).await
    }

    /// Waits for READY.
    pub(crate) async fn ready(&mut self) -> CaseResult<Frame> {
        match self.wait_for("READY", |incoming| incoming.is_frame(FrameKind::Ready)).await? {
            Incoming::Frame(frame) => Ok(frame),
            Incoming::Message(_) => Err(Finding::harness("a message is no frame")),
        }
    }

    /// Sends a frame of any kind.
    pub(crate) async fn send_frame(
        &mut self,
        kind: FrameKind,
        stream_id: u16,
        headers: Bytes,
        payload: Bytes,
    ) -> CaseResult {
        self.sequence = self.sequence.wrapping_add(1);
        let app_id = u16::from(kind == FrameKind::Data);
        let sequence = self.sequence;
        let frame = Frame { kind, reserved: 0, flags: 0, app_id, stream_id, sequence, headers, payload };
        let bytes = frame.encode().map_err(|error| Finding::harness(error.to_string()))?;
        self.tap.frame(Direction::Sent, &frame);
        self.write(bytes).await
    }

    /// Sends bytes as they are.
    pub(crate) async fn send_bytes(&mut self, bytes: Bytes) -> CaseResult {
        self.tap.line(Direction::Sent, format!("{} bytes as they are", bytes.len()));
        self.write(bytes).await
    }

    async fn write(&mut self, bytes: Bytes) -> CaseResult {
        match timeout(PATIENCE, self.wire.send(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Finding::fail(format!("cannot send: {error}"))),
            Err(_) => Err(Finding::fail("the server does not take what is sent")),
        }
    }

    /// Sends a WebSocket text message.
    pub(crate) async fn send_text(&mut self, text: &str) -> CaseResult {
        self.wire.send_text(text).await.map_err(|error| Finding::fail(format!("cannot send: {error}")))
    }

    /// Sends a cell message with exactly these headers.
    pub(crate) async fn send_message(&mut self, headers: &Headers, payload: Bytes) -> CaseResult {
        self.send_frame(FrameKind::Data, 17, headers.encode().into(), payload).await
    }

    /// Headers of a plain request to the server, stamped, and its id.
    pub(crate) fn request_headers(&mut self, channel: &str, topic: &str) -> (Headers, String) {
        let id = self.random.uuid();
        let mut request = Headers::new()
            .with(headers::ORIGIN, self.name.as_str())
            .with(headers::DESTINATION, SERVER)
            .with(headers::MSG_TYPE, MessageKind::Request.as_str())
            .with(headers::CHANNEL, channel)
            .with(headers::TOPIC, topic)
            .with(headers::REQ_ID, id.as_str())
            .with(headers::REPLY_EXPECTED, true);
        request.extend(&self.stamp);
        (request, id)
    }

    /// Sends a plain request and gives its id.
    pub(crate) async fn send_request(
        &mut self,
        channel: &str,
        topic: &str,
        extra: &Headers,
        payload: &Payload,
    ) -> CaseResult<String> {
        let (mut request, id) = self.request_headers(channel, topic);
        if payload.encoding != Encoding::None {
            request.set(headers::PAYLOAD_ENCODING, payload.encoding.as_str());
        }
        request.extend(extra);
        self.send_message(&request, payload.bytes.to_bytes()).await?;
        Ok(id)
    }

    /// Sends a plain request and waits for its reply.
    pub(crate) async fn request(
        &mut self,
        channel: &str,
        topic: &str,
        extra: &Headers,
        payload: &Payload,
    ) -> CaseResult<Message> {
        let id = self.send_request(channel, topic, extra, payload).await?;
        self.reply(&id).await.map_err(|finding| finding.during(&format!("request {channel}/{topic}")))
    }

    /// Waits for the reply to the plain request with this id.
    pub(crate) async fn reply(&mut self, id: &str) -> CaseResult<Message> {
        self.wait_for_message("a reply", |message| {
            message.kind() == Some(MessageKind::Reply) && message.headers.text(headers::REQ_ID) == Some(id)
        })
        .await
    }

    /// A stream that asks for a reply.
    pub(crate) fn stream(&mut self, channel: &str, topic: &str, payload: Payload) -> Stream {
        self.next_stream += 1;
        Stream {
            channel: channel.to_owned(),
            topic: topic.to_owned(),
            id: self.next_stream,
            request: Some(self.random.uuid()),
            payload,
        }
    }

    /// Headers of one chunk of `stream`: the smallest set that works (`wire-protocol.md` sections 3.1 and 4.2),
    /// stamped.
    pub(crate) fn chunk_headers(&self, stream: &Stream, sequence: u64, offset: usize, last: bool) -> Headers {
        let mut chunk = Headers::new()
            .with(headers::ORIGIN, self.name.as_str())
            .with(headers::DESTINATION, SERVER)
            .with(headers::MSG_TYPE, MessageKind::Request.as_str())
            .with(headers::CHANNEL, channel::STREAM)
            .with(headers::TOPIC, channel::STREAM_DATA)
            .with(headers::REPLY_EXPECTED, false)
            .with(headers::PAYLOAD_ENCODING, Encoding::Bytes.as_str())
            .with(headers::STREAM_ID, stream.id)
            .with(headers::STREAM_DATA_TYPE, if last { FINAL } else { CHUNK })
            .with(headers::STREAM_SEQUENCE, sequence)
            .with(headers::STREAM_OFFSET, offset as u64)
            .with(headers::STREAM_SIZE, stream.payload.bytes.len() as u64)
            .with(headers::STREAM_CHANNEL, stream.channel.as_str())
            .with(headers::STREAM_TOPIC, stream.topic.as_str())
            .with(headers::STREAM_PAYLOAD_ENCODING, stream.payload.encoding.as_str());
        if let Some(request) = &stream.request {
            chunk.set(headers::STREAM_REQ_ID, request.as_str());
        }
        chunk.extend(&self.stamp);
        chunk
    }

    /// The chunks of `stream` in pieces of `size` bytes: headers and payload of each message.
    pub(crate) fn chunks(&self, stream: &Stream, size: usize) -> Vec<(Headers, Bytes)> {
        let blob = stream.payload.bytes.to_bytes();
        let pieces = blob.len().div_ceil(size).max(1);
        (0..pieces)
            .map(|index| {
                let from = index * size;
                let to = (from + size).min(blob.len());
                let chunk = self.chunk_headers(stream, index as u64, from, index + 1 == pieces);
                (chunk, blob.slice(from..to))
            })
            .collect()
    }

    /// Sends a whole stream in one chunk.
    pub(crate) async fn send_stream(&mut self, stream: &Stream, extra: &Headers) -> CaseResult {
        for (mut chunk, payload) in self.chunks(stream, usize::MAX / 2) {
            chunk.extend(extra);
            self.send_message(&chunk, payload).await?;
        }
        Ok(())
    }

    /// Waits for the streamed reply to `stream` (one or several chunks) and gives the message of its last chunk,
    /// its payload replaced by the whole blob.
    pub(crate) async fn streamed_reply(&mut self, stream: &Stream) -> CaseResult<Message> {
        let request = stream.request.clone().unwrap_or_default();
        let mut blob = Vec::new();
        let mut next = 0;
        loop {
            let chunk = self
                .wait_for_message("a chunk of the reply", |message| {
                    is_topic(message, channel::STREAM_DATA)
                        && message.headers.text(headers::STREAM_REQ_ID) == Some(&request)
                        && message.headers.number(headers::STREAM_SEQUENCE) == Some(next)
                })
                .await?;
            next += 1;
            blob.extend_from_slice(&chunk.payload.to_bytes());
            if chunk.headers.number(headers::STREAM_DATA_TYPE) == Some(FINAL) {
                return Ok(Message { payload: blob.into(), ..chunk });
            }
        }
    }

    /// Waits for the acknowledgement of `stream` that covers `bytes`.
    pub(crate) async fn acknowledgement(&mut self, stream: &Stream, bytes: usize) -> CaseResult<Message> {
        let id = stream.id;
        self.wait_for_message("an acknowledgement", |message| {
            is_topic(message, channel::STREAM_ACK)
                && message.headers.number(headers::STREAM_ID) == Some(id)
                && message.headers.number(headers::STREAM_DATA_TYPE) == Some(ACK)
                && message.headers.number(headers::STREAM_OFFSET) == Some(bytes as u64)
        })
        .await
    }

    /// Waits for a cell message that `wanted` accepts.
    pub(crate) async fn wait_for_message(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&Message) -> bool,
    ) -> CaseResult<Message> {
        match self.wait_for(what, |incoming| incoming.message().is_some_and(&mut wanted)).await? {
            Incoming::Message(message) => Ok(message),
            Incoming::Frame(_) => Err(Finding::harness("a frame is no message")),
        }
    }

    /// Waits for what `wanted` accepts; everything else stays in the inbox.
    pub(crate) async fn wait_for(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&Incoming) -> bool,
    ) -> CaseResult<Incoming> {
        if let Some(index) = self.inbox.iter().position(&mut wanted) {
            return Ok(self.inbox.remove(index).expect("the position was just found"));
        }
        let waited = timeout(PATIENCE, async {
            loop {
                match self.receive().await? {
                    None => {
                        let message = format!("the server closed the connection instead of {what}");
                        return Err(unopened(self.may_be_spoilt, message));
                    }
                    Some(incoming) => {
                        self.may_be_spoilt = false;
                        if wanted(&incoming) {
                            return Ok(incoming);
                        }
                        self.inbox.push_back(incoming);
                    }
                }
            }
        });
        match waited.await {
            Ok(found) => found,
            Err(_) => Err(Finding::fail(format!("{what} did not come within {} s", PATIENCE.as_secs()))),
        }
    }

    /// Waits until the server closes the connection.
    pub(crate) async fn closed(&mut self) -> CaseResult {
        let nudge = if self.ends_late { NUDGE } else { PATIENCE };
        let waited = timeout(PATIENCE, async {
            loop {
                if self.ends_late {
                    // What has ended takes nothing more, and that is what is waited for.
                    let _ = self.send_ping().await;
                }
                if let Ok(received) = timeout(nudge, self.receive()).await {
                    let Some(incoming) = received? else { return Ok(()) };
                    self.inbox.push_back(incoming);
                }
            }
        });
        waited.await.unwrap_or_else(|_| {
            Err(Finding::fail(format!("the server did not close the connection within {} s", PATIENCE.as_secs())))
        })
    }

    /// What has been received and not been waited for.
    pub(crate) fn inbox(&self) -> impl Iterator<Item = &Incoming> {
        self.inbox.iter()
    }

    /// Something that has come and not been waited for. PONGs do not count: several PINGs may have been sent until the
    /// first was answered.
    pub(crate) fn leftover(&self) -> Option<&Incoming> {
        self.inbox.iter().find(|incoming| !incoming.is_frame(FrameKind::Pong))
    }

    /// Shows that the connection still works and that the server had time to react to what was sent before: a few
    /// round trips of PING, which a server answers at once. No sleeping: the proof of silence is that later
    /// requests were answered.
    pub(crate) async fn settle(&mut self) -> CaseResult {
        const ROUND_TRIPS: usize = 5;
        for _ in 0..ROUND_TRIPS {
            self.ping().await?;
        }
        Ok(())
    }

    /// Sends PING and waits for PONG.
    pub(crate) async fn ping(&mut self) -> CaseResult<Frame> {
        self.send_ping().await?;
        self.pong().await
    }

    async fn send_ping(&mut self) -> CaseResult {
        self.send_frame(FrameKind::Ping, 17, Bytes::new(), Bytes::from_static(&[0xc0])).await
    }

    async fn pong(&mut self) -> CaseResult<Frame> {
        match self.wait_for("PONG", |incoming| incoming.is_frame(FrameKind::Pong)).await? {
            Incoming::Frame(frame) => Ok(frame),
            Incoming::Message(_) => Err(Finding::harness("a message is no frame")),
        }
    }

    /// The next frame or message; `None` at the end. Chunks are acknowledged and requests of other admins'
    /// diagnostics are left alone.
    async fn receive(&mut self) -> CaseResult<Option<Incoming>> {
        let bytes = match self.wire.receive().await {
            Received::Frame(bytes) => bytes,
            Received::Closed => {
                self.tap.line(Direction::Event, "the server closed the connection");
                return Ok(None);
            }
        };
        let frame =
            Frame::decode(bytes).map_err(|error| Finding::fail(format!("the server sent a bad frame: {error}")))?;
        self.tap.frame(Direction::Received, &frame);
        if frame.kind != FrameKind::Data {
            return Ok(Some(Incoming::Frame(frame)));
        }
        let message = Message::from_frame(&frame)
            .map_err(|error| Finding::fail(format!("the server sent bad headers: {error}")))?;
        if self.acknowledges && is_topic(&message, channel::STREAM_DATA) {
            self.acknowledge(&message).await?;
        }
        Ok(Some(Incoming::Message(message)))
    }

    /// Acknowledges a chunk, all before it being taken as received: the server's replies come in order.
    async fn acknowledge(&mut self, chunk: &Message) -> CaseResult {
        let number = |name| chunk.headers.number(name).unwrap_or_default();
        let mut ack = Headers::new()
            .with(headers::ORIGIN, self.name.as_str())
            .with(headers::DESTINATION, SERVER)
            .with(headers::MSG_TYPE, MessageKind::Request.as_str())
            .with(headers::CHANNEL, channel::STREAM)
            .with(headers::TOPIC, channel::STREAM_ACK)
            .with(headers::REPLY_EXPECTED, false)
            .with(headers::STREAM_ID, number(headers::STREAM_ID))
            .with(headers::STREAM_DATA_TYPE, ACK)
            .with(headers::STREAM_SEQUENCE, number(headers::STREAM_SEQUENCE))
            .with(headers::STREAM_OFFSET, number(headers::STREAM_OFFSET) + chunk.payload.len() as u64);
        ack.extend(&self.stamp);
        self.send_message(&ack, Bytes::new()).await
    }
}

/// True for a stream message with this topic.
pub(crate) fn is_topic(message: &Message, topic: &str) -> bool {
    message.headers.text(headers::CHANNEL) == Some(channel::STREAM)
        && message.headers.text(headers::TOPIC) == Some(topic)
}

/// The wall clock, for timestamps that nobody checks.
fn now() -> Moment {
    Moment::from_unix(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
