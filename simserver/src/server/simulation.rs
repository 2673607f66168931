//! From a project to what the [`Sim`](crate::core::Sim) is made of.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flare_wire::Moment;
use flare_wire::hci::python_json;
use serde_json::{Map, Value, json};

use super::StartError;
use crate::core::{
    DISABLED_CLIENTS, Policy, STUDY_REGISTRY, ServerConfig, SimConfig, SiteConfig, StudyRegistry, StudyRegistryError,
    VirtualFiles, Workspace,
};
use crate::kits::{DEFAULT_AUTHORIZATION, DIRECTORIES, DIRECTORY_MODE, Participant, SIGNATURES, SIGNED};
use crate::pki::{Authority, Identity};
use crate::project::Project;
use crate::state;

/// Where a kit may have its policy, in the order in which a participant looks for it.
const AUTHORIZATION_FILES: [&str; 2] = ["authorization.json", "authorization.json.default"];

/// The first of them, in a kit.
const EDITED_AUTHORIZATION: &str = "local/authorization.json";

/// As long as the private key of a participant: its size is all that `ls` shows.
const KEY_LEN: usize = 1679;

/// Length of a signature in the file of signatures, in base64.
const SIGNATURE_LEN: usize = 344;

/// Time between two files of a kit: they were written one after the other, which `ls -t` shows.
const BETWEEN_FILES: Duration = Duration::from_micros(100);

/// The simulation of `project`: server and sites with the workspaces that their kits, unpacked in `directory`,
/// give them, and the studies that the project declares.
pub(super) fn configure(
    project: &Project,
    identity: &Identity,
    authority: &Authority,
    directory: &Path,
    now: Moment,
) -> Result<SimConfig, StartError> {
    let mut policies = Policies::new();
    let workspaces = Arc::new(Workspaces::new(project, identity, authority, directory, now));

    let server = project.server();
    let chain = identity.pem().as_bytes().to_vec();
    let roots = vec![authority.certificate().clone()];
    let mut server_config = ServerConfig::new(server.org(), identity.key().signer(), chain, roots);
    server_config.files = workspaces.of(Participant::Server(server));
    let server_kit = directory.join(server.name());
    server_config.policy = policies.of(&server_kit)?;

    let mut config = SimConfig::new(project.name(), server_config);
    let defaults = SiteConfig::new("", "");
    for site in project.sites() {
        let (workspaces, of_site) = (Arc::clone(&workspaces), site.clone());
        let path = workspaces.path(site.name());
        let (host, port) = site.target(server);
        config.sites.push(SiteConfig {
            name: site.name().to_owned(),
            org: site.org().to_owned(),
            workspace: Workspace::lazy(&path, move || workspaces.of(Participant::Site(&of_site))),
            root_url: format!("{}://{host}:{port}", project.scheme()),
            policy: policies.of(&directory.join(site.name()))?,
            ..defaults.clone()
        });
    }
    config.studies = match study_registry(&server_kit)? {
        Some(registry) => Some(registry),
        None => studies(project)?,
    };
    config.disabled_clients = disabled_clients(&server_kit)?.unwrap_or_default();
    Ok(config)
}

fn studies(project: &Project) -> Result<Option<StudyRegistry>, StudyRegistryError> {
    if project.studies().is_empty() {
        return Ok(None);
    }
    let studies: Map<String, Value> =
        project.studies().iter().map(|study| (study.name().to_owned(), study.to_json())).collect();
    let registry = json!({"format_version": "1.0", "studies": studies});
    StudyRegistry::from_json(&registry.to_string()).map(Some)
}

/// The authorization policies of server and sites, as their kits have them: whoever runs a site may have edited its file
/// since provisioning. Sites have theirs in common unless somebody did.
struct Policies(HashMap<Vec<u8>, Arc<Policy>>);

impl Policies {
    fn new() -> Self {
        Self(HashMap::from([(DEFAULT_AUTHORIZATION.as_bytes().to_vec(), Arc::default())]))
    }

    /// The policy in the kit at `kit`: that of the user goes before that of provisioning, which a kit that was not
    /// written yet has.
    fn of(&mut self, kit: &Path) -> Result<Arc<Policy>, StartError> {
        let local = kit.join("local");
        // Of the many that were not written yet, that is asked once and not for every file.
        let is_there = local.try_exists().map_err(|error| StartError::file(&local, error))?;
        let files = if is_there { AUTHORIZATION_FILES.as_slice() } else { &[] };
        for name in files {
            let path = local.join(name);
            let Some(text) = read_if_there(&path)? else { continue };
            if let Some(policy) = self.0.get(&text) {
                return Ok(Arc::clone(policy));
            }
            let policy = Policy::from_json(&String::from_utf8_lossy(&text));
            let policy = Arc::new(policy.map_err(|error| StartError::file(&path, error))?);
            self.0.insert(text, Arc::clone(&policy));
            return Ok(policy);
        }
        // The one that every kit has which nobody changed: a thousand of them need it once.
        Ok(Arc::clone(&self.0[DEFAULT_AUTHORIZATION.as_bytes()]))
    }
}

