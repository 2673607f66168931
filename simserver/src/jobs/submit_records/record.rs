//! One record, and its JSON form.

use flare_wire::hci::JsonObject;
use serde_json::{Value, json};

use super::{Scope, SubmitToken, TokenClaim, TokenRefusal};
use crate::jobs::submitter::Submitter;

/// The only version of the form there is.
const SCHEMA_VERSION: u64 = 1;

/// How far a record's job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordState {
    /// About to be written.
    Creating,
    /// Written.
    Created,
    /// Deleted: the token is used up for ever.
    JobDeleted,
}

impl RecordState {
    /// Its name in a record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::JobDeleted => "job_deleted",
        }
    }
}

/// What a token stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct SubmitRecord {
    /// Whose token, where.
    pub scope: Scope,
    /// How far the job has come.
    pub state: RecordState,
    /// The job.
    pub job_id: Option<String>,
    /// What the job is called.
    pub job_name: Value,
    /// The folder argument of the command.
    pub job_folder_name: String,
    /// Hash of the content.
    pub content_hash: String,
    /// When the record was written, in local time.
    pub submit_time: String,
    /// When (in UTC) and by whom the job was deleted.
    pub deletion: Option<(String, Submitter)>,
}

impl SubmitRecord {
    pub(super) fn new(claim: TokenClaim, job_id: String, submit_time: String) -> Self {
        Self {
            scope: claim.scope,
            state: RecordState::Creating,
            job_id: Some(job_id),
            job_name: claim.job_name,
            job_folder_name: claim.job_folder_name,
            content_hash: claim.content_hash,
            submit_time,
            deletion: None,
        }
    }

    pub(super) fn deleted(&self) -> TokenRefusal {
        let deleted_time = self.deletion.as_ref().map(|(time, _)| time.clone());
        TokenRefusal::JobDeleted { job_id: self.job_id.clone(), deleted_time }
    }

    /// The record as the real server writes it.
    #[must_use]
    pub fn to_json(&self) -> JsonObject {
        let Scope { study, submitter, token } = &self.scope;
        let mut fields = JsonObject::new();
        let mut set = |key: &str, value: Value| fields.insert(key.to_owned(), value);
        set("schema_version", json!(SCHEMA_VERSION));
        set("state", json!(self.state.as_str()));
        set("submit_token", json!(token.as_str()));
        set("job_id", json!(self.job_id));
        set("study", json!(study));
        set("submitter_name", json!(submitter.name));
        set("submitter_org", json!(submitter.org));
        set("submitter_role", json!(submitter.role));
        set("job_name", self.job_name.clone());
        set("job_folder_name", json!(self.job_folder_name));
        set("job_content_hash", json!(self.content_hash));
        set("submit_time", json!(self.submit_time));
        if let Some((time, by)) = &self.deletion {
            set("deleted_time", json!(time));
            set("deleted_by", by.to_json());
        }
        fields
    }

    /// Reads what [`to_json`](Self::to_json) wrote; `None` for anything else.
    #[must_use]
    pub fn from_json(fields: &JsonObject) -> Option<Self> {
        let text = |key: &str| fields.get(key).and_then(Value::as_str);
        let states = [RecordState::Creating, RecordState::Created, RecordState::JobDeleted];
        let deletion = text("deleted_time").map(|time| {
            let by = fields.get("deleted_by").and_then(Value::as_object);
            (time.to_owned(), by.map(|by| Submitter::from_fields(by, "")).unwrap_or_default())
        });
        Some(Self {
            scope: Scope {
                study: text("study")?.to_owned(),
                submitter: Submitter::from_fields(fields, "submitter_"),
                token: SubmitToken::new(text("submit_token")?).ok()?,
            },
            state: states.into_iter().find(|state| Some(state.as_str()) == text("state"))?,
            job_id: text("job_id").map(str::to_owned),
            job_name: fields.get("job_name").cloned().unwrap_or_default(),
            job_folder_name: text("job_folder_name").unwrap_or_default().to_owned(),
            content_hash: text("job_content_hash")?.to_owned(),
            submit_time: text("submit_time").unwrap_or_default().to_owned(),
            deletion,
        })
    }
}
