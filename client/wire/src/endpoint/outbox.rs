//! Everything that waits to be sent: control frames first, then the streams in turn.

use std::collections::VecDeque;

use bytes::Bytes;

use super::routing::Addresses;
use crate::Moment;
use crate::cell::{Hello, Message};
use crate::frame::{Frame, FrameError, FrameKind};
use crate::msgpack::{self, Value};
use crate::stream::{Sender, StreamError};

/// Frames that may wait before the endpoint stops reading; a peer that sends without reading fills it.
pub(super) const MAX_QUEUED: usize = 1024;

/// `stream_id` of the first frame that is not part of the handshake; smaller ones are reserved.
const FIRST_STREAM_ID: u16 = 17;

enum Queued {
    Handshake(FrameKind, Vec<u8>),
    Heartbeat(FrameKind),
    Message(Message),
}

struct ActiveStream {
    sender: Sender,
    destination: String,
}

pub(super) struct Outbox {
    queue: VecDeque<Queued>,
    streams: VecDeque<ActiveStream>,
    stream_id: u16,
    sequence: u16,
}

impl Outbox {
    pub(super) const fn new() -> Self {
        Self { queue: VecDeque::new(), streams: VecDeque::new(), stream_id: FIRST_STREAM_ID, sequence: 1 }
    }

    pub(super) fn has_room(&self) -> bool {
        self.queue.len() + self.streams.len() < MAX_QUEUED
    }

    pub(super) fn push_hello(&mut self, kind: FrameKind, hello: &Hello) {
        self.queue.push_back(Queued::Handshake(kind, hello.encode()));
    }

    pub(super) fn push_heartbeat(&mut self, kind: FrameKind) {
        self.queue.push_back(Queued::Heartbeat(kind));
    }

    pub(super) fn push_message(&mut self, message: Message) {
        self.queue.push_back(Queued::Message(message));
    }

    pub(super) fn push_stream(&mut self, sender: Sender, destination: &str) {
        self.streams.push_back(ActiveStream { sender, destination: destination.to_owned() });
    }

    pub(super) fn next_frame(&mut self, now: Moment, addresses: &Addresses) -> Option<Bytes> {
        while let Some(queued) = self.queue.pop_front() {
            let encoded = match queued {
                Queued::Handshake(kind, payload) => self.bare_frame(kind, 1, payload.into()).encode(),
                Queued::Heartbeat(kind) => {
                    let stream_id = self.take_stream_id();
                    self.bare_frame(kind, stream_id, msgpack::encode(&Value::Nil).into()).encode()
                }
                Queued::Message(message) => self.data_frame(now, addresses, message),
            };
            // Only headers beyond 64 KiB cannot be encoded; such a message cannot be sent by any FLARE cell.
            if let Ok(bytes) = encoded {
                return Some(bytes);
            }
        }
        for _ in 0..self.streams.len() {
            let mut stream = self.streams.pop_front()?;
            let chunk = stream.sender.next_chunk(now);
            let message = chunk.map(|chunk| addresses.chunk(&stream.destination, chunk));
            if !stream.sender.is_done() {
                self.streams.push_back(stream);
            }
            if let Some(message) = message
                && let Ok(bytes) = self.data_frame(now, addresses, message)
            {
                return Some(bytes);
            }
        }
        None
    }

    fn data_frame(&mut self, now: Moment, addresses: &Addresses, mut message: Message) -> Result<Bytes, FrameError> {
        addresses.finish(now, &mut message);
        let (stream_id, sequence) = (self.take_stream_id(), self.take_sequence());
        message.encode(stream_id, sequence)
    }

    fn bare_frame(&mut self, kind: FrameKind, stream_id: u16, payload: Bytes) -> Frame {
        let sequence = self.take_sequence();
        Frame { kind, reserved: 0, flags: 0, app_id: 0, stream_id, sequence, headers: Bytes::new(), payload }
    }

    fn take_stream_id(&mut self) -> u16 {
        let id = self.stream_id;
        self.stream_id = self.stream_id.checked_add(1).unwrap_or(FIRST_STREAM_ID);
        id
    }

    fn take_sequence(&mut self) -> u16 {
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        sequence
    }

    /// Notes an acknowledgement; gives the request id of the stream, which made progress.
    pub(super) fn acknowledge(&mut self, now: Moment, id: u64, sequence: u64, offset: u64) -> Option<String> {
        let index = self.streams.iter().position(|stream| stream.sender.id() == id)?;
        let stream = self.streams.get_mut(index)?;
        stream.sender.on_ack(now, sequence, offset);
        let request_id = stream.sender.request_id().map(str::to_owned);
        if stream.sender.is_done() {
            self.streams.remove(index);
        }
        request_id
    }

    /// Drops a stream that the receiver refused; gives its request id.
    pub(super) fn fail(&mut self, id: u64) -> Option<String> {
        let index = self.streams.iter().position(|stream| stream.sender.id() == id)?;
        self.streams.remove(index)?.sender.request_id().map(str::to_owned)
    }

    /// Lets the last chunk of a stream go.
    pub(super) fn release(&mut self, request_id: &str) {
        let held = self.streams.iter_mut().find(|stream| stream.sender.request_id() == Some(request_id));
        if let Some(stream) = held {
            stream.sender.release();
        }
    }

    /// Ends a stream that is not wanted any more, and tells its receiver.
    pub(super) fn abort(&mut self, request_id: &str, addresses: &Addresses) {
        let held = self.streams.iter().position(|stream| stream.sender.request_id() == Some(request_id));
        if let Some(stream) = held.and_then(|index| self.streams.remove(index)) {
            self.push_message(addresses.abort(&stream.destination, stream.sender.id(), "cancelled"));
        }
    }

    pub(super) fn is_sending(&self, request_id: &str) -> bool {
        self.streams.iter().any(|stream| !stream.sender.is_sent() && stream.sender.request_id() == Some(request_id))
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.streams.iter().filter_map(|stream| stream.sender.next_deadline()).min()
    }

    /// Schedules repeats; gives the request ids of the streams that gave up, after telling the receiver.
    pub(super) fn advance(&mut self, now: Moment, addresses: &Addresses) -> Vec<(String, StreamError)> {
        let mut failed = Vec::new();
        let mut index = 0;
        while let Some(stream) = self.streams.get_mut(index) {
            let Err(error) = stream.sender.advance(now) else {
                index += 1;
                continue;
            };
            let message = addresses.abort(&stream.destination, stream.sender.id(), &error.to_string());
            if let Some(request_id) = stream.sender.request_id() {
                failed.push((request_id.to_owned(), error));
            }
            self.streams.remove(index);
            self.push_message(message);
        }
        failed
    }
}
