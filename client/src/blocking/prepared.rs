//! What is prepared first and done then.

use std::fmt;

use super::runtime::Runtime;
use crate::{JobUpdate, Result};

/// Something that can be set up further before it is waited for: a submission, a download, a question for logs, a restart.
///
/// ```no_run
/// # fn example(session: flare_client::blocking::Session) -> flare_client::Result<()> {
/// let job_id = session.submit_job("jobs/hello").with(|job| job.retry_safe()).wait()?;
/// let folder = session.download_job_result(&job_id).with(|download| download.destination("results")).wait()?;
/// # let _ = folder;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens until `wait`"]
pub struct Prepared<B> {
    runtime: Runtime,
    inner: B,
}

impl<B> Prepared<B> {
    pub(super) fn new(runtime: &Runtime, inner: B) -> Self {
        Self { runtime: runtime.clone(), inner }
    }

    /// Sets something up, by the methods of the asynchronous type.
    pub fn with(self, set: impl FnOnce(B) -> B) -> Self {
        Self { runtime: self.runtime, inner: set(self.inner) }
    }

    /// Sets something up that may be refused.
    ///
    /// # Errors
    /// Those of `set`.
    pub fn try_with(self, set: impl FnOnce(B) -> Result<B>) -> Result<Self> {
        Ok(Self { runtime: self.runtime, inner: set(self.inner)? })
    }
}

impl<B, T> Prepared<B>
where
    B: IntoFuture<Output = Result<T>>,
{
    /// Does it.
    ///
    /// # Errors
    /// Those of the asynchronous method; [`Unsupported`](crate::ErrorKind::Unsupported) inside a runtime.
    pub fn wait(self) -> Result<T> {
        self.runtime.wait(async { self.inner.into_future().await })?
    }
}

impl<B: fmt::Debug> fmt::Debug for Prepared<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Prepared").field(&self.inner).finish()
    }
}

/// The changes of a job's status, one after the other; ends when the job has. Made by
/// [`Session::watch_job`](super::Session::watch_job).
#[must_use = "a watch does nothing until it is asked"]
pub struct JobWatch {
    runtime: Runtime,
    inner: crate::JobWatch,
}

impl JobWatch {
    pub(super) fn new(runtime: &Runtime, inner: crate::JobWatch) -> Self {
        Self { runtime: runtime.clone(), inner }
    }

    /// Sets something up, by the methods of the asynchronous type.
    pub fn with(self, set: impl FnOnce(crate::JobWatch) -> crate::JobWatch) -> Self {
        Self { runtime: self.runtime, inner: set(self.inner) }
    }
}

impl Iterator for JobWatch {
    type Item = Result<JobUpdate>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.runtime.wait(self.inner.next()) {
            Ok(update) => update,
            Err(refused) => Some(Err(refused)),
        }
    }
}

impl fmt::Debug for JobWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JobWatch(..)")
    }
}
