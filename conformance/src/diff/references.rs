//! Says whether two replies are the same but for what no two federations share.
//!
//! Ids, moments, ports and paths differ between any two federations, yet they are no noise: the job id that one reply
//! told is the one that the next command names. So such values are not blanked. Each stands for its partner on the other
//! side: [`References`] keeps the pairs, one to one, and a value that later meets another partner is a difference.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::allowance::Allowances;

/// Longest text that a problem quotes from either side.
const MAX_QUOTED: usize = 300;

/// 2020-01-01 and 2100-01-01 in seconds since 1970: no federation that is compared here began before the one, and a
/// number of milliseconds lies after the other.
const PLAUSIBLE_MOMENTS: std::ops::Range<f64> = 1_577_836_800.0..4_102_444_800.0;

/// What is recognised inside any text, in this order.
pub(crate) static VOLATILE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?P<uuid>[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})",
        r"|(?P<moment>\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[+-]\d\d:\d\d|Z)?)",
        r"|(?P<asctime>\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
        r" [ \d]\d \d\d:\d\d:\d\d \d{4}\b)",
    ))
    .expect("the expression is a constant that the tests use")
});

/// Members that hold a moment as a number of seconds since 1970.
const MOMENT_MEMBERS: &[&str] =
    &["server_start_time", "start_time", "client_last_conn_time", "submit_time", "last_schedule_time", "deleted_time"];

/// Which value on the left stands for which on the right.
#[derive(Debug, Clone, Default)]
pub(crate) struct References {
    to_right: HashMap<String, String>,
    to_left: HashMap<String, String>,
}

impl References {
    /// Notes that the values stand for each other, or tells what speaks against it.
    fn pair(&mut self, left: &str, right: &str) -> Option<String> {
        let known_right = self.to_right.entry(left.to_owned()).or_insert_with(|| right.to_owned());
        let known_left = self.to_left.entry(right.to_owned()).or_insert_with(|| left.to_owned());
        if known_right != right {
            Some(format!("{left} stood for {known_right} before, now for {right}"))
        } else if known_left != left {
            Some(format!("{right} stood for {known_left} before, now for {left}"))
        } else {
            None
        }
    }

    /// A text of the left side with the ids of the right side.
    pub(crate) fn translated(&self, text: &str) -> String {
        let parts = Part::split(text).into_iter().map(|part| match part {
            Part::Id(id) => self.to_right.get(id).map_or(id, String::as_str),
            Part::Literal(text) | Part::Moment(text) => text,
        });
        parts.collect()
    }

    /// All places where two replies differ, each as a line that begins with its path.
    pub(crate) fn differences(&mut self, left: &Value, right: &Value, allowances: &Allowances) -> Vec<String> {
        let mut found = Vec::new();
        self.compare(left, right, allowances, "", &mut found);
        found
    }

    fn compare(&mut self, left: &Value, right: &Value, allowances: &Allowances, path: &str, found: &mut Vec<String>) {
        match (left, right) {
            (Value::Object(left), Value::Object(right)) => self.objects(left, right, allowances, path, found),
            (Value::Array(left), Value::Array(right)) => {
                let (one, other) = (left.len(), right.len());
                if one != other && !allowances.is_open(path) {
                    found.push(format!("{path}: {one} elements <> {other} elements"));
                }
                for (index, (left, right)) in left.iter().zip(right).enumerate() {
                    self.compare(left, right, allowances, &format!("{path}[{index}]"), found);
                }
            }
            (Value::String(left), Value::String(right)) => {
                if allowances.ignores_order(path)
                    && let (Ok(left @ Value::Object(_)), Ok(right)) =
                        (serde_json::from_str(left), serde_json::from_str(right))
                {
                    return self.compare(&left, &right, allowances, path, found);
                }
                if let Some(problem) = self.texts(left, right) {
                    let verdict = allowances.judge(path, left, right);
                    found.extend(
                        verdict.unwrap_or_else(|| vec![problem]).into_iter().map(|text| format!("{path}: {text}")),
                    );
                }
            }
            (Value::Number(left), Value::Number(right)) if is_moment_member(path) => {
                let plausible = |number: &serde_json::Number| {
                    number.as_f64().is_some_and(|seconds| PLAUSIBLE_MOMENTS.contains(&seconds))
                };
                if !plausible(left) || !plausible(right) {
                    found.push(format!("{path}: {left} or {right} is not a moment in seconds since 1970"));
                }
            }
            _ if left == right => {}
            _ => found.push(format!("{path}: {} <> {}", quoted(&left.to_string()), quoted(&right.to_string()))),
        }
    }

