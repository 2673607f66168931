//! What a server keeps on disk, so that nothing is lost once its reply was sent, whatever ends the process.
//!
//! ```text
//! <state>/jobs.redb        jobs, submit records, study registry, disabled clients, in one transactional store
//! <state>/archives/<uuid>  the uploaded archives, which several jobs may share
//! <state>/incoming/        what is on its way; worth nothing when the process ends
//! ```
//!
//! It is what a real server keeps on its disk over a restart or a SIGKILL: its job store with its submit records,
//! `study_registry.json` and `disabled_clients.json`. As there, sessions, registrations, downloads and half uploads go with
//! the process, and a job that ran stays RUNNING for ever; its log is made anew from what the job does. The log files of
//! server and sites (`log.txt`, `audit.log`), which a real one keeps too, begin anew here.
//!
//! Reading takes about 50 us of processor time for a job that has run, spread over the processors: 5 s of it for 100,000
//! jobs (`examples/state_scale.rs`).
//!
//! An archive is on disk for good before the job that refers to it is, and leaves after it; what changes is written
//! before its reply is sent. The store is locked while a server has it open, so two cannot share a directory.

mod error;
mod record;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;

use flare_wire::Moment;
use flare_wire::hci::JsonObject;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use tempfile::TempPath;

use crate::blob::Blob;
use crate::core::{ChangedRegistries, DISABLED_CLIENTS, STUDY_REGISTRY, Sim, SimConfig, StudyRegistry};
use crate::jobs::store::StoredJob;
use crate::jobs::submit_records::{Scope, SubmitRecord};

pub use error::StateError;
use record::JobRecord;

/// Every job by its id, as JSON.
const JOBS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("jobs");
/// How often the directory was opened.
const STARTS: TableDefinition<'_, (), u64> = TableDefinition::new("starts");
/// What a real server keeps in a file of its own, by the name of the file, once a command has changed it.
const FILES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("files");
/// Every submit record by its scope, both as JSON.
const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("submit_records");

/// A state directory.
pub(crate) struct StateStore {
    directory: PathBuf,
    database: Database,
    /// The archive of every job that is on disk.
    kept: HashMap<String, Blob>,
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
        let store = Self::create(directory)?;
        let found = Found { starts: store.count_start().map_err(StateError::store(directory))?, ..store.read()? };
        let mut kept = HashMap::new();
        for job in &found.jobs {
            job.archive.retain();
            kept.insert(job.meta.job_id().to_owned(), job.archive.clone());
        }
        let store = Self { kept, ..store };
        store.remove_leftovers()?;
        Ok((store, found))
    }

    fn create(directory: &Path) -> Result<Self, StateError> {
        let failed = |doing| move |source| StateError::io(doing, directory, source);
        fs::create_dir_all(directory.join("archives")).map_err(failed("create"))?;
        fs::create_dir_all(directory.join("incoming")).map_err(failed("create"))?;
        let database = Database::create(directory.join("jobs.redb")).map_err(StateError::store(directory))?;
        Ok(Self { directory: directory.to_owned(), database, kept: HashMap::new() })
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
            let now = job.map(|job| job.archive.clone());
            if let Some(archive) = &now {
                archive.retain();
            }
            let before = match now {
                Some(archive) => self.kept.insert((*job_id).to_owned(), archive),
                None => self.kept.remove(*job_id),
            };
            if let Some(archive) = before {
                archive.release();
            }
        }
        Ok(())
    }

    fn commit(&self, changes: &Changes<'_>) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut jobs = transaction.open_table(JOBS)?;
            for (job_id, job) in &changes.jobs {
                match job {
                    Some(job) => drop(jobs.insert(*job_id, JobRecord::of(job).to_json().as_slice())?),
                    None => drop(jobs.remove(*job_id)?),
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

    fn read(&self) -> Result<Found, StateError> {
        let store = StateError::store(&self.directory);
        let mut found = Found::default();
        let mut archives = HashMap::new();
        let rows = self.rows(JOBS).map_err(&store)?;
        found.jobs.reserve(rows.len());
        let damaged = |job_id| StateError::Damaged { directory: self.directory.clone(), what: format!("job {job_id}") };
        for record in parse(&rows, JobRecord::from_json).map_err(damaged)? {
            let archive = record.archive.as_ref().map_or_else(Blob::none, |name| {
                archives
                    .entry(name.clone())
                    .or_insert_with(|| Blob::adopted(self.directory.join("archives").join(name)))
                    .clone()
            });
            found.jobs.push(record.into_job(archive));
        }
        for (scope, row) in self.rows(RECORDS).map_err(&store)? {
            let damaged = || StateError::Damaged { directory: self.directory.clone(), what: format!("record {scope}") };
            let fields = serde_json::from_slice(&row).map_err(|_| damaged())?;
            found.records.push(SubmitRecord::from_json(&fields).ok_or_else(damaged)?);
        }
        for (name, row) in self.rows(FILES).map_err(&store)? {
            let damaged = || StateError::Damaged { directory: self.directory.clone(), what: format!("file {name}") };
            let text = std::str::from_utf8(&row).map_err(|_| damaged())?;
            match name.as_str() {
                STUDY_REGISTRY => found.studies = Some(StudyRegistry::from_json(text).map_err(|_| damaged())?),
                DISABLED_CLIENTS => found.disabled = Some(disabled_clients(text).ok_or_else(damaged)?),
                _ => return Err(damaged()),
            }
        }
        Ok(found)
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

    fn rows(&self, table: TableDefinition<'_, &str, &[u8]>) -> Result<Vec<(String, Vec<u8>)>, redb::Error> {
        let table = match self.database.begin_read()?.open_table(table) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            table => table?,
        };
        let mut rows = Vec::new();
        for row in table.iter()? {
            let (key, value) = row?;
            rows.push((key.value().to_owned(), value.value().to_owned()));
        }
        Ok(rows)
    }

    /// Removes the archives that no job refers to, and what was on its way when the last process ended.
    fn remove_leftovers(&self) -> Result<(), StateError> {
        let archives = self.directory.join("archives");
        let kept: HashSet<&Path> = self.kept.values().filter_map(Blob::path).collect();
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

/// Reads rows with as many threads as there are processors, for it is this that starting with many jobs takes its time
/// for. Fails with the key of a row that cannot be read.
fn parse<T: Send>(rows: &[(String, Vec<u8>)], read: impl Fn(&[u8]) -> Option<T> + Sync) -> Result<Vec<T>, String> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let part = rows.len().div_ceil(threads).max(1);
    let read_part = |rows: &[(String, Vec<u8>)]| {
        rows.iter().map(|(key, row)| read(row).ok_or_else(|| key.clone())).collect::<Result<Vec<_>, _>>()
    };
    thread::scope(|scope| {
        let parts: Vec<_> = rows.chunks(part).map(|rows| scope.spawn(|| read_part(rows))).collect();
        let mut read = Vec::with_capacity(rows.len());
        for part in parts {
            read.extend(part.join().expect("what cannot be read is no panic")?);
        }
        Ok(read)
    })
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
