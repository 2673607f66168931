//! The whole state.
//!
//! - `process` — how the server ends and starts, and how time passes for it
//! - `sites` — what it does with its sites
//! - `registries` — the files that a real server keeps of studies and disabled clients

mod process;
mod registries;
mod sites;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use flare_wire::auth::{CellToken, ChallengeReply, ChallengeRequest, RegisterReply, RegisterRequest, SessionToken};
use flare_wire::certificate::{Certificate, CertificateError};
use flare_wire::hci::{JsonObject, Reply};
use flare_wire::{Moment, Randomness};

use super::config::{HostMemory, ServerConfig, SimConfig};
use super::downloads::{Download, Downloads, Offer};
use super::federation::{Surroundings, enrolled};
use super::passes::Passes;
use super::registration::{Admission, Identity, Proof, RegistrationRefusal, Registrations};
use super::sessions::{IDLE_TIMEOUT, Lookup, Session, Sessions, expired};
use super::sites::Sites;
use super::{LocalTime, Person, Policy, StudyRegistry, VirtualFiles, logs};
use crate::blob::Blob;
use crate::jobs::behaviour::Behaviours;
use crate::jobs::content::JobContent;
use crate::jobs::lifecycle::{DownloadFile, JobSettings, Jobs};
use crate::jobs::meta::JobMeta;
use crate::jobs::store::StoredJob;
use crate::mutants::{Mutant, Mutants};
use crate::release::Release;
use crate::script::Script;
use process::Process;
pub(crate) use registries::{ChangedRegistries, DISABLED_CLIENTS, STUDY_REGISTRY};

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
    /// The process of the server has ended, and every connection with it.
    Ended {
        /// It was killed, so that its connections break without a word.
        is_killed: bool,
        /// It starts again by itself.
        comes_back: bool,
    },
    /// The process of the server has started again.
    Started,
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
    requires_signed_jobs: bool,
    jobs: Jobs<Blob>,
    downloads: Downloads,
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
    process: Process,
    changed: ChangedRegistries,
    mutants: Mutants,
    script: Option<Script>,
}

