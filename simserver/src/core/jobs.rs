//! Stored jobs: their meta, as the server keeps it.

use flare_wire::Moment;
use flare_wire::hci::JsonObject;
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::Value;

use super::LocalTime;
use super::studies::study_of;

const RUNNING: &str = "RUNNING";

/// The stored jobs. No job runs yet, so they do not change.
#[derive(Debug, Clone, Default)]
pub struct Jobs {
    metas: Vec<JsonObject>,
}

impl Jobs {
    /// Jobs with these metas.
    #[must_use]
    pub const fn new(metas: Vec<JsonObject>) -> Self {
        Self { metas }
    }

    /// The metas, in the order in which they were stored.
    #[must_use]
    pub fn metas(&self) -> &[JsonObject] {
        &self.metas
    }

    /// The meta of one job.
    #[must_use]
    pub fn meta(&self, id: &str) -> Option<&JsonObject> {
        self.metas.iter().find(|meta| text(meta, "job_id") == id)
    }
}

/// A text of a meta; empty when it is not there or no text.
#[must_use]
pub fn text<'a>(meta: &'a JsonObject, key: &str) -> &'a str {
    meta.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// `meta` with its study filled in.
#[must_use]
pub fn with_study(meta: &JsonObject) -> JsonObject {
    let mut full = meta.clone();
    full.insert("study".to_owned(), study_of(meta).into());
    full
}

/// Sets the duration of a job that is running at `now`; others keep what is stored.
pub fn set_live_duration(meta: &mut JsonObject, now: Moment, clock: LocalTime) {
    if text(meta, "status") != RUNNING {
        return;
    }
    let Some(started) = parse_start(text(meta, "start_time"), clock) else { return };
    let micros = i128::try_from(now.since_epoch().as_micros()).unwrap_or(i128::MAX) - started;
    meta.insert("duration".to_owned(), timedelta(micros).into());
}

/// Microseconds from the epoch to the start: with an offset as written, without one in local time.
fn parse_start(text: &str, clock: LocalTime) -> Option<i128> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(i128::from(timestamp.as_microsecond()));
    }
    clock.timestamp(text.parse::<DateTime>().ok()?).map(|timestamp| i128::from(timestamp.as_microsecond()))
}

/// Python's `str(timedelta)`.
fn timedelta(micros: i128) -> String {
    const DAY: i128 = 24 * 60 * 60 * 1_000_000;
    let (days, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
    let mut text = match days {
        0 => String::new(),
        1 | -1 => format!("{days} day, "),
        _ => format!("{days} days, "),
    };
    text.push_str(&format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
    if fraction > 0 {
        text.push_str(&format!(".{fraction:06}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn durations_look_as_in_python() {
        for (micros, text) in [
            (14_815_252, "0:00:14.815252"),
            (60_000_000, "0:01:00"),
            (86_401_500_000, "1 day, 0:00:01.500000"),
            (200_000_000_000, "2 days, 7:33:20"),
            (-1_000_000, "-1 day, 23:59:59"),
        ] {
            assert_eq!(timedelta(micros), text);
        }
    }

    #[test]
    fn the_duration_of_a_running_job_grows() {
        let now = Moment::from_unix(Duration::from_micros(1_795_308_681_893_073));
        for (start, clock) in [
            ("2026-11-22T00:51:17.683347+00:00", LocalTime::hours(5)),
            ("2026-11-22T01:51:17.683347", LocalTime::hours(1)),
            ("2026-11-22 01:51:17.683347", LocalTime::hours(1)),
        ] {
            let Value::Object(mut meta) = json!({"status": "RUNNING", "start_time": start, "duration": "N/A"}) else {
                unreachable!()
            };
            set_live_duration(&mut meta, now, clock);
            assert_eq!(text(&meta, "duration"), "0:00:04.209726");
        }
    }

    #[test]
    fn other_jobs_keep_their_duration() {
        for (status, start) in [("FINISHED:COMPLETED", "2026-11-22T00:51:17+00:00"), ("RUNNING", "")] {
            let Value::Object(mut meta) = json!({"status": status, "start_time": start, "duration": "N/A"}) else {
                unreachable!()
            };
            set_live_duration(&mut meta, Moment::from_unix(Duration::from_secs(1_795_308_681)), LocalTime::UTC);
            assert_eq!(text(&meta, "duration"), "N/A");
        }
    }
}
