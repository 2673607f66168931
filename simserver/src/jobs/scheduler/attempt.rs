//! One attempt on one job.

use std::cmp::Ordering;

use flare_wire::hci::{JsonObject, python_repr};
use serde_json::Value;

use crate::jobs::definition::{SERVER_SITE, is_all_sites, participants};
use crate::jobs::meta::JobMeta;
use crate::jobs::python::{is_truthy, to_text};
use crate::mutants::Mutant;

/// What a site's resource manager says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceCheck {
    /// The resources are there and reserved.
    Enough,
    /// They are not; the reason may be empty.
    NotEnough(String),
}

/// What an attempt asks of the federation.
pub trait Surroundings {
    /// Names of the sites that count as online.
    fn online_sites(&self) -> Vec<String>;
    /// The sites of a study; `None` for a study without a list of its own.
    fn enrolled_sites(&self, study: &str) -> Option<Vec<String>>;
    /// True when a rule is broken on purpose.
    fn mutant(&self, _mutant: Mutant) -> bool {
        false
    }
    /// Asks a site for resources.
    fn check_resources(&mut self, site: &str, job: &JobMeta, requirement: &JsonObject) -> ResourceCheck;
}

/// A site that runs a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The site.
    pub site: String,
    /// The app it gets.
    pub app: String,
    /// The resources that are reserved there.
    pub requirement: JsonObject,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The job starts on these sites.
    Start(Vec<Assignment>),
    /// Not now, for this reason.
    Retry(String),
    /// Never, for this reason.
    GiveUp(String),
    /// The scheduler raises an exception over a meta that the validator let pass.
    Stall,
}

/// The smallest number of sites, as the meta has it; compared with counts as Python compares.
enum MinSites<'a> {
    Number(f64, &'a Value),
    /// Null, which counts as no limit until it is compared.
    Nothing,
    /// What Python cannot compare with a number, such as a text.
    Incomparable,
}

impl<'a> MinSites<'a> {
    fn of(meta: &'a JobMeta, default: &'a Value) -> Self {
        match meta.fields().get("min_clients").unwrap_or(default) {
            Value::Null => Self::Nothing,
            value @ Value::Bool(flag) => Self::Number(f64::from(u8::from(*flag)), value),
            value @ Value::Number(number) => Self::Number(number.as_f64().unwrap_or(f64::MAX), value),
            _ => Self::Incomparable,
        }
    }

    /// How `count` compares; `None` where Python raises `TypeError`.
    #[expect(clippy::cast_precision_loss, reason = "counts of sites are far below 2^52")]
    fn exceeds(&self, count: usize) -> Option<bool> {
        match self {
            Self::Number(number, _) => Some((count as f64).partial_cmp(number) == Some(Ordering::Less)),
            Self::Nothing | Self::Incomparable => None,
        }
    }

    fn text(&self) -> String {
        if let Self::Number(_, value) = self { to_text(value) } else { String::new() }
    }
}

/// Tries to schedule a job.
pub fn attempt(meta: &JobMeta, surroundings: &mut impl Surroundings) -> Verdict {
    let study = meta.study();
    let enrolled = surroundings.enrolled_sites(study);
    let is_enrolled = |site: &str| enrolled.as_ref().is_none_or(|sites| sites.iter().any(|name| name == site));
    let mut online = surroundings.online_sites();
    online.retain(|site| is_enrolled(site));
    let outside = |site: &str| Verdict::GiveUp(format!("site '{site}' not in study '{study}'"));

    let map = meta.fields().get("deploy_map").and_then(Value::as_object);
    let Some(map) = map.filter(|map| !map.is_empty()) else { return Verdict::GiveUp("no deploy map".to_owned()) };
    let mut applicable: Vec<(String, String)> = Vec::new();
    for (app, entry) in map {
        let Ok(sites) = participants(entry) else { return Verdict::Stall };
        for site in sites {
            if is_all_sites(site) {
                applicable = online.iter().map(|name| (name.clone(), app.clone())).collect();
            } else if site != SERVER_SITE && !is_enrolled(site) {
                return outside(site);
            } else if online.iter().any(|name| name == site) {
                applicable.push((site.to_owned(), app.clone()));
            }
        }
    }

    let required = match required_sites(meta) {
        Ok(required) => required,
        Err(verdict) => return verdict,
    };
    if let Some(site) = required.iter().find(|site| !is_enrolled(site)) {
        return outside(site);
    }
    let required = if surroundings.mutant(Mutant::MandatoryIgnored) { Vec::new() } else { required };
    if let Some(site) = required.iter().find(|site| !applicable.iter().any(|(name, _)| name == *site)) {
        return Verdict::Retry(format!("missing required site {site}"));
    }
    enough_sites(meta, surroundings, &applicable, &required)
}