    fn objects(
        &mut self,
        left: &Map<String, Value>,
        right: &Map<String, Value>,
        allowances: &Allowances,
        path: &str,
        found: &mut Vec<String>,
    ) {
        if allowances.ignores_order(path) {
            let sorted = |object: &Map<String, Value>| {
                let mut entries: Vec<_> = object.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                entries.sort_by(|one, other| one.0.cmp(&other.0));
                entries.into_iter().collect::<Map<_, _>>()
            };
            let (left, right) = (sorted(left), sorted(right));
            return self.members(&left, &right, allowances, path, found);
        }
        self.members(left, right, allowances, path, found);
    }

    fn members(
        &mut self,
        left: &Map<String, Value>,
        right: &Map<String, Value>,
        allowances: &Allowances,
        path: &str,
        found: &mut Vec<String>,
    ) {
        // The order counts: the JSON text is built from it, and printed tables follow it. Names are compared as texts,
        // since some are ids.
        let (left_names, right_names): (Vec<_>, Vec<_>) = (left.keys().collect(), right.keys().collect());
        let same = left_names.len() == right_names.len()
            && left_names.iter().zip(&right_names).all(|(one, other)| self.texts(one, other).is_none());
        if !same {
            found.push(format!("{path}: members {left_names:?} <> {right_names:?}"));
        }
        for ((name, one), (other_name, other)) in left.iter().zip(right) {
            if same || name == other_name {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                self.compare(one, other, allowances, &path, found);
            }
        }
    }

    /// What is wrong with two texts, up to references and moments.
    fn texts(&mut self, left: &str, right: &str) -> Option<String> {
        if left == right && !VOLATILE.is_match(left) {
            return None;
        }
        let (left_parts, right_parts) = (Part::split(left), Part::split(right));
        let alike = left_parts.len() == right_parts.len()
            && left_parts.iter().zip(&right_parts).all(|(one, other)| one.has_shape_of(other));
        if !alike {
            return Some(format!("{} <> {}", quoted(left), quoted(right)));
        }
        let ids = left_parts.iter().zip(&right_parts).filter_map(|pair| match pair {
            (Part::Id(one), Part::Id(other)) => Some((*one, *other)),
            _ => None,
        });
        ids.filter_map(|(one, other)| self.pair(one, other)).next()
    }
}

/// True when the last member of a path holds a moment.
pub(crate) fn is_moment_member(path: &str) -> bool {
    path.rsplit('.').next().is_some_and(|member| MOMENT_MEMBERS.contains(&member))
}

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Literal(&'a str),
    Id(&'a str),
    /// A date and time, with the length of its fraction and what stands behind it.
    Moment(&'a str),
}

impl<'a> Part<'a> {
    fn split(text: &'a str) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut position = 0;
        for found in VOLATILE.captures_iter(text) {
            let Some(whole) = found.get(0) else { continue };
            if whole.start() > position {
                parts.push(Self::Literal(&text[position..whole.start()]));
            }
            let is_id = found.name("uuid").is_some();
            parts.push(if is_id { Self::Id(whole.as_str()) } else { Self::Moment(whole.as_str()) });
            position = whole.end();
        }
        if position < text.len() || parts.is_empty() {
            parts.push(Self::Literal(&text[position..]));
        }
        parts
    }

    /// Equal literals; ids and moments whatever they are, if moments are written in the same form.
    fn has_shape_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(one), Self::Literal(other)) => one == other,
            (Self::Id(_), Self::Id(_)) => true,
            (Self::Moment(one), Self::Moment(other)) => form_of(one) == form_of(other),
            _ => false,
        }
    }
}

