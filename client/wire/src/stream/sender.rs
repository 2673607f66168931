//! The sending half of a stream.

use std::collections::VecDeque;
use std::time::Duration;

use super::{
    ACK_PROGRESS_TIMEOUT, CHUNK_SIZE, RETRY_TIMEOUT, RETRY_WAIT, StreamError, StreamKind, WINDOW_SIZE,
    WINDOW_SIZE_BEFORE_2_9,
};
use crate::cell::{Headers, Payload, headers};
use crate::{Moment, Segments};

/// How a sender behaves and what it announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamSettings {
    /// Bytes of a full chunk, at least 1.
    pub chunk_size: usize,
    /// Most unacknowledged bytes before the sender pauses.
    pub window: u64,
    /// Acknowledgement interval to announce.
    pub ack_interval: u64,
    /// Repeat chunks until they are acknowledged.
    pub reliable: bool,
    /// Announced as `sm__op`; the log level of the receiver.
    pub optional: bool,
    /// Announce reliability, chunk size, window and interval, as releases from 2.9 on do.
    pub announced: bool,
}

impl StreamSettings {
    /// Requests of a 2.9 client.
    #[must_use]
    pub const fn client() -> Self {
        Self {
            chunk_size: CHUNK_SIZE,
            window: WINDOW_SIZE,
            ack_interval: super::CLIENT_ACK_INTERVAL,
            reliable: false,
            optional: false,
            announced: true,
        }
    }

    /// Replies of a 2.9 server.
    #[must_use]
    pub const fn server_reply() -> Self {
        Self {
            chunk_size: CHUNK_SIZE,
            window: WINDOW_SIZE,
            ack_interval: super::ACK_INTERVAL,
            reliable: true,
            optional: true,
            announced: true,
        }
    }

    /// Replies of a server from before 2.9: its clients do not acknowledge the end of a stream, and are told nothing of
    /// how it is sent.
    #[must_use]
    pub const fn server_reply_before_2_9() -> Self {
        Self { window: WINDOW_SIZE_BEFORE_2_9, reliable: false, announced: false, ..Self::server_reply() }
    }
}

/// What a stream carries and for whom.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Stream id, unique for this endpoint.
    pub id: u64,
    /// Application channel.
    pub channel: String,
    /// Application topic.
    pub topic: String,
    /// Request id, when a reply is wanted or this is one.
    pub request_id: Option<String>,
    /// Application headers, repeated on every chunk.
    pub headers: Headers,
    /// The blob.
    pub payload: Payload,
}

/// Headers and bytes of one chunk; routing headers are not in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// Application and stream headers.
    pub headers: Headers,
    /// The bytes.
    pub payload: Segments,
}

struct Unacknowledged {
    sequence: u64,
    sent_at: Moment,
}

/// One stream on its way out.
pub struct Sender {
    outgoing: Outgoing,
    settings: StreamSettings,
    next_sequence: u64,
    all_sent: bool,
    /// The last chunk may not go yet.
    is_held: bool,
    acked_bytes: u64,
    unacknowledged: VecDeque<Unacknowledged>,
    repeats: VecDeque<u64>,
    first_repeat: Option<Moment>,
    last_progress: Moment,
    check_at: Moment,
}

impl Sender {
    /// A stream that starts now.
    #[must_use]
    pub fn new(outgoing: Outgoing, settings: StreamSettings, now: Moment) -> Self {
        Self {
            outgoing,
            settings: StreamSettings { chunk_size: settings.chunk_size.max(1), ..settings },
            next_sequence: 0,
            all_sent: false,
            is_held: false,
            acked_bytes: 0,
            unacknowledged: VecDeque::new(),
            repeats: VecDeque::new(),
            first_repeat: None,
            last_progress: now,
            check_at: now + RETRY_WAIT,
        }
    }

    /// The same, but its last chunk waits for [`release`](Self::release). Nobody acts on a stream before that is there.
    #[must_use]
    pub fn held(outgoing: Outgoing, settings: StreamSettings, now: Moment) -> Self {
        Self { is_held: true, ..Self::new(outgoing, settings, now) }
    }

    /// Lets the last chunk go.
    pub const fn release(&mut self) {
        self.is_held = false;
    }

