//! The simulated sites: who is registered, and what each answers to an admin request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use flare_wire::{Moment, Randomness};
use serde_json::{Value, json};

use super::config::{SiteBehaviour, SiteConfig};
use super::shell::{self, NotModelled, Place};
use super::{LocalTime, Person, Policy, VirtualFiles, logs};
use crate::core::argparse::Parser;
use crate::release::Release;

/// Sites say this often that they are there.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// A site that has not said so for this long is forgotten (`heart_beat_timeout`).
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(600);

/// How often a site that is not let in tries again (measured).
const RETRY: Duration = Duration::from_secs(5);

/// How long a site takes from the command to restart until it has registered again (measured: 13.9 s).
const SITE_RESTART: Duration = Duration::from_secs(14);

/// How long a site takes to register once it and its server have started (measured: 1.3 s).
const REGISTRATION: Duration = Duration::from_millis(1_300);

/// How long a site takes from the start of a server that was away until its heartbeat comes (measured: 3 to 11 s).
const RECONNECT: Duration = Duration::from_secs(5);

/// Lines that a workspace nobody has looked into yet may owe to its audit log; with more it is made.
const MAX_UNWRITTEN: usize = 256;

/// What the server asks a site.
#[derive(Debug, Clone, Copy)]
pub enum SiteRequest<'a> {
    /// Which jobs run.
    CheckStatus,
    /// Memory of its machine.
    SystemInfo,
    /// Resources for jobs.
    Resources,
    /// Where and how it runs.
    Environment,
    /// Its nvflare version.
    Version,
    /// Its privacy scopes.
    Scopes,
    /// To log as it is told.
    ConfigureLog,
    /// To start anew.
    Restart,
    /// To end.
    ShutDown,
    /// A shell command; the parser that checks its arguments again, on the site.
    Shell {
        /// The command line.
        line: &'a str,
        /// Checks the words after the program.
        parser: &'a Parser,
    },
}

impl SiteRequest<'_> {
    /// The topic that the request travels under, which the site's audit log shows.
    const fn topic(self) -> &'static str {
        match self {
            Self::CheckStatus => "train.check_status",
            Self::SystemInfo => "sys.info",
            Self::Resources => "resource_manager.report_resources",
            Self::Environment => "sys.report_env",
            Self::Version => "sys.report_version",
            Self::Scopes => "train.get_scopes",
            Self::ConfigureLog => "sys.configure_site_log",
            Self::Restart => "train.restart",
            Self::ShutDown => "train.shutdown",
            Self::Shell { .. } => "sys.shell",
        }
    }
}

/// Who asks: what goes with a request.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Name of the user, as it is.
    pub name: &'a str,
    /// The user as policies see one.
    pub person: &'a Person,
    /// The command, which is the right that is needed.
    pub command: &'a str,
    /// The event in the server's audit log.
    pub event: &'a str,
}

/// What a site says.
#[derive(Debug, Clone, PartialEq)]
pub enum SiteReply {
    /// What was asked for.
    Body(Value),
    /// It refuses, in these words.
    Refused(String),
}

/// What became of a request to one site.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteAnswer {
    /// Name of the site.
    pub site: Arc<str>,
    /// What it said; `None` when it did not in time.
    pub reply: Option<SiteReply>,
    /// When that was known, counted from the request.
    pub after: Duration,
}

/// A registered site.
#[derive(Debug)]
pub struct Site {
    name: Arc<str>,
    token: String,
    registered: Moment,
    /// False for one that came back by a heartbeat.
    org_known: bool,
    /// Since when it is not there any more.
    gone: Option<Moment>,
    /// Lines for the audit log of a workspace that nobody has looked into yet; none once it is there.
    unwritten: Option<Vec<(Moment, String)>>,
    config: SiteConfig,
}

impl Site {
    /// Its name, which is also its FQCN and FQSN.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its token, which commands accept instead of the name.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// When it last said that it is there.
    #[must_use]
    pub fn last_heartbeat(&self, now: Moment) -> Moment {
        let until = self.gone.map_or(now, |gone| gone.min(now));
        let beats = until.since(self.registered).as_secs() / HEARTBEAT.as_secs();
        self.registered + Duration::from_secs(beats * HEARTBEAT.as_secs())
    }

    /// Its organisation, as far as the server knows it: one that comes back by a heartbeat has not shown its
    /// certificate again.
    #[must_use]
    pub fn org(&self) -> Option<&str> {
        self.org_known.then_some(self.config.org.as_str())
    }

