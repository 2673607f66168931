//! Setting up a server.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flare_wire::Randomness;
use flare_wire::hci::Reply;

use super::kit_store::KitStore;
use super::{SimServer, StartError, simulation};
use crate::ambient::{self, Clock};
use crate::clock::ClockMode;
use crate::core::{Release, Sim, SimConfig, SiteBehaviour};
use crate::driver::Driver;
use crate::faults::Fault;
use crate::jobs::behaviour::Rule;
use crate::jobs::lifecycle::Quirks;
use crate::kits::{Credentials, Participant, SiteKeys, Workspace};
use crate::listen::{Addresses, Door, HANDSHAKE_TIMEOUT, Ports};
use crate::mutants::Mutant;
use crate::observer::{Observation, Observer};
use crate::pki::{KeySource, PkiError};
use crate::project::{ConnectionSecurity, Project, Scheme};
use crate::scenario::{Scenario, ScenarioError};
use crate::script::{Script, Scripted};
use crate::state::{Found, StateStore};

/// How a simulated server is to be; [`SimServer::builder`] makes one, [`SimServerBuilder::start`] starts it.
///
/// Without further words the server plays [`Project::default_demo`] on any free port of the loopback interface.
#[derive(Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct SimServerBuilder {
    project: Project,
    port: u16,
    release: Release,
    address: Option<IpAddr>,
    seed: Option<u64>,
    workspace: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    study_registry: Option<PathBuf>,
    keys: KeySource,
    handshake_timeout: Duration,
    clock: ClockMode,
    faults: Vec<Fault>,
    observer: Option<Observer>,
    configure: Vec<Arc<Configure>>,
}

/// A change to what the simulation is made of.
type Configure = dyn Fn(&mut SimConfig) -> Result<(), ScenarioError> + Send + Sync;

impl Default for SimServerBuilder {
    fn default() -> Self {
        Self {
            project: Project::default_demo(),
            port: 0,
            release: Release::default(),
            address: None,
            seed: None,
            workspace: None,
            state_dir: None,
            study_registry: None,
            keys: KeySource::default(),
            handshake_timeout: HANDSHAKE_TIMEOUT,
            clock: ClockMode::Real,
            faults: Vec::new(),
            observer: None,
            configure: Vec::new(),
        }
    }
}

impl SimServerBuilder {
    /// Who takes part. The port in it is not used, see [`SimServerBuilder::port`], but for this: where sites and admins
    /// have different ones, there are two here too, see [`SimServer::site_port`].
    pub fn project(mut self, project: Project) -> Self {
        self.project = project;
        self
    }

    /// How frames travel, instead of what the project says.
    pub fn scheme(mut self, scheme: Scheme) -> Self {
        self.project = self.project.with_scheme(scheme);
        self
    }

    /// What protects everybody's connections, instead of what the project says.
    pub fn connection_security(mut self, security: ConnectionSecurity) -> Self {
        self.project = self.project.with_connection_security(security);
        self
    }

    /// The release of nvflare to behave like: its commands, kits, texts and streams, as far as they differ.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::SimServer;
    /// use flare_simserver::core::Release;
    /// use flare_simserver::project::Role;
    ///
    /// let server = SimServer::builder().release(Release::V2_7).start().await?;
    /// // Clients of 2.7 want their kit signed.
    /// assert!(server.admin_kit(Role::Lead)?.join("startup/signature.json").is_file());
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn release(mut self, release: Release) -> Self {
        self.release = release;
        self
    }

