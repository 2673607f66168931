//! Why a study command failed, which is told in a reply whose status is `ok`.

use serde_json::{Value, json};

/// An error of a study command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    code: &'static str,
    message: String,
    hint: &'static str,
    exit_code: u8,
}

impl Failure {
    const fn new(code: &'static str, message: String, hint: &'static str, exit_code: u8) -> Self {
        Self { code, message, hint, exit_code }
    }

    pub(super) fn invalid_args(message: impl Into<String>) -> Self {
        Self::new("INVALID_ARGS", message.into(), "", 4)
    }

    pub(super) fn invalid_site(message: impl Into<String>) -> Self {
        Self::new("INVALID_SITE", message.into(), "", 4)
    }

    pub(super) fn invalid_study_name(message: impl Into<String>) -> Self {
        Self::new("INVALID_STUDY_NAME", message.into(), "", 4)
    }

    pub(super) fn foreign_sites(sites: &[&str], org: &str) -> Self {
        let sites = flare_wire::hci::python_repr(&json!(sites));
        let message = format!("Sites {sites} are unknown or do not belong to org '{org}'.");
        let hint = "Each site must be currently connected to the server and provisioned under the specified org.";
        Self::new("INVALID_SITE", message, hint, 4)
    }

    pub(super) fn exists(study: &str) -> Self {
        let hint = "The study name is already taken. Contact a project_admin to grant access.";
        Self::new("STUDY_ALREADY_EXISTS", format!("Study '{study}' already exists."), hint, 1)
    }

    /// Each command has its own hint.
    pub(super) fn not_found(study: &str, hint: &'static str) -> Self {
        Self::new("STUDY_NOT_FOUND", format!("Study '{study}' not found."), hint, 1)
    }

    pub(super) fn has_jobs(study: &str, jobs: usize) -> Self {
        let message = format!("Study '{study}' has {jobs} associated job(s) and cannot be removed.");
        Self::new("STUDY_HAS_JOBS", message, "Archive or delete the associated jobs before retrying.", 1)
    }

    pub(super) fn has_user(study: &str, user: &str) -> Self {
        let message = format!("User '{user}' is already in study '{study}'.");
        Self::new("USER_ALREADY_IN_STUDY", message, "Use a different user or remove the existing entry first.", 1)
    }

    pub(super) fn lacks_user(study: &str, user: &str) -> Self {
        let message = format!("User '{user}' is not in study '{study}'.");
        Self::new("USER_NOT_IN_STUDY", message, "Use add-user to add the user first.", 1)
    }

    pub(super) fn internal(what: &str) -> Self {
        Self::new("INTERNAL_ERROR", format!("study command failed: {what}"), "", 5)
    }

    pub(super) fn payload(&self) -> Value {
        json!({"error_code": self.code, "message": self.message, "hint": self.hint, "exit_code": self.exit_code})
    }
}
