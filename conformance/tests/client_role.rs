//! The role `client`: our own client, clients that are broken in every way, and the official one where it is installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    took: Duration,
}

const BINARY: &str = env!("CARGO_BIN_EXE_flare-conformance");

fn judged(options: &[&str], client: &[&str]) -> Ended {
    let started = Instant::now();
    let mut command = Command::new(BINARY);
    command.arg("client").args(options).arg("--").args(client).env_remove("RUST_LOG");
    let output = command.output().expect("the binary can be started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the binary prints UTF-8");
    Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        took: started.elapsed(),
    }
}

/// A client that is a shell script: a good hello, a good end, and `then` for anything else that it is asked.
fn script(then: &str) -> String {
    let hello = r#"{"protocol": 1, "name": "script", "release": "1", "calls": ["list_jobs", "submit_job"]}"#;
    format!(
        r#"echo '{hello}'
while read -r line; do
  case "$line" in
    *'"quit"'*) echo '{{"id":1,"ok":null}}'; exit 0;;
    *) {then};;
  esac
done"#
    )
}

/// What becomes of one case with such a client.
fn broken(then: &str, options: &[&str]) -> Ended {
    let options = [options, &["--case", "client.jobs.list-none"]].concat();
    judged(&options, &["sh", "-c", &script(then)])
}

#[test]
fn our_own_client_passes() {
    let options = ["--case", "client.open.once", "--case", "client.submit.*", "--case", "client.jobs.list*"];
    let ended = judged(&options, &[BINARY, "client-adapter"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("pass             "), "{}", ended.stdout);
    assert!(ended.stdout.contains(" 0 failed\n"), "{}", ended.stdout);
}

#[test]
fn a_report_names_the_client_and_its_release() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let options = ["--case", "client.system.apps", "--json", report.to_str().unwrap()];
    let ended = judged(&options, &[BINARY, "client-adapter"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(report["target"]["kind"], "client");
    assert_eq!(report["target"]["name"], "flare-client");
    assert_eq!(report["results"][0]["check"], "client.system.apps");
}

#[test]
fn a_client_that_says_nonsense_fails() {
    let ended = broken("echo 'I am fine'", &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("the client said what is no answer: I am fine"), "{}", ended.stdout);
}

#[test]
fn a_client_that_dies_fails_with_its_last_words() {
    let ended = broken("echo 'out of ideas' >&2; exit 7", &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("the client ended (exit status: 7)"), "{}", ended.stdout);
    assert!(ended.stdout.contains("out of ideas"), "{}", ended.stdout);
}

#[test]
fn a_client_that_hangs_fails_and_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("pid");
    // Long enough for the client to be started on a busy machine: it is started within that time.
    let ended = broken(&format!("sleep 600 & echo $! >{}; wait", mark.display()), &["--time-limit", "15"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("not finished after 15 s"), "{}", ended.stdout);
    assert!(ended.took < Duration::from_secs(60), "{:?}", ended.took);
    #[cfg(target_os = "linux")]
    {
        let process = std::fs::read_to_string(mark).unwrap();
        let folder = PathBuf::from("/proc").join(process.trim());
        let until = Instant::now() + Duration::from_secs(10);
        while is_alive(&folder) {
            assert!(Instant::now() < until, "what the client started goes on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A process that was killed and that nobody has asked about yet is none any more.
#[cfg(target_os = "linux")]
fn is_alive(folder: &Path) -> bool {
    let status = std::fs::read_to_string(folder.join("stat")).unwrap_or_default();
    status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn a_client_that_answers_what_it_was_not_asked_fails() {
    let ended = broken(r#"echo '{"id":99,"ok":{"session":1}}'"#, &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("an answer to request 99, which is not under way"), "{}", ended.stdout);
}

#[test]
fn a_client_that_lies_about_what_it_did_fails() {
    let ended = broken(r#"echo "{\"id\":$((n=n+1)),\"ok\":[]}""#, &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("connect: expected"), "{}", ended.stdout);
    // It opens a session, gives an empty list, and has sent nothing at all.
    let lies = r#"n=$((n+1)); [ $n = 1 ] && echo '{"id":1,"ok":{"session":1}}' || echo '{"id":2,"ok":[]}'"#;
    let ended = broken(lies, &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("the lines that list_jobs sent"), "{}", ended.stdout);
}

#[test]
fn what_a_client_does_not_have_is_unsupported_and_nothing_was_tested() {
    let ended =
        judged(&["--case", "client.studies.list"], &["sh", "-c", &script("echo '{\"id\":1,\"ok\":{\"session\":1}}'")]);
    assert_eq!(ended.code, Some(5), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("the client has no list_studies"), "{}", ended.stdout);
}

#[test]
fn a_client_without_a_hello_is_no_target() {
    for (client, problem) in [
        (vec!["sh", "-c", "echo hello; cat"], "the first line is no hello"),
        (vec!["sh", "-c", "exit 3"], "the client ended (exit status: 3)"),
        (vec!["/no/such/client"], "cannot start /no/such/client"),
    ] {
        let ended = judged(&["--case", "client.open.once"], &client);
        assert_eq!(ended.code, Some(4), "{client:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(problem), "{client:?}: {}", ended.stderr);
    }
}

/// The interpreter that has the official client, when there is one.
fn official(adapter: &str) -> Option<[String; 2]> {
    let python = std::env::var("FLARE_PYTHON").ok()?;
    let adapter = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters").join(adapter);
    Some([python, adapter.display().to_string()])
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says why")]
fn the_official_clients_are_judged() {
    let cases =
        ["--case", "client.open.login", "--case", "client.jobs.list-none", "--case", "client.refused.job-unknown"];
    for adapter in ["official_session.py", "nvflare_command.py"] {
        let Some([python, path]) = official(adapter) else {
            eprintln!("skipped: FLARE_PYTHON names no interpreter that has nvflare");
            return;
        };
        let ended = judged(&cases, &[&python, &path]);
        assert_eq!(ended.code, Some(0), "{adapter}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stdout.contains("3 passed, 0 failed\n"), "{adapter}: {}", ended.stdout);
    }
}