    /// The port to listen on. The default is 0: any port that is free. In a project with two ports it is that of admins;
    /// the other is then any that is free, or otherwise the project's.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The address to listen on. The default is that of a real 2.9 server: the loopback interface if that is
    /// where the project's host leads, and every interface otherwise.
    pub fn address(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Makes ids, nonces, tokens and simulated data the same in every run. Without it they cannot be foreseen.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Where startup kits go, and keys and certificates of earlier runs are found: `<workspace>/<project>`, laid
    /// out as by `nvflare provision`. The default is a temporary directory that goes with the server.
    pub fn workspace(mut self, workspace: impl Into<PathBuf>) -> Self {
        self.workspace = Some(workspace.into());
        self
    }

    /// Where jobs, their archives, submit records, studies, disabled clients and the server's logs are kept, so that another
    /// server that is started with the same directory, the same workspace and the same port goes on where this one ended,
    /// however it ended. A reply is sent when what it says is on disk; what cannot be written is answered with an error that
    /// says why. Without a directory they go with the server.
    ///
    /// A start reads the metas of the stored jobs (`examples/state_scale.rs` measures it). The logs of sites are not kept.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::SimServer;
    ///
    /// let state = tempfile::tempdir()?;
    /// let server = SimServer::builder().state_dir(state.path()).start().await?;
    /// server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn state_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(directory.into());
        self
    }

    /// The study registry of a real server, `study_registry.json` in its workspace, to begin with. It goes before the
    /// studies of the project and before a registry in the server's kit; what commands change is kept elsewhere.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::SimServer;
    ///
    /// let directory = tempfile::tempdir()?;
    /// let file = directory.path().join("study_registry.json");
    /// std::fs::write(&file, r#"{"format_version": "1.0", "studies": {"trial": {"admins": [], "site_orgs": {}}}}"#)?;
    /// let server = SimServer::builder().study_registry(&file).start().await?;
    /// assert!(server.control(|sim, _| sim.studies().is_some_and(|studies| studies.study("trial").is_some())));
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn study_registry(mut self, file: impl Into<PathBuf>) -> Self {
        self.study_registry = Some(file.into());
        self
    }

    /// Breaks a rule of the real server on purpose. May be given several times.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::{Mutant, SimServer};
    ///
    /// let server = SimServer::builder().mutant(Mutant::ReverseIgnored).start().await?;
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn mutant(self, mutant: Mutant) -> Self {
        self.configure(move |config| config.mutants = config.mutants.with(mutant))
    }

    /// Lets somebody else give answers: `answer` is asked for every command in a session but `_cert_login`,
    /// `_check_session` and `_logout`. What it has no answer for is simulated.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::SimServer;
    ///
    /// let recorded = r#"{"time": "2026-11-26 05:36:47", "data": [{"type": "string", "data": "/srv"}], "meta": {}}"#;
    /// let recorded = flare_wire::hci::Reply::parse(recorded)?;
    /// let builder = SimServer::builder();
    /// let server = builder.script(move |asked| (asked.line == "pwd server").then(|| recorded.clone())).start().await?;
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn script(self, answer: impl Fn(Scripted<'_>) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let script = Script::new(answer);
        self.configure(move |config| config.script = Some(script.clone()))
    }

    /// Where RSA keys come from. The default makes a root key for every server and shares the others.
    pub fn keys(mut self, keys: KeySource) -> Self {
        self.keys = keys;
        self
    }

    /// Changes what the simulation is made of: policies, what sites answer and how fast, workspaces, the study
    /// registry, stored jobs, the server's local time. Several changes are made in the order of the calls.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::SimServer;
    /// use flare_simserver::core::{SiteBehaviour, StudyRegistry};
    ///
    /// let studies = StudyRegistry::from_json(r#"{"format_version": "1.0", "studies": {}}"#)?;
    /// let server = SimServer::builder()
    ///     .configure(move |config| {
    ///         config.studies = Some(studies.clone());
    ///         config.sites[1].behaviour = SiteBehaviour::Silent;
    ///     })
    ///     .start()
    ///     .await?;
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn configure(self, change: impl Fn(&mut SimConfig) + Send + Sync + 'static) -> Self {
        self.change(move |config| {
            change(config);
            Ok(())
        })
    }

    fn change(mut self, change: impl Fn(&mut SimConfig) -> Result<(), ScenarioError> + Send + Sync + 'static) -> Self {
        self.configure.push(Arc::new(change));
        self
    }

    /// How a site treats what admins ask of it. With a name that no site has the server does not start.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::SimServer;
    /// use flare_simserver::core::SiteBehaviour;
    ///
    /// let server = SimServer::builder().site("site-2", SiteBehaviour::Refuses).start().await?;
    /// # server.shutdown().await;
    /// assert!(SimServer::builder().site("site-7", SiteBehaviour::Silent).start().await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn site(self, name: impl Into<String>, behaviour: SiteBehaviour) -> Self {
        let name = name.into();
        self.change(move |config| {
            let site = config.sites.iter_mut().find(|site| site.name == name);
            site.ok_or_else(|| ScenarioError::UnknownSite(name.clone()))?.behaviour = behaviour;
            Ok(())
        })
    }

