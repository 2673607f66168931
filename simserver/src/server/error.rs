//! Why a server does not start.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::clock::BadClockMode;
use crate::core::StudyRegistryError;
use crate::kits::KitError;
use crate::pki::PkiError;
use crate::scenario::ScenarioError;
use crate::state::StateError;

/// Why a server does not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address or port cannot be listened on.
    Listen {
        /// The address.
        address: IpAddr,
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// Keys, certificates or startup kits cannot be made.
    Kits(KitError),
    /// A certificate in the workspace has expired, so no client would accept the server.
    Expired {
        /// `root` or the server's name.
        whose: String,
    },
    /// The studies that the project declares cannot be simulated.
    Studies(StudyRegistryError),
    /// A file that a server or a site reads when it starts cannot be read, or is not what it should be: an authorization
    /// policy, a study registry, the list of disabled clients.
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The clock cannot run that fast or slowly.
    Clock(BadClockMode),
    /// The state directory cannot be used.
    State(StateError),
    /// The scenario does not fit the project.
    Scenario(ScenarioError),
    /// There is no place for files that are uploaded or downloaded.
    Scratch(io::Error),
    /// The work of starting was interrupted, because the runtime shuts down.
    Interrupted,
}

impl StartError {
    pub(super) fn file(path: &Path, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::File { path: path.to_owned(), source: source.into() }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                "end the other program, choose another port, or port 0 for any that is free"
            }
            Self::Listen { .. } => "choose an address of this machine and a port above 1023",
            Self::Kits(error) => error.hint(),
            Self::Expired { .. } => "provision into a new workspace",
            Self::Studies(_) => "compare the project's studies with nvflare's study registry",
            Self::File { .. } => "correct the file, or remove it so that what provisioning made counts",
            Self::Clock(_) => "choose a factor between 0 and a million",
            Self::State(error) => error.hint(),
            Self::Scenario(error) => error.hint(),
            Self::Scratch(_) => "make room in the system's temporary directory, or set TMPDIR to another",
            Self::Interrupted => "start the server before the runtime shuts down",
        }
    }
}

impl From<KitError> for StartError {
    fn from(error: KitError) -> Self {
        Self::Kits(error)
    }
}

impl From<PkiError> for StartError {
    fn from(error: PkiError) -> Self {
        Self::Kits(error.into())
    }
}

impl From<StudyRegistryError> for StartError {
    fn from(error: StudyRegistryError) -> Self {
        Self::Studies(error)
    }
}

impl From<StateError> for StartError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<ScenarioError> for StartError {
    fn from(error: ScenarioError) -> Self {
        Self::Scenario(error)
    }
}

impl From<BadClockMode> for StartError {
    fn from(error: BadClockMode) -> Self {
        Self::Clock(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { address, port, .. } => write!(f, "cannot listen on {address} port {port}"),
            Self::Kits(_) => f.write_str("the startup kits cannot be made"),
            Self::Expired { whose } => write!(f, "the certificate of {whose} in the workspace has expired"),
            Self::Studies(_) => f.write_str("the project's studies cannot be simulated"),
            Self::File { path, .. } => write!(f, "cannot use {}", path.display()),
            Self::Clock(_) => f.write_str("the clock cannot be simulated"),
            Self::State(_) => f.write_str("the state directory cannot be used"),
            Self::Scenario(_) => f.write_str("the scenario cannot be played"),
            Self::Scratch(_) => f.write_str("there is no temporary directory for uploads"),
            Self::Interrupted => f.write_str("starting was interrupted"),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Listen { source, .. } | Self::Scratch(source) => Some(source),
            Self::Kits(error) => Some(error),
            Self::Studies(error) => Some(error),
            Self::State(error) => Some(error),
            Self::File { source, .. } => Some(source.as_ref()),
            Self::Scenario(error) => Some(error),
            Self::Clock(error) => Some(error),
            _ => None,
        }
    }
}
