//! The two things that are not pure: the clock, and randomness that nobody can foresee.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use flare_wire::{Moment, Randomness};
use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::pki::PkiError;

/// A clock that starts at the wall-clock time and from there on never runs backwards.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Moment,
    started: Instant,
}

impl Clock {
    /// Reads the wall clock once.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads a clock")]
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { origin: Moment::from_unix(since_epoch), started: Instant::now() }
    }

    /// The time now.
    pub(crate) fn now(self) -> Moment {
        self.origin + self.started.elapsed()
    }

    /// The same moment on the clock of the runtime's timers.
    pub(crate) fn instant(self, moment: Moment) -> Instant {
        let since_start = moment.since(self.origin);
        // A deadline too far away to be expressed is one that nobody will see.
        const FAR: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 60 * 60);
        self.started + since_start.min(FAR)
    }
}

/// Randomness seeded by the operating system: fit for tokens, nonces and serial numbers.
pub(crate) fn randomness() -> Result<Randomness, PkiError> {
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed).map_err(|error| PkiError::Generation(error.to_string()))?;
    Ok(Randomness::from_seed(seed))
}
