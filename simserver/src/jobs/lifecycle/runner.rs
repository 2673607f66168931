//! What time does to jobs: passes of the scheduler, deployments, starts and ends.

use std::sync::Arc;

use flare_wire::Moment;
use flare_wire::hci::JsonObject;
use serde_json::Value;

use super::Jobs;
use super::deploy::{Deployment, deploy};
use super::run::{Phase, Run};
use crate::core::{Timer, TimerName};
use crate::jobs::behaviour::workspace_entries;
use crate::jobs::content::JobContent;
use crate::jobs::definition::{SERVER_SITE, is_all_sites, participants};
use crate::jobs::federation::{Federation, Reach, SiteView};
use crate::jobs::meta::{JobMeta, JobStatus};
use crate::jobs::scheduler::{Ready, ResourceCheck, Surroundings, run_pass};
use crate::mutants::Mutant;
use crate::release::Release;

impl<H: Clone> Jobs<H> {
    /// When [`advance`](Self::advance) next has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.pass_due.into_iter().chain(self.next_run().map(|(at, _)| at)).min()
    }

    /// What the jobs wait for, in no order.
    pub(crate) fn timers(&self) -> Vec<Timer> {
        let timings = &self.settings.timings;
        let pass = self.pass_due.map(|at| Timer { at, name: TimerName::SchedulerPass });
        let runs = self.runs.values().filter_map(|run| {
            let at = run.deadline(timings.abort, timings.outcome_wait)?;
            let job_id = run.job_id.clone();
            let name = match run.phase {
                Phase::Starting { .. } => TimerName::JobStarted(job_id),
                Phase::Running { .. } => TimerName::JobFinished(job_id),
            };
            Some(Timer { at, name })
        });
        pass.into_iter().chain(runs).collect()
    }

    /// What the next pass of the scheduler would have to judge, if it is due `now`. That takes as long as the jobs are
    /// large, so it is better done by somebody whom nobody waits for.
    pub(crate) fn unjudged(&self, now: Moment) -> Vec<Arc<JobContent>> {
        if self.pass_due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        let waiting = self.store.waiting().filter_map(|meta| self.store.get(meta.job_id()));
        // What has not been read yet was judged before it was written.
        let contents = waiting.filter_map(|job| job.read_details().map(|details| &details.content));
        contents.filter(|content| !content.is_judged()).cloned().collect()
    }

    /// A site registered, or left: waiting jobs may have a chance now.
    pub fn sites_changed(&mut self, now: Moment) {
        self.wake(now);
    }

    /// Does everything that is due at `now`, in the order in which it was due.
    pub fn advance(&mut self, now: Moment, federation: &impl Federation) {
        while let Some(due) = self.next_deadline().filter(|due| *due <= now) {
            match self.next_run() {
                Some((at, job_id)) if at == due => self.turn(&job_id, at),
                _ => self.pass(due, federation),
            }
        }
    }

    /// Lets the scheduler look at the waiting jobs at the next tick from `now` on.
    pub(super) fn wake(&mut self, now: Moment) {
        let at = self.tick_from(now.max(self.runner_free));
        self.pass_due = Some(self.pass_due.map_or(at, |due| due.min(at)));
    }

    fn tick_from(&self, moment: Moment) -> Moment {
        let tick = self.settings.timings.tick.as_nanos().max(1);
        let since = moment.since(self.started).as_nanos();
        let missing = (tick - since % tick) % tick;
        moment + std::time::Duration::from_nanos(u64::try_from(missing).unwrap_or(u64::MAX))
    }

    fn next_run(&self) -> Option<(Moment, String)> {
        let timings = &self.settings.timings;
        let deadlines = self
            .runs
            .values()
            .filter_map(|run| Some((run.deadline(timings.abort, timings.outcome_wait)?, &run.job_id)));
        deadlines.min().map(|(at, job_id)| (at, job_id.clone()))
    }

    /// One look at the waiting jobs.
    fn pass(&mut self, now: Moment, federation: &impl Federation) {
        self.pass_due = None;
        let sites = federation.sites();
        if sites.is_empty() || self.runs.len() >= self.settings.policy.max_jobs {
            // A site that comes or a run that ends wakes the scheduler again.
            return;
        }
        let mut view = View { sites: &sites, jobs: self, federation, hung: false };
        let (policy, offset) = (self.settings.policy, self.settings.offset);
        let pass = run_pass(&policy, self.store.waiting(), &mut view, now, offset);
        let took = if view.hung { self.settings.timings.hanging_check } else { std::time::Duration::ZERO };
        let unnoted = self.mutant(Mutant::ScheduleUnnoted);
        for attempted in &pass.attempted {
            self.store.update(&attempted.job_id, |job| {
                if !unnoted {
                    job.meta.set_schedule(&attempted.schedule);
                }
                if attempted.given_up {
                    job.meta.set_status(JobStatus::CanNotSchedule, now);
                }
            });
        }
        self.runner_free = now + took;
        if let Some(ready) = pass.ready {
            self.start(ready, now + took, federation);
        }
        let due = self
            .store
            .waiting()
            .take_while(|meta| pass.stalled.as_deref() != Some(meta.job_id()))
            .map(|meta| policy.due(&meta.schedule()))
            .min();
        if let Some(due) = due {
            // The next look comes a tick later at the earliest.
            self.wake(due.max(now + self.settings.timings.tick));
        }
    }

    /// Deploys a job and lets its processes start.
    fn start(&mut self, ready: Ready, now: Moment, federation: &impl Federation) {
        let Some(job) = self.store.get(&ready.job_id) else { return };
        let app = server_app(&job.meta);
        let Deployment { detail, sites } =
            deploy(&job.meta, job.content(), &app, ready.sites, federation, self.settings.release);
        let Ok(assignments) = sites else {
            self.store.update(&ready.job_id, |job| {
                job.meta.set_status(JobStatus::FailedToRun, now);
                if !detail.is_empty() {
                    job.meta.set_deploy_detail(&detail);
                }
            });
            return;
        };
        let sites: Vec<String> = assignments.iter().map(|assignment| assignment.site.clone()).collect();
        let plan = self.behaviours.plan(&job.meta, job.content(), &sites);
        let unnoted = self.mutant(Mutant::ScheduleUnnoted);
        self.store.update(&ready.job_id, |job| {
            job.meta.set_status(JobStatus::Dispatched, now);
            job.meta.set_deploy_detail(&detail);
            if !unnoted {
                job.meta.set_schedule(&ready.schedule);
            }
        });
        let at = now + self.settings.timings.start;
        self.runner_free = at;
        let run = Run {
            job_id: ready.job_id.clone(),
            app,
            assignments,
            sites,
            plan,
            phase: Phase::Starting { at },
            reset: std::collections::BTreeMap::new(),
        };
        self.runs.insert(ready.job_id, run);
    }

    /// The deadline of a run has come.
    fn turn(&mut self, job_id: &str, now: Moment) {
        let Some(run) = self.runs.get_mut(job_id) else { return };
        match run.phase {
            Phase::Starting { .. } => {
                let status = self.store.get(job_id).map(|job| job.meta.status());
                run.phase = Phase::Running { started: now, aborted: None };
                if status == Some(JobStatus::Dispatched) {
                    self.store.set_status(job_id, JobStatus::Running, now);
                } else if status.is_none() || !self.settings.quirks.aborted_while_dispatched_runs_on {
                    self.runs.remove(job_id);
                }
            }
            Phase::Running { .. } => self.end(job_id, now),
        }
        self.wake(now);
    }

    /// The processes have ended: the workspace is kept, and the status becomes final.
    fn end(&mut self, job_id: &str, now: Moment) {
        let Some(run) = self.runs.remove(job_id) else { return };
        let Some(job) = self.store.get(job_id) else { return };
        let workspace = workspace_entries(
            &job.meta,
            self.shown(),
            &run.app,
            job.content().apps.get(&run.app),
            &self.log_of(&run, now),
        );
        let errors: Vec<(String, Vec<u8>)> = if run.was_aborted() || self.mutant(Mutant::ErrorLogLost) {
            Vec::new()
        } else {
            let errors = run.plan.ending.site_errors();
            errors.iter().map(|(site, text)| (format!("ERRORLOG_{site}"), format!("{text}\n").into_bytes())).collect()
        };
        let status = match run.final_status() {
            JobStatus::Completed if self.mutant(Mutant::WrongStatusWord) => JobStatus::from("FINISHED:OK"),
            JobStatus::ExecutionException if self.mutant(Mutant::FailureIsSuccess) => JobStatus::Completed,
            // Before 2.9 the server does not hear of what became of the sites' processes, only that its own ended badly.
            JobStatus::Abnormal if self.settings.release < Release::V2_9 => JobStatus::ExecutionException,
            status => status,
        };
        self.store.update(job_id, |job| {
            let details = job.details_mut();
            details.workspace = Some(workspace);
            details.components.extend(errors);
            job.meta.set_status(status, now);
        });
    }
}

