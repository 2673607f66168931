//! The whole state.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use flare_wire::auth::{CellToken, ChallengeReply, ChallengeRequest, RegisterReply, RegisterRequest, SessionToken};
use flare_wire::certificate::{Certificate, CertificateError};
use flare_wire::hci::Reply;
use flare_wire::{Moment, Randomness};

use super::config::{HostMemory, Release, ServerConfig, SimConfig, SiteBehaviour};
use super::jobs::Jobs;
use super::passes::Passes;
use super::registration::{Admission, Identity, Proof, RegistrationRefusal, Registrations};
use super::sessions::{EXPIRED, IDLE_TIMEOUT, Lookup, Session, Sessions};
use super::shell::NotModelled;
use super::sites::{Around, Asker, SiteAnswer, SiteIndex, SiteRequest, Sites};
use super::{LocalTime, Person, Policy, StudyRegistry, VirtualFiles, logs};

/// Replies that wait for a slow or silent site. Each holds one reply; the connections bound how many they have.
const MAX_WAITING: usize = 16_384;

/// Stands for a reply that comes later, see [`Effect::Answered`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// Something that the server says by itself.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// A reply that was announced is there.
    Answered {
        /// What stood for it.
        ticket: Ticket,
        /// The reply.
        reply: Reply,
    },
    /// A session has ended; its client is told on topic `SESSION_EXPIRED`.
    SessionExpired {
        /// The endpoint of the client.
        endpoint: String,
        /// What it is told.
        text: &'static str,
    },
}

/// A simulated server.
pub struct Sim {
    project: String,
    identity: Identity,
    org: String,
    policy: std::sync::Arc<Policy>,
    files: VirtualFiles,
    host: HostMemory,
    disabled: Vec<String>,
    sites: Sites,
    studies: Option<StudyRegistry>,
    jobs: Jobs,
    clock: LocalTime,
    release: Release,
    started: Moment,
    passes: Passes,
    registrations: Registrations,
    admission: Admission,
    sessions: Sessions,
    random: Randomness,
    waiting: BTreeMap<(Moment, Ticket), Reply>,
    tickets: u64,
    effects: VecDeque<Effect>,
}

impl Sim {
    /// A server that has just started, with its sites registered.
    ///
    /// # Errors
    /// When the certificate chain of the server holds no certificate.
    pub fn new(config: SimConfig, mut random: Randomness, now: Moment) -> Result<Self, CertificateError> {
        let SimConfig { project, server, sites, disabled_clients, studies, jobs, local_time, release } = config;
        let ServerConfig { org, key, chain, roots, policy, mut files, host } = server;
        let clock = local_time;
        logs::prepare(&mut files, now);
        logs::server_started(&mut files, now, clock);
        let sites = Sites::register(sites, &disabled_clients, now, &mut random);
        let joined = sites.iter().enumerate().map(|(number, site)| {
            let (name, total) = (site.name(), number + 1);
            let joined = format!("Client: New client {name}@127.0.0.1 joined. Sent token.  Total clients: {total}");
            (logs::Source::CLIENT_MANAGER, joined)
        });
        logs::info_all(&mut files, now, clock, joined);
        let passes = Passes::new(now);
        Ok(Self {
            project,
            identity: Identity::new(key, chain, roots)?,
            org,
            policy,
            files,
            host,
            disabled: disabled_clients,
            sites,
            studies,
            jobs: Jobs::new(jobs),
            clock,
            release,
            started: now,
            passes,
            registrations: Registrations::default(),
            admission: Admission::default(),
            sessions: Sessions::new(passes),
            random,
            waiting: BTreeMap::new(),
            tickets: 0,
            effects: VecDeque::new(),
        })
    }

    // ---- who may talk to the server --------------------------------------------------------------------------

    /// What the server stamps on every message of its own.
    pub fn stamp(&mut self) -> CellToken {
        CellToken::of_server(&self.identity.key, &mut self.random)
    }

    /// Proves the server's identity to the endpoint `origin`, and starts its registration.
    pub fn challenge(&mut self, now: Moment, origin: &str, request: &ChallengeRequest) -> ChallengeReply {
        self.registrations.challenge(now, self.passes, origin, request, &self.identity, &mut self.random)
    }

