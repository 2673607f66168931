//! Every form of one made-up report that has all states.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::{Level, Risk, RoleUnderTest, State};

fn exchange(at_ms: f64, direction: Direction, what: &str, body: Value) -> Exchange {
    let headers = [("cn__topic".to_owned(), json!("admin"))].into_iter().collect();
    Exchange { at_ms, connection: "lead@nvidia.com".into(), direction, what: what.into(), headers, body: Some(body) }
}

fn outcomes() -> Vec<Outcome> {
    let mut passed = Outcome::new("handshake.ready", "READY follows HELLO", State::Pass);
    passed.level = Some(Level::L1);
    passed.requirements = vec!["HELLO-READY-001".into()];
    passed.exercises = vec!["submit_job".into()];
    let mut failed = Outcome::new("session.close.idempotent", "closing twice is | once", State::Fail);
    failed.message = Some("second close: expected \"<ok>\", observed \"`closed`\"".into());
    failed.expected = Some("\"<ok>\"".into());
    failed.observed = Some("\"`closed`\"".into());
    failed.duration = Duration::from_millis(1250);
    failed.transcript = vec![
        exchange(0.5, Direction::Sent, "admin/command _logout", json!({"command": "_logout", "token": "<token>"})),
        exchange(1.5, Direction::Received, "reply", json!("</script>")),
        Exchange { headers: Default::default(), body: None, ..exchange(2.0, Direction::Event, "closed", json!(0)) },
    ];
    let mut listed = Outcome::new("reading.ls.options", "options", State::FailExpected);
    listed.message = Some("expected \"a\", observed \"b\"".into());
    listed.known = Some("broken since 2.8".into());
    listed.risk = Risk::OwnObjects;
    let rest = State::ALL[3..].iter().map(|state| {
        let mut outcome = Outcome::new(format!("other.{state}"), "another", *state);
        outcome.message = Some(format!("it is {state}"));
        outcome
    });
    [failed, listed, passed].into_iter().chain(rest).collect()
}

fn report() -> Report {
    let target = TargetDescription {
        kind: "simulated".into(),
        name: "in-process simulator".into(),
        scheme: "http".into(),
        version: Some("2.9.0".into()),
    };
    let run = RunFacts { started: "2026-11-26T02:00:00Z".into(), jobs: 8, seed: Some(7), ..RunFacts::now() };
    let mut report = Report::new(&target, RoleUnderTest::Server, run, 10, outcomes(), Duration::from_millis(1300));
    report.suite = Suite { version: "0.1.0".into(), commit: Some("57ccd0f".into()) };
    report
}

fn green() -> Report {
    let mut report = report();
    report.results.retain(|outcome| outcome.state == State::Pass);
    Report::new(&report.target, RoleUnderTest::Server, report.run, 1, report.results, Duration::from_millis(10))
}

/// The schema with nothing allowed that it does not name.
pub(super) fn closed_schema() -> Value {
    fn close(value: &mut Value) {
        match value {
            Value::Object(map) => {
                if map.contains_key("properties") {
                    map.insert("additionalProperties".to_owned(), false.into());
                }
                map.values_mut().for_each(close);
            }
            Value::Array(items) => items.iter_mut().for_each(close),
            _ => {}
        }
    }
    let mut schema = serde_json::from_str(SCHEMA).unwrap();
    close(&mut schema);
    schema
}

#[test]
fn the_published_schema_names_everything_that_a_report_has_and_refuses_what_it_has_not() {
    let validator = jsonschema::validator_for(&closed_schema()).unwrap();
    let json = serde_json::to_value(report()).unwrap();
    let errors: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    for (at, wrong) in [
        ("/schema_version", json!(2)),
        ("/results/0/state", json!("passed")),
        ("/results/0/risk", json!("none")),
        ("/results/0/duration_ms", json!("1")),
        ("/figures/coverage/of", json!(-1)),
        ("/results/0/transcript/0/direction", json!("up")),
    ] {
        let mut broken = json.clone();
        *broken.pointer_mut(at).unwrap() = wrong;
        assert!(!validator.is_valid(&broken), "{at}");
    }
}

#[test]
fn json_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    std::fs::write(&path, "old").unwrap();
    replace_file(&path, &report().to_json().unwrap()).unwrap();
    assert_eq!(Report::read(&path).unwrap(), report());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let newer = report().to_json().unwrap().replace("\"schema_version\": 1", "\"schema_version\": 2");
    std::fs::write(&path, newer).unwrap();
    assert!(Report::read(&path).unwrap_err().to_string().ends_with("schema version 2 is not known here"));
}

#[test]
fn the_json_form_is_stable() {
    insta::assert_snapshot!(report().to_json().unwrap());
}

#[test]
fn the_two_figures_count_different_things() {
    let Figures { divergence, coverage } = report().figures;
    assert_eq!(divergence, Figure { count: 3, of: 4 });
    assert_eq!(coverage, Figure { count: 4, of: 10 });
    let percent = |count, of| Figure { count, of }.percent();
    assert_eq!([percent(0, 0), percent(0, 9), percent(9, 9)], ["–", "0.0 %", "100.0 %"]);
    assert_eq!([percent(1, 100_000), percent(99_999, 100_000)], ["0.1 %", "99.9 %"]);
}

#[test]
fn the_summary_names_what_is_slow_and_what_is_wrong_and_counts_every_state() {
    let mut out = Vec::new();
    report().write_summary(&mut out).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

#[test]
fn junit_has_every_case_with_what_was_found() {
    insta::assert_snapshot!(junit(&[report()]).unwrap());
}

#[test]
fn markdown_shows_the_figures_and_what_differs() {
    insta::assert_snapshot!(markdown(&[report(), green()]));
}

#[test]
fn a_badge_is_green_only_when_everything_is() {
    insta::assert_snapshot!(Badge::of(&[report()]).svg());
    assert_eq!(Badge::of(&[report()]).endpoint()["message"], "3 of 4 diverge, 40.0 % covered");
    assert_eq!(Badge::of(&[report()]).endpoint()["isError"], true);
    assert_eq!(Badge::of(&[green()]).endpoint()["isError"], false);
    assert_eq!(Badge::of(&[green(), report()]).endpoint()["message"], "1 of 2 targets green");
    assert_eq!(Badge::of(&[]).endpoint()["isError"], true);
}

#[test]
fn a_page_holds_the_reports_as_they_are() {
    let page = html(&[report(), green()]).unwrap();
    assert!(!page.contains("{{"), "a mark was not replaced");
    assert!(!page.contains("</script>\""), "data ended the script");
    let (_, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    let (data, _) = rest.split_once("</script>").unwrap();
    let read: Vec<Report> = serde_json::from_str(data).unwrap();
    assert_eq!(read, [report(), green()]);
    for outside in ["http://", "https://", "@import", "url("] {
        let (before, _) = page.split_once("<script type=\"application/json\"").unwrap();
        assert!(!before.contains(outside), "the page asks for {outside}");
    }
}
