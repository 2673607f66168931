//! Refusals as recorded, and those that only the source tells.

use std::io::Cursor;

use flare_wire::hci::Reply;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::jobs::testing::{JobFolder, recorded, written};

fn read(folder: &str, job: JobFolder) -> Result<JobDefinition, Refusal> {
    JobDefinition::read(folder, &mut Archive::open(Cursor::new(job.zip())).unwrap(), Release::V2_9)
}

/// The reply to a refused submission.
fn refused(refusal: &Refusal) -> String {
    let mut reply = Reply::new();
    refusal.push_to(&mut reply);
    written(&reply)
}

fn with(key: &str, value: Value) -> impl Fn(&str) -> JobFolder + use<> {
    let key = key.to_owned();
    move |name| JobFolder::hello(name).meta(&key, value.clone())
}

#[test]
fn a_good_job_keeps_its_meta_in_order() {
    let job = JobFolder::hello("ok").meta("extra", json!({"z": 1, "a": 2})).meta("submit_token", json!("x"));
    let definition = read("ok", job).unwrap();
    let keys: Vec<&str> = definition.meta.keys().map(String::as_str).collect();
    assert_eq!(keys, ["name", "resource_spec", "min_clients", "deploy_map", "extra"]);
}

#[test]
fn every_recorded_refusal_is_repeated_word_for_word() {
    type Make = Box<dyn Fn(&str) -> JobFolder>;
    let map = |map: Value| -> Make { Box::new(with("deploy_map", map)) };
    let min = |min: Value| -> Make { Box::new(with("min_clients", min)) };
    let two = json!({"app": ["server", "site-1", "site-2"]});
    let cases: Vec<(&str, Make)> = vec![
        ("allplus", map(json!({"app": ["@ALL", "site-1"]}))),
        ("badappname", map(json!({"a/b": ["server", "site-1"]}))),
        ("badjson", Box::new(|name| JobFolder::hello(name).file(&format!("{name}/meta.json"), b"{not json"))),
        ("dup", map(json!({"app": ["server", "site-1", "site-1"]}))),
        ("emptysites", map(json!({"app": []}))),
        ("jobid", Box::new(with("job_id", json!("../x")))),
        ("launcher", Box::new(with("launcher_spec", json!({"site-1": {"bogus": {}}})))),
        ("launcher2", Box::new(with("launcher_spec", json!([1])))),
        (
            "mand",
            Box::new(|name| {
                JobFolder::hello(name)
                    .meta("deploy_map", json!({"app": ["server", "site-1", "site-2"]}))
                    .meta("mandatory_clients", json!(["site-3"]))
            }),
        ),
        ("maplist", map(json!(["app"]))),
        ("min0", min(json!(0))),
        ("minhuge", min(json!(1_000_001))),
        ("minlist", min(json!([1]))),
        ("minneg", min(json!(-1))),
        ("minstr", min(json!("abc"))),
        (
            "mintoomany",
            Box::new(move |name| JobFolder::hello(name).meta("deploy_map", two.clone()).meta("min_clients", json!(3))),
        ),
        ("noapp", map(json!({"other": ["@ALL"]}))),
        ("noclientcfg", Box::new(|name| JobFolder::hello(name).without("app/config/config_fed_client.json"))),
        ("nomap", map(json!({}))),
        ("nometa", Box::new(|name| JobFolder::hello(name).without("meta.json"))),
        ("noserver", map(json!({"app": ["site-1"]}))),
        ("noservercfg", Box::new(|name| JobFolder::hello(name).without("app/config/config_fed_server.json"))),
        ("onlyservermin", map(json!({"app": ["server"]}))),
        ("reslist", Box::new(with("resource_spec", json!([1])))),
        ("resval", Box::new(with("resource_spec", json!({"site-1": 1})))),
        ("unknownkey", map(json!({"app": [{"sites": ["server"], "zzz": 1}]}))),
    ];
    for (case, make) in cases {
        let name = format!("v_{case}");
        let refusal = read(&name, make(&name)).unwrap_err();
        assert_eq!(refused(&refusal), recorded(&format!("submit_job.invalid.{case}")));
    }
}

