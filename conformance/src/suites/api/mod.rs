//! The typed methods of our client, on the target: values, refusals, and what a closed session does.

mod jobs;
mod session;
mod shell;
mod system;

use flare_client::{Error, ErrorKind};

use crate::finding::ensure_eq;
use crate::{Case, CaseResult, Finding};

pub(super) fn cases() -> Vec<Case> {
    [session::cases(), system::cases(), jobs::cases(), shell::cases()].into_iter().flatten().collect()
}

/// The call fails with an error of this kind.
fn fails<T: std::fmt::Debug>(what: &str, result: Result<T, Error>, kind: ErrorKind) -> CaseResult<Error> {
    match result {
        Ok(value) => Err(Finding::fail(format!("{what}: expected {kind:?}, observed {value:?}"))),
        Err(error) => {
            ensure_eq!(error.kind(), kind, "{what}: {error:?}");
            Ok(error)
        }
    }
}
