//! What a study command asks for: the checks of its arguments, in the order of the real server.

use super::super::call::Call;
use super::failure::Failure;
use crate::core::argparse::Arguments;
use crate::core::{is_study_name, is_word};

/// The sites that a command names, by organisation, in its order.
pub(super) type RequestedSites = Vec<(String, Vec<String>)>;

/// The study that a command names.
pub(super) fn study(arguments: &Arguments) -> Result<String, Failure> {
    let study = arguments.positional("study").first().cloned().unwrap_or_default();
    if !is_study_name(&study) || study == flare_wire::auth::DEFAULT_STUDY {
        return Err(Failure::invalid_study_name(format!("invalid study name '{study}'")));
    }
    Ok(study)
}

/// The sites that a command names. Project admins name them with their organisations, organisation admins mean their
/// own.
pub(super) fn sites(call: &Call<'_>, arguments: &Arguments) -> Result<RequestedSites, Failure> {
    let (_, org, role) = call.user();
    let is_project_admin = role == "project_admin";
    let sites = arguments.text("--sites");
    let groups: Vec<&str> = arguments.texts("--site-org").collect();
    let names_sites = sites.is_some_and(|sites| !sites.is_empty());
    if names_sites && !groups.is_empty() {
        return Err(Failure::invalid_args("--sites and --site-org are mutually exclusive; provide only one"));
    }
    if role == "org_admin" && !groups.is_empty() {
        return Err(Failure::invalid_args("org_admin must use --sites, not --site-org"));
    }
    if is_project_admin && names_sites {
        return Err(Failure::invalid_args("project_admin must use --site-org, not --sites"));
    }
    let requested = if is_project_admin {
        grouped(&groups)?
    } else if org.is_empty() {
        return Err(Failure::invalid_args("caller org is empty — misconfigured certificate"));
    } else {
        vec![(org.to_owned(), listed(sites)?)]
    };
    for (org, sites) in &requested {
        // Names of organisations have no hyphen, those of sites may.
        if !is_word(org) || org.contains('-') {
            return Err(Failure::invalid_args(format!("invalid org '{org}'")));
        }
        if let Some(site) = sites.iter().find(|site| !is_word(site)) {
            return Err(Failure::invalid_site(format!("invalid site '{site}'")));
        }
    }
    Ok(requested)
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// `--sites a,b`.
fn listed(sites: Option<&str>) -> Result<Vec<String>, Failure> {
    let Some(list) = sites else { return Err(Failure::invalid_args("--sites is required")) };
    let mut sites: Vec<String> = Vec::new();
    for site in names(list) {
        if !sites.iter().any(|known| known == site) {
            sites.push(site.to_owned());
        }
    }
    if sites.is_empty() {
        return Err(Failure::invalid_args("--sites must contain at least one site"));
    }
    Ok(sites)
}

/// `--site-org org:a,b`, as often as there are organisations.
fn grouped(groups: &[&str]) -> Result<RequestedSites, Failure> {
    if groups.is_empty() {
        return Err(Failure::invalid_args("--site-org is required"));
    }
    let mut requested = RequestedSites::new();
    for group in groups {
        let Some((org, list)) = group.split_once(':') else {
            return Err(Failure::invalid_args(format!("invalid --site-org value '{group}'")));
        };
        let org = org.trim();
        let mut sites: Vec<String> = Vec::new();
        for site in names(list) {
            let is_named = requested.iter().flat_map(|(_, sites)| sites).chain(&sites).any(|known| known == site);
            if is_named {
                return Err(Failure::invalid_args(format!("site '{site}' appears in more than one org group")));
            }
            sites.push(site.to_owned());
        }
        if sites.is_empty() {
            return Err(Failure::invalid_args(format!("--site-org '{group}' must contain at least one site")));
        }
        match requested.iter_mut().find(|(known, _)| known == org) {
            Some((_, known)) => known.append(&mut sites),
            None => requested.push((org.to_owned(), sites)),
        }
    }
    Ok(requested)
}
