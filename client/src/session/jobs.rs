//! Jobs.

use super::Session;
use crate::Result;
use crate::command::{GetJobMeta, ListJobs, ListJobsDetailed};
use crate::model::{JobId, JobMeta, JobQuery, JobSummary};

/// Jobs.
impl Session {
    /// Lists jobs of the session's study, in short.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// use flare_client::JobQuery;
    ///
    /// for job in session.list_jobs(&JobQuery::new().limit(10)).await? {
    ///     println!("{} {:?}", job.job_id, job.status);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NotAuthorized`](crate::ErrorKind::NotAuthorized), and those of [`Session::do_command`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn list_jobs(&self, query: &JobQuery) -> Result<Vec<JobSummary>> {
        self.run(&ListJobs(query)).await
    }

    /// Lists jobs with everything the server stores about them (`list_jobs` with `detailed=True` of the official
    /// client).
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// use flare_client::JobQuery;
    ///
    /// for job in session.list_jobs_detailed(&JobQuery::new().own().limit(3)).await? {
    ///     println!("{} of {:?}: {:?}", job.job_id, job.submitter_name, job.schedule_history);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::list_jobs`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn list_jobs_detailed(&self, query: &JobQuery) -> Result<Vec<JobMeta>> {
        self.run(&ListJobsDetailed(query)).await
    }

    /// Everything the server stores about a job.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// let job = session.get_job_meta(&"8842f542-9eef-4899-aec1-b0733a8cfe40".parse()?).await?;
    /// println!("{:?} after {:?}", job.status, job.duration);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`JobNotFound`](crate::ErrorKind::JobNotFound), also for a job of another study;
    /// [`NotAuthorized`](crate::ErrorKind::NotAuthorized), and those of [`Session::do_command`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn get_job_meta(&self, job_id: &JobId) -> Result<JobMeta> {
        self.run(&GetJobMeta(job_id)).await
    }
}
