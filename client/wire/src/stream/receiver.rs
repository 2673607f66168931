//! The receiving half: chunks of many streams become blobs.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::{Bytes, BytesMut};

use super::{ACK_INTERVAL, FINISHED_MEMORY, READ_TIMEOUT, StreamError, StreamKind};
use crate::cell::{Encoding, Headers, Payload, headers};
use crate::frame::MAX_HEADERS_LEN;
use crate::{Moment, Segments};

/// Most chunks that may arrive ahead of a missing one, whatever the sender announces.
const MAX_OUT_OF_ORDER: u64 = 1024;

/// What every receiver tolerates, even when the sender announces nothing.
const MIN_OUT_OF_ORDER: u64 = 16;

/// A chunk of this length is kept as it came. It is a part of a whole frame, whose headers are not longer than that; a
/// shorter one is copied, so that no peer makes us hold far more than it has sent.
const LONG_CHUNK: usize = MAX_HEADERS_LEN;

/// Most finished streams that are remembered to recognise their repeats; the oldest are forgotten first. A
/// peer would have to finish 60 streams a second for a minute to get there.
const MAX_FINISHED: usize = 4096;

/// What a receiver is ready to hold in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiverLimits {
    /// Longest blob, in bytes. Real 2.9 receivers take 4 GiB.
    pub max_blob: u64,
    /// Most unfinished streams at a time.
    pub max_streams: usize,
    /// Most bytes of all unfinished streams together.
    pub max_held: u64,
}

impl Default for ReceiverLimits {
    /// 1 GiB in a blob or in all together, 1,024 streams: far above what admin traffic needs, low enough not to end
    /// the process.
    fn default() -> Self {
        const GIB: u64 = 1024 * 1024 * 1024;
        Self { max_blob: GIB, max_streams: 1024, max_held: GIB }
    }
}

impl ReceiverLimits {
    /// What a server takes from one of its many clients: an upload travels in pieces of 1 MiB, so nothing that
    /// comes as one blob is long but a command line.
    #[must_use]
    pub const fn server() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self { max_blob: 64 * MIB, max_streams: 1024, max_held: 128 * MIB }
    }
}

/// A finished stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Assembled {
    /// Who sent it.
    pub origin: String,
    /// Its stream id.
    pub id: u64,
    /// Application channel.
    pub channel: String,
    /// Application topic.
    pub topic: String,
    /// Request id, when the sender wants a reply or this is one.
    pub request_id: Option<String>,
    /// Headers of its first chunk.
    pub headers: Headers,
    /// The blob.
    pub payload: Payload,
}

/// A stream that the receiver does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Stream id.
    pub id: u64,
    /// Application channel.
    pub channel: String,
    /// Application topic.
    pub topic: String,
    /// Request id.
    pub request_id: Option<String>,
    /// Class name for `sm__et`.
    pub error_type: &'static str,
    /// Text for `sm__em`.
    pub text: String,
}

/// What became of a chunk.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// To be sent: everything up to `sequence` arrived, `offset` bytes.
    Ack {
        /// Stream id.
        id: u64,
        /// Highest chunk in order.
        sequence: u64,
        /// Bytes so far.
        offset: u64,
        /// `cn__optional` of the message: true when the sender does not depend on it any more, because the stream
        /// is complete and was acknowledged before or is not reliable.
        optional: bool,
    },
    /// To be sent: the stream is refused.
    Reject(Rejection),
    /// A stream is complete.
    Complete(Box<Assembled>),
    /// A stream with this request id goes on: whoever waits for it may wait longer.
    Progress {
        /// Request id.
        request_id: Option<String>,
    },
    /// A stream ended before it was complete.
    Failed {
        /// Request id.
        request_id: Option<String>,
        /// Why.
        error: StreamError,
    },
}

type Key = (String, u64);

struct Incoming {
    channel: String,
    topic: String,
    request_id: Option<String>,
    headers: Headers,
    encoding: Encoding,
    size: u64,
    ack_interval: u64,
    max_out_of_order: u64,
    next_sequence: u64,
    consumed: u64,
    acked: u64,
    /// Long chunks as they came, and what of short ones has been put together.
    in_order: Vec<Bytes>,
    short: BytesMut,
    ahead: BTreeMap<u64, (Bytes, bool)>,
    ahead_bytes: u64,
    last_activity: Moment,
}

