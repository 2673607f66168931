//! A job as it is written.

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
use crate::jobs::meta::JobMeta;
use crate::jobs::store::StoredJob;
use crate::jobs::submit_records::Scope;

/// A job as it is written.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JobRecord {
    meta: JsonObject,
    content: JobContent,
    /// The file name of its archive.
    pub(super) archive: Option<String>,
    workspace: Option<Vec<WorkspaceEntry>>,
    /// In base64.
    components: BTreeMap<String, String>,
}

impl JobRecord {
    pub(super) fn of(job: &StoredJob<Blob>) -> Self {
        let encoded = |(name, content): (&String, &Vec<u8>)| (name.clone(), STANDARD.encode(content));
        Self {
            meta: job.meta.fields().clone(),
            content: JobContent::clone(&job.content),
            archive: job.archive.path().and_then(|path| Some(path.file_name()?.to_str()?.to_owned())),
            workspace: job.workspace.clone(),
            components: job.components.iter().map(encoded).collect(),
        }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("every key is a text")
    }

    pub(super) fn from_json(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(super) fn into_job(self, archive: Blob) -> StoredJob<Blob> {
        // What this simulator wrote can be decoded; a component that somebody else has changed is empty.
        let decoded = |(name, content): (String, String)| (name, STANDARD.decode(content).unwrap_or_default());
        StoredJob {
            workspace: self.workspace,
            components: self.components.into_iter().map(decoded).collect(),
            ..StoredJob::new(JobMeta::restored(self.meta), Arc::new(self.content), archive)
        }
    }
}

/// What a submit record is found by.
pub(super) fn scope_key(scope: &Scope) -> String {
    let Scope { study, submitter, token } = scope;
    json!([study, submitter.name, submitter.org, submitter.role, token.as_str()]).to_string()
}
