//! Ids and times: what cannot be the same in two federations is checked against the rest of the same reply, and then
//! replaced by what it stands for.

use flare_simserver::core::LocalTime;
use flare_wire::{Moment, is_uuid4};
use serde_json::{Value, json};
use std::time::Duration;

use crate::federation::Federation;

/// Replaces what differs from run to run. With a federation, its own tokens are expected.
pub(crate) fn normalize(reply: &mut Value, federation: Option<&Federation>) {
    let Value::Object(body) = reply else { panic!("a reply is an object") };
    // The time is that of the call, to the microsecond where nothing else had to be matched.
    body.shift_remove("time");
    clients(reply, federation);
}

/// The table of registered clients: tokens and heartbeats.
fn clients(reply: &mut Value, federation: Option<&Federation>) {
    let Some(metas) = reply["meta"].get("clients").and_then(Value::as_array).cloned() else { return };
    let is_client_table = |item: &&mut Value| item["rows"][0][0] == "CLIENT" && item["rows"][0][1] == "FQCN";
    let Some(table) = reply["data"].as_array_mut().unwrap().iter_mut().find(is_client_table) else { return };
    let rows = table["rows"].as_array_mut().unwrap();
    assert_eq!(rows.len(), metas.len() + 1);
    for (row, meta) in rows.iter_mut().skip(1).zip(&metas) {
        let name = row[0].as_str().unwrap().to_owned();
        assert_eq!(row[0], meta["client_name"]);
        let token = row[4].as_str().unwrap();
        assert!(is_uuid4(token), "{token}");
        if let Some(federation) = federation {
            let sites = federation.sim.sites();
            assert_eq!(sites.get(sites.find(&name).unwrap()).unwrap().token(), token);
        }
        let seen = meta["client_last_conn_time"].as_f64().unwrap();
        let seen = Moment::from_unix(Duration::from_secs_f64(seen));
        assert_eq!(row[5], json!(LocalTime::UTC.asctime(seen)));
        row[4] = json!(format!("<token of {name}>"));
        row[5] = json!("<heartbeat>");
    }
    for meta in reply["meta"]["clients"].as_array_mut().unwrap() {
        meta["client_last_conn_time"] = json!("<heartbeat>");
    }
}

/// True when a running job is listed, whose duration goes on between two looks at the clock.
pub(crate) fn has_live_duration(reply: &Value) -> bool {
    reply["meta"]["jobs"].as_array().is_some_and(|jobs| jobs.iter().any(|job| job["status"] == "RUNNING"))
}

/// Compares the durations of running jobs to a tenth of a second and replaces them.
pub(crate) fn compare_live_durations(expected: &mut Value, actual: &mut Value) {
    let jobs = |reply: &Value| reply["meta"]["jobs"].as_array().unwrap().clone();
    for (expected_job, actual_job) in jobs(expected).iter().zip(&jobs(actual)) {
        if expected_job["status"] == "RUNNING" {
            let (one, other) = (seconds(&expected_job["duration"]), seconds(&actual_job["duration"]));
            assert!((one - other).abs() < 0.1, "{one} {other}");
        }
    }
    for reply in [expected, actual] {
        let live: Vec<String> = jobs(reply)
            .iter()
            .filter(|job| job["status"] == "RUNNING")
            .map(|job| job["duration"].as_str().unwrap().to_owned())
            .collect();
        let text = live.iter().fold(reply.to_string(), |text, duration| text.replace(duration, "<live>"));
        *reply = serde_json::from_str(&text).unwrap();
    }
}

/// `H:MM:SS.ffffff`
fn seconds(duration: &Value) -> f64 {
    duration.as_str().unwrap().split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
}

/// The moment of a reply's `time`.
pub(crate) fn time_of(reply: &Value) -> Moment {
    moment(reply["time"].as_str().unwrap())
}

/// `YYYY-MM-DD HH:MM:SS[.ffffff]` in UTC.
pub(crate) fn moment(text: &str) -> Moment {
    let civil: jiff::civil::DateTime = text.parse().unwrap();
    let timestamp = civil.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
    Moment::from_unix(Duration::from_micros(timestamp.as_microsecond().try_into().unwrap()))
}