impl Sim {
    /// A server that has just started, with its sites registered.
    ///
    /// # Errors
    /// When the certificate chain of the server holds no certificate.
    pub fn new(config: SimConfig, mut random: Randomness, now: Moment) -> Result<Self, CertificateError> {
        let SimConfig {
            project,
            server,
            sites,
            disabled_clients,
            studies,
            jobs,
            job_settings,
            rules,
            local_time,
            release,
            mutants,
            script,
        } = config;
        let ServerConfig { org, key, chain, roots, policy, requires_signed_jobs, mut files, host } = server;
        let clock = local_time;
        logs::prepare(&mut files, now, release);
        logs::server_started(&mut files, now, clock);
        let sites = Sites::register(sites, &disabled_clients, now, &mut random);
        sites::log_joined(&mut files, &sites, now, clock);
        let passes = Passes::new(now);
        let settings =
            JobSettings { release, offset: local_time.offset(), project: project.clone(), mutants, ..job_settings };
        let mut stored = Jobs::new(settings, Behaviours::new(rules), now);
        for meta in jobs {
            stored.restore_job(without_archive(meta));
        }
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
            requires_signed_jobs,
            jobs: stored,
            downloads: Downloads::default(),
            clock,
            release,
            started: now,
            passes,
            registrations: Registrations::default(),
            admission: Admission::default(),
            sessions: Sessions::new(passes, mutants),
            random,
            waiting: BTreeMap::new(),
            tickets: 0,
            effects: VecDeque::new(),
            process: Process::Serves,
            changed: ChangedRegistries::default(),
            mutants,
            script,
        })
    }

    /// What gives answers in place of the simulation.
    pub(crate) const fn script(&self) -> Option<&Script> {
        self.script.as_ref()
    }

    /// True when a rule is broken on purpose.
    pub(crate) const fn mutant(&self, mutant: Mutant) -> bool {
        self.mutants.has(mutant)
    }

    /// The rules that are.
    pub(crate) const fn mutants(&self) -> Mutants {
        self.mutants
    }

    // ---- who may talk to the server --------------------------------------------------------------------------

    /// What the server stamps on every message of its own.
    pub fn stamp(&mut self) -> CellToken {
        CellToken::of_server(&self.identity.key, &mut self.random)
    }

    /// Proves the server's identity to the endpoint `origin`, and starts its registration.
    pub fn challenge(&mut self, now: Moment, origin: &str, request: &ChallengeRequest) -> ChallengeReply {
        let mut reply =
            self.registrations.challenge(now, self.passes, origin, request, &self.identity, &mut self.random);
        if self.mutant(Mutant::ServerProofWrong) {
            reply.signature = self.identity.key.sign(&mut self.random, reply.nonce.as_bytes());
        }
        reply
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
            self.mutants,
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
        self.mutant(Mutant::CellTokenUnverified) || self.admission.admit(token, &self.identity.public_key)
    }

    /// Keeps a reply until `at`; gives it back when too many wait already.
    pub(crate) fn answer_later(&mut self, at: Moment, reply: Reply) -> Result<Ticket, Reply> {
        if self.waiting.len() >= MAX_WAITING {
            return Err(reply);
        }
        let ticket = self.new_ticket();
        self.waiting.insert((at, ticket), reply);
        Ok(ticket)
    }

    /// A ticket for an answer that somebody else makes meanwhile.
    pub(crate) const fn new_ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        ticket
    }

    // ---- sessions --------------------------------------------------------------------------------------------

    /// Checks that the first certificate of `chain` belongs to `user` and that `proof` shows who has its key.
    pub(crate) fn proves_user(&self, now: Moment, chain: &[Certificate], user: &str, proof: &Proof<'_>) -> bool {
        self.identity.verify(now, chain, user, "", proof, self.mutants)
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
            // Before 2.9 a session does not know of the certificate, and outlives it.
            cert_expiry: (self.release >= Release::V2_9).then(|| leaf.not_after()),
        };
        // Before 2.8 a token names no study.
        let written = if self.release < Release::V2_8 {
            SessionToken { study: String::new(), ..token.clone() }
        } else {
            token.clone()
        };
        let text = written.encode(&self.identity.key, &mut self.random);
        self.sessions.open(now, token, origin);
        let created = format!("Created user session for {user}");
        logs::info(&mut self.files, now, self.clock, logs::Source::LOGIN, &created);
        text
    }

    /// The session of a token that comes with a command, which counts as activity. A session that is not there is
    /// brought back, when the token is good. `None` when it is not.
    pub(crate) fn resume_session(&mut self, now: Moment, token: &str, origin: &str) -> Option<SessionToken> {
        // Before 2.8 a session that is there is found by its id alone, whoever signed the token.
        let unsigned = (self.release < Release::V2_8).then(|| self.unsigned_token(token)).flatten();
        let token = match unsigned.filter(|token| self.sessions.get(&token.session_id).is_some()) {
            Some(token) => token,
            None => self.sessions.decode(token, &self.identity.public_key)?,
        };
        if !self.has_session(now, &token) {
            if self.mutant(Mutant::SessionsStayGone) {
                return None;
            }
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

    /// What a token says, whoever signed it.
    fn unsigned_token(&self, token: &str) -> Option<SessionToken> {
        SessionToken::read(token).ok().filter(|_| token.matches(':').count() == 1)
    }

    /// True for a good token whose session is not there, and would be brought back.
    pub(crate) fn is_unknown_session(&mut self, now: Moment, token: &str) -> bool {
        let token = self.sessions.decode(token, &self.identity.public_key);
        token.is_some_and(|token| {
            self.sessions.look_up(now, &token) == Lookup::Unknown && token.cert_expiry.is_none_or(|expiry| now < expiry)
        })
    }

    /// True when the session of a token is there; this is no activity.
    pub(crate) fn check_session(&mut self, now: Moment, token: &str) -> bool {
        // Before 2.9 the signature is not looked at here: what counts is that there is a session of this id.
        let token = if self.release < Release::V2_9 {
            self.unsigned_token(token)
        } else {
            self.sessions.decode(token, &self.identity.public_key)
        };
        if let Some(token) = token.as_ref().filter(|_| self.mutant(Mutant::CheckIsActivity)) {
            self.sessions.mark_active(now, &token.session_id);
        }
        token.is_some_and(|token| self.has_session(now, &token))
    }

    fn has_session(&mut self, now: Moment, token: &SessionToken) -> bool {
        match self.sessions.look_up(now, token) {
            Lookup::Found => true,
            Lookup::Unknown => false,
            Lookup::CertificateExpired(endpoint) => {
                self.effects.push_back(Effect::SessionExpired { endpoint, text: expired(self.release) });
                false
            }
        }
    }

    /// Ends a session without telling its client.
    pub(crate) fn end_session(&mut self, id: &str) {
        if self.mutant(Mutant::LogoutKeepsSession) {
            return;
        }
        self.sessions.end(id);
        self.downloads.end_session(id);
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
        if self.mutant(Mutant::ServerAllowsAll) {
            return Ok(());
        }
        let submitter = if self.mutant(Mutant::EverybodyIsSubmitter) { user } else { submitter };
        self.policy.authorize(right, user, submitter, &self.org)
    }

    /// Writes a command to the audit log; returns the id of the event.
    pub(crate) fn audit(&mut self, now: Moment, user: &str, line: &str) -> String {
        logs::audit_command(&mut self.files, now, self.clock, &mut self.random, user, line)
    }

    // ---- jobs ------------------------------------------------------------------------------------------------

    /// The jobs.
    #[must_use]
    pub const fn jobs(&self) -> &Jobs<Blob> {
        &self.jobs
    }

    /// The jobs, to be changed: for a test that wants rules for the runs to come, or a job in a certain state.
    pub const fn jobs_mut(&mut self) -> &mut Jobs<Blob> {
        &mut self.jobs
    }

    /// The jobs and a source of ids, for commands that make new ones.
    pub(crate) const fn jobs_and_randomness(&mut self) -> (&mut Jobs<Blob>, &mut Randomness) {
        (&mut self.jobs, &mut self.random)
    }

    /// Lets the time of the jobs pass. Every command sees them as they are at its time.
    pub(crate) fn advance_jobs(&mut self, now: Moment) {
        let surroundings = Surroundings {
            sites: &self.sites,
            studies: self.studies.as_ref(),
            policy: &self.policy,
            org: &self.org,
            roots: &self.identity.roots,
            requires_signed_jobs: self.requires_signed_jobs,
            unsigned_runs: self.mutants.has(Mutant::UnsignedRuns),
        };
        self.jobs.advance(now, &surroundings);
    }

    /// The certificates that those of submitters have to chain to.
    pub(crate) fn roots(&self) -> &[Certificate] {
        &self.identity.roots
    }

    /// The sites of a study; `None` for one without a list of its own.
    pub(crate) fn enrolled_sites(&self, study: &str) -> Option<Vec<String>> {
        enrolled(self.studies.as_ref(), study)
    }

    // ---- downloads -------------------------------------------------------------------------------------------

    /// Offers files to a session.
    pub(crate) fn offer(&mut self, now: Moment, session: &str, files: Vec<DownloadFile<Blob>>) -> Vec<Offer> {
        self.downloads.offer(now, session, files, &mut self.random)
    }

    /// What a reference leads to. Whoever downloads is no idle session.
    pub(crate) fn download(&mut self, now: Moment, reference: &str) -> Option<Download> {
        let (download, session) = self.downloads.look_up(now, reference)?;
        self.sessions.mark_active(now, &session);
        Some(download)
    }

    /// A client is done with a file, which arrived or not.
    pub(crate) fn finish_download(&mut self, now: Moment, reference: &str, arrived: bool) {
        if self.mutant(Mutant::DownloadForgotten) {
            self.downloads.forget(reference);
        }
        self.downloads.finish(now, reference, arrived);
    }

    /// How many files are offered for download and neither downloaded nor given up.
    #[must_use]
    pub fn open_downloads(&self) -> usize {
        self.downloads.open()
    }

    /// A client does not want a file any more, nor any other that was offered with it.
    pub(crate) fn cancel_download(&mut self, now: Moment, reference: &str) {
        self.downloads.cancel(now, reference);
    }

    /// A new id.
    pub(crate) fn new_id(&mut self) -> String {
        self.random.uuid()
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

    /// Puts back what an earlier process has logged.
    pub(crate) fn restore_log(&mut self, name: &str, earlier: Vec<u8>, now: Moment) {
        logs::restore(&mut self.files, name, earlier, now);
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

/// A job of which nothing but its meta is there.
fn without_archive(meta: JsonObject) -> StoredJob<Blob> {
    let content = JobContent { apps: BTreeMap::new(), is_unsafe: false };
    StoredJob::new(JobMeta::restored(meta), std::sync::Arc::new(content), Blob::none())
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("project", &self.project).field("server", &self.name()).finish_non_exhaustive()
    }
}