    /// Registers an admin client. `Ok(None)`: its certificate, name or signature is not accepted, which the real
    /// server tells it by an empty reply.
    ///
    /// # Errors
    /// [`RegistrationRefusal`], whose text goes with the code `unauthenticated`.
    pub fn register(
        &mut self,
        now: Moment,
        origin: &str,
        request: &RegisterRequest,
    ) -> Result<Option<RegisterReply>, RegistrationRefusal> {
        let reply = self.registrations.register(
            now,
            origin,
            request,
            &self.project,
            &self.disabled,
            &self.identity,
            &mut self.random,
        )?;
        if reply.is_some() {
            let joined = format!(
                "Client: New admin {}@{} joined. Sent token.  Total clients: {}",
                request.client_name,
                request.client_ip,
                self.sites.iter().len()
            );
            logs::info(&mut self.files, now, self.clock, logs::Source::CLIENT_MANAGER, &joined);
        }
        Ok(reply)
    }

    /// True when a message with this token may come in: the server has signed it.
    pub fn admit(&mut self, token: &CellToken) -> bool {
        self.admission.admit(token, &self.identity.public_key)
    }

    // ---- time ------------------------------------------------------------------------------------------------

    /// Does what has become due, and returns what the server has to say.
    pub fn advance(&mut self, now: Moment) -> Vec<Effect> {
        for session in self.sessions.advance(now) {
            self.effects.push_back(Effect::SessionExpired { endpoint: session.origin, text: EXPIRED });
        }
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((_, ticket), reply) = entry.remove_entry();
            self.effects.push_back(Effect::Answered { ticket, reply });
        }
        self.effects.drain(..).collect()
    }

    /// When [`Sim::advance`] should be called next; the past when it has something to say already.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        if !self.effects.is_empty() {
            return Some(self.started);
        }
        let answer = self.waiting.first_key_value().map(|((moment, _), _)| *moment);
        self.sessions.next_pass().into_iter().chain(answer).min()
    }

    /// Keeps a reply until `at`; gives it back when too many wait already.
    pub(crate) fn answer_later(&mut self, at: Moment, reply: Reply) -> Result<Ticket, Reply> {
        if self.waiting.len() >= MAX_WAITING {
            return Err(reply);
        }
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.waiting.insert((at, ticket), reply);
        Ok(ticket)
    }

    // ---- sessions --------------------------------------------------------------------------------------------

    /// Checks that the first certificate of `chain` belongs to `user` and that `proof` shows who has its key.
    pub(crate) fn proves_user(&self, now: Moment, chain: &[Certificate], user: &str, proof: &Proof<'_>) -> bool {
        self.identity.verify(now, chain, user, "", proof)
    }

    /// Opens a session for a user who has proved who he is; returns its token.
    pub(crate) fn open_session(
        &mut self,
        now: Moment,
        user: &str,
        leaf: &Certificate,
        study: &str,
        origin: &str,
    ) -> String {
        let token = SessionToken {
            name: user.to_owned(),
            role: leaf.role().to_owned(),
            org: leaf.organization().to_owned(),
            session_id: self.random.uuid(),
            study: study.to_owned(),
            cert_expiry: Some(leaf.not_after()),
        };
        let text = token.encode(&self.identity.key, &mut self.random);
        self.sessions.open(now, token, origin);
        let created = format!("Created user session for {user}");
        logs::info(&mut self.files, now, self.clock, logs::Source::LOGIN, &created);
        text
    }

    /// The session of a token that comes with a command, which counts as activity. A session that is not there is
    /// brought back, when the token is good. `None` when it is not.
    pub(crate) fn resume_session(&mut self, now: Moment, token: &str, origin: &str) -> Option<SessionToken> {
        let token = self.sessions.decode(token, &self.identity.public_key)?;
        if !self.has_session(now, &token) {
            if token.cert_expiry.is_some_and(|expiry| now >= expiry) {
                return None;
            }
            self.sessions.open(now, token.clone(), origin);
            let recreated = format!("recreated admin session for {}", token.name);
            logs::info(&mut self.files, now, self.clock, logs::Source::LOGIN, &recreated);
        }
        self.sessions.mark_active(now, &token.session_id);
        // What counts is the session as it is kept, not the token of this command.
        self.sessions.get(&token.session_id).map(|session| session.token.clone())
    }

    /// True when the session of a token is there; this is no activity.
    pub(crate) fn check_session(&mut self, now: Moment, token: &str) -> bool {
        let token = self.sessions.decode(token, &self.identity.public_key);
        token.is_some_and(|token| self.has_session(now, &token))
    }

    fn has_session(&mut self, now: Moment, token: &SessionToken) -> bool {
        match self.sessions.look_up(now, token) {
            Lookup::Found => true,
            Lookup::Unknown => false,
            Lookup::CertificateExpired(endpoint) => {
                self.effects.push_back(Effect::SessionExpired { endpoint, text: EXPIRED });
                false
            }
        }
    }

    /// Ends a session without telling its client.
    pub(crate) fn end_session(&mut self, id: &str) {
        self.sessions.end(id);
    }

    /// All sessions, in the order in which they were opened or brought back.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter()
    }

    /// After how many seconds without a command a session ends.
    pub(crate) const fn idle_seconds(&self) -> u64 {
        IDLE_TIMEOUT.as_secs()
    }

    // ---- what commands need ----------------------------------------------------------------------------------

    /// Checks a right on the server; `submitter` is whose job it is about, or nobody.
    pub(crate) fn authorize(&self, right: &str, user: &Person, submitter: &Person) -> Result<(), String> {
        self.policy.authorize(right, user, submitter, &self.org)
    }

    /// Writes a command to the audit log; returns the id of the event.
    pub(crate) fn audit(&mut self, now: Moment, user: &str, line: &str) -> String {
        logs::audit_command(&mut self.files, now, self.clock, &mut self.random, user, line)
    }

    /// Asks a site; `None` when it is not registered.
    pub(crate) fn ask(
        &mut self,
        now: Moment,
        site: SiteIndex,
        request: SiteRequest<'_>,
        asker: Asker<'_>,
        timeout: Duration,
    ) -> Result<Option<SiteAnswer>, NotModelled> {
        let version = self.release.version();
        let around = Around { now, clock: self.clock, version, project: &self.project, random: &mut self.random };
        self.sites.ask(site, request, asker, timeout, around)
    }

    /// Forgets the sites that have been gone for too long.
    pub(crate) fn forget_gone_sites(&mut self, now: Moment) {
        self.sites.forget_gone(now);
    }

    /// The registered sites.
    #[must_use]
    pub const fn sites(&self) -> &Sites {
        &self.sites
    }

    /// Changes how a site treats requests from now on; false when there is no such site.
    pub fn set_site_behaviour(&mut self, now: Moment, site: &str, behaviour: SiteBehaviour) -> bool {
        self.sites.set_behaviour(site, behaviour, now)
    }

    /// The files of a site's workspace, to be changed; `None` when there is no such site.
    pub fn site_files_mut(&mut self, site: &str) -> Option<&mut VirtualFiles> {
        self.sites.files_mut(site, &self.project, self.clock)
    }

    /// The study registry, when the server has one.
    #[must_use]
    pub const fn studies(&self) -> Option<&StudyRegistry> {
        self.studies.as_ref()
    }

    /// Replaces the study registry, as editing the file of a real server and restarting it does.
    pub fn set_studies(&mut self, studies: Option<StudyRegistry>) {
        self.studies = studies;
    }

    /// The stored jobs.
    #[must_use]
    pub const fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// Replaces the stored jobs.
    pub fn set_jobs(&mut self, metas: Vec<flare_wire::hci::JsonObject>) {
        self.jobs = Jobs::new(metas);
    }

    /// The files of the server's workspace.
    #[must_use]
    pub const fn files(&self) -> &VirtualFiles {
        &self.files
    }

    /// The files of the server's workspace, to be changed.
    pub const fn files_mut(&mut self) -> &mut VirtualFiles {
        &mut self.files
    }

    /// Memory of the server's machine.
    #[must_use]
    pub const fn host(&self) -> &HostMemory {
        &self.host
    }

    /// The server's local time.
    #[must_use]
    pub const fn clock(&self) -> LocalTime {
        self.clock
    }

    /// The release that the server behaves like.
    #[must_use]
    pub const fn release(&self) -> Release {
        self.release
    }

    /// When the server started.
    #[must_use]
    pub const fn started(&self) -> Moment {
        self.started
    }

    /// The server's identity: the common name of its certificate.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.identity.common_name
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("project", &self.project).field("server", &self.name()).finish_non_exhaustive()
    }
}
