//! What is refused, in which words.

use flare_client::{ErrorKind, StudyName, StudySites};
use serde_json::{Value, json};

use super::{Owner, Place, payload, said, study_of};
use crate::finding::ensure_eq;
use crate::{Case, CaseResult, Context, Need, Who};

const NAME: &str = "INVALID_STUDY_NAME";
const ARGS: &str = "INVALID_ARGS";
const SITE: &str = "INVALID_SITE";
const NOT_FOUND: &str = "STUDY_NOT_FOUND";

const NO_HINT: &str = "";
const SITE_HINT: &str = "Each site must be currently connected to the server and provisioned under the specified org.";
const CHANGE_HINT: &str = "Verify the study name or contact a project_admin.";
const SHOW_HINT: &str = "Verify the study name. If the study exists and you expect access, contact a project_admin.";

/// A name one letter too long.
const LONG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A line that breaks a rule, and its answer. In both, `{study}` is a study of one site of the server's organisation,
/// `{new}` a name that no study has, `{site}` and `{other}` a site of the server's organisation and one of another,
/// `{org}` and `{other_org}` the organisations, `{user}` the caller, `{long}` a name one letter too long.
struct Row {
    id: &'static str,
    who: Who,
    line: &'static str,
    code: &'static str,
    message: &'static str,
    hint: &'static str,
    exit_code: i64,
}

