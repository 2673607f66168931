//! Waiting for a job.
//!
//! A [`JobWatch`] asks for the job's meta again and again; the methods that wait are built on it. It survives a lost
//! connection and a server that restarts, as every command that only reads does.

use std::fmt;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use tokio::time::{Instant, sleep, sleep_until};

use super::Session;
use crate::model::{JobId, JobMeta, JobStatus};
use crate::{Error, ErrorKind, Phase, Result};

/// How often a job is asked for unless told otherwise: as the official client does.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// A job whose status has changed.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct JobUpdate {
    /// The status it has now.
    pub status: JobStatus,
    /// Everything the server stores about it.
    pub meta: JobMeta,
}

/// The changes of a job's status; made by [`Session::watch_job`].
#[must_use = "a watch does nothing until it is asked"]
pub struct JobWatch {
    session: Session,
    job_id: JobId,
    poll_interval: Duration,
    deadline: Option<Instant>,
    last: Option<JobStatus>,
    next_poll: Option<Instant>,
    is_over: bool,
}

/// How long a job is waited for, and how often it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonitorOptions {
    timeout: Option<Duration>,
    poll_interval: Duration,
}

impl Default for MonitorOptions {
    fn default() -> Self {
        Self { timeout: None, poll_interval: POLL_INTERVAL }
    }
}

impl MonitorOptions {
    /// Waits for ever, and asks every two seconds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits no longer than this; zero waits for ever. The time is compared before each poll, so there is always one.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = (!timeout.is_zero()).then_some(timeout);
        self
    }

    /// Asks this often.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for an interval of zero.
    pub fn poll_interval(mut self, interval: Duration) -> Result<Self> {
        self.poll_interval = checked_interval(interval)?;
        Ok(self)
    }
}

fn checked_interval(interval: Duration) -> Result<Duration> {
    if interval.is_zero() { Err(Error::argument("the poll interval is zero")) } else { Ok(interval) }
}

/// Why waiting for a job ended (`MonitorReturnCode` of the official client, with its numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MonitorReturnCode {
    /// The job has ended.
    JobFinished = 0,
    /// The time was over.
    Timeout = 1,
    /// The callback did not want to go on.
    EndedByCallback = 2,
}

impl Session {
    /// Watches the status of a job: the present one first, then every change, until the job has ended.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session, job_id: flare_client::JobId) -> flare_client::Result<()> {
    /// use std::time::Duration;
    ///
    /// let mut watch = session.watch_job(&job_id).deadline(Duration::from_secs(600));
    /// while let Some(update) = watch.next().await {
    ///     println!("{}", update?.status);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch_job(&self, job_id: &JobId) -> JobWatch {
        JobWatch {
            session: self.clone(),
            job_id: job_id.clone(),
            poll_interval: POLL_INTERVAL,
            deadline: None,
            last: None,
            next_poll: None,
            is_over: false,
        }
    }

    /// Waits until a job has ended, the time is over, or `callback` returns false. It is called after each poll, also
    /// for a job that has ended.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session, job_id: flare_client::JobId) -> flare_client::Result<()> {
    /// use flare_client::{MonitorOptions, MonitorReturnCode};
    ///
    /// let options = MonitorOptions::new().timeout(std::time::Duration::from_secs(600));
    /// let code = session.monitor_job(&job_id, &options, |meta| { println!("{:?}", meta.status); true }).await?;
    /// assert_eq!(code, MonitorReturnCode::JobFinished);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Session::get_job_meta`]; [`ProtocolViolation`](ErrorKind::ProtocolViolation) for a job without a status.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn monitor_job(
        &self,
        job_id: &JobId,
        options: &MonitorOptions,
        callback: impl FnMut(&JobMeta) -> bool,
    ) -> Result<MonitorReturnCode> {
        self.monitor_job_and_return_job_meta(job_id, options, callback).await.map(|(code, _)| code)
    }

    /// As [`monitor_job`](Session::monitor_job); also gives the meta of a job that has ended.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session, job_id: flare_client::JobId) -> flare_client::Result<()> {
    /// use flare_client::MonitorOptions;
    ///
    /// let (code, meta) = session.monitor_job_and_return_job_meta(&job_id, &MonitorOptions::new(), |_| true).await?;
    /// println!("{code:?} after {:?}", meta.and_then(|meta| meta.duration));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::monitor_job`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn monitor_job_and_return_job_meta(
        &self,
        job_id: &JobId,
        options: &MonitorOptions,
        mut callback: impl FnMut(&JobMeta) -> bool,
    ) -> Result<(MonitorReturnCode, Option<JobMeta>)> {
        let started = Instant::now();
        let mut watch = self.watch_job(job_id);
        watch.poll_interval = options.poll_interval;
        loop {
            if options.timeout.is_some_and(|timeout| started.elapsed() > timeout) {
                return Ok((MonitorReturnCode::Timeout, None));
            }
            let meta = watch.poll().await?;
            if !callback(&meta) {
                return Ok((MonitorReturnCode::EndedByCallback, None));
            }
            let status = status_of(&meta)?;
            if status.is_final() {
                return Ok((MonitorReturnCode::JobFinished, Some(meta)));
            }
            sleep(options.poll_interval).await;
        }
    }

    /// Waits until a job has ended, and gives its meta.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session, job_id: flare_client::JobId) -> flare_client::Result<()> {
    /// let meta = session.wait_for_job(&job_id, &flare_client::MonitorOptions::new()).await?;
    /// println!("{:?}", meta.status);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`JobTimeout`](ErrorKind::JobTimeout) when the time is over; else as [`Session::monitor_job`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn wait_for_job(&self, job_id: &JobId, options: &MonitorOptions) -> Result<JobMeta> {
        let started = Instant::now();
        match self.monitor_job_and_return_job_meta(job_id, options, |_| true).await? {
            (MonitorReturnCode::JobFinished, Some(meta)) => Ok(meta),
            _ => Err(Error::job_timeout(job_id.as_str(), started.elapsed())),
        }
    }
}

