//! The server's housekeeping: a look at everything every five seconds.

use std::time::Duration;

use flare_wire::Moment;

/// Sessions and registrations are looked at this often, counted from the start.
const INTERVAL: Duration = Duration::from_secs(5);

/// When the looks take place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passes {
    started: Moment,
}

impl Passes {
    pub(super) const fn new(started: Moment) -> Self {
        Self { started }
    }

    /// The first look at or after `moment`.
    pub(super) fn first_from(self, moment: Moment) -> Moment {
        let since = moment.since(self.started).as_nanos();
        let nanos = since.div_ceil(INTERVAL.as_nanos()) * INTERVAL.as_nanos();
        // More than five centuries after the start nobody looks any more.
        self.started + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The first look after `moment`.
    pub(super) fn first_after(self, moment: Moment) -> Moment {
        self.first_from(moment + Duration::from_nanos(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_five_seconds_apart() {
        let started = Moment::from_unix(Duration::from_millis(1_500));
        let passes = Passes::new(started);
        let after = |millis: u64| started + Duration::from_millis(millis);
        assert_eq!(passes.first_from(started), started);
        assert_eq!(passes.first_from(after(1)), after(5_000));
        assert_eq!(passes.first_from(after(5_000)), after(5_000));
        assert_eq!(passes.first_after(after(5_000)), after(10_000));
        assert_eq!(passes.first_from(Moment::default()), started);
    }
}