/// What the meta validator of nvflare 2.9.0 says to hundreds of random metas, each beside an app with empty
/// configurations: the text of the meta, `ok`, `def` (a refusal) or `exc` (an exception), and what it says.
#[test]
fn random_metas_are_judged_as_by_the_real_validator() {
    for line in include_str!("real_validator.jsonl").lines() {
        let [text, kind, said]: [String; 3] = serde_json::from_str(line).unwrap();
        let job = JobFolder::hello("j")
            .app_file("config/config_fed_server.json", b"{}")
            .app_file("config/config_fed_client.json", b"{}")
            .file("j/meta.json", text.as_bytes());
        let judged = match read("j", job) {
            Ok(_) => ("ok", String::new()),
            Err(Refusal::Definition(text)) => ("def", text),
            Err(Refusal::Exception(error)) => ("exc", error.to_string()),
        };
        assert_eq!((judged.0, &judged.1), (kind.as_str(), &said), "{text}");
    }
}

#[test]
fn a_folder_that_is_not_in_the_archive_has_no_meta() {
    let refusal = read("okk", JobFolder::hello("ok")).unwrap_err();
    assert_eq!(refused(&refusal), recorded("submit_job.wrong_folder_name"));
}

#[test]
fn a_job_for_the_server_alone_stops_the_validator() {
    let job = JobFolder::hello("j").meta("deploy_map", json!({"app": "server"})).meta("min_clients", Value::Null);
    assert_eq!(read("j", job).unwrap_err().to_string(), "Exception occurred trying to submit job: StopIteration: ");
}

