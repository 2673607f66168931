//! A simulated federation with the people and sites of the one that the reference replies were recorded on.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test binary uses its own part of this; what goes wrong fails it"
)]

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use flare_simserver::blob::Blob;
use flare_simserver::commands::{Answer, Checked, Incoming, Submission, check_archive, finish, handle};
use flare_simserver::core::{Effect, ServerConfig, Sim, SimConfig, SiteConfig, VirtualFiles};
use flare_simserver::jobs::definition::Refusal;
use flare_simserver::pki::{Authority, Identity, KeyPair, Subject, Validity};
use flare_wire::auth::LoginHeaders;
use flare_wire::hci::{Item, Reply};
use flare_wire::{Moment, Randomness};
use serde_json::{Value, json};

/// Name, organisation, role.
pub(crate) const USERS: [(&str, &str, &str); 8] = [
    ("admin@nvidia.com", "nvidia", "project_admin"),
    ("orgadmin@nvidia.com", "nvidia", "org_admin"),
    ("lead@nvidia.com", "nvidia", "lead"),
    ("lead2@nvidia.com", "nvidia", "lead"),
    ("member@nvidia.com", "nvidia", "member"),
    ("orgadmin@acme.org", "acme", "org_admin"),
    ("lead@acme.org", "acme", "lead"),
    ("member@acme.org", "acme", "member"),
];

/// The sites and their organisations.
pub(crate) const SITES: [(&str, &str); 3] = [("site-1", "nvidia"), ("site-2", "nvidia"), ("site-3", "acme")];

/// Name of the project.
pub(crate) const PROJECT: &str = "example_project";

/// Where the workspaces lie.
pub(crate) const PROD: &str = "<POC>/example_project/prod_00";

/// A time shortly before the recording, from which the certificates are valid.
pub(crate) const ISSUED: Moment = Moment::from_unix(Duration::from_secs(1_795_300_000));

/// The project's authority, and the certificates that it issued.
pub(crate) struct Pki {
    pub(crate) authority: Authority,
    pub(crate) server: Identity,
    pub(crate) people: HashMap<&'static str, Identity>,
}

impl Pki {
    /// A project with its own authority; making keys takes a moment.
    pub(crate) fn new(project: &str) -> Self {
        let mut random = Randomness::from_number(1);
        let key = || KeyPair::generate().unwrap();
        let authority = Authority::create(project, key(), Validity::starting(ISSUED), &mut random).unwrap();
        let server = Subject::new("server").organization("nvidia").role("server");
        let server = authority.issue(&server, key(), ISSUED, &mut random).unwrap();
        let shared = key();
        let mut issue = |(name, org, role): (&'static str, &str, &str)| {
            let subject = Subject::new(name).organization(org).role(role);
            (name, authority.issue(&subject, shared.clone(), ISSUED, &mut random).unwrap())
        };
        let people = USERS.into_iter().map(&mut issue).collect();
        Self { authority, server, people }
    }

    /// The certificate of a user.
    pub(crate) fn person(&self, name: &str) -> &Identity {
        &self.people[name]
    }

    /// What a user sends to log in.
    pub(crate) fn login_headers(&self, user: &str, study: &str) -> LoginHeaders {
        let identity = self.person(user);
        let signature = identity.key().signer().sign(&mut Randomness::from_number(2), user.as_bytes());
        LoginHeaders::new(user, identity.pem().as_bytes(), &signature, study)
    }
}

/// The authority of all federations of one test binary.
pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(|| Pki::new(PROJECT));

/// No headers at all.
pub(crate) fn no_headers() -> LoginHeaders {
    LoginHeaders { user_name: None, certificate: None, signature: None, study: None }
}

/// A configuration with `sites`, or fewer, of [`SITES`], in this order.
pub(crate) fn config(sites: &[&str], created: Moment) -> SimConfig {
    let workspace = |name: &str| VirtualFiles::new(&format!("{PROD}/{name}"), created);
    let server = ServerConfig {
        files: workspace("server"),
        ..ServerConfig::new(
            "nvidia",
            PKI.server.key().signer(),
            PKI.server.pem().as_bytes().to_vec(),
            vec![PKI.authority.certificate().clone()],
        )
    };
    let site = |name: &&str| {
        let (name, org) = SITES.iter().find(|(known, _)| known == name).copied().unwrap_or((name, "nvidia"));
        SiteConfig {
            workspace: workspace(name).into(),
            root_url: "http://localhost:8202".to_owned(),
            ..SiteConfig::new(name, org)
        }
    };
    let mut config = SimConfig { sites: sites.iter().map(site).collect(), ..SimConfig::new(PROJECT, server) };
    // Jobs that a recording tells of stay as they were at its moment.
    config.job_settings.policy.max_jobs = 0;
    // Those of running jobs were made some time after the start.
    config.job_settings.timings.check_in = Duration::ZERO;
    config.job_settings.timings.warm_up = Duration::ZERO;
    config
}

/// A server and the time that its calls are made at.
pub(crate) struct Federation {
    pub(crate) sim: Sim,
    pub(crate) now: Moment,
    /// What the server said by itself.
    pub(crate) effects: Vec<Effect>,
}