/// The study registry that a server finds when it starts: the one that commands have changed, or else that of
/// provisioning.
fn study_registry(kit: &Path) -> Result<Option<StudyRegistry>, StartError> {
    for place in [STUDY_REGISTRY.to_owned(), format!("local/{STUDY_REGISTRY}")] {
        let path = kit.join(place);
        if path.exists() {
            return read_study_registry(&path).map(Some);
        }
    }
    Ok(None)
}

/// Reads a study registry that has to be there.
pub(super) fn read_study_registry(path: &Path) -> Result<StudyRegistry, StartError> {
    let text = fs::read_to_string(path).map_err(|error| StartError::file(path, error))?;
    StudyRegistry::from_json(&text).map_err(|error| StartError::file(path, error))
}

/// The clients that are not let in, when a server has ever kept one out.
fn disabled_clients(kit: &Path) -> Result<Option<Vec<String>>, StartError> {
    let path = kit.join(DISABLED_CLIENTS);
    let Some(text) = read_if_there(&path)? else { return Ok(None) };
    let names = state::disabled_clients(&String::from_utf8_lossy(&text));
    names.map(Some).ok_or_else(|| StartError::file(&path, "this is no list of disabled clients"))
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StartError> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StartError::file(path, error)),
    }
}

/// Stands for the signatures of a directory, as the certificate does for those of all participants: nobody asks.
fn stand_ins(files: &[String], directory: &str) -> String {
    let names = files.iter().filter_map(|path| path.strip_prefix(directory)?.strip_prefix('/'));
    python_json(&names.map(|name| (name.to_owned(), json!("A".repeat(SIGNATURE_LEN)))).collect())
}

/// The workspaces of server and sites, as they are after unpacking the kits.
struct Workspaces {
    project: Project,
    /// Stands for the certificate of every participant: those of sites are not made unless somebody asks for
    /// their kit, and commands show of them only that they are there.
    certificate: String,
    key: String,
    root: String,
    directory: PathBuf,
    now: Moment,
    /// The files that there are already: sites have most of theirs in common.
    contents: Mutex<HashMap<Vec<u8>, Arc<Vec<u8>>>>,
}

impl Workspaces {
    fn new(project: &Project, identity: &Identity, authority: &Authority, directory: &Path, now: Moment) -> Self {
        Self {
            project: project.clone(),
            certificate: identity.pem().to_owned(),
            key: "\n".repeat(KEY_LEN),
            root: authority.pem().to_owned(),
            directory: directory.to_owned(),
            now,
            contents: Mutex::default(),
        }
    }

    fn path(&self, participant: &str) -> String {
        self.directory.join(participant).to_string_lossy().into_owned()
    }

    fn of(&self, participant: Participant<'_>) -> VirtualFiles {
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files = VirtualFiles::new(&self.path(participant.name()), self.now);
        for part in DIRECTORIES {
            files.insert_directory(part, DIRECTORY_MODE, self.now);
        }
        let mut written = self.now;
        let mut in_kit = Vec::new();
        for file in participant.files(&self.project, &self.certificate, &self.key, &self.root) {
            in_kit.push(file.path.clone());
            let content = contents.entry(file.content).or_insert_with_key(|content| Arc::new(content.clone()));
            files.insert(&file.path, Arc::clone(content), file.mode, written);
            written = written + BETWEEN_FILES;
        }
        if self.project.signs_kits() {
            for part in SIGNED {
                let signatures = stand_ins(&in_kit, part).into_bytes();
                files.insert(&format!("{part}/{SIGNATURES}"), signatures, 0o644, written);
            }
        }
        // Commands show what the user has put there.
        if let Ok(edited) = fs::read(self.directory.join(participant.name()).join(EDITED_AUTHORIZATION)) {
            files.insert(EDITED_AUTHORIZATION, edited, 0o644, written);
        }
        let participants = 1 + self.project.sites().len() + self.project.admins().len();
        files.set_parent(2 + participants as u64, self.now, self.now);
        files
    }
}
