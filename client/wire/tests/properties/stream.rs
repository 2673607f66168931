//! Streams: a sender and a receiver over any network, limits, hostile chunks.

use std::time::Duration;

use bytes::Bytes;
use flare_wire::cell::{Encoding, Headers, Payload, headers};
use flare_wire::stream::{
    Assembled, Chunk, FINISHED_MEMORY, Outgoing, READ_TIMEOUT, RETRY_TIMEOUT, Received, Receiver, ReceiverLimits,
    Sender, StreamError, StreamKind, StreamSettings,
};
use flare_wire::{Moment, Randomness};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::network::{Faults, Network};
use crate::strategies::{bytes, headers as any_headers, value};

/// No exchange of these tests takes longer, whatever the network does: forty chunks, each of which may use up the
/// minute in which a sender waits for progress.
const LONGEST: Duration = Duration::from_secs(40 * 70);

fn start() -> Moment {
    Moment::from_unix(Duration::from_secs(1_795_308_187))
}

fn outgoing(id: u64, blob: Bytes) -> Outgoing {
    Outgoing {
        id,
        channel: "channel".into(),
        topic: "topic".into(),
        request_id: Some("request".into()),
        headers: Headers::new().with("application", "header"),
        payload: Payload { encoding: Encoding::Bytes, bytes: blob.into() },
    }
}

fn settings() -> impl Strategy<Value = StreamSettings> {
    (1..40_usize, 0..200_u64, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(chunk_size, window, interval, reliable)| {
            // A receiver that acknowledges more rarely than the window needs would stop the sender.
            let ack_interval = 1 + interval.index(usize::try_from(window).unwrap().max(1)) as u64;
            StreamSettings { chunk_size, window, ack_interval, reliable, optional: false, announced: true }
        },
    )
}

/// How an exchange ended.
#[derive(Debug, Default)]
struct Outcome {
    delivered: Vec<Assembled>,
    sender_error: Option<StreamError>,
    receiver_errors: Vec<StreamError>,
}

/// One blob over a network in both directions.
struct Exchange {
    now: Moment,
    sender: Option<Sender>,
    receiver: Receiver,
    forth: Network<Chunk>,
    back: Network<(u64, u64)>,
    outcome: Outcome,
}

impl Exchange {
    fn new(blob: &[u8], settings: StreamSettings, faults: Faults, seed: u64) -> Self {
        let mut random = Randomness::from_number(seed);
        let blob = Bytes::copy_from_slice(blob);
        Self {
            now: start(),
            sender: Some(Sender::new(outgoing(7, blob), settings, start())),
            receiver: Receiver::new(ReceiverLimits::default()),
            forth: Network::new(faults, random.fork()),
            back: Network::new(faults, random.fork()),
            outcome: Outcome::default(),
        }
    }

    fn run(mut self) -> Outcome {
        loop {
            while self.send() | self.deliver() {}
            let Some(next) = self.next_moment() else { return self.outcome };
            assert!(next >= self.now, "time runs backwards");
            self.now = next;
            assert!(self.now < start() + LONGEST, "the exchange does not end");
            self.advance();
        }
    }

    /// True when anything was sent.
    fn send(&mut self) -> bool {
        let Some(sender) = &mut self.sender else { return false };
        let mut moved = false;
        while let Some(chunk) = sender.next_chunk(self.now) {
            self.forth.send(self.now, &chunk);
            moved = true;
        }
        if sender.is_done() {
            self.sender = None;
        }
        moved
    }

    /// True when anything arrived.
    fn deliver(&mut self) -> bool {
        let mut moved = false;
        while let Some(chunk) = self.forth.deliver(self.now) {
            let received =
                self.receiver.on_data(self.now, "origin", &chunk.headers, &chunk.payload.to_bytes(), |_, _| true);
            self.note(received);
            moved = true;
        }
        while let Some((sequence, offset)) = self.back.deliver(self.now) {
            if let Some(sender) = &mut self.sender {
                sender.on_ack(self.now, sequence, offset);
            }
            moved = true;
        }
        moved
    }

