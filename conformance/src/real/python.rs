//! A Python with the wanted release of nvflare.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::sleep;

use super::RealError;
use super::program::run;
use super::workspace::Workspace;

/// Names a folder that keeps one virtual environment per release, for all federations of this machine.
pub(super) const CACHE_VARIABLE: &str = "FLARE_VENV_CACHE";

/// Making an environment copies some files; a busy machine took 20 s.
const VENV_LIMIT: Duration = Duration::from_secs(180);

/// nvflare and what it needs are about 150 MB to fetch and unpack.
const INSTALL_LIMIT: Duration = Duration::from_secs(900);

/// How often to try for an environment that somebody else is filling: another process cannot be awaited.
const LOCK_INTERVAL: Duration = Duration::from_millis(200);

/// A virtual environment that holds the wanted release.
#[derive(Debug)]
pub(super) struct Python {
    folder: PathBuf,
}

impl Python {
    /// Uses the environment if it is complete, else fills it.
    ///
    /// It lies in `shared` if given, else in the cache named by the environment variable, else in the workspace.
    pub(super) async fn ready(version: &str, shared: Option<&Path>, workspace: &Workspace) -> Result<Self, RealError> {
        let cached =
            || env::var_os(CACHE_VARIABLE).map(|cache| PathBuf::from(cache).join(format!("nvflare-{version}")));
        let folder = shared.map(Path::to_owned).or_else(cached).unwrap_or_else(|| workspace.venv());
        let python = Self { folder };
        if python.holds(version).await? {
            return Ok(python);
        }
        let _filling = python.lock().await?;
        if !python.holds(version).await? {
            python.fill(version, workspace).await?;
        }
        Ok(python)
    }

    /// The interpreter.
    pub(super) fn interpreter(&self) -> PathBuf {
        self.programs().join("python3")
    }

    /// The folder of the programs that come with nvflare.
    pub(super) fn programs(&self) -> PathBuf {
        self.folder.join("bin")
    }

    /// Whether the wanted release is installed. pip installs a package after all that it needs, so a release that is
    /// there is complete.
    async fn holds(&self, version: &str) -> Result<bool, RealError> {
        if !self.interpreter().exists() {
            return Ok(false);
        }
        let ask = "import importlib.metadata as m; print(m.version('nvflare'))";
        let answer = Command::new(self.interpreter())
            .args(["-c", ask])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(RealError::file(self.interpreter()))?;
        let found = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        match found.as_str() {
            // Without the package Python ends with an error and prints nothing.
            "" => Ok(false),
            found if found == version => Ok(true),
            found => Err(RealError::OtherRelease {
                venv: self.folder.clone(),
                found: found.to_owned(),
                wanted: version.to_owned(),
            }),
        }
    }

    /// Two federations that start at the same time must not fill one environment together.
    async fn lock(&self) -> Result<File, RealError> {
        fs::create_dir_all(&self.folder).map_err(RealError::file(&self.folder))?;
        let path = self.folder.join("filling.lock");
        let file = File::create(&path).map_err(RealError::file(&path))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => sleep(LOCK_INTERVAL).await,
                Err(TryLockError::Error(error)) => return Err(RealError::File { path, source: error }),
            }
        }
    }

    async fn fill(&self, version: &str, workspace: &Workspace) -> Result<(), RealError> {
        let present = Command::new("python3").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        present.await.map_err(RealError::NoPython)?;
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&self.folder);
        run("making a virtual environment", VENV_LIMIT, workspace, &mut make).await?;
        let mut install = Command::new(self.interpreter());
        // pip reads the caller's configuration, which may say where packages come from, but writes nothing there.
        install.args(["-m", "pip", "install", "--no-input", "--no-cache-dir", "--quiet"]);
        install.arg(format!("nvflare=={version}"));
        run("installing nvflare", INSTALL_LIMIT, workspace, &mut install).await
    }
}