    /// What it is made of.
    pub(super) const fn config(&self) -> &SiteConfig {
        &self.config
    }

    /// The files of its workspace, which come into being with this.
    fn files(&mut self, project: &str, clock: LocalTime, release: Release) -> &mut VirtualFiles {
        let files = self.config.workspace.files_mut();
        if let Some(unwritten) = self.unwritten.take() {
            logs::prepare(files, self.registered, release);
            logs::site_registered(files, self.registered, clock, &self.name, project);
            for (moment, line) in unwritten {
                logs::audit_site(files, moment, &line);
            }
        }
        files
    }

    /// Notes a request in the audit log.
    fn audit(&mut self, asker: Asker<'_>, request: SiteRequest<'_>, around: &mut Around<'_>) {
        let (now, clock) = (around.now, around.clock);
        let line = logs::request_line(now, clock, around.random, asker.name, request.topic(), asker.event);
        match &mut self.unwritten {
            Some(unwritten) if unwritten.len() < MAX_UNWRITTEN => unwritten.push((now, line)),
            _ => logs::audit_site(self.files(around.project, clock, around.release), now, &line),
        }
    }

    fn body(&mut self, request: SiteRequest<'_>, around: &Around<'_>) -> Result<Value, NotModelled> {
        let config = &self.config;
        Ok(match request {
            SiteRequest::CheckStatus => json!({"running_jobs": around.running}),
            SiteRequest::SystemInfo => Value::Object(config.host.to_json()),
            SiteRequest::Resources => config.resources.clone(),
            SiteRequest::Environment => json!({
                "site_name": config.name,
                // Before 2.8 as the start script names it.
                "workspace": match around.release {
                    Release::V2_7 => format!("{}/startup/..", config.workspace.path()),
                    Release::V2_8 | Release::V2_9 => config.workspace.path().to_owned(),
                },
                "secure_mode": true,
                "root_url": config.root_url,
            }),
            SiteRequest::Version => json!({"version": config.version.as_deref().unwrap_or(around.version)}),
            SiteRequest::Scopes => {
                json!({"scope_names": config.scopes.names, "default_scope": config.scopes.default})
            }
            SiteRequest::ConfigureLog => format!("successfully configured {} log", config.name).into(),
            SiteRequest::Restart => "Restart the client...".into(),
            SiteRequest::ShutDown => "Shutdown the client...".into(),
            SiteRequest::Shell { line, parser } => {
                let (clock, now) = (around.clock, around.now);
                let files = self.files(around.project, clock, around.release);
                Value::String(shell_text(line, parser, Place { files, clock, now })?)
            }
        })
    }
}

/// Runs a shell command as a site does, which checks the arguments once more.
fn shell_text(line: &str, parser: &Parser, place: Place<'_>) -> Result<String, NotModelled> {
    let check = |words: &[String]| {
        let refused = parser.parse(words.get(1..).unwrap_or_default()).err();
        refused.map(|error| format!("Error: {error}"))
    };
    Ok(match shell::execute(line, place, check)? {
        Ok(text) => text,
        Err(failure) => format!("exception_occurred: {failure}"),
    })
}

/// Why a site of the federation is not registered, and when it will be again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// Its entry was dropped. Its next heartbeat brings it back, with its token, but without its organisation.
    Forgotten(Moment),
    /// It is not let in.
    Disabled,
    /// It starts anew, and registers.
    Restarts(Moment),
    /// It has no server.
    Lost,
    /// It has ended.
    ShutDown,
}

impl Absence {
    const fn end(self) -> Option<Moment> {
        match self {
            Self::Forgotten(end) | Self::Restarts(end) => Some(end),
            Self::Disabled | Self::Lost | Self::ShutDown => None,
        }
    }
}

/// The registered sites, in the order in which they registered.
#[derive(Debug, Default)]
pub struct Sites {
    sites: Vec<Site>,
    away: Vec<(Site, Absence)>,
    by_name: HashMap<Arc<str>, usize>,
    by_token: HashMap<String, usize>,
}

/// A site of [`Sites`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SiteIndex(usize);

