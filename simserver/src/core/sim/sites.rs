//! What the server does with its sites, and has to know of them.

use std::sync::Arc;
use std::time::Duration;

use flare_wire::Moment;
use serde_json::{Value, json};

use super::Sim;
use crate::core::config::SiteBehaviour;
use crate::core::shell::NotModelled;
use crate::core::sites::{Absence, Around, Asker, SiteAnswer, SiteIndex, SiteRequest, Sites};
use crate::core::{LocalTime, Site, VirtualFiles, logs};
use crate::mutants::Mutant;

impl Sim {
    /// Asks a site; `None` when it is not registered.
    pub(crate) fn ask(
        &mut self,
        now: Moment,
        site: SiteIndex,
        request: SiteRequest<'_>,
        asker: Asker<'_>,
        timeout: Duration,
    ) -> Result<Option<SiteAnswer>, NotModelled> {
        let version = if self.mutant(Mutant::VersionWrong) { "2.9.9" } else { self.release.version() };
        let allows_all = self.mutant(Mutant::SitesAllowAll);
        let running = if matches!(request, SiteRequest::CheckStatus) { self.running_on(site) } else { Vec::new() };
        let around = Around {
            now,
            clock: self.clock,
            release: self.release,
            version,
            project: &self.project,
            random: &mut self.random,
            running,
            allows_all,
        };
        self.sites.ask(site, request, asker, timeout, around)
    }

    /// Sites that were away are back, and those that have been gone for too long are forgotten.
    pub(crate) fn update_sites(&mut self, now: Moment) {
        self.bring_back_sites(now);
        if self.sites.forget_gone(now) {
            self.jobs.sites_changed(now);
        }
    }

    pub(super) fn bring_back_sites(&mut self, now: Moment) {
        let mut came_back = false;
        while let Some((name, is_new)) = self.sites.come_back(now, &mut self.random) {
            came_back = true;
            if is_new {
                let total = self.sites.iter().len();
                let joined = format!("Client: New client {name}@127.0.0.1 joined. Sent token.  Total clients: {total}");
                self.log_of_clients(now, &joined);
            }
        }
        if came_back {
            self.jobs.sites_changed(now);
        }
    }

    fn log_of_clients(&mut self, now: Moment, text: &str) {
        logs::info(&mut self.files, now, self.clock, logs::Source::CLIENT_MANAGER, text);
    }

    /// Drops the entries of sites, which their next heartbeats make again. Jobs that run there are not touched.
    pub(crate) fn remove_sites(&mut self, now: Moment, mut sites: Vec<SiteIndex>) {
        // From behind, so that the places of the others stay.
        sites.sort_unstable_by(|left, right| right.cmp(left));
        for site in sites {
            let Some(name) = self.sites.get(site).map(|site| site.name().clone()) else { continue };
            if !self.mutant(Mutant::RemoveIgnored) {
                self.sites.forget(site, now);
            }
            self.log_left(now, &name);
        }
        self.jobs.sites_changed(now);
    }

    /// Keeps a site out, known or not, until it is enabled; returns whether it was kept out already, and whether it
    /// was registered. Jobs that run there are not touched.
    pub(crate) fn disable_site(&mut self, now: Moment, name: &str) -> (bool, bool) {
        let was_disabled = self.disabled.iter().any(|disabled| disabled == name);
        if !was_disabled {
            self.disabled.push(name.to_owned());
        }
        let registered = self.sites.find(name).filter(|_| self.mutant(Mutant::DisabledMayRejoin));
        let was_registered = match registered {
            Some(site) => {
                self.sites.forget(site, now);
                true
            }
            None => self.sites.disable(name),
        };
        self.write_disabled(now);
        let tokens = u8::from(was_registered);
        self.log_of_clients(now, &format!("Client {name} disabled. Removed {tokens} active token(s)."));
        self.jobs.sites_changed(now);
        (was_disabled, was_registered)
    }

    /// Lets a site in again; returns whether it was kept out.
    pub(crate) fn enable_site(&mut self, now: Moment, name: &str) -> bool {
        let was_disabled = self.disabled.iter().any(|disabled| disabled == name);
        if was_disabled {
            self.disabled.retain(|disabled| disabled != name);
            if !self.mutant(Mutant::EnableIgnored) {
                self.sites.enable(name, now);
            }
            self.write_disabled(now);
        }
        let shown = if was_disabled { "True" } else { "False" };
        self.log_of_clients(now, &format!("Client {name} enabled. Was disabled: {shown}"));
        was_disabled
    }

    /// Sites end and start anew: each comes back by itself.
    pub(crate) fn restart_sites(&mut self, now: Moment, names: &[Arc<str>]) {
        self.say_goodbye(now, names, |sites, site| sites.restart(site, now));
    }

    /// Sites end.
    pub(crate) fn shut_down_sites(&mut self, now: Moment, names: &[Arc<str>]) {
        self.say_goodbye(now, names, |sites, site| sites.leave(site, Absence::ShutDown));
    }

    fn say_goodbye(&mut self, now: Moment, names: &[Arc<str>], leave: impl Fn(&mut Sites, SiteIndex)) {
        for name in names {
            if let Some(site) = self.sites.find(name) {
                leave(&mut self.sites, site);
                self.log_left(now, name);
            }
        }
        self.jobs.sites_changed(now);
    }

    fn log_left(&mut self, now: Moment, name: &str) {
        let left = format!("Client Name:{name} left.  Total clients: {}", self.sites.iter().len());
        self.log_of_clients(now, &left);
    }

    /// The registered sites.
    #[must_use]
    pub const fn sites(&self) -> &Sites {
        &self.sites
    }

    /// Changes how a site treats requests from now on; false when there is no such site.
    pub fn set_site_behaviour(&mut self, now: Moment, site: &str, behaviour: SiteBehaviour) -> bool {
        let known = self.sites.set_behaviour(site, behaviour, now);
        if known {
            self.jobs.sites_changed(now);
        }
        known
    }

    /// The files of a site's workspace, to be changed; `None` when there is no such site.
    pub fn site_files_mut(&mut self, site: &str) -> Option<&mut VirtualFiles> {
        self.sites.files_mut(site, &self.project, self.clock, self.release)
    }

    /// True when a registered site is known to belong to the organisation.
    pub(crate) fn is_site_of(&self, site: &str, org: &str) -> bool {
        self.sites.named(site).and_then(Site::org) == Some(org)
    }

    fn running_on(&self, site: SiteIndex) -> Vec<Value> {
        let Some(site) = self.sites.get(site) else { return Vec::new() };
        let takes_part = |job_id: &str| {
            let sites = self.jobs.running_sites(job_id).unwrap_or_default();
            sites.iter().any(|name| **name == **site.name())
        };
        let running = self.jobs.running().filter(|(job_id, _)| takes_part(job_id));
        running.map(|(job_id, app)| json!({"job_id": job_id, "app_name": app, "status": "started"})).collect()
    }
}

/// What the server logs when its sites register.
pub(super) fn log_joined(files: &mut VirtualFiles, sites: &Sites, now: Moment, clock: LocalTime) {
    let joined = sites.iter().enumerate().map(|(number, site)| {
        let (name, total) = (site.name(), number + 1);
        let joined = format!("Client: New client {name}@127.0.0.1 joined. Sent token.  Total clients: {total}");
        (logs::Source::CLIENT_MANAGER, joined)
    });
    logs::info_all(files, now, clock, joined);
}