const fn row(
    id: &'static str,
    who: Who,
    line: &'static str,
    (code, exit_code): (&'static str, i64),
    message: &'static str,
    hint: &'static str,
) -> Row {
    Row { id, who, line, code, message, hint, exit_code }
}

const P: Who = Who::PROJECT_ADMIN;
const O: Who = Who::ORG_ADMIN;
const X: Who = Who::OTHER_ORG_ADMIN;

const ROWS: &[Row] = &[
    row(
        "register.upper-case",
        P,
        "register_study S1 --site-org {org}:{site}",
        (NAME, 4),
        "invalid study name 'S1'",
        NO_HINT,
    ),
    row(
        "register.default",
        P,
        "register_study default --site-org {org}:{site}",
        (NAME, 4),
        "invalid study name 'default'",
        NO_HINT,
    ),
    row(
        "register.long",
        P,
        "register_study {long} --site-org {org}:{site}",
        (NAME, 4),
        "invalid study name '{long}'",
        NO_HINT,
    ),
    row("register.org", P, "register_study {new} --site-org o-o:{site}", (ARGS, 4), "invalid org 'o-o'", NO_HINT),
    row("register.no-org", P, "register_study {new} --site-org :{site}", (ARGS, 4), "invalid org ''", NO_HINT),
    row(
        "register.site-name",
        P,
        "register_study {new} --site-org {org}:si!te",
        (SITE, 4),
        "invalid site 'si!te'",
        NO_HINT,
    ),
    row(
        "register.no-colon",
        P,
        "register_study {new} --site-org {org}",
        (ARGS, 4),
        "invalid --site-org value '{org}'",
        NO_HINT,
    ),
    row(
        "register.org-alone",
        P,
        "register_study {new} --site-org {org}:",
        (ARGS, 4),
        "--site-org '{org}:' must contain at least one site",
        NO_HINT,
    ),
    row(
        "register.both",
        P,
        "register_study {new} --sites {site} --site-org {org}:{site}",
        (ARGS, 4),
        "--sites and --site-org are mutually exclusive; provide only one",
        NO_HINT,
    ),
    row(
        "register.twice",
        P,
        "register_study {new} --site-org {org}:{site},{site}",
        (ARGS, 4),
        "site '{site}' appears in more than one org group",
        NO_HINT,
    ),
    row(
        "register.two-orgs",
        P,
        "register_study {new} --site-org {org}:{site} --site-org {other_org}:{site}",
        (ARGS, 4),
        "site '{site}' appears in more than one org group",
        NO_HINT,
    ),
    row("register.no-sites", P, "register_study {new}", (ARGS, 4), "--site-org is required", NO_HINT),
    row(
        "register.plain-sites",
        P,
        "register_study {new} --sites {site}",
        (ARGS, 4),
        "project_admin must use --site-org, not --sites",
        NO_HINT,
    ),
    row(
        "register.unknown-site",
        P,
        "register_study {new} --site-org {org}:no-site",
        (SITE, 4),
        "Sites ['no-site'] are unknown or do not belong to org '{org}'.",
        SITE_HINT,
    ),
    row(
        "register.wrong-org",
        P,
        "register_study {new} --site-org {org}:{other}",
        (SITE, 4),
        "Sites ['{other}'] are unknown or do not belong to org '{org}'.",
        SITE_HINT,
    ),
    row("register.org-admin.no-sites", O, "register_study {new}", (ARGS, 4), "--sites is required", NO_HINT),
    row(
        "register.org-admin.comma",
        O,
        "register_study {new} --sites ,",
        (ARGS, 4),
        "--sites must contain at least one site",
        NO_HINT,
    ),
    row(
        "register.org-admin.by-org",
        O,
        "register_study {new} --site-org {org}:{site}",
        (ARGS, 4),
        "org_admin must use --sites, not --site-org",
        NO_HINT,
    ),
    row(
        "register.org-admin.other-site",
        O,
        "register_study {new} --sites {other}",
        (SITE, 4),
        "Sites ['{other}'] are unknown or do not belong to org '{org}'.",
        SITE_HINT,
    ),
    row(
        "register.taken",
        X,
        "register_study {study} --sites {other}",
        ("STUDY_ALREADY_EXISTS", 1),
        "Study '{study}' already exists.",
        "The study name is already taken. Contact a project_admin to grant access.",
    ),
    row(
        "add-site.unknown-study",
        P,
        "add_study_site {new} --site-org {org}:{site}",
        (NOT_FOUND, 1),
        "Study '{new}' not found.",
        CHANGE_HINT,
    ),
    row(
        "add-site.hidden-study",
        X,
        "add_study_site {study} --sites {other}",
        (NOT_FOUND, 1),
        "Study '{study}' not found.",
        CHANGE_HINT,
    ),
    row(
        "add-site.one-unknown",
        P,
        "add_study_site {study} --site-org {org}:{site},no-site",
        (SITE, 4),
        "Sites ['no-site'] are unknown or do not belong to org '{org}'.",
        SITE_HINT,
    ),
    row(
        "add-site.both",
        P,
        "add_study_site {study} --sites {site} --site-org {org}:{site}",
        (ARGS, 4),
        "--sites and --site-org are mutually exclusive; provide only one",
        NO_HINT,
    ),
    row(
        "add-site.plain-sites",
        P,
        "add_study_site {study} --sites {site}",
        (ARGS, 4),
        "project_admin must use --site-org, not --sites",
        NO_HINT,
    ),
    row(
        "add-site.by-org",
        O,
        "add_study_site {study} --site-org {org}:{site}",
        (ARGS, 4),
        "org_admin must use --sites, not --site-org",
        NO_HINT,
    ),
    row(
        "add-site.other-site",
        O,
        "add_study_site {study} --sites {other}",
        (SITE, 4),
        "Sites ['{other}'] are unknown or do not belong to org '{org}'.",
        SITE_HINT,
    ),
    row("add-site.no-sites", P, "add_study_site {study}", (ARGS, 4), "--site-org is required", NO_HINT),
    row(
        "remove-site.unknown-study",
        P,
        "remove_study_site {new} --site-org {org}:{site}",
        (NOT_FOUND, 1),
        "Study '{new}' not found.",
        CHANGE_HINT,
    ),
    row(
        "remove-site.hidden-study",
        X,
        "remove_study_site {study} --sites {other}",
        (NOT_FOUND, 1),
        "Study '{study}' not found.",
        CHANGE_HINT,
    ),
    row(
        "remove-site.both",
        P,
        "remove_study_site {study} --sites {site} --site-org {org}:{site}",
        (ARGS, 4),
        "--sites and --site-org are mutually exclusive; provide only one",
        NO_HINT,
    ),
    row(
        "remove-site.plain-sites",
        P,
        "remove_study_site {study} --sites {site}",
        (ARGS, 4),
        "project_admin must use --site-org, not --sites",
        NO_HINT,
    ),
    row("remove-site.no-sites", O, "remove_study_site {study}", (ARGS, 4), "--sites is required", NO_HINT),
    row(
        "add-user.twice",
        P,
        "add_study_user {study} {user}",
        ("USER_ALREADY_IN_STUDY", 1),
        "User '{user}' is already in study '{study}'.",
        "Use a different user or remove the existing entry first.",
    ),
    row("add-user.upper-case", P, "add_study_user S1 somebody", (NAME, 4), "invalid study name 'S1'", NO_HINT),
    row(
        "add-user.unknown-study",
        P,
        "add_study_user {new} somebody",
        (NOT_FOUND, 1),
        "Study '{new}' not found.",
        CHANGE_HINT,
    ),
    row(
        "add-user.hidden-study",
        X,
        "add_study_user {study} somebody",
        (NOT_FOUND, 1),
        "Study '{study}' not found.",
        CHANGE_HINT,
    ),
    row(
        "add-user.no-user",
        P,
        "add_study_user {study}",
        (NAME, 4),
        "the following arguments are required: user\nusage: add_study_user study user\n\npositional arguments:\n  study\n  user\n",
        NO_HINT,
    ),
    row(
        "remove-user.absent",
        P,
        "remove_study_user {study} nobody",
        ("USER_NOT_IN_STUDY", 1),
        "User 'nobody' is not in study '{study}'.",
        "Use add-user to add the user first.",
    ),
    row(
        "remove-user.unknown-study",
        P,
        "remove_study_user {new} somebody",
        (NOT_FOUND, 1),
        "Study '{new}' not found.",
        CHANGE_HINT,
    ),
    row(
        "remove-user.hidden-study",
        X,
        "remove_study_user {study} somebody",
        (NOT_FOUND, 1),
        "Study '{study}' not found.",
        CHANGE_HINT,
    ),
    row(
        "remove-user.no-user",
        P,
        "remove_study_user {study}",
        (NAME, 4),
        "the following arguments are required: user\nusage: remove_study_user study user\n\npositional arguments:\n  study\n  user\n",
        NO_HINT,
    ),
    row("remove.default", P, "remove_study default", (NAME, 4), "invalid study name 'default'", NO_HINT),
    row(
        "remove.unknown",
        P,
        "remove_study {new}",
        (NOT_FOUND, 1),
        "Study '{new}' not found.",
        "Verify the study name.",
    ),
    row(
        "remove.no-name",
        P,
        "remove_study",
        (NAME, 4),
        "the following arguments are required: study\nusage: remove_study study\n\npositional arguments:\n  study\n",
        NO_HINT,
    ),
    row("show.bad-name", P, "show_study BAD!", (NAME, 4), "invalid study name 'BAD!'", NO_HINT),
    row("show.default", O, "show_study default", (NAME, 4), "invalid study name 'default'", NO_HINT),
    row("show.unknown", P, "show_study {new}", (NOT_FOUND, 1), "Study '{new}' not found.", SHOW_HINT),
    row("show.hidden", X, "show_study {study}", (NOT_FOUND, 1), "Study '{study}' not found.", SHOW_HINT),
    row(
        "show.no-name",
        P,
        "show_study",
        (NAME, 4),
        "the following arguments are required: study\nusage: show_study study\n\npositional arguments:\n  study\n",
        NO_HINT,
    ),
    row("list.argument", Who::MEMBER, "list_studies x", (ARGS, 4), "list_studies does not accept arguments", NO_HINT),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = ROWS
        .iter()
        .map(|row| {
            let title = format!("`{}` of a {} is refused", row.line, row.who);
            Case::new(format!("studies.refused.{}", row.id), title, move |context| refused(context, row))
                .checks(if row.code == NOT_FOUND && row.who == X {
                    &["STUDY-ERROR-001", "STUDY-VISIBLE-001"]
                } else {
                    &["STUDY-ERROR-001"]
                })
                .checks(specified(row.id))
                .needs([Need::Admin(Who::PROJECT_ADMIN), Need::Admin(row.who)])
        })
        .collect();
    for who in [Who::LEAD, Who::MEMBER, Who::OTHER_LEAD, Who::OTHER_MEMBER, Who::ORG_ADMIN, Who::OTHER_ORG_ADMIN] {
        let title = format!("a {who} is refused what is not his role's");
        let case = Case::new(format!("studies.role.{}", who.slug()), title, move |context| by_role(context, who));
        cases.push(case.checks(&["STUDY-ROLE-001"]).needs([Need::Admin(Who::PROJECT_ADMIN), Need::Admin(who)]));
    }
    cases.extend([
        Case::new("studies.refused.exceptions", "words that cannot be read end in an exception", exceptions)
            .checks(&["STUDY-ERROR-002"])
            .needs([Need::Admin(Who::PROJECT_ADMIN)]),
        Case::new("studies.refused.typed", "errors keep code, message, hint and exit code", typed)
            .checks(&["STUDY-ERROR-003", "SPEC-ERROR-COMMAND-001"])
            .needs([Need::Admin(Who::PROJECT_ADMIN), Need::Admin(Who::LEAD)]),
    ]);
    cases
}

/// What the specification of the API says about a refusal.
fn specified(id: &str) -> &'static [&'static str] {
    match id {
        "register.both" => &["SPEC-REGISTER-STUDY-002"],
        "register.org-admin.by-org" | "register.org-admin.other-site" => &["SPEC-REGISTER-STUDY-003"],
        "register.plain-sites" => &["SPEC-REGISTER-STUDY-004"],
        "add-site.both" => &["SPEC-ADD-STUDY-SITE-002"],
        "add-site.by-org" => &["SPEC-ADD-STUDY-SITE-003"],
        "add-site.plain-sites" => &["SPEC-ADD-STUDY-SITE-004"],
        "remove-site.both" => &["SPEC-REMOVE-STUDY-SITE-002"],
        "remove-site.plain-sites" => &["SPEC-REMOVE-STUDY-SITE-004"],
        _ => &[],
    }
}

