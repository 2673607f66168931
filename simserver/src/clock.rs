//! The simulated time: real, faster than real, or moved by hand.
//!
//! Everything that the simulation does by itself (looks of the scheduler, runs, answers of slow sites, the end of
//! idle sessions) goes by it. Connections keep to the real time, for there is a real peer at their other end.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use flare_wire::Moment;

use crate::ambient::Clock;

/// The fastest clock: a day passes in a tenth of a second. Beyond, requests and time would not keep any order.
const MAX_FACTOR: f64 = 1_000_000.0;

/// How the simulated time passes.
///
/// ```
/// use flare_simserver::ClockMode;
///
/// assert_eq!("scaled=20".parse(), Ok(ClockMode::Scaled(20.0)));
/// assert_eq!("manual".parse(), Ok(ClockMode::Manual));
/// assert!("scaled=-1".parse::<ClockMode>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum ClockMode {
    /// As the real time does.
    #[default]
    Real,
    /// This many times as fast as the real time; above zero and at most a million.
    Scaled(f64),
    /// Only when it is told to: by `SimServer::skip_time` and the `jump` methods.
    Manual,
}

/// A text or a number that is no clock mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadClockMode(String);

impl ClockMode {
    /// # Errors
    /// [`BadClockMode`] for a factor that is out of range.
    pub(crate) fn checked(self) -> Result<Self, BadClockMode> {
        match self {
            // Not a number is in no range.
            Self::Scaled(factor) if !(factor > 0.0 && factor <= MAX_FACTOR) => Err(BadClockMode(self.to_string())),
            _ => Ok(self),
        }
    }
}

impl FromStr for ClockMode {
    type Err = BadClockMode;

    fn from_str(text: &str) -> Result<Self, BadClockMode> {
        let bad = || BadClockMode(text.to_owned());
        match text {
            "real" => Ok(Self::Real),
            "manual" => Ok(Self::Manual),
            _ => {
                let factor = text.strip_prefix("scaled=").ok_or_else(bad)?;
                Self::Scaled(factor.parse().map_err(|_| bad())?).checked()
            }
        }
    }
}

impl fmt::Display for ClockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real => f.write_str("real"),
            Self::Scaled(factor) => write!(f, "scaled={factor}"),
            Self::Manual => f.write_str("manual"),
        }
    }
}

impl fmt::Display for BadClockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no clock: real, manual, or scaled=FACTOR with a factor from 0 to {MAX_FACTOR}", self.0)
    }
}

impl std::error::Error for BadClockMode {}

/// The simulated time of one server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SimulatedClock {
    mode: ClockMode,
    real: Clock,
    /// Where both clocks showed the same.
    origin: Moment,
    /// How far the simulated time was moved beyond what it is by itself.
    ahead: Duration,
}

/// When the simulation has to look at itself again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// At once.
    Now,
    /// Then, on the clock of the runtime's timers.
    At(Instant),
    /// Not before somebody moves the time.
    Never,
}

impl SimulatedClock {
    /// A clock that shows the present time.
    pub(crate) fn new(mode: ClockMode, real: Clock) -> Self {
        Self { mode, real, origin: real.now(), ahead: Duration::ZERO }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Moment {
        self.at(self.real.now())
    }

    /// When something that is due at `deadline` has to be done.
    pub(crate) fn wake(&self, deadline: Moment) -> Wake {
        if deadline <= self.now() {
            return Wake::Now;
        }
        let by_itself = (deadline - self.ahead).since(self.origin);
        match self.mode {
            ClockMode::Real => Wake::At(self.real.instant(self.origin + by_itself)),
            ClockMode::Scaled(factor) => Wake::At(self.real.instant(self.origin + times(by_itself, factor.recip()))),
            ClockMode::Manual => Wake::Never,
        }
    }

    /// Moves the time ahead.
    pub(crate) fn skip(&mut self, time: Duration) {
        self.ahead = self.ahead.saturating_add(time);
    }

    /// Moves the time to `moment`, unless that is in the past.
    pub(crate) fn skip_to(&mut self, moment: Moment) {
        self.skip(moment.since(self.now()));
    }

    fn at(&self, real: Moment) -> Moment {
        let passed = match self.mode {
            ClockMode::Real => real.since(self.origin),
            ClockMode::Scaled(factor) => times(real.since(self.origin), factor),
            ClockMode::Manual => Duration::ZERO,
        };
        self.origin + passed + self.ahead
    }
}

/// A product that is too long for a [`Duration`] is one that nobody will see the end of.
fn times(time: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn clock(mode: ClockMode) -> SimulatedClock {
        SimulatedClock::new(mode, Clock::start())
    }

    #[test]
    fn modes_are_written_as_they_are_read() {
        for mode in [ClockMode::Real, ClockMode::Manual, ClockMode::Scaled(0.5), ClockMode::Scaled(1_000_000.0)] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        for text in ["", "Real", "scaled", "scaled=", "scaled=x", "scaled=0", "scaled=NaN", "scaled=inf", "scaled=1e7"]
        {
            assert!(text.parse::<ClockMode>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let mut clock = clock(ClockMode::Manual);
        let start = clock.now();
        assert_eq!(clock.wake(start + HOUR), Wake::Never);
        clock.skip(HOUR);
        assert_eq!(clock.now(), start + HOUR);
        assert_eq!(clock.wake(start + HOUR), Wake::Now);
        clock.skip_to(start + HOUR / 2);
        assert_eq!(clock.now(), start + HOUR, "time does not run backwards");
        clock.skip_to(start + 3 * HOUR);
        assert_eq!(clock.now(), start + 3 * HOUR);
    }

    #[test]
    fn a_scaled_clock_shows_a_multiple_of_the_time_that_passed() {
        let mut clock = clock(ClockMode::Scaled(20.0));
        let after = |clock: &SimulatedClock, real: Duration| clock.at(clock.origin + real).since(clock.origin);
        assert_eq!(after(&clock, HOUR), 20 * HOUR);
        clock.skip(HOUR);
        assert_eq!(after(&clock, HOUR), 21 * HOUR);
    }

    #[test]
    fn a_deadline_comes_at_its_time_on_every_clock_that_runs() {
        for mode in [ClockMode::Real, ClockMode::Scaled(20.0), ClockMode::Scaled(0.1)] {
            let mut clock = clock(mode);
            clock.skip(HOUR);
            let deadline = clock.origin + 2 * HOUR;
            let Wake::At(instant) = clock.wake(deadline) else { panic!("{mode}: it does not come") };
            let factor = if let ClockMode::Scaled(factor) = mode { factor } else { 1.0 };
            let wait = instant.duration_since(clock.real.instant(clock.origin));
            assert!(wait.abs_diff(times(HOUR, factor.recip())) < Duration::from_millis(1), "{mode}: {wait:?}");
        }
    }
}