    fn note(&mut self, received: Vec<Received>) {
        for item in received {
            match item {
                Received::Ack { id, sequence, offset, .. } => {
                    assert_eq!(id, 7);
                    self.back.send(self.now, &(sequence, offset));
                }
                Received::Complete(assembled) => self.outcome.delivered.push(*assembled),
                Received::Failed { error, .. } => self.outcome.receiver_errors.push(error),
                Received::Progress { .. } => {}
                Received::Reject(rejection) => panic!("{rejection:?}"),
            }
        }
    }

    fn next_moment(&self) -> Option<Moment> {
        let sender = self.sender.as_ref().and_then(Sender::next_deadline);
        [sender, self.receiver.next_deadline(), self.forth.next_arrival(), self.back.next_arrival()]
            .into_iter()
            .flatten()
            .min()
    }

    fn advance(&mut self) {
        if let Some(sender) = &mut self.sender
            && let Err(error) = sender.advance(self.now)
        {
            self.outcome.sender_error = Some(error);
            self.sender = None;
        }
        let failed = self.receiver.advance(self.now);
        self.note(failed);
    }
}

fn assert_delivered(outcome: &Outcome, blob: &[u8]) -> Result<(), TestCaseError> {
    let [assembled] = outcome.delivered.as_slice() else {
        return Err(TestCaseError::fail(format!("not delivered exactly once: {outcome:?}")));
    };
    prop_assert_eq!(&assembled.payload.bytes, blob);
    prop_assert_eq!(&assembled.payload.encoding, &Encoding::Bytes);
    prop_assert_eq!((assembled.channel.as_str(), assembled.topic.as_str()), ("channel", "topic"));
    prop_assert_eq!(assembled.request_id.as_deref(), Some("request"));
    prop_assert_eq!(assembled.headers.text("application"), Some("header"));
    Ok(())
}

proptest! {
    #[test]
    fn a_blob_arrives_once_when_nothing_is_lost(
        blob in bytes(300), settings in settings(), faults in Faults::lossless(), seed: u64,
    ) {
        let outcome = Exchange::new(&blob, settings, faults, seed).run();
        assert_delivered(&outcome, &blob)?;
        prop_assert_eq!(outcome.sender_error, None);
        prop_assert!(outcome.receiver_errors.is_empty());
    }

    #[test]
    fn a_blob_arrives_once_or_somebody_says_that_it_did_not(
        blob in bytes(40), settings in settings(), faults in Faults::lossy(), seed: u64,
    ) {
        let reliable = settings.reliable;
        let outcome = Exchange::new(&blob, settings, faults, seed).run();
        if outcome.delivered.is_empty() {
            // A blob whose every message was lost has a receiver that never heard of it.
            let told = outcome.sender_error.is_some() || !outcome.receiver_errors.is_empty();
            prop_assert!(told || !reliable, "{:?}", outcome);
        } else {
            assert_delivered(&outcome, &blob)?;
        }
        if reliable && outcome.sender_error.is_none() {
            assert_delivered(&outcome, &blob)?;
        }
    }

    #[test]
    fn chunks_are_cut_as_announced(blob in bytes(300), settings in settings()) {
        let mut sender = Sender::new(outgoing(9, blob.clone().into()), settings, start());
        let (mut sent, mut kinds) = (Vec::new(), Vec::new());
        while let Some(chunk) = sender.next_chunk(start()) {
            let number = |name| chunk.headers.number(name).unwrap();
            prop_assert_eq!(number(headers::STREAM_SEQUENCE), kinds.len() as u64);
            prop_assert_eq!(number(headers::STREAM_OFFSET), sent.len() as u64);
            prop_assert_eq!(number(headers::STREAM_SIZE), blob.len() as u64);
            prop_assert_eq!(number(headers::PAYLOAD_LEN), chunk.payload.len() as u64);
            sent.extend_from_slice(&chunk.payload.to_bytes());
            kinds.push((number(headers::STREAM_DATA_TYPE), chunk.payload.len()));
            sender.on_ack(start(), kinds.len() as u64 - 1, sent.len() as u64);
        }
        prop_assert_eq!(sent, blob);
        let (last, rest) = kinds.split_last().unwrap();
        prop_assert_eq!(last.0, StreamKind::Final.code());
        prop_assert!(rest.iter().all(|chunk| *chunk == (StreamKind::Chunk.code(), settings.chunk_size)));
        prop_assert!(sender.is_sent() && sender.is_done());
    }

    #[test]
    fn a_sender_without_acknowledgements_stops_when_more_than_the_window_is_out(
        blob in bytes(300), settings in settings(),
    ) {
        let mut sender = Sender::new(outgoing(9, blob.clone().into()), settings, start());
        let mut sent = 0;
        while let Some(chunk) = sender.next_chunk(start()) {
            prop_assert!(sent <= settings.window);
            sent += chunk.payload.len() as u64;
        }
        prop_assert!(sent > settings.window || sent == blob.len() as u64);
        prop_assert_eq!(sender.is_sent(), sent == blob.len() as u64);
    }

    #[test]
    fn acknowledgements_of_any_kind_do_no_harm(
        blob in bytes(100), settings in settings(), acks in vec((0..12_u64, any::<u64>(), 0..120_u64), 0..40),
    ) {
        let mut sender = Sender::new(outgoing(9, blob.into()), settings, start());
        for (sequence, huge, offset) in acks {
            let sequence = if huge % 5 == 0 { huge } else { sequence };
            let offset = if huge % 7 == 0 { huge } else { offset };
            let _ = sender.next_chunk(start());
            sender.on_ack(start(), sequence, offset);
            let _ = (sender.next_deadline(), sender.advance(start() + Duration::from_secs(huge % 9)));
        }
    }

    #[test]
    fn hostile_chunks_are_taken_or_refused(
        chunks in vec((any_headers(), hostile_headers(), bytes(20), 0..400_u64), 0..30), most in 0..4_usize,
    ) {
        let mut receiver = Receiver::new(ReceiverLimits { max_blob: 50, max_streams: most, ..ReceiverLimits::default() });
        let mut now = start();
        for (other, stream, payload, seconds) in chunks {
            now = now + Duration::from_secs(seconds);
            let mut all = other;
            all.extend(&stream);
            for item in receiver.on_data(now, "origin", &all, &payload.into(), |_, _| true) {
                if let Received::Complete(assembled) = item {
                    prop_assert!(assembled.payload.bytes.len() <= 50);
                }
            }
            prop_assert!(receiver.unfinished() <= most);
            let _ = receiver.advance(now);
            prop_assert!(receiver.next_deadline().is_none_or(|deadline| deadline > now));
        }
        let _ = receiver.advance(now + READ_TIMEOUT);
        prop_assert_eq!(receiver.unfinished(), 0);
        prop_assert_eq!(receiver.next_deadline(), None);
    }
}

