//! What jobs see of the server and its sites.

use flare_wire::auth::DEFAULT_STUDY;
use flare_wire::certificate::Certificate;

use super::config::SiteBehaviour;
use super::sites::Sites;
use super::{Person, Policy, StudyRegistry};
use crate::jobs::definition::SERVER_SITE;
use crate::jobs::federation::{AppRight, Federation, Reach, SiteView};
use crate::jobs::submitter::Submitter;

/// The parts of a [`Sim`](super::Sim) that decide over jobs, apart from the jobs themselves.
pub(super) struct Surroundings<'a> {
    pub(super) sites: &'a Sites,
    pub(super) studies: Option<&'a StudyRegistry>,
    pub(super) policy: &'a Policy,
    pub(super) org: &'a str,
    pub(super) roots: &'a [Certificate],
    pub(super) requires_signed_jobs: bool,
    /// Nobody asks for signatures ([`Mutant::UnsignedRuns`](crate::Mutant::UnsignedRuns)).
    pub(super) unsigned_runs: bool,
}

impl Federation for Surroundings<'_> {
    fn sites(&self) -> Vec<SiteView> {
        let view = |site: &super::Site| SiteView {
            name: site.name().to_string(),
            reach: match site.config().behaviour {
                SiteBehaviour::Answers | SiteBehaviour::Refuses | SiteBehaviour::Slow(_) => Reach::Alive,
                SiteBehaviour::Silent => Reach::Hanging,
                SiteBehaviour::Gone => Reach::Gone,
            },
            gpus: site.config().gpus,
        };
        self.sites.iter().map(view).collect()
    }

    fn enrolled_sites(&self, study: &str) -> Option<Vec<String>> {
        enrolled(self.studies, study)
    }

    fn permits(&self, participant: &str, right: AppRight, submitter: &Submitter) -> bool {
        let (policy, org) = if participant == SERVER_SITE {
            (self.policy, self.org)
        } else {
            let Some(site) = self.sites.find(participant).and_then(|index| self.sites.get(index)) else { return false };
            (&*site.config().policy, site.config().org.as_str())
        };
        let right = match right {
            AppRight::Byoc => "byoc",
            AppRight::PredeployedFlower => "server-predeployed-flwr",
        };
        let person = Person::new(&submitter.name, &submitter.org, &submitter.role);
        policy.permits(right, &person, &person, org)
    }

    fn requires_signed_jobs(&self, participant: &str) -> bool {
        if self.unsigned_runs {
            return false;
        }
        if participant == SERVER_SITE {
            return self.requires_signed_jobs;
        }
        let site = self.sites.find(participant).and_then(|index| self.sites.get(index));
        site.is_none_or(|site| site.config().requires_signed_jobs)
    }

    fn roots(&self) -> &[Certificate] {
        self.roots
    }
}

/// The sites of a study; `None` for the default study, and for one that the registry does not know.
pub(super) fn enrolled(studies: Option<&StudyRegistry>, study: &str) -> Option<Vec<String>> {
    if study == DEFAULT_STUDY {
        return None;
    }
    let study = studies?.study(study)?;
    Some(study.sites().into_iter().map(str::to_owned).collect())
}