fn status_of(meta: &JobMeta) -> Result<JobStatus> {
    let missing = || Error::new(ErrorKind::ProtocolViolation, format!("job {} has no status", meta.job_id));
    meta.status.clone().ok_or_else(missing)
}

impl JobWatch {
    /// Asks this often; every two seconds unless set. An interval of zero is taken as the shortest possible.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Ends the watch after this time, with the error [`JobTimeout`](ErrorKind::JobTimeout).
    pub fn deadline(mut self, time: Duration) -> Self {
        self.deadline = Some(Instant::now() + time);
        self
    }

    /// The present status, and then the next change; `None` when the job has ended and that was told, or after an
    /// error.
    ///
    /// # Errors
    /// [`JobTimeout`](ErrorKind::JobTimeout) after the deadline; those of [`Session::get_job_meta`].
    ///
    /// # Cancel safety
    /// Safe: what was not given yet is given the next time.
    pub async fn next(&mut self) -> Option<Result<JobUpdate>> {
        if self.is_over {
            return None;
        }
        let found = match self.deadline {
            None => self.change().await,
            Some(deadline) => {
                let started = Instant::now();
                let job_id = self.job_id.clone();
                tokio::select! {
                    biased;
                    found = self.change() => found,
                    () = sleep_until(deadline) => Err(Error::job_timeout(job_id.as_str(), started.elapsed())),
                }
            }
        };
        self.is_over = match &found {
            Ok(update) => update.status.is_final(),
            Err(_) => true,
        };
        Some(found)
    }

    /// The same as a [`Stream`].
    pub fn into_stream(self) -> impl Stream<Item = Result<JobUpdate>> + Send {
        stream::unfold(self, |mut watch| async move { Some((watch.next().await?, watch)) })
    }

    async fn change(&mut self) -> Result<JobUpdate> {
        loop {
            if let Some(at) = self.next_poll {
                sleep_until(at).await;
            }
            let meta = self.poll().await?;
            self.next_poll = Some(Instant::now() + self.poll_interval);
            let status = status_of(&meta)?;
            if self.last.as_ref() != Some(&status) {
                self.last = Some(status.clone());
                return Ok(JobUpdate { status, meta });
            }
        }
    }

    async fn poll(&self) -> Result<JobMeta> {
        self.session.get_job_meta(&self.job_id).await
    }
}

impl Error {
    fn job_timeout(job_id: &str, after: Duration) -> Self {
        let message = format!("job {job_id} did not end within {:.1} s", after.as_secs_f64());
        Self::new(ErrorKind::JobTimeout, message).waited(Phase::Wait, after)
    }
}

impl fmt::Debug for JobWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobWatch").field("job_id", &self.job_id).field("last", &self.last).finish_non_exhaustive()
    }
}
