//! From an admin's folder to a job that has run.

use std::path::Path;
use std::time::Duration;

use super::{
    FlAdminApi, FlAdminApiResponse, Outcome, TargetType, WaitOptions, clients_have_no_jobs, server_has_stopped, settled,
};
use crate::model::{JobId, JobStatus};
use crate::startup_kit::StartupKit;
use crate::{Error, Result};

/// How long the server is given to notice that its sites are done. Upstream waits as long in any case.
const AFTERWARDS: Duration = Duration::from_secs(10);
/// How often it is asked meanwhile.
const AFTERWARDS_INTERVAL: Duration = Duration::from_millis(500);

/// An [`FlAdminApi`] that starts from an admin's folder: upstream's `FLAdminAPIRunner`.
///
/// ```no_run
/// # async fn example() -> flare_client::Result<()> {
/// use flare_client::fladmin::{FlAdminApiRunner, WaitOptions};
///
/// let runner = FlAdminApiRunner::start("admin@nvidia.com", "prod_00/admin@nvidia.com").await?;
/// let last = runner.run("hello", WaitOptions::of_clients(), |step| println!("{}: {}", step.call, step.response.status)).await;
/// runner.close().await;
/// # let _ = last;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct FlAdminApiRunner {
    api: FlAdminApi,
}

/// A call of [`FlAdminApiRunner::run`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunStep {
    /// The call, as one would write it.
    pub call: String,
    /// What it gave.
    pub response: FlAdminApiResponse,
}

impl FlAdminApiRunner {
    /// Reads the kit and logs in. A login that does not work is no error here: every call says so, and tries again.
    ///
    /// # Errors
    /// [`InvalidStartupKit`](crate::ErrorKind::InvalidStartupKit) for a folder that is no admin's kit (where the original
    /// prints something and leaves an object without an API), [`InvalidArgument`](crate::ErrorKind::InvalidArgument) when
    /// it is that of another user.
    ///
    /// # Cancel safety
    /// Dropping the future ends the login.
    pub async fn start(username: &str, admin_dir: impl AsRef<Path>) -> Result<Self> {
        let kit = StartupKit::open(admin_dir)?;
        if kit.username() != username {
            let message = format!("the kit is that of {:?}, not of {username:?}", kit.username());
            return Err(Error::argument(message));
        }
        let api = FlAdminApi::new(kit);
        api.login().await;
        Ok(Self { api })
    }

    /// The API.
    #[must_use]
    pub fn api(&self) -> &FlAdminApi {
        &self.api
    }

    /// Submits a job, waits until no site has one, and looks at server and sites before and after. `observe` sees every
    /// step; the first that is not `SUCCESS` is the last. Gives the response of the last step.
    ///
    /// Upstream's example of the same name pauses for one second after the submission, in which a job may not have begun,
    /// and for ten at the end. Here the job is waited for to begin, and the server for at most ten seconds to be done.
    ///
    /// # Cancel safety
    /// A job that was submitted goes on.
    pub async fn run(
        &self,
        job_folder: &str,
        wait: WaitOptions,
        mut observe: impl FnMut(&RunStep),
    ) -> FlAdminApiResponse {
        let api = &self.api;
        let mut step = |call: &str, response: FlAdminApiResponse| {
            let step = RunStep { call: call.to_owned(), response };
            observe(&step);
            // The error ends the run.
            if step.response.is_success() { Ok(step.response) } else { Err(Box::new(step.response)) }
        };
        let server = "check_status(Server)";
        let outcome: Outcome<FlAdminApiResponse> = async {
            step(server, api.check_status(TargetType::Server, &[]).await)?;
            let submitted = step(&format!("submit_job({job_folder:?})"), api.submit_job(job_folder).await)?;
            self.until_begun(submitted.details["job_id"].as_str().unwrap_or_default()).await;
            step(server, api.check_status(TargetType::Server, &[]).await)?;
            step("wait_until_client_status()", api.wait_until_client_status(wait, clients_have_no_jobs).await)?;
            step(server, api.check_status(TargetType::Server, &[]).await)?;
            let briefly = WaitOptions::of_server().interval(AFTERWARDS_INTERVAL).timeout(AFTERWARDS);
            api.wait_until_server_status(briefly, server_has_stopped).await;
            step("check_status(Client)", api.check_status(TargetType::Client, &[]).await)
        }
        .await;
        settled(outcome)
    }

    /// Until the job runs, or never will. What goes wrong here shows in the next step.
    async fn until_begun(&self, job_id: &str) {
        let (Ok(job_id), Ok(session)) = (JobId::new(job_id), self.api.session().await) else { return };
        let mut watch = session.watch_job(&job_id);
        while let Some(Ok(update)) = watch.next().await {
            if update.status == JobStatus::Running || update.status.is_final() {
                return;
            }
        }
    }

    /// Logs out: [`FlAdminApi::logout`].
    ///
    /// # Cancel safety
    /// As of [`FlAdminApi::logout`].
    pub async fn close(&self) {
        self.api.logout().await;
    }
}
