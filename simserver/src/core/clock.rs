//! Wall-clock texts in the server's local time, as the several commands print them.

use flare_wire::Moment;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// `ls` shows the time of day for files younger than this, and the year for older ones: half a mean year.
const RECENT_SECONDS: u64 = 31_556_952 / 2;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The local time of a server: a fixed distance from UTC.
///
/// ```
/// use std::time::Duration;
///
/// use flare_simserver::core::LocalTime;
/// use flare_wire::Moment;
///
/// let moment = Moment::from_unix(Duration::from_micros(1_795_308_303_216_417));
/// assert_eq!(LocalTime::UTC.stamp(moment), "2026-11-22 00:45:03.216417");
/// assert_eq!(LocalTime::hours(2).asctime(moment), "Sun Nov 22 02:45:03 2026");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    offset: Offset,
}

impl LocalTime {
    /// UTC.
    pub const UTC: Self = Self { offset: Offset::UTC };

    /// `hours` east of UTC.
    #[must_use]
    pub fn hours(hours: i8) -> Self {
        Self { offset: Offset::constant(hours.clamp(-25, 25)) }
    }

    /// At this distance from UTC.
    #[must_use]
    pub const fn with_offset(offset: Offset) -> Self {
        Self { offset }
    }

    /// Its distance from UTC.
    #[must_use]
    pub const fn offset(&self) -> Offset {
        self.offset
    }

    /// `2026-11-22 00:45:03.216417`, without the fraction when it is zero: Python's `str(datetime)`.
    #[must_use]
    pub fn stamp(&self, moment: Moment) -> String {
        let seconds = self.seconds(moment);
        match moment.since_epoch().subsec_micros() {
            0 => seconds,
            micros => format!("{seconds}.{micros:06}"),
        }
    }

    /// `2026-11-22 00:45:03`.
    #[must_use]
    pub fn seconds(&self, moment: Moment) -> String {
        let at = self.civil(moment);
        let (date, time) = (at.date(), at.time());
        format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            date.year(),
            date.month(),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        )
    }

    /// `2026-11-22 00:45:03,216`, as log files have it.
    #[must_use]
    pub fn log(&self, moment: Moment) -> String {
        format!("{},{:03}", self.seconds(moment), moment.since_epoch().subsec_millis())
    }

    /// `Sun Nov 22 00:45:03 2026`: C's `asctime`.
    #[must_use]
    pub fn asctime(&self, moment: Moment) -> String {
        let at = self.civil(moment);
        format!(
            "{} {} {:2} {:02}:{:02}:{:02} {}",
            DAYS[usize::from(at.weekday().to_monday_zero_offset().unsigned_abs())],
            month(at),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.year()
        )
    }

    /// `Nov 22 00:45` or `Nov 22  2025`: the time column of `ls -l` that is printed at `now`.
    #[must_use]
    pub fn listing(&self, moment: Moment, now: Moment) -> String {
        let at = self.civil(moment);
        let date = format!("{} {:2}", month(at), at.day());
        if moment <= now && now.since(moment).as_secs() < RECENT_SECONDS {
            format!("{date} {:02}:{:02}", at.hour(), at.minute())
        } else {
            format!("{date}  {}", at.year())
        }
    }

    fn civil(&self, moment: Moment) -> DateTime {
        let since = moment.since_epoch();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let nanos = i32::try_from(since.subsec_nanos()).unwrap_or_default();
        let timestamp = Timestamp::new(seconds, nanos).unwrap_or(Timestamp::MAX);
        self.offset.to_datetime(timestamp)
    }
}

fn month(at: DateTime) -> &'static str {
    MONTHS[usize::from(at.month().unsigned_abs()) - 1]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn moment(micros: u64) -> Moment {
        Moment::from_unix(Duration::from_micros(micros))
    }

    #[test]
    fn a_whole_second_has_no_fraction_in_a_stamp() {
        assert_eq!(LocalTime::UTC.stamp(moment(1_795_308_303_000_000)), "2026-11-22 00:45:03");
        assert_eq!(LocalTime::hours(-1).log(moment(1_795_308_303_007_900)), "2026-11-21 23:45:03,007");
    }

    #[test]
    fn days_of_one_digit_are_padded_with_a_blank() {
        assert_eq!(LocalTime::UTC.asctime(moment(1_793_494_800_000_000)), "Sun Nov  1 01:00:00 2026");
    }

    #[test]
    fn old_and_future_files_show_the_year() {
        let now = moment(1_795_308_303_000_000);
        let half_a_year = Duration::from_secs(RECENT_SECONDS);
        assert_eq!(LocalTime::UTC.listing(now, now), "Nov 22 00:45");
        assert_eq!(LocalTime::UTC.listing(now - half_a_year, now), "May 23  2026");
        assert_eq!(LocalTime::UTC.listing(now + Duration::from_secs(60), now), "Nov 22  2026");
    }

    #[test]
    fn moments_beyond_the_calendar_are_shown_as_its_last() {
        assert!(LocalTime::UTC.stamp(Moment::from_unix(Duration::MAX)).starts_with("9999-"));
    }
}
