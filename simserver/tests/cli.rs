//! The program `flare-simserver`: what it prints, writes and leaves behind.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

mod serving;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use serving::{Serving, simserver};

fn run(arguments: &[&str]) -> Output {
    simserver(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn is_open(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn admin_port(kits: &Path) -> Value {
    let kit = fs::read_to_string(kits.join("admin@nvidia.com/startup/fed_admin.json")).unwrap();
    serde_json::from_str::<Value>(&kit).unwrap()["admin"]["port"].clone()
}

#[test]
fn serve_says_when_it_is_ready_and_ends_without_a_trace_on_sigterm() {
    let directory = tempfile::tempdir().unwrap();
    let workspace = directory.path().join("ws");
    let ready_file = directory.path().join("ready.json");
    let arguments = [
        "serve",
        "--workspace",
        workspace.to_str().unwrap(),
        "--port",
        "0",
        "--ready-file",
        ready_file.to_str().unwrap(),
    ];
    let serving = Serving::start(&arguments);
    let written: Value = serde_json::from_str(&fs::read_to_string(&ready_file).unwrap()).unwrap();
    assert_eq!(written, serving.ready);
    assert_eq!(serving.ready["scheme"], "http");
    let (port, kits) = (serving.port(), serving.kits().to_owned());
    assert!(is_open(port));
    assert_eq!(admin_port(&kits), port);
    assert_eq!(kits, workspace.join("example_project/prod_00"));

    assert_eq!(serving.end("-TERM"), Some(0));
    assert!(!is_open(port));
    assert!(!ready_file.exists());

    // The next run takes up what is there.
    let certificate = fs::read(kits.join("admin@nvidia.com/startup/client.crt")).unwrap();
    let serving = Serving::start(&arguments);
    assert_eq!(serving.kits(), kits);
    assert_eq!(admin_port(&kits), serving.port());
    assert_eq!(fs::read(kits.join("admin@nvidia.com/startup/client.crt")).unwrap(), certificate);
    assert_eq!(serving.end("-INT"), Some(0));
}

#[test]
fn serve_takes_project_scheme_and_port_from_the_project_file() {
    let directory = tempfile::tempdir().unwrap();
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let project = directory.path().join("project.yml");
    let text = format!(
        "api_version: 3\nname: study\nparticipants:
  - {{name: server, type: server, org: nvidia, fed_learn_port: {port}, default_host: localhost}}
  - {{name: admin@nvidia.com, type: admin, org: nvidia, role: project_admin}}
builders:
  - {{path: nvflare.lighter.impl.static_file.StaticFileBuilder, args: {{scheme: tcp}}}}\n"
    );
    fs::write(&project, text).unwrap();
    let serving = Serving::start(&[
        "serve",
        "--project",
        project.to_str().unwrap(),
        "--workspace",
        directory.path().to_str().unwrap(),
    ]);
    assert_eq!((serving.port(), &serving.ready["scheme"]), (port, &Value::from("tcp")));
    assert_eq!(serving.kits(), directory.path().join("study/prod_00"));
    assert_eq!(serving.end("-TERM"), Some(0));
}

#[test]
fn serve_fails_with_a_code_a_cause_and_a_hint_when_the_port_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(&["serve", "--workspace", directory.path().to_str().unwrap(), "--port", &port]);
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(text(&output.stdout), "");
    assert_eq!(
        text(&output.stderr),
        format!(
            "error: the server cannot start
  because: cannot listen on 127.0.0.1 port {port}
  because: Address already in use (os error 98)
  hint: end the other program, choose another port, or port 0 for any that is free\n"
        ),
    );
}

#[test]
fn provision_writes_a_new_set_of_kits_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let workspace = directory.path().to_str().unwrap();
    let keys = directory.path().join("keys");
    for number in ["prod_00", "prod_01"] {
        let output = run(&["provision", "--workspace", workspace, "--keys", keys.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let done: Value = serde_json::from_slice(&output.stdout).unwrap();
        let kits = directory.path().join("example_project").join(number);
        assert_eq!(done["kits"].as_str(), kits.to_str());
        assert_eq!(done["port"], 8002);
        assert!(kits.join("site-2/startup/client.key").is_file());
    }
    assert!(keys.join("root.pem").is_file());
}

#[test]
fn a_project_that_cannot_be_used_is_told_from_a_workspace_that_cannot() {
    let directory = tempfile::tempdir().unwrap();
    let workspace = directory.path().to_str().unwrap();
    let project = directory.path().join("project.yml");
    fs::write(&project, "api_version: 3\nname: p\nparticipants: []\n").unwrap();
    let output = run(&["provision", "--workspace", workspace, "--project", project.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        text(&output.stderr),
        "error: the project cannot be used
  because: the project has no server
  hint: add a participant with `type: server`\n",
    );

    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let output = run(&["provision", "--workspace", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
}

#[test]
fn a_wrong_command_line_is_code_2_and_help_lists_the_codes() {
    assert_eq!(run(&["serve"]).status.code(), Some(2));
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("5  the server cannot start"));
}

#[test]
fn a_scenario_is_played_and_one_that_is_wrong_is_refused_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let workspace = directory.path().join("ws");
    let arguments = |scenario: &str| {
        ["serve", "--workspace", workspace.to_str().unwrap(), "--port", "0", "--scenario", scenario].map(str::to_owned)
    };
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/scenario.yml");
    let serving = Serving::start(&arguments(example).each_ref().map(String::as_str));
    assert!(is_open(serving.port()));
    assert_eq!(serving.end("-TERM"), Some(0));

    for (text, word) in [("clock: real\nrulez: []\n", "line 2"), ("sites: {site-9: silent}\n", "site-9")] {
        let path = directory.path().join("scenario.yml");
        fs::write(&path, text).unwrap();
        let output = run(&arguments(path.to_str().unwrap()).each_ref().map(String::as_str));
        assert_eq!(output.status.code(), Some(3), "{}", self::text(&output.stderr));
        assert!(self::text(&output.stderr).contains(word), "{}", self::text(&output.stderr));
    }
}