impl Sites {
    /// Registers sites at `now`, but for those in `disabled`, which keep trying.
    pub(super) fn register(
        configs: Vec<SiteConfig>,
        disabled: &[String],
        now: Moment,
        random: &mut Randomness,
    ) -> Self {
        let mut sites = Self::default();
        for config in configs {
            let is_disabled = disabled.contains(&config.name);
            let site = Site {
                name: config.name.as_str().into(),
                token: random.uuid(),
                registered: now,
                org_known: true,
                gone: (config.behaviour == SiteBehaviour::Gone).then_some(now),
                unwritten: Some(Vec::new()),
                config,
            };
            if is_disabled {
                sites.away.push((site, Absence::Disabled));
            } else {
                sites.sites.push(site);
            }
        }
        sites.index();
        sites
    }

    /// The server is gone, and with it every registration.
    pub(super) fn lose_server(&mut self) {
        let lost = self.sites.drain(..).map(|site| (site, Absence::Lost));
        self.away.splice(..0, lost);
        self.index();
    }

    /// The server is back. Sites that ran all the time send it a heartbeat as soon as they are connected again; those
    /// that were told to restart register.
    pub(super) fn find_server(&mut self, now: Moment) {
        let connected = now + RECONNECT;
        for (_, absence) in &mut self.away {
            match absence {
                Absence::Lost => *absence = Absence::Forgotten(connected),
                Absence::Forgotten(end) => *end = connected.max(*end),
                Absence::Restarts(end) => *end = (now + REGISTRATION).max(*end),
                Absence::Disabled | Absence::ShutDown => {}
            }
        }
    }

    fn index(&mut self) {
        self.by_name = self.sites.iter().enumerate().map(|(index, site)| (site.name.clone(), index)).collect();
        self.by_token = self.sites.iter().enumerate().map(|(index, site)| (site.token.clone(), index)).collect();
    }

    /// Forgets the sites that have been gone for too long; true when there was one.
    pub(super) fn forget_gone(&mut self, now: Moment) -> bool {
        let is_there = |site: &Site| site.gone.is_none() || now.since(site.last_heartbeat(now)) <= HEARTBEAT_TIMEOUT;
        if !self.sites.iter().all(is_there) {
            self.sites.retain(is_there);
            self.index();
            return true;
        }
        false
    }

    /// A site drops out.
    pub(super) fn leave(&mut self, index: SiteIndex, absence: Absence) {
        if index.0 < self.sites.len() {
            let site = self.sites.remove(index.0);
            self.away.push((site, absence));
            self.index();
        }
    }

    /// Drops the entry of a site, which knows nothing of it.
    pub(super) fn forget(&mut self, index: SiteIndex, now: Moment) {
        if let Some(site) = self.get(index) {
            let next = site.last_heartbeat(now) + HEARTBEAT;
            self.leave(index, Absence::Forgotten(next));
        }
    }

    /// Starts a site anew.
    pub(super) fn restart(&mut self, index: SiteIndex, now: Moment) {
        self.leave(index, Absence::Restarts(now + SITE_RESTART));
    }

    /// Keeps a site out; true when it was registered.
    pub(super) fn disable(&mut self, name: &str) -> bool {
        if let Some(index) = self.by_name.get(name).copied() {
            self.leave(SiteIndex(index), Absence::Disabled);
            return true;
        }
        for (site, absence) in &mut self.away {
            if *site.name == *name && *absence != Absence::ShutDown {
                *absence = Absence::Disabled;
            }
        }
        false
    }

    /// Lets a site in again, when it next tries.
    pub(super) fn enable(&mut self, name: &str, now: Moment) {
        for (site, absence) in &mut self.away {
            if *site.name == *name && *absence == Absence::Disabled {
                let tries = now.since(site.registered).as_secs() / RETRY.as_secs() + 1;
                *absence = Absence::Forgotten(site.registered + Duration::from_secs(tries * RETRY.as_secs()));
            }
        }
    }

    /// When the next site comes back.
    pub(super) fn next_return(&self) -> Option<Moment> {
        let is_there = |(site, _): &&(Site, Absence)| site.gone.is_none();
        self.away.iter().filter(is_there).filter_map(|(_, absence)| absence.end()).min()
    }