    /// Its stream id.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.outgoing.id
    }

    /// Its request id.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.outgoing.request_id.as_deref()
    }

    /// True when nothing remains to be done: all chunks sent and, for a reliable stream, acknowledged.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.all_sent && self.repeats.is_empty() && (!self.settings.reliable || self.unacknowledged.is_empty())
    }

    /// True when every chunk was sent at least once.
    #[must_use]
    pub const fn is_sent(&self) -> bool {
        self.all_sent
    }

    /// The next chunk that may be sent now.
    pub fn next_chunk(&mut self, now: Moment) -> Option<Chunk> {
        if let Some(sequence) = self.repeats.pop_front() {
            return Some(self.chunk(sequence));
        }
        if self.all_sent || self.window_is_full() {
            return None;
        }
        let sequence = self.next_sequence;
        let is_last = self.end_of(sequence) == self.outgoing.payload.bytes.len();
        if is_last && self.is_held {
            return None;
        }
        self.next_sequence += 1;
        self.all_sent = is_last;
        self.unacknowledged.push_back(Unacknowledged { sequence, sent_at: now });
        Some(self.chunk(sequence))
    }

    fn window_is_full(&self) -> bool {
        let sent = self.start_of(self.next_sequence) as u64;
        sent.saturating_sub(self.acked_bytes) > self.settings.window
    }

    fn start_of(&self, sequence: u64) -> usize {
        let sequence = usize::try_from(sequence).unwrap_or(usize::MAX);
        sequence.saturating_mul(self.settings.chunk_size).min(self.outgoing.payload.bytes.len())
    }

    fn end_of(&self, sequence: u64) -> usize {
        self.start_of(sequence + 1)
    }

    fn chunk(&self, sequence: u64) -> Chunk {
        let Outgoing { payload, request_id, .. } = &self.outgoing;
        let (start, end) = (self.start_of(sequence), self.end_of(sequence));
        let total = payload.bytes.len();
        let kind = if end == total { StreamKind::Final } else { StreamKind::Chunk };
        let mut chunk = self.outgoing.headers.clone();
        chunk.set(headers::STREAM_PAYLOAD_ENCODING, payload.encoding.as_str());
        chunk.set(headers::PAYLOAD_LEN, (end - start) as u64);
        if let Some(request_id) = request_id {
            chunk.set(headers::STREAM_REQ_ID, request_id.as_str());
        }
        chunk.set(headers::STREAM_CHANNEL, self.outgoing.channel.as_str());
        chunk.set(headers::STREAM_TOPIC, self.outgoing.topic.as_str());
        chunk.set(headers::STREAM_SIZE, total as u64);
        chunk.set(headers::STREAM_ID, self.outgoing.id);
        chunk.set(headers::STREAM_DATA_TYPE, kind.code());
        chunk.set(headers::STREAM_SEQUENCE, sequence);
        chunk.set(headers::STREAM_OFFSET, start as u64);
        // The order of the official senders.
        if self.settings.announced {
            chunk.set(headers::STREAM_RELIABLE, self.settings.reliable);
        }
        chunk.set(headers::STREAM_OPTIONAL, self.settings.optional);
        if !self.settings.announced {
            return Chunk { headers: chunk, payload: payload.bytes.slice(start..end) };
        }
        chunk.set(headers::STREAM_CHUNK_SIZE, self.settings.chunk_size as u64);
        chunk.set(headers::STREAM_WINDOW_SIZE, self.settings.window);
        if sequence == 0 {
            chunk.set(headers::STREAM_ACK_INTERVAL, self.settings.ack_interval);
            if self.settings.reliable {
                chunk.set(headers::STREAM_RETRY_WAIT, RETRY_WAIT.as_secs_f64());
                chunk.set(headers::STREAM_RETRY_TIMEOUT, RETRY_TIMEOUT.as_secs_f64());
            }
        }
        Chunk { headers: chunk, payload: payload.bytes.slice(start..end) }
    }

    /// The receiver has everything up to and including chunk `sequence`, `offset` bytes in all.
    pub fn on_ack(&mut self, now: Moment, sequence: u64, offset: u64) {
        // An acknowledgement of what was never sent is not believed.
        let sent = self.start_of(self.next_sequence) as u64;
        if sequence >= self.next_sequence || offset > sent {
            return;
        }
        let before = (self.unacknowledged.len(), self.acked_bytes);
        while self.unacknowledged.front().is_some_and(|chunk| chunk.sequence <= sequence) {
            self.unacknowledged.pop_front();
        }
        self.repeats.retain(|repeat| *repeat > sequence);
        self.acked_bytes = self.acked_bytes.max(offset);
        if before != (self.unacknowledged.len(), self.acked_bytes) {
            self.last_progress = now;
            self.first_repeat = None;
        }
    }

    /// When [`Sender::advance`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        if self.is_done() {
            return None;
        }
        // A driver computes its deadline, then sends chunks and sleeps: so there is a deadline before the first
        // chunk is sent that is not later than the one after.
        let unsent = (!self.all_sent).then_some(self.check_at);
        let blocked = (!self.all_sent && self.window_is_full()).then(|| self.last_progress + ACK_PROGRESS_TIMEOUT);
        let repeat = self
            .settings
            .reliable
            .then(|| self.unacknowledged.iter().map(|chunk| chunk.sent_at + RETRY_WAIT).min())
            .flatten();
        [unsent, blocked, repeat].into_iter().flatten().min()
    }

    /// Schedules the repeats that are due.
    ///
    /// # Errors
    /// [`StreamError::NotAcknowledged`] when the sender gives up; the stream is over then.
    pub fn advance(&mut self, now: Moment) -> Result<(), StreamError> {
        if now >= self.check_at {
            self.check_at = now + RETRY_WAIT;
        }
        if !self.all_sent && self.window_is_full() {
            give_up_after(now, self.last_progress, ACK_PROGRESS_TIMEOUT)?;
        }
        if !self.settings.reliable {
            return Ok(());
        }
        if let Some(first) = self.first_repeat {
            give_up_after(now, first, RETRY_TIMEOUT)?;
        }
        for chunk in &mut self.unacknowledged {
            if now.since(chunk.sent_at) >= RETRY_WAIT {
                chunk.sent_at = now;
                self.first_repeat.get_or_insert(now);
                if !self.repeats.contains(&chunk.sequence) {
                    self.repeats.push_back(chunk.sequence);
                }
            }
        }
        Ok(())
    }
}

fn give_up_after(now: Moment, since: Moment, limit: Duration) -> Result<(), StreamError> {
    if now.since(since) >= limit { Err(StreamError::NotAcknowledged { after: limit }) } else { Ok(()) }
}
