//! How the program ends: its exit codes and what it says when it fails.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use flare_simserver::kits::KitError;
use flare_simserver::project::ProjectError;

/// The exit codes, for `--help`.
pub(crate) const HELP: &str = "Exit codes:
  0  done; for `serve`: ended by SIGTERM, SIGINT or Ctrl-C
  1  something unexpected failed
  2  the command line is wrong
  3  the project file cannot be read or is not a valid project
  4  the workspace, a key or a startup kit cannot be read or written";

/// Why the program fails.
#[derive(Debug)]
pub(crate) enum Failure {
    Project(ProjectError),
    Kits(KitError),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Project(_) => 3,
            Self::Kits(_) => 4,
        })
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Project(error) => error.hint(),
            Self::Kits(error) => error.hint(),
        }
    }
}

impl From<ProjectError> for Failure {
    fn from(error: ProjectError) -> Self {
        Self::Project(error)
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
            Self::Kits(_) => f.write_str("the startup kits cannot be made"),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Project(error) => Some(error),
            Self::Kits(error) => Some(error),
        }
    }
}
