//! The binary as its users see it: output, report and exit codes.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn flare_conformance(arguments: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_flare-conformance")).args(arguments).env_remove("RUST_LOG").output();
    let output = output.expect("the binary can be started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the binary prints UTF-8");
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// What the program printed, its times replaced: they are all that changes between two runs.
fn snapshot(ended: &Ended) -> String {
    let untimed = |text: &str| text.lines().map(|line| untimed(line) + "\n").collect::<String>();
    format!("exit {:?}\n{}{}", ended.code, untimed(&ended.stdout), untimed(&ended.stderr))
}

fn untimed(line: &str) -> String {
    // The suite grows.
    if line.starts_with("coverage ") {
        return "coverage   _ of _".to_owned();
    }
    let words: Vec<&str> = line.split(' ').collect();
    let is_time = |word: &str| word.split_once('.').is_some_and(|(a, b)| a.parse::<u64>().is_ok() && b.len() == 3);
    let hidden = words.iter().map(|word| if is_time(word) { "_.___" } else { word });
    hidden.collect::<Vec<_>>().join(" ")
}

/// A case that asks nothing of the server, so that its outcome is known.
const LOCAL: &str = "api.shell.local-checks";

#[test]
fn cases_are_listed_with_what_they_check_and_need() {
    insta::assert_snapshot!(snapshot(&flare_conformance(&["list", "--case", "expiry.*"])));
}

#[test]
fn every_listed_requirement_says_where_it_comes_from() {
    let ended = flare_conformance(&["list", "--requirements"]);
    assert_eq!(ended.code, Some(0));
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines.len() >= 200, "{} lines", lines.len());
    assert!(lines.chunks(2).all(|pair| pair.len() == 2 && pair[1].starts_with("    ")));
}

