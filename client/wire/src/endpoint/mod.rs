//! One connection of a cell, without IO: frames and time go in, frames and events come out.
//!
//! Both ends use it. It exchanges HELLO and READY, answers PING, correlates requests with replies (plain and
//! streamed), cuts and assembles streams, stamps outgoing messages with the sender's authentication and asks a
//! [`Gate`] whether to admit incoming ones. Who handles which request, and what it answers, is for the layer
//! above.
//!
//! ```text
//!   receive(now, frame) ──▶ ┌──────────┐ ──▶ poll_event()
//!   request / respond   ──▶ │ Endpoint │ ──▶ next_frame(now)
//!   advance(now)        ──▶ └──────────┘ ──▶ next_deadline()
//! ```

mod exchange;
mod outbox;
mod routing;
#[cfg(test)]
mod tests;
mod types;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::cell::MessageKind;
use crate::cell::{Encoding, Headers, Hello, Message, Payload, ReturnCode, channel, headers, is_valid_endpoint_name};
use crate::error::{ProtocolError, RequestError};
use crate::frame::{Frame, FrameKind};
use crate::msgpack::Value;
use crate::stream::{self, Received, Receiver, Rejection, StreamKind, StreamSettings};
use crate::{Moment, Randomness};

pub use exchange::RequestId;
use exchange::{Correlation, Exchange};
use outbox::Outbox;
use routing::Addresses;
use types::is_served;
pub use types::{ANY_TOPIC, Answer, EndpointConfig, Event, Gate, InboundRequest, OutgoingRequest, ReplyTo, Response};

/// A side that received nothing for so long asks with a PING.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(60);

/// How long the answer to a `bye` is waited for.
pub const BYE_TIMEOUT: Duration = Duration::from_millis(500);

/// One connection of a cell.
pub struct Endpoint {
    addresses: Addresses,
    config: EndpointConfig,
    accepts: bool,
    connected: bool,
    peer: Option<String>,
    peer_left: bool,
    gate: Option<Box<dyn Gate>>,
    exchange: Exchange,
    receiver: Receiver,
    outbox: Outbox,
    events: VecDeque<Event>,
    last_received: Moment,
    last_ping: Option<Moment>,
}

impl Endpoint {
    /// The side that connects: HELLO is its first frame.
    #[must_use]
    pub fn connect(config: EndpointConfig, random: Randomness, now: Moment) -> Self {
        let mut endpoint = Self::new(config, random, now, false);
        endpoint.outbox.push_hello(FrameKind::Hello, &Hello::new(&endpoint.config.name, now));
        endpoint
    }

    /// The side that accepts: it waits for HELLO.
    #[must_use]
    pub fn accept(config: EndpointConfig, random: Randomness, now: Moment) -> Self {
        Self::new(config, random, now, true)
    }

    fn new(config: EndpointConfig, random: Randomness, now: Moment, accepts: bool) -> Self {
        Self {
            addresses: Addresses::new(&config.name),
            accepts,
            connected: false,
            peer: None,
            peer_left: false,
            gate: None,
            exchange: Exchange::new(random, now),
            receiver: Receiver::new(config.limits),
            outbox: Outbox::new(),
            events: VecDeque::new(),
            last_received: now,
            last_ping: None,
            config,
        }
    }

    /// Its endpoint name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The authentication that is stamped on every message from now on.
    pub fn set_stamp(&mut self, stamp: Headers) {
        self.addresses.stamp = stamp;
    }

    /// Who decides from now on which messages come in. Without a gate all do.
    pub fn set_gate(&mut self, gate: Box<dyn Gate>) {
        self.gate = Some(gate);
    }

    /// True while HELLO and READY were exchanged and the peer did not leave.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.connected && !self.peer_left
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next frame to be sent.
    pub fn next_frame(&mut self, now: Moment) -> Option<Bytes> {
        self.outbox.next_frame(now, &self.addresses)
    }

    /// False while so much waits to be sent that reading more would only add to it.
    #[must_use]
    pub fn accepts_input(&self) -> bool {
        self.outbox.has_room()
    }

