//! The cases, grouped by what they are about, and the requirements they check.

mod api;
mod authentication;
mod connecting;
mod expiry;
mod handshake;
mod jobs;
mod login;
mod messages;
mod own;
mod protocol;
mod recorded;
mod sessions;
mod sites;
mod streams;
mod studies;
mod system;

use crate::{Case, Requirement};

/// Every requirement, by suite.
pub(crate) static REQUIREMENTS: &[&[Requirement]] = &[
    handshake::REQUIREMENTS,
    messages::REQUIREMENTS,
    streams::REQUIREMENTS,
    authentication::REQUIREMENTS,
    login::REQUIREMENTS,
    sessions::REQUIREMENTS,
    expiry::REQUIREMENTS,
    protocol::REQUIREMENTS,
    connecting::REQUIREMENTS,
    api::REQUIREMENTS,
    recorded::REQUIREMENTS,
    jobs::REQUIREMENTS,
    studies::REQUIREMENTS,
    sites::REQUIREMENTS,
    system::REQUIREMENTS,
];

/// Every case.
#[must_use]
pub fn all() -> Vec<Case> {
    [
        handshake::cases(),
        messages::cases(),
        streams::cases(),
        authentication::cases(),
        login::cases(),
        sessions::cases(),
        expiry::cases(),
        protocol::cases(),
        connecting::cases(),
        api::cases(),
        recorded::cases(),
        jobs::cases(),
        studies::cases(),
        sites::cases(),
        system::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::requirement;

    #[test]
    fn ids_are_unique_and_well_formed() {
        let mut seen = BTreeSet::new();
        for case in all() {
            let well_formed = case.id().split('.').count() >= 2
                && case.id().chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-'));
            assert!(well_formed, "{}", case.id());
            assert!(seen.insert(case.id().to_owned()), "{} exists twice", case.id());
        }
    }

    #[test]
    fn every_case_names_existing_requirements_and_every_requirement_has_a_case() {
        let mut checked = BTreeSet::new();
        for case in all() {
            assert!(!case.requirements().is_empty(), "{} checks nothing", case.id());
            for id in case.requirements() {
                assert!(requirement::find(id).is_some(), "{} names the unknown {id}", case.id());
                checked.insert(*id);
            }
        }
        let mut ids = BTreeSet::new();
        for requirement in requirement::all() {
            assert!(ids.insert(requirement.id), "{} exists twice", requirement.id);
            assert!(checked.contains(requirement.id), "{} has no case", requirement.id);
        }
    }
}
