//! The subject of a run: the in-process simulator, or a deployment that startup kits lead to.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use flare_client::{ErrorKind, Session, StartupKit, Targets};
use flare_simserver::{Mutant, SimServerBuilder};
use flare_wire::fobs;
use flare_wire::msgpack::{Value, field};
use tokio::sync::{Mutex, OnceCell};

use crate::finding::chain;
use crate::kits::{AdminKit, Kits, KitsError, Role, RootKey, SiteKit};
use crate::leftover::{self, Leftover};
use crate::raw::{Identity, Peer, Spares, challenge, register, register_request, value};
use crate::report::TargetDescription;
use crate::simulated::Simulator;
use crate::{CaseResult, Finding, Home, Manifest, Need, Release, Risk, Who};

/// What cases run on.
#[derive(Debug)]
pub struct Target {
    description: TargetDescription,
    kits: Kits,
    server_org: String,
    /// What cases may do beyond looking.
    allowed: BTreeSet<Risk>,
    /// Sessions that cases share, so that most of them need no login.
    shared: Mutex<BTreeMap<Who, Session>>,
    /// The same on the raw wire.
    spares: Spares,
    /// What cases have left to be removed.
    leftovers: std::sync::Mutex<Vec<Leftover>>,
    /// Kept so that it runs as long as the target is used.
    simulator: Option<Simulator>,
    /// Another simulator like it, where it can be made: cases that make things do so there.
    workshop: Workshop,
    /// The rule that is broken there.
    mutant: Option<Mutant>,
}

/// Where cases make things.
#[derive(Debug)]
enum Workshop {
    /// On the target itself, when the cases that only look are done.
    Here,
    /// On a simulator of their own, which starts with the first of them.
    Apart(OnceCell<Arc<Target>>),
}

impl Target {
    /// A simulator in this process, with sites of two organisations and administrators of every role.
    ///
    /// # Errors
    /// [`TargetError`] when it cannot be started.
    pub async fn simulated(scheme: &str) -> Result<Self, TargetError> {
        Self::mutated(scheme, None).await
    }

    /// The same with a rule broken.
    ///
    /// # Errors
    /// [`TargetError`] when it cannot be started.
    pub(crate) async fn mutated(scheme: &str, mutant: Option<Mutant>) -> Result<Self, TargetError> {
        let simulator = Simulator::start(scheme, mutant).await?;
        let target = Self::open("simulated", "in-process simulator".to_owned(), &simulator.kits()?).await?;
        let workshop = Workshop::Apart(OnceCell::new());
        Ok(Self { simulator: Some(simulator), workshop, mutant, allowed: Risk::ALL.into(), ..target })
    }

    /// A simulator of the federation that recordings are made with, of this release as far as cases are told.
    ///
    /// # Errors
    /// [`TargetError`] when it cannot be started.
    pub(crate) async fn of_two_orgs(
        scheme: &str,
        release: &str,
        change: impl FnOnce(SimServerBuilder) -> SimServerBuilder,
    ) -> Result<Self, TargetError> {
        let simulator = Simulator::of_two_orgs(scheme, change).await?;
        let mut target = Self::open("simulated", "recorded federation".to_owned(), &simulator.kits()?).await?;
        target.description.version = Some(release.to_owned());
        Ok(Self { simulator: Some(simulator), allowed: Risk::ALL.into(), ..target })
    }

    /// The deployment that the kits in `folder` lead to. It is asked for its identity and release.
    ///
    /// # Errors
    /// [`TargetError`] when the kits cannot be used or the server does not answer as a FLARE server does.
    pub async fn deployed(folder: &Path) -> Result<Self, TargetError> {
        Self::open("deployed", folder.display().to_string(), folder).await
    }

    async fn open(kind: &str, name: String, folder: &Path) -> Result<Self, TargetError> {
        let kits = Kits::read(folder)?;
        let kit = kits.admins().first().ok_or(TargetError::NoKits)?;
        let Introduction { server_org, mut version } = introduce(kit).await?;
        let may_ask = kits.admins().iter().find(|kit| kit.role == Some(Role::ProjectAdmin));
        if let (None, Some(kit)) = (&version, may_ask) {
            version = ask_release(kit).await?;
        }
        let scheme = kit.server.scheme.clone();
        let description = TargetDescription { kind: kind.to_owned(), name, scheme, version };
        Ok(Self {
            description,
            kits,
            server_org,
            allowed: BTreeSet::new(),
            shared: Mutex::default(),
            spares: Spares::default(),
            leftovers: std::sync::Mutex::default(),
            simulator: None,
            workshop: Workshop::Here,
            mutant: None,
        })
    }

    /// Lets cases do such things.
    #[must_use]
    pub fn allowing(mut self, risk: Risk) -> Self {
        self.allowed.insert(risk);
        self
    }

    /// What cases may do to it: always to look.
    pub(crate) fn allowed(&self) -> impl Iterator<Item = Risk> {
        Risk::ALL.into_iter().filter(|risk| *risk == Risk::Read || self.allowed.contains(risk))
    }

