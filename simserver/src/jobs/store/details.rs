//! What of a job is seldom looked at, and larger than the rest.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::jobs::behaviour::WorkspaceEntry;
use crate::jobs::content::JobContent;

/// What of a job is not in its meta.
#[derive(Debug, Clone, PartialEq)]
pub struct JobDetails {
    /// What is in its archive.
    pub content: Arc<JobContent>,
    /// The files that its run left behind.
    pub workspace: Option<Vec<WorkspaceEntry>>,
    /// Further components, such as `ERRORLOG_<site>`.
    pub components: BTreeMap<String, Vec<u8>>,
}

/// Reads details from where they are kept.
type Read = Box<dyn Fn() -> JobDetails + Send + Sync>;

/// The details of a job, which may be somewhere else until somebody asks for them.
pub(super) struct Details {
    here: OnceLock<Arc<JobDetails>>,
    elsewhere: Option<Read>,
}

impl Details {
    pub(super) fn new(details: JobDetails) -> Self {
        Self { here: OnceLock::from(Arc::new(details)), elsewhere: None }
    }

    pub(super) fn read_by(read: impl Fn() -> JobDetails + Send + Sync + 'static) -> Self {
        Self { here: OnceLock::new(), elsewhere: Some(Box::new(read)) }
    }

    pub(super) fn get(&self) -> &Arc<JobDetails> {
        self.here.get_or_init(|| {
            let read = self.elsewhere.as_ref().expect("details are here or elsewhere");
            Arc::new(read())
        })
    }

    pub(super) fn get_mut(&mut self) -> &mut JobDetails {
        self.get();
        Arc::make_mut(self.here.get_mut().expect("they were just read"))
    }

    /// The details, unless nobody has asked for them yet.
    pub(super) fn if_here(&self) -> Option<&Arc<JobDetails>> {
        self.here.get()
    }
}

/// A copy has them with it: it may outlive the place where they are.
impl Clone for Details {
    fn clone(&self) -> Self {
        Self { here: OnceLock::from(Arc::clone(self.get())), elsewhere: None }
    }
}

impl PartialEq for Details {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.here.get().fmt(f)
    }
}
