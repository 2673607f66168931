//! The jobs of a server as one state machine: commands change them at once, time changes them when it passes.
//!
//! ```text
//!            abort                    abort (unless the quirk)
//! SUBMITTED ───────► FINISHED:ABORTED ◄──────── DISPATCHED
//!     │ scheduler                                 ▲  │ processes started
//!     ├── deployed ───────────────────────────────┘  ▼
//!     ├── refused ──► FINISHED:FAILED_TO_RUN      RUNNING ──► FINISHED:COMPLETED, EXECUTION_EXCEPTION,
//!     └── gave up ──► FINISHED:CAN_NOT_SCHEDULE      │                 ABNORMAL, ABORTED
//!                                                    └─ server killed: stays RUNNING for ever
//! ```
//!
//! The driver calls [`Jobs::advance`] when [`Jobs::next_deadline`] has come, and [`Jobs::sites_changed`] when a site
//! registered or left. Nothing ticks while no job could start, so a clock may jump from deadline to deadline.
//! Source: `reference/server-behaviour.md` section 10.

mod answers;
mod commands;
mod deploy;
mod logs;
mod run;
mod runner;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use flare_wire::Moment;

use super::behaviour::Behaviours;
use super::meta::{JobMeta, JobStatus, Shown};
use super::store::{JobStore, StoredJob};
use super::submit_records::{Scope, SubmitRecord, SubmitRecords};
use crate::mutants::Mutant;
use run::Run;

pub use answers::{Aborted, Deleted, DownloadFile, IdRefusal, NotDone, SubmitRefusal};
pub use commands::{NewJob, Submitted};
pub use settings::{JobSettings, Quirks, Timings};

/// Every job of a server, what runs, and who waits. `H` is the caller's handle to an uploaded archive.
#[derive(Debug, Clone)]
pub struct Jobs<H> {
    settings: JobSettings,
    store: JobStore<H>,
    records: SubmitRecords,
    behaviours: Behaviours,
    /// By job id.
    runs: BTreeMap<String, Run>,
    /// Logs of runs that a killed server left lying about: `log.txt` and `log.json`.
    abandoned_logs: BTreeMap<String, [String; 2]>,
    /// When the scheduler next has something to look at.
    pass_due: Option<Moment>,
    /// The runner does one thing at a time.
    runner_free: Moment,
    /// The looks at the waiting jobs come at whole ticks from here on.
    started: Moment,
}

impl<H: Clone> Jobs<H> {
    /// A server without jobs that starts `now`.
    #[must_use]
    pub fn new(settings: JobSettings, behaviours: Behaviours, now: Moment) -> Self {
        Self {
            settings,
            store: JobStore::new(),
            records: SubmitRecords::new(),
            behaviours,
            runs: BTreeMap::new(),
            abandoned_logs: BTreeMap::new(),
            pass_due: None,
            runner_free: now,
            started: now,
        }
    }

    /// Puts back a job that was kept somewhere. One that was RUNNING stays so for ever, as on a real server, with what
    /// its run has left behind.
    pub fn restore_job(&mut self, job: StoredJob<H>) {
        let job_id = job.meta.job_id().to_owned();
        let was_running = job.meta.status() == JobStatus::Running;
        if self.store.insert(job) && was_running {
            self.abandon_restored(&job_id);
        }
        self.wake(self.started);
    }

    /// Puts back a submit record that was kept somewhere.
    pub fn restore_record(&mut self, record: SubmitRecord) {
        self.records.restore(record);
    }

    /// The server was killed and starts again: what ran is gone, what was kept is not.
    pub fn restart(&mut self, now: Moment) {
        for run in std::mem::take(&mut self.runs).into_values() {
            if run.started().is_some() {
                let log = self.log_of(&run, now);
                let logs = [log.text(), log.json()];
                self.abandon(&run.job_id, &run.sites, logs, now);
            }
        }
        (self.started, self.runner_free, self.pass_due) = (now, now, None);
        self.wake(now);
    }

    /// True when a rule is broken on purpose.
    const fn mutant(&self, mutant: Mutant) -> bool {
        self.settings.mutants.has(mutant)
    }

    /// Rules of the runs to come; those that run keep theirs.
    pub const fn behaviours_mut(&mut self) -> &mut Behaviours {
        &mut self.behaviours
    }

    /// Settings.
    #[must_use]
    pub const fn settings(&self) -> &JobSettings {
        &self.settings
    }

    /// The jobs.
    #[must_use]
    pub const fn store(&self) -> &JobStore<H> {
        &self.store
    }

    /// The submit records.
    #[must_use]
    pub const fn records(&self) -> &SubmitRecords {
        &self.records
    }

    /// Ids of the jobs that changed since the last call; see [`JobStore::take_changed`].
    pub fn take_changed_jobs(&mut self) -> Vec<String> {
        self.store.take_changed()
    }

    /// Scopes of the submit records that changed since the last call; see [`SubmitRecords::take_changed`].
    pub fn take_changed_records(&mut self) -> Vec<Scope> {
        self.records.take_changed()
    }

    /// The meta of a job.
    #[must_use]
    pub fn meta(&self, job_id: &str) -> Option<&JobMeta> {
        Some(&self.store.get(job_id)?.meta)
    }

    /// How metas are shown.
    #[must_use]
    pub fn shown(&self) -> Shown {
        Shown { release: self.settings.release, offset: self.settings.offset }
    }

    /// How many jobs are stored.
    #[must_use]
    pub fn count(&self) -> usize {
        self.store.len()
    }

    /// Ids and app names of the jobs whose processes run, aborted ones included until they have ended.
    pub fn running(&self) -> impl Iterator<Item = (&str, &str)> {
        let running = self.runs.values().filter(|run| run.started().is_some());
        running.map(|run| (run.job_id.as_str(), run.app.as_str()))
    }

    /// Ids of all runs, those whose processes have not started yet included, and whether each was told to stop.
    pub fn tracked(&self) -> impl Iterator<Item = (&str, bool)> {
        self.runs.values().map(|run| (run.job_id.as_str(), run.was_aborted()))
    }

    /// Whether the processes of a running job can be asked already.
    #[must_use]
    pub fn answers(&self, job_id: &str, now: Moment) -> bool {
        let run = self.runs.get(job_id);
        let asked = run.and_then(|run| Some(now.since(run.started()?) >= run.check_in(&self.settings)));
        asked.unwrap_or(false)
    }

    /// The sites that take part in a running job.
    #[must_use]
    pub fn running_sites(&self, job_id: &str) -> Option<&[String]> {
        let run = self.runs.get(job_id).filter(|run| run.started().is_some())?;
        Some(&run.sites)
    }
}
