//! Waiting until a callback is content with a status or with statistics.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{ApiStatus, FlAdminApi, FlAdminApiResponse, TargetType};
use crate::MetaStatus;

/// The message of a wait that ended because its time was over; its status is `SUCCESS`.
pub const WAITED_UNTIL_TIMEOUT: &str = "Waited until timeout.";

/// The message of [`FlAdminApi::wait_until_server_stats`] when the job does not run any more; its status is `SUCCESS`.
pub const WAITED_UNTIL_NOT_RUNNING: &str = "Waited until app not running.";

/// How often and how long something is looked at.
///
/// # What differs from the original
///
/// - One good answer sets the number of failed ones back to nothing. (There it sets their *limit* to nothing, so that after
///   one good answer a single failure ends the wait.)
/// - [`wait_until_server_stats`](FlAdminApi::wait_until_server_stats) is told which job is meant, and its default callback finds
///   the state of the runner also where servers since 2.4 put it. (There it asks without a job, and can only run into its
///   timeout.)
/// - There is no question of which callback takes further arguments: a closure captures what it needs, which is what
///   `**kwargs` are for there. (The default callbacks of sites and statistics take none there.)
/// - Callbacks see successful responses only; the others are failed attempts. (There a response without what the default
///   callback looks for raises an exception inside, and is counted by that.)
/// - A response that will never be another one, such as that to a job id that is none, or after `logout`, ends the wait.
/// - The last pause is no longer than the time that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitOptions {
    /// Between one answer and the next question.
    pub interval: Duration,
    /// For how long altogether; without it, a callback that is never content waits for ever.
    pub timeout: Option<Duration>,
    /// How many failed attempts in a row are put up with.
    pub fail_attempts: u32,
}

impl WaitOptions {
    /// Upstream's defaults for [`FlAdminApi::wait_until_server_status`]: every 20 s, three failed attempts.
    #[must_use]
    pub const fn of_server() -> Self {
        Self { interval: Duration::from_secs(20), timeout: None, fail_attempts: 3 }
    }

    /// Upstream's defaults for [`FlAdminApi::wait_until_client_status`] and [`FlAdminApi::wait_until_server_stats`]: every
    /// 10 s, six failed attempts.
    #[must_use]
    pub const fn of_clients() -> Self {
        Self { interval: Duration::from_secs(10), timeout: None, fail_attempts: 6 }
    }

    /// At this interval.
    #[must_use]
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// For at most so long.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// With so many failed attempts in a row.
    #[must_use]
    pub const fn fail_attempts(mut self, attempts: u32) -> Self {
        self.fail_attempts = attempts;
        self
    }
}

/// The default callback of [`FlAdminApi::wait_until_server_status`]: the engine has stopped, which is to say that no job
/// runs.
#[must_use]
pub fn server_has_stopped(reply: &FlAdminApiResponse) -> bool {
    reply.details.get("server_engine_status").is_some_and(|status| status == "stopped")
}

/// The default callback of [`FlAdminApi::wait_until_client_status`]: no site has a job.
#[must_use]
pub fn clients_have_no_jobs(reply: &FlAdminApiResponse) -> bool {
    let rows = reply.details.get("client_statuses").and_then(Value::as_array);
    rows.is_some_and(|rows| rows.iter().skip(1).all(|row| row[3] == "No Jobs"))
}

/// The default callback of [`FlAdminApi::wait_until_server_stats`]: the server's runner of the job is done.
#[must_use]
pub fn server_runner_is_done(reply: &FlAdminApiResponse) -> bool {
    let Some(message) = reply.details.get("message") else { return false };
    let places = [message.get("ServerRunner"), message.get("server").and_then(|server| server.get("ServerRunner"))];
    places.into_iter().flatten().any(|runner| runner["status"] == "done")
}

/// What is looked at.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Server,
    Clients,
    Stats(&'a str),
}

impl Subject<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Server => "server status",
            Self::Clients => "client status",
            Self::Stats(_) => "server stats",
        }
    }
}

impl FlAdminApi {
    /// Waits until `callback` is content with a [`check_status`](Self::check_status) of the server. The default one is
    /// [`server_has_stopped`].
    ///
    /// Details are empty when it was; `message` is [`WAITED_UNTIL_TIMEOUT`] when the time was over before, which is no error.
    /// An error after too many failed attempts.
    ///
    /// ```no_run
    /// # async fn example(api: flare_client::fladmin::FlAdminApi) {
    /// use std::time::Duration;
    /// use flare_client::fladmin::{WaitOptions, server_has_stopped};
    ///
    /// api.wait_until_server_status(WaitOptions::of_server(), server_has_stopped).await;
    ///
    /// let wanted = 3;
    /// let options = WaitOptions::of_server().interval(Duration::from_secs(2)).timeout(Duration::from_secs(60));
    /// api.wait_until_server_status(options, |reply| reply.details["registered_clients"] == wanted).await;
    /// # }
    /// ```
    pub async fn wait_until_server_status(
        &self,
        options: WaitOptions,
        callback: impl FnMut(&FlAdminApiResponse) -> bool,
    ) -> FlAdminApiResponse {
        self.wait_until(Subject::Server, options, callback).await
    }

