//! Studies: who registers and sees them, and what a session in one of them sees.

mod refusals;
mod registry;
mod sessions;

use flare_client::{JsonObject, Session, StudyName, StudySites};
use serde_json::{Value, json};

use super::own::{CASE_LIMIT, Owner, names, own_sites, unique};
use crate::requirement::{reference, seed};
use crate::{Case, CaseResult, Context, Finding, Home, Requirement, Risk, Who};

const SERVER: &str = "server-behaviour";

pub(super) const REQUIREMENTS: &[Requirement] = &[
    seed(
        "STUDY-REGISTER-001",
        "Create or merge a study in the server registry.",
        "A study is made of the sites that are named, the caller becomes its user, and registering it again adds sites.",
    ),
    seed(
        "STUDY-REGISTER-002",
        "Use sites for org_admin callers (own-org sites only)",
        "An organisation's admin names sites of his own, a project's admin names sites by organisation.",
    ),
    seed(
        "STUDY-SHOW-001",
        "Show details for a single study.",
        "A study shows its sites by organisation and its users.",
    ),
    seed(
        "STUDY-LIST-001",
        "List studies visible to the caller.",
        "Project admins see all studies, organisation admins those with their organisation, others those they are in.",
    ),
    seed(
        "STUDY-SITE-001",
        "Add sites to an existing study.",
        "The payload tells which sites were added and which were there.",
    ),
    seed(
        "STUDY-SITE-002",
        "Remove sites from an existing study.",
        "The payload tells which sites were removed and which were not there; an organisation stays without sites.",
    ),
    seed(
        "STUDY-USER-001",
        "Add a user to the study admins list.",
        "A user who was added sees the study; whether there is such a user is not checked.",
    ),
    seed(
        "STUDY-USER-002",
        "Remove a user from the study admins list.",
        "A user who was removed sees the study no longer.",
    ),
    seed("STUDY-REMOVE-001", "Remove a study and all its registry entries.", "A removed study is gone for everybody."),
    reference(
        "STUDY-REMOVE-002",
        SERVER,
        "12.4",
        "A study with jobs, whatever their state, cannot be removed before they are.",
    ),
    reference(
        "STUDY-ERROR-001",
        SERVER,
        "12.4",
        "What breaks a rule is answered with code, message, hint and exit code, in a reply whose status is ok.",
    ),
    reference(
        "STUDY-ERROR-002",
        SERVER,
        "12.2",
        "Words that three of the commands cannot read end in an exception whose text holds their usage.",
    ),
    reference(
        "STUDY-ERROR-003",
        "client-api",
        "10",
        "Errors of studies keep their code, message, hint and exit code up to the caller.",
    ),
    reference(
        "STUDY-ROLE-001",
        SERVER,
        "12.3",
        "Leads and members may only list studies, and only a project admin removes one.",
    ),
    reference(
        "STUDY-VISIBLE-001",
        SERVER,
        "12.3",
        "To an admin of an organisation that is not in a study, the study does not exist.",
    ),
    reference(
        "STUDY-LOGIN-001",
        SERVER,
        "4",
        "A session in a study is for its users only, whatever their role; the project admin is no exception.",
    ),
    reference("STUDY-JOB-001", SERVER, "5", "Lists of jobs hold those of the session's study and no others."),
    reference(
        "STUDY-JOB-002",
        SERVER,
        "5",
        "To every command, a job of another study does not exist, whoever asks and whatever he may do.",
    ),
    reference(
        "STUDY-JOB-003",
        SERVER,
        "12.5",
        "Being in a study gives nobody a right that his certificate's role does not give.",
    ),
    reference("STUDY-JOB-004", SERVER, "11", "The same submit token in another study is another job."),
    reference("STUDY-JOB-005", SERVER, "12.5", "A clone is in the study of its original."),
    reference(
        "STUDY-TARGET-001",
        SERVER,
        "3",
        "Commands to sites reach those of the session's study; naming only others is an invalid target.",
    ),
    reference(
        "STUDY-DEPLOY-001",
        SERVER,
        "5",
        "A job that names sites outside its study is refused; one for all sites runs on those of the study.",
    ),
    reference(
        "STUDY-DEPLOY-002",
        SERVER,
        "12.5",
        "A waiting job that names a site which has left the study cannot be scheduled.",
    ),
    reference("STUDY-SESSION-001", SERVER, "12.5", "A session that is open stays open when its user leaves the study."),
];

pub(super) fn cases() -> Vec<Case> {
    [registry::cases(), refusals::cases(), sessions::cases()]
        .into_iter()
        .flatten()
        .map(|case| case.risking(Risk::OwnObjects).within(CASE_LIMIT))
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
