//! Taking known fields out of a JSON object; what is left is `extra`.

use std::time::{Duration, SystemTime};

use flare_wire::hci::JsonObject;
use serde_json::Value;

/// A JSON object on its way into a typed result. A field is taken only when it has the expected shape.
pub(crate) struct Fields(JsonObject);

impl Fields {
    pub(crate) fn of(object: JsonObject) -> Self {
        Self(object)
    }

    /// What was not taken.
    pub(crate) fn extra(self) -> JsonObject {
        self.0
    }

    /// Takes `key` if `read` makes something of its value.
    fn take<T>(&mut self, key: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
        let value = read(self.0.get(key)?)?;
        // `shift_remove` keeps the order of the other keys.
        self.0.shift_remove(key);
        Some(value)
    }

    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        self.take(key, |value| value.as_str().map(str::to_owned))
    }

    pub(crate) fn flag(&mut self, key: &str) -> Option<bool> {
        self.take(key, Value::as_bool)
    }

    pub(crate) fn count(&mut self, key: &str) -> Option<u64> {
        self.take(key, Value::as_u64)
    }

    pub(crate) fn object(&mut self, key: &str) -> Option<JsonObject> {
        self.take(key, |value| value.as_object().cloned())
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        self.take(key, |value| value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect())
    }

    /// A list of objects, each read by `read`. One item that is no object leaves the whole list in `extra`.
    pub(crate) fn objects<T>(&mut self, key: &str, read: impl Fn(JsonObject) -> T) -> Option<Vec<T>> {
        self.take(key, |value| value.as_array()?.iter().map(|item| item.as_object().cloned().map(&read)).collect())
    }

    /// Seconds since the Unix epoch.
    pub(crate) fn time(&mut self, key: &str) -> Option<SystemTime> {
        self.take(key, |value| {
            let since_epoch = Duration::try_from_secs_f64(value.as_f64()?).ok()?;
            SystemTime::UNIX_EPOCH.checked_add(since_epoch)
        })
    }

    /// A duration as Python prints it: `0:00:13.787281`, `2 days, 3:04:05`. `N/A` stays where it is.
    pub(crate) fn duration(&mut self, key: &str) -> Option<Duration> {
        self.take(key, |value| python_duration(value.as_str()?))
    }
}

fn python_duration(text: &str) -> Option<Duration> {
    const DAY: u64 = 86_400;
    let (days, clock) = match text.split_once(", ") {
        Some((days, clock)) => (days.split_once(' ')?.0.parse::<u64>().ok()?, clock),
        None => (0, text),
    };
    let mut parts = clock.split(':');
    let hours: u64 = parts.next()?.parse().ok()?;
    let minutes: u64 = parts.next()?.parse().ok()?;
    let seconds = Duration::try_from_secs_f64(parts.next()?.parse().ok()?).ok()?;
    if parts.next().is_some() {
        return None;
    }
    let whole = days.checked_mul(DAY)?.checked_add(hours.checked_mul(3600)?)?.checked_add(minutes.checked_mul(60)?)?;
    Duration::from_secs(whole).checked_add(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: Value) -> Fields {
        Fields::of(value.as_object().unwrap().clone())
    }

    #[test]
    fn a_field_of_another_shape_stays_in_extra() {
        let mut fields = fields(json!({"name": 5, "status": "x", "new": null}));
        assert_eq!(fields.text("name"), None);
        assert_eq!(fields.text("status").as_deref(), Some("x"));
        assert_eq!(Value::Object(fields.extra()), json!({"name": 5, "new": null}));
    }

    #[test]
    fn durations_are_read_as_python_prints_them() {
        let read = |text: &str| fields(json!({"d": text})).duration("d");
        assert_eq!(read("0:00:13.787281"), Some(Duration::from_micros(13_787_281)));
        assert_eq!(read("1 day, 2:03:04"), Some(Duration::from_secs(93_784)));
        assert_eq!(read("N/A"), None);
        assert_eq!(read("99999999999999999999 days, 0:00:00"), None);
        assert_eq!(read("1:2:-3"), None);
        assert_eq!(read("1:2:nan"), None);
    }

    #[test]
    fn impossible_times_stay_in_extra() {
        let mut fields = fields(json!({"a": -1.0, "b": 1e300, "c": 1.5}));
        assert_eq!((fields.time("a"), fields.time("b")), (None, None));
        assert_eq!(fields.time("c"), Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1500)));
        assert_eq!(fields.extra().len(), 2);
    }
}