    /// Waits until `callback` is content with a [`check_status`](Self::check_status) of all sites. The default one is
    /// [`clients_have_no_jobs`]. Responses as of [`wait_until_server_status`](Self::wait_until_server_status).
    pub async fn wait_until_client_status(
        &self,
        options: WaitOptions,
        callback: impl FnMut(&FlAdminApiResponse) -> bool,
    ) -> FlAdminApiResponse {
        self.wait_until(Subject::Clients, options, callback).await
    }

    /// Waits until `callback` is content with [`show_stats`](Self::show_stats) of the server for this job. The default one is
    /// [`server_runner_is_done`]. Ends also when the job does not run any more, with [`WAITED_UNTIL_NOT_RUNNING`]; other
    /// responses as of [`wait_until_server_status`](Self::wait_until_server_status).
    pub async fn wait_until_server_stats(
        &self,
        job_id: &str,
        options: WaitOptions,
        callback: impl FnMut(&FlAdminApiResponse) -> bool,
    ) -> FlAdminApiResponse {
        self.wait_until(Subject::Stats(job_id), options, callback).await
    }

    async fn wait_until(
        &self,
        subject: Subject<'_>,
        options: WaitOptions,
        mut callback: impl FnMut(&FlAdminApiResponse) -> bool,
    ) -> FlAdminApiResponse {
        let started = Instant::now();
        let mut failed = 0;
        loop {
            let reply = match subject {
                Subject::Server => self.check_status(TargetType::Server, &[]).await,
                Subject::Clients => self.check_status(TargetType::Client, &[]).await,
                Subject::Stats(job_id) => self.show_stats(job_id, TargetType::Server, &[]).await,
            };
            if reply.is_success() {
                failed = 0;
                if callback(&reply) {
                    return FlAdminApiResponse::success(json!({}));
                }
            } else if is_of_no_job(&reply) {
                return FlAdminApiResponse::message_of(ApiStatus::Success, WAITED_UNTIL_NOT_RUNNING);
            } else if is_for_good(&reply) {
                return reply;
            } else {
                failed += 1;
                tracing::debug!(status = %reply.status, failed, "no answer to a wait for the {}", subject.name());
            }
            if options.timeout.is_some_and(|timeout| started.elapsed() >= timeout) {
                return FlAdminApiResponse::message_of(ApiStatus::Success, WAITED_UNTIL_TIMEOUT);
            }
            if failed > options.fail_attempts {
                // The blank at the end is the original's.
                let text = format!(
                    "FL {} was not obtainable for more than the specified number of fail_attempts. ",
                    subject.name()
                );
                return FlAdminApiResponse::message_of(ApiStatus::ErrorRuntime, text);
            }
            let left = options.timeout.map(|timeout| timeout.saturating_sub(started.elapsed()));
            sleep(left.map_or(options.interval, |left| left.min(options.interval))).await;
        }
    }
}

/// The statistics are those of a job that does not run.
fn is_of_no_job(reply: &FlAdminApiResponse) -> bool {
    let answer = reply.raw.as_ref().and_then(|raw| raw.reply.as_ref());
    let is_told = answer.is_some_and(|answer| answer.status() == Some(MetaStatus::JobNotRunning));
    is_told || reply.message() == Some("App is not running")
}

/// Asking again does not help.
fn is_for_good(reply: &FlAdminApiResponse) -> bool {
    matches!(reply.status, ApiStatus::ErrorSyntax | ApiStatus::ErrorInactiveSession)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(details: Value) -> FlAdminApiResponse {
        FlAdminApiResponse::success(details)
    }

    #[test]
    fn default_callbacks_look_where_servers_put_it() {
        assert!(server_has_stopped(&response(json!({"server_engine_status": "stopped"}))));
        assert!(!server_has_stopped(&response(json!({"server_engine_status": "started"}))));
        assert!(!server_has_stopped(&response(json!({"message": "x"}))));
        let rows = |status: &str| {
            json!({"client_statuses": [["CLIENT", "APP_NAME", "JOB_ID", "STATUS"], ["a", "?", "?", "No Jobs"],
                ["b", "?", "?", status]]})
        };
        assert!(clients_have_no_jobs(&response(rows("No Jobs"))));
        assert!(!clients_have_no_jobs(&response(rows("started"))));
        assert!(!clients_have_no_jobs(&response(json!({"message": "x"}))));
        let runner = |status: &str| json!({"ServerRunner": {"status": status}});
        assert!(server_runner_is_done(&response(json!({"message": runner("done")}))));
        assert!(server_runner_is_done(&response(json!({"message": {"server": runner("done")}}))));
        assert!(!server_runner_is_done(&response(json!({"message": {"server": runner("started")}}))));
        assert!(!server_runner_is_done(&response(json!({"message": "App is not running"}))));
    }
}