fn required_sites(meta: &JobMeta) -> Result<Vec<&str>, Verdict> {
    let items = match meta.fields().get("mandatory_clients") {
        None => return Ok(Vec::new()),
        Some(value) if !is_truthy(value) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(Verdict::GiveUp("required sites must be a list".to_owned())),
    };
    let mut required = Vec::new();
    for item in items {
        let Some(site) = item.as_str() else {
            return Err(Verdict::GiveUp(format!("invalid required site '{}'", to_text(item))));
        };
        if !required.contains(&site) {
            required.push(site);
        }
    }
    Ok(required)
}

/// The part of an attempt that is about numbers and resources.
fn enough_sites(
    meta: &JobMeta,
    surroundings: &mut impl Surroundings,
    applicable: &[(String, String)],
    required: &[&str],
) -> Verdict {
    let one = Value::from(1);
    let min_sites = MinSites::of(meta, &one);
    match (&min_sites, min_sites.exceeds(applicable.len())) {
        (MinSites::Incomparable, _) => return Verdict::Stall,
        (_, Some(true)) if !surroundings.mutant(Mutant::MinClientsIgnored) => {
            let (found, wanted) = (applicable.len(), min_sites.text());
            return Verdict::Retry(format!("connected sites ({found}) < min_sites ({wanted})"));
        }
        _ => {}
    }
    if applicable.is_empty() {
        return Verdict::Retry("error checking resources".to_owned());
    }

    let (mut start, mut lacking, mut lacking_details, mut details) =
        (Vec::new(), Vec::new(), String::new(), Vec::new());
    for (site, app) in applicable {
        let requirement = super::requirement(meta, site);
        match surroundings.check_resources(site, meta, &requirement) {
            ResourceCheck::Enough => start.push(Assignment { site: site.clone(), app: app.clone(), requirement }),
            ResourceCheck::NotEnough(reason) => {
                if required.contains(&site.as_str()) {
                    lacking.push(site.as_str());
                    lacking_details.push_str(&format!("{site}:{reason};"));
                }
                if !reason.is_empty() {
                    details.push(format!("{site}: {reason}"));
                }
            }
        }
    }
    match min_sites.exceeds(start.len()) {
        None => return Verdict::Stall,
        Some(true) if !surroundings.mutant(Mutant::MinClientsIgnored) => {
            let (found, wanted) = (start.len(), min_sites.text());
            let details = if details.is_empty() { String::new() } else { format!(". Details: {}", details.join("; ")) };
            return Verdict::Retry(format!(
                "not enough sites have enough resources (ok sites {found} < min sites {wanted}){details}"
            ));
        }
        Some(_) => {}
    }
    if !lacking.is_empty() {
        // In the order in which the job requires them.
        let lacking: Value = required.iter().filter(|site| lacking.contains(site)).copied().collect();
        return Verdict::Retry(format!(
            "required sites: {} don't have enough resources. Details: {lacking_details}",
            python_repr(&lacking)
        ));
    }
    Verdict::Start(start)
}