    /// Takes the bytes of one frame.
    ///
    /// # Errors
    /// [`ProtocolError`] when it could not be used. The connection goes on all the same: the error is for a log.
    pub fn receive(&mut self, now: Moment, bytes: Bytes) -> Result<(), ProtocolError> {
        let frame = Frame::decode(bytes).map_err(ProtocolError::Frame)?;
        self.last_received = now;
        match frame.kind {
            FrameKind::Hello if self.accepts => {
                self.on_hello(now, &frame);
                Ok(())
            }
            FrameKind::Ready if !self.accepts && !self.connected => {
                let hello = Hello::decode(&frame.payload);
                self.connected = true;
                self.peer.clone_from(&hello.endpoint_name);
                self.events.push_back(Event::Connected(hello));
                Ok(())
            }
            FrameKind::Ping if self.connected => {
                self.outbox.push_heartbeat(FrameKind::Pong);
                Ok(())
            }
            FrameKind::Pong if self.connected => Ok(()),
            FrameKind::Data if self.connected => {
                let message = Message::from_frame(&frame).map_err(ProtocolError::Headers)?;
                self.on_message(now, message)
            }
            FrameKind::Data | FrameKind::Ping | FrameKind::Pong => Err(ProtocolError::BeforeHandshake),
            other => Err(ProtocolError::UnexpectedFrame(other)),
        }
    }

    /// READY answers every HELLO, also one that leads nowhere.
    fn on_hello(&mut self, now: Moment, frame: &Frame) {
        let hello = Hello::decode(&frame.payload);
        self.outbox.push_hello(FrameKind::Ready, &Hello::new(&self.config.name, now));
        let event = match hello.endpoint_name.as_deref() {
            Some(name) if !is_valid_endpoint_name(name) => Event::BadHello { hello, close: true },
            None => Event::BadHello { hello, close: false },
            Some(name) if name == self.config.name => Event::BadHello { hello, close: false },
            // The name is taken, by this very connection, which therefore has to go.
            Some(_) if self.connected => Event::BadHello { hello, close: true },
            Some(name) => {
                self.connected = true;
                self.peer = Some(name.to_owned());
                self.peer_left = false;
                Event::Connected(hello)
            }
        };
        self.events.push_back(event);
    }

    fn on_message(&mut self, now: Moment, message: Message) -> Result<(), ProtocolError> {
        let kind = message.kind().ok_or(ProtocolError::Incomplete(headers::MSG_TYPE))?;
        let head = &message.headers;
        let origin = head.text(headers::ORIGIN).ok_or(ProtocolError::Incomplete(headers::ORIGIN))?;
        let destination = head.text(headers::DESTINATION).ok_or(ProtocolError::Incomplete(headers::DESTINATION))?;
        if kind == MessageKind::Return {
            // Made by a cell on the way, which does not stamp it; it can only end a request early.
            return self.on_return(&message);
        }
        if !routing::is_exempt(head, destination == self.config.name)
            && let Some(gate) = &mut self.gate
            && !gate.admit(head)
        {
            return Err(ProtocolError::NotAdmitted);
        }
        if destination != self.config.name {
            self.send_back(&message);
            return Ok(());
        }
        match kind {
            MessageKind::Reply => self.on_reply(&message),
            MessageKind::Request if head.text(headers::CHANNEL) == Some(channel::STREAM) => {
                let origin = origin.to_owned();
                self.on_stream(now, &origin, &message)
            }
            MessageKind::Request => self.on_request(message),
            MessageKind::Return => Ok(()),
        }
    }

    fn serves(&self, channel: &str, topic: &str) -> bool {
        is_served(self.config.serves, channel, topic)
    }

    fn on_request(&mut self, message: Message) -> Result<(), ProtocolError> {
        let head = &message.headers;
        let text = |name: &'static str| head.text(name).map(str::to_owned).ok_or(ProtocolError::Incomplete(name));
        let (channel, topic, origin) = (text(headers::CHANNEL)?, text(headers::TOPIC)?, text(headers::ORIGIN)?);
        let reply_to = (head.flag(headers::REPLY_EXPECTED)).then(|| ReplyTo {
            origin: origin.clone(),
            channel: channel.clone(),
            topic: topic.clone(),
            correlation: Correlation::Plain(head.text(headers::REQ_ID).unwrap_or_default().to_owned()),
            optional: head.flag(headers::OPTIONAL),
        });
        if channel == channel::CELLNET && topic == channel::BYE {
            if let Some(reply_to) = reply_to {
                self.respond_plain(&reply_to, &Answer::payload(Payload::empty()));
            }
            self.peer_left = true;
            self.events.push_back(Event::PeerLeft);
            return Ok(());
        }
        if !self.serves(&channel, &topic) {
            if let Some(reply_to) = reply_to {
                self.outbox.push_message(self.addresses.no_callback(&reply_to));
            }
            return Ok(());
        }
        let payload = message.body();
        let request = InboundRequest { origin, channel, topic, headers: message.headers, payload, reply_to };
        self.events.push_back(Event::Request(Box::new(request)));
        Ok(())
    }

