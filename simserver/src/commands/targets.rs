//! Which participants a command is for: `server`, `client [names...]`, `all`.
//!
//! Source: `reference/server-behaviour.md` section 3.

use flare_wire::auth::DEFAULT_STUDY;
use flare_wire::hci::MetaStatus;

use super::call::{Call, Step};
use super::ids;
use crate::core::SiteIndex;

/// A kind of target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TargetKind {
    Server,
    Client,
    All,
}

impl TargetKind {
    pub(super) fn read(word: &str) -> Option<Self> {
        match word {
            "server" => Some(Self::Server),
            "client" => Some(Self::Client),
            "all" => Some(Self::All),
            _ => None,
        }
    }

    /// True when the server itself is meant.
    pub(super) const fn has_server(self) -> bool {
        matches!(self, Self::Server | Self::All)
    }

    /// True when sites are meant.
    pub(super) const fn has_sites(self) -> bool {
        matches!(self, Self::Client | Self::All)
    }
}

/// The participants a command is for.
#[derive(Debug, Clone, Default)]
pub(super) struct Targets {
    /// The sites; none for target `server`.
    pub(super) sites: Vec<SiteIndex>,
}

impl Call<'_> {
    /// Reads targets from `words` and checks them; the session's study leaves sites out.
    pub(super) fn read_targets(&mut self, words: &[String]) -> Step<TargetKind> {
        match self.targets_of(words) {
            Ok((kind, sites)) => {
                self.targets.sites = sites;
                Ok(kind)
            }
            Err(text) => self.refuse(&MetaStatus::InvalidTarget, &text),
        }
    }

    fn targets_of(&self, words: &[String]) -> Result<(TargetKind, Vec<SiteIndex>), String> {
        let Some((kind, names)) = words.split_first() else {
            return Err("missing target type (server or client)".to_owned());
        };
        let Some(kind) = TargetKind::read(kind) else { return Err(format!("unknown target type {kind}")) };
        let named = match kind {
            TargetKind::Server => return Ok((kind, Vec::new())),
            TargetKind::Client if !names.is_empty() => self.named(names)?,
            TargetKind::Client | TargetKind::All => self.sim.sites().indexes().collect(),
        };
        if kind == TargetKind::Client && named.is_empty() {
            return Err("no clients available".to_owned());
        }
        Ok((kind, self.enrolled(kind, named)?))
    }

    fn named(&self, names: &[String]) -> Result<Vec<SiteIndex>, String> {
        let mut sites = Vec::new();
        let mut invalid: Vec<&str> = Vec::new();
        // Admin clients can be addressed in principle, and are refused last.
        let mut admins: Vec<&str> = Vec::new();
        for name in names {
            match self.sim.sites().find(name) {
                Some(site) if sites.contains(&site) => {}
                Some(site) => sites.push(site),
                None if ids::is_admin_client(name) => admins.push(name),
                None => invalid.push(name),
            }
        }
        invalid.extend(admins);
        if invalid.is_empty() { Ok(sites) } else { Err(format!("invalid client(s): {}", invalid.join(" "))) }
    }

    fn enrolled(&self, kind: TargetKind, sites: Vec<SiteIndex>) -> Result<Vec<SiteIndex>, String> {
        let study = self.study();
        if study == DEFAULT_STUDY {
            return Ok(sites);
        }
        let Some(members) = self.sim.studies().and_then(|studies| studies.study(study)) else { return Ok(sites) };
        let members = members.sites();
        let name = |site: &SiteIndex| self.sim.sites().get(*site).map_or("", |site| site.name());
        let (enrolled, others): (Vec<_>, Vec<_>) = sites.into_iter().partition(|site| members.contains(name(site)));
        if kind == TargetKind::Client && enrolled.is_empty() {
            let quoted: Vec<String> = others.iter().map(|site| format!("'{}'", name(site))).collect();
            return Err(match quoted.as_slice() {
                [one] => format!("site {one} is not enrolled in study '{study}'"),
                more => format!("sites {} are not enrolled in study '{study}'", more.join(", ")),
            });
        }
        Ok(enrolled)
    }

    /// True when the session's study decides which sites there are; then the server checks rights that it otherwise
    /// leaves to the sites.
    pub(super) fn in_study(&self) -> bool {
        self.study() != DEFAULT_STUDY && self.sim.studies().is_some()
    }
}
