//! The commands that change the study registry.

use flare_wire::hci::JsonObject;
use serde_json::{Value, json};

use super::super::arguments;
use super::super::call::{Call, Step, Stop};
use super::failure::Failure;
use super::request::{self, RequestedSites};
use super::{is_visible, push};
use crate::core::StudyRegistryError;
use crate::core::argparse::{Arguments, Parser};
use crate::mutants::Mutant;

/// Hint of the commands that need a study which is there and visible.
const VERIFY: &str = "Verify the study name or contact a project_admin.";

/// Creates a study, or adds sites to one; the caller becomes one of its users.
pub(in super::super) fn register_study(call: &mut Call<'_>) -> Step {
    change_sites(call, &arguments::REGISTER_STUDY, |call, definitions, study, requested| {
        let (caller, org, role) = call.user();
        let known = call.sim.studies().and_then(|registry| registry.study(study));
        let is_defined = definitions.get(study).is_some_and(|definition| !definition.is_null());
        if role == "org_admin" && is_defined && known.is_some_and(|known| !known.has_org(org)) {
            return Err(Failure::exists(study));
        }
        must_own_sites(call, requested)?;
        let definition = definitions.entry(study).or_insert(Value::Null);
        if !definition.is_object() {
            *definition = json!({"site_orgs": {}, "admins": []});
        }
        let definition = object(definition)?;
        let orgs = site_orgs(definition)?;
        for (org, sites) in requested {
            let enrolled = sites_of(orgs, org)?;
            for site in sites {
                if !contains(enrolled, site) {
                    enrolled.push(site.as_str().into());
                }
            }
        }
        let users = admins(definition)?;
        if !contains(users, caller) {
            users.push(caller.into());
        }
        let users = users.clone();
        let orgs = site_orgs(definition)?;
        Ok(json!({"name": study, "site_orgs": orgs, "sites": all_sites(orgs), "users": users}))
    })
}

/// Adds sites to a study.
pub(in super::super) fn add_study_site(call: &mut Call<'_>) -> Step {
    change_sites(call, &arguments::ADD_STUDY_SITE, |call, definitions, study, requested| {
        let definition = visible(call, definitions, study)?;
        must_own_sites(call, requested)?;
        let orgs = site_orgs(definition)?;
        let (mut added, mut already_enrolled) = (Vec::new(), Vec::new());
        for (org, sites) in requested {
            let enrolled = sites_of(orgs, org)?;
            for site in sites {
                if contains(enrolled, site) {
                    already_enrolled.push(site);
                } else {
                    enrolled.push(site.as_str().into());
                    added.push(site);
                }
            }
        }
        Ok(json!({
            "study": study,
            "added": added,
            "already_enrolled": already_enrolled,
            "site_orgs": orgs,
            "sites": all_sites(orgs),
        }))
    })
}

/// Takes sites out of a study, whether they are connected or not. An organisation without sites stays.
pub(in super::super) fn remove_study_site(call: &mut Call<'_>) -> Step {
    change_sites(call, &arguments::REMOVE_STUDY_SITE, |call, definitions, study, requested| {
        let orgs = site_orgs(visible(call, definitions, study)?)?;
        let (mut removed, mut not_enrolled) = (Vec::new(), Vec::new());
        for (org, sites) in requested {
            if !orgs.contains_key(org) {
                not_enrolled.extend(sites.iter().map(|site| Value::from(site.as_str())));
                continue;
            }
            let enrolled = sites_of(orgs, org)?;
            let absent = sites.iter().filter(|site| !contains(enrolled, site));
            not_enrolled.extend(absent.map(|site| Value::from(site.as_str())));
            let is_named = |site: &Value| sites.iter().any(|named| site.as_str() == Some(named.as_str()));
            let (named, others) = std::mem::take(enrolled).into_iter().partition(is_named);
            *enrolled = others;
            let named: Vec<Value> = named;
            removed.extend(named);
        }
        Ok(json!({
            "study": study,
            "removed": removed,
            "not_enrolled": not_enrolled,
            "site_orgs": orgs,
            "sites": all_sites(orgs),
        }))
    })
}

/// Removes a study that no job belongs to.
pub(in super::super) fn remove_study(call: &mut Call<'_>) -> Step {
    let parsed = parse(call, &arguments::REMOVE_STUDY).and_then(|parsed| request::study(&parsed));
    let study = match parsed {
        Ok(study) => study,
        Err(failure) => return push(call, failure.payload()),
    };
    change(call, |call, definitions| {
        if !definitions.contains_key(&study) {
            return Err(Failure::not_found(&study, "Verify the study name."));
        }
        let jobs = call.sim.jobs().store().iter().filter(|job| job.meta.study() == study).count();
        if jobs > 0 && !call.sim.mutant(Mutant::StudyGoesWithJobs) {
            return Err(Failure::has_jobs(&study, jobs));
        }
        definitions.shift_remove(&study);
        Ok(json!({"name": study, "removed": true}))
    })
}

/// Lets a user open sessions in a study.
pub(in super::super) fn add_study_user(call: &mut Call<'_>) -> Step {
    change_users(call, &arguments::ADD_STUDY_USER, |users, study, user| {
        if contains(users, user) {
            return Err(Failure::has_user(study, user));
        }
        users.push(user.into());
        Ok(json!({"study": study, "user": user}))
    })
}

/// Ends that; open sessions go on.
pub(in super::super) fn remove_study_user(call: &mut Call<'_>) -> Step {
    change_users(call, &arguments::REMOVE_STUDY_USER, |users, study, user| {
        let Some(place) = users.iter().position(|known| known.as_str() == Some(user)) else {
            return Err(Failure::lacks_user(study, user));
        };
        users.remove(place);
        Ok(json!({"study": study, "user": user, "removed": true}))
    })
}