    /// What the runs of certain jobs do; where several rules fit a job, later ones win.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::SimServer;
    /// use flare_simserver::jobs::behaviour::Rule;
    ///
    /// let server = SimServer::builder()
    ///     .rule(Rule::named("broken").failing_at("site-2", "ValueError: no data"))
    ///     .rule(Rule::named("deaf").silent_at("site-1"))
    ///     .rule(Rule::named("endless").until_aborted())
    ///     .start()
    ///     .await?;
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn rule(self, rule: Rule) -> Self {
        self.configure(move |config| config.rules.push(rule.clone()))
    }

    /// Races of the real server that always end the same way.
    pub fn quirks(self, quirks: Quirks) -> Self {
        self.configure(move |config| config.job_settings.quirks = quirks)
    }

    /// A fault of the connections, from the start to the end of the server. [`SimServer::inject`] makes one that goes
    /// before.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Is told of everything that passes over the connections, in the order in which it does on each. What it does
    /// is done by the tasks of the connections, so it should be short.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::SimServer;
    /// use flare_simserver::observer::ObservedEvent;
    ///
    /// let server = SimServer::builder()
    ///     .observer(|observation| {
    ///         if let ObservedEvent::Request(request) = observation.event {
    ///             println!("{}: {}", observation.connection, request.topic);
    ///         }
    ///     })
    ///     .start()
    ///     .await?;
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn observer(mut self, listener: impl Fn(Observation<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Observer::new(listener));
        self
    }

    /// Everything that a scenario says. What is said later, by another scenario or another method, adds to it or
    /// replaces it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::SimServer;
    /// use flare_simserver::scenario::Scenario;
    ///
    /// let scenario = Scenario::from_yaml("sites: {site-1: silent}")?;
    /// let server = SimServer::builder().scenario(scenario).start().await?;
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn scenario(mut self, scenario: Scenario) -> Self {
        self.clock = scenario.clock.unwrap_or(self.clock);
        self.faults.extend(scenario.faults.iter().cloned());
        self.change(move |config| scenario.apply(config))
    }

    /// How long a peer has from connecting until it has said HELLO. The default is ten seconds.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// How the simulated time passes. The default is as the real one.
    ///
    /// With [`ClockMode::Manual`] a test decides what happens when, and nothing takes longer than the work it is:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// use flare_simserver::{ClockMode, SimServer};
    ///
    /// let server = SimServer::builder().clock(ClockMode::Manual).start().await?;
    /// let before = server.now();
    /// server.skip_time(Duration::from_secs(3600));
    /// assert_eq!(server.now(), before + Duration::from_secs(3600));
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn clock(mut self, mode: ClockMode) -> Self {
        self.clock = mode;
        self
    }

    /// Starts the server. It accepts connections when this returns.
    ///
    /// Has to be called in a tokio runtime, and the server lives in that runtime.
    ///
    /// # Errors
    /// [`StartError`].
    ///
    /// # Cancel safety
    /// Dropping the future starts nothing. Kits that were written to a workspace stay.
    pub async fn start(self) -> Result<SimServer, StartError> {
        self.clock.checked()?;
        let address = self.address.unwrap_or_else(|| address_for(self.project.server().default_host()));
        let server = self.project.server();
        let site_port = (server.port() != server.admin_port()).then_some(match self.port {
            0 => 0,
            _ => server.port(),
        });
        let ports = Ports::bind(address, self.port, site_port).await.map_err(|(port, source)| StartError::Listen {
            address,
            port,
            source,
        })?;

        // Only now the ports are known that the kits have to name.
        let Addresses { admins, sites } = ports.addresses();
        let project = self.project.clone().with_ports(sites.unwrap_or(admins).port(), admins.port());
        let project = if self.release < Release::V2_8 { project.with_signed_kits(true) } else { project };
        let prepared =
            tokio::task::spawn_blocking(move || self.prepare(project)).await.map_err(|_| StartError::Interrupted)??;
        Ok(SimServer::run(prepared, ports))
    }

