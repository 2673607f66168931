//! Requests that wait for their replies.

use std::collections::HashMap;
use std::time::Duration;

use super::outbox::Outbox;
use crate::error::{RequestError, RequestPhase};
use crate::{Moment, Randomness};

/// Most requests under way on one connection; a caller that has more is waiting for something that does not come.
pub(super) const MAX_IN_FLIGHT: usize = 1024;

/// One request of ours on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(u64);

/// How a reply names its request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Correlation {
    /// By `cn__req_id`.
    Plain(String),
    /// By `sm__ri`.
    Streamed(String),
}

struct Pending {
    correlation: Correlation,
    destination: String,
    timeout: Duration,
    last_progress: Moment,
    receiving: bool,
    /// Its last part is held back, so that nothing can come of it and its time does not run.
    is_held: bool,
}

/// All requests under way, and the ids of new ones.
pub(super) struct Exchange {
    random: Randomness,
    next_id: u64,
    next_stream_id: u64,
    pending: HashMap<RequestId, Pending>,
    by_correlation: HashMap<Correlation, RequestId>,
}

impl Exchange {
    pub(super) fn new(mut random: Randomness, now: Moment) -> Self {
        // Stream ids start at a clock value, so that those of an earlier connection of the same endpoint are not
        // taken for repeats; a random part keeps two starts within a microsecond apart. They stay below 2^63,
        // which every msgpack reader holds in a signed integer.
        let micros = u64::try_from(now.since_epoch().as_micros()).unwrap_or(0) & (u64::MAX >> 2);
        let next_stream_id = micros + (random.number() & 0xffff);
        Self { random, next_id: 0, next_stream_id, pending: HashMap::new(), by_correlation: HashMap::new() }
    }

    pub(super) fn next_stream_id(&mut self) -> u64 {
        self.next_stream_id += 1;
        self.next_stream_id
    }

    pub(super) fn begin_plain(
        &mut self,
        now: Moment,
        destination: &str,
        timeout: Duration,
    ) -> Result<(RequestId, String), RequestError> {
        let request_id = self.random.uuid();
        let id = self.begin(now, Correlation::Plain(request_id.clone()), destination, timeout)?;
        Ok((id, request_id))
    }

    pub(super) fn begin_streamed(
        &mut self,
        now: Moment,
        destination: &str,
        timeout: Duration,
    ) -> Result<(RequestId, String), RequestError> {
        let request_id = self.random.uuid();
        let id = self.begin(now, Correlation::Streamed(request_id.clone()), destination, timeout)?;
        Ok((id, request_id))
    }

    fn begin(
        &mut self,
        now: Moment,
        correlation: Correlation,
        destination: &str,
        timeout: Duration,
    ) -> Result<RequestId, RequestError> {
        if self.pending.len() >= MAX_IN_FLIGHT {
            return Err(RequestError::TooManyRequests);
        }
        let id = RequestId(self.next_id);
        self.next_id += 1;
        self.by_correlation.insert(correlation.clone(), id);
        let destination = destination.to_owned();
        let pending =
            Pending { correlation, destination, timeout, last_progress: now, receiving: false, is_held: false };
        self.pending.insert(id, pending);
        Ok(id)
    }

    fn remove(&mut self, id: RequestId) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        self.by_correlation.remove(&pending.correlation);
        Some(pending)
    }

    /// Ends a request when the cell it was addressed to is the one that answers.
    fn finish(&mut self, correlation: &Correlation, origin: &str) -> Option<RequestId> {
        let id = *self.by_correlation.get(correlation)?;
        if self.pending.get(&id)?.destination != origin {
            return None;
        }
        self.remove(id);
        Some(id)
    }

    pub(super) fn finish_plain(&mut self, request_id: &str, origin: &str) -> Option<RequestId> {
        self.finish(&Correlation::Plain(request_id.to_owned()), origin)
    }

    pub(super) fn finish_streamed(&mut self, request_id: &str, origin: &str) -> Option<RequestId> {
        self.finish(&Correlation::Streamed(request_id.to_owned()), origin)
    }

    /// Ends a request that came back, from whichever cell.
    pub(super) fn finish_returned(&mut self, request_id: &str) -> Option<RequestId> {
        let id = *self.by_correlation.get(&Correlation::Plain(request_id.to_owned()))?;
        self.remove(id).map(|_| id)
    }

    pub(super) fn abandon_streamed(&mut self, request_id: &str) -> Option<RequestId> {
        let id = *self.by_correlation.get(&Correlation::Streamed(request_id.to_owned()))?;
        self.remove(id).map(|_| id)
    }

    /// Ends a request; gives the id that its stream carries when that is held back.
    pub(super) fn cancel(&mut self, id: RequestId) -> Option<String> {
        match self.remove(id)? {
            Pending { correlation: Correlation::Streamed(request_id), is_held: true, .. } => Some(request_id),
            _ => None,
        }
    }

    /// The last part of a request is held back from now on.
    pub(super) fn hold(&mut self, id: RequestId) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.is_held = true;
        }
    }

    /// The last part of a request goes now; gives the id that its stream carries.
    pub(super) fn release(&mut self, now: Moment, id: RequestId) -> Option<&str> {
        let pending = self.pending.get_mut(&id).filter(|pending| pending.is_held)?;
        pending.is_held = false;
        pending.last_progress = now;
        match &pending.correlation {
            Correlation::Streamed(request_id) => Some(request_id),
            Correlation::Plain(_) => None,
        }
    }

    pub(super) fn drain(&mut self) -> Vec<RequestId> {
        self.by_correlation.clear();
        let mut ids: Vec<RequestId> = self.pending.drain().map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids
    }

    fn touch(&mut self, now: Moment, request_id: &str, receiving: bool) {
        let Some(id) = self.by_correlation.get(&Correlation::Streamed(request_id.to_owned())) else { return };
        if let Some(pending) = self.pending.get_mut(id) {
            pending.last_progress = now;
            pending.receiving |= receiving;
        }
    }

    /// A part of the request was acknowledged.
    pub(super) fn progress(&mut self, now: Moment, request_id: &str) {
        self.touch(now, request_id, false);
    }

    /// A part of the reply came.
    pub(super) fn receiving(&mut self, now: Moment, request_id: &str) {
        self.touch(now, request_id, true);
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        let moving = self.pending.values().filter(|pending| !pending.is_held);
        moving.map(|pending| pending.last_progress + pending.timeout).min()
    }

    /// Ends the requests whose time is over, in the order they were made.
    pub(super) fn expire(&mut self, now: Moment, outbox: &Outbox) -> Vec<(RequestId, RequestError)> {
        let mut due: Vec<RequestId> = self
            .pending
            .iter()
            .filter(|(_, pending)| !pending.is_held && now >= pending.last_progress + pending.timeout)
            .map(|(id, _)| *id)
            .collect();
        due.sort_unstable();
        due.into_iter()
            .filter_map(|id| {
                let pending = self.remove(id)?;
                let phase = match &pending.correlation {
                    _ if pending.receiving => RequestPhase::Receiving,
                    Correlation::Streamed(request_id) if outbox.is_sending(request_id) => RequestPhase::Sending,
                    _ => RequestPhase::Waiting,
                };
                Some((id, RequestError::TimedOut { phase, after: pending.timeout }))
            })
            .collect()
    }
}
