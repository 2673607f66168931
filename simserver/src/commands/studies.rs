//! `list_studies`.
//!
//! Source: `reference/server-behaviour.md` section 12.

use flare_wire::hci::{JsonObject, MetaStatus};
use serde_json::{Value, json};

use super::call::{Call, Step};
use crate::core::{Person, Study};

/// Lists the studies that the user may see.
pub(super) fn list_studies(call: &mut Call<'_>) -> Step {
    if !call.arguments().is_empty() {
        return push(
            call,
            json!({
                "error_code": "INVALID_ARGS",
                "message": "list_studies does not accept arguments",
                "hint": "",
                "exit_code": 4,
            }),
        );
    }
    let (name, org, role) = call.user();
    let may_submit = call.sim.authorize("submit_job", &call.person(), &Person::default());
    let studies = call.sim.studies().into_iter().flat_map(|registry| registry.iter());
    let mut names: Vec<&str> =
        studies.filter(|(_, study)| is_visible(study, name, org, role)).map(|(name, _)| name).collect();
    names.sort_unstable();
    let details: Vec<Value> = names.iter().map(|study| detail(study, role, may_submit.as_ref().err())).collect();
    let identity = json!({"name": name, "org": org, "role": role});
    let listed = json!({"identity": identity, "studies": names, "study_details": details});
    push(call, listed)
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
