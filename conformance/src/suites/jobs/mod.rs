//! Jobs, from submission to deletion.

mod life;
mod refusals;
mod tokens;

use std::time::{Duration, Instant};

use flare_client::{ErrorKind, JobId, JobMeta, JobStatus, MonitorOptions, Session};

use crate::kits::AdminKit;
use crate::requirement::{reference, seed};
use crate::{Case, CaseResult, Context, Finding, Home, Requirement, Who};

/// How long a job of ours may take to get anywhere. On a real server the shortest one takes a quarter of a minute, and
/// four run at the same time.
const JOB_PATIENCE: Duration = Duration::from_secs(240);

/// Time limit of a case that lets jobs run.
const CASE_LIMIT: Duration = Duration::from_secs(300);

pub(super) const REQUIREMENTS: &[Requirement] = &[
    seed(
        "JOB-SUBMIT-001",
        "Submit a predefined job to the system",
        "A submitted job gets an id, is listed, and keeps what it was submitted with.",
    ),
    reference(
        "JOB-SUBMIT-002",
        "server-behaviour",
        "15",
        "Every rule of a job's definition that is broken is told in the server's own words.",
    ),
    reference("JOB-SUBMIT-003", "server-behaviour", "2.2", "Only roles with the right submit_job may submit."),
    reference("JOB-SUBMIT-004", "server-behaviour", "10.5", "A job without signatures is taken in and fails to run."),
    reference(
        "JOB-SUBMIT-005",
        "server-behaviour",
        "10.2",
        "Custom properties of the request are kept in the job's meta.",
    ),
    reference(
        "JOB-LIFE-001",
        "server-behaviour",
        "10.1",
        "A job goes from SUBMITTED over RUNNING to FINISHED:COMPLETED, and its meta tells when, for how long and where.",
    ),
    reference(
        "JOB-LIFE-002",
        "server-behaviour",
        "10.1",
        "A job whose workflow cannot be made ends as FINISHED:EXECUTION_EXCEPTION.",
    ),
    reference(
        "JOB-LIFE-003",
        "server-behaviour",
        "10.3",
        "A job that finds too few sites stays SUBMITTED, and its history says why.",
    ),
    reference(
        "JOB-LIFE-004",
        "server-behaviour",
        "10.3",
        "The scheduler gives up after ten attempts: FINISHED:CAN_NOT_SCHEDULE, with eleven lines of history.",
    ),
    seed(
        "JOB-ABORT-001",
        "If the job is already done, no effect",
        "Aborting says what it comes to in each state: waiting, running, ended.",
    ),
    seed(
        "JOB-STATS-001",
        "Show processing stats of specified job on specified targets",
        "A running job tells its statistics and errors by participant; one that does not run is refused.",
    ),
    seed(
        "JOB-CLONE-001",
        "Create a new job by cloning a specified job",
        "A clone is a job of its own that names its original.",
    ),
    reference("JOB-DELETE-001", "client-api", "12", "A running job cannot be deleted; a deleted one is gone."),
    seed(
        "JOB-DOWNLOAD-001",
        "Download result of the job",
        "The result of a job holds the job byte by byte as it was submitted, its workspace, and its meta.",
    ),
    seed(
        "JOB-COMPONENTS-001",
        "Get the list of additional job components for the specified job.",
        "A job without further components has an empty list of them, and nothing to download.",
    ),
    seed(
        "JOB-LOGS-001",
        "Retrieve logs for the specified job.",
        "Logs come by participant, with reasons for those that are not available.",
    ),
    seed(
        "JOB-LIST-001",
        "Get the job info from the server",
        "Every filter of a list selects as it says, and order and limit do too.",
    ),
    reference(
        "JOB-TOKEN-001",
        "server-behaviour",
        "11",
        "The same token and content give the same job, also when its folder has another name or nothing is signed.",
    ),
    reference(
        "JOB-TOKEN-002",
        "server-behaviour",
        "11",
        "The same token with other content is a conflict that names the job.",
    ),
    reference("JOB-TOKEN-003", "server-behaviour", "11", "Another user's token is another token."),
    reference(
        "JOB-TOKEN-004",
        "server-behaviour",
        "11",
        "The token of a deleted job stays used for ever, and tells id, state and time.",
    ),
    reference(
        "JOB-TOKEN-005",
        "server-behaviour",
        "11",
        "Submissions with the same token at the same time are one job.",
    ),
    reference(
        "JOB-TOKEN-006",
        "server-behaviour",
        "11",
        "A list by token shows the caller's own job, clones excluded.",
    ),
    seed(
        "JOB-MONITOR-001",
        "Monitor the job progress until one of the conditions occurs:",
        "Monitoring ends with the job, with the time, or with the callback, and says which.",
    ),
];

