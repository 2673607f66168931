//! Submit tokens: which submission a token stands for.
//!
//! A record is written before its job (`creating`), confirmed after it (`created`), and outlives it as a tombstone
//! (`job_deleted`). A record whose job was never written, because the server died in between, is repaired by the next
//! submission of the same content, under the same job id.
//! Source: `reference/server-behaviour.md` section 11.

mod record;
mod token;

use std::collections::{BTreeMap, BTreeSet};

use flare_wire::hci::{MetaStatus, Reply};
use flare_wire::{Moment, Randomness};
use jiff::tz::Offset;
use serde_json::Value;

use super::python::{iso_local, iso_utc};
use super::submitter::Submitter;

pub use record::{RecordState, SubmitRecord};
pub use token::{BadToken, Scope, SubmitToken};

/// What a submission with a token is about.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenClaim {
    /// Whose token, where.
    pub scope: Scope,
    /// Hash of the content.
    pub content_hash: String,
    /// What the job is called; any JSON, as a user's meta may have it.
    pub job_name: Value,
    /// The folder argument of the command.
    pub job_folder_name: String,
}

/// What a token leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The token stands for this job, which exists.
    Existing(String),
    /// The job is to be created with this id; then the claim is to be [confirmed](SubmitRecords::confirm).
    Create(String),
}

/// Why a token does not lead to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenRefusal {
    /// It stands for other content.
    Conflict {
        /// The job with the other content.
        job_id: Option<String>,
    },
    /// Its job was deleted.
    JobDeleted {
        /// The deleted job.
        job_id: Option<String>,
        /// When, in UTC.
        deleted_time: Option<String>,
    },
}

impl TokenRefusal {
    /// Adds the refusal to a reply.
    pub fn push_to(&self, reply: &mut Reply) {
        match self {
            Self::Conflict { job_id } => {
                reply.push_error_with(
                    "SUBMIT_TOKEN_CONFLICT: submit token was already used for different job content. Use a new submit \
                     token for a new job.",
                    &MetaStatus::SubmitTokenConflict,
                    "submit token was already used for different job content",
                );
                reply.set_meta("code", "SUBMIT_TOKEN_CONFLICT");
                if let Some(job_id) = job_id {
                    reply.set_meta("job_id", job_id.as_str());
                }
            }
            Self::JobDeleted { job_id, deleted_time } => {
                reply.push_error_with(
                    "SUBMIT_TOKEN_JOB_DELETED: submit token refers to a deleted job. Use a new submit token to submit \
                     again.",
                    &MetaStatus::SubmitTokenJobDeleted,
                    "submit token refers to a deleted job",
                );
                reply.set_meta("code", "SUBMIT_TOKEN_JOB_DELETED");
                reply.set_meta("submit_record_state", RecordState::JobDeleted.as_str());
                if let Some(job_id) = job_id {
                    reply.set_meta("job_id", job_id.as_str());
                }
                if let Some(deleted_time) = deleted_time {
                    reply.set_meta("deleted_time", deleted_time.as_str());
                }
            }
        }
    }
}

/// All records of a server.
#[derive(Debug, Clone, Default)]
pub struct SubmitRecords {
    records: BTreeMap<Scope, SubmitRecord>,
    by_job: BTreeMap<String, Vec<Scope>>,
    changed: BTreeSet<Scope>,
}

impl SubmitRecords {
    /// No records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts back a record that was kept somewhere.
    pub fn restore(&mut self, record: SubmitRecord) {
        let scope = record.scope.clone();
        if let Some(job_id) = &record.job_id {
            let scopes = self.by_job.entry(job_id.clone()).or_default();
            if !scopes.contains(&scope) {
                scopes.push(scope.clone());
            }
        }
        self.changed.insert(scope.clone());
        self.records.insert(scope, record);
    }

    /// Scopes of the records that were added or changed since the last call: what a state directory has to write before
    /// a reply is sent.
    pub fn take_changed(&mut self) -> Vec<Scope> {
        std::mem::take(&mut self.changed).into_iter().collect()
    }

    /// The records, in the order of their scopes.
    pub fn iter(&self) -> impl Iterator<Item = &SubmitRecord> {
        self.records.values()
    }

    /// The record of a scope.
    #[must_use]
    pub fn get(&self, scope: &Scope) -> Option<&SubmitRecord> {
        self.records.get(scope)
    }

    /// Looks a token up for a submission, and writes the record of a new one. `exists` tells whether a job does.
    ///
    /// # Errors
    /// [`TokenRefusal`].
    pub fn claim(
        &mut self,
        claim: TokenClaim,
        now: Moment,
        offset: Offset,
        random: &mut Randomness,
        exists: impl FnOnce(&str) -> bool,
    ) -> Result<Claimed, TokenRefusal> {
        let Some(record) = self.records.get_mut(&claim.scope) else {
            let job_id = random.uuid();
            self.restore(SubmitRecord::new(claim, job_id.clone(), iso_local(now, offset)));
            return Ok(Claimed::Create(job_id));
        };
        if record.state == RecordState::JobDeleted {
            return Err(record.deleted());
        }
        if record.content_hash != claim.content_hash {
            return Err(TokenRefusal::Conflict { job_id: record.job_id.clone() });
        }
        if let Some(job_id) = record.job_id.clone() {
            return Ok(if exists(&job_id) { Claimed::Existing(job_id) } else { Claimed::Create(job_id) });
        }
        // A record without an id is rewritten with a new one.
        let job_id = random.uuid();
        let repaired = SubmitRecord { job_id: Some(job_id.clone()), ..record.clone() };
        self.restore(repaired);
        Ok(Claimed::Create(job_id))
    }

    /// Notes that the job of a claim was written.
    pub fn confirm(&mut self, scope: &Scope) {
        if let Some(record) = self.records.get_mut(scope) {
            record.state = RecordState::Created;
            self.changed.insert(scope.clone());
        }
    }

    /// The job that a token stands for.
    ///
    /// # Errors
    /// [`TokenRefusal::JobDeleted`].
    pub fn job_of(&self, scope: &Scope) -> Result<Option<&str>, TokenRefusal> {
        match self.records.get(scope) {
            Some(record) if record.state == RecordState::JobDeleted => Err(record.deleted()),
            Some(record) => Ok(record.job_id.as_deref()),
            None => Ok(None),
        }
    }

    /// Forgets that there were tokens of a deleted job, as no real server does; returns how many.
    pub(crate) fn forget(&mut self, job_id: &str) -> usize {
        let scopes = self.by_job.remove(job_id).unwrap_or_default();
        scopes.iter().filter(|scope| self.records.remove(scope).is_some()).count()
    }

    /// Turns the records of a deleted job into tombstones; returns the records that changed.
    pub fn mark_deleted(&mut self, job_id: &str, by: &Submitter, now: Moment) -> Vec<&SubmitRecord> {
        let scopes = self.by_job.get(job_id).cloned().unwrap_or_default();
        let mut changed = Vec::new();
        for scope in scopes {
            if let Some(record) = self.records.get_mut(&scope)
                && record.job_id.as_deref() == Some(job_id)
                && record.state != RecordState::JobDeleted
            {
                record.state = RecordState::JobDeleted;
                record.deletion = Some((iso_utc(now), by.clone()));
                self.changed.insert(scope.clone());
                changed.push(scope);
            }
        }
        changed.iter().filter_map(|scope| self.records.get(scope)).collect()
    }
}

#[cfg(test)]
mod tests;
