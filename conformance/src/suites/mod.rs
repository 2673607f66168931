//! The cases, grouped by what they are about.

mod api;
mod authentication;
mod connecting;
mod expiry;
mod fladmin;
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
mod uploads;

use crate::{Case, Need, manifest};

/// Every case.
#[must_use]
pub fn all() -> Vec<Case> {
    [
        handshake::cases(),
        messages::cases(),
        streams::cases(),
        uploads::cases(),
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
        fladmin::cases(),
    ]
    .into_iter()
    .flatten()
    .map(|case| match manifest::first_release(case.id()) {
        Some(release) if release > manifest::oldest_release() => case.needs([Need::Release(release)]),
        _ => case,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

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
}
