//! Random sequences of logins, commands, logouts, forgeries and time, with what has to hold after every step.
//!
//! A failure shows the shortest sequence that proptest finds.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

mod federation;

use std::collections::BTreeMap;
use std::time::Duration;

use federation::{Federation, ISSUED, USERS, config};
use flare_simserver::core::Effect;
use flare_wire::Moment;
use flare_wire::hci::Reply;
use proptest::prelude::*;

const IDLE: Duration = Duration::from_secs(1800);
const PASS: Duration = Duration::from_secs(5);

/// A command, and who may use it under the default policy on a server of `nvidia`
/// (`reference/server-behaviour.md` section 2.2).
const COMMANDS: [(&str, Permission); 8] = [
    ("check_status server", |_, _| true),
    ("list_sessions", |_, _| true),
    ("list_jobs", |_, _| true),
    ("pwd server", of_server),
    ("sys_info server", of_server),
    ("report_resources server", of_server),
    ("report_version server", |role, _| role == "project_admin"),
    ("admin_check_status server", |role, _| role == "project_admin"),
];

/// Tells whether somebody of this role and organisation may.
type Permission = fn(role: &str, org: &str) -> bool;

fn of_server(role: &str, org: &str) -> bool {
    role == "project_admin" || (matches!(role, "org_admin" | "lead") && org == "nvidia")
}

#[derive(Debug, Clone)]
enum Step {
    Login(usize),
    Command {
        session: usize,
        command: usize,
    },
    Logout(usize),
    CheckSession(usize),
    /// A token that was issued, with one character changed.
    Forge {
        session: usize,
        at: usize,
        to: char,
        command: usize,
    },
    Wait(u64),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let session = 0..8_usize;
    let command = 0..COMMANDS.len();
    let step = prop_oneof![
        3 => (0..USERS.len()).prop_map(Step::Login),
        6 => (session.clone(), command.clone()).prop_map(|(session, command)| Step::Command { session, command }),
        1 => session.clone().prop_map(Step::Logout),
        2 => session.clone().prop_map(Step::CheckSession),
        2 => (session, 0..600_usize, "[A-Za-z0-9+/:=]", command).prop_map(|(session, at, to, command)| Step::Forge {
            session,
            at,
            to: to.chars().next().unwrap_or('A'),
            command,
        }),
        3 => prop_oneof![0..10_u64, 1700..1900_u64, 0..100_000_u64].prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..25)
}

/// What the test knows about a token that was issued.
struct Issued {
    token: String,
    user: (&'static str, &'static str, &'static str),
    /// When its session was used last; `None` when there is no session.
    alive: Option<Moment>,
}

struct Model {
    federation: Federation,
    issued: Vec<Issued>,
    ids: BTreeMap<String, usize>,
    restarts: u64,
}

impl Model {
    fn new() -> Self {
        let started = ISSUED + Duration::from_secs(60);
        Self {
            federation: Federation::start(config(&["site-1"], ISSUED), 5, started),
            issued: Vec::new(),
            ids: BTreeMap::new(),
            restarts: 0,
        }
    }

    /// The token that a step means, when there is any.
    fn pick(&self, session: usize) -> Option<usize> {
        (!self.issued.is_empty()).then(|| session % self.issued.len())
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Login(user) => self.login(USERS[*user]),
            Step::Command { session, command } => {
                if let Some(at) = self.pick(*session) {
                    let token = self.issued[at].token.clone();
                    let reply = self.federation.send(COMMANDS[*command].0, &token);
                    self.issued[at].alive = Some(self.federation.now);
                    let (_, org, role) = self.issued[at].user;
                    assert_eq!(
                        passes(&reply),
                        (COMMANDS[*command].1)(role, org),
                        "{:?}: {reply:?}",
                        COMMANDS[*command].0
                    );
                }
            }
            Step::Logout(session) => {
                if let Some(at) = self.pick(*session) {
                    let token = self.issued[at].token.clone();
                    assert_eq!(Federation::first_text(&self.federation.send("_logout", &token)), "OK");
                    self.issued[at].alive = None;
                }
            }
            Step::CheckSession(session) => {
                if let Some(at) = self.pick(*session) {
                    let token = self.issued[at].token.clone();
                    let is_ok = Federation::first_text(&self.federation.send("_check_session", &token)) == "OK";
                    assert_eq!(is_ok, self.issued[at].alive.is_some());
                }
            }
            Step::Forge { session, at, to, command } => {
                if let Some(issued) = self.pick(*session) {
                    self.forge(issued, *at, *to, COMMANDS[*command].0);
                }
            }
            Step::Wait(seconds) => self.federation.advance(Duration::from_secs(*seconds)),
            Step::Restart => {
                let now = self.federation.now;
                self.restarts += 1;
                self.federation = Federation::start(config(&["site-1"], ISSUED), 5 + self.restarts, now);
                self.issued.iter_mut().for_each(|issued| issued.alive = None);
            }
        }
        self.note_expiries();
        self.check();
    }

