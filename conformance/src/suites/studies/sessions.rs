//! Sessions in a study: whom they are for, which jobs and sites they see.

use std::collections::BTreeSet;

use flare_client::{ErrorKind, JobId, JobQuery, JobStatus, Session, StudyName, SubmitToken, Targets};
use serde_json::{Value, json};

use super::{Owner, Place, names, said, study_of, unique};
use crate::finding::{ensure, ensure_eq};
use crate::job_folder::JobFolder;
use crate::{Case, CaseResult, Context, Finding, Need, Who};

pub(super) fn cases() -> Vec<Case> {
    let admins = [Need::Admin(Who::PROJECT_ADMIN), Need::Admin(Who::LEAD)];
    vec![
        Case::new("studies.login.users", "a session in a study is for its users", users_only)
            .checks(&["STUDY-LOGIN-001"])
            .needs([Need::Admin(Who::PROJECT_ADMIN), Need::Admin(Who::ORG_ADMIN), Need::Admin(Who::LEAD)]),
        Case::new("studies.isolation.lists", "a list holds the jobs of its study", lists)
            .checks(&["STUDY-JOB-001"])
            .exercises(&["list_jobs"])
            .needs(admins),
        Case::new("studies.isolation.hidden", "a job of another study does not exist", hidden)
            .checks(&["STUDY-JOB-002"])
            .needs(admins),
        Case::new("studies.isolation.roles", "being in a study gives no rights", roles)
            .checks(&["STUDY-JOB-003"])
            .needs(admins)
            .needs([Need::Admin(Who::MEMBER), Need::Admin(Who::ORG_ADMIN), Need::Admin(Who::OTHER_LEAD)]),
        Case::new("studies.isolation.tokens", "a submit token is the study's", tokens)
            .checks(&["STUDY-JOB-004", "SPEC-SUBMIT-JOB-002"])
            .exercises(&["submit_job", "submit_job.submit_token"])
            .needs(admins),
        Case::new("studies.isolation.clones", "a clone stays in its study", clones)
            .checks(&["STUDY-JOB-005"])
            .exercises(&["clone_job"])
            .needs(admins),
        Case::new("studies.targets", "commands to sites reach those of the study", targets)
            .checks(&["STUDY-TARGET-001"])
            .needs(admins),
        Case::new("studies.deploy.outside", "a job for sites outside the study is refused", outside)
            .checks(&["STUDY-DEPLOY-001"])
            .needs(admins),
        Case::new("studies.deploy.all", "a job for all sites runs on those of the study", all_sites)
            .checks(&["STUDY-DEPLOY-001"])
            .needs(admins),
        Case::new("studies.deploy.left", "a job that waits for a site which left cannot be scheduled", left)
            .checks(&["STUDY-DEPLOY-002"])
            .needs(admins),
        Case::new("studies.remove.with-jobs", "a study with jobs stays", with_jobs)
            .checks(&["STUDY-REMOVE-002"])
            .exercises(&["remove_study"])
            .needs(admins),
        Case::new("studies.session.unmapped", "a session outlives its user's place in the study", unmapped)
            .checks(&["STUDY-SESSION-001"])
            .needs(admins),
    ]
}

/// A study of one site with the lead in it, and what a project admin and the lead can make and have removed.
struct Inside {
    owner: Owner,
    lead: Owner,
    place: Place,
    study: StudyName,
}

impl Inside {
    /// In a study of all sites of the server's organisation, or of one.
    async fn new(context: &Context, all: bool) -> CaseResult<Self> {
        let place = Place::of(context)?;
        let mut owner = Owner::log_in(context, Who::PROJECT_ADMIN).await?;
        let entered = async {
            let sites = if all { place.own()? } else { place.one()? };
            let study = study_of(context, &mut owner, &sites, &[Who::LEAD]).await?;
            Ok((Owner::log_in_to(context, Who::LEAD, &study).await?, study))
        };
        match entered.await {
            Ok((lead, study)) => Ok(Self { owner, lead, place, study }),
            Err(finding) => owner.leave(Err(finding)).await.and(Err(Finding::harness("a failure was lost"))),
        }
    }

    /// The jobs go before the study.
    async fn leave(self, found: CaseResult) -> CaseResult {
        let found = self.lead.leave(found).await;
        self.owner.leave(found).await
    }

