//! Managing sites: what the server and the sites say to it.

use std::collections::BTreeMap;

use flare_wire::hci::JsonObject;
use serde_json::Value;

use super::fields::Fields;

/// What became of a site that was disabled or enabled. Fields that the other command tells are `None`.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SiteAdmission {
    /// The site's name; servers take names that no site has.
    pub site: String,
    /// `disabled` or `enabled`.
    pub state: String,
    /// It was disabled before.
    pub already_disabled: Option<bool>,
    /// It was registered, and is no longer.
    pub active_session_removed: Option<bool>,
    /// It was disabled, and is no longer.
    pub was_disabled: Option<bool>,
    /// Its certificate was revoked as well, which servers up to 2.9 do not do.
    pub credential_revoked: Option<bool>,
    /// It may come back by itself.
    pub rejoin_allowed: Option<bool>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl SiteAdmission {
    pub(crate) fn read(object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self {
            site: fields.text("client_name").unwrap_or_default(),
            state: fields.text("state").unwrap_or_default(),
            already_disabled: fields.flag("already_disabled"),
            active_session_removed: fields.flag("active_session_removed"),
            was_disabled: fields.flag("was_disabled"),
            credential_revoked: fields.flag("credential_revoked"),
            rejoin_allowed: fields.flag("rejoin_allowed"),
            extra: fields.extra(),
        }
    }
}

/// What was said to a restart or a shutdown.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SystemChange {
    /// What each site said, a refusal included; `no_reply` for one that said nothing (restart only).
    pub site_answers: BTreeMap<String, String>,
    /// `ok` when the server itself restarts.
    pub server_status: Option<String>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl SystemChange {
    pub(crate) fn read(meta: JsonObject) -> Self {
        let mut fields = Fields::of(meta);
        let answers = fields.object("client_status").unwrap_or_default();
        let text = |answer: Value| match answer {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let site_answers = answers.into_iter().map(|(site, answer)| (site, text(answer))).collect();
        let server_status = fields.text("server_status");
        let _ = (fields.text("status"), fields.text("info"));
        Self { site_answers, server_status, extra: fields.extra() }
    }
}

/// What a site said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SiteResponse {
    /// The site's name.
    pub site: String,
    /// Its words, a refusal included; empty when it said nothing.
    pub response: String,
}
