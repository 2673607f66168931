//! From a project to what the [`Sim`](crate::core::Sim) is made of.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flare_wire::Moment;
use serde_json::{Map, Value, json};

use crate::core::{ServerConfig, SimConfig, SiteConfig, StudyRegistry, StudyRegistryError, VirtualFiles, Workspace};
use crate::kits::{DIRECTORIES, DIRECTORY_MODE, Participant};
use crate::pki::{Authority, Identity};
use crate::project::Project;

/// As long as the private key of a participant: its size is all that `ls` shows.
const KEY_LEN: usize = 1679;

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
) -> Result<SimConfig, StudyRegistryError> {
    let workspaces = Arc::new(Workspaces::new(project, identity, authority, directory, now));

    let server = project.server();
    let chain = identity.pem().as_bytes().to_vec();
    let roots = vec![authority.certificate().clone()];
    let mut server_config = ServerConfig::new(server.org(), identity.key().signer(), chain, roots);
    server_config.files = workspaces.of(Participant::Server(server));

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
            ..defaults.clone()
        });
    }
    config.studies = studies(project)?;
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
        for file in participant.files(&self.project, &self.certificate, &self.key, &self.root) {
            let content = contents.entry(file.content).or_insert_with_key(|content| Arc::new(content.clone()));
            files.insert(&file.path, Arc::clone(content), file.mode, written);
            written = written + BETWEEN_FILES;
        }
        let participants = 1 + self.project.sites().len() + self.project.admins().len();
        files.set_parent(2 + participants as u64, self.now, self.now);
        files
    }
}
