//! The routing headers around every message, in the order real cells write them.

use super::exchange::Correlation;
use super::{Answer, OutgoingRequest, ReplyTo};
use crate::cell::{Encoding, Headers, Message, MessageKind, Payload, ReturnCode, channel, headers};
use crate::msgpack::Value;
use crate::stream::{Chunk, Rejection, StreamKind};
use crate::{Moment, Segments};

/// Who this cell is, and its authentication.
pub(super) struct Addresses {
    name: String,
    pub(super) stamp: Headers,
}

/// True for the messages that need no authentication: there is none yet, or the sender leaves.
pub(super) fn is_exempt(head: &Headers, for_this_cell: bool) -> bool {
    match (head.text(headers::CHANNEL), head.text(headers::TOPIC)) {
        (Some(channel::TASK), Some(channel::CHALLENGE | channel::REGISTER)) => true,
        (Some(channel::CELLNET), Some(channel::BYE)) => for_this_cell,
        _ => false,
    }
}

impl Addresses {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), stamp: Headers::new() }
    }

    /// What is added when the frame is made: the time of sending.
    pub(super) fn finish(&self, now: Moment, message: &mut Message) {
        let route = Value::Array(vec![Value::Array(vec![self.name.as_str().into(), now.as_secs_f64().into()])]);
        message.headers.set(headers::ROUTE, route);
        message.headers.set(headers::SEND_TIME, now.as_secs_f64());
    }

    /// A place for the route, the stamp, and the payload's encoding and length.
    fn seal(&self, mut head: Headers, payload: Payload) -> Message {
        head.set(headers::ROUTE, Value::Nil);
        head.extend(&self.stamp);
        let encoding = if payload.bytes.is_empty() { Encoding::None } else { payload.encoding };
        head.set(headers::PAYLOAD_ENCODING, encoding.as_str());
        head.set(headers::PAYLOAD_LEN, payload.bytes.len() as u64);
        Message { headers: head, payload: payload.bytes }
    }

    fn hop(&self, head: &mut Headers, peer: &str) {
        head.set(headers::FROM, self.name.as_str());
        head.set(headers::TO, peer);
        head.set(headers::ORIGIN, self.name.as_str());
    }

    pub(super) fn request(&self, request: &OutgoingRequest, request_id: &str) -> Message {
        let mut head = request.headers.clone();
        head.set(headers::TOPIC, request.topic.as_str());
        head.set(headers::CHANNEL, request.channel.as_str());
        head.set(headers::DESTINATION, request.destination.as_str());
        head.set(headers::REQ_ID, request_id);
        head.set(headers::REPLY_EXPECTED, true);
        head.set(headers::SECURE, false);
        head.set(headers::OPTIONAL, true);
        self.hop(&mut head, &request.destination);
        head.set(headers::MSG_TYPE, MessageKind::Request.as_str());
        self.seal(head, request.payload.clone())
    }

    /// The answer of a handler. A return code that the handler did not give is added behind what it gave.
    pub(super) fn reply(&self, reply_to: &ReplyTo, answer: &Answer) -> Message {
        let mut head = Headers::new();
        if let Some(code) = &answer.return_code {
            head.set(headers::RETURN_CODE, code.as_str());
        }
        if let Some(error) = &answer.error {
            head.set(headers::ERROR, error.as_str());
        }
        head.set(headers::SECURE, false);
        head.set(headers::OPTIONAL, reply_to.optional);
        if answer.return_code.is_none() {
            head.set(headers::RETURN_CODE, ReturnCode::Ok.as_str());
        }
        self.reply_with(head, reply_to, answer.payload.clone())
    }

    /// The answer of a cell without a handler for the request.
    pub(super) fn no_callback(&self, reply_to: &ReplyTo) -> Message {
        let head = Headers::new()
            .with(headers::RETURN_CODE, ReturnCode::ProcessException.as_str())
            .with(headers::ERROR, "no callback")
            .with(headers::OPTIONAL, reply_to.optional);
        self.reply_with(head, reply_to, Payload::empty())
    }

    fn reply_with(&self, mut head: Headers, reply_to: &ReplyTo, payload: Payload) -> Message {
        let (Correlation::Plain(request_id) | Correlation::Streamed(request_id)) = &reply_to.correlation;
        head.set(headers::CHANNEL, reply_to.channel.as_str());
        head.set(headers::TOPIC, reply_to.topic.as_str());
        self.hop(&mut head, &reply_to.origin);
        head.set(headers::DESTINATION, reply_to.origin.as_str());
        head.set(headers::REQ_ID, request_id.as_str());
        head.set(headers::MSG_TYPE, MessageKind::Reply.as_str());
        self.seal(head, payload)
    }

    /// A message that cannot be delivered goes back to its author, without a stamp.
    pub(super) fn returned(&self, message: &Message) -> Message {
        let text = |name| message.headers.text(name).unwrap_or_default();
        let origin = text(headers::ORIGIN);
        let mut head = Headers::new()
            .with(headers::RETURN_CODE, ReturnCode::CommError.as_str())
            .with(headers::ERROR, "cannot forward")
            .with(headers::ORIGINAL_HEADERS, message.headers.to_value());
        self.hop(&mut head, origin);
        head.set(headers::DESTINATION, origin);
        head.set(headers::REQ_ID, Value::Array(vec![text(headers::REQ_ID).into()]));
        head.set(headers::MSG_TYPE, MessageKind::Return.as_str());
        head.set(headers::ROUTE, Value::Nil);
        head.set(headers::RETURN_REASON, "cant_forward");
        head.set(headers::PAYLOAD_ENCODING, Encoding::None.as_str());
        head.set(headers::PAYLOAD_LEN, 0);
        Message { headers: head, payload: Segments::new() }
    }

    fn stream_message(&self, mut head: Headers, destination: &str, topic: &str, optional: bool) -> Headers {
        head.set(headers::REPLY_EXPECTED, false);
        head.set(headers::OPTIONAL, optional);
        head.set(headers::SECURE, false);
        head.set(headers::TOPIC, topic);
        head.set(headers::CHANNEL, channel::STREAM);
        head.set(headers::DESTINATION, destination);
        self.hop(&mut head, destination);
        head.set(headers::MSG_TYPE, MessageKind::Request.as_str());
        head
    }

    pub(super) fn chunk(&self, destination: &str, chunk: Chunk) -> Message {
        let optional = chunk.headers.flag(headers::STREAM_OPTIONAL);
        let head = self.stream_message(chunk.headers, destination, channel::STREAM_DATA, optional);
        self.seal(head, Payload { encoding: Encoding::Bytes, bytes: chunk.payload })
    }

    pub(super) fn ack(&self, destination: &str, id: u64, sequence: u64, offset: u64, optional: bool) -> Message {
        let head = Headers::new()
            .with(headers::STREAM_ID, id)
            .with(headers::STREAM_DATA_TYPE, StreamKind::Ack.code())
            .with(headers::STREAM_OFFSET, offset)
            .with(headers::STREAM_SEQUENCE, sequence);
        self.seal(self.stream_message(head, destination, channel::STREAM_ACK, optional), Payload::empty())
    }

    pub(super) fn rejection(&self, destination: &str, topic: &str, rejection: &Rejection) -> Message {
        let mut head = Headers::new()
            .with(headers::STREAM_ID, rejection.id)
            .with(headers::STREAM_DATA_TYPE, StreamKind::Error.code())
            .with(headers::STREAM_ERROR, rejection.text.as_str())
            .with(headers::STREAM_CHANNEL, rejection.channel.as_str())
            .with(headers::STREAM_TOPIC, rejection.topic.as_str())
            .with(headers::STREAM_ERROR_TYPE, rejection.error_type);
        if let Some(request_id) = &rejection.request_id {
            head.set(headers::STREAM_REQ_ID, request_id.as_str());
        }
        self.seal(self.stream_message(head, destination, topic, false), Payload::empty())
    }

    /// The sender gives up a stream.
    pub(super) fn abort(&self, destination: &str, id: u64, text: &str) -> Message {
        let head = Headers::new()
            .with(headers::STREAM_ID, id)
            .with(headers::STREAM_DATA_TYPE, StreamKind::Error.code())
            .with(headers::STREAM_ERROR, text);
        self.seal(self.stream_message(head, destination, channel::STREAM_DATA, false), Payload::empty())
    }
}