/// Parses the arguments of a command that tells wrong ones as a wrong study name.
pub(super) fn parse(call: &Call<'_>, parser: &Parser) -> Result<Arguments, Failure> {
    parser.parse(call.arguments()).map_err(|error| Failure::invalid_study_name(error.to_string()))
}

/// A command with a study and sites, whose parser's errors are exceptions.
fn change_sites(
    call: &mut Call<'_>,
    parser: &Parser,
    edit: impl FnOnce(&Call<'_>, &mut JsonObject, &str, &RequestedSites) -> Result<Value, Failure>,
) -> Step {
    let parsed = parser.parse(call.arguments()).map_err(|error| Stop::Exception(format!("ValueError: {error}")))?;
    let named = request::study(&parsed).and_then(|study| Ok((study, request::sites(call, &parsed)?)));
    match named {
        Ok((study, sites)) => change(call, |call, definitions| edit(call, definitions, &study, &sites)),
        Err(failure) => push(call, failure.payload()),
    }
}

/// A command with a study and a user.
fn change_users(
    call: &mut Call<'_>,
    parser: &Parser,
    edit: impl FnOnce(&mut Vec<Value>, &str, &str) -> Result<Value, Failure>,
) -> Step {
    let parsed = parse(call, parser).and_then(|parsed| Ok((request::study(&parsed)?, parsed)));
    let (study, parsed) = match parsed {
        Ok(parsed) => parsed,
        Err(failure) => return push(call, failure.payload()),
    };
    let user = parsed.positional("user").first().map_or("", String::as_str);
    change(call, |call, definitions| edit(admins(visible(call, definitions, &study)?)?, &study, user))
}

/// Changes what the registry says of the studies, all or nothing, and tells what came of it.
fn change(call: &mut Call<'_>, edit: impl FnOnce(&Call<'_>, &mut JsonObject) -> Result<Value, Failure>) -> Step {
    let registry = call.sim.studies().cloned().unwrap_or_default();
    let mut definitions = registry.definitions();
    let changed = edit(call, &mut definitions).and_then(|payload| {
        let registry = registry.with_definitions(definitions).map_err(|error| Failure::internal(&refusal(&error)))?;
        Ok((payload, registry))
    });
    match changed {
        Ok((payload, registry)) => {
            if !call.sim.mutant(Mutant::StudyChangeLost) {
                call.sim.change_studies(call.now, registry);
            }
            push(call, payload)
        }
        Err(failure) => push(call, failure.payload()),
    }
}

/// What the real server says to a change that its registry does not take.
fn refusal(error: &StudyRegistryError) -> String {
    match error {
        StudyRegistryError::DuplicateSite { study, site } => {
            format!("study '{study}' contains duplicate site '{site}' across org groups")
        }
        other => other.to_string(),
    }
}

/// What the registry says of a study that is there, and that the caller may see.
fn visible<'a>(call: &Call<'_>, definitions: &'a mut JsonObject, study: &str) -> Result<&'a mut JsonObject, Failure> {
    let (name, org, role) = call.user();
    let known = call.sim.studies().and_then(|registry| registry.study(study));
    let shown_to_all = call.sim.mutant(Mutant::StudiesShownToAll);
    let is_seen = known.is_some_and(|known| shown_to_all || is_visible(known, name, org, role));
    let definition = definitions.get_mut(study).and_then(Value::as_object_mut);
    // A study of which nothing at all is said counts as none.
    definition.filter(|definition| is_seen && !definition.is_empty()).ok_or_else(|| Failure::not_found(study, VERIFY))
}

/// Sites have to be registered, and their certificates to name the organisation.
fn must_own_sites(call: &Call<'_>, requested: &RequestedSites) -> Result<(), Failure> {
    for (org, sites) in requested {
        let foreign: Vec<&str> =
            sites.iter().map(String::as_str).filter(|site| !call.sim.is_site_of(site, org)).collect();
        if !foreign.is_empty() && !call.sim.mutant(Mutant::ForeignSitesEnrolled) {
            return Err(Failure::foreign_sites(&foreign, org));
        }
    }
    Ok(())
}

fn object(value: &mut Value) -> Result<&mut JsonObject, Failure> {
    value.as_object_mut().ok_or_else(|| Failure::internal("study definition must be a mapping"))
}

/// The users of a study.
fn admins(definition: &mut JsonObject) -> Result<&mut Vec<Value>, Failure> {
    let users = definition.entry("admins").or_insert(Value::Null);
    if users.is_null() {
        *users = json!([]);
    }
    users.as_array_mut().ok_or_else(|| Failure::internal("study admins must be a list"))
}

/// The sites of a study, by organisation.
fn site_orgs(definition: &mut JsonObject) -> Result<&mut JsonObject, Failure> {
    let orgs = definition.entry("site_orgs").or_insert(Value::Null);
    if orgs.is_null() {
        *orgs = json!({});
    }
    orgs.as_object_mut().ok_or_else(|| Failure::internal("study site_orgs must be a mapping"))
}

/// The sites of an organisation, which comes last when it is new.
fn sites_of<'a>(orgs: &'a mut JsonObject, org: &str) -> Result<&'a mut Vec<Value>, Failure> {
    let sites = orgs.entry(org).or_insert_with(|| json!([]));
    sites.as_array_mut().ok_or_else(|| Failure::internal("sites of an org must be a list"))
}

fn contains(list: &[Value], text: &str) -> bool {
    list.iter().any(|item| item.as_str() == Some(text))
}

fn all_sites(orgs: &JsonObject) -> Vec<&str> {
    let mut sites: Vec<&str> = orgs.values().filter_map(Value::as_array).flatten().filter_map(Value::as_str).collect();
    sites.sort_unstable();
    sites
}
