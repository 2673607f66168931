//! Studies: who registers and sees them, and what a session in one of them sees.

mod refusals;
mod registry;
mod sessions;

use flare_client::{JsonObject, Session, StudyName, StudySites};
use serde_json::{Value, json};

use super::own::{CASE_LIMIT, Owner, names, own_sites, unique};
use crate::{Case, CaseResult, Context, Finding, Home, Risk, Who};

/// What these cases do to a target.
const CHANGES: &str = "registers studies whose names begin with `conformance-`, some with jobs named alike in them, and removes both at the end";

pub(super) fn cases() -> Vec<Case> {
    [registry::cases(), refusals::cases(), sessions::cases()]
        .into_iter()
        .flatten()
        .map(|case| case.risking(Risk::OwnObjects, CHANGES).within(CASE_LIMIT))
        .collect()
}

/// The names that commands need.
struct Place {
    org: String,
    sites: Vec<String>,
    other_org: String,
    other_site: String,
}

impl Place {
    fn of(context: &Context) -> CaseResult<Self> {
        let target = context.target();
        let lacks = || Finding::untestable("the target lacks: a site of another organisation");
        let other = target.site(Home::Elsewhere).ok_or_else(lacks)?;
        Ok(Self {
            org: context.kit(Who::PROJECT_ADMIN)?.org.clone(),
            sites: own_sites(context)?,
            other_org: other.org.clone(),
            other_site: other.name.clone(),
        })
    }

    /// A site of the server's organisation.
    fn site(&self) -> &str {
        &self.sites[0]
    }

    /// This site, in the form of project admins.
    fn one(&self) -> CaseResult<StudySites> {
        Ok(StudySites::of_org(&self.org, [self.site()])?)
    }

    /// All sites of the server's organisation, in the form of project admins.
    fn own(&self) -> CaseResult<StudySites> {
        Ok(StudySites::of_org(&self.org, names(&self.sites))?)
    }
}

/// A study of one site of the server's organisation with these users; its owner is the project admin.
async fn study_of(context: &Context, owner: &mut Owner, sites: &StudySites, users: &[Who]) -> CaseResult<StudyName> {
    let study = owner.study_name("study")?;
    owner.session.register_study(&study, sites).await?;
    for who in users {
        owner.session.add_study_user(&study, &context.kit(*who)?.user).await?;
    }
    Ok(study)
}

/// The studies that a session lists.
async fn listed(session: &Session) -> CaseResult<Vec<String>> {
    Ok(session.list_studies().await?.studies)
}

/// What a command was answered, without its time.
pub(super) async fn said(session: &Session, line: &str) -> CaseResult<Value> {
    let reply = session.do_command(line).await?;
    let mut reply: Value =
        serde_json::from_str(&reply.to_json()).map_err(|error| Finding::fail(format!("{line}: {error}")))?;
    reply.as_object_mut().and_then(|reply: &mut JsonObject| reply.shift_remove("time"));
    Ok(reply)
}

/// A reply of one payload.
fn payload(payload: Value) -> Value {
    json!({"data": [{"type": "dict", "data": payload}], "meta": {"status": "ok", "info": ""}})
}
