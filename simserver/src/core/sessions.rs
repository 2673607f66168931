//! Sessions of admins.
//!
//! A session is what its token says, plus two times. The token is signed and tells everything, so a session that the
//! server has forgotten, by logout, expiry or restart, comes back with the next command.
//!
//! Source: `reference/server-behaviour.md` section 4.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use flare_wire::auth::SessionToken;
use flare_wire::{Moment, PublicKey};

use super::passes::Passes;
use super::remembered::Remembered;
use crate::mutants::{Mutant, Mutants};
use crate::release::Release;

/// A session that no command was sent in for this long is ended.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(1800);

/// What the client of a session that was ended is told.
pub(super) const fn expired(release: Release) -> &'static str {
    match release {
        Release::V2_9 => "Your session is closed due to inactivity or cert expiry.",
        Release::V2_7 | Release::V2_8 => "Your session is closed due to inactivity.",
    }
}

/// Sessions at a time. The real server has no limit; since a session lives for half an hour after its last command,
/// a client in a loop could fill the memory. The one that was idle longest makes room, and comes back when needed.
const MAX_SESSIONS: usize = 100_000;

/// A session.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// User, organisation, role, study and id.
    pub token: SessionToken,
    /// The endpoint that logged in, or brought the session back; it is told when the session ends.
    pub origin: String,
    /// When it was opened or brought back.
    pub started: Moment,
    /// When its last command came.
    pub last_active: Moment,
}

impl Session {
    /// The first moment at which it counts as expired.
    fn expires(&self) -> Moment {
        // "More than 1800 seconds" on the one hand, "when the certificate ends" on the other.
        let idle = self.last_active + IDLE_TIMEOUT + Duration::from_nanos(1);
        self.certificate_expiry().map_or(idle, |expiry| expiry.min(idle))
    }

    fn certificate_expiry(&self) -> Option<Moment> {
        self.token.cert_expiry.filter(|expiry| *expiry != Moment::default())
    }

    fn is_certificate_expired(&self, now: Moment) -> bool {
        self.certificate_expiry().is_some_and(|expiry| now >= expiry)
    }
}

/// What looking up a session brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// It is there.
    Found,
    /// It is not there.
    Unknown,
    /// It was there, and was ended since the user's certificate has expired; this endpoint should be told.
    CertificateExpired(String),
}

/// All sessions.
pub(super) struct Sessions {
    passes: Passes,
    mutants: Mutants,
    /// In the order in which they came.
    sessions: BTreeMap<u64, Session>,
    by_id: HashMap<String, u64>,
    expiries: BTreeSet<(Moment, u64)>,
    next: u64,
    /// The last look that ended a session: each ends at most one.
    last_pass: Option<Moment>,
    verified: Remembered<String, SessionToken>,
}

impl Sessions {
    pub(super) fn new(passes: Passes, mutants: Mutants) -> Self {
        Self {
            passes,
            mutants,
            sessions: BTreeMap::new(),
            by_id: HashMap::new(),
            expiries: BTreeSet::new(),
            next: 0,
            last_pass: None,
            verified: Remembered::default(),
        }
    }

    /// Reads a token that this server signed.
    pub(super) fn decode(&mut self, token: &str, key: &PublicKey) -> Option<SessionToken> {
        let unverified = self.mutants.has(Mutant::SessionTokenUnverified);
        let decode = |token: &str| {
            SessionToken::decode(token, key).ok().or_else(|| SessionToken::read(token).ok().filter(|_| unverified))
        };
        self.verified.get_or_check(token, decode).cloned()
    }

    /// Opens a session, or brings one back.
    pub(super) fn open(&mut self, now: Moment, token: SessionToken, origin: &str) {
        self.end(&token.session_id);
        if self.sessions.len() >= MAX_SESSIONS
            && let Some((_, longest_idle)) = self.expiries.first()
            && let Some(session) = self.sessions.get(longest_idle)
        {
            let id = session.token.session_id.clone();
            self.end(&id);
        }
        let session = Session { token, origin: origin.to_owned(), started: now, last_active: now };
        self.by_id.insert(session.token.session_id.clone(), self.next);
        self.expiries.insert((session.expires(), self.next));
        self.sessions.insert(self.next, session);
        self.next += 1;
    }