    /// Brings the next site back that is due. Says which, and whether it registered as if it were new.
    pub(super) fn come_back(&mut self, now: Moment, random: &mut Randomness) -> Option<(Arc<str>, bool)> {
        let due = self.next_return().filter(|due| *due <= now)?;
        let is_due = |(site, absence): &(Site, Absence)| site.gone.is_none() && absence.end() == Some(due);
        let (mut site, absence) = self.away.remove(self.away.iter().position(is_due)?);
        let is_new = matches!(absence, Absence::Restarts(_));
        if is_new {
            site.token = random.uuid();
        }
        site.registered = due;
        site.org_known = is_new;
        let name = site.name.clone();
        self.sites.push(site);
        self.index();
        Some((name, is_new))
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Site> {
        self.sites.iter()
    }

    /// The places of all of them.
    pub fn indexes(&self) -> impl Iterator<Item = SiteIndex> + use<> {
        (0..self.sites.len()).map(SiteIndex)
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, index: SiteIndex) -> Option<&Site> {
        self.sites.get(index.0)
    }

    /// The site with this token or name.
    #[must_use]
    pub fn find(&self, name_or_token: &str) -> Option<SiteIndex> {
        self.by_token.get(name_or_token).or_else(|| self.by_name.get(name_or_token)).copied().map(SiteIndex)
    }

    /// The site with this name.
    pub(super) fn named(&self, name: &str) -> Option<&Site> {
        self.sites.get(*self.by_name.get(name)?)
    }

    /// Changes how a site treats requests from now on; false when there is no such site.
    pub(super) fn set_behaviour(&mut self, name: &str, behaviour: SiteBehaviour, now: Moment) -> bool {
        let site = self.any_mut(name);
        site.is_some_and(|site| {
            site.config.behaviour = behaviour;
            site.gone = (behaviour == SiteBehaviour::Gone).then(|| site.gone.unwrap_or(now));
            true
        })
    }

    /// The files of a site; `None` when there is no such site.
    pub(super) fn files_mut(
        &mut self,
        name: &str,
        project: &str,
        clock: LocalTime,
        release: Release,
    ) -> Option<&mut VirtualFiles> {
        Some(self.any_mut(name)?.files(project, clock, release))
    }

    /// A site, registered or not.
    fn any_mut(&mut self, name: &str) -> Option<&mut Site> {
        match self.by_name.get(name) {
            Some(index) => self.sites.get_mut(*index),
            None => self.away.iter_mut().map(|(site, _)| site).find(|site| *site.name == *name),
        }
    }

    /// Asks one site, and waits for its answer no longer than `timeout`.
    pub(super) fn ask(
        &mut self,
        index: SiteIndex,
        request: SiteRequest<'_>,
        asker: Asker<'_>,
        timeout: Duration,
        mut around: Around<'_>,
    ) -> Result<Option<SiteAnswer>, NotModelled> {
        let Some(site) = self.sites.get_mut(index.0) else { return Ok(None) };
        let after = match site.config.behaviour {
            SiteBehaviour::Answers | SiteBehaviour::Refuses | SiteBehaviour::Gone => Duration::ZERO,
            SiteBehaviour::Slow(delay) => delay.min(timeout),
            SiteBehaviour::Silent => timeout,
        };
        let unanswered = SiteAnswer { site: site.name.clone(), reply: None, after };
        if matches!(site.config.behaviour, SiteBehaviour::Silent | SiteBehaviour::Gone) {
            return Ok(Some(unanswered));
        }
        site.audit(asker, request, &mut around);
        if matches!(site.config.behaviour, SiteBehaviour::Slow(delay) if delay >= timeout) {
            return Ok(Some(unanswered));
        }
        let nobody = Person::default();
        let policy = match site.config.behaviour {
            SiteBehaviour::Refuses => &Policy::nobody(),
            _ => &*site.config.policy,
        };
        let permitted = policy.authorize(asker.command, asker.person, &nobody, &site.config.org);
        let reply = match permitted {
            Ok(()) => SiteReply::Body(site.body(request, &around)?),
            Err(_) if around.allows_all => SiteReply::Body(site.body(request, &around)?),
            Err(refusal) => SiteReply::Refused(refusal),
        };
        Ok(Some(SiteAnswer { reply: Some(reply), ..unanswered }))
    }
}

/// What is around a request to a site.
pub(super) struct Around<'a> {
    pub(super) now: Moment,
    pub(super) clock: LocalTime,
    pub(super) release: Release,
    pub(super) version: &'static str,
    pub(super) project: &'a str,
    pub(super) random: &'a mut Randomness,
    /// The jobs that run on the site: `{"job_id", "app_name", "status"}` of each.
    pub(super) running: Vec<Value>,
    /// Sites ask nobody whether they may answer ([`Mutant::SitesAllowAll`](crate::Mutant::SitesAllowAll)).
    pub(super) allows_all: bool,
}