/// The form of a moment: digits and letters become one of their kind, and a fraction is as good as none, since Python
/// leaves it out in the one microsecond of a second in which it is zero.
fn form_of(moment: &str) -> String {
    let (whole, rest) = moment.split_once('.').unwrap_or((moment, ""));
    let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let form = |text: &str| -> String {
        text.chars()
            .map(|c| {
                if c.is_ascii_digit() || c == ' ' {
                    '0'
                } else if c.is_ascii_lowercase() {
                    'a'
                } else {
                    c
                }
            })
            .collect()
    };
    // A weekday or a month has a capital of its own.
    form(whole).replace(|c: char| c.is_ascii_uppercase() && c != 'T' && c != 'Z', "A") + &form(zone)
}

/// A text as it is shown in a problem.
pub(super) fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(MAX_QUOTED).collect();
    if shown.len() < text.len() { format!("{shown:?}… ({} bytes)", text.len()) } else { format!("{shown:?}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ONE: &str = "8842f542-9eef-4899-aec1-b0733a8cfe40";
    const TWO: &str = "73a3087d-5c1e-4d3a-8f00-0123456789ab";
    const THREE: &str = "c1044061-65b1-458f-94b8-78c58426e65d";

    fn differences(references: &mut References, left: Value, right: Value) -> usize {
        references.differences(&left, &right, &Allowances::none()).len()
    }

    #[test]
    fn an_id_stands_for_one_id_only() {
        let mut references = References::default();
        let text = |id: &str| json!(format!("no such job: {id}"));
        assert_eq!(differences(&mut references, text(ONE), text(TWO)), 0);
        assert_eq!(differences(&mut references, text(ONE), text(TWO)), 0);
        assert_eq!(differences(&mut references, text(ONE), text(THREE)), 1);
        assert_eq!(differences(&mut references, text(THREE), text(TWO)), 1);
        assert_eq!(differences(&mut references, text(THREE), json!("no such job: x")), 1);
    }

    #[test]
    fn moments_may_differ_but_not_their_form() {
        let mut references = References::default();
        for (left, right, expected) in [
            ("2026-11-22 00:51:17.683347", "2026-11-25 18:00:00.000001", 0),
            ("2026-11-22 00:51:17.683347", "2026-11-25 18:00:00", 0),
            ("2026-11-22 00:51:17", "2026-11-22T00:51:17", 1),
            ("2026-11-22T00:51:17.5+00:00", "2026-11-22T00:51:17.5", 1),
            ("Sun Nov 22 00:43:43 2026", "Wed Oct  1 10:43:43 2026", 0),
            ("Sun Nov 22 00:43:43 2026", "2026-11-22 00:43:43", 1),
        ] {
            assert_eq!(differences(&mut references, json!(left), json!(right)), expected, "{left} {right}");
        }
        let start = |seconds: f64| json!({"meta": {"server_start_time": seconds}});
        assert_eq!(differences(&mut references, start(1_795_308_284.9), start(1_795_000_000.1)), 0);
        assert_eq!(differences(&mut references, start(1_795_308_284.9), start(0.0)), 1);
    }

    #[test]
    fn order_and_number_of_members_count() {
        let mut references = References::default();
        assert_eq!(differences(&mut references, json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1})), 1);
        assert_eq!(differences(&mut references, json!({"a": 1}), json!({"a": 1, "b": 2})), 1);
        assert_eq!(differences(&mut references, json!([1]), json!([1, 2])), 1);
        assert_eq!(differences(&mut references, json!([1, null]), json!([1, "x"])), 1);
        let by_job = |id: &str| json!({id: {"status": "ok"}});
        assert_eq!(differences(&mut references, by_job(ONE), by_job(TWO)), 0);
    }

    #[test]
    fn an_allowance_opens_one_place_only() {
        let allowances = Allowances::none().each_line(r"data\[0\]\.data", r"\d+", "numbers of each side");
        let mut references = References::default();
        let reply = |first: &str, second: &str| json!({"data": [{"data": first}, {"data": second}]});
        assert!(references.differences(&reply("1\n2", "x"), &reply("7", "x"), &allowances).is_empty());
        assert_eq!(references.differences(&reply("1", "x"), &reply("y", "x"), &allowances).len(), 1);
        assert_eq!(references.differences(&reply("1", "1"), &reply("1", "2"), &allowances).len(), 1);
    }
}