    /// Looks for the session of `token`; one whose certificate has expired is ended on the spot.
    pub(super) fn look_up(&mut self, now: Moment, token: &SessionToken) -> Lookup {
        match self.get(&token.session_id) {
            None => Lookup::Unknown,
            Some(session) if session.is_certificate_expired(now) => {
                let origin = session.origin.clone();
                self.end(&token.session_id);
                Lookup::CertificateExpired(origin)
            }
            Some(_) => Lookup::Found,
        }
    }

    /// Notes that a command came.
    pub(super) fn mark_active(&mut self, now: Moment, id: &str) {
        let Some(number) = self.by_id.get(id) else { return };
        let Some(session) = self.sessions.get_mut(number) else { return };
        self.expiries.remove(&(session.expires(), *number));
        session.last_active = session.last_active.max(now);
        self.expiries.insert((session.expires(), *number));
    }

    /// Forgets a session.
    pub(super) fn end(&mut self, id: &str) -> Option<Session> {
        let number = self.by_id.remove(id)?;
        let session = self.sessions.remove(&number)?;
        self.expiries.remove(&(session.expires(), number));
        Some(session)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Session> {
        self.sessions.get(self.by_id.get(id)?)
    }

    /// All sessions in the order in which they were opened or brought back.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    /// The next look that will find an expired session.
    pub(super) fn next_pass(&self) -> Option<Moment> {
        if self.mutants.has(Mutant::SessionsNeverExpire) {
            return None;
        }
        let (expires, _) = self.expiries.first()?;
        let pass = self.passes.first_from(*expires);
        Some(match self.last_pass {
            Some(last) if pass <= last => self.passes.first_after(last),
            _ => pass,
        })
    }

    /// Ends what the looks up to `now` find: each the first of the expired ones. Returns the ended sessions.
    pub(super) fn advance(&mut self, now: Moment) -> Vec<Session> {
        let mut ended = Vec::new();
        while let Some(pass) = self.next_pass().filter(|pass| *pass <= now) {
            let expired = self.expiries.range(..=(pass, u64::MAX)).map(|(_, number)| *number).min();
            let session = expired.and_then(|number| self.sessions.get(&number));
            let Some(id) = session.map(|session| session.token.session_id.clone()) else { break };
            ended.extend(self.end(&id));
            self.last_pass = Some(pass);
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Moment {
        Moment::from_unix(Duration::from_secs(seconds))
    }

    fn token(id: &str, cert_expiry: Option<Moment>) -> SessionToken {
        SessionToken {
            name: "a@b.c".into(),
            role: "lead".into(),
            org: "o".into(),
            session_id: id.into(),
            study: "default".into(),
            cert_expiry,
        }
    }

    fn sessions() -> Sessions {
        Sessions::new(Passes::new(seconds(0)), Mutants::NONE)
    }

    fn ids(ended: Vec<Session>) -> Vec<String> {
        ended.into_iter().map(|session| session.token.session_id).collect()
    }

    #[test]
    fn an_idle_session_ends_at_the_first_look_after_half_an_hour() {
        let mut sessions = sessions();
        sessions.open(seconds(100), token("a", None), "x");
        sessions.mark_active(seconds(200), "a");
        // At 2000 it is idle for exactly the limit.
        assert_eq!(sessions.next_pass(), Some(seconds(2005)));
        assert!(ids(sessions.advance(seconds(2004))).is_empty());
        assert_eq!(ids(sessions.advance(seconds(2005))), ["a"]);
        assert_eq!(sessions.next_pass(), None);
    }

    #[test]
    fn one_session_ends_per_look_the_oldest_first() {
        let mut sessions = sessions();
        for id in ["a", "b", "c"] {
            sessions.open(seconds(100), token(id, None), "x");
        }
        sessions.mark_active(seconds(101), "a");
        assert_eq!(ids(sessions.advance(seconds(1905))), ["a"]);
        assert_eq!(sessions.next_pass(), Some(seconds(1910)));
        assert_eq!(ids(sessions.advance(seconds(10_000))), ["b", "c"]);
    }

    #[test]
    fn a_session_ends_with_the_certificate_of_its_user() {
        let mut sessions = sessions();
        sessions.open(seconds(100), token("a", Some(seconds(300))), "x");
        assert!(matches!(sessions.look_up(seconds(299), &token("a", None)), Lookup::Found));
        assert_eq!(sessions.next_pass(), Some(seconds(300)));
        assert!(
            matches!(sessions.look_up(seconds(300), &token("a", None)), Lookup::CertificateExpired(origin) if origin == "x")
        );
        assert!(matches!(sessions.look_up(seconds(300), &token("a", None)), Lookup::Unknown));
    }
}
