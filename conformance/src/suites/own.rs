//! Objects that cases make on the target, and how they go again.

use std::time::{Duration, Instant};

use flare_client::{ErrorKind, JobId, JobMeta, JobStatus, MonitorOptions, Session, StudyName};

use crate::kits::AdminKit;
use crate::leftover::Leftover;
use crate::{CaseResult, Context, Finding, Home, OWN_PREFIX, Who};

/// How long a job of ours may take to get anywhere. On a real server the shortest one takes a quarter of a minute, and
/// four run at the same time.
pub(super) const JOB_PATIENCE: Duration = Duration::from_secs(240);

/// Time limit of a case that lets jobs run.
pub(super) const CASE_LIMIT: Duration = Duration::from_secs(300);

/// A session whose jobs and studies are removed when all cases are over. It is one that cases share where that can be.
pub(super) struct Owner {
    pub(super) session: Session,
    jobs: Vec<JobId>,
    studies: Vec<StudyName>,
    is_shared: bool,
    /// Where it all is; none on a server that the case has for itself.
    place: Option<Context>,
}

impl Owner {
    pub(super) async fn log_in(context: &Context, who: Who) -> CaseResult<Self> {
        let session = context.shared(who).await?;
        Ok(Self { is_shared: true, place: Some(context.clone()), ..Self::of(session) })
    }

    /// In a study.
    pub(super) async fn log_in_to(context: &Context, who: Who, study: &StudyName) -> CaseResult<Self> {
        let session = context.connect_to(context.kit(who)?, study.clone()).await?;
        Ok(Self { place: Some(context.clone()), ..Self::of(session) })
    }

    /// The same on a server that is not the target.
    pub(super) async fn log_in_with(context: &Context, kit: &AdminKit) -> CaseResult<Self> {
        Ok(Self::of(context.connect(kit).await?))
    }

    fn of(session: Session) -> Self {
        Self { session, jobs: Vec::new(), studies: Vec::new(), is_shared: false, place: None }
    }

    /// Remembers a job, to remove it.
    pub(super) fn own(&mut self, job_id: JobId) -> JobId {
        self.jobs.push(job_id.clone());
        job_id
    }

    /// A name for a study that nobody else has. What comes to have this name is removed, which only a project admin can.
    pub(super) fn study_name(&mut self, what: &str) -> CaseResult<StudyName> {
        let name = StudyName::new(unique(what)?)?;
        self.studies.push(name.clone());
        Ok(name)
    }

    /// Waits until a job has this status.
    pub(super) async fn until(&self, job_id: &JobId, wanted: &JobStatus) -> CaseResult<JobMeta> {
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
    pub(super) async fn deployed(&self, job_id: &JobId) -> CaseResult<JobMeta> {
        let deadline = Instant::now() + JOB_PATIENCE;
        loop {
            let meta = self.session.get_job_meta(job_id).await?;
            if !meta.job_deploy_detail.is_empty() || Instant::now() > deadline {
                return Ok(meta);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends the jobs, and leaves them and the studies to be removed when all cases have ended; gives what the case found.
    pub(super) async fn leave(self, found: CaseResult) -> CaseResult {
        let mut ended = Ok(());
        for job_id in &self.jobs {
            if let Err(finding) = self.end(job_id).await {
                ended = Err(finding.during(&format!("ending {job_id}")));
            }
        }
        let leftover =
            Leftover { session: self.session, jobs: self.jobs, studies: self.studies, is_shared: self.is_shared };
        match self.place {
            Some(context) => context.target().leave_behind(leftover),
            // That server ends with the case.
            None => leftover.session.close().await,
        }
        // What the case found comes first.
        found.and(ended)
    }

    async fn end(&self, job_id: &JobId) -> CaseResult {
        match self.session.get_job_status(job_id).await {
            Err(error) if error.kind() == ErrorKind::JobNotFound => {}
            Ok(Some(status)) if !status.is_final() => {
                self.session.abort_job(job_id).await?;
                let options = MonitorOptions::new().timeout(JOB_PATIENCE).poll_interval(POLL)?;
                self.session.wait_for_job(job_id, &options).await?;
            }
            status => drop(status?),
        }
        Ok(())
    }
}

/// How often jobs are asked for.
pub(super) const POLL: Duration = Duration::from_millis(100);

/// A name that no other job has.
pub(super) fn unique(what: &str) -> CaseResult<String> {
    let id = crate::raw::randomness()?.uuid();
    Ok(format!("{OWN_PREFIX}{what}-{}", &id[..8]))
}

/// The sites of the server's organisation, which every role of it may use.
pub(super) fn own_sites(context: &Context) -> CaseResult<Vec<String>> {
    let sites = context.target().sites(Home::Server);
    if sites.is_empty() {
        return Err(Finding::untestable("the target lacks: site of the server's organisation"));
    }
    Ok(sites.into_iter().map(|site| site.name.clone()).collect())
}

pub(super) fn names(sites: &[String]) -> Vec<&str> {
    sites.iter().map(String::as_str).collect()
}
