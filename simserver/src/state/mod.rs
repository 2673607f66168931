//! What a server keeps on disk, so that nothing is lost once its reply was sent, whatever ends the process.
//!
//! ```text
//! <state>/jobs.redb        jobs, submit records, study registry, disabled clients, in one transactional store
//! <state>/archives/<uuid>  the uploaded archives, which several jobs may share
//! <state>/logs/            the server's log.txt, log.json and audit.log
//! <state>/incoming/        what is on its way; worth nothing when the process ends
//! ```
//!
//! It is what a real server keeps on its disk over a restart or a SIGKILL: its job store with its submit records,
//! `study_registry.json` and `disabled_clients.json`, and its log files. As there, sessions, registrations, downloads and half uploads go with
//! the process, and a job that ran stays RUNNING for ever; its log is made anew from what the job does. The log files of
//! the sites, which a real one keeps on machines of their own, begin anew here.
//!
//! A server that starts reads the metas of its jobs and nothing else of them; what an archive holds and what a run has
//! left behind, which is most of a job, is read when somebody asks for it (`examples/state_scale.rs` measures it).
//!
//! An archive is on disk for good before the job that refers to it is, and leaves after it; what changes is written
//! before its reply is sent. The store is locked while a server has it open, so two cannot share a directory.

mod error;
mod logs;
mod read;
mod record;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use flare_wire::Moment;
use flare_wire::hci::JsonObject;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableHandle as _};
use tempfile::TempPath;

use crate::blob::Blob;
use crate::core::{ChangedRegistries, DISABLED_CLIENTS, STUDY_REGISTRY, Sim, SimConfig, StudyRegistry, VirtualFiles};
use crate::jobs::store::{JobDetails, StoredJob};
use crate::jobs::submit_records::{Scope, SubmitRecord};

pub use error::StateError;
use logs::{FoundLogs, Logs};
use record::{DetailsRecord, JobRecord};

/// The meta of every job by its id, as JSON.
const JOBS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("metas");
/// The rest of every job by its id, as JSON.
const DETAILS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("details");
/// Where whole jobs were kept until their details got a table of their own.
const WHOLE_JOBS: &str = "jobs";
/// How often the directory was opened.
const STARTS: TableDefinition<'_, (), u64> = TableDefinition::new("starts");
/// What a real server keeps in a file of its own, by the name of the file, once a command has changed it.
const FILES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("files");
/// Every submit record by its scope, both as JSON.
const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("submit_records");

/// A state directory.
pub(crate) struct StateStore {
    directory: PathBuf,
    database: Arc<Database>,
    /// Every job that is on disk.
    kept: HashMap<String, Kept>,
    logs: Logs,
}

/// What has to be known of a job that is on disk.
struct Kept {
    archive: Blob,
    /// Its details, once this process has written them; those of an earlier one have not changed as long as nobody has
    /// read them.
    details: Weak<JobDetails>,
}

/// What was found in a state directory.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The jobs.
    pub(crate) jobs: Vec<StoredJob<Blob>>,
    /// The submit records.
    pub(crate) records: Vec<SubmitRecord>,
    /// How often the directory was opened before.
    pub(crate) starts: u64,
    /// The study registry, when a command has ever changed it.
    pub(crate) studies: Option<StudyRegistry>,
    /// The clients that are not let in, when a command has ever changed them.
    pub(crate) disabled: Option<Vec<String>>,
    /// What the server has logged.
    logs: FoundLogs,
}

impl Found {
    /// Takes out of a configuration what is here as well: what became of something counts more than how it began.
    pub(crate) fn replace(&self, config: &mut SimConfig) {
        if let Some(studies) = &self.studies {
            config.studies = Some(studies.clone());
        }
        if let Some(disabled) = &self.disabled {
            config.disabled_clients.clone_from(disabled);
        }
        let metas = &mut config.jobs;
        if !metas.is_empty() && !self.jobs.is_empty() {
            let found: HashSet<&str> = self.jobs.iter().map(|job| job.meta.job_id()).collect();
            let id = |meta: &JsonObject| meta.get("job_id").and_then(|id| id.as_str()).map(str::to_owned);
            metas.retain(|meta| id(meta).is_none_or(|id| !found.contains(id.as_str())));
        }
    }

