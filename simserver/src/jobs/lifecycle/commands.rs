//! The commands on jobs, after arguments and rights were checked.

use std::sync::Arc;

use flare_wire::hci::JsonObject;
use flare_wire::{Moment, Randomness, is_uuid4};
use serde_json::Value;

use super::Jobs;
use super::answers::{Aborted, Deleted, DownloadFile, IdRefusal, NotDone, SubmitRefusal};
use super::run::Phase;
use crate::jobs::behaviour::RunReport;
use crate::jobs::content::JobContent;
use crate::jobs::definition::{JobDefinition, Refusal, SERVER_SITE};
use crate::jobs::meta::{JobMeta, JobStatus, Submission};
use crate::jobs::python::{ExceptionClass, PythonError, is_truthy};
use crate::jobs::store::{ListQuery, Listing, StoredJob};
use crate::jobs::submit_records::{Claimed, Scope, SubmitToken, TokenClaim};
use crate::jobs::submitter::Submitter;
use crate::mutants::Mutant;
use crate::release::Release;

/// A job that was uploaded and found right.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob<H> {
    /// Its definition.
    pub definition: JobDefinition,
    /// What is in its archive.
    pub content: Arc<JobContent>,
    /// Where its archive is.
    pub archive: H,
    /// Study of the session.
    pub study: String,
    /// Who submits it.
    pub submitter: Submitter,
    /// `custom_props` of the request.
    pub custom_props: Option<Value>,
    /// The token, with the hash of the content.
    pub token: Option<(SubmitToken, String)>,
}

/// What came of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// The job.
    pub job_id: String,
    /// False when it was there already, and the uploaded archive is of no use.
    pub is_new: bool,
}

impl<H: Clone> Jobs<H> {
    /// The job that an argument names, in a session of `study`: the check before every job command.
    ///
    /// # Errors
    /// [`IdRefusal`], the same for a job of another study as for none.
    pub fn find(&self, argument: Option<&str>, study: &str) -> Result<&StoredJob<H>, IdRefusal> {
        let id = argument.ok_or(IdRefusal::Missing)?.to_lowercase();
        if !is_uuid4(&id) {
            return Err(IdRefusal::Invalid(id));
        }
        self.store.get(&id).filter(|job| job.meta.study() == study).ok_or(IdRefusal::Unknown(id))
    }

    /// Takes a job in, or finds the one that its token stands for.
    ///
    /// # Errors
    /// [`SubmitRefusal`].
    pub fn submit(&mut self, new: NewJob<H>, now: Moment, random: &mut Randomness) -> Result<Submitted, SubmitRefusal> {
        let mut scope = None;
        let own_id = new.definition.meta.get("job_id").filter(|id| is_truthy(id)).and_then(Value::as_str);
        let token = new.token.filter(|_| !self.settings.mutants.has(Mutant::TokenMeansNothing));
        let job_id = if let Some((token, content_hash)) = token {
            let study = if self.mutant(Mutant::TokenIgnoresStudy) { String::new() } else { new.study.clone() };
            let submitter =
                if self.mutant(Mutant::TokenIgnoresUser) { Submitter::default() } else { new.submitter.clone() };
            let claimed_scope = Scope { study, submitter, token };
            let name = new.definition.meta.get("name").filter(|name| is_truthy(name)).cloned();
            let claim = TokenClaim {
                scope: claimed_scope.clone(),
                content_hash: if self.mutant(Mutant::TokenIgnoresContent) { String::new() } else { content_hash },
                job_name: name.unwrap_or_else(|| Value::from(new.definition.folder.as_str())),
                job_folder_name: new.definition.folder.clone(),
            };
            let exists = |id: &str| self.store.get(id).is_some();
            match self.records.claim(claim, now, self.settings.offset, random, exists)? {
                Claimed::Existing(job_id) => return Ok(Submitted { job_id, is_new: false }),
                Claimed::Create(job_id) => {
                    scope = Some(claimed_scope);
                    job_id
                }
            }
        } else {
            own_id.map_or_else(|| random.uuid(), str::to_owned)
        };
        let submission = Submission {
            study: new.study,
            submitter: new.submitter,
            folder: new.definition.folder,
            custom_props: new.custom_props.filter(is_truthy).filter(|_| !self.mutant(Mutant::CustomPropsForgotten)),
            job_id: job_id.clone(),
        };
        let meta = JobMeta::submitted(new.definition.meta, &submission, now, self.settings.offset);
        if !self.store.insert(StoredJob::new(meta, new.content, new.archive)) {
            let root = &self.settings.store_root;
            return Err(SubmitRefusal::Refused(Refusal::Exception(PythonError::new(
                ExceptionClass::Storage,
                format!("object {root}/{job_id} already exists and overwrite_existing is False"),
            ))));
        }
        if let Some(scope) = scope {
            self.records.confirm(&scope);
        }
        self.wake(now);
        Ok(Submitted { job_id, is_new: true })
    }

