//! Waiting for a job.
//!
//! A [`JobWatch`] asks for the job's meta again and again; the methods that wait are built on the same looks. They survive
//! a lost connection and a server that restarts, as every command that only reads does, and go on after a look that
//! failed for a reason that passes.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::stream::Stream;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::Session;
use super::renewal::is_passing;
use crate::clock::after;
use crate::model::{JobId, JobMeta, JobStatus};
use crate::{Error, ErrorKind, Phase, Result};

/// How often a job is asked for unless told otherwise: as the official client does.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// How many looks in a row may fail when no end of the waiting was given; each has tried for as long as a command does.
const MAX_MISSES: usize = 3;

/// A job whose status has changed.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct JobUpdate {
    /// The status it has now.
    pub status: JobStatus,
    /// Everything the server stores about it.
    pub meta: JobMeta,
}

/// The changes of a job's status; made by [`Session::watch_job`]. A [`Stream`].
#[must_use = "a watch does nothing until it is asked"]
pub struct JobWatch {
    session: Session,
    job_id: JobId,
    poll_interval: Duration,
    started: Instant,
    deadline: Option<Instant>,
    last: Option<JobStatus>,
    next_look: Option<Instant>,
    misses: Misses,
    is_over: bool,
    /// The look that is under way, its pause included.
    look: Option<Look>,
    /// Goes off at the deadline.
    alarm: Option<Pin<Box<Sleep>>>,
}

type Look = Pin<Box<dyn Future<Output = Result<JobMeta>> + Send>>;

/// Looks that failed, one after the other.
#[derive(Debug, Default)]
struct Misses {
    count: usize,
    last: Option<Error>,
}

impl Misses {
    /// The job was seen.
    fn forget(&mut self) {
        *self = Self::default();
    }

    /// Passes an error on that another look would not mend.
    fn forgive(&mut self, error: Error, has_end: bool) -> Result<()> {
        self.count += 1;
        if !is_passing(&error) || !has_end && self.count >= MAX_MISSES {
            return Err(error);
        }
        self.last = Some(error);
        Ok(())
    }
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

    /// Waits no longer than this; zero waits for ever. The time is compared before each poll but the first, so that there is
    /// always one.
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
    ///
    /// # Errors
    /// See [`JobWatch::next`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub fn watch_job(&self, job_id: &JobId) -> JobWatch {
        JobWatch {
            session: self.clone(),
            job_id: job_id.clone(),
            poll_interval: POLL_INTERVAL,
            started: Instant::now(),
            deadline: None,
            last: None,
            next_look: None,
            misses: Misses::default(),
            is_over: false,
            look: None,
            alarm: None,
        }
    }

    /// Waits until a job has ended, the time is over, or `callback` returns false. It is called after each poll, also
    /// for a job that has ended. A poll that fails because the server is slow or away is made again: until the time is
    /// over, or, when no time was set, twice. (The official client gives up with the first.)
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
        let mut misses = Misses::default();
        loop {
            match self.get_job_meta(job_id).await {
                Ok(meta) => {
                    misses.forget();
                    if !callback(&meta) {
                        return Ok((MonitorReturnCode::EndedByCallback, None));
                    }
                    if status_of(&meta)?.is_final() {
                        return Ok((MonitorReturnCode::JobFinished, Some(meta)));
                    }
                }
                Err(error) => misses.forgive(error, options.timeout.is_some())?,
            }
            sleep(options.poll_interval).await;
            if options.timeout.is_some_and(|timeout| started.elapsed() > timeout) {
                return Ok((MonitorReturnCode::Timeout, None));
            }
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
            _ => Err(Error::job_timeout(job_id, started.elapsed())),
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

    /// Ends the watch after this time, counted from now, with the error [`JobTimeout`](ErrorKind::JobTimeout).
    pub fn deadline(mut self, time: Duration) -> Self {
        self.started = Instant::now();
        self.deadline = Some(after(time));
        self.alarm = None;
        self
    }

    /// The present status, and then the next change; `None` when the job has ended and that was told, or after an
    /// error.
    ///
    /// A look that fails because the server is slow or away is made again: until the deadline, or, when there is none,
    /// twice.
    ///
    /// # Errors
    /// [`JobTimeout`](ErrorKind::JobTimeout) after the deadline; those of [`Session::get_job_meta`].
    ///
    /// # Cancel safety
    /// Safe: what was not given yet is given the next time.
    pub async fn next(&mut self) -> Option<Result<JobUpdate>> {
        poll_fn(|context| self.poll_change(context)).await
    }

    fn poll_change(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<JobUpdate>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let found = match self.poll_looks(context) {
            Poll::Ready(found) => found,
            Poll::Pending => {
                ready!(self.poll_alarm(context));
                let late = Error::job_timeout(&self.job_id, self.started.elapsed());
                Err(match self.misses.last.take() {
                    Some(reason) => late.with_source(reason),
                    None => late,
                })
            }
        };
        self.is_over = match &found {
            Ok(update) => update.status.is_final(),
            Err(_) => true,
        };
        Poll::Ready(Some(found))
    }

    /// Ready at the deadline.
    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline))).as_mut().poll(context)
    }

    /// Looks until the status has changed.
    fn poll_looks(&mut self, context: &mut Context<'_>) -> Poll<Result<JobUpdate>> {
        loop {
            let mut look = self.look.take().unwrap_or_else(|| self.begin_look());
            let Poll::Ready(seen) = look.as_mut().poll(context) else {
                self.look = Some(look);
                return Poll::Pending;
            };
            self.next_look = Some(after(self.poll_interval));
            match seen {
                Ok(meta) => {
                    self.misses.forget();
                    let status = status_of(&meta)?;
                    if self.last.as_ref() != Some(&status) {
                        self.last = Some(status.clone());
                        return Poll::Ready(Ok(JobUpdate { status, meta }));
                    }
                }
                Err(error) => self.misses.forgive(error, self.deadline.is_some())?,
            }
        }
    }

    fn begin_look(&self) -> Look {
        let (session, job_id, at) = (self.session.clone(), self.job_id.clone(), self.next_look);
        Box::pin(async move {
            if let Some(at) = at {
                sleep_until(at).await;
            }
            session.get_job_meta(&job_id).await
        })
    }
}

impl Stream for JobWatch {
    type Item = Result<JobUpdate>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_change(context)
    }
}

impl Error {
    fn job_timeout(job_id: &JobId, after: Duration) -> Self {
        let message = format!("job {job_id} did not end within {:.1} s", after.as_secs_f64());
        Self::new(ErrorKind::JobTimeout, message).waited(Phase::Wait, after)
    }
}

impl fmt::Debug for JobWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobWatch").field("job_id", &self.job_id).field("last", &self.last).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_that_fail_are_forgiven_until_the_end_or_twice() {
        let slow = || Error::timed_out(Phase::Command, Duration::from_secs(1));
        let mut misses = Misses::default();
        for _ in 0..10 {
            misses.forgive(slow(), true).unwrap();
        }
        let mut misses = Misses::default();
        misses.forgive(slow(), false).unwrap();
        misses.forgive(slow(), false).unwrap();
        assert_eq!(misses.forgive(slow(), false).unwrap_err().kind(), ErrorKind::TimedOut);
        misses.forget();
        misses.forgive(slow(), false).unwrap();
        let gone = Error::new(ErrorKind::JobNotFound, "no such job");
        assert_eq!(misses.forgive(gone, true).unwrap_err().kind(), ErrorKind::JobNotFound);
    }
}