/// The app that the server gets.
fn server_app(meta: &JobMeta) -> String {
    let map = meta.fields().get("deploy_map").and_then(Value::as_object);
    let found = map.into_iter().flatten().find(|(_, entry)| {
        participants(entry).is_ok_and(|sites| sites.iter().any(|site| *site == SERVER_SITE || is_all_sites(site)))
    });
    found.map(|(app, _)| app.clone()).unwrap_or_default()
}

/// What the scheduler sees during one pass.
struct View<'a, F, H> {
    sites: &'a [SiteView],
    jobs: &'a Jobs<H>,
    federation: &'a F,
    /// A site was asked that hangs.
    hung: bool,
}

impl<F: Federation, H> Surroundings for View<'_, F, H> {
    fn online_sites(&self) -> Vec<String> {
        self.sites.iter().map(|site| site.name.clone()).collect()
    }

    fn enrolled_sites(&self, study: &str) -> Option<Vec<String>> {
        self.federation.enrolled_sites(study)
    }

    fn mutant(&self, mutant: Mutant) -> bool {
        self.jobs.settings.mutants.has(mutant)
    }

    fn check_resources(&mut self, site: &str, _job: &JobMeta, requirement: &JsonObject) -> ResourceCheck {
        let enough = self.sites.iter().find(|view| view.name == site).is_some_and(|view| {
            self.hung |= view.reach == Reach::Hanging;
            let held: u64 = self.jobs.runs.values().map(|run| run.gpus(site)).sum();
            let wanted = requirement.get("num_of_gpus").and_then(Value::as_u64).unwrap_or_default();
            view.reach == Reach::Alive && wanted <= view.gpus.saturating_sub(held)
        });
        if enough || self.jobs.settings.mutants.has(Mutant::ResourcesIgnored) {
            ResourceCheck::Enough
        } else {
            ResourceCheck::NotEnough(String::new())
        }
    }
}
