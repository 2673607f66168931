//! What becomes of the registry: payloads of the commands that succeed, and who sees what.

use flare_client::{ErrorKind, StudySites};
use serde_json::{Value, json};

use super::{Owner, Place, listed, names, payload, said, study_of};
use crate::finding::{ensure, ensure_eq};
use crate::{Case, CaseResult, Context, Need, Who};

pub(super) fn cases() -> Vec<Case> {
    let both_admins = [Need::Admin(Who::PROJECT_ADMIN), Need::Admin(Who::ORG_ADMIN)];
    vec![
        Case::new(
            "studies.registry.project-admin",
            "a project admin registers, extends and removes a study",
            registered,
        )
        .checks(&[
            "STUDY-REGISTER-001",
            "STUDY-SHOW-001",
            "STUDY-REMOVE-001",
            "SPEC-REGISTER-STUDY-001",
            "SPEC-REGISTER-STUDY-004",
            "SPEC-REGISTER-STUDY-005",
            "SPEC-REMOVE-STUDY-001",
            "SPEC-REMOVE-STUDY-002",
            "SPEC-SHOW-STUDY-001",
        ])
        .exercises(&[
            "register_study",
            "register_study.study",
            "register_study.site_orgs",
            "show_study",
            "show_study.study",
            "remove_study",
            "remove_study.study",
        ])
        .needs([Need::Admin(Who::PROJECT_ADMIN)]),
        Case::new("studies.registry.org-admin", "an organisation's admin registers sites of his own", by_org_admin)
            .checks(&["STUDY-REGISTER-002", "STUDY-LIST-001", "SPEC-LIST-STUDIES-001", "SPEC-REGISTER-STUDY-003"])
            .exercises(&["register_study", "register_study.sites", "list_studies"])
            .needs(both_admins),
        Case::new("studies.registry.sites", "sites come and go", sites)
            .checks(&[
                "STUDY-SITE-001",
                "STUDY-SITE-002",
                "SPEC-ADD-STUDY-SITE-001",
                "SPEC-ADD-STUDY-SITE-004",
                "SPEC-ADD-STUDY-SITE-005",
                "SPEC-REMOVE-STUDY-SITE-001",
                "SPEC-REMOVE-STUDY-SITE-004",
                "SPEC-REMOVE-STUDY-SITE-005",
            ])
            .exercises(&[
                "add_study_site",
                "add_study_site.study",
                "add_study_site.site_orgs",
                "remove_study_site",
                "remove_study_site.study",
                "remove_study_site.site_orgs",
            ])
            .needs([Need::Admin(Who::PROJECT_ADMIN)]),
        Case::new("studies.registry.own-sites", "an organisation's admin adds and removes sites of his own", own_sites)
            .checks(&[
                "STUDY-SITE-001",
                "STUDY-SITE-002",
                "STUDY-LIST-001",
                "SPEC-ADD-STUDY-SITE-001",
                "SPEC-ADD-STUDY-SITE-003",
                "SPEC-REMOVE-STUDY-SITE-001",
                "SPEC-REMOVE-STUDY-SITE-003",
            ])
            .exercises(&["add_study_site", "add_study_site.sites", "remove_study_site", "remove_study_site.sites"])
            .needs(both_admins),
        Case::new("studies.registry.users", "users come and go", users)
            .checks(&[
                "STUDY-USER-001",
                "STUDY-USER-002",
                "STUDY-LIST-001",
                "SPEC-ADD-STUDY-USER-001",
                "SPEC-ADD-STUDY-USER-002",
                "SPEC-REMOVE-STUDY-USER-001",
                "SPEC-REMOVE-STUDY-USER-002",
            ])
            .exercises(&[
                "add_study_user",
                "add_study_user.study",
                "add_study_user.user",
                "remove_study_user",
                "remove_study_user.study",
                "remove_study_user.user",
                "list_studies",
            ])
            .needs([Need::Admin(Who::PROJECT_ADMIN), Need::Admin(Who::LEAD), Need::Admin(Who::MEMBER)]),
        Case::new("studies.registry.visibility", "another organisation sees a study when it is in it", visibility)
            .checks(&["STUDY-VISIBLE-001", "STUDY-LIST-001", "SPEC-LIST-STUDIES-001"])
            .needs([Need::Admin(Who::PROJECT_ADMIN), Need::Admin(Who::OTHER_ORG_ADMIN)]),
    ]
}