    fn on_reply(&mut self, message: &Message) -> Result<(), ProtocolError> {
        let head = &message.headers;
        let request_id = head.text(headers::REQ_ID).ok_or(ProtocolError::Incomplete(headers::REQ_ID))?;
        let origin = head.text(headers::ORIGIN).unwrap_or_default();
        let id = self.exchange.finish_plain(request_id, origin).ok_or(ProtocolError::UnknownReply)?;
        self.push_response(id, message.headers.clone(), message.body());
        Ok(())
    }

    fn on_return(&mut self, message: &Message) -> Result<(), ProtocolError> {
        let ids = match message.headers.get(headers::REQ_ID) {
            Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(id)) => id.as_str().into_iter().collect(),
            _ => Vec::new(),
        };
        let mut known = false;
        for id in ids {
            if let Some(id) = self.exchange.finish_returned(id) {
                known = true;
                self.push_response(id, message.headers.clone(), Payload::empty());
            }
        }
        if known { Ok(()) } else { Err(ProtocolError::UnknownReply) }
    }

    fn push_response(&mut self, id: RequestId, head: Headers, payload: Payload) {
        let code = head.text(headers::RETURN_CODE).map_or(ReturnCode::Ok, ReturnCode::from);
        let result = if code == ReturnCode::Ok {
            Ok(Box::new(Response { headers: head, payload }))
        } else {
            Err(RequestError::Failed { code, text: head.text(headers::ERROR).unwrap_or_default().to_owned() })
        };
        self.events.push_back(Event::Response { id, result });
    }

    /// A message for another cell that cannot be reached from here.
    fn send_back(&mut self, message: &Message) {
        if message.headers.flag(headers::REPLY_EXPECTED) {
            self.outbox.push_message(self.addresses.returned(message));
        }
    }

    fn on_stream(&mut self, now: Moment, origin: &str, message: &Message) -> Result<(), ProtocolError> {
        let head = &message.headers;
        if head.text(headers::TOPIC) == Some(channel::STREAM_DATA) {
            if self.peer_left {
                return Ok(());
            }
            let serves = self.config.serves;
            // A reply that nobody waits for any more is taken as well, or its sender would repeat it for a minute.
            let received = self.receiver.on_data(now, origin, head, &message.payload.to_bytes(), |channel, topic| {
                channel == channel::RETURN_ONLY || is_served(serves, channel, topic)
            });
            for item in received {
                self.on_received(now, origin, item);
            }
            return Ok(());
        }
        let id = head.number(headers::STREAM_ID).ok_or(ProtocolError::Incomplete(headers::STREAM_ID))?;
        match head.number(headers::STREAM_DATA_TYPE).and_then(StreamKind::from_code) {
            Some(StreamKind::Ack) => {
                let sequence = head.number(headers::STREAM_SEQUENCE).unwrap_or(0);
                let offset = head.number(headers::STREAM_OFFSET).unwrap_or(0);
                if let Some(request_id) = self.outbox.acknowledge(now, id, sequence, offset) {
                    self.exchange.progress(now, &request_id);
                }
                Ok(())
            }
            Some(StreamKind::Error) => {
                let text = head.text(headers::STREAM_ERROR).unwrap_or_default().to_owned();
                if let Some(request_id) = self.outbox.fail(id).or_else(|| request_id_of(head)) {
                    self.fail_streamed(&request_id, &stream::StreamError::Refused { text });
                }
                Ok(())
            }
            _ => Err(ProtocolError::Incomplete(headers::STREAM_DATA_TYPE)),
        }
    }

    fn on_received(&mut self, now: Moment, origin: &str, item: Received) {
        match item {
            Received::Ack { id, sequence, offset, optional } => {
                self.outbox.push_message(self.addresses.ack(origin, id, sequence, offset, optional));
            }
            Received::Reject(rejection) => self.reject(origin, &rejection),
            Received::Progress { request_id } => {
                if let Some(request_id) = request_id {
                    self.exchange.receiving(now, &request_id);
                }
            }
            Received::Failed { request_id, error } => {
                if let Some(request_id) = request_id {
                    self.fail_streamed(&request_id, &error);
                }
            }
            Received::Complete(blob) => {
                let stream::Assembled { origin, channel, topic, request_id, headers: head, payload, .. } = *blob;
                if channel == channel::RETURN_ONLY {
                    let id = request_id.and_then(|request_id| self.exchange.finish_streamed(&request_id, &origin));
                    if let Some(id) = id {
                        self.push_response(id, head, payload);
                    }
                    return;
                }
                let reply_to = request_id.map(|request_id| ReplyTo {
                    origin: origin.clone(),
                    channel: channel.clone(),
                    topic: topic.clone(),
                    correlation: Correlation::Streamed(request_id),
                    optional: head.flag(headers::OPTIONAL),
                });
                let request = InboundRequest { origin, channel, topic, headers: head, payload, reply_to };
                self.events.push_back(Event::Request(Box::new(request)));
            }
        }
    }

    /// A refusal goes out twice: 2.9 senders listen on one topic, older ones on the other.
    fn reject(&mut self, origin: &str, rejection: &Rejection) {
        for topic in [channel::STREAM_ERROR, channel::STREAM_ACK] {
            self.outbox.push_message(self.addresses.rejection(origin, topic, rejection));
        }
    }

    fn fail_streamed(&mut self, request_id: &str, error: &stream::StreamError) {
        if let Some(id) = self.exchange.abandon_streamed(request_id) {
            self.events.push_back(Event::Response { id, result: Err(RequestError::Stream(error.clone())) });
        }
    }

    /// Sends a request. Its outcome comes as [`Event::Response`]; `timeout` starts again whenever a part of the
    /// request or of its reply moves.
    ///
    /// # Errors
    /// [`RequestError::TooManyRequests`], [`RequestError::Disconnected`].
    pub fn request(
        &mut self,
        now: Moment,
        request: OutgoingRequest,
        timeout: Duration,
    ) -> Result<RequestId, RequestError> {
        if !self.is_connected() {
            return Err(RequestError::Disconnected);
        }
        if request.streamed {
            let (id, request_id) = self.exchange.begin_streamed(now, &request.destination, timeout)?;
            self.start_stream(now, request, Some(request_id), stream::Sender::new, self.config.request_stream);
            Ok(id)
        } else {
            let (id, request_id) = self.exchange.begin_plain(now, &request.destination, timeout)?;
            self.outbox.push_message(self.addresses.request(&request, &request_id));
            Ok(id)
        }
    }

    /// Sends a streamed request but for its last chunk, which waits for [`release`](Self::release): the peer does not act on
    /// it before. The time of the request runs from there.
    ///
    /// # Errors
    /// As [`Endpoint::request`].
    pub fn hold(
        &mut self,
        now: Moment,
        request: OutgoingRequest,
        timeout: Duration,
    ) -> Result<RequestId, RequestError> {
        if !self.is_connected() {
            return Err(RequestError::Disconnected);
        }
        let (id, request_id) = self.exchange.begin_streamed(now, &request.destination, timeout)?;
        self.exchange.hold(id);
        self.start_stream(now, request, Some(request_id), stream::Sender::held, self.config.request_stream);
        Ok(id)
    }

    /// Sends the rest of a request that was held.
    pub fn release(&mut self, now: Moment, id: RequestId) {
        if let Some(request_id) = self.exchange.release(now, id) {
            self.outbox.release(request_id);
        }
    }

    /// Sends a streamed message that wants no reply.
    pub fn notify(&mut self, now: Moment, request: OutgoingRequest) {
        if self.is_connected() {
            self.start_stream(now, request, None, stream::Sender::new, self.config.request_stream);
        }
    }

    fn start_stream(
        &mut self,
        now: Moment,
        request: OutgoingRequest,
        request_id: Option<String>,
        begin: impl FnOnce(stream::Outgoing, StreamSettings, Moment) -> stream::Sender,
        settings: StreamSettings,
    ) {
        let outgoing = stream::Outgoing {
            id: self.exchange.next_stream_id(),
            channel: request.channel,
            topic: request.topic,
            request_id,
            headers: request.headers,
            payload: request.payload,
        };
        self.outbox.push_stream(begin(outgoing, settings, now), &request.destination);
    }

    /// Answers a request that came in, the way it came.
    pub fn respond(&mut self, now: Moment, reply_to: &ReplyTo, answer: Answer) {
        match &reply_to.correlation {
            Correlation::Plain(_) => self.respond_plain(reply_to, &answer),
            Correlation::Streamed(request_id) => {
                if self.peer_left {
                    return;
                }
                // A streamed reply is a new message of its own, hence the kind `req` and the empty id.
                let mut head = Headers::new();
                if let Some(code) = &answer.return_code {
                    head.set(headers::RETURN_CODE, code.as_str());
                }
                if let Some(error) = &answer.error {
                    head.set(headers::ERROR, error.as_str());
                }
                head.set(headers::REQ_ID, "");
                head.set(headers::MSG_TYPE, MessageKind::Request.as_str());
                head.set(headers::STREAM_REQ_ID, request_id.as_str());
                let mut payload = answer.payload;
                if payload.bytes.is_empty() {
                    payload.encoding = Encoding::None;
                }
                let reply = OutgoingRequest {
                    destination: reply_to.origin.clone(),
                    channel: channel::RETURN_ONLY.to_owned(),
                    topic: format!("{}:{}", reply_to.channel, reply_to.topic),
                    headers: head,
                    payload,
                    streamed: true,
                };
                self.start_stream(now, reply, Some(request_id.clone()), stream::Sender::new, self.config.reply_stream);
            }
        }
    }

    fn respond_plain(&mut self, reply_to: &ReplyTo, answer: &Answer) {
        self.outbox.push_message(self.addresses.reply(reply_to, answer));
    }

    /// Tells the peer that this cell leaves; the outcome comes as [`Event::Response`].
    ///
    /// # Errors
    /// As [`Endpoint::request`].
    pub fn bye(&mut self, now: Moment) -> Result<RequestId, RequestError> {
        let mut request = OutgoingRequest::plain(channel::CELLNET, channel::BYE);
        if let Some(peer) = &self.peer {
            request.destination.clone_from(peer);
        }
        self.request(now, request, BYE_TIMEOUT)
    }

    /// Forgets a request whose caller went away; a reply that comes later is dropped. One that is held is never completed,
    /// and its receiver is told.
    pub fn cancel(&mut self, id: RequestId) {
        if let Some(request_id) = self.exchange.cancel(id) {
            self.outbox.abort(&request_id, &self.addresses);
        }
    }

    /// The connection is gone: every request under way ends.
    pub fn disconnect(&mut self) {
        self.connected = false;
        for id in self.exchange.drain() {
            self.events.push_back(Event::Response { id, result: Err(RequestError::Disconnected) });
        }
    }

    /// When [`Endpoint::advance`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        let heartbeat = self.connected.then(|| self.heartbeat_due());
        [self.exchange.next_deadline(), self.receiver.next_deadline(), self.outbox.next_deadline(), heartbeat]
            .into_iter()
            .flatten()
            .min()
    }

    fn heartbeat_due(&self) -> Moment {
        self.last_ping.map_or(self.last_received, |ping| ping.max(self.last_received)) + HEARTBEAT_INTERVAL
    }

    /// Does what is due: time-outs, repeats, heartbeats.
    pub fn advance(&mut self, now: Moment) {
        for (id, error) in self.exchange.expire(now, &self.outbox) {
            self.events.push_back(Event::Response { id, result: Err(error) });
        }
        for item in self.receiver.advance(now) {
            if let Received::Failed { request_id: Some(request_id), error } = item {
                self.fail_streamed(&request_id, &error);
            }
        }
        for (request_id, error) in self.outbox.advance(now, &self.addresses) {
            self.fail_streamed(&request_id, &error);
        }
        if self.connected && now >= self.heartbeat_due() {
            self.last_ping = Some(now);
            self.outbox.push_heartbeat(FrameKind::Ping);
        }
    }
}

fn request_id_of(head: &Headers) -> Option<String> {
    head.text(headers::STREAM_REQ_ID).map(str::to_owned)
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.config.name)
            .field("connected", &self.connected)
            .field("peer_left", &self.peer_left)
            .finish_non_exhaustive()
    }
}
