//! Server and sites: provision, start, and wait until every site is registered and answers.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, timeout};

use super::RealError;
use super::blueprint::Blueprint;
use super::program::{describe, logged_to, run, tail};
use super::python::Python;
use super::workspace::Workspace;

/// Keys for a dozen participants take a few seconds.
const PROVISION_LIMIT: Duration = Duration::from_secs(180);

/// A participant starts in about four seconds; a busy machine of two processors took twenty.
const REGISTRATION_LIMIT: Duration = Duration::from_secs(180);

/// How often a starting process is looked at; its end cannot be awaited together with the watcher's next line.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Watches through the official client which sites are registered and answer.
const WATCHER: &str = include_str!("../../official/watch_sites.py");

/// Runs a participant, and again when it was told to restart, as the official `sub_start.sh` does: but without its pauses
/// of five seconds, and in the foreground. `--once` starts Python at once and takes the marks of before away; a
/// participant that is to restart leaves the mark and ends.
const PARTICIPANT: &str = r#"
while :; do
  bash "$1/startup/sub_start.sh" --once
  code=$?
  [ -e "$1/restart.fl" ] || exit "$code"
done
"#;

/// Where the default configuration of a server stores jobs: outside its workspace, and the same for all servers of a
/// machine.
const DEFAULT_STORAGE: &str = "/tmp/nvflare";

/// A provisioned federation, and what runs of it.
#[derive(Debug)]
pub(super) struct Federation<'a> {
    blueprint: &'a Blueprint,
    python: &'a Python,
    workspace: &'a Workspace,
    running: Vec<(String, Child)>,
}

impl<'a> Federation<'a> {
    /// Makes certificates and kits from the project file in the workspace.
    pub(super) async fn provision(
        blueprint: &'a Blueprint,
        python: &'a Python,
        workspace: &'a Workspace,
    ) -> Result<Self, RealError> {
        let mut command = Command::new(python.programs().join("nvflare"));
        command.args(["provision", "-p"]).arg(workspace.project_file());
        command.arg("-w").arg(workspace.provisioned()).env("HOME", workspace.home()).current_dir(workspace.folder());
        run("provisioning", PROVISION_LIMIT, workspace, &mut command).await?;
        let federation = Self { blueprint, python, workspace, running: Vec::new() };
        federation.store_inside()?;
        Ok(federation)
    }

    /// The folder with one kit folder per participant.
    pub(super) fn kits(&self) -> PathBuf {
        self.workspace.provisioned().join(self.blueprint.project.name()).join("prod_00")
    }

    /// Starts the server, then site after site in the order of the project, which thereby is the order in which the
    /// server lists them.
    pub(super) async fn start(&mut self) -> Result<(), RealError> {
        self.start_participant(self.blueprint.project.server().name())?;
        let mut watcher = self.start_watcher()?;
        let project = &self.blueprint.project;
        for site in project.sites() {
            self.start_participant(site.name())?;
            self.wait_for(&mut watcher, site.name()).await?;
        }
        watcher.end().await
    }

    fn start_participant(&mut self, name: &str) -> Result<(), RealError> {
        let kit = self.kits().join(name);
        let mut command = Command::new("bash");
        command.args(["-c", PARTICIPANT, name]).arg(kit).env_clear();
        self.prepare(&mut command, name)?;
        let child = command.spawn().map_err(RealError::System)?;
        self.running.push((name.to_owned(), child));
        Ok(())
    }

    fn start_watcher(&self) -> Result<Watcher, RealError> {
        let admin = self.blueprint.project.admins().first().map_or("", |admin| admin.name());
        let mut command = Command::new(self.python.interpreter());
        command.env_clear().args(["-c", WATCHER, admin]).arg(self.kits().join(admin));
        command.args(self.blueprint.project.sites().iter().map(flare_simserver::project::Site::name));
        self.prepare(&mut command, "watcher")?;
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().map_err(RealError::System)?;
        let lines = BufReader::new(child.stdout.take().expect("the output was piped just now")).lines();
        Ok(Watcher { child, lines, log: self.workspace.log("watcher") })
    }

    /// The environment of everything that runs: nothing of the caller's but the search path and the time zone, so that
    /// a federation behaves the same whoever starts it.
    fn prepare(&self, command: &mut Command, name: &str) -> Result<(), RealError> {
        let caller = env::var_os("PATH").unwrap_or_default();
        let folders = [self.python.programs()].into_iter().chain(env::split_paths(&caller));
        let path = env::join_paths(folders).map_err(|error| RealError::System(io::Error::other(error)))?;
        command.env("PATH", path).env("HOME", self.workspace.home()).env("LANG", "C.UTF-8");
        if let Some(zone) = env::var_os("TZ") {
            command.env("TZ", zone);
        }
        logged_to(command, &self.workspace.log(name))?;
        self.workspace.mark(command);
        Ok(())
    }

    async fn wait_for(&mut self, watcher: &mut Watcher, site: &str) -> Result<(), RealError> {
        let deadline = Instant::now() + REGISTRATION_LIMIT;
        loop {
            if let Ok(line) = timeout(LOOK_INTERVAL, watcher.lines.next_line()).await {
                match line.map_err(RealError::System)? {
                    Some(line) if line == site => return Ok(()),
                    Some(_) => continue,
                    None => return Err(watcher.ended().await),
                }
            }
            self.all_running()?;
            if Instant::now() > deadline {
                let tail = tail(&self.workspace.log(site));
                return Err(RealError::NeverRegistered { site: site.to_owned(), waited: REGISTRATION_LIMIT, tail });
            }
        }
    }

    fn all_running(&mut self) -> Result<(), RealError> {
        for (name, child) in &mut self.running {
            if let Some(status) = child.try_wait().map_err(RealError::System)? {
                let tail = tail(&self.workspace.log(name));
                return Err(RealError::Ended { name: name.clone(), ended: describe(status), tail });
            }
        }
        Ok(())
    }

    /// Puts the server's stores into the workspace. The file keeps its date: `ls -t` shows the order of provisioning.
    fn store_inside(&self) -> Result<(), RealError> {
        let local = self.kits().join(self.blueprint.project.server().name()).join("local");
        let path = local.join("resources.json.default");
        let storage = escaped(&self.workspace.storage());
        let change = || {
            let modified = fs::metadata(&path)?.modified()?;
            fs::write(&path, fs::read_to_string(&path)?.replace(DEFAULT_STORAGE, &storage))?;
            File::options().write(true).open(&path)?.set_modified(modified)
        };
        change().map_err(RealError::file(&path))
    }
}

/// A path as it stands inside a JSON text.
fn escaped(path: &Path) -> String {
    let text = serde_json::Value::from(path.to_string_lossy()).to_string();
    text[1..text.len() - 1].to_owned()
}

/// The official client, telling each site's name once it is registered and answers.
struct Watcher {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Watcher {
    async fn ended(&mut self) -> RealError {
        let ended = self.child.wait().await.map_or_else(|error| error.to_string(), describe);
        RealError::Program { task: "watching the sites register", ended, tail: tail(&self.log) }
    }

    /// Waits until it has logged out.
    async fn end(mut self) -> Result<(), RealError> {
        match timeout(REGISTRATION_LIMIT, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            _ => {
                self.child.start_kill().map_err(RealError::System)?;
                Err(self.ended().await)
            }
        }
    }
}