    /// A target for the case alone: another simulator like this one, or the deployment itself, where the runner runs
    /// such cases one at a time.
    ///
    /// # Errors
    /// When the simulator cannot be started.
    pub(crate) async fn alone(self: &Arc<Self>) -> CaseResult<Arc<Self>> {
        match self.simulator {
            Some(_) => Ok(Arc::new(Self::mutated(&self.description.scheme, self.mutant).await.map_err(own_failed)?)),
            None => Ok(Arc::clone(self)),
        }
    }

    /// The target for cases that make things.
    ///
    /// # Errors
    /// When the simulator for them cannot be started.
    pub(crate) async fn workshop(self: &Arc<Self>) -> CaseResult<Arc<Self>> {
        match &self.workshop {
            Workshop::Apart(workshop) => workshop.get_or_try_init(|| Box::pin(self.alone())).await.cloned(),
            Workshop::Here => Ok(Arc::clone(self)),
        }
    }

    /// True when cases that make things do so elsewhere, and so may run beside those that only look.
    pub(crate) const fn has_workshop(&self) -> bool {
        matches!(self.workshop, Workshop::Apart(_))
    }

    fn started_workshop(&self) -> Option<&Arc<Self>> {
        match &self.workshop {
            Workshop::Apart(workshop) => workshop.get(),
            Workshop::Here => None,
        }
    }

    /// The rule that is broken in the simulator, so that a case that starts another one breaks it there too.
    pub(crate) const fn mutant(&self) -> Option<Mutant> {
        self.mutant
    }

    /// How long it takes until so much time has passed on the target, whose clock may be fast.
    pub(crate) fn real_time_of(&self, time: Duration) -> Duration {
        self.simulator.as_ref().map_or(time, |simulator| simulator.real_time_of(time))
    }

    /// True when cases that need a target alone get one of their own, and so may run beside each other.
    #[must_use]
    pub fn can_be_had_alone(&self) -> bool {
        self.simulator.is_some()
    }

    /// A target that has nothing, for tests of the runner.
    #[cfg(test)]
    pub(crate) fn without_server(name: &str) -> Self {
        Self::of_nothing("simulated", name, "2.9.0", "http")
    }

    /// A client under test: its cases bring their servers themselves.
    pub(crate) fn of_client(name: &str, release: &str, scheme: &str) -> Self {
        Self::of_nothing("client", name, release, scheme)
    }

    fn of_nothing(kind: &str, name: &str, version: &str, scheme: &str) -> Self {
        let description = TargetDescription {
            kind: kind.to_owned(),
            name: name.to_owned(),
            scheme: scheme.to_owned(),
            version: Some(version.to_owned()),
        };
        Self {
            description,
            kits: Kits::default(),
            server_org: String::new(),
            allowed: BTreeSet::new(),
            shared: Mutex::default(),
            spares: Spares::default(),
            leftovers: std::sync::Mutex::default(),
            simulator: None,
            workshop: Workshop::Here,
            mutant: None,
        }
    }

    /// What reports say about this target.
    #[must_use]
    pub fn description(&self) -> &TargetDescription {
        &self.description
    }

    /// Its release; none when it does not tell.
    #[must_use]
    pub fn release(&self) -> Option<Release> {
        self.description.version.as_deref()?.parse().ok()
    }

