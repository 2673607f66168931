//! Logs of jobs.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;

use super::Session;
use crate::Result;
use crate::command::GetJobLog;
use crate::model::{JobId, JobLogs, LogFile, LogTarget};

/// Logs that are about to be fetched; made by [`Session::get_job_logs`], and awaited.
#[must_use = "nothing is fetched until this is awaited"]
pub struct JobLogsQuery {
    session: Session,
    job_id: JobId,
    target: LogTarget,
    file: LogFile,
    tail: Option<usize>,
    grep: Option<String>,
}

impl Session {
    /// Fetches logs of a job: the server's `log.txt` unless told otherwise. Works in every state of the job.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session, job_id: flare_client::JobId) -> flare_client::Result<()> {
    /// use flare_client::LogTarget;
    ///
    /// let logs = session.get_job_logs(&job_id).target(LogTarget::All).tail(20).await?;
    /// for (participant, text) in &logs.logs {
    ///     println!("===== {participant} =====\n{text}");
    /// }
    /// for (participant, reason) in &logs.unavailable {
    ///     println!("{participant}: {reason}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NotAuthorized`](crate::ErrorKind::NotAuthorized) (by the default policy for everybody but a project admin), and
    /// those of [`Session::get_job_meta`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub fn get_job_logs(&self, job_id: &JobId) -> JobLogsQuery {
        JobLogsQuery {
            session: self.clone(),
            job_id: job_id.clone(),
            target: LogTarget::default(),
            file: LogFile::default(),
            tail: None,
            grep: None,
        }
    }
}

impl JobLogsQuery {
    /// Whose logs.
    pub fn target(mut self, target: LogTarget) -> Self {
        self.target = target;
        self
    }

    /// Which of the two.
    pub fn file(mut self, file: LogFile) -> Self {
        self.file = file;
        self
    }

    /// Only the last lines of each; taken here, after the whole log came, since servers know no such option.
    pub fn tail(mut self, lines: usize) -> Self {
        self.tail = Some(lines);
        self
    }

    /// Only lines that contain this text, of those that [`tail`](JobLogsQuery::tail) leaves; it is no expression.
    pub fn grep(mut self, text: impl Into<String>) -> Self {
        self.grep = Some(text.into());
        self
    }

    async fn run(self) -> Result<JobLogs> {
        let query = GetJobLog { job_id: &self.job_id, target: &self.target, file: self.file };
        let mut logs = self.session.run(&query).await?;
        for log in logs.logs.values_mut() {
            *log = filtered(log, self.tail, self.grep.as_deref());
        }
        Ok(logs)
    }
}

/// The lines of a log that are wanted, each with its end.
fn filtered(log: &str, tail: Option<usize>, grep: Option<&str>) -> String {
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    let from = tail.map_or(0, |count| lines.len().saturating_sub(count));
    lines[from..].iter().filter(|line| grep.is_none_or(|text| line.contains(text))).copied().collect()
}

impl IntoFuture for JobLogsQuery {
    type Output = Result<JobLogs>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<JobLogs>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for JobLogsQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobLogsQuery")
            .field("job_id", &self.job_id)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::filtered;

    #[test]
    fn the_end_is_taken_before_lines_are_searched() {
        let log = "a 1\nb 2\na 3\nb 4";
        assert_eq!(filtered(log, None, None), log);
        assert_eq!(filtered(log, Some(2), None), "a 3\nb 4");
        assert_eq!(filtered(log, Some(2), Some("a")), "a 3\n");
        assert_eq!(filtered(log, Some(0), None), "");
        assert_eq!(filtered(log, Some(9), Some("[ab]")), "");
    }
}