async fn registered(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = register_extend_remove(&context, &mut owner).await;
    owner.leave(found).await
}

async fn register_extend_remove(context: &Context, owner: &mut Owner) -> CaseResult {
    let place = Place::of(context)?;
    let study = owner.study_name("registered")?;
    let session = &owner.session;
    let user = &context.kit(Who::PROJECT_ADMIN)?.user;
    let line = format!("register_study {study} --site-org {}:{}", place.org, place.site());
    let expected = payload(json!({
        "name": study.as_str(),
        "site_orgs": {place.org.as_str(): [place.site()]},
        "sites": [place.site()],
        "users": [user],
    }));
    ensure_eq!(said(session, &line).await?, expected, "registering");
    ensure_eq!(said(session, &line).await?, expected, "registering once more");
    ensure_eq!(said(session, &format!("show_study {study}")).await?, expected, "showing");

    let more = StudySites::of_org(&place.org, [place.site()])?.and_org(&place.other_org, [&place.other_site])?;
    let merged = session.register_study(&study, &more).await?;
    let mut all = vec![place.site().to_owned(), place.other_site.clone()];
    all.sort();
    ensure_eq!(merged.sites, all, "sites after another was registered");
    ensure_eq!(merged.users, [user.as_str()], "users after another site was registered");
    ensure_eq!(
        merged.site_orgs.get(&place.other_org).map(Vec::as_slice),
        Some(&[place.other_site.clone()][..]),
        "sites of the other organisation"
    );
    let shown = session.show_study(&study).await?;
    ensure_eq!(shown, merged, "showing what was extended");

    let expected = payload(json!({"name": study.as_str(), "removed": true}));
    ensure_eq!(said(session, &format!("remove_study {study}")).await?, expected, "removing");
    for error in [session.show_study(&study).await.err(), session.remove_study(&study).await.err()] {
        ensure_eq!(error.as_ref().map(flare_client::Error::kind), Some(ErrorKind::StudyUnknown), "{error:?}");
    }
    ensure!(!listed(session).await?.contains(&study.to_string()), "the study is still listed");
    Ok(())
}

async fn by_org_admin(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let admin = Owner::log_in(&context, Who::ORG_ADMIN).await?;
    let found = async {
        let place = Place::of(&context)?;
        let study = owner.study_name("org-admin")?;
        let user = &context.kit(Who::ORG_ADMIN)?.user;
        // A name twice is a name once.
        let line = format!("register_study {study} --sites {0},{0}", place.site());
        let expected = payload(json!({
            "name": study.as_str(),
            "site_orgs": {place.org.as_str(): [place.site()]},
            "sites": [place.site()],
            "users": [user],
        }));
        ensure_eq!(said(&admin.session, &line).await?, expected, "registering");
        ensure_eq!(
            said(&owner.session, &format!("show_study {study}")).await?,
            expected,
            "showing to the project admin"
        );
        let again = admin.session.register_study(&study, &StudySites::sites(names(&place.sites))?).await?;
        let mut all = place.sites.clone();
        all.sort();
        ensure_eq!(again.sites, all, "sites after all were registered");

        let listing = admin.session.list_studies().await?;
        let detail = listing.details.iter().find(|detail| detail.name == study.as_str());
        ensure_eq!(detail.and_then(|detail| detail.role.as_deref()), Some("org_admin"), "role in {listing:?}");
        ensure_eq!(detail.and_then(|detail| detail.can_submit_job), Some(false), "submitting in {listing:?}");
        let reason = format!("user '{user}' is not authorized for 'submit_job'");
        ensure_eq!(detail.and_then(|detail| detail.reason.as_deref()), Some(reason.as_str()), "reason in {listing:?}");
        let listing = owner.session.list_studies().await?;
        let detail = listing.details.iter().find(|detail| detail.name == study.as_str());
        ensure_eq!(detail.and_then(|detail| detail.can_submit_job), Some(true), "submitting in {listing:?}");
        ensure_eq!(detail.and_then(|detail| detail.reason.as_deref()), None, "reason in {listing:?}");
        Ok(())
    }
    .await;
    let found = admin.leave(found).await;
    owner.leave(found).await
}

