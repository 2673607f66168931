//! Why there is no startup kit.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::pki::PkiError;

/// Why a startup kit cannot be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum KitError {
    /// A file or directory cannot be read or written.
    Io {
        /// What was being done: `write`, `read`, ….
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key or a certificate cannot be made or read.
    Pki(PkiError),
    /// `state/cert.json` is not what provisioning writes.
    BadState {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// An admin has another role than in the certificate that exists already.
    RoleChanged {
        /// The admin.
        name: String,
        /// The role in the certificate.
        before: String,
        /// The role in the project.
        now: String,
    },
    /// Another server serves from this workspace.
    InUse(PathBuf),
    /// All directories `prod_00` to `prod_99` exist.
    NoProdLeft(PathBuf),
    /// The project has no participant of this name.
    UnknownParticipant(String),
}

impl KitError {
    pub(super) fn io<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Self + 'a {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "check that the workspace exists and may be written",
            Self::Pki(error) => error.hint(),
            Self::BadState { .. } => "provision into a new workspace, or restore the file",
            Self::RoleChanged { .. } => "give the admin another name, or provision into a new workspace",
            Self::InUse(_) => "end the other server, or use another workspace",
            Self::NoProdLeft(_) => "remove old prod_NN directories",
            Self::UnknownParticipant(_) => "use a name of the project",
        }
    }
}

impl From<PkiError> for KitError {
    fn from(error: PkiError) -> Self {
        Self::Pki(error)
    }
}

impl fmt::Display for KitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, path, .. } => write!(f, "cannot {doing} {}", path.display()),
            Self::Pki(_) => f.write_str("cannot make keys and certificates"),
            Self::BadState { path, problem } => write!(f, "{} is damaged: {problem}", path.display()),
            Self::RoleChanged { name, before, now } => {
                write!(f, "admin '{name}' has a certificate for the role {before}, the project says {now}")
            }
            Self::InUse(path) => write!(f, "another server serves from {}", path.display()),
            Self::NoProdLeft(path) => write!(f, "{} holds prod_99 already", path.display()),
            Self::UnknownParticipant(name) => write!(f, "the project has no participant '{name}'"),
        }
    }
}

impl Error for KitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Pki(error) => Some(error),
            _ => None,
        }
    }
}
