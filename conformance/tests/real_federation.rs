//! `flare-conformance real`, with programs that stand in for Python and nvflare: what is started, what is said when
//! something goes wrong, and that nothing is left. `.ci/run` does the same with the real ones.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// What the stand-in for a participant runs when it is to stay. Its child leaves session and group, as FLARE's job
/// processes do. Both say who they are, so that the test can see that they are gone.
const STAYS: &str = "setsid sh -c 'echo $$ >> ../pids; exec sleep 600' & echo $$ >> ../pids; exec sleep 600";

/// The stand-ins start within milliseconds; this only keeps a failing test from running for ever.
const LIMIT: Duration = Duration::from_secs(60);

const WRITABLE: &str = "the temporary folder can be written";

/// A machine with a Python that only pretends.
struct Machine {
    folder: TempDir,
}

impl Machine {
    /// One on which every participant runs this shell command.
    fn whose_participants_run(command: &str) -> Self {
        let machine = Self { folder: tempfile::tempdir().expect("tests may write temporary files") };
        machine.program(
            "python3",
            // Either asked for the release, or told to watch: then it names the sites that it was given.
            "case \"$2\" in *metadata*) echo 2.9.0 ;; *) shift 4; for site; do echo \"$site\"; done ;; esac",
        );
        machine.program(
            "nvflare",
            "for name in server site-1 site-2 site-3; do\n\
             kit=$5/two_orgs/prod_00/$name; mkdir -p $kit/startup $kit/local\n\
             echo '{\"root_dir\": \"/tmp/nvflare/jobs-storage\"}' > $kit/local/resources.json.default\n\
             { echo \"cd $kit\"; cat ${0%/*}/participant; } > $kit/startup/sub_start.sh\n\
             done",
        );
        machine.program("participant", command);
        machine
    }

    fn program(&self, name: &str, script: &str) {
        let bin = self.folder.path().join("venv/bin");
        fs::create_dir_all(&bin).expect(WRITABLE);
        let file = bin.join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect(WRITABLE);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect(WRITABLE);
    }

    fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    fn real(&self, what: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flare-conformance"));
        command.args(["real", what, "--workspace"]).arg(self.workspace());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn up(&self) -> Command {
        let mut command = self.real("up");
        command.arg("--venv").arg(self.folder.path().join("venv"));
        command
    }

    fn down(&self) -> Output {
        self.real("down").output().expect("the binary was built for this test")
    }
}

impl Drop for Machine {
    /// A failing test must not leave processes behind either.
    fn drop(&mut self) {
        self.down();
    }
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

fn pids(kits: &Path) -> Vec<String> {
    let text = fs::read_to_string(kits.join("pids")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn is_running(pid: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| !environment.is_empty())
}

fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come about within {LIMIT:?}");
        std::thread::yield_now();
    }
}

fn end(child: Child, signal: Signal) -> Output {
    kill_process(Pid::from_child(&child), signal).expect("it has not been waited for yet");
    child.wait_with_output().expect("it is a child of this process")
}

#[test]
fn a_federation_comes_up_and_goes_down_without_a_trace() {
    let machine = Machine::whose_participants_run(STAYS);
    let up = machine.up().output().unwrap();
    assert!(up.status.success(), "{}", text(&up.stderr));
    let ready: Value = serde_json::from_slice(&up.stdout).unwrap();
    assert_eq!(ready["scheme"], "http");
    assert_eq!(ready["version"], "2.9.0");
    let kits = PathBuf::from(ready["kits"].as_str().unwrap());
    assert_eq!(kits, machine.workspace().join("provisioned/two_orgs/prod_00"));
    wait_until(|| pids(&kits).len() == 8);
    let pids = pids(&kits);

    assert!(machine.down().status.success());
    assert!(!pids.iter().any(|pid| is_running(pid)));
    assert!(!machine.workspace().exists());
}

#[test]
fn the_provisioned_project_has_the_port_that_is_printed_and_stores_inside_the_workspace() {
    let machine = Machine::whose_participants_run(STAYS);
    let up = machine.up().output().unwrap();
    let ready: Value = serde_json::from_slice(&up.stdout).unwrap();
    let project = fs::read(machine.workspace().join("project.yml")).unwrap();
    let project: Value = serde_json::from_slice(&project).unwrap();
    assert_eq!(project["participants"][0]["fed_learn_port"], ready["port"]);
    let resources = Path::new(ready["kits"].as_str().unwrap()).join("server/local/resources.json.default");
    let resources: Value = serde_json::from_slice(&fs::read(resources).unwrap()).unwrap();
    let stored = machine.workspace().join("storage/jobs-storage");
    assert_eq!(resources["root_dir"].as_str().map(Path::new), Some(stored.as_path()));
    assert!(machine.down().status.success());
}

#[test]
fn going_down_can_be_repeated_and_needs_nothing_to_be_up() {
    let machine = Machine::whose_participants_run(STAYS);
    let down = machine.down();
    assert!(down.status.success());
    assert_eq!(text(&down.stdout), "nothing is up\n");
    assert!(!machine.workspace().exists());
}

#[test]
fn a_second_federation_in_the_same_workspace_is_refused_and_the_first_stays() {
    let machine = Machine::whose_participants_run(STAYS);
    assert!(machine.up().status().unwrap().success());
    let second = machine.up().output().unwrap();
    assert_eq!(second.status.code(), Some(4));
    assert!(text(&second.stderr).contains("a federation is up"), "{}", text(&second.stderr));
    assert!(machine.workspace().join("federation.json").exists());
    assert!(machine.down().status.success());
}

#[test]
fn a_participant_that_ends_is_told_with_its_last_words_and_nothing_is_left() {
    let machine = Machine::whose_participants_run("echo cannot bind port; exit 3");
    // The stand-in for the watcher waits for sites that never come.
    machine.program("python3", "case \"$2\" in *metadata*) echo 2.9.0 ;; *) exec sleep 600 ;; esac");
    let up = machine.up().output().unwrap();
    assert_eq!(up.status.code(), Some(4));
    let errors = text(&up.stderr);
    assert!(errors.contains("server ended (exit status: 3)"), "{errors}");
    assert!(errors.contains("cannot bind port"), "{errors}");
    assert!(!machine.workspace().exists());
}

#[test]
fn a_participant_that_was_told_to_restart_is_started_again() {
    // Each ends once with the file that a participant leaves that is to restart.
    let machine = Machine::whose_participants_run(
        "[ -e again ] || { touch again restart.fl; exit 0; }; rm -f restart.fl; echo $$ >> ../pids; exec sleep 600",
    );
    let up = machine.up().output().unwrap();
    assert!(up.status.success(), "{}", text(&up.stderr));
    let kits = machine.workspace().join("provisioned/two_orgs/prod_00");
    wait_until(|| pids(&kits).len() == 4);
    let pids = pids(&kits);
    // While a process becomes another program it has no environment for a moment.
    wait_until(|| pids.iter().all(|pid| is_running(pid)));
    assert!(machine.down().status.success());
    assert!(!pids.iter().any(|pid| is_running(pid)));
}

#[test]
fn a_failing_provisioning_is_told_with_its_last_words_and_nothing_is_left() {
    let machine = Machine::whose_participants_run(STAYS);
    machine.program("nvflare", "echo no such role; exit 1");
    let up = machine.up().output().unwrap();
    assert_eq!(up.status.code(), Some(4));
    let errors = text(&up.stderr);
    assert!(errors.contains("provisioning failed (exit status: 1)"), "{errors}");
    assert!(errors.contains("no such role"), "{errors}");
    assert!(!machine.workspace().exists());
}

#[test]
fn an_interrupted_start_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM] {
        let machine = Machine::whose_participants_run(STAYS);
        machine.program("python3", "case \"$2\" in *metadata*) echo 2.9.0 ;; *) exec sleep 600 ;; esac");
        let up = machine.up().spawn().unwrap();
        let kits = machine.workspace().join("provisioned/two_orgs/prod_00");
        // Server and first site, each with its child.
        wait_until(|| pids(&kits).len() == 4);
        let pids = pids(&kits);
        let up = end(up, signal);
        assert_eq!(up.status.code(), Some(130));
        assert!(!pids.iter().any(|pid| is_running(pid)));
        assert!(!machine.workspace().exists());
    }
}

#[test]
fn a_start_that_was_killed_is_cleaned_up_by_going_down() {
    let machine = Machine::whose_participants_run(STAYS);
    machine.program("python3", "case \"$2\" in *metadata*) echo 2.9.0 ;; *) exec sleep 600 ;; esac");
    let up = machine.up().spawn().unwrap();
    let kits = machine.workspace().join("provisioned/two_orgs/prod_00");
    wait_until(|| pids(&kits).len() == 4);
    let pids = pids(&kits);
    end(up, Signal::KILL);
    assert!(machine.down().status.success());
    assert!(!pids.iter().any(|pid| is_running(pid)));
    assert!(!machine.workspace().exists());
}

#[test]
fn another_release_in_the_environment_is_not_used() {
    let machine = Machine::whose_participants_run(STAYS);
    let up = machine.up().args(["--version", "2.8.3"]).output().unwrap();
    assert_eq!(up.status.code(), Some(4));
    assert!(text(&up.stderr).contains("holds nvflare 2.9.0, not 2.8.3"), "{}", text(&up.stderr));
    assert!(!machine.workspace().exists());
}

#[test]
fn a_machine_without_python_is_told_so() {
    let machine = Machine::whose_participants_run(STAYS);
    let up = machine.real("up").env("PATH", machine.folder.path()).env_remove("FLARE_VENV_CACHE").output().unwrap();
    assert_eq!(up.status.code(), Some(4));
    assert!(text(&up.stderr).contains("python3 cannot be run"), "{}", text(&up.stderr));
    assert!(!machine.workspace().exists());
}
