//! Ids and moments as references: `<id 3>` is the same id wherever it stands, and the legend says what it was.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use crate::diff::{VOLATILE, is_moment_member};

/// What a reference to a moment begins with that stands in the place of a number.
const SECONDS: &str = "<seconds ";

/// Makes references.
#[derive(Debug, Default)]
pub(super) struct Legend {
    names: HashMap<String, String>,
    table: BTreeMap<String, String>,
    counts: [usize; 3],
}

impl Legend {
    /// What the references stand for.
    pub(super) fn into_table(self) -> BTreeMap<String, String> {
        self.table
    }

    /// A text with its ids and moments as references.
    pub(super) fn text(&mut self, text: &str) -> String {
        let mut shown = String::new();
        let mut position = 0;
        for found in VOLATILE.captures_iter(text) {
            let Some(whole) = found.get(0) else { continue };
            shown.push_str(&text[position..whole.start()]);
            let kind = if found.name("uuid").is_some() { "<id " } else { "<moment " };
            shown.push_str(&self.name(kind, whole.as_str()));
            position = whole.end();
        }
        shown.push_str(&text[position..]);
        shown
    }

    /// A value, in the same way.
    pub(super) fn value(&mut self, value: &Value) -> Value {
        self.member("", value)
    }

    /// Settings, in the same way.
    pub(super) fn map(&mut self, map: &Map<String, Value>) -> Map<String, Value> {
        map.iter().map(|(name, value)| (self.text(name), self.member(name, value))).collect()
    }

    fn member(&mut self, name: &str, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(text).into(),
            Value::Number(number) if is_moment_member(name) => self.name(SECONDS, &number.to_string()).into(),
            Value::Array(items) => items.iter().map(|item| self.member("", item)).collect(),
            Value::Object(map) => self.map(map).into(),
            other => other.clone(),
        }
    }

    fn name(&mut self, kind: &str, value: &str) -> String {
        let key = format!("{kind}{value}");
        if let Some(name) = self.names.get(&key) {
            return name.clone();
        }
        let count = &mut self.counts[usize::from(kind == "<moment ") + 2 * usize::from(kind == SECONDS)];
        *count += 1;
        let name = format!("{kind}{count}>");
        self.names.insert(key, name.clone());
        self.table.insert(name.clone(), value.to_owned());
        name
    }
}

/// A text with what its references stand for.
pub(super) fn put_back(table: &BTreeMap<String, String>, text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let (before, reference) = rest.split_at(start);
        shown.push_str(before);
        let end = reference.find('>').map_or(reference.len(), |end| end + 1);
        if let Some(value) = table.get(&reference[..end]) {
            shown.push_str(value);
            rest = &reference[end..];
        } else {
            shown.push('<');
            rest = &reference[1..];
        }
    }
    shown + rest
}

/// A value with what its references stand for.
pub(super) fn put_back_in(table: &BTreeMap<String, String>, value: &Value) -> Value {
    match value {
        Value::String(text) if text.starts_with(SECONDS) => {
            let number = table.get(text).and_then(|number| serde_json::from_str(number).ok());
            number.map_or_else(|| text.as_str().into(), Value::Number)
        }
        Value::String(text) => put_back(table, text).into(),
        Value::Array(items) => items.iter().map(|item| put_back_in(table, item)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(name, item)| (put_back(table, name), put_back_in(table, item)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ONE: &str = "8842f542-9eef-4899-aec1-b0733a8cfe40";
    const TWO: &str = "73a3087d-5c1e-4d3a-8f00-0123456789ab";

    #[test]
    fn equal_ids_are_equal_references_and_come_back() {
        let mut legend = Legend::default();
        let value = json!({
            "time": "2026-11-26 05:36:47.123456",
            "meta": {"job_id": ONE, "info": format!("{TWO} is a clone of {ONE}"), "submit_time": 1_795_671_265.35},
            ONE: [1, null, "a < b > c", "<id 7>"],
        });
        let shown = legend.value(&value);
        assert_eq!(shown["meta"]["info"], "<id 2> is a clone of <id 1>");
        assert_eq!(shown["meta"]["submit_time"], "<seconds 1>");
        assert_eq!(shown["time"], "<moment 1>");
        assert_eq!(legend.text(&format!("abort_job {TWO}")), "abort_job <id 2>");
        let table = legend.into_table();
        assert_eq!(table["<id 1>"], ONE);
        assert_eq!(put_back_in(&table, &shown), value);
        assert_eq!(put_back(&table, "abort_job <id 2>"), format!("abort_job {TWO}"));
    }
}
