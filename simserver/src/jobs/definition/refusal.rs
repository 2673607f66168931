//! Why a submission was refused.

use std::error::Error;
use std::fmt;

use flare_wire::hci::{MetaStatus, Reply};

use crate::jobs::python::{ExceptionClass, PythonError};

/// A refused submission; shown as the text of the reply's error item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The job's definition is wrong.
    Definition(String),
    /// The server ran into an exception.
    Exception(PythonError),
}

impl Refusal {
    /// The status of the reply.
    #[must_use]
    pub const fn status(&self) -> MetaStatus {
        match self {
            Self::Definition(_) => MetaStatus::InvalidJobDefinition,
            Self::Exception(_) => MetaStatus::InternalError,
        }
    }

    /// The info of the reply.
    #[must_use]
    pub fn info(&self) -> String {
        match self {
            Self::Definition(text) => text.clone(),
            Self::Exception(error) => format!("exception <class '{}'> occurred", error.class.qualified_name()),
        }
    }

    /// For an upload that cannot be read back: a broken disk.
    #[must_use]
    pub fn unreadable(error: &std::io::Error) -> Self {
        Self::Exception(PythonError::new(ExceptionClass::Storage, error.to_string()))
    }

    /// The exception behind it, as a command that is no submission reports one.
    #[must_use]
    pub fn exception_text(&self) -> String {
        match self {
            Self::Definition(text) => format!("ValueError: {text}"),
            Self::Exception(error) => error.to_string(),
        }
    }

    /// Adds the refusal to a reply.
    pub fn push_to(&self, reply: &mut Reply) {
        reply.push_error_with(self.to_string(), &self.status(), &self.info());
    }
}

/// The validator turns every `ValueError` into a refusal of the job; the rest surfaces as an exception.
impl From<PythonError> for Refusal {
    fn from(error: PythonError) -> Self {
        if error.class.is_value_error() { Self::Definition(error.text) } else { Self::Exception(error) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Definition(text) => f.write_str(text),
            Self::Exception(error) => write!(f, "Exception occurred trying to submit job: {error}"),
        }
    }
}

impl Error for Refusal {}