/// The payload of a change of sites.
fn change(study: &str, lists: &[(&str, Vec<&str>)], orgs: &Value, sites: Vec<&str>) -> Value {
    let mut object = json!({"study": study});
    for (name, list) in lists {
        object[*name] = json!(list);
    }
    object["site_orgs"] = orgs.clone();
    object["sites"] = json!(sites);
    payload(object)
}

async fn sites(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let place = Place::of(&context)?;
        let study = study_of(&context, &mut owner, &place.one()?, &[]).await?;
        let (org, other, site, other_site) = (&place.org, &place.other_org, place.site(), place.other_site.as_str());
        let session = &owner.session;
        let mut both = vec![site, other_site];
        both.sort_unstable();

        let line = format!("add_study_site {study} --site-org {org}:{site} --site-org {other}:{other_site}");
        let orgs = json!({org.as_str(): [site], other.as_str(): [other_site]});
        let lists = [("added", vec![other_site]), ("already_enrolled", vec![site])];
        ensure_eq!(said(session, &line).await?, change(study.as_str(), &lists, &orgs, both.clone()), "adding");

        let line =
            format!("remove_study_site {study} --site-org {org}:{site},no-such-site --site-org no_org:{other_site}");
        let gone = session.do_command(&line).await?;
        let shown = session.show_study(&study).await?;
        ensure_eq!(shown.sites, [other_site], "sites after one was removed: {}", gone.to_json());
        ensure_eq!(shown.site_orgs.get(org.as_str()), Some(&Vec::new()), "an organisation without sites");
        let removed = session.remove_study_site(&study, &place.one()?).await?;
        ensure_eq!(removed.removed, Vec::<String>::new(), "removed twice");
        ensure_eq!(removed.not_enrolled, [site], "not enrolled");
        let again = session.add_study_site(&study, &place.one()?).await?;
        ensure_eq!((again.added, again.already_enrolled), (vec![site.to_owned()], Vec::new()), "added again");
        ensure_eq!(again.sites, both, "sites after it was added again");
        Ok(())
    }
    .await;
    owner.leave(found).await
}

async fn own_sites(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let admin = Owner::log_in(&context, Who::ORG_ADMIN).await?;
    let found = async {
        let place = Place::of(&context)?;
        let sites = place.one()?.and_org(&place.other_org, [&place.other_site])?;
        let study = study_of(&context, &mut owner, &sites, &[]).await?;
        let session = &admin.session;
        let own = StudySites::sites([place.site()])?;
        let removed = session.remove_study_site(&study, &own).await?;
        ensure_eq!(removed.removed, [place.site()], "removed");
        // An organisation without sites is in the study all the same.
        ensure!(listed(session).await?.contains(&study.to_string()), "the study is not listed any more");
        let added = session.add_study_site(&study, &own).await?;
        ensure_eq!(added.added, [place.site()], "added");
        // Another organisation's site is none of his own.
        let other = session.remove_study_site(&study, &StudySites::sites([&place.other_site])?).await?;
        ensure_eq!((other.removed, other.not_enrolled), (Vec::new(), vec![place.other_site.clone()]), "another's site");
        Ok(())
    }
    .await;
    let found = admin.leave(found).await;
    owner.leave(found).await
}

