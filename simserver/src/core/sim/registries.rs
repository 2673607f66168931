//! What a real server keeps in files of its own: the study registry and the clients that are not let in.

use std::ops::BitOrAssign;

use flare_wire::Moment;
use serde_json::json;

use super::Sim;
use crate::core::{Release, StudyRegistry};

/// The file of the study registry, in the server's workspace.
pub(crate) const STUDY_REGISTRY: &str = "study_registry.json";

/// The file of the clients that are not let in, in the server's workspace.
pub(crate) const DISABLED_CLIENTS: &str = "disabled_clients.json";

/// Which of the registries were changed by commands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ChangedRegistries {
    pub(crate) studies: bool,
    pub(crate) disabled: bool,
}

impl BitOrAssign for ChangedRegistries {
    fn bitor_assign(&mut self, other: Self) {
        self.studies |= other.studies;
        self.disabled |= other.disabled;
    }
}

impl Sim {
    /// The study registry, when the server has one.
    #[must_use]
    pub const fn studies(&self) -> Option<&StudyRegistry> {
        self.studies.as_ref()
    }

    /// Replaces the study registry, as editing the file of a real server and restarting it does.
    pub fn set_studies(&mut self, studies: Option<StudyRegistry>) {
        self.studies = studies;
        self.changed.studies = true;
    }

    /// Reads the study registry as a new process does: from its file, which is sorted.
    pub(super) fn reread_studies(&mut self) {
        if let Some(Ok(studies)) = self.studies.as_ref().map(|studies| StudyRegistry::from_json(&studies.to_json())) {
            self.studies = Some(studies);
        }
    }

    /// Replaces the study registry after a command changed it, which writes its file.
    pub(crate) fn change_studies(&mut self, now: Moment, studies: StudyRegistry) {
        // Before 2.9 the registry is among the files of the site's configuration.
        let directory = if self.release < Release::V2_9 { "local/" } else { "" };
        self.files.insert(&format!("{directory}{STUDY_REGISTRY}"), studies.to_json().into_bytes(), 0o600, now);
        self.studies = Some(studies);
        self.changed.studies = true;
    }

    /// The clients that are not let in, as the server keeps them.
    #[must_use]
    pub fn disabled_clients(&self) -> &[String] {
        &self.disabled
    }

    /// The file of the clients that are not let in.
    pub(crate) fn disabled_clients_json(&self) -> String {
        let mut names: Vec<&str> = self.disabled.iter().map(String::as_str).collect();
        names.sort_unstable();
        format!("{:#}", json!({"disabled_clients": names}))
    }

    pub(super) fn write_disabled(&mut self, now: Moment) {
        let text = self.disabled_clients_json();
        self.files.insert(DISABLED_CLIENTS, text.into_bytes(), 0o600, now);
        self.changed.disabled = true;
    }

    /// Which registries commands have changed since the last call.
    pub(crate) fn take_changed_registries(&mut self) -> ChangedRegistries {
        std::mem::take(&mut self.changed)
    }

    /// Writes the files of registries that an earlier process has changed.
    pub(crate) fn rewrite_registries(&mut self, now: Moment, studies: bool, disabled: bool) {
        if let Some(registry) = self.studies.clone().filter(|_| studies) {
            self.change_studies(now, registry);
        }
        if disabled {
            self.write_disabled(now);
        }
        self.changed = ChangedRegistries::default();
    }
}
