//! Sets: which cases count for a release, of which level they are, and who is under test.
//!
//! `sets/<release>.txt` has a line per case, and is the only place where levels stand. A set is frozen: a case that a release
//! does not have is absent from its set, and `unsupported` there. The number of cases of a set is what coverage is
//! counted against, whatever a run selects.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::Release;

/// How much a case asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, ValueEnum)]
pub enum Level {
    /// Core: connect, prove who one is, log in, run jobs and look at them.
    #[value(name = "L1", alias = "l1")]
    L1,
    /// Complete: every documented method and argument, every role, studies, sites, the system.
    #[value(name = "L2", alias = "l2")]
    L2,
    /// Strict: the order of checks, exact statuses, shapes and texts, what no client of the official software sends.
    #[value(name = "L3", alias = "l3")]
    L3,
    /// Resilient: faults and time.
    #[value(name = "L4", alias = "l4")]
    L4,
}

impl Level {
    /// Every level, from the least to the most.
    pub const ALL: [Self; 4] = [Self::L1, Self::L2, Self::L3, Self::L4];

    /// The word that sets and reports use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
            Self::L4 => "L4",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who is under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleUnderTest {
    /// A server, with our client.
    Server,
    /// A client, with the simulator as referee.
    Client,
}

impl RoleUnderTest {
    /// The word that sets and reports use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }

    /// The role that a case with this id is of.
    #[must_use]
    pub fn of_case(id: &str) -> Self {
        if id.starts_with("client.") { Self::Client } else { Self::Server }
    }
}

impl fmt::Display for RoleUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The set of one release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    release: Release,
    cases: BTreeMap<String, (Level, RoleUnderTest)>,
}

/// The sets that are built in, oldest release first.
static SETS: LazyLock<Vec<Manifest>> = LazyLock::new(|| {
    let texts = [include_str!("../sets/2.7.txt"), include_str!("../sets/2.8.txt"), include_str!("../sets/2.9.txt")];
    [Release::new(2, 7), Release::new(2, 8), Release::V2_9]
        .into_iter()
        .zip(texts)
        .map(|(release, text)| Manifest::parse(release, text).expect("a test reads every set"))
        .collect()
});

impl Manifest {
    /// The set of this release: that of the newest one not after it, or of the oldest there is.
    #[must_use]
    pub fn of(release: Release) -> &'static Self {
        SETS.iter().rev().find(|set| set.release <= release).unwrap_or(&SETS[0])
    }

    /// The set of the newest release.
    #[must_use]
    pub fn newest() -> &'static Self {
        &SETS[SETS.len() - 1]
    }

    /// Every set, that of the oldest release first.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        SETS.iter()
    }

    /// Whose set it is.
    #[must_use]
    pub fn release(&self) -> Release {
        self.release
    }

    /// The level of a case; none when the release does not have it.
    #[must_use]
    pub fn level(&self, case: &str) -> Option<Level> {
        self.cases.get(case).map(|(level, _)| *level)
    }

    /// Ids of the cases of this role.
    pub fn cases(&self, role: RoleUnderTest) -> impl Iterator<Item = &str> {
        self.cases.iter().filter(move |(_, (_, of))| *of == role).map(|(id, _)| id.as_str())
    }

    /// What coverage is counted against: how many cases of this role the release has.
    #[must_use]
    pub fn size(&self, role: RoleUnderTest) -> usize {
        self.cases(role).count()
    }

    /// Reads a set: a line `level role case-id` per case, `#` starts a comment line.
    fn parse(release: Release, text: &str) -> Result<Self, String> {
        let mut cases = BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let (Some(level), Some(role), Some(id), None) = (words.next(), words.next(), words.next(), words.next())
            else {
                return Err(format!("{release}: `{line}` is not `level role case-id`"));
            };
            let level = Level::ALL.into_iter().find(|known| known.as_str() == level);
            let role = [RoleUnderTest::Server, RoleUnderTest::Client].into_iter().find(|known| known.as_str() == role);
            let (Some(level), Some(role)) = (level, role) else {
                return Err(format!("{release}: `{line}` names no level or no role"));
            };
            if cases.insert(id.to_owned(), (level, role)).is_some() {
                return Err(format!("{release}: {id} stands twice"));
            }
        }
        Ok(Self { release, cases })
    }

    /// What is wrong with the sets in the light of the cases that there are of a role; empty when nothing is.
    ///
    /// Whoever adds a case of that role sees here that it is in no set.
    #[must_use]
    pub fn problems(role: RoleUnderTest, ids: &[&str]) -> Vec<String> {
        let mut problems = Vec::new();
        for id in ids {
            if RoleUnderTest::of_case(id) != role {
                problems.push(format!("{id} does not have the id of a case of role {role}"));
            }
            if Self::newest().level(id).is_none() {
                problems.push(format!("{id} is in no set: give it a level in sets/{}.txt", Self::newest().release));
            }
        }
        for set in Self::all() {
            for id in set.cases(role) {
                if !ids.contains(&id) {
                    problems.push(format!("sets/{}.txt names {id}, which is no case", set.release));
                }
                if set.level(id) != Self::newest().level(id) {
                    problems.push(format!("{id} has another level in sets/{}.txt", set.release));
                }
            }
        }
        problems
    }
}

/// The first release that has a case; none for a case that is in no set.
#[must_use]
pub fn first_release(case: &str) -> Option<Release> {
    Manifest::all().find(|set| set.level(case).is_some()).map(Manifest::release)
}

/// The oldest release that has a set.
#[must_use]
pub fn oldest_release() -> Release {
    SETS[0].release
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suites;

    #[test]
    fn every_case_of_a_server_is_in_a_set_and_every_line_of_a_set_is_a_case() {
        let cases = suites::all();
        let ids: Vec<&str> = cases.iter().map(crate::Case::id).collect();
        assert_eq!(Manifest::problems(RoleUnderTest::Server, &ids), Vec::<String>::new());
    }

    #[test]
    fn a_case_without_a_level_and_a_level_without_a_case_are_told() {
        let cases = suites::all();
        let mut ids: Vec<&str> = cases.iter().map(crate::Case::id).collect();
        let gone = ids.pop().expect("there are cases");
        ids.push("handshake.invented");
        let problems = Manifest::problems(RoleUnderTest::Server, &ids).join("\n");
        assert!(problems.contains("handshake.invented is in no set"), "{problems}");
        assert!(problems.contains(&format!("names {gone}, which is no case")), "{problems}");
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let parse = |text: &str| Manifest::parse(Release::new(2, 9), text);
        assert_eq!(parse("L1 server a.b c").unwrap_err(), "2.9: `L1 server a.b c` is not `level role case-id`");
        assert_eq!(parse("L5 server a.b").unwrap_err(), "2.9: `L5 server a.b` names no level or no role");
        assert_eq!(parse("L1 server a.b\nL2 server a.b").unwrap_err(), "2.9: a.b stands twice");
        let set = parse("# core\n\nL1 server a.b\nL4 client client.c\n").unwrap();
        assert_eq!(set.level("a.b"), Some(Level::L1));
        assert_eq!([set.size(RoleUnderTest::Server), set.size(RoleUnderTest::Client)], [1, 1]);
    }

    #[test]
    fn a_release_without_a_set_of_its_own_has_that_of_the_one_before() {
        assert_eq!(Manifest::of(Release::new(2, 9)).release(), Release::new(2, 9));
        assert_eq!(Manifest::of(Release::new(2, 11)).release(), Manifest::newest().release());
        assert_eq!(Manifest::of(Release::new(2, 6)).release(), oldest_release());
    }
}
