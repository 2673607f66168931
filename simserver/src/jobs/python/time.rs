//! Times and durations as Python's `datetime` prints them.

use std::time::Duration;

use flare_wire::Moment;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// `2026-11-22T00:45:03.216417+00:00` at a fixed distance from UTC; without the fraction when it is zero.
#[must_use]
pub fn iso_local(moment: Moment, offset: Offset) -> String {
    // Python rounds a time to microseconds before it prints one.
    let at = civil(moment + Duration::from_nanos(500), offset);
    let micros = at.subsec_nanosecond() / 1000;
    let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
    let seconds = offset.seconds();
    let (sign, distance) = if seconds < 0 { ('-', seconds.unsigned_abs()) } else { ('+', seconds.unsigned_abs()) };
    let (hours, minutes, rest) = (distance / 3600, distance / 60 % 60, distance % 60);
    let tail = if rest == 0 { String::new() } else { format!(":{rest:02}") };
    format!("{}T{}{fraction}{sign}{hours:02}:{minutes:02}{tail}", date(at), time(at))
}

/// `2026-11-22T00:45:03.216417+00:00`.
#[must_use]
pub fn iso_utc(moment: Moment) -> String {
    iso_local(moment, Offset::UTC)
}

/// `2026-11-22 00:45:03.216417`: how releases before 2.9 tell when a job started.
#[must_use]
pub fn local_micros(moment: Moment, offset: Offset) -> String {
    let at = civil(moment + Duration::from_nanos(500), offset);
    format!("{} {}.{:06}", date(at), time(at), at.subsec_nanosecond() / 1000)
}

/// `2026-11-22 00:45:03`: how schedule histories tell the time.
#[must_use]
pub fn local_seconds(moment: Moment, offset: Offset) -> String {
    let at = civil(moment, offset);
    format!("{} {}", date(at), time(at))
}

/// The moment of a text that [`iso_utc`] or [`iso_local`] wrote.
#[must_use]
pub fn moment_of_iso(text: &str) -> Option<Moment> {
    let timestamp: Timestamp = text.parse().ok()?;
    let nanos = u64::try_from(timestamp.as_nanosecond()).ok()?;
    Some(Moment::from_unix(Duration::from_nanos(nanos)))
}

/// `0:00:14.815252`, `1 day, 0:00:01`: `str(timedelta)`.
#[must_use]
pub fn timedelta(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let days = match days {
        0 => String::new(),
        1 => "1 day, ".to_owned(),
        days => format!("{days} days, "),
    };
    let fraction = match duration.subsec_micros() {
        0 => String::new(),
        micros => format!(".{micros:06}"),
    };
    format!("{days}{hours}:{minutes:02}:{:02}{fraction}", seconds % 60)
}

fn civil(moment: Moment, offset: Offset) -> DateTime {
    let since = moment.since_epoch();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let nanos = i32::try_from(since.subsec_nanos()).unwrap_or_default();
    offset.to_datetime(Timestamp::new(seconds, nanos).unwrap_or(Timestamp::MAX))
}

fn date(at: DateTime) -> String {
    format!("{:04}-{:02}-{:02}", at.year(), at.month(), at.day())
}

fn time(at: DateTime) -> String {
    format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: Duration = Duration::from_micros(1_795_308_677_074_105);

    #[test]
    fn times_have_the_recorded_shapes() {
        let moment = Moment::from_unix(RECORDED);
        assert_eq!(iso_utc(moment), "2026-11-22T00:51:17.074105+00:00");
        assert_eq!(iso_local(moment, Offset::constant(-5)), "2026-11-21T19:51:17.074105-05:00");
        assert_eq!(local_seconds(moment, Offset::UTC), "2026-11-22 00:51:17");
        let whole = Moment::from_unix(Duration::from_secs(RECORDED.as_secs()));
        assert_eq!(iso_utc(whole), "2026-11-22T00:51:17+00:00");
    }

    #[test]
    fn a_written_time_is_read_back() {
        let moment = Moment::from_unix(RECORDED);
        assert_eq!(moment_of_iso(&iso_local(moment, Offset::constant(9))), Some(moment));
        assert_eq!(moment_of_iso(""), None);
    }

    #[test]
    fn durations_are_printed_as_a_timedelta() {
        for (micros, text) in [
            (14_815_252, "0:00:14.815252"),
            (14_000_000, "0:00:14"),
            (86_401_500_000, "1 day, 0:00:01.500000"),
            (3 * 86_400_000_000 + 45_296_000_007, "3 days, 12:34:56.000007"),
        ] {
            assert_eq!(timedelta(Duration::from_micros(micros)), text);
        }
    }
}