    /// A job of the lead's that waits for ever.
    async fn waiting(&mut self, what: &str) -> CaseResult<JobId> {
        let job = JobFolder::waiting(&unique(what)?)?;
        let job_id = self.lead.session.submit_job(job.path()).await?;
        Ok(self.lead.own(job_id))
    }
}

async fn users_only(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let admin = Owner::log_in(&context, Who::ORG_ADMIN).await?;
    let found = async {
        let place = Place::of(&context)?;
        let study = owner.study_name("login")?;
        let refused = async |who: Who, study: &StudyName| -> CaseResult<(ErrorKind, Option<String>)> {
            match context.connect_to_raw(context.kit(who)?, study.clone()).await? {
                Ok(session) => {
                    session.close().await;
                    Err(Finding::fail(format!("a {who} got into {study}")))
                }
                Err(error) => Ok((error.kind(), error.code().map(str::to_owned))),
            }
        };
        admin.session.register_study(&study, &flare_client::StudySites::sites([place.site()])?).await?;
        for who in [Who::PROJECT_ADMIN, Who::LEAD] {
            let expected = (ErrorKind::LoginRejected, Some("AUTH_STUDY_USER_NOT_MAPPED".to_owned()));
            ensure_eq!(refused(who, &study).await?, expected, "a {who} who is not in the study");
        }
        let unknown = StudyName::new(unique("unknown")?)?;
        let expected = (ErrorKind::StudyUnknown, Some("AUTH_UNKNOWN_STUDY".to_owned()));
        ensure_eq!(refused(Who::PROJECT_ADMIN, &unknown).await?, expected, "a study that there is not");
        for who in [Who::PROJECT_ADMIN, Who::LEAD] {
            admin.session.add_study_user(&study, &context.kit(who)?.user).await?;
            let inside = context.connect_to(context.kit(who)?, study.clone()).await?;
            ensure_eq!(inside.study(), &study, "study of a session");
            let identity = inside.list_studies().await?.identity;
            ensure_eq!(identity.role.as_deref(), Some(who.role.as_str()), "role in the study");
            inside.close().await;
        }
        let inside = context.connect_to(context.kit(Who::ORG_ADMIN)?, study.clone()).await?;
        inside.close().await;
        Ok(())
    }
    .await;
    let found = admin.leave(found).await;
    owner.leave(found).await
}

async fn ids(session: &Session) -> CaseResult<Vec<String>> {
    Ok(session.list_jobs(&JobQuery::new()).await?.into_iter().map(|job| job.job_id).collect())
}

async fn lists(context: Context) -> CaseResult {
    let mut inside = Inside::new(&context, true).await?;
    let found = async {
        ensure_eq!(ids(&inside.lead.session).await?, Vec::<String>::new(), "jobs of a new study");
        let job_id = inside.waiting("inside").await?.to_string();
        let folder = JobFolder::waiting(&unique("outside")?)?;
        let outside = inside.owner.session.submit_job(folder.path()).await?;
        let outside = inside.owner.own(outside).to_string();
        ensure_eq!(ids(&inside.lead.session).await?, [job_id.as_str()], "jobs of the study");
        let default = ids(&inside.owner.session).await?;
        ensure!(default.contains(&outside) && !default.contains(&job_id), "jobs of the default study: {default:?}");
        let study = inside.study.as_str();
        let summary = inside.lead.session.list_jobs(&JobQuery::new()).await?;
        ensure_eq!(summary[0].study.as_deref(), Some(study), "study of a listed job");
        let detailed = inside.lead.session.list_jobs_detailed(&JobQuery::new()).await?;
        ensure_eq!(detailed.len(), 1, "jobs of the study, in detail");
        ensure_eq!(detailed[0].study.as_deref(), Some(study), "study of a job listed in detail");
        let nothing = JobQuery::new().id_prefix(&outside)?;
        ensure_eq!(inside.lead.session.list_jobs(&nothing).await?, [], "another study's job by its id");
        Ok(())
    }
    .await;
    inside.leave(found).await
}

