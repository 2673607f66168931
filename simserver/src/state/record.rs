//! A job as it is written: its meta in one row, which is read when a server starts, and the rest in another, which is
//! read when somebody asks for it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flare_wire::hci::JsonObject;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::blob::Blob;
use crate::jobs::behaviour::WorkspaceEntry;
use crate::jobs::content::JobContent;
use crate::jobs::store::{JobDetails, StoredJob};
use crate::jobs::submit_records::Scope;

/// What is read of a job when a server starts.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JobRecord<'a> {
    pub(super) meta: Cow<'a, JsonObject>,
    /// The file name of its archive.
    pub(super) archive: Option<String>,
}

impl<'a> JobRecord<'a> {
    pub(super) fn of(job: &'a StoredJob<Blob>) -> Self {
        Self {
            meta: Cow::Borrowed(job.meta.fields()),
            archive: job.archive.path().and_then(|path| Some(path.file_name()?.to_str()?.to_owned())),
        }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("every key is a text")
    }

    pub(super) fn from_json(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// The rest.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DetailsRecord<'a> {
    content: Cow<'a, JobContent>,
    workspace: Option<Cow<'a, [WorkspaceEntry]>>,
    /// In base64.
    components: BTreeMap<String, String>,
}

impl<'a> DetailsRecord<'a> {
    pub(super) fn of(details: &'a JobDetails) -> Self {
        let encoded = |(name, content): (&String, &Vec<u8>)| (name.clone(), STANDARD.encode(content));
        Self {
            content: Cow::Borrowed(&details.content),
            workspace: details.workspace.as_deref().map(Cow::Borrowed),
            components: details.components.iter().map(encoded).collect(),
        }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("every key is a text")
    }

    pub(super) fn details_from_json(bytes: &[u8]) -> Option<JobDetails> {
        let record: Self = serde_json::from_slice(bytes).ok()?;
        // What this simulator wrote can be decoded; a component that somebody else has changed is empty.
        let decoded = |(name, content): (String, String)| (name, STANDARD.decode(content).unwrap_or_default());
        Some(JobDetails {
            content: Arc::new(record.content.into_owned()),
            workspace: record.workspace.map(Cow::into_owned),
            components: record.components.into_iter().map(decoded).collect(),
        })
    }
}

/// What a submit record is found by.
pub(super) fn scope_key(scope: &Scope) -> String {
    let Scope { study, submitter, token } = scope;
    json!([study, submitter.name, submitter.org, submitter.role, token.as_str()]).to_string()
}
