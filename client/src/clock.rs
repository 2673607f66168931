//! The one reading of the clock and of the system's randomness: everything below gets both as arguments.

use std::time::{Duration, SystemTime};

use flare_wire::{Moment, Randomness};
use rand::TryRng as _;
use tokio::time::Instant;

use crate::{Error, ErrorKind};

/// The wall clock as it was once, plus the time that has passed since: it never runs backwards.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    wall: Moment,
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { wall: Moment::from_unix(wall), started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Moment {
        self.wall + self.started.elapsed()
    }

    pub(crate) fn instant(&self, moment: Moment) -> Instant {
        later(self.started, moment.since(self.wall))
    }
}

/// The time for those who want to wait for ever: thirty years.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The moment after such a time. A caller may say "for ever" with a time that no clock can show.
pub(crate) fn after(time: Duration) -> Instant {
    later(Instant::now(), time)
}

fn later(start: Instant, time: Duration) -> Instant {
    start + time.min(FAR)
}

/// Randomness from the operating system.
pub(crate) fn randomness() -> Result<Randomness, Error> {
    let mut seed = [0; 32];
    rand::rngs::SysRng
        .try_fill_bytes(&mut seed)
        .map_err(|error| Error::new(ErrorKind::Unsupported, "the system gives no randomness").with_source(error))?;
    Ok(Randomness::from_seed(seed))
}
