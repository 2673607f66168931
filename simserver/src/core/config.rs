//! What a simulated server is made of.

use std::sync::Arc;
use std::time::Duration;

use flare_wire::certificate::Certificate;
use flare_wire::hci::JsonObject;
use flare_wire::{Moment, PrivateKey};
use serde_json::{Map, Value, json};

use crate::jobs::behaviour::Rule;
use crate::jobs::lifecycle::JobSettings;
use crate::mutants::Mutants;
use crate::release::Release;
use crate::script::Script;

use super::{LocalTime, Policy, StudyRegistry, VirtualFiles, Workspace};

/// Everything that a [`Sim`](super::Sim) is made of.
///
/// The fields are plain data, so that a test can change any of them between [`SimConfig::new`] and
/// [`Sim::new`](super::Sim::new).
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Name of the project; clients have to name the same.
    pub project: String,
    /// The server.
    pub server: ServerConfig,
    /// The sites, in the order in which they registered.
    pub sites: Vec<SiteConfig>,
    /// Names that may not register; a site among them is not there.
    pub disabled_clients: Vec<String>,
    /// The studies; `None` for a server without a registry file, which refuses study sessions in other words.
    pub studies: Option<StudyRegistry>,
    /// The meta of every stored job, as the real server keeps it; they have no archive.
    pub jobs: Vec<JsonObject>,
    /// How jobs are scheduled, and how long things take.
    pub job_settings: JobSettings,
    /// What the runs of certain jobs do; where several fit a job, later ones win.
    pub rules: Vec<Rule>,
    /// The server's local time, which many texts show.
    pub local_time: LocalTime,
    /// The release to behave like.
    pub release: Release,
    /// Rules that are broken; none.
    pub mutants: Mutants,
    /// Gives answers in place of the simulation.
    pub script: Option<Script>,
}

impl SimConfig {
    /// A server without sites, studies and jobs, in UTC.
    #[must_use]
    pub fn new(project: &str, server: ServerConfig) -> Self {
        Self {
            project: project.to_owned(),
            server,
            sites: Vec::new(),
            disabled_clients: Vec::new(),
            studies: None,
            jobs: Vec::new(),
            job_settings: JobSettings::default(),
            rules: Vec::new(),
            local_time: LocalTime::UTC,
            release: Release::default(),
            mutants: Mutants::NONE,
            script: None,
        }
    }
}

/// The server itself.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Its organisation, which its policy calls the site's.
    pub org: String,
    /// The key that signs challenges and tokens.
    pub key: PrivateKey,
    /// Its certificate and what leads to the root, PEM, leaf first; its common name is the server's identity.
    pub chain: Vec<u8>,
    /// The certificates that clients have to chain to.
    pub roots: Vec<Certificate>,
    /// Who may do what on the server.
    pub policy: Arc<Policy>,
    /// True when it takes no unsigned jobs.
    pub requires_signed_jobs: bool,
    /// The files of its workspace.
    pub files: VirtualFiles,
    /// The machine it runs on.
    pub host: HostMemory,
}

impl ServerConfig {
    /// A server with the default policy and an empty workspace.
    #[must_use]
    pub fn new(org: &str, key: PrivateKey, chain: Vec<u8>, roots: Vec<Certificate>) -> Self {
        Self {
            org: org.to_owned(),
            key,
            chain,
            roots,
            policy: Arc::default(),
            requires_signed_jobs: true,
            files: VirtualFiles::new("/workspace/server", Moment::default()),
            host: HostMemory::default(),
        }
    }
}

/// A simulated site: registered from the start, and answering for itself.
#[derive(Debug, Clone)]
pub struct SiteConfig {
    /// Its name.
    pub name: String,
    /// Its organisation.
    pub org: String,
    /// How it treats admin requests.
    pub behaviour: SiteBehaviour,
    /// Who may do what on it; shared by sites that have the same.
    pub policy: Arc<Policy>,
    /// Its workspace, whose path `report_env` shows.
    pub workspace: Workspace,
    /// True when it takes no unsigned jobs.
    pub requires_signed_jobs: bool,
    /// GPUs that it gives to jobs.
    pub gpus: u64,
    /// What `report_resources` shows.
    pub resources: Value,
    /// What `report_env` shows as the address of its parent.
    pub root_url: String,
    /// Its nvflare version; `None` for the server's.
    pub version: Option<String>,
    /// The machine it runs on.
    pub host: Arc<HostMemory>,
    /// What `show_scopes` shows.
    pub scopes: Scopes,
}

impl SiteConfig {
    /// A site that answers, with the default policy, no resources and an empty workspace.
    #[must_use]
    pub fn new(name: &str, org: &str) -> Self {
        Self {
            name: name.to_owned(),
            org: org.to_owned(),
            behaviour: SiteBehaviour::default(),
            policy: Arc::default(),
            workspace: VirtualFiles::new(&format!("/workspace/{name}"), Moment::default()).into(),
            requires_signed_jobs: true,
            gpus: 0,
            resources: json!({"resources": [], "reserved_resources": {}}),
            root_url: "http://localhost:8002".to_owned(),
            version: None,
            host: Arc::default(),
            scopes: Scopes::default(),
        }
    }
}

/// How a site treats admin requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SiteBehaviour {
    /// It answers at once.
    #[default]
    Answers,
    /// It answers after this time.
    Slow(Duration),
    /// It refuses whatever an admin asks of it, as a site does whose policy does not know his role. Jobs it takes.
    Refuses,
    /// It never answers, but still says that it is there.
    Silent,
    /// Its process is gone: it is known at once that it does not answer, and after a while the server forgets it.
    Gone,
}

/// Privacy scopes of a site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes {
    /// Their names.
    pub names: Vec<String>,
    /// The one that jobs without a scope get.
    pub default: String,
}

/// Memory of a machine in bytes, as `sys_info` shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the rows, which psutil documents")]
pub struct HostMemory {
    pub total: u64,
    pub available: u64,
    pub percent: f64,
    pub used: u64,
    pub free: u64,
    pub active: u64,
    pub inactive: u64,
    pub buffers: u64,
    pub cached: u64,
    pub shared: u64,
    pub slab: u64,
}

impl Default for HostMemory {
    /// A machine with 24 GiB, most of it free.
    fn default() -> Self {
        Self {
            total: 25_276_510_208,
            available: 23_391_178_752,
            percent: 7.5,
            used: 1_885_331_456,
            free: 22_575_067_136,
            active: 158_588_928,
            inactive: 2_213_412_864,
            buffers: 26_365_952,
            cached: 1_104_990_208,
            shared: 9_068_544,
            slab: 214_167_552,
        }
    }
}

impl HostMemory {
    /// The figures by name, in the order of the rows.
    #[must_use]
    pub fn to_json(&self) -> JsonObject {
        let rows: [(&str, Value); 11] = [
            ("total", self.total.into()),
            ("available", self.available.into()),
            ("percent", self.percent.into()),
            ("used", self.used.into()),
            ("free", self.free.into()),
            ("active", self.active.into()),
            ("inactive", self.inactive.into()),
            ("buffers", self.buffers.into()),
            ("cached", self.cached.into()),
            ("shared", self.shared.into()),
            ("slab", self.slab.into()),
        ];
        rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>()
    }

    /// The last row: what part of the memory is available, in percent.
    #[must_use]
    pub fn available_percent(&self) -> String {
        #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
        let percent = self.available as f64 * 100.0 / self.total.max(1) as f64;
        format!("{percent:.1}")
    }
}