async fn hidden(context: Context) -> CaseResult {
    let mut inside = Inside::new(&context, true).await?;
    let found = async {
        let job_id = inside.waiting("hidden").await?;
        let text = format!("no such job: {job_id}");
        let expected = json!({
            "data": [{"type": "error", "data": text}],
            "meta": {"status": "invalid_job_id", "info": job_id.as_str()},
        });
        // The project admin and the submitter himself, both outside the study.
        let submitter = context.shared(Who::LEAD).await?;
        for session in [&inside.owner.session, &submitter] {
            for line in [
                "get_job_meta ID",
                "abort_job ID",
                "delete_job ID",
                "clone_job ID",
                "list_job ID",
                "download_job ID",
                "download_job_components ID",
                "get_job_log ID",
                "configure_job_log ID server INFO",
                "show_stats ID server",
                "show_errors ID all",
                "reset_errors ID server",
                "app_command ID topic",
            ] {
                let line = line.replace("ID", job_id.as_str());
                let mut observed = said(session, &line).await?;
                // What the text of the meta says is the id or all of the text, by command.
                if observed["meta"]["info"].as_str() == Some(text.as_str()) {
                    observed["meta"]["info"] = job_id.as_str().into();
                }
                ensure_eq!(observed, expected, "{line}");
            }
        }
        ensure_eq!(inside.lead.session.get_job_status(&job_id).await?, Some(JobStatus::Submitted), "status afterwards");
        Ok(())
    }
    .await;
    inside.leave(found).await
}

async fn roles(context: Context) -> CaseResult {
    let mut inside = Inside::new(&context, true).await?;
    let found = async {
        let job_id = inside.waiting("roles").await?;
        for who in [Who::MEMBER, Who::ORG_ADMIN, Who::OTHER_LEAD] {
            let user = context.kit(who)?.user.clone();
            inside.owner.session.add_study_user(&inside.study, &user).await?;
            let mut guest = Owner::log_in_to(&context, who, &inside.study).await?;
            let found = rights(&mut guest, who, &user, &job_id).await;
            guest.leave(found).await?;
        }
        Ok(())
    }
    .await;
    inside.leave(found).await
}

/// What somebody in a study may do with another's job there.
async fn rights(guest: &mut Owner, who: Who, user: &str, job_id: &JobId) -> CaseResult {
    let refusal = |command: &str| Some(format!("user '{user}' is not authorized for '{command}'"));
    let text = |error: Option<flare_client::Error>| {
        error.filter(|error| error.kind() == ErrorKind::NotAuthorized)?.server_text().map(str::to_owned)
    };
    ensure_eq!(guest.session.get_job_meta(job_id).await?.job_id.as_str(), job_id.as_str(), "a {who} looks at the job");
    if who != Who::OTHER_LEAD {
        let job = JobFolder::waiting(&unique("roles")?)?;
        let submitted = guest.session.submit_job(job.path()).await.map(|job_id| guest.own(job_id));
        ensure_eq!(text(submitted.err()), refusal("submit_job"), "a {who} submits");
    }
    ensure_eq!(text(guest.session.clone_job(job_id).await.err()), refusal("clone_job"), "a {who} clones");
    if who != Who::ORG_ADMIN {
        ensure_eq!(text(guest.session.abort_job(job_id).await.err()), refusal("abort_job"), "a {who} aborts");
        ensure_eq!(text(guest.session.delete_job(job_id).await.err()), refusal("delete_job"), "a {who} deletes");
    }
    Ok(())
}

async fn tokens(context: Context) -> CaseResult {
    let mut inside = Inside::new(&context, true).await?;
    let mut outside = Owner::log_in(&context, Who::LEAD).await?;
    let found = async {
        let token = SubmitToken::new(unique("token")?)?;
        let job = JobFolder::waiting(&unique("token")?)?;
        let first = inside.lead.session.submit_job(job.path()).token(token.clone()).await?;
        let first = inside.lead.own(first);
        let second = outside.session.submit_job(job.path()).token(token.clone()).await?;
        let second = outside.own(second);
        ensure!(first != second, "both studies got {first}");
        let again = inside.lead.session.submit_job(job.path()).token(token.clone()).await?;
        ensure_eq!(again, first, "the token again in the study");
        let listed = inside.lead.session.list_jobs(&JobQuery::new().submit_token(token)).await?;
        ensure_eq!(listed.iter().map(|job| job.job_id.as_str()).collect::<Vec<_>>(), [first.as_str()], "by token");
        Ok(())
    }
    .await;
    let found = outside.leave(found).await;
    inside.leave(found).await
}

