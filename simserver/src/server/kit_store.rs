//! The startup kits of a running server.
//!
//! A server in a test is asked for one kit or two, so kits are written, and the keys and certificates in them
//! made, when they are asked for. A server with a workspace writes all of them when it starts, because other
//! programs look for them there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use flare_wire::{Moment, Randomness};
use tempfile::TempDir;

use crate::kits::{Credentials, KitError, Participant, Reservation, Workspace};
use crate::pki::{Authority, Identity, KeyPair, Subject, Validity};
use crate::project::Project;

pub(super) struct KitStore {
    directory: PathBuf,
    _place: Place,
    /// From when on its certificates are valid, whenever they are issued: the server's clock may stand still.
    started: Moment,
    state: Mutex<State>,
}

/// What goes with the store.
enum Place {
    /// The directory itself, when it is the server's own.
    Temporary(#[expect(dead_code, reason = "only its end matters")] TempDir),
    /// The right to a directory of somebody else's.
    Workspace(#[expect(dead_code, reason = "only its end matters")] Reservation),
}

struct State {
    credentials: Credentials,
    random: Randomness,
    written: BTreeSet<String>,
}

impl KitStore {
    /// Kits in a temporary directory, none of them written yet.
    pub(super) fn temporary(credentials: Credentials, started: Moment, random: Randomness) -> Result<Self, KitError> {
        let own = tempfile::Builder::new().prefix("flare-simserver-").tempdir().map_err(|source| KitError::Io {
            doing: "create a directory in",
            path: std::env::temp_dir(),
            source,
        })?;
        let directory = own.path().to_owned();
        let state = Mutex::new(State { credentials, random, written: BTreeSet::new() });
        Ok(Self { directory, _place: Place::Temporary(own), started, state })
    }

    /// Kits in a workspace, all of them written.
    pub(super) fn in_workspace(
        workspace: &Workspace,
        reservation: Reservation,
        project: &Project,
        mut credentials: Credentials,
        started: Moment,
        mut random: Randomness,
    ) -> Result<Self, KitError> {
        let directory = workspace.refresh(project, &mut credentials, started, &mut random)?;
        let written = Participant::all(project).map(|participant| participant.name().to_owned()).collect();
        let state = Mutex::new(State { credentials, random, written });
        Ok(Self { directory, _place: Place::Workspace(reservation), started, state })
    }

    /// The directory that holds one kit per participant.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The kit of one participant, written now if it was not yet.
    pub(super) fn kit(&self, project: &Project, participant: Participant<'_>) -> Result<PathBuf, KitError> {
        let path = self.directory.join(participant.name());
        let mut state = self.state();
        let State { credentials, random, written } = &mut *state;
        if !written.contains(participant.name()) {
            credentials.write_kit(&path, project, participant, self.started, random)?;
            written.insert(participant.name().to_owned());
        }
        Ok(path)
    }

    /// Looks at the project's root.
    pub(super) fn with_authority<T>(&self, look: impl FnOnce(&Authority) -> T) -> T {
        look(self.state().credentials.authority())
    }

    /// A certificate of the caller's making.
    pub(super) fn issue(&self, subject: &Subject, validity: Validity) -> Result<Identity, KitError> {
        let key = KeyPair::generate()?;
        let mut state = self.state();
        let State { credentials, random, .. } = &mut *state;
        Ok(credentials.authority().issue_for(subject, key, validity, random)?)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A kit is noted as written only after it was; a panic before that leaves it to be written again.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