pub(super) fn cases() -> Vec<Case> {
    [life::cases(), refusals::cases(), tokens::cases()]
        .into_iter()
        .flatten()
        .map(|case| case.making_own_objects().within(CASE_LIMIT))
        .collect()
}

/// A session whose jobs are removed when the case is over.
struct Owner {
    session: Session,
    jobs: Vec<JobId>,
}

impl Owner {
    async fn log_in(context: &Context, who: Who) -> CaseResult<Self> {
        Ok(Self { session: context.session(who).await?, jobs: Vec::new() })
    }

    /// The same on a server that is not the target.
    async fn log_in_with(context: &Context, kit: &AdminKit) -> CaseResult<Self> {
        Ok(Self { session: context.connect(kit).await?, jobs: Vec::new() })
    }

    /// Remembers a job, to remove it.
    fn own(&mut self, job_id: JobId) -> JobId {
        self.jobs.push(job_id.clone());
        job_id
    }

    /// Waits until a job has this status.
    async fn until(&self, job_id: &JobId, wanted: &JobStatus) -> CaseResult<JobMeta> {
        let mut watch = self.session.watch_job(job_id).poll_interval(POLL).deadline(JOB_PATIENCE);
        while let Some(update) = watch.next().await {
            let update = update?;
            if update.status == *wanted {
                return Ok(update.meta);
            }
            if update.status.is_final() {
                return Err(Finding::fail(format!(
                    "the job ended as {} instead of {wanted}: {:?}",
                    update.status, update.meta
                )));
            }
        }
        Err(Finding::fail(format!("the job never became {wanted}")))
    }

    /// Waits until the job's deployment is told: a real server writes it down after the status that follows from it.
    async fn deployed(&self, job_id: &JobId) -> CaseResult<JobMeta> {
        let deadline = Instant::now() + JOB_PATIENCE;
        loop {
            let meta = self.session.get_job_meta(job_id).await?;
            if !meta.job_deploy_detail.is_empty() || Instant::now() > deadline {
                return Ok(meta);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Removes the jobs, whatever they are doing, and gives what the case found.
    async fn leave(self, found: CaseResult) -> CaseResult {
        let mut removed = Ok(());
        for job_id in &self.jobs {
            if let Err(finding) = self.remove(job_id).await {
                removed = Err(finding);
            }
        }
        self.session.close().await;
        // What the case found comes first.
        found.and(removed)
    }

    async fn remove(&self, job_id: &JobId) -> CaseResult {
        let is_gone = |error: &flare_client::Error| error.kind() == ErrorKind::JobNotFound;
        match self.session.get_job_status(job_id).await {
            Err(error) if is_gone(&error) => return Ok(()),
            Ok(Some(status)) if !status.is_final() => {
                self.session.abort_job(job_id).await?;
                let options = MonitorOptions::new().timeout(JOB_PATIENCE).poll_interval(POLL)?;
                self.session.wait_for_job(job_id, &options).await?;
            }
            _ => {}
        }
        match self.session.delete_job(job_id).await {
            Err(error) if !is_gone(&error) => Err(Finding::from(error).during(&format!("removing {job_id}"))),
            _ => Ok(()),
        }
    }
}

/// How often jobs are asked for.
const POLL: Duration = Duration::from_millis(100);

/// A name that no other job has.
fn unique(what: &str) -> CaseResult<String> {
    let id = crate::raw::randomness()?.uuid();
    Ok(format!("conformance-{what}-{}", &id[..8]))
}

/// The sites of the server's organisation, which every role of it may use.
fn own_sites(context: &Context) -> CaseResult<Vec<String>> {
    let sites = context.target().sites(Home::Server);
    if sites.is_empty() {
        return Err(Finding::untestable("the target lacks: site of the server's organisation"));
    }
    Ok(sites.into_iter().map(|site| site.name.clone()).collect())
}

fn names(sites: &[String]) -> Vec<&str> {
    sites.iter().map(String::as_str).collect()
}
