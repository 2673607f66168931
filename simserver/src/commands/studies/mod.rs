//! The study commands.
//!
//! | module | |
//! |---|---|
//! | `request` | what the arguments ask for, and what is wrong with them |
//! | `change` | the commands that change the registry |
//! | `failure` | errors, which are told in replies whose status is `ok` |
//!
//! Source: `reference/server-behaviour.md` section 12.

mod change;
mod failure;
mod request;

use flare_wire::hci::{JsonObject, MetaStatus};
use serde_json::{Value, json};

use super::arguments;
use super::call::{Call, Step};
use crate::core::{Person, Study};
use crate::mutants::Mutant;
use failure::Failure;

pub(super) use change::{
    add_study_site, add_study_user, register_study, remove_study, remove_study_site, remove_study_user,
};

/// Lists the studies that the user may see.
pub(super) fn list_studies(call: &mut Call<'_>) -> Step {
    if !call.arguments().is_empty() {
        return push(call, Failure::invalid_args("list_studies does not accept arguments").payload());
    }
    let (name, org, role) = call.user();
    let may_submit = call.sim.authorize("submit_job", &call.person(), &Person::default());
    let shown_to_all = call.sim.mutant(Mutant::StudiesShownToAll);
    let studies = call.sim.studies().into_iter().flat_map(|registry| registry.iter());
    let mut names: Vec<&str> =
        studies.filter(|(_, study)| shown_to_all || is_visible(study, name, org, role)).map(|(name, _)| name).collect();
    names.sort_unstable();
    let details: Vec<Value> = names.iter().map(|study| detail(study, role, may_submit.as_ref().err())).collect();
    let identity = json!({"name": name, "org": org, "role": role});
    let listed = json!({"identity": identity, "studies": names, "study_details": details});
    push(call, listed)
}

/// Shows one study.
pub(super) fn show_study(call: &mut Call<'_>) -> Step {
    let named = change::parse(call, &arguments::SHOW_STUDY).and_then(|parsed| request::study(&parsed));
    let payload = match named {
        Ok(study) => shown(call, &study).unwrap_or_else(|| Failure::not_found(&study, SHOW_HINT).payload()),
        Err(failure) => failure.payload(),
    };
    push(call, payload)
}

/// Hint of `show_study` when there is no such study, or none that the caller may see.
const SHOW_HINT: &str = "Verify the study name. If the study exists and you expect access, contact a project_admin.";

fn shown(call: &Call<'_>, name: &str) -> Option<Value> {
    let (user, org, role) = call.user();
    let shown_to_all = call.sim.mutant(Mutant::StudiesShownToAll);
    let study = call.sim.studies()?.study(name).filter(|study| shown_to_all || is_visible(study, user, org, role))?;
    let site_orgs: JsonObject = study.site_orgs.iter().map(|(org, sites)| (org.clone(), json!(sites))).collect();
    Some(json!({"name": name, "site_orgs": site_orgs, "sites": study.sites(), "users": study.users}))
}

/// Project admins see all studies, organisation admins those that list their organisation, others those that list
/// them.
fn is_visible(study: &Study, name: &str, org: &str, role: &str) -> bool {
    match role {
        "project_admin" => true,
        "org_admin" => !org.is_empty() && study.has_org(org),
        _ => study.users.iter().any(|user| user == name),
    }
}

fn detail(study: &str, role: &str, refusal: Option<&String>) -> Value {
    let may_submit = refusal.is_none();
    let mut item = json!({
        "name": study,
        "role": role,
        "capabilities": {"submit_job": may_submit},
        "can_submit_job": may_submit,
    });
    if let (Some(refusal), Some(item)) = (refusal, item.as_object_mut()) {
        item.insert("reason".to_owned(), refusal.as_str().into());
    }
    item
}

/// Everything that study commands say, errors included, is an object in a reply whose status is `ok`.
fn push(call: &mut Call<'_>, payload: Value) -> Step {
    let payload = match payload {
        Value::Object(payload) => payload,
        _ => JsonObject::new(),
    };
    call.reply.push_dict(payload).set_status(&MetaStatus::Ok, "");
    Ok(())
}
