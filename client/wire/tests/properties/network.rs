//! A network in memory that delays, reorders, repeats and loses what it carries, all from one seed.

use std::collections::BTreeMap;
use std::time::Duration;

use flare_wire::{Moment, Randomness};
use proptest::prelude::*;

/// What a network does to its traffic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    /// Of a hundred messages so many are lost.
    pub(crate) loss: u64,
    /// Of a hundred messages so many arrive twice.
    pub(crate) repeat: u64,
    /// Longest delay; a later message overtakes an earlier one when its delay is shorter.
    pub(crate) delay: Duration,
}

impl Faults {
    /// Delays and repeats, but loses nothing.
    pub(crate) fn lossless() -> impl Strategy<Value = Self> {
        (0..50_u64, 0..4000_u64).prop_map(|(repeat, delay)| Self {
            loss: 0,
            repeat,
            delay: Duration::from_millis(delay),
        })
    }

    /// Also loses, up to four of five messages.
    pub(crate) fn lossy() -> impl Strategy<Value = Self> {
        (Self::lossless(), 0..80_u64).prop_map(|(faults, loss)| Self { loss, ..faults })
    }
}

/// One direction of a network.
pub(crate) struct Network<T> {
    faults: Faults,
    random: Randomness,
    sent: u64,
    under_way: BTreeMap<(Moment, u64), T>,
}

impl<T: Clone> Network<T> {
    pub(crate) fn new(faults: Faults, random: Randomness) -> Self {
        Self { faults, random, sent: 0, under_way: BTreeMap::new() }
    }

    fn happens(&mut self, percent: u64) -> bool {
        self.random.number() % 100 < percent
    }

    pub(crate) fn send(&mut self, now: Moment, message: &T) {
        if self.happens(self.faults.loss) {
            return;
        }
        let copies = if self.happens(self.faults.repeat) { 2 } else { 1 };
        for _ in 0..copies {
            let longest = u64::try_from(self.faults.delay.as_millis()).unwrap();
            let delay = Duration::from_millis(self.random.number() % (longest + 1));
            self.sent += 1;
            self.under_way.insert((now + delay, self.sent), message.clone());
        }
    }

    /// The next message that is there at `now`.
    pub(crate) fn deliver(&mut self, now: Moment) -> Option<T> {
        let entry = self.under_way.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    pub(crate) fn next_arrival(&self) -> Option<Moment> {
        self.under_way.keys().next().map(|(at, _)| *at)
    }
}
