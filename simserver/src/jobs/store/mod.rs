//! All jobs of a server, indexed so that lists cost what they show and not what is stored.

mod details;
mod index;
mod query;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use flare_wire::Moment;

use super::behaviour::WorkspaceEntry;
use super::content::JobContent;
use super::meta::{JobMeta, JobStatus};
use super::python::{ExceptionClass, PythonError, is_truthy, type_name};
use details::Details;
use index::{Key, StudyIndex};

pub use details::JobDetails;
pub use query::{ListQuery, Listing};

/// One job as it is kept. `H` is the caller's handle to the uploaded archive.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredJob<H> {
    /// Its meta.
    pub meta: JobMeta,
    /// Where its archive is.
    pub archive: H,
    details: Details,
}

impl<H> StoredJob<H> {
    /// A job that has not run.
    #[must_use]
    pub fn new(meta: JobMeta, content: Arc<JobContent>, archive: H) -> Self {
        let details = JobDetails { content, workspace: None, components: BTreeMap::new() };
        Self { meta, archive, details: Details::new(details) }
    }

    /// A job whose details are read when they are first asked for.
    pub(crate) fn with_details_from(
        meta: JobMeta,
        archive: H,
        read: impl Fn() -> JobDetails + Send + Sync + 'static,
    ) -> Self {
        Self { meta, archive, details: Details::read_by(read) }
    }

    /// What is in its archive.
    #[must_use]
    pub fn content(&self) -> &Arc<JobContent> {
        &self.details.get().content
    }

    /// The files that its run left behind.
    #[must_use]
    pub fn workspace(&self) -> Option<&[WorkspaceEntry]> {
        self.details.get().workspace.as_deref()
    }

    /// Further components, such as `ERRORLOG_<site>`.
    #[must_use]
    pub fn components(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.details.get().components
    }

    /// What is not in the meta, to be changed.
    pub fn details_mut(&mut self) -> &mut JobDetails {
        self.details.get_mut()
    }

    /// What is not in the meta.
    pub(crate) fn details(&self) -> &Arc<JobDetails> {
        self.details.get()
    }

    /// The same, unless it was not read yet.
    pub(crate) fn read_details(&self) -> Option<&Arc<JobDetails>> {
        self.details.if_here()
    }
}

/// The jobs.
#[derive(Debug, Clone)]
pub struct JobStore<H> {
    jobs: HashMap<String, (Key, StoredJob<H>)>,
    studies: HashMap<String, StudyIndex>,
    waiting: BTreeMap<Key, String>,
    /// Jobs with a name that is no text. Every list fails over them, whatever it asks for.
    misnamed: BTreeMap<Key, &'static str>,
    changed: BTreeSet<String>,
    arrivals: u64,
}

impl<H> Default for JobStore<H> {
    fn default() -> Self {
        Self {
            jobs: HashMap::new(),
            studies: HashMap::new(),
            waiting: BTreeMap::new(),
            misnamed: BTreeMap::new(),
            changed: BTreeSet::new(),
            arrivals: 0,
        }
    }
}

impl<H> JobStore<H> {
    /// No jobs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of jobs, of all studies.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// True when there is no job in any study.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The job of this id.
    #[must_use]
    pub fn get(&self, job_id: &str) -> Option<&StoredJob<H>> {
        self.jobs.get(job_id).map(|(_, job)| job)
    }

    /// Adds a job; false when there is one of its id, which then stays.
    pub fn insert(&mut self, job: StoredJob<H>) -> bool {
        let id = job.meta.job_id().to_owned();
        if self.jobs.contains_key(&id) {
            return false;
        }
        let key = Key { submitted: job.meta.submit_time(), arrival: self.arrivals };
        self.arrivals += 1;
        self.studies.entry(job.meta.study().to_owned()).or_default().insert(key, &job.meta);
        if job.meta.status() == JobStatus::Submitted {
            self.waiting.insert(key, id.clone());
        }
        if let Some(name) = job.meta.fields().get("name").filter(|name| is_truthy(name) && !name.is_string()) {
            self.misnamed.insert(key, type_name(name));
        }
        self.changed.insert(id.clone());
        self.jobs.insert(id, (key, job));
        true
    }

    /// Changes a job. Its id, study, name, submitter and submit time stay as they are: no stage changes them.
    pub fn update<T>(&mut self, job_id: &str, change: impl FnOnce(&mut StoredJob<H>) -> T) -> Option<T> {
        let (key, job) = self.jobs.get_mut(job_id)?;
        let result = change(job);
        if job.meta.status() == JobStatus::Submitted {
            self.waiting.insert(*key, job_id.to_owned());
        } else {
            self.waiting.remove(key);
        }
        self.changed.insert(job_id.to_owned());
        Some(result)
    }

    /// Sets the status of a job.
    pub fn set_status(&mut self, job_id: &str, status: JobStatus, now: Moment) {
        self.update(job_id, |job| job.meta.set_status(status, now));
    }

    /// Takes a job out.
    pub fn remove(&mut self, job_id: &str) -> Option<StoredJob<H>> {
        let (key, job) = self.jobs.remove(job_id)?;
        if let Some(study) = self.studies.get_mut(job.meta.study()) {
            study.remove(key, &job.meta);
        }
        self.waiting.remove(&key);
        self.misnamed.remove(&key);
        self.changed.insert(job_id.to_owned());
        Some(job)
    }

    /// The jobs that wait for the scheduler, in the order of submission.
    pub fn waiting(&self) -> impl Iterator<Item = &JobMeta> {
        self.waiting.values().filter_map(|id| Some(&self.get(id)?.meta))
    }

    /// Every job, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &StoredJob<H>> {
        self.jobs.values().map(|(_, job)| job)
    }

    /// Ids of the jobs that were added, changed or removed since the last call: what a state directory has to write
    /// before a reply is sent.
    pub fn take_changed(&mut self) -> Vec<String> {
        std::mem::take(&mut self.changed).into_iter().collect()
    }

    /// The jobs that a query asks for.
    ///
    /// # Errors
    /// The `AttributeError` of the real server while any job's name is no text.
    pub fn list(&self, query: &ListQuery) -> Result<Listing<'_>, PythonError> {
        if self.is_empty() {
            return Ok(Listing::NoJobs);
        }
        if let Some(kind) = self.misnamed.values().next() {
            let text = format!("'{kind}' object has no attribute 'lower'");
            return Err(PythonError::new(ExceptionClass::Attribute, text));
        }
        let Some(study) = self.studies.get(&query.study) else { return Ok(Listing::NoMatch) };
        let found: Vec<&JobMeta> = study.find(query).into_iter().filter_map(|id| Some(&self.get(id)?.meta)).collect();
        Ok(if found.is_empty() && !study.has_match(query) { Listing::NoMatch } else { Listing::Jobs(found) })
    }
}
