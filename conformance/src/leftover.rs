//! What cases leave behind on a target until all of them have ended.
//!
//! Jobs are not deleted earlier because that can end a real 2.9.0 server's scheduler for good: the thread that looks for
//! waiting jobs lists them first and reads each then, and dies of one that has gone in between
//! (`job_def_manager.py: _scan`, `StorageException: object … does not exist`).

use flare_client::{ErrorKind, JobId, Session, StudyName};

use crate::{CaseResult, Finding};

/// Objects of one case, and the session that can remove them.
#[derive(Debug)]
pub(crate) struct Leftover {
    pub(crate) session: Session,
    pub(crate) jobs: Vec<JobId>,
    pub(crate) studies: Vec<StudyName>,
    /// The session is one that others use as well.
    pub(crate) is_shared: bool,
}

/// Removes everything: all jobs before the first study, which has to have none.
///
/// # Errors
/// The first thing that could not be removed; the others are tried all the same.
pub(crate) async fn remove(leftovers: Vec<Leftover>) -> CaseResult {
    let mut removed = Ok(());
    for leftover in &leftovers {
        for job_id in &leftover.jobs {
            let deleted = leftover.session.delete_job(job_id).await.map(drop);
            let gone = unless_gone(deleted, ErrorKind::JobNotFound, job_id.as_str());
            removed = removed.and(gone);
        }
    }
    for leftover in leftovers {
        for study in &leftover.studies {
            let deleted = leftover.session.remove_study(study).await.map(drop);
            let is_old = deleted.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unsupported);
            // A server without studies has nothing to remove.
            let gone = if is_old { Ok(()) } else { unless_gone(deleted, ErrorKind::StudyUnknown, study.as_str()) };
            removed = removed.and(gone);
        }
        if !leftover.is_shared {
            leftover.session.close().await;
        }
    }
    removed
}

/// A case may have removed it already.
fn unless_gone(deleted: flare_client::Result<()>, gone: ErrorKind, what: &str) -> CaseResult {
    match deleted {
        Err(error) if error.kind() != gone => Err(Finding::from(error).during(&format!("removing {what}"))),
        _ => Ok(()),
    }
}
