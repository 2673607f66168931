//! Studies, as the server shows them to the caller.

use flare_wire::hci::JsonObject;

use super::fields::Fields;

/// The studies that the caller may see.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StudyListing {
    /// Who is asking, in the server's eyes.
    pub identity: Identity,
    /// The names.
    pub studies: Vec<String>,
    /// What the caller may do in each.
    pub details: Vec<StudyDetail>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl StudyListing {
    pub(crate) fn read(object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self {
            identity: fields.object("identity").map(Identity::read).unwrap_or_default(),
            studies: fields.texts("studies").unwrap_or_default(),
            details: fields.objects("study_details", StudyDetail::read).unwrap_or_default(),
            extra: fields.extra(),
        }
    }
}

/// A user as the server knows it from the certificate.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Identity {
    /// The user's name.
    pub name: Option<String>,
    /// The user's organisation.
    pub org: Option<String>,
    /// The user's role.
    pub role: Option<String>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl Identity {
    fn read(object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self { name: fields.text("name"), org: fields.text("org"), role: fields.text("role"), extra: fields.extra() }
    }
}

/// What the caller may do in a study.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StudyDetail {
    /// The name.
    pub name: String,
    /// The caller's role in it.
    pub role: Option<String>,
    /// Whether the caller may submit jobs to it.
    pub can_submit_job: Option<bool>,
    /// Why not.
    pub reason: Option<String>,
    /// All capabilities, by name.
    pub capabilities: Option<JsonObject>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl StudyDetail {
    fn read(object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self {
            name: fields.text("name").unwrap_or_default(),
            role: fields.text("role"),
            can_submit_job: fields.flag("can_submit_job"),
            reason: fields.text("reason"),
            capabilities: fields.object("capabilities"),
            extra: fields.extra(),
        }
    }
}
