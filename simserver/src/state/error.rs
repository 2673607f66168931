//! Why a state directory cannot be used.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a state directory cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum StateError {
    /// A file or directory cannot be made, read or removed.
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The store cannot be opened, read or written; another server may have it open.
    Store {
        /// The state directory.
        directory: PathBuf,
        /// Why not.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store was written by an earlier version of the simulator, which kept its jobs in another way.
    Outdated {
        /// The state directory.
        directory: PathBuf,
    },
    /// Something in the store was not written by this version of the simulator.
    Damaged {
        /// The state directory.
        directory: PathBuf,
        /// What.
        what: String,
    },
}

impl StateError {
    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), source }
    }

    pub(super) fn store<E: Into<redb::Error>>(directory: &Path) -> impl Fn(E) -> Self + '_ {
        |error| Self::Store { directory: directory.to_owned(), source: Box::new(error.into()) }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "check that the state directory may be written and that its disk is not full",
            Self::Store { .. } => "end the other server that uses the state directory, or choose another directory",
            Self::Outdated { .. } => {
                "go on with the version that wrote it, or choose another directory; nothing in it was changed"
            }
            Self::Damaged { .. } => "choose another directory, or remove this one if its jobs are not needed",
        }
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, path, .. } => write!(f, "cannot {doing} {}", path.display()),
            Self::Store { directory, .. } => write!(f, "cannot use the store in {}", directory.display()),
            Self::Outdated { directory } => {
                write!(f, "the state in {} was written by an earlier version", directory.display())
            }
            Self::Damaged { directory, what } => write!(f, "{what} in {} cannot be read", directory.display()),
        }
    }
}

impl Error for StateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Store { source, .. } => Some(source.as_ref()),
            Self::Outdated { .. } | Self::Damaged { .. } => None,
        }
    }
}