async fn users(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let lead = Owner::log_in(&context, Who::LEAD).await?;
    let member = Owner::log_in(&context, Who::MEMBER).await?;
    let found = async {
        let place = Place::of(&context)?;
        let study = study_of(&context, &mut owner, &place.one()?, &[]).await?;
        let session = &owner.session;
        for (who, guest) in [(Who::LEAD, &lead), (Who::MEMBER, &member)] {
            let user = &context.kit(who)?.user;
            ensure!(!listed(&guest.session).await?.contains(&study.to_string()), "a {who} sees a study he is not in");
            let expected = payload(json!({"study": study.as_str(), "user": user}));
            ensure_eq!(said(session, &format!("add_study_user {study} {user}")).await?, expected, "adding a {who}");
            let listing = guest.session.list_studies().await?;
            let detail = listing.details.iter().find(|detail| detail.name == study.as_str());
            ensure_eq!(detail.and_then(|detail| detail.role.as_deref()), Some(who.role.as_str()), "role of a {who}");
            let may = who == Who::LEAD;
            ensure_eq!(detail.and_then(|detail| detail.can_submit_job), Some(may), "submitting of a {who}");
        }
        let nobody = "nobody at nowhere";
        session.add_study_user(&study, nobody).await?;
        let expected: Vec<String> = [Who::PROJECT_ADMIN, Who::LEAD, Who::MEMBER]
            .into_iter()
            .map(|who| Ok(context.kit(who)?.user.clone()))
            .chain([Ok(nobody.to_owned())])
            .collect::<CaseResult<_>>()?;
        ensure_eq!(session.show_study(&study).await?.users, expected, "users");
        for (who, guest) in [(Who::LEAD, &lead), (Who::MEMBER, &member)] {
            let user = &context.kit(who)?.user;
            let expected = payload(json!({"study": study.as_str(), "user": user, "removed": true}));
            ensure_eq!(
                said(session, &format!("remove_study_user {study} {user}")).await?,
                expected,
                "removing a {who}"
            );
            ensure!(
                !listed(&guest.session).await?.contains(&study.to_string()),
                "a removed {who} still sees the study"
            );
        }
        let removed = session.remove_study_user(&study, nobody).await?;
        ensure_eq!((removed.user.as_str(), removed.removed), (nobody, Some(true)), "removing a user with blanks");
        Ok(())
    }
    .await;
    let found = member.leave(found).await;
    let found = lead.leave(found).await;
    owner.leave(found).await
}

async fn visibility(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let other = Owner::log_in(&context, Who::OTHER_ORG_ADMIN).await?;
    let found = async {
        let place = Place::of(&context)?;
        let study = study_of(&context, &mut owner, &place.one()?, &[]).await?;
        ensure!(!listed(&other.session).await?.contains(&study.to_string()), "the other organisation sees the study");
        let error = other.session.show_study(&study).await.err();
        ensure_eq!(error.as_ref().map(flare_client::Error::kind), Some(ErrorKind::StudyUnknown), "{error:?}");
        let more = StudySites::of_org(&place.other_org, [&place.other_site])?;
        owner.session.add_study_site(&study, &more).await?;
        ensure!(listed(&other.session).await?.contains(&study.to_string()), "the organisation does not see its study");
        let shown = other.session.show_study(&study).await?;
        ensure_eq!(shown, owner.session.show_study(&study).await?, "what the other organisation sees");
        other.session.add_study_user(&study, "conformance guest").await?;
        owner.session.remove_study_site(&study, &more).await?;
        ensure!(
            listed(&other.session).await?.contains(&study.to_string()),
            "an organisation whose last site left does not see the study any more"
        );
        Ok(())
    }
    .await;
    let found = other.leave(found).await;
    owner.leave(found).await
}
