//! Who has which certificate, in memory and in `state/cert.json`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use flare_wire::hci::python_json;
use flare_wire::{Moment, Randomness};
use serde_json::{Map, Value, json};

use super::kit::write_file;
use super::{KitError, Participant};
use crate::pki::{Authority, Identity, KeyPair, KeyRequest, KeySource, Validity};
use crate::project::Project;

const ROOT_CERTIFICATE: &str = "root_cert";
const ROOT_KEY: &str = "root_pri_key";
const CERTIFICATE: &str = "cert";
const KEY: &str = "pri_key";

/// Which keys sites get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteKeys {
    /// Every site its own, as in a real federation.
    Own,
    /// All the same: enough for simulated sites, which never use theirs, and a thousand of them start at once.
    Shared,
}

/// The root of a project and the certificates it has issued.
///
/// Certificates are issued when they are asked for, because only few of them are ever used.
#[derive(Debug)]
pub struct Credentials {
    authority: Authority,
    issued: BTreeMap<String, Identity>,
    keys: KeySource,
    site_keys: SiteKeys,
}

impl Credentials {
    /// A new root, and a certificate for the server.
    ///
    /// # Errors
    /// When a key or certificate cannot be made.
    pub fn create(
        project: &Project,
        keys: KeySource,
        site_keys: SiteKeys,
        now: Moment,
        random: &mut Randomness,
    ) -> Result<Self, KitError> {
        let server = Participant::Server(project.server());
        let mut made = keys.provide(&[KeyRequest::Root, KeyRequest::Participant(server.name())])?.into_iter();
        let mut next = || made.next().expect("a key source provides a key for every request");
        let authority = Authority::create(project.name(), next(), Validity::starting(now), random)?;
        let identity = authority.issue(&server.subject(), next(), now, random)?;
        let issued = BTreeMap::from([(server.name().to_owned(), identity)]);
        Ok(Self { authority, issued, keys, site_keys })
    }

    /// Reads what an earlier run, or real provisioning, has left in `state/cert.json`; none if there is no such
    /// file.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn load(path: &Path, keys: KeySource, site_keys: SiteKeys) -> Result<Option<Self>, KitError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(KitError::io("read", path)(error)),
        };
        let damaged = |problem: String| KitError::BadState { path: path.to_owned(), problem };
        let state: Map<String, Value> = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        let field = |object: &Map<String, Value>, key: &str| {
            let text = object.get(key).and_then(Value::as_str).map(str::to_owned);
            text.ok_or_else(|| damaged(format!("`{key}` is missing")))
        };
        let unusable = |error: crate::pki::PkiError| damaged(error.to_string());

        let root_key = KeyPair::from_pem(&field(&state, ROOT_KEY)?).map_err(unusable)?;
        let authority = Authority::load(&field(&state, ROOT_CERTIFICATE)?, root_key).map_err(unusable)?;
        let mut issued = BTreeMap::new();
        for (name, entry) in &state {
            // Beside the two root entries every object is a participant; anything else is not ours to judge.
            let Some(entry) = entry.as_object() else { continue };
            let key = KeyPair::from_pem(&field(entry, KEY)?).map_err(unusable)?;
            let identity = Identity::load(&field(entry, CERTIFICATE)?, key).map_err(unusable)?;
            issued.insert(name.clone(), identity);
        }
        Ok(Some(Self { authority, issued, keys, site_keys }))
    }

    /// Writes root and issued certificates with their keys to `path`, in the form of real provisioning.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), KitError> {
        let mut state = Map::new();
        state.insert(ROOT_CERTIFICATE.to_owned(), self.authority.pem().into());
        state.insert(ROOT_KEY.to_owned(), self.authority.key().to_pem().into());
        for (name, identity) in &self.issued {
            state.insert(name.clone(), json!({CERTIFICATE: identity.pem(), KEY: identity.key().to_pem()}));
        }
        // It holds every private key of the federation; real provisioning lets everybody read it.
        write_file(path, 0o600, python_json(&Value::Object(state)).as_bytes())
    }

    /// The root.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The certificate of `participant`, issued now if it has none. As real provisioning does, one that exists
    /// is used even if it has expired.
    ///
    /// # Errors
    /// When it cannot be issued, or exists with another role.
    pub fn identity(
        &mut self,
        participant: Participant<'_>,
        now: Moment,
        random: &mut Randomness,
    ) -> Result<&Identity, KitError> {
        self.issue_missing(&[participant], now, random)?;
        Ok(&self.issued[participant.name()])
    }

    /// Issues what `participants` do not have yet; the keys for it are made on all cores.
    ///
    /// # Errors
    /// As [`Credentials::identity`].
    pub fn issue_missing(
        &mut self,
        participants: &[Participant<'_>],
        now: Moment,
        random: &mut Randomness,
    ) -> Result<(), KitError> {
        let mut missing = Vec::new();
        for participant in participants {
            match self.issued.get(participant.name()) {
                Some(identity) => require_same_role(*participant, identity)?,
                None => missing.push(*participant),
            }
        }
        let mut keys = self.keys_for(&missing)?.into_iter();
        for participant in missing {
            let key = keys.next().expect("there is a key for every participant");
            let identity = self.authority.issue(&participant.subject(), key, now, random)?;
            self.issued.insert(participant.name().to_owned(), identity);
        }
        Ok(())
    }

    /// Writes the kit of `participant` into `directory`, with a certificate that is issued now if it has none.
    /// What the directory holds already stays, but for configuration and certificates.
    ///
    /// # Errors
    /// As [`Credentials::identity`], and when a file cannot be written.
    pub fn write_kit(
        &mut self,
        directory: &Path,
        project: &Project,
        participant: Participant<'_>,
        now: Moment,
        random: &mut Randomness,
    ) -> Result<(), KitError> {
        self.issue_missing(&[participant], now, random)?;
        let identity = &self.issued[participant.name()];
        let kit = participant.kit(project, identity, self.authority.pem()).keeping(directory);
        let kit = if project.signs_kits() { kit.signed(&self.authority.key().signer(), random) } else { kit };
        kit.write(directory)
    }

    fn keys_for(&self, participants: &[Participant<'_>]) -> Result<Vec<KeyPair>, KitError> {
        let is_shared = |participant: &Participant<'_>| {
            self.site_keys == SiteKeys::Shared && matches!(participant, Participant::Site(_))
        };
        let own: Vec<_> = participants
            .iter()
            .filter(|participant| !is_shared(participant))
            .map(|participant| KeyRequest::Participant(participant.name()))
            .collect();
        let mut requests = own;
        let any_shared = participants.iter().any(is_shared);
        if any_shared {
            requests.push(KeyRequest::Sites);
        }
        let mut keys = self.keys.provide(&requests)?;
        let shared = if any_shared { keys.pop() } else { None };
        let mut own = keys.into_iter();
        let pick = |participant| if is_shared(participant) { shared.clone() } else { own.next() };
        Ok(participants.iter().filter_map(pick).collect())
    }
}

fn require_same_role(participant: Participant<'_>, identity: &Identity) -> Result<(), KitError> {
    let Participant::Admin(admin) = participant else { return Ok(()) };
    let before = identity.certificate().role();
    if before == admin.role().as_str() {
        return Ok(());
    }
    Err(KitError::RoleChanged {
        name: admin.name().to_owned(),
        before: before.to_owned(),
        now: admin.role().to_string(),
    })
}
