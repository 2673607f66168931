//! What a server that starts reads of a state directory: everything but the details of its jobs, which are most of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::record::{DetailsRecord, JobRecord};
use super::{DETAILS, DISABLED_CLIENTS, FILES, Found, JOBS, RECORDS, STUDY_REGISTRY, StateError, StateStore};
use crate::blob::Blob;
use crate::core::StudyRegistry;
use crate::jobs::content::JobContent;
use crate::jobs::meta::JobMeta;
use crate::jobs::store::{JobDetails, StoredJob};
use crate::jobs::submit_records::SubmitRecord;

/// Rows that are handed to a thread at once.
const BATCH: usize = 512;

/// Batches that wait for a thread: reading rows is faster than parsing them, and what waits takes memory.
const MAX_WAITING_BATCHES: usize = 16;

/// A row: key and value.
type Row = (String, Vec<u8>);

impl StateStore {
    pub(super) fn read(&self) -> Result<Found, StateError> {
        let store = StateError::store(&self.directory);
        let mut found = Found { jobs: self.read_jobs()?, ..Found::default() };
        let read = |table| {
            let mut rows = Vec::new();
            self.each_row(table, |row| rows.push(row)).map_err(&store)?;
            Ok::<_, StateError>(rows)
        };
        for (scope, row) in read(RECORDS)? {
            let damaged = || self.damaged("record", &scope);
            let fields = serde_json::from_slice(&row).map_err(|_| damaged())?;
            found.records.push(SubmitRecord::from_json(&fields).ok_or_else(damaged)?);
        }
        for (name, row) in read(FILES)? {
            let damaged = || self.damaged("file", &name);
            let text = std::str::from_utf8(&row).map_err(|_| damaged())?;
            match name.as_str() {
                STUDY_REGISTRY => found.studies = Some(StudyRegistry::from_json(text).map_err(|_| damaged())?),
                DISABLED_CLIENTS => found.disabled = Some(super::disabled_clients(text).ok_or_else(damaged)?),
                _ => return Err(damaged()),
            }
        }
        Ok(found)
    }

    /// Every job, by the time of its submission and then by its id.
    fn read_jobs(&self) -> Result<Vec<StoredJob<Blob>>, StateError> {
        let damaged = |job_id: String| self.damaged("job", &job_id);
        let records = self.parse_rows(JOBS, |(job_id, row)| {
            let JobRecord { meta, archive } = JobRecord::from_json(row).ok_or_else(|| job_id.clone())?;
            let meta = JobMeta::restored(meta.into_owned());
            Ok((meta.submit_time(), meta, archive))
        });
        let mut records = records.map_err(StateError::store(&self.directory))?.map_err(damaged)?;
        records.sort_by(|(left_time, left, _), (right_time, right, _)| {
            left_time.cmp(right_time).then_with(|| left.job_id().cmp(right.job_id()))
        });
        let archives = self.directory.join("archives");
        let mut blobs = HashMap::new();
        let mut jobs = Vec::with_capacity(records.len());
        for (_, meta, archive) in records {
            let archive = archive.map_or_else(Blob::none, |name| {
                let path = archives.join(&name);
                blobs.entry(name).or_insert_with(|| Blob::adopted(path)).clone()
            });
            let (database, job_id) = (Arc::clone(&self.database), meta.job_id().to_owned());
            jobs.push(StoredJob::with_details_from(meta, archive, move || read_details(&database, &job_id)));
        }
        Ok(jobs)
    }

    /// Reads a table with as many threads as there are processors. What it gives is in no order; it fails with the key of
    /// a row that cannot be read.
    fn parse_rows<T: Send>(
        &self,
        table: TableDefinition<'_, &str, &[u8]>,
        read: impl Fn(&Row) -> Result<T, String> + Sync,
    ) -> Result<Result<Vec<T>, String>, redb::Error> {
        let (batches, waiting) = mpsc::sync_channel::<Vec<Row>>(MAX_WAITING_BATCHES);
        let waiting = Mutex::new(waiting);
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
        let read_all = || {
            let mut done = Vec::new();
            let mut failed = None;
            // To the last batch also when one of its rows cannot be read: somebody waits for the channel.
            while let Some(batch) = next() {
                for row in &batch {
                    match read(row) {
                        Ok(row) => done.push(row),
                        Err(key) => failed = Some(key),
                    }
                }
            }
            failed.map_or(Ok(done), Err)
        };
        thread::scope(|scope| {
            let threads = thread::available_parallelism().map_or(1, usize::from);
            let parts: Vec<_> = (0..threads).map(|_| scope.spawn(read_all)).collect();
            let mut batch = Vec::with_capacity(BATCH);
            let walked = self.each_row(table, |row| {
                batch.push(row);
                if batch.len() == BATCH {
                    // The threads end when the channel does.
                    let _ = batches.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)));
                }
            });
            let _ = batches.send(batch);
            drop(batches);
            let parts = parts.into_iter().map(|part| part.join().expect("what cannot be read is no panic"));
            let parts: Result<Vec<Vec<T>>, String> = parts.collect();
            walked.map(|()| parts.map(|parts| parts.into_iter().flatten().collect()))
        })
    }

    fn each_row(&self, table: TableDefinition<'_, &str, &[u8]>, mut take: impl FnMut(Row)) -> Result<(), redb::Error> {
        let table = match self.database.begin_read()?.open_table(table) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
            table => table?,
        };
        for row in table.iter()? {
            let (key, value) = row?;
            take((key.value().to_owned(), value.value().to_owned()));
        }
        Ok(())
    }

    fn damaged(&self, kind: &str, key: &str) -> StateError {
        StateError::Damaged { directory: self.directory.clone(), what: format!("{kind} {key}") }
    }
}

/// The details of a job. Whoever asks for them cannot be told that the disk has failed: there is nothing of the job then.
fn read_details(database: &Database, job_id: &str) -> JobDetails {
    let row = || -> Result<Option<JobDetails>, redb::Error> {
        let table = database.begin_read()?.open_table(DETAILS)?;
        Ok(table.get(job_id)?.and_then(|row| DetailsRecord::details_from_json(row.value())))
    };
    let found = row().unwrap_or_else(|error| {
        tracing::error!(%error, job_id, "the state directory cannot be read");
        None
    });
    found.unwrap_or_else(|| {
        tracing::error!(job_id, "what a job has left behind cannot be read");
        let content = Arc::new(JobContent { apps: std::collections::BTreeMap::new(), is_unsafe: false });
        JobDetails { content, workspace: None, components: std::collections::BTreeMap::new() }
    })
}