    fn login(&mut self, user: (&'static str, &'static str, &'static str)) {
        let token = self.federation.login(user.0, "default");
        let id = self.federation.sim.sessions().last().unwrap().token.session_id.clone();
        let known = self.ids.insert(id, self.issued.len());
        assert_eq!(known, None, "an id was given out twice");
        self.issued.push(Issued { token, user, alive: Some(self.federation.now) });
    }

    /// A changed token works for nothing, unless the change is none: base64 has characters whose last bits do not
    /// count.
    fn forge(&mut self, issued: usize, at: usize, to: char, command: &str) {
        let mut forged: Vec<char> = self.issued[issued].token.chars().collect();
        let at = at % forged.len();
        if forged[at] == to {
            return;
        }
        forged[at] = to;
        let forged: String = forged.into_iter().collect();
        let before = self.federation.sim.sessions().count();
        let reply = self.federation.send(command, &forged);
        assert_eq!(Federation::first_text(&reply), "session_inactive", "{forged}");
        assert_eq!(self.federation.sim.sessions().count(), before);
    }

    fn note_expiries(&mut self) {
        for effect in std::mem::take(&mut self.federation.effects) {
            let Effect::SessionExpired { .. } = effect else { panic!("{effect:?}") };
        }
        let alive: Vec<&str> =
            self.federation.sim.sessions().map(|session| session.token.session_id.as_str()).collect();
        for (id, at) in &self.ids {
            let issued = &mut self.issued[*at];
            if let Some(used) = issued.alive
                && !alive.contains(&id.as_str())
            {
                assert!(self.federation.now.since(used) > IDLE, "a session was ended too early");
                issued.alive = None;
            }
        }
    }

    fn check(&self) {
        let now = self.federation.now;
        let mut count = 0;
        for session in self.federation.sim.sessions() {
            count += 1;
            let issued = &self.issued[self.ids[&session.token.session_id]];
            assert_eq!(issued.alive, Some(session.last_active));
            assert_eq!((issued.user.0, issued.user.1), (session.token.name.as_str(), session.token.org.as_str()));
            assert_eq!(issued.user.2, session.token.role);
        }
        assert_eq!(count, self.issued.iter().filter(|issued| issued.alive.is_some()).count());
        // One session goes at each look, so the last of many, some of which have gone already, goes that much later.
        let longest = self.federation.sim.sessions().map(|session| now.since(session.last_active)).max();
        assert!(longest.unwrap_or_default() <= IDLE + PASS * u32::try_from(self.issued.len() + 1).unwrap());
        match self.federation.sim.next_deadline() {
            Some(deadline) => assert!(deadline > now || !self.is_settled(), "the deadline is over"),
            None => assert_eq!(count, 0),
        }
    }

    /// False when commands came after the last look at the clock.
    fn is_settled(&self) -> bool {
        self.federation.sim.sessions().all(|session| self.federation.now.since(session.last_active) <= IDLE)
    }
}

/// True when a reply shows that the command ran.
fn passes(reply: &Reply) -> bool {
    let text = reply.to_json();
    assert!(!text.contains("session_inactive"), "{text}");
    let refused = text.contains("not authorized for");
    assert_eq!(refused, text.contains("\"status\": \"not_authorized\""), "{text}");
    !refused
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn sessions_and_rights_hold_in_any_order_of_events(steps in steps()) {
        let mut model = Model::new();
        for step in &steps {
            model.run(step);
        }
    }

    /// Whatever is sent, there is a reply, and nobody gets in.
    #[test]
    fn any_text_gets_a_reply(text in ".{0,200}", line in "[ -~]{0,80}") {
        let mut federation = Model::new().federation;
        let token = federation.login("admin@nvidia.com", "default");
        let login = federation::no_headers();
        federation.send_raw(&text, &login);
        let line = format!("{} {line}", ["grep server", "ls server", "list_jobs", "check_status", ""][line.len() % 5]);
        federation.send(&line, &token);
        let reply = federation.send_with(&line, None, &serde_json::json!({}));
        prop_assert!(!reply.to_json().contains("\"status\": \"ok\""));
    }
}