#[derive(Clone, Copy)]
struct Finished {
    until: Moment,
    sequence: u64,
    offset: u64,
    acknowledged: bool,
}

/// All streams that come in on one connection.
pub struct Receiver {
    limits: ReceiverLimits,
    streams: HashMap<Key, Incoming>,
    finished: HashMap<Key, Finished>,
    finished_order: VecDeque<Key>,
}

impl Receiver {
    /// A receiver with these limits.
    #[must_use]
    pub fn new(limits: ReceiverLimits) -> Self {
        Self { limits, streams: HashMap::new(), finished: HashMap::new(), finished_order: VecDeque::new() }
    }

    /// Number of unfinished streams.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.streams.len()
    }

    /// Takes one `sm__DATA` message of `origin`.
    ///
    /// `is_served` says whether anybody handles a channel and topic; a stream for nobody is refused at its
    /// first chunk, as a real cell does.
    pub fn on_data(
        &mut self,
        now: Moment,
        origin: &str,
        message: &Headers,
        payload: &Bytes,
        is_served: impl Fn(&str, &str) -> bool,
    ) -> Vec<Received> {
        let (Some(id), Some(kind)) = (
            message.number(headers::STREAM_ID),
            message.number(headers::STREAM_DATA_TYPE).and_then(StreamKind::from_code),
        ) else {
            return Vec::new();
        };
        let key = (origin.to_owned(), id);
        if let Some(finished) = self.finished.get(&key) {
            // A repeat: the acknowledgement was lost.
            let Finished { sequence, offset, acknowledged, .. } = *finished;
            return if acknowledged {
                vec![Received::Ack { id, sequence, offset, optional: true }]
            } else {
                Vec::new()
            };
        }
        match kind {
            StreamKind::Chunk | StreamKind::Final => {}
            StreamKind::Error => return self.abort(now, key, message),
            StreamKind::Ack => return Vec::new(),
        }
        if !self.streams.contains_key(&key) {
            if let Some(rejection) = self.refusal(origin, id, message, is_served) {
                self.remember(
                    now,
                    key,
                    Finished { until: now + FINISHED_MEMORY, sequence: 0, offset: 0, acknowledged: false },
                );
                return vec![Received::Reject(rejection)];
            }
            self.streams.insert(key.clone(), Incoming::new(message, now));
        }
        self.add_chunk(now, key, message, payload, kind == StreamKind::Final)
    }

    fn refusal(
        &self,
        origin: &str,
        id: u64,
        message: &Headers,
        is_served: impl Fn(&str, &str) -> bool,
    ) -> Option<Rejection> {
        let text = |name| message.text(name).unwrap_or_default().to_owned();
        let (channel, topic) = (text(headers::STREAM_CHANNEL), text(headers::STREAM_TOPIC));
        let size = message.number(headers::STREAM_SIZE).unwrap_or(0);
        let (error_type, why) = if !is_served(&channel, &topic) {
            ("StreamError", format!("No callback is registered for {channel}/{topic}"))
        } else if size > self.limits.max_blob {
            ("BlobSizeError", format!("Blob size {size} exceeds the limit {}", self.limits.max_blob))
        } else if self.streams.len() >= self.limits.max_streams {
            ("StreamError", format!("More than {} streams are open", self.limits.max_streams))
        } else {
            return None;
        };
        // The words in front are those of a real receiver, which has not read the size at this point.
        let text = format!("Rx[SID:{id} from {origin} for {channel}/{topic} Size: 0] {why}");
        let request_id = message.text(headers::STREAM_REQ_ID).map(str::to_owned);
        Some(Rejection { id, channel, topic, request_id, error_type, text })
    }

    fn abort(&mut self, now: Moment, key: Key, message: &Headers) -> Vec<Received> {
        let Some(stream) = self.streams.remove(&key) else { return Vec::new() };
        self.remember(now, key, Finished { until: now + FINISHED_MEMORY, sequence: 0, offset: 0, acknowledged: false });
        let text = message.text(headers::STREAM_ERROR).unwrap_or_default().to_owned();
        vec![Received::Failed { request_id: stream.request_id, error: StreamError::Aborted { text } }]
    }

    fn add_chunk(&mut self, now: Moment, key: Key, message: &Headers, payload: &Bytes, last: bool) -> Vec<Received> {
        let Some(stream) = self.streams.get_mut(&key) else { return Vec::new() };
        let id = key.1;
        stream.last_activity = now;
        let sequence = message.number(headers::STREAM_SEQUENCE).unwrap_or(0);
        if sequence < stream.next_sequence {
            let (sequence, offset) = (stream.next_sequence - 1, stream.consumed);
            return vec![Received::Ack { id, sequence, offset, optional: false }];
        }
        if sequence - stream.next_sequence > stream.max_out_of_order {
            return self.reject(now, key, "StreamError", "too many chunks out of order");
        }
        if stream.ahead.contains_key(&sequence) {
            return Vec::new();
        }
        let held = stream.consumed + stream.ahead_bytes + payload.len() as u64;
        if held > self.limits.max_blob {
            return self.reject(now, key, "BlobSizeError", "the blob exceeds the size limit");
        }
        let all_held: u64 = self.streams.values().map(Incoming::held).sum();
        if all_held + payload.len() as u64 > self.limits.max_held {
            return self.reject(now, key, "StreamError", "the unfinished streams exceed the size limit");
        }
        let Some(stream) = self.streams.get_mut(&key) else { return Vec::new() };
        let mut complete = None;
        if sequence == stream.next_sequence {
            complete = stream.consume(payload, last);
            while complete.is_none()
                && let Some((bytes, last)) = stream.ahead.remove(&stream.next_sequence)
            {
                stream.ahead_bytes -= bytes.len() as u64;
                complete = stream.consume(&bytes, last);
            }
        } else {
            // A copy: the bytes that came are a part of a whole frame, whose headers can be far larger than they.
            stream.ahead_bytes += payload.len() as u64;
            stream.ahead.insert(sequence, (Bytes::copy_from_slice(payload), last));
        }
        if stream.size > 0 && stream.consumed > stream.size {
            return self.reject(now, key, "StreamError", "more bytes than announced");
        }
        if let Some(blob) = complete {
            return self.complete(now, key, blob);
        }
        let mut out = vec![Received::Progress { request_id: stream.request_id.clone() }];
        if stream.consumed - stream.acked >= stream.ack_interval {
            stream.acked = stream.consumed;
            let (sequence, offset) = (stream.next_sequence - 1, stream.consumed);
            out.push(Received::Ack { id, sequence, offset, optional: false });
        }
        out
    }

    fn complete(&mut self, now: Moment, key: Key, blob: Segments) -> Vec<Received> {
        let Some(stream) = self.streams.remove(&key) else { return Vec::new() };
        let (sequence, offset) = (stream.next_sequence - 1, stream.consumed);
        let reliable = stream.headers.flag(headers::STREAM_RELIABLE);
        self.remember(
            now,
            key.clone(),
            Finished { until: now + FINISHED_MEMORY, sequence, offset, acknowledged: true },
        );
        let (origin, id) = key;
        let ack = Received::Ack { id, sequence, offset, optional: !reliable };
        if stream.consumed < stream.size {
            // A real receiver acknowledges it and drops it without a word to the sender.
            let request_id = stream.request_id;
            return vec![ack, Received::Failed { request_id, error: StreamError::Truncated }];
        }
        let assembled = Assembled {
            origin,
            id,
            channel: stream.channel,
            topic: stream.topic,
            request_id: stream.request_id,
            headers: stream.headers,
            payload: Payload { encoding: stream.encoding, bytes: blob },
        };
        vec![ack, Received::Complete(Box::new(assembled))]
    }

    fn reject(&mut self, now: Moment, key: Key, error_type: &'static str, why: &str) -> Vec<Received> {
        let Some(stream) = self.streams.remove(&key) else { return Vec::new() };
        let (origin, id) = key.clone();
        self.remember(now, key, Finished { until: now + FINISHED_MEMORY, sequence: 0, offset: 0, acknowledged: false });
        let Incoming { channel, topic, request_id, size, .. } = stream;
        let text = format!("Rx[SID:{id} from {origin} for {channel}/{topic} Size: {size}] {why}");
        let error = StreamError::Refused { text: text.clone() };
        vec![
            Received::Reject(Rejection { id, channel, topic, request_id: request_id.clone(), error_type, text }),
            Received::Failed { request_id, error },
        ]
    }

    fn remember(&mut self, now: Moment, key: Key, entry: Finished) {
        while let Some(oldest) = self.finished_order.front() {
            let outlived = self.finished.get(oldest).is_none_or(|finished| finished.until <= now);
            if !outlived && self.finished_order.len() < MAX_FINISHED {
                break;
            }
            self.finished.remove(oldest);
            self.finished_order.pop_front();
        }
        self.finished.insert(key.clone(), entry);
        self.finished_order.push_back(key);
    }

    /// When [`Receiver::advance`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.streams.values().map(|stream| stream.last_activity + READ_TIMEOUT).min()
    }

    /// Gives up the streams that stalled.
    pub fn advance(&mut self, now: Moment) -> Vec<Received> {
        let stalled: Vec<Key> = self
            .streams
            .iter()
            .filter(|(_, stream)| now.since(stream.last_activity) >= READ_TIMEOUT)
            .map(|(key, _)| key.clone())
            .collect();
        stalled
            .into_iter()
            .filter_map(|key| self.streams.remove(&key))
            .map(|stream| Received::Failed { request_id: stream.request_id, error: StreamError::Stalled })
            .collect()
    }
}