async fn clones(context: Context) -> CaseResult {
    let mut inside = Inside::new(&context, true).await?;
    let found = async {
        let job_id = inside.waiting("clone").await?;
        let clone = inside.lead.session.clone_job(&job_id).await?;
        let clone = inside.lead.own(clone);
        let meta = inside.lead.session.get_job_meta(&clone).await?;
        ensure_eq!(meta.study.as_deref(), Some(inside.study.as_str()), "study of the clone");
        let error = inside.owner.session.get_job_meta(&clone).await.err();
        ensure_eq!(error.map(|error| error.kind()), Some(ErrorKind::JobNotFound), "the clone outside the study");
        Ok(())
    }
    .await;
    inside.leave(found).await
}

async fn targets(context: Context) -> CaseResult {
    let inside = Inside::new(&context, false).await?;
    let found = async {
        let (session, study, site) = (&inside.lead.session, &inside.study, inside.place.site());
        let other = inside.place.other_site.as_str();
        // A site has an entry for each job that it runs, whosever that is.
        let only = BTreeSet::from([site]);
        let status = session.check_status(&Targets::all_sites()).await?;
        ensure_eq!(status.site_jobs.iter().map(|job| job.site.as_str()).collect::<BTreeSet<_>>(), only, "all sites");
        let both = session.get_client_job_status(&[other.parse()?, site.parse()?]).await?;
        ensure_eq!(
            both.iter().map(|job| job.site.as_str()).collect::<BTreeSet<_>>(),
            only,
            "one of the study, one not"
        );
        let resources = session.report_resources(&Targets::All).await?;
        let resources: Vec<&str> = resources.iter().map(|entry| entry.site.as_str()).collect();
        ensure_eq!(resources, ["server", site], "resources of all");
        let environment = session.get_client_env(&[]).await?;
        ensure_eq!(environment.iter().map(|entry| entry.site.as_str()).collect::<Vec<_>>(), [site], "environments");

        let text = format!("site '{other}' is not enrolled in study '{study}'");
        let refused = json!({
            "data": [{"type": "error", "data": text}],
            "meta": {"status": "invalid_target", "info": text},
        });
        for command in
            ["check_status client", "sys_info client", "report_resources client", "show_scopes client", "report_env"]
        {
            ensure_eq!(said(session, &format!("{command} {other}")).await?, refused, "{command}");
        }
        if let Some(second) = inside.place.sites.get(1) {
            let error = session.check_status(&Targets::sites([second.as_str(), other])?).await.err();
            let text = format!("sites '{second}', '{other}' are not enrolled in study '{study}'");
            let seen = error.as_ref().map(|error| (error.kind(), error.server_text()));
            ensure_eq!(seen, Some((ErrorKind::InvalidTarget, Some(text.as_str()))), "two sites outside");
        }
        // The server's own account of its sites is not filtered.
        let registered = session.get_connected_client_list().await?;
        ensure!(registered.iter().any(|entry| entry.name == other), "registered sites: {registered:?}");
        Ok(())
    }
    .await;
    inside.leave(found).await
}

async fn outside(context: Context) -> CaseResult {
    let mut inside = Inside::new(&context, false).await?;
    let found = async {
        let other = inside.place.other_site.clone();
        let job = JobFolder::short(&unique("outside")?, &[inside.place.site(), &other])?;
        let submitted = inside.lead.session.submit_job(job.path()).await;
        let error = submitted.map(|job_id| inside.lead.own(job_id)).err();
        let text = format!("site '{other}' is not enrolled in study '{}'", inside.study);
        let seen = error.as_ref().map(|error| (error.kind(), error.server_text()));
        ensure_eq!(seen, Some((ErrorKind::InvalidJob, Some(text.as_str()))), "a job for a site outside");
        ensure_eq!(ids(&inside.lead.session).await?, Vec::<String>::new(), "jobs of the study");
        Ok(())
    }
    .await;
    inside.leave(found).await
}