async fn refused(context: Context, row: &'static Row) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let caller = if row.who == Who::PROJECT_ADMIN { None } else { Some(Owner::log_in(&context, row.who).await?) };
    let found = async {
        let place = Place::of(&context)?;
        let study = if row.line.contains("{study}") {
            study_of(&context, &mut owner, &place.one()?, &[]).await?.to_string()
        } else {
            String::new()
        };
        let new = owner.study_name("none")?;
        let user = &context.kit(row.who)?.user;
        let filled = |text: &str| {
            text.replace("{study}", &study)
                .replace("{new}", new.as_str())
                .replace("{site}", place.site())
                .replace("{other}", &place.other_site)
                .replace("{org}", &place.org)
                .replace("{other_org}", &place.other_org)
                .replace("{user}", user)
                .replace("{long}", LONG)
        };
        let session = caller.as_ref().map_or(&owner.session, |caller| &caller.session);
        let expected = payload(json!({
            "error_code": row.code,
            "message": filled(row.message),
            "hint": row.hint,
            "exit_code": row.exit_code,
        }));
        ensure_eq!(said(session, &filled(row.line)).await?, expected, "{}", row.line);
        Ok(())
    }
    .await;
    let found = match caller {
        Some(caller) => caller.leave(found).await,
        None => found,
    };
    owner.leave(found).await
}