impl Incoming {
    fn new(message: &Headers, now: Moment) -> Self {
        let text = |name| message.text(name).unwrap_or_default().to_owned();
        let number = |name| message.number(name).filter(|number| *number > 0);
        // ceil(window / chunk) + 1, within bounds; a peer that announces nothing gets the least.
        let max_out_of_order = number(headers::STREAM_WINDOW_SIZE)
            .zip(number(headers::STREAM_CHUNK_SIZE))
            .map_or(MIN_OUT_OF_ORDER, |(window, chunk)| window.div_ceil(chunk).saturating_add(1))
            .clamp(MIN_OUT_OF_ORDER, MAX_OUT_OF_ORDER);
        Self {
            channel: text(headers::STREAM_CHANNEL),
            topic: text(headers::STREAM_TOPIC),
            request_id: message.text(headers::STREAM_REQ_ID).map(str::to_owned),
            headers: message.clone(),
            encoding: Encoding::parse(message.text(headers::STREAM_PAYLOAD_ENCODING)),
            size: message.number(headers::STREAM_SIZE).unwrap_or(0),
            // A sender that waits for its window would never see an acknowledgement beyond it.
            ack_interval: number(headers::STREAM_ACK_INTERVAL)
                .unwrap_or(ACK_INTERVAL)
                .min(number(headers::STREAM_WINDOW_SIZE).unwrap_or(u64::MAX)),
            max_out_of_order,
            next_sequence: 0,
            consumed: 0,
            acked: 0,
            in_order: Vec::new(),
            short: BytesMut::new(),
            ahead: BTreeMap::new(),
            ahead_bytes: 0,
            last_activity: now,
        }
    }

    /// Bytes in memory.
    fn held(&self) -> u64 {
        self.consumed + self.ahead_bytes
    }

    /// Takes the next chunk in order; gives the blob when it is the last one. Only short chunks of many are copied.
    fn consume(&mut self, bytes: &Bytes, last: bool) -> Option<Segments> {
        self.consumed += bytes.len() as u64;
        self.next_sequence += 1;
        if last && self.in_order.is_empty() && self.short.is_empty() {
            return Some(bytes.clone().into());
        }
        if bytes.len() < LONG_CHUNK {
            self.short.extend_from_slice(bytes);
        } else {
            if !self.short.is_empty() {
                self.in_order.push(self.short.split().freeze());
            }
            self.in_order.push(bytes.clone());
        }
        last.then(|| {
            let short = self.short.split().freeze();
            self.in_order.drain(..).chain([short]).collect()
        })
    }
}
