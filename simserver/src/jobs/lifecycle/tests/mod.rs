//! Whole lives of jobs.
//!
//! | module | what it shows |
//! |---|---|
//! | `commands` | what submissions, aborts, deletions, clones and restarts answer and leave, against what was recorded |
//! | `runs` | how jobs wait, run and end: scheduler, resources, faults, sites that fail |
//! | `random` | what holds for every sequence of them |

mod commands;
mod random;
mod runs;

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use flare_wire::certificate::Certificate;
use flare_wire::hci::{Reply, python_json};
use flare_wire::{Randomness, is_uuid4};
use serde_json::{Value, json};

use super::*;
use crate::jobs::archive::Archive;
use crate::jobs::behaviour::Rule;
use crate::jobs::content::JobContent;
use crate::jobs::content_hash::content_hash;
use crate::jobs::definition::JobDefinition;
use crate::jobs::federation::{AppRight, Federation, Reach, SiteView};
use crate::jobs::meta::JobStatus;
use crate::jobs::scheduler::SchedulerPolicy;
use crate::jobs::store::ListQuery;
use crate::jobs::submit_records::{Scope, SubmitToken};
use crate::jobs::submitter::Submitter;
use crate::jobs::testing::{JobFolder, Signer, recorded, recorded_meta, written, zip_files};
use crate::release::Release;

/// Three sites; nobody asks for signatures; `site-3` forbids custom code.
struct World {
    sites: Vec<SiteView>,
    signed_only: bool,
    roots: Vec<Certificate>,
}

impl World {
    fn new() -> Self {
        let sites = ["site-1", "site-2", "site-3"].map(SiteView::new).to_vec();
        Self { sites, signed_only: false, roots: Vec::new() }
    }
}

impl Federation for World {
    fn sites(&self) -> Vec<SiteView> {
        self.sites.clone()
    }

    fn enrolled_sites(&self, _study: &str) -> Option<Vec<String>> {
        None
    }

    fn permits(&self, participant: &str, _right: AppRight, _submitter: &Submitter) -> bool {
        participant != "site-3"
    }

    fn requires_signed_jobs(&self, _participant: &str) -> bool {
        self.signed_only
    }

    fn roots(&self) -> &[Certificate] {
        &self.roots
    }
}

struct Bench {
    jobs: Jobs<u32>,
    world: World,
    now: Moment,
    random: Randomness,
}

impl Bench {
    fn new() -> Self {
        Self::with(JobSettings::default(), Vec::new())
    }

    fn with(settings: JobSettings, rules: Vec<Rule>) -> Self {
        let now = Moment::from_unix(Duration::from_secs(1_795_308_677));
        let jobs = Jobs::new(settings, Behaviours::new(rules), now);
        Self { jobs, world: World::new(), now, random: Randomness::from_number(3) }
    }

    fn submit(&mut self, job: &JobFolder) -> String {
        self.try_submit(&job.zip(), None).unwrap().job_id
    }

    fn try_submit(&mut self, zip: &[u8], token: Option<&str>) -> Result<Submitted, SubmitRefusal> {
        let mut archive = Archive::open(Cursor::new(zip)).unwrap();
        let definition = JobDefinition::read("j", &mut archive, Release::V2_9).unwrap();
        let content = JobContent::read(&definition, &mut archive, self.world.roots(), self.now).unwrap();
        let token = token.map(|token| (SubmitToken::new(token).unwrap(), content_hash(&mut archive).unwrap()));
        let new = NewJob {
            definition,
            content: Arc::new(content),
            archive: 7,
            study: "default".to_owned(),
            submitter: lead(),
            custom_props: None,
            token,
        };
        self.jobs.submit(new, self.now, &mut self.random)
    }

    fn pass_time(&mut self, seconds: f64) {
        self.now = self.now + Duration::from_secs_f64(seconds);
        self.jobs.advance(self.now, &self.world);
    }

    /// Jumps from deadline to deadline until the job has this status.
    fn until(&mut self, job_id: &str, status: JobStatus) {
        for _ in 0..100 {
            if self.status(job_id) == status {
                return;
            }
            let Some(due) = self.jobs.next_deadline() else { break };
            self.now = self.now.max(due);
            self.jobs.advance(self.now, &self.world);
        }
        assert_eq!(self.status(job_id), status, "{:?}", self.jobs.meta(job_id));
    }

    fn status(&self, job_id: &str) -> JobStatus {
        self.jobs.meta(job_id).unwrap().status()
    }

    fn abort(&mut self, job_id: &str) -> Aborted {
        self.jobs.abort(job_id, self.now)
    }

    fn detail(&self, job_id: &str) -> Value {
        self.jobs.meta(job_id).unwrap().fields().get("job_deploy_detail").cloned().unwrap_or_default()
    }
}

fn lead() -> Submitter {
    Submitter::new("lead@nvidia.com", "nvidia", "lead")
}

fn long(sites: Value) -> JobFolder {
    JobFolder::hello("j").meta("deploy_map", json!({"app": sites}))
}

/// The reply with the job's id in place of the recorded one.
fn same_reply(push: impl FnOnce(&mut Reply), job_id: &str, case: &str) {
    let mut reply = Reply::new();
    push(&mut reply);
    let command = flare_fixtures::reply(case).command.clone().unwrap();
    let recorded_id = command.split(' ').nth(1).unwrap();
    assert_eq!(written(&reply), recorded(case).replace(recorded_id, job_id), "{case}");
}