#[test]
fn acknowledgements_of_what_was_never_sent_are_not_believed() {
    let settings =
        StreamSettings { chunk_size: 2, window: 0, ack_interval: 2, reliable: true, optional: false, announced: true };
    for (sequence, offset) in [(1, 2), (0, 3), (u64::MAX, 2), (0, u64::MAX)] {
        let mut sender = Sender::new(outgoing(9, Bytes::from_static(b"1234")), settings, start());
        assert!(sender.next_chunk(start()).is_some());
        sender.on_ack(start(), sequence, offset);
        assert!(sender.next_chunk(start()).is_none(), "the window is still full after {sequence} {offset}");
    }
}

#[test]
fn a_reliable_sender_gives_up_a_minute_after_its_last_progress_and_not_before() {
    let settings =
        StreamSettings { chunk_size: 1, window: 10, ack_interval: 1, reliable: true, optional: false, announced: true };
    let mut sender = Sender::new(outgoing(9, Bytes::from_static(b"12")), settings, start());
    while sender.next_chunk(start()).is_some() {}
    let mut now = start();
    let mut repeat_until = |sender: &mut Sender, end: Moment| {
        while now < end {
            now = sender.next_deadline().unwrap();
            sender.advance(now)?;
            while sender.next_chunk(now).is_some() {}
        }
        Ok(now)
    };
    let late = repeat_until(&mut sender, start() + RETRY_TIMEOUT).unwrap();
    sender.on_ack(late, 0, 1);
    // The second chunk has its own minute.
    let later = repeat_until(&mut sender, late + RETRY_TIMEOUT).unwrap();
    let gives_up = repeat_until(&mut sender, later + RETRY_TIMEOUT);
    assert_eq!(gives_up, Err(StreamError::NotAcknowledged { after: RETRY_TIMEOUT }));
}