#[test]
fn rules_of_the_source_have_the_words_of_the_source() {
    let cases: Vec<(JobFolder, &str)> = vec![
        (
            JobFolder::hello("j").meta("min_clients", json!({})),
            "(\"invalid data type for {},can't not convert to Int\", \"TypeError: int() argument must be a string, a \
             bytes-like object or a real number, not 'dict'\")",
        ),
        (
            JobFolder::hello("j").meta("resource_spec", json!({"@default": {"b": 1, "a": 2}})),
            "resource_spec['@default'] contains unsupported field(s): ['a', 'b']",
        ),
        (
            JobFolder::hello("j").meta("resource_spec", json!({"@default": {"num_of_cpus": 0}})),
            "resource_spec['@default'].num_of_cpus must be an integer greater than or equal to 1",
        ),
        (
            JobFolder::hello("j").meta("resource_spec", json!({"site-1": {"memory": "0Gi"}})),
            "resource_spec['site-1'].memory must be a positive integer followed by Mi, Gi, or Ti",
        ),
        (
            JobFolder::hello("j").meta("resource_spec", json!({"site-1": {"num_of_gpus": true}})),
            "resource_spec['site-1'].num_of_gpus must be an integer greater than or equal to 0",
        ),
        (
            JobFolder::hello("j").meta("resource_spec", json!({"site-1": {"docker": 3}})),
            "resource_spec['site-1']['docker'] for job j must be a dict",
        ),
        (JobFolder::hello("j").meta("launcher_spec", json!({"s": 1})), "launcher_spec['s'] for job j must be a dict"),
        (
            JobFolder::hello("j").meta("launcher_spec", json!({"s": {"k8s": 1}})),
            "launcher_spec['s']['k8s'] for job j must be a dict",
        ),
        (
            JobFolder::hello("j")
                .meta("resource_spec", json!({"s": {"num_of_cpus": 2}}))
                .meta("launcher_spec", json!({"s": {"k8s": {"cpu": 1, "cpu_request": 1}}})),
            "portable resource 'num_of_cpus' conflicts with launcher_spec k8s field(s) ['cpu', 'cpu_request'] for site \
             's'",
        ),
        (
            JobFolder::hello("j")
                .meta("resource_spec", json!({"s": {"process": {"num_of_gpus": 2}}}))
                .meta("launcher_spec", json!({"s": {"slurm": {"gpus_per_node": 3}}})),
            "legacy process num_of_gpus (2) must match launcher_spec slurm total GPUs (3) for site 's'",
        ),
        (JobFolder::hello("j").meta("job_id", json!(5)), "job_id must be a non-empty string"),
        (
            JobFolder::hello("j").file("j/meta.json", b"{\"a\": \"\xff\"}"),
            "'utf-8' codec can't decode byte 0xff in position 7: invalid start byte",
        ),
        (
            JobFolder::hello("j").app_file("config/config_fed_server.json", b"["),
            "Expecting value: line 1 column 2 (char 1)",
        ),
    ];
    for (job, text) in cases {
        assert_eq!(read("j", job).unwrap_err(), Refusal::Definition(text.to_owned()));
    }
    for (job, text) in [
        (JobFolder::hello("j").file("j/meta.json", b"[1]"), "AttributeError: 'list' object has no attribute 'get'"),
        (
            JobFolder::hello("j").without("meta.json").file("j/meta.yml", b"name: j"),
            "AttributeError: 'NoneType' object has no attribute 'load_config_from_str'",
        ),
        (
            JobFolder::hello("j").meta("deploy_map", json!({"a": [{"sites": [1]}]})),
            "AttributeError: 'int' object has no attribute 'casefold'",
        ),
    ] {
        let Refusal::Exception(error) = read("j", job).unwrap_err() else { panic!("{text}") };
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn custom_code_is_found_in_the_content_and_not_in_the_meta() {
    let claimed = read("j", JobFolder::hello("j").meta("byoc", json!(true))).unwrap();
    assert!(!claimed.meta.contains_key("byoc"));
    let real = read("j", JobFolder::hello("j").app_file("custom/net.py", b"")).unwrap();
    assert_eq!(real.meta["byoc"], json!(true));
    let flower = JobFolder::hello("j")
        .app_file("config/config_fed_server.json", br#"{"components": [{"args": {"flower_app_path": "x"}}]}"#);
    assert_eq!(read("j", flower).unwrap().meta["flower_predeployed"], json!(true));
}

#[test]
fn numbers_of_clients_in_texts_pass() {
    for min in [json!("1"), json!(1.5), json!(true), json!(" 1_0 ")] {
        assert!(read("j", JobFolder::hello("j").meta("min_clients", min)).is_ok());
    }
}

#[test]
fn only_named_sites_must_be_enrolled_in_the_study() {
    let enrolled = ["site-1".to_owned()];
    let named = |sites: Value| read("j", JobFolder::hello("j").meta("deploy_map", json!({"app": sites}))).unwrap();
    assert_eq!(named(json!(["@all"])).check_study("s2", Some(&enrolled)), Ok(()));
    assert_eq!(named(json!(["server", "site-9"])).check_study("s2", None), Ok(()));
    let one = named(json!(["server", "site-1", "site-2"])).check_study("s2", Some(&enrolled)).unwrap_err();
    assert_eq!(refused(&one), recorded("study_submit.two_sites_not_enrolled"));
    let two = named(json!(["server", "site-2", "site-3"])).check_study("s2", Some(&enrolled)).unwrap_err();
    assert_eq!(two.to_string(), "sites 'site-2', 'site-3' are not enrolled in study 's2'");
}

proptest! {
    #[test]
    fn no_meta_panics(text in r#"\{("(deploy_map|min_clients|job_id|resource_spec|launcher_spec|mandatory_clients)": ?[\[\]{}"a-z0-9:,]{0,20},?){0,4}\}"#) {
        let _ = read("j", JobFolder::hello("j").file("j/meta.json", text.as_bytes()));
    }

    #[test]
    fn no_value_under_a_known_key_panics(key in 0_usize..6, value in any_value()) {
        let key = ["deploy_map", "min_clients", "job_id", "resource_spec", "launcher_spec", "mandatory_clients"][key];
        let _ = read("j", JobFolder::hello("j").meta(key, value));
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[@a-zA-Z0-9-]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let keys = prop_oneof![
            Just("app".to_owned()),
            Just("sites".to_owned()),
            Just("process".to_owned()),
            Just("docker".to_owned()),
            Just("@default".to_owned()),
            Just("num_of_gpus".to_owned()),
            "[a-z]{0,3}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..3).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}