    /// The set of cases that counts for it.
    #[must_use]
    pub fn manifest(&self) -> &'static Manifest {
        self.release().map_or_else(Manifest::newest, Manifest::of)
    }

    /// True when its release is this one or a later one. One that does not tell is taken as old: all do since 2.9.
    #[must_use]
    pub fn is_at_least(&self, release: Release) -> bool {
        self.release().is_some_and(|own| own >= release)
    }

    /// The kit of such an administrator, the first by name when there are several.
    #[must_use]
    pub fn admin(&self, who: Who) -> Option<&AdminKit> {
        self.kits.admins().iter().find(|kit| kit.role == Some(who.role) && self.home_of(&kit.org) == who.home)
    }

    /// The kit of some administrator: the project's if there is one.
    #[must_use]
    pub fn any_admin(&self) -> Option<&AdminKit> {
        self.admin(Who::PROJECT_ADMIN).or_else(|| self.kits.admins().first())
    }

    /// The kits of all administrators.
    pub(crate) fn admins(&self) -> &[AdminKit] {
        self.kits.admins()
    }

    /// The folder that the kits are in.
    pub(crate) fn kits_folder(&self) -> &Path {
        self.kits.folder()
    }

    /// The kit of a site of such an organisation, the first by name when there are several.
    #[must_use]
    pub fn site(&self, home: Home) -> Option<&SiteKit> {
        self.sites(home).into_iter().next()
    }

    /// The kits of all sites of such an organisation, by name.
    #[must_use]
    pub fn sites(&self, home: Home) -> Vec<&SiteKit> {
        self.kits.sites().iter().filter(|site| self.home_of(&site.org) == home).collect()
    }

    /// The key of the project's root, when the folder beside the kits has it.
    #[must_use]
    pub fn root_key(&self) -> Option<RootKey> {
        self.kits.root_key()
    }

    /// The sessions that cases share.
    pub(crate) fn shared(&self) -> &Mutex<BTreeMap<Who, Session>> {
        &self.shared
    }

    /// Raw endpoints that cases hand on.
    pub(crate) fn spares(&self) -> &Spares {
        &self.spares
    }

    /// Takes what a case leaves, to be removed by [`clean_up`](Self::clean_up).
    pub(crate) fn leave_behind(&self, leftover: Leftover) {
        self.leftovers.lock().unwrap_or_else(PoisonError::into_inner).push(leftover);
    }

    /// Leaves what cases have left: the target ends.
    pub(crate) fn forget_leftovers(&self) {
        self.leftovers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Removes what cases have left.
    ///
    /// # Errors
    /// When something stays.
    pub async fn clean_up(&self) -> CaseResult {
        let leftovers = std::mem::take(&mut *self.leftovers.lock().unwrap_or_else(PoisonError::into_inner));
        let here = leftover::remove(leftovers).await;
        match self.started_workshop() {
            Some(workshop) => here.and(Box::pin(workshop.clean_up()).await),
            None => here,
        }
    }

    /// Logs out of the sessions that cases shared.
    pub async fn close_shared(&self) {
        self.spares.clear();
        let sessions = std::mem::take(&mut *self.shared.lock().await);
        for session in sessions.into_values() {
            session.close().await;
        }
        if let Some(workshop) = self.started_workshop() {
            Box::pin(workshop.close_shared()).await;
        }
    }

    /// Checks that the target has what a case needs.
    ///
    /// # Errors
    /// Untestable, naming what is missing.
    pub fn require(&self, need: Need) -> CaseResult {
        let there = match need {
            Need::Admin(who) => self.admin(who).is_some(),
            Need::Site(home) => self.site(home).is_some(),
            Need::ControlledTime => self.simulator.is_some(),
            Need::RootKey => self.root_key().is_some(),
            Need::Scheme(scheme) => self.description.scheme == scheme,
            Need::Permission(risk) => self.allowed.contains(&risk),
            Need::Release(release) if self.is_at_least(release) => true,
            Need::Release(_) => {
                let own = self.description.version.as_deref().unwrap_or("a release that it does not tell");
                return Err(Finding::unsupported(format!("the case needs {need}, the target is {own}")));
            }
        };
        if there { Ok(()) } else { Err(Self::lacks(need)) }
    }

    /// The finding that a target lacks `need`.
    pub(crate) fn lacks(need: Need) -> Finding {
        Finding::untestable(format!("the target lacks: {need}"))
    }

    fn home_of(&self, org: &str) -> Home {
        if org == self.server_org { Home::Server } else { Home::Elsewhere }
    }
}

fn own_failed(error: TargetError) -> Finding {
    Finding::harness(chain(&error))
}

struct Introduction {
    server_org: String,
    version: Option<String>,
}

/// Registers once, to learn the server's organisation from its certificate and its release from the answer, which tells it since 2.9.
async fn introduce(kit: &AdminKit) -> Result<Introduction, Finding> {
    let identity = Identity::of_kit(&kit.path)?;
    let mut peer = Peer::connect(&kit.server, &identity).await?;
    let proof = challenge(&mut peer, &kit.user).await?;
    let request = register_request(&mut peer, &kit.user, &kit.server.project_name, &identity, &proof.reply.nonce);
    let reply = value(&register(&mut peer, &request).await?)?;
    let version = field(fobs::body(&reply), "nvflare_version").and_then(Value::as_str).map(str::to_owned);
    Ok(Introduction { server_org: proof.certificate.organization().to_owned(), version })
}

/// Asks a server that does not say its release when it is registered with, as those before 2.9. Only a project admin may.
async fn ask_release(kit: &AdminKit) -> Result<Option<String>, Finding> {
    let session = Session::builder(StartupKit::open(&kit.path)?).connect().await?;
    let told = session.report_version(&Targets::Server).await;
    session.close().await;
    if told.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unsupported) {
        // The command came with 2.8.
        return Ok(Some(Release::new(2, 7).to_string()));
    }
    Ok(told.ok().and_then(|entries| entries.into_iter().find_map(|entry| entry.version)))
}

/// Why a target cannot be used.
#[derive(Debug)]
pub enum TargetError {
    /// The kits cannot be read.
    Kits(KitsError),
    /// There are none.
    NoKits,
    /// The server does not answer as it should.
    Server(Finding),
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kits(_) => "the startup kits cannot be read",
            Self::NoKits => "there are no startup kits",
            Self::Server(_) => "the server cannot be used",
        })
    }
}

impl Error for TargetError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Kits(error) => Some(error),
            Self::NoKits => None,
            Self::Server(error) => Some(error),
        }
    }
}

impl From<KitsError> for TargetError {
    fn from(error: KitsError) -> Self {
        Self::Kits(error)
    }
}

impl From<Finding> for TargetError {
    fn from(error: Finding) -> Self {
        Self::Server(error)
    }
}