/// Stream headers with small, huge and senseless values.
fn hostile_headers() -> impl Strategy<Value = Headers> {
    let number = prop_oneof![4 => 0..6_u64, 1 => any::<u64>()].prop_map(flare_wire::msgpack::Value::from);
    let field = prop_oneof![8 => number, 1 => value()];
    vec(prop::option::weighted(0.8, field), 10).prop_map(|values| {
        let names = [
            headers::STREAM_ID,
            headers::STREAM_DATA_TYPE,
            headers::STREAM_SEQUENCE,
            headers::STREAM_OFFSET,
            headers::STREAM_SIZE,
            headers::STREAM_CHUNK_SIZE,
            headers::STREAM_WINDOW_SIZE,
            headers::STREAM_ACK_INTERVAL,
            headers::STREAM_REQ_ID,
            headers::STREAM_CHANNEL,
        ];
        names.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?))).collect()
    })
}

/// Headers of a chunk as a sender that announces only what it must would write them.
fn chunk(id: u64, sequence: u64, kind: StreamKind) -> Headers {
    Headers::new()
        .with(headers::STREAM_ID, id)
        .with(headers::STREAM_DATA_TYPE, kind.code())
        .with(headers::STREAM_SEQUENCE, sequence)
}

fn give(receiver: &mut Receiver, now: Moment, head: &Headers, payload: &'static [u8]) -> Vec<Received> {
    receiver.on_data(now, "origin", head, &Bytes::from_static(payload), |_, _| true)
}

fn is_refused(received: &[Received]) -> bool {
    received.iter().any(|item| matches!(item, Received::Reject(_)))
}

fn is_complete(received: &[Received]) -> bool {
    received.iter().any(|item| matches!(item, Received::Complete(_)))
}

#[test]
fn a_blob_is_accepted_at_the_limit_and_refused_one_past() {
    let receiver = || Receiver::new(ReceiverLimits { max_blob: 4, max_streams: 4, ..ReceiverLimits::default() });
    for announced in [false, true] {
        for (payload, fits) in [(&b"1234"[..], true), (b"12345", false)] {
            let size = if announced { payload.len() as u64 } else { 0 };
            let head = chunk(1, 0, StreamKind::Final).with(headers::STREAM_SIZE, size);
            let received = give(&mut receiver(), start(), &head, payload);
            assert_eq!((is_complete(&received), is_refused(&received)), (fits, !fits), "{announced} {received:?}");
        }
    }
    let mut ahead = receiver();
    assert!(!is_refused(&give(&mut ahead, start(), &chunk(1, 1, StreamKind::Chunk), b"12")));
    assert!(!is_refused(&give(&mut ahead, start(), &chunk(1, 2, StreamKind::Chunk), b"34")));
    assert!(is_refused(&give(&mut ahead, start(), &chunk(1, 3, StreamKind::Chunk), b"5")), "what waits counts");
}

#[test]
fn open_streams_are_accepted_at_the_limit_and_refused_one_past() {
    let mut receiver = Receiver::new(ReceiverLimits { max_blob: 100, max_streams: 3, ..ReceiverLimits::default() });
    for id in 0..3 {
        assert!(!is_refused(&give(&mut receiver, start(), &chunk(id, 0, StreamKind::Chunk), b"x")));
    }
    assert!(is_refused(&give(&mut receiver, start(), &chunk(3, 0, StreamKind::Chunk), b"x")));
    assert!(is_complete(&give(&mut receiver, start(), &chunk(0, 1, StreamKind::Final), b"x")));
    assert!(!is_refused(&give(&mut receiver, start(), &chunk(4, 0, StreamKind::Chunk), b"x")), "there is room again");
}

#[test]
fn chunks_ahead_of_a_missing_one_are_accepted_at_the_limit_and_refused_one_past() {
    // Window, chunk size, and what has to be tolerated: ceil(window / chunk) + 1, from 16 to 1,024.
    for (window, size, most) in [(0, 0, 16), (100, 10, 16), (640, 10, 65), (645, 10, 66), (u64::MAX, 1, 1024)] {
        let announce =
            |head: Headers| head.with(headers::STREAM_WINDOW_SIZE, window).with(headers::STREAM_CHUNK_SIZE, size);
        for (sequence, refused) in [(most, false), (most + 1, true)] {
            let mut receiver = Receiver::new(ReceiverLimits::default());
            let received = give(&mut receiver, start(), &announce(chunk(1, sequence, StreamKind::Chunk)), b"x");
            assert_eq!(is_refused(&received), refused, "{window}/{size} {sequence}");
        }
    }
}