fn refusal(text: &str) -> Value {
    json!({"data": [{"type": "error", "data": text}], "meta": {"status": "not_authorized", "info": ""}})
}

async fn by_role(context: Context, who: Who) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let caller = Owner::log_in(&context, who).await?;
    let found = async {
        let place = Place::of(&context)?;
        let sites = place.one()?.and_org(&place.other_org, [&place.other_site])?;
        // Being in the study makes no difference.
        let study = study_of(&context, &mut owner, &sites, &[who]).await?;
        let new = owner.study_name("none")?;
        let (org, site) = (&place.org, place.site());
        let role = who.role.as_str();
        if !matches!(who, Who::ORG_ADMIN | Who::OTHER_ORG_ADMIN) {
            for line in [
                format!("register_study {new} --sites {site}"),
                format!("register_study {study} --site-org {org}:{site}"),
                format!("add_study_site {study} --sites {site}"),
                format!("remove_study_site {study} --site-org {org}:{site}"),
                format!("add_study_user {study} somebody"),
                format!("remove_study_user {study} somebody"),
                format!("show_study {study}"),
                format!("show_study {new}"),
            ] {
                let expected = refusal(&format!("NOT_AUTHORIZED for {role}"));
                ensure_eq!(said(&caller.session, &line).await?, expected, "{line}");
            }
        }
        for name in [&study, &new] {
            let line = format!("remove_study {name}");
            let expected = refusal(&format!("not authorized for {role}"));
            ensure_eq!(said(&caller.session, &line).await?, expected, "{line}");
        }
        ensure_eq!(owner.session.show_study(&study).await?.users.len(), 2, "users afterwards");
        Ok(())
    }
    .await;
    let found = caller.leave(found).await;
    owner.leave(found).await
}