    /// Gives everything back to a server that starts `now`.
    pub(crate) fn restore(self, sim: &mut Sim, now: Moment) {
        sim.rewrite_registries(now, self.studies.is_some(), self.disabled.is_some());
        for (name, content) in self.logs {
            sim.restore_log(name, content, now);
        }
        let jobs = sim.jobs_mut();
        for job in self.jobs {
            jobs.restore_job(job);
        }
        for record in self.records {
            jobs.restore_record(record);
        }
        // All of it is on disk.
        jobs.take_changed_jobs();
        jobs.take_changed_records();
    }
}

/// What has changed and is not on disk.
#[derive(Debug, Default)]
pub(crate) struct Unwritten {
    jobs: BTreeSet<String>,
    records: BTreeSet<Scope>,
    registries: ChangedRegistries,
}

impl Unwritten {
    /// Adds what has changed since the last call.
    pub(crate) fn note(&mut self, sim: &mut Sim) {
        self.registries |= sim.take_changed_registries();
        let jobs = sim.jobs_mut();
        self.jobs.extend(jobs.take_changed_jobs());
        self.records.extend(jobs.take_changed_records());
    }

    /// The present state of all of it.
    pub(crate) fn changes<'a>(&'a self, sim: &'a Sim) -> Changes<'a> {
        let jobs = sim.jobs();
        let mut files = Vec::new();
        if self.registries.studies {
            files.push((STUDY_REGISTRY, sim.studies().map(StudyRegistry::to_json)));
        }
        if self.registries.disabled {
            files.push((DISABLED_CLIENTS, Some(sim.disabled_clients_json())));
        }
        Changes {
            jobs: self.jobs.iter().map(|id| (id.as_str(), jobs.store().get(id))).collect(),
            records: self.records.iter().filter_map(|scope| jobs.records().get(scope)).collect(),
            files,
        }
    }

    /// It is on disk, or does not have to be.
    pub(crate) fn clear(&mut self) {
        self.jobs.clear();
        self.records.clear();
        self.registries = ChangedRegistries::default();
    }
}

impl StateStore {
    /// Opens a state directory, which is made when it is not there, and reads what is in it.
    pub(crate) fn open(directory: &Path) -> Result<(Self, Found), StateError> {
        let (store, logs) = Self::create(directory)?;
        // Before anything is written or removed: what it keeps would not be found, and its archives would go.
        if store.is_outdated().map_err(StateError::store(directory))? {
            return Err(StateError::Outdated { directory: directory.to_owned() });
        }
        let starts = store.count_start().map_err(StateError::store(directory))?;
        let found = Found { starts, logs, ..store.read()? };
        let mut kept = HashMap::new();
        for job in &found.jobs {
            job.archive.retain();
            kept.insert(job.meta.job_id().to_owned(), Kept { archive: job.archive.clone(), details: Weak::new() });
        }
        let store = Self { kept, ..store };
        store.remove_leftovers()?;
        Ok((store, found))
    }

    fn create(directory: &Path) -> Result<(Self, FoundLogs), StateError> {
        let failed = |doing| move |source| StateError::io(doing, directory, source);
        fs::create_dir_all(directory.join("archives")).map_err(failed("create"))?;
        fs::create_dir_all(directory.join("incoming")).map_err(failed("create"))?;
        let database = Database::create(directory.join("jobs.redb")).map_err(StateError::store(directory))?;
        let (logs, found) = Logs::open(directory).map_err(failed("read"))?;
        let directory = directory.to_owned();
        Ok((Self { directory, database: Arc::new(database), kept: HashMap::new(), logs }, found))
    }

    fn is_outdated(&self) -> Result<bool, redb::Error> {
        let transaction = self.database.begin_read()?;
        let is_outdated = transaction.list_tables()?.any(|table| table.name() == WHOLE_JOBS);
        Ok(is_outdated)
    }

    /// Where files on their way are.
    pub(crate) fn incoming(&self) -> PathBuf {
        self.directory.join("incoming")
    }

    /// Takes a file into the state directory; it is removed when no job of the store and no handle refers to it.
    pub(crate) fn adopter(&self) -> Adopter {
        Adopter { archives: self.directory.join("archives") }
    }

    /// Writes what has changed, and returns when it is on disk. After a failure the same changes are to be written again:
    /// nothing of them is there.
    pub(crate) fn write(&mut self, changes: &Changes<'_>) -> Result<(), StateError> {
        if changes.jobs.is_empty() && changes.records.is_empty() && changes.files.is_empty() {
            return Ok(());
        }
        self.commit(changes).map_err(StateError::store(&self.directory))?;
        for (job_id, job) in &changes.jobs {
            let before = match job {
                Some(job) => {
                    job.archive.retain();
                    let details = job.read_details().map(Arc::downgrade).unwrap_or_default();
                    self.kept.insert((*job_id).to_owned(), Kept { archive: job.archive.clone(), details })
                }
                None => self.kept.remove(*job_id),
            };
            if let Some(before) = before {
                before.archive.release();
            }
        }
        Ok(())
    }

