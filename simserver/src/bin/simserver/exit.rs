//! How the program ends: its exit codes and what it says when it fails.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use flare_simserver::StartError;
use flare_simserver::kits::KitError;
use flare_simserver::project::ProjectError;
use flare_simserver::scenario::ScenarioError;

/// The exit codes, for `--help`.
pub(crate) const HELP: &str = "Exit codes:
  0  done; for `serve`: ended by SIGTERM, Ctrl-C or the command `shutdown`
  1  something unexpected failed
  2  the command line is wrong
  3  the project, scenario, policy or study file cannot be read or is not valid
  4  the workspace, a key, a startup kit or the state directory cannot be read or written
  5  the server cannot start: the port is taken, a certificate has expired";

/// Why the program fails.
#[derive(Debug)]
pub(crate) enum Failure {
    Project(ProjectError),
    Scenario(ScenarioError),
    Kits(KitError),
    Start(StartError),
    ReadyFile { path: PathBuf, source: io::Error },
    Runtime(io::Error),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Runtime(_) | Self::ReadyFile { .. } => 1,
            Self::Project(_) | Self::Scenario(_) | Self::Start(StartError::Scenario(_) | StartError::File { .. }) => 3,
            Self::Kits(_) | Self::Start(StartError::Kits(_) | StartError::State(_)) => 4,
            Self::Start(_) => 5,
        })
    }

    pub(crate) fn ready_file(path: &Path, source: io::Error) -> Self {
        Self::ReadyFile { path: path.to_owned(), source }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Project(error) => error.hint(),
            Self::Scenario(error) => error.hint(),
            Self::Kits(error) => error.hint(),
            Self::Start(error) => error.hint(),
            Self::ReadyFile { .. } => "check that the directory of the ready file exists and may be written",
            Self::Runtime(_) => "check the limits of the system on threads and open files",
        }
    }
}

impl From<ProjectError> for Failure {
    fn from(error: ProjectError) -> Self {
        Self::Project(error)
    }
}

impl From<ScenarioError> for Failure {
    fn from(error: ScenarioError) -> Self {
        Self::Scenario(error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl From<KitError> for Failure {
    fn from(error: KitError) -> Self {
        Self::Kits(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(_) => f.write_str("the project cannot be used"),
            Self::Scenario(_) => f.write_str("the scenario cannot be used"),
            Self::Kits(_) => f.write_str("the startup kits cannot be made"),
            Self::Start(_) => f.write_str("the server cannot start"),
            Self::ReadyFile { path, .. } => write!(f, "the ready file {} cannot be written", path.display()),
            Self::Runtime(_) => f.write_str("the asynchronous runtime cannot start"),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Project(error) => Some(error),
            Self::Scenario(error) => Some(error),
            Self::Kits(error) => Some(error),
            Self::Start(error) => Some(error),
            Self::ReadyFile { source, .. } | Self::Runtime(source) => Some(source),
        }
    }
}