async fn exceptions(context: Context) -> CaseResult {
    let owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        for command in ["register_study", "add_study_site", "remove_study_site"] {
            let usage = format!(
                "usage: {command} [--sites SITES] [--site-org SITE_ORGS] study\n\npositional arguments:\n  study\n\n\
                 options:\n  --sites SITES\n  --site-org SITE_ORGS\n"
            );
            for (words, problem) in [
                ("", "the following arguments are required: study"),
                (" -s1 --site-org a:b", "the following arguments are required: study"),
                (" s1 --zz 1", "unrecognized arguments: --zz 1"),
            ] {
                let text = format!("Exception Occurred: ValueError: {problem}\n{usage}");
                let expected =
                    json!({"data": [{"type": "error", "data": text}], "meta": {"status": "error", "info": text}});
                ensure_eq!(said(&owner.session, &format!("{command}{words}")).await?, expected, "{command}{words}");
            }
        }
        Ok(())
    }
    .await;
    owner.leave(found).await
}

async fn typed(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let lead = Owner::log_in(&context, Who::LEAD).await?;
    let found = async {
        let place = Place::of(&context)?;
        let study = study_of(&context, &mut owner, &place.one()?, &[]).await?;
        let new: StudyName = owner.study_name("none")?;
        let session = &owner.session;
        let plain = StudySites::sites([place.site()])?;
        let stranger = StudySites::of_org(&place.org, ["no-site"])?;
        let user = &context.kit(Who::PROJECT_ADMIN)?.user;
        let seen = [
            ("unknown", session.show_study(&new).await.err(), ErrorKind::StudyUnknown, NOT_FOUND, SHOW_HINT, 1),
            ("form", session.register_study(&study, &plain).await.err(), ErrorKind::InvalidCommand, ARGS, NO_HINT, 4),
            (
                "site",
                session.add_study_site(&study, &stranger).await.err(),
                ErrorKind::InvalidTarget,
                SITE,
                SITE_HINT,
                4,
            ),
            (
                "user",
                session.add_study_user(&study, user).await.err(),
                ErrorKind::Refused,
                "USER_ALREADY_IN_STUDY",
                "Use a different user or remove the existing entry first.",
                1,
            ),
        ];
        for (what, error, kind, code, hint, exit_code) in seen {
            let seen = error.as_ref().map(|error| (error.kind(), error.code(), error.exit_code()));
            ensure_eq!(seen, Some((kind, Some(code), Some(exit_code))), "{what}: {error:?}");
            let said = error.as_ref().and_then(flare_client::Error::server_hint).unwrap_or_default();
            ensure_eq!(said, hint, "{what}: hint");
        }
        let error = lead.session.show_study(&study).await.err();
        ensure_eq!(error.as_ref().map(flare_client::Error::kind), Some(ErrorKind::NotAuthorized), "{error:?}");
        Ok(())
    }
    .await;
    let found = lead.leave(found).await;
    owner.leave(found).await
}