    /// The jobs that a list shows.
    ///
    /// # Errors
    /// The exception of the real server over a name that is no text.
    pub fn list(&self, query: &ListQuery) -> Result<Listing<'_>, PythonError> {
        self.store.list(query)
    }

    /// The list of the one job that a token of this user stands for.
    ///
    /// # Errors
    /// [`SubmitRefusal::Token`] for a token whose job was deleted.
    pub fn list_token(&self, scope: &Scope, query: &ListQuery) -> Result<Listing<'_>, SubmitRefusal> {
        let job = self.records.job_of(scope)?.and_then(|job_id| self.store.get(job_id));
        let Some(job) = job else { return Ok(Listing::NoJobs) };
        // The other filters apply to this job alone, and a limit to a list of one.
        let mut alone = crate::jobs::store::JobStore::new();
        alone.insert(StoredJob::new(job.meta.clone(), Arc::clone(job.content()), ()));
        Ok(match alone.list(query).map_err(|error| SubmitRefusal::Refused(Refusal::Exception(error)))? {
            Listing::Jobs(jobs) if jobs.is_empty() => Listing::Jobs(Vec::new()),
            Listing::Jobs(_) => Listing::Jobs(vec![&job.meta]),
            _ => Listing::NoMatch,
        })
    }

    /// Aborts a job, or tells why there is nothing to abort.
    pub fn abort(&mut self, job_id: &str, now: Moment) -> Aborted {
        let job_id = job_id.to_owned();
        let Some(status) = self.meta(&job_id).map(JobMeta::status) else { return Aborted::NotRunning(job_id) };
        if matches!(status, JobStatus::Submitted | JobStatus::Dispatched) {
            self.store.set_status(&job_id, JobStatus::Aborted, now);
            if !self.settings.quirks.aborted_while_dispatched_runs_on {
                self.runs.remove(&job_id);
            }
            // A job that stalled the scheduler is out of its way now.
            self.wake(now);
            return Aborted::BeforeRun(job_id);
        }
        if status.is_final() {
            if self.mutant(Mutant::AbortChangesTheFinished) {
                self.store.set_status(&job_id, JobStatus::Aborted, now);
            }
            return Aborted::AlreadyOver(job_id);
        }
        match self.runs.get_mut(&job_id).map(|run| &mut run.phase) {
            Some(Phase::Running { aborted, .. }) => {
                if !self.settings.mutants.has(Mutant::AbortIgnored) {
                    aborted.get_or_insert(now);
                }
                Aborted::Signalled
            }
            _ => Aborted::NotRunning(job_id),
        }
    }

    /// Deletes a job that does not run, and turns its tokens into tombstones.
    pub fn delete(&mut self, job_id: &str, by: &Submitter, now: Moment) -> Deleted {
        let status = self.meta(job_id).map(JobMeta::status);
        if matches!(status, Some(JobStatus::Dispatched | JobStatus::Running)) && !self.mutant(Mutant::DeletesTheRunning)
        {
            return Deleted::Running(job_id.to_owned());
        }
        if !self.mutant(Mutant::DeletedStays) {
            self.store.remove(job_id);
        }
        self.abandoned_logs.remove(job_id);
        let mut records = self.records.mark_deleted(job_id, by, now).len();
        if self.mutant(Mutant::TombstonesForgotten) {
            records = self.records.forget(job_id);
        }
        self.wake(now);
        Deleted::Done { job_id: job_id.to_owned(), records }
    }

    /// Submits a job again, under a new id; `None` when there is no such job.
    pub fn clone_job(&mut self, job_id: &str, by: &Submitter, now: Moment, random: &mut Randomness) -> Option<String> {
        let job = self.store.get(job_id)?;
        let new_id = random.uuid();
        let original = job.meta.submitter();
        let by = if self.mutant(Mutant::CloneKeepsSubmitter) { &original } else { by };
        let meta = job.meta.cloned(by, &new_id, now, self.settings.offset);
        let clone = StoredJob::new(meta, Arc::clone(job.content()), job.archive.clone());
        self.store.insert(clone);
        self.wake(now);
        Some(new_id)
    }

    /// Names of a job's further components.
    #[must_use]
    pub fn components(&self, job_id: &str) -> Vec<&str> {
        let components = self.store.get(job_id).into_iter().flat_map(|job| job.components().keys());
        components.map(String::as_str).collect()
    }

    /// The files of a finished job. `job_id` is the argument as it was given: in upper case it finds nothing.
    ///
    /// # Errors
    /// [`NotDone`].
    pub fn download(&self, job_id: &str) -> Result<Vec<DownloadFile<H>>, NotDone> {
        let job = self.store.get(job_id).ok_or_else(|| NotDone::Unknown(job_id.to_owned()))?;
        if !job.meta.status().is_final()
            && self.settings.release >= Release::V2_8
            && !self.mutant(Mutant::DownloadsTheUnfinished)
        {
            return Err(NotDone::NotDone(job_id.to_owned()));
        }
        let workspace = job.workspace().map(<[_]>::to_vec);
        let workspace = workspace.map(|entries| DownloadFile::Workspace { entries, archive: job.archive.clone() });
        let meta = flare_wire::hci::python_json(&Value::Object(job.meta.shown(self.shown())));
        Ok(workspace.into_iter().chain([DownloadFile::Meta(meta), DownloadFile::Job(job.archive.clone())]).collect())
    }

    /// The components of a job as files.
    ///
    /// # Errors
    /// [`NotDone::Unknown`] for an id in upper case.
    pub fn download_components(&self, job_id: &str) -> Result<Vec<DownloadFile<H>>, NotDone> {
        let job = self.store.get(job_id).ok_or_else(|| NotDone::Unknown(job_id.to_owned()))?;
        let file = |(name, content): (&String, &Vec<u8>)| DownloadFile::Component(name.clone(), content.clone());
        Ok(job.components().iter().map(file).collect())
    }

    /// `show_stats`: of the server, if asked for, and of these registered sites. `None` when the job does not run.
    #[must_use]
    pub fn stats(&self, job_id: &str, server: bool, sites: &[&str], now: Moment) -> Option<JsonObject> {
        let report = self.report(job_id, now)?;
        let of_server = server.then(|| report.server_stats());
        Some(RunReport::gather(of_server, sites.iter().copied(), |site| report.site_stats(site)))
    }

    /// `show_errors`, in the same way.
    #[must_use]
    pub fn errors(&self, job_id: &str, server: bool, sites: &[&str], now: Moment) -> Option<JsonObject> {
        let report = self.report(job_id, now)?;
        let reset = |name: &str| self.runs.get(job_id).and_then(|run| run.reset.get(name)).copied();
        let of_server = server.then(|| report.server_errors(reset(SERVER_SITE)));
        Some(RunReport::gather(of_server, sites.iter().copied(), |site| report.site_errors(site, reset(site))))
    }

    /// `reset_errors`, in the same way; every site says OK, also one that does not take part.
    pub fn reset_errors(&mut self, job_id: &str, server: bool, sites: &[&str], now: Moment) -> Option<JsonObject> {
        let run = self.runs.get_mut(job_id)?;
        let elapsed = now.since(run.started()?);
        let of_server = server.then(|| {
            run.reset.insert(SERVER_SITE.to_owned(), elapsed);
            Value::from(format!("reset the server error stats for job: {job_id}"))
        });
        run.reset.extend(sites.iter().map(|site| ((*site).to_owned(), elapsed)));
        if self.settings.mutants.has(Mutant::ResetErrorsIgnored) {
            run.reset.clear();
        }
        let silent = &run.plan.silent_sites;
        Some(RunReport::gather(of_server, sites.iter().copied(), |site| {
            (!silent.contains(site)).then(|| serde_json::json!({"status": "OK"}))
        }))
    }

    fn report(&self, job_id: &str, now: Moment) -> Option<RunReport<'_>> {
        let run = self.runs.get(job_id).filter(|run| run.started().is_some())?;
        Some(run.report(now, &self.settings))
    }
}