#[test]
fn without_a_command_the_simulator_is_tested() {
    insta::assert_snapshot!(snapshot(&flare_conformance(&["--case", LOCAL])), @r"
    exit Some(0)
    pass             _.___ s  api.shell.local-checks

    divergence 0 of 1, 0.0 %
    coverage   _ of _

    1 passed, 0 failed
    ");
}

#[test]
fn a_run_in_which_nothing_could_be_tested_is_not_green() {
    let ended = flare_conformance(&["run", "--case", "handshake.tcp.split-frames"]);
    insta::assert_snapshot!(snapshot(&ended), @r"
    exit Some(5)
    untestable       _.___ s  handshake.tcp.split-frames
                              the target lacks: transport tcp

    divergence 0 of 0, –
    coverage   _ of _

    0 passed, 0 failed, 1 untestable
    ");
    assert_eq!(flare_conformance(&["run", "--case", "no.such.case"]).code, Some(5));
}

#[test]
fn a_listed_case_that_passes_fails_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    std::fs::write(&list, format!("{LOCAL}  until=9999-12-31  #7  the file rules differ\n")).unwrap();
    let ended = flare_conformance(&["run", "--case", LOCAL, "--known-failing", list.to_str().unwrap()]);
    insta::assert_snapshot!(snapshot(&ended), @r"
    exit Some(1)
    pass-unexpected  _.___ s  api.shell.local-checks
                              listed as failing: the file rules differ (#7, until 9999-12-31)

    not acceptable:
    pass-unexpected  _.___ s  api.shell.local-checks
                              listed as failing: the file rules differ (#7, until 9999-12-31)

    divergence 1 of 1, 100.0 %
    coverage   _ of _

    0 passed, 0 failed, 1 pass-unexpected
    ");

    std::fs::write(&list, format!("{LOCAL}\n")).unwrap();
    let ended = flare_conformance(&["run", "--case", LOCAL, "--known-failing", list.to_str().unwrap()]);
    insta::assert_snapshot!(snapshot(&ended), @r"
    exit Some(6)
    error: known-failing list, line 1: no date: `until=YYYY-MM-DD`
    ");
}

#[test]
fn a_dry_run_says_what_each_case_would_do_and_asks_nobody() {
    let arguments = ["run", "--dry-run", "--target", "/nowhere", "--allow", "own-objects"];
    let cases = ["--case", LOCAL, "--case", "jobs.life.exception", "--case", "sites.restart"];
    insta::assert_snapshot!(snapshot(&flare_conformance(&[&arguments[..], &cases[..]].concat())), @r"
    exit Some(0)
    would run      read         api.shell.local-checks
                   only looks
    would run      own-objects  jobs.life.exception
                   submits jobs whose names begin with `conformance-`, ends those that run, and deletes them at the end
    would not run  sites        sites.restart
                   restarts a site twice
                   untestable: needs permission (--allow sites)

    2 of 3 cases would run; nothing was touched
    ");
}

#[test]
fn levels_select_cases() {
    let listed = |arguments: &[&str]| flare_conformance(&[&["list"], arguments].concat()).stdout.lines().count();
    let levels = ["L1", "l2", "L3", "L4"].map(|level| listed(&["--level", level]));
    assert!(levels.iter().all(|lines| *lines > 0), "{levels:?}");
    assert_eq!(listed(&["--level", "L1,L2,L3,L4"]), levels.iter().sum::<usize>());
    assert_eq!(listed(&[]), levels.iter().sum::<usize>());
    assert_eq!(flare_conformance(&["list", "--level", "L5"]).code, Some(2));
}

#[test]
fn wrong_usage_and_unusable_targets_have_exit_codes_of_their_own() {
    assert_eq!(flare_conformance(&["run", "--no-such-option"]).code, Some(2));
    assert_eq!(flare_conformance(&["run", "--case", "["]).code, Some(2));
    assert_eq!(flare_conformance(&["run", "--target", "x", "--scheme", "tcp"]).code, Some(2));
    insta::assert_snapshot!(snapshot(&flare_conformance(&["run", "--target", "/nowhere"])), @r"
    exit Some(4)
    error: the startup kits cannot be read: /nowhere: No such file or directory (os error 2)
    ");
}

#[test]
fn the_json_report_has_a_result_per_case() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let ended = flare_conformance(&["--case", LOCAL, "--case", "handshake.tcp.*", "--json", path.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(report["target"]["kind"], "simulated");
    assert_eq!(report["summary"]["pass"], 1);
    assert_eq!(report["summary"]["untestable"], 3);
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len(), 4);
    for result in results {
        assert!(result["check"].is_string() && result["duration_ms"].is_number(), "{result}");
        assert!(!result["requirements"].as_array().unwrap().is_empty(), "{result}");
    }
    assert_eq!(results[3]["state"], "pass");
}

/// What a report says, without its times.
fn timeless(path: &Path) -> Value {
    let mut report: Value =
        serde_json::from_str(&std::fs::read_to_string(path).expect("the report was written")).expect("it is JSON");
    report["run"]["started"] = Value::Null;
    report["summary"]["duration_ms"] = Value::Null;
    for result in report["results"].as_array_mut().expect("the results are a list") {
        result["duration_ms"] = Value::Null;
    }
    report
}

#[test]
fn the_same_seed_gives_the_same_report_but_for_the_times() {
    let folder = tempfile::tempdir().unwrap();
    let mut reports = ["one.json", "other.json"].map(|name| {
        let path = folder.path().join(name);
        let ended =
            flare_conformance(&["run", "--seed", "7", "--case", "handshake.*", "--json", path.to_str().unwrap()]);
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        timeless(&path)
    });
    assert_eq!(reports[0], reports[1]);
    assert_eq!(reports[0]["run"]["seed"], 7);
    assert!(reports[0]["results"].as_array().unwrap().len() > 5);
    reports[1]["results"][0]["state"] = "fail".into();
    assert_ne!(reports[0], reports[1]);
}

#[test]
fn the_reports_of_all_parts_make_the_report_of_the_whole_and_every_form_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let run = |extra: &[&str], json: &str| {
        let arguments = [&["run", "--case", "handshake.*", "--json", json], extra].concat();
        let ended = flare_conformance(&arguments);
        assert!(matches!(ended.code, Some(0 | 5)), "{}{}", ended.stdout, ended.stderr);
    };
    let (whole, one, two, merged) = (file("whole.json"), file("1.json"), file("2.json"), file("merged.json"));
    run(&[], &whole);
    run(&["--shard", "1/2"], &one);
    run(&["--shard", "2/2"], &two);
    let forms = [("--junit", "j.xml"), ("--markdown", "m.md"), ("--badge", "b.svg"), ("--html", "p.html")];
    let forms: Vec<String> = forms.iter().flat_map(|(flag, name)| [(*flag).to_owned(), file(name)]).collect();
    let mut arguments = vec!["report", "--json", &two, "--json", &one, "--merged", &merged];
    arguments.extend(forms.iter().map(String::as_str));
    let ended = flare_conformance(&arguments);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(timeless(Path::new(&merged)), timeless(Path::new(&whole)));
    for (name, start) in [
        ("j.xml", "<?xml"),
        ("m.md", "# FLARE conformance"),
        ("b.svg", "<svg"),
        ("b.endpoint.json", "{"),
        ("p.html", "<!DOCTYPE html>"),
    ] {
        assert!(std::fs::read_to_string(file(name)).unwrap().starts_with(start), "{name}");
    }
    let ended = flare_conformance(&["report", "--json", &two]);
    assert_eq!(ended.code, Some(6));
    assert!(ended.stderr.contains("not all parts are there: 1/2 missing"), "{}", ended.stderr);
    let ended = flare_conformance(&["report", "--json", &one, "--json", &one]);
    assert!(ended.stderr.contains("part 1/2 is there twice"), "{}", ended.stderr);
}

#[test]
fn real_reports_are_as_the_published_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let cases = ["--case", "handshake.*", "--case", "session.*", "--case", "study.*"];
    let arguments = [&["run", "--seed", "1", "--json", path.to_str().unwrap()], cases.as_slice()].concat();
    let ended = flare_conformance(&arguments);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let schema = serde_json::from_str(flare_conformance::report::SCHEMA).unwrap();
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
}

#[test]
fn transcripts_are_in_the_report_when_asked_for_and_hold_no_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let run = |which: &str| {
        let cases = ["--case", "login.*", "--case", "session.*", "--case", "api.system.*"];
        let arguments = [&["run", "--transcripts", which, "--json", path.to_str().unwrap()], cases.as_slice()].concat();
        let ended = flare_conformance(&arguments);
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        std::fs::read_to_string(&path).unwrap()
    };
    let all = run("all");
    assert!(all.contains("hci_channel/command: _cert_login"), "raw endpoints are seen");
    assert!(all.contains("\"__token__\": \"<token>\"") && all.contains("\"<signature>\""), "secrets have names");
    // Session tokens begin as base64 of `{"n": ` does.
    assert!(!all.contains("eyJuIjog"), "a session token is shown");
    let report: Value = serde_json::from_str(&all).unwrap();
    let with = report["results"].as_array().unwrap().iter().filter(|result| result["transcript"].is_array()).count();
    assert!(with > 10, "{with} transcripts");
    assert!(!run("failed").contains("\"transcript\""));
}

#[test]
fn a_report_that_cannot_be_written_is_an_error_of_its_own() {
    let ended = flare_conformance(&["--case", LOCAL, "--json", "/nowhere/report.json"]);
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    assert!(!Path::new("/nowhere").exists());
}
