//! Why a real federation did not come up or go down.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use flare_simserver::project::ProjectError;

/// Why `real up` or `real down` failed.
#[derive(Debug)]
pub(crate) enum RealError {
    /// There is no `python3`.
    NoPython(io::Error),
    /// A program that `up` runs to its end did not end well.
    Program {
        /// What it was to do.
        task: &'static str,
        /// How it ended.
        ended: String,
        /// The last lines of its output.
        tail: String,
    },
    /// The virtual environment holds another release.
    OtherRelease {
        /// The environment.
        venv: PathBuf,
        /// What is installed there.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// The project file cannot be used.
    Project(ProjectError),
    /// The project file cannot be used for a federation on this machine.
    Unsuitable(&'static str),
    /// A federation is recorded in the workspace.
    AlreadyUp(PathBuf),
    /// A file or folder could not be read or written.
    File {
        /// Which one.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The server or a site ended although it should be running.
    Ended {
        /// Its name.
        name: String,
        /// How it ended.
        ended: String,
        /// The last lines of its output.
        tail: String,
    },
    /// A site was started but did not register, or does not answer.
    NeverRegistered {
        /// The site.
        site: String,
        /// How long was waited.
        waited: Duration,
        /// The last lines of its output.
        tail: String,
    },
    /// Processes of the federation survived even a kill.
    StillRunning(Vec<i32>),
    /// The federation is gone, but something listens on its port.
    PortTaken(u16),
    /// The system refused something that every Linux system grants.
    System(io::Error),
    /// SIGINT or SIGTERM came while the federation was brought up.
    Interrupted,
}

impl RealError {
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

impl fmt::Display for RealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPython(_) => f.write_str("python3 cannot be run; a real federation needs Python 3.9 or later"),
            Self::Program { task, ended, tail } => write!(f, "{task} failed ({ended}){}", Indented(tail)),
            Self::OtherRelease { venv, found, wanted } => write!(
                f,
                "{} holds nvflare {found}, not {wanted}; name another folder for each release",
                venv.display()
            ),
            Self::Project(_) => f.write_str("the project file cannot be used"),
            Self::Unsuitable(reason) => write!(f, "the project file cannot be used: {reason}"),
            Self::AlreadyUp(path) => {
                write!(f, "{} says that a federation is up; take it down with `real down` first", path.display())
            }
            Self::File { path, .. } => write!(f, "{} cannot be read or written", path.display()),
            Self::Ended { name, ended, tail } => {
                write!(f, "{name} ended ({ended}) before the federation was complete{}", Indented(tail))
            }
            Self::NeverRegistered { site, waited, tail } => {
                write!(f, "{site} was not registered within {} s{}", waited.as_secs(), Indented(tail))
            }
            Self::StillRunning(pids) => write!(f, "processes of the federation cannot be ended: {pids:?}"),
            Self::PortTaken(port) => write!(f, "somebody still listens on port {port}, which is not the federation"),
            Self::System(_) => f.write_str("the operating system refused a process or a signal handler"),
            Self::Interrupted => f.write_str("interrupted; what was started has been taken down"),
        }
    }
}

impl Error for RealError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoPython(source) | Self::File { source, .. } | Self::System(source) => Some(source),
            Self::Project(source) => Some(source),
            _ => None,
        }
    }
}

impl From<ProjectError> for RealError {
    fn from(source: ProjectError) -> Self {
        Self::Project(source)
    }
}

/// The last lines of an output, each on a line of its own below the sentence.
struct Indented<'a>(&'a str);

impl fmt::Display for Indented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.lines().try_for_each(|line| write!(f, "\n  {line}"))
    }
}