async fn all_sites(context: Context) -> CaseResult {
    let mut inside = Inside::new(&context, false).await?;
    let found = async {
        let job = JobFolder::short(&unique("all")?, &[inside.place.site()])?
            .with_meta("deploy_map", json!({"app": ["@ALL"]}))?;
        let job_id = inside.lead.session.submit_job(job.path()).await?;
        let job_id = inside.lead.own(job_id);
        inside.lead.until(&job_id, &JobStatus::Completed).await?;
        let meta = inside.lead.deployed(&job_id).await?;
        let expected = ["server: OK".to_owned(), format!("{}: OK", inside.place.site())];
        ensure_eq!(meta.job_deploy_detail, expected, "deployment");
        ensure_eq!(meta.study.as_deref(), Some(inside.study.as_str()), "study");
        Ok(())
    }
    .await;
    inside.leave(found).await
}

async fn left(context: Context) -> CaseResult {
    let mut inside = Inside::new(&context, true).await?;
    let found = async {
        // No site has graphics processors to offer, so it waits.
        let resources: serde_json::Map<String, Value> =
            inside.place.sites.iter().map(|site| (site.clone(), json!({"num_of_gpus": 1}))).collect();
        let job = JobFolder::short(&unique("left")?, &names(&inside.place.sites))?
            .with_meta("resource_spec", resources.into())?;
        let job_id = inside.lead.session.submit_job(job.path()).await?;
        let job_id = inside.lead.own(job_id);
        inside.owner.session.remove_study_site(&inside.study, &inside.place.one()?).await?;
        let meta = inside.lead.until(&job_id, &JobStatus::CanNotSchedule).await?;
        let last = meta.schedule_history.last().cloned().unwrap_or_default();
        let expected = format!(": site '{}' not in study '{}'", inside.place.site(), inside.study);
        ensure!(last.ends_with(&expected), "history: {:?}", meta.schedule_history);
        Ok(())
    }
    .await;
    inside.leave(found).await
}

async fn with_jobs(context: Context) -> CaseResult {
    let mut inside = Inside::new(&context, true).await?;
    let found = async {
        let jobs = [inside.waiting("first").await?, inside.waiting("second").await?];
        let study = inside.study.clone();
        let text = |number: usize| format!("Study '{study}' has {number} associated job(s) and cannot be removed.");
        for (number, job_id) in [(2, &jobs[0]), (1, &jobs[1])] {
            // An ended job counts like any other.
            inside.lead.session.abort_job(job_id).await?;
            let error = inside.owner.session.remove_study(&study).await.err();
            let seen = error.as_ref().map(|error| (error.kind(), error.code(), error.server_hint(), error.exit_code()));
            let hint = "Archive or delete the associated jobs before retrying.";
            ensure_eq!(seen, Some((ErrorKind::Refused, Some("STUDY_HAS_JOBS"), Some(hint), Some(1))), "{number} jobs");
            let said = error.as_ref().and_then(flare_client::Error::server_text);
            ensure_eq!(said, Some(text(number).as_str()), "{number} jobs");
            inside.lead.session.delete_job(job_id).await?;
        }
        inside.owner.session.remove_study(&study).await?;
        // The session is still in a study that there is no longer.
        ensure_eq!(ids(&inside.lead.session).await?, Vec::<String>::new(), "jobs of the study that was removed");
        Ok(())
    }
    .await;
    inside.leave(found).await
}

async fn unmapped(context: Context) -> CaseResult {
    let mut inside = Inside::new(&context, true).await?;
    let found = async {
        let first = inside.waiting("before").await?;
        let user = &context.kit(Who::LEAD)?.user;
        inside.owner.session.remove_study_user(&inside.study, user).await?;
        ensure_eq!(ids(&inside.lead.session).await?, [first.as_str()], "jobs of the study");
        let second = inside.waiting("after").await?;
        ensure_eq!(ids(&inside.lead.session).await?.len(), 2, "jobs of the study, with {second}");
        let error = context.connect_to_raw(context.kit(Who::LEAD)?, inside.study.clone()).await?.err();
        let seen = error.as_ref().map(|error| (error.kind(), error.code()));
        ensure_eq!(seen, Some((ErrorKind::LoginRejected, Some("AUTH_STUDY_USER_NOT_MAPPED"))), "a new session");
        Ok(())
    }
    .await;
    inside.leave(found).await
}
