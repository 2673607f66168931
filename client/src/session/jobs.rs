//! Jobs.

use super::Session;
use crate::JsonObject;
use crate::Result;
use crate::command::{
    AbortJob, AppCommand, CloneJob, ConfigureJobLog, DeleteJob, GetJobMeta, ListJobComponents, ListJobs,
    ListJobsDetailed, ResetErrors, ShowErrors, ShowStats,
};
use crate::model::{DeletedJob, JobId, JobMeta, JobQuery, JobStatus, JobSummary, LogConfig, Targets};
use serde_json::Value;

/// The status of a 2.7 server for a job without further components, as it spells it.
const NO_COMPONENTS_IN_2_7: &str = "no_job_compoents";

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

    /// The status of a job; `None` when its meta has none.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session, job_id: flare_client::JobId) -> flare_client::Result<()> {
    /// let has_ended = session.get_job_status(&job_id).await?.is_some_and(|status| status.is_final());
    /// # let _ = has_ended;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::get_job_meta`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn get_job_status(&self, job_id: &JobId) -> Result<Option<JobStatus>> {
        self.get_job_meta(job_id).await.map(|meta| meta.status)
    }

    /// Submits a job again, as one of the caller's; gives the id of the new one.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session, job_id: flare_client::JobId) -> flare_client::Result<()> {
    /// println!("{} is a clone of {job_id}", session.clone_job(&job_id).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::get_job_meta`]. After a lost connection, [`Error::may_have_run`](crate::Error::may_have_run) tells
    /// whether there may be a clone all the same.
    ///
    /// # Cancel safety
    /// The server may make the clone although the future was dropped.
    pub async fn clone_job(&self, job_id: &JobId) -> Result<JobId> {
        self.run(&CloneJob(job_id)).await
    }

    /// Aborts a job, wherever it stands; gives the server's words for what that comes to. A job that runs takes some
    /// seconds to end.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session, job_id: flare_client::JobId) -> flare_client::Result<()> {
    /// println!("{}", session.abort_job(&job_id).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::get_job_meta`]; [`ServerFault`](crate::ErrorKind::ServerFault) for a job that was left as running by
    /// a server that was killed.
    ///
    /// # Cancel safety
    /// The server may abort the job although the future was dropped.
    pub async fn abort_job(&self, job_id: &JobId) -> Result<String> {
        self.run(&AbortJob(job_id)).await
    }

    /// Deletes a job that does not run. The server is not asked to abort it first, whatever the API document says.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session, job_id: flare_client::JobId) -> flare_client::Result<()> {
    /// println!("{} submit tokens are of no use any more", session.delete_job(&job_id).await?.submit_records_marked_deleted);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`JobRunning`](crate::ErrorKind::JobRunning); else as [`Session::get_job_meta`].
    ///
    /// # Cancel safety
    /// The server may delete the job although the future was dropped.
    pub async fn delete_job(&self, job_id: &JobId) -> Result<DeletedJob> {
        self.run(&DeleteJob(job_id)).await
    }

    /// The components of a job beyond its definition and its result, such as `ERRORLOG_site-1`.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session, job_id: flare_client::JobId) -> flare_client::Result<()> {
    /// for name in session.list_job_components(&job_id).await? {
    ///     println!("{name}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::get_job_meta`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn list_job_components(&self, job_id: &JobId) -> Result<Vec<String>> {
        match self.run(&ListJobComponents(job_id)).await {
            // How a 2.7 server says that there are none; later ones give an empty list.
            Err(error) if error.status().is_some_and(|status| status.as_str() == NO_COMPONENTS_IN_2_7) => {
                Ok(Vec::new())
            }
            components => components,
        }
    }

    /// What a running job does on these targets, by `server` and the names of sites. What is in it depends on the
    /// components of the job.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session, job_id: flare_client::JobId) -> flare_client::Result<()> {
    /// use flare_client::Targets;
    ///
    /// println!("{}", session.show_stats(&job_id, &Targets::Server).await?["server"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`JobNotRunning`](crate::ErrorKind::JobNotRunning), [`InvalidTarget`](crate::ErrorKind::InvalidTarget); else as
    /// [`Session::get_job_meta`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn show_stats(&self, job_id: &JobId, targets: &Targets) -> Result<JsonObject> {
        self.run(&ShowStats(job_id, targets)).await
    }

    /// The errors of a running job on these targets, in the same way.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session, job_id: flare_client::JobId) -> flare_client::Result<()> {
    /// use flare_client::Targets;
    ///
    /// for (participant, errors) in session.show_errors(&job_id, &Targets::All).await? {
    ///     println!("{participant}: {errors}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::show_stats`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn show_errors(&self, job_id: &JobId, targets: &Targets) -> Result<JsonObject> {
        self.run(&ShowErrors(job_id, targets)).await
    }

    /// Forgets the errors of a running job, on the server and on every site.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session, job_id: flare_client::JobId) -> flare_client::Result<()> {
    /// session.reset_errors(&job_id).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::show_stats`].
    ///
    /// # Cancel safety
    /// The server may forget them although the future was dropped.
    pub async fn reset_errors(&self, job_id: &JobId) -> Result<()> {
        self.run(&ResetErrors(job_id)).await
    }

    /// Calls a function that the code of a running job has registered under `topic`, with `data`.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session, job_id: flare_client::JobId) -> flare_client::Result<()> {
    /// let answer = session.do_app_command(&job_id, "progress", &serde_json::json!({"round": 3})).await?;
    /// println!("{answer:?}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`JobNotRunning`](crate::ErrorKind::JobNotRunning), [`Refused`](crate::ErrorKind::Refused) when the job knows no
    /// such topic; else as [`Session::get_job_meta`].
    ///
    /// # Cancel safety
    /// The job may be called although the future was dropped.
    pub async fn do_app_command(&self, job_id: &JobId, topic: &str, data: &Value) -> Result<JsonObject> {
        self.run(&AppCommand { job_id, topic, data }).await
    }

    /// Configures the logs of a running job on these targets.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session, job_id: flare_client::JobId) -> flare_client::Result<()> {
    /// use flare_client::{LogConfig, Targets};
    ///
    /// session.configure_job_log(&job_id, &LogConfig::new("DEBUG")?, &Targets::Server).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Refused`](crate::ErrorKind::Refused) when the job does not run, or a site could not do it: with
    /// [`Targets::All`] that is every registered site that has no part in the job. Else as [`Session::show_stats`].
    ///
    /// # Cancel safety
    /// The logs may be configured although the future was dropped.
    pub async fn configure_job_log(&self, job_id: &JobId, config: &LogConfig, targets: &Targets) -> Result<()> {
        self.run(&ConfigureJobLog { job_id, config, targets }).await
    }
}
