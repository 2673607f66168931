//! The policy language beside nvflare's own evaluator: random policies and questions about them, with its verdicts.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

use flare_simserver::core::{Person, Policy};
use serde_json::Value;

/// One policy a line, see `data/README.md`.
const RECORDED: &str = include_str!("data/authorization.jsonl");

fn person(value: &Value) -> Person {
    let part = |index: usize| value[index].as_str().unwrap();
    Person::new(part(0), part(1), part(2))
}

#[test]
fn policies_are_read_refused_and_evaluated_as_by_nvflare() {
    let (mut refused, mut permitted, mut denied) = (0, 0, 0);
    for line in RECORDED.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let read = Policy::from_json(&case["policy"].to_string());
        if case.get("error").is_some() {
            assert!(read.is_err(), "{line}");
            refused += 1;
            continue;
        }
        let policy = read.unwrap_or_else(|error| panic!("{error}: {line}"));
        let site_org = Person::new("", case["site"].as_str().unwrap(), "").org;
        for question in case["questions"].as_array().unwrap() {
            let right = question[0].as_str().unwrap();
            let verdict = policy.authorize(right, &person(&question[1]), &person(&question[2]), &site_org);
            match question[3].as_bool().unwrap() {
                true => permitted += 1,
                false => denied += 1,
            }
            let recorded = question[4].as_str().unwrap();
            assert_eq!(verdict.err().unwrap_or_default(), recorded, "{question} of {line}");
        }
    }
    assert!(refused > 20 && permitted > 200 && denied > 200, "{refused} {permitted} {denied}");
}