    /// Writes what has been logged.
    pub(crate) fn keep_logs(&mut self, files: &VirtualFiles) {
        self.logs.keep(files);
    }

    fn commit(&self, changes: &Changes<'_>) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut jobs = transaction.open_table(JOBS)?;
            let mut details = transaction.open_table(DETAILS)?;
            for (job_id, job) in &changes.jobs {
                let Some(job) = job else {
                    jobs.remove(*job_id)?;
                    details.remove(*job_id)?;
                    continue;
                };
                jobs.insert(*job_id, JobRecord::of(job).to_json().as_slice())?;
                if let Some(changed) = self.unwritten_details(job) {
                    details.insert(*job_id, DetailsRecord::of(changed).to_json().as_slice())?;
                }
            }
            let mut records = transaction.open_table(RECORDS)?;
            for record in &changes.records {
                let value = serde_json::Value::Object(record.to_json()).to_string();
                records.insert(record::scope_key(&record.scope).as_str(), value.as_bytes())?;
            }
            let mut files = transaction.open_table(FILES)?;
            for (name, text) in &changes.files {
                match text {
                    Some(text) => drop(files.insert(*name, text.as_bytes())?),
                    None => drop(files.remove(*name)?),
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// The details of a job that are not on disk as they are now.
    fn unwritten_details<'a>(&self, job: &'a StoredJob<Blob>) -> Option<&'a JobDetails> {
        match (self.kept.get(job.meta.job_id()), job.read_details()) {
            (Some(_), None) => None,
            (Some(kept), Some(details)) if kept.details.as_ptr() == Arc::as_ptr(details) => None,
            _ => Some(job.details()),
        }
    }

    fn count_start(&self) -> Result<u64, redb::Error> {
        let transaction = self.database.begin_write()?;
        let starts = {
            let mut table = transaction.open_table(STARTS)?;
            let starts = table.get(())?.map_or(0, |starts| starts.value());
            table.insert((), starts + 1)?;
            starts
        };
        transaction.commit()?;
        Ok(starts)
    }

    /// Removes the archives that no job refers to, and what was on its way when the last process ended.
    fn remove_leftovers(&self) -> Result<(), StateError> {
        let archives = self.directory.join("archives");
        let kept: HashSet<&Path> = self.kept.values().filter_map(|kept| kept.archive.path()).collect();
        for path in entries(&archives)?.into_iter().filter(|path| !kept.contains(path.as_path())) {
            fs::remove_file(&path).map_err(|source| StateError::io("remove", &path, source))?;
        }
        for path in entries(&self.incoming())? {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(|source| StateError::io("remove", &path, source))?;
        }
        Ok(())
    }
}

/// What is to be written at once.
#[derive(Debug, Default)]
pub(crate) struct Changes<'a> {
    /// Jobs by id; none for one that was deleted.
    jobs: Vec<(&'a str, Option<&'a StoredJob<Blob>>)>,
    records: Vec<&'a SubmitRecord>,
    /// Files by name; none for one that was removed.
    files: Vec<(&'static str, Option<String>)>,
}

/// Moves uploaded files into a state directory, without the lock of its server.
#[derive(Debug, Clone)]
pub(crate) struct Adopter {
    archives: PathBuf,
}

impl Adopter {
    /// Moves a file and returns when it is on disk for good. The file is gone with the last handle, unless a job that
    /// refers to it was written.
    pub(crate) fn adopt(&self, file: TempPath, name: &str) -> Result<Blob, StateError> {
        let path = self.archives.join(name);
        let move_it = || {
            File::open(&file)?.sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            File::open(&self.archives)?.sync_all()
        };
        match move_it() {
            Ok(()) => Ok(Blob::adopted(path)),
            Err(source) => Err(StateError::io("write", &path, source)),
        }
    }
}

/// The names in `{"disabled_clients": [...]}`.
pub(crate) fn disabled_clients(text: &str) -> Option<Vec<String>> {
    let file: serde_json::Value = serde_json::from_str(text).ok()?;
    let names = file.get("disabled_clients")?.as_array()?;
    names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, StateError> {
    let failed = |source| StateError::io("read", directory, source);
    fs::read_dir(directory).map_err(failed)?.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

#[cfg(test)]
mod tests;