impl Federation {
    /// Starts a server at `now`.
    pub(crate) fn start(config: SimConfig, seed: u64, now: Moment) -> Self {
        let sim = Sim::new(config, Randomness::from_number(seed), now).unwrap();
        Self { sim, now, effects: Vec::new() }
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, by: Duration) {
        self.now = self.now + by;
        self.effects.extend(self.sim.advance(self.now));
    }

    /// Logs a user in; returns the token.
    pub(crate) fn login(&mut self, user: &str, study: &str) -> String {
        let headers = PKI.login_headers(user, study);
        let reply = self.send_raw(&request(&format!("_cert_login {user}"), None, &json!({})), &headers);
        token_of(&reply).unwrap_or_else(|| panic!("{user} cannot log in to {study}: {reply:?}"))
    }

    /// Sends a command of a session and waits for the reply.
    pub(crate) fn send(&mut self, line: &str, token: &str) -> Reply {
        self.send_with(line, Some(token), &json!({}))
    }

    /// Sends a command with or without a token, and with settings.
    pub(crate) fn send_with(&mut self, line: &str, token: Option<&str>, meta: &Value) -> Reply {
        self.send_raw(&request(line, token, meta), &no_headers())
    }

    /// Sends a command with a file, and returns the reply that goes with the answer to its last piece.
    pub(crate) fn upload(&mut self, line: &str, token: &str, meta: &Value, archive: &[u8]) -> Reply {
        match self.begin_upload(line, token, meta) {
            Ok(submission) => self.finish_upload(Self::check_upload(submission, archive)),
            Err(reply) => reply,
        }
    }

    /// The first part of [`Federation::upload`]: what is said before anybody looks at the archive.
    pub(crate) fn begin_upload(&mut self, line: &str, token: &str, meta: &Value) -> Result<Submission, Reply> {
        let text = request(line, Some(token), meta);
        let incoming = Incoming { origin: "_admin_1", text: &text, login: &no_headers(), has_upload: true };
        match handle(&mut self.sim, self.now, incoming) {
            Answer::Submit(submission) => Ok(*submission),
            Answer::Now(reply) => Err(reply),
            Answer::Later(_) => panic!("no site is asked about an upload"),
        }
    }

    /// The second part: what the archive holds.
    pub(crate) fn check_upload(submission: Submission, archive: &[u8]) -> Upload {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(archive).unwrap();
        let archive = Blob::temporary(file.into_temp_path());
        let checked = check_archive(&submission, &archive);
        Upload { submission, checked, archive }
    }

    /// The last part: the job.
    pub(crate) fn finish_upload(&mut self, upload: Upload) -> Reply {
        finish(&mut self.sim, self.now, upload.submission, upload.checked, upload.archive)
    }

    /// Sends any text as a request, and lets time pass until the reply is there.
    pub(crate) fn send_raw(&mut self, text: &str, login: &LoginHeaders) -> Reply {
        let incoming = Incoming { origin: "_admin_1", text, login, has_upload: false };
        let ticket = match handle(&mut self.sim, self.now, incoming) {
            Answer::Now(reply) => return reply,
            Answer::Later(ticket) => ticket,
            Answer::Submit(_) => panic!("nothing is uploaded here"),
        };
        loop {
            let deadline = self.sim.next_deadline().expect("a reply that comes later has a deadline");
            self.now = self.now.max(deadline);
            for effect in self.sim.advance(self.now) {
                match effect {
                    Effect::Answered { ticket: answered, reply } if answered == ticket => return reply,
                    other => self.effects.push(other),
                }
            }
        }
    }

    /// A site's entry is dropped, and its next heartbeat brings it back, as after any loss of the entry.
    pub(crate) fn come_back(&mut self, site: &str) {
        let token = self.login("admin@nvidia.com", "default");
        self.send(&format!("remove_client {site}"), &token);
        assert!(self.sim.sites().find(site).is_none());
        self.advance(Duration::from_secs(10));
        assert!(self.sim.sites().find(site).is_some());
    }

    /// Text of the first item of a reply.
    pub(crate) fn first_text(reply: &Reply) -> &str {
        match reply.data.first() {
            Some(Item::String(text) | Item::Error(text) | Item::Success(text)) => text,
            other => panic!("no text: {other:?}"),
        }
    }
}

/// An upload that was looked at and is no job yet.
pub(crate) struct Upload {
    submission: Submission,
    checked: Result<Checked, Refusal>,
    archive: Blob,
}

/// The token of a successful login.
pub(crate) fn token_of(reply: &Reply) -> Option<String> {
    reply.data.iter().find_map(|item| match item {
        Item::Token(token) => Some(token.clone()),
        _ => None,
    })
}

/// The text of a request.
pub(crate) fn request(line: &str, token: Option<&str>, meta: &Value) -> String {
    let mut data = vec![json!({"type": "command", "data": line})];
    data.extend(token.map(|token| json!({"type": "token", "data": token})));
    json!({"time": "", "data": data, "meta": meta}).to_string()
}