    /// Everything that takes processor time instead of waiting.
    fn prepare(self, project: Project) -> Result<Prepared, StartError> {
        let clock = Clock::start();
        let now = clock.now();
        let (store, found) = match &self.state_dir {
            Some(directory) => {
                let (store, found) = StateStore::open(directory)?;
                (Some(store), found)
            }
            None => (None, Found::default()),
        };
        let mut random = match self.seed {
            // The ids of an earlier run are taken.
            Some(seed) => Randomness::from_number(seed.wrapping_add(found.starts)),
            None => ambient::randomness()?,
        };
        let workspace = self.workspace.as_deref().map(|workspace| Workspace::new(workspace, &project));
        // Before anything in it is read, for another server may be about to write it.
        let workspace = match workspace {
            Some(workspace) => Some((workspace.reserve()?, workspace)),
            None => None,
        };
        let mut credentials = match &workspace {
            Some((_, workspace)) => workspace.credentials(&project, self.keys, SiteKeys::Shared, now, &mut random)?,
            None => Credentials::create(&project, self.keys, SiteKeys::Shared, now, &mut random)?,
        };

        let server = Participant::Server(project.server());
        let identity = credentials.identity(server, now, &mut random)?.clone();
        let root = credentials.authority();
        for (whose, certificate) in [("the root", root.certificate()), ("the server", identity.certificate())] {
            if certificate.not_after() <= now {
                return Err(StartError::Expired { whose: whose.to_owned() });
            }
        }
        let door = Door::new(project.scheme(), project.server().security(), &identity, root.certificate())?;
        let kits = match workspace {
            Some((reservation, workspace)) => {
                KitStore::in_workspace(&workspace, reservation, &project, credentials, now, random.fork())?
            }
            None => KitStore::temporary(credentials, now, random.fork())?,
        };
        let mut config =
            kits.with_authority(|root| simulation::configure(&project, &identity, root, kits.directory(), now))?;
        if let Some(file) = &self.study_registry {
            config.studies = Some(simulation::read_study_registry(file)?);
        }
        config.release = self.release;
        for change in &self.configure {
            change(&mut config)?;
        }
        found.replace(&mut config);
        let mut sim = Sim::new(config, random.fork(), now).map_err(PkiError::BadCertificate)?;
        found.restore(&mut sim, now);
        let prefix = "flare-simserver-";
        let scratch = match &store {
            // Archives are moved from there, so it has to be on the same disk.
            Some(store) => tempfile::TempDir::with_prefix_in(prefix, store.incoming()),
            None => tempfile::TempDir::with_prefix(prefix),
        };
        let scratch = scratch.map_err(StartError::Scratch)?;
        let driver = Arc::new(Driver::new(clock, self.clock, sim, random, scratch, store));
        for fault in self.faults {
            driver.faults().keep(fault);
        }
        if let Some(observer) = self.observer {
            // The driver is new: nobody has set one.
            let _ = driver.observer().set(observer);
        }
        Ok(Prepared { project, door, driver, kits, handshake_timeout: self.handshake_timeout })
    }
}

impl fmt::Debug for SimServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimServerBuilder")
            .field("project", &self.project)
            .field("port", &self.port)
            .field("address", &self.address)
            .field("seed", &self.seed)
            .field("workspace", &self.workspace)
            .field("state_dir", &self.state_dir)
            .field("study_registry", &self.study_registry)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// What a server is made of, but for its socket.
pub(super) struct Prepared {
    pub(super) project: Project,
    pub(super) door: Door,
    pub(super) driver: Arc<Driver>,
    pub(super) kits: KitStore,
    pub(super) handshake_timeout: Duration,
}

/// Where a real 2.9 server listens when its kit names this host.
fn address_for(host: &str) -> IpAddr {
    let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    IpAddr::V4(if is_loopback { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED })
}