#[test]
fn repeats_of_a_finished_stream_are_acknowledged_and_not_delivered_again() {
    let mut receiver = Receiver::new(ReceiverLimits::default());
    let head = chunk(1, 0, StreamKind::Final).with(headers::STREAM_RELIABLE, true);
    let [Received::Ack { optional: false, .. }, Received::Complete(_)] = &give(&mut receiver, start(), &head, b"x")[..]
    else {
        panic!("not delivered")
    };
    let last = start() + FINISHED_MEMORY - Duration::from_secs(1);
    // Others finish meanwhile, which is when old ones are forgotten.
    give(&mut receiver, last, &chunk(2, 0, StreamKind::Final), b"y");
    let again = give(&mut receiver, last, &head, b"x");
    assert_eq!(again, [Received::Ack { id: 1, sequence: 0, offset: 1, optional: true }]);
}

/// A repeat that comes after its stream was forgotten counts as a new stream.
#[test]
fn finished_streams_are_remembered_up_to_a_number() {
    const MOST: u64 = 4096;
    for (streams, is_remembered) in [(MOST, true), (MOST + 1, false)] {
        let mut receiver = Receiver::new(ReceiverLimits::default());
        for id in 1..=streams {
            give(&mut receiver, start(), &chunk(id, 0, StreamKind::Final), b"x");
        }
        let repeat = give(&mut receiver, start(), &chunk(1, 0, StreamKind::Final), b"x");
        let is_new = repeat.iter().any(|item| matches!(item, Received::Complete(_)));
        assert_eq!(is_new, !is_remembered, "{streams}");
    }
}

#[test]
fn unfinished_streams_are_bounded_together() {
    let mut receiver = Receiver::new(ReceiverLimits { max_held: 4, ..ReceiverLimits::default() });
    for id in [1, 2] {
        assert!(!is_refused(&give(&mut receiver, start(), &chunk(id, 0, StreamKind::Chunk), b"12")), "{id}");
    }
    assert!(is_refused(&give(&mut receiver, start(), &chunk(3, 0, StreamKind::Chunk), b"1")));
    // What is finished is held no longer.
    give(&mut receiver, start(), &chunk(1, 1, StreamKind::Final), b"");
    assert!(!is_refused(&give(&mut receiver, start(), &chunk(4, 0, StreamKind::Chunk), b"12")));
}

#[test]
fn a_stream_longer_than_announced_is_refused_and_a_shorter_one_dropped() {
    let mut receiver = Receiver::new(ReceiverLimits::default());
    let longer = chunk(1, 0, StreamKind::Final).with(headers::STREAM_SIZE, 1);
    assert!(is_refused(&give(&mut receiver, start(), &longer, b"12")));
    let shorter = chunk(2, 0, StreamKind::Final).with(headers::STREAM_SIZE, 3);
    let dropped = give(&mut receiver, start(), &shorter, b"12");
    let truncated = Received::Failed { request_id: None, error: StreamError::Truncated };
    assert_eq!(dropped, [Received::Ack { id: 2, sequence: 0, offset: 2, optional: true }, truncated]);
}

#[test]
fn a_stream_that_brings_nothing_more_is_given_up_in_time() {
    let mut receiver = Receiver::new(ReceiverLimits::default());
    give(&mut receiver, start(), &chunk(1, 0, StreamKind::Chunk), b"x");
    assert_eq!(receiver.next_deadline(), Some(start() + READ_TIMEOUT));
    assert!(receiver.advance(start() + READ_TIMEOUT - Duration::from_millis(1)).is_empty());
    let stalled = receiver.advance(start() + READ_TIMEOUT);
    assert_eq!(stalled, [Received::Failed { request_id: None, error: StreamError::Stalled }]);
    assert_eq!(receiver.unfinished(), 0);
}
