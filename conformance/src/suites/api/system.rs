//! The server and its sites.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use flare_client::{ErrorKind, Item, ServerStatus, Session, SiteJobStatus, SiteName, Targets};

use super::fails;
use crate::finding::{ensure, ensure_eq};
use crate::{Case, CaseResult, Context, Finding, Home, Need, Who};

/// A site that no deployment has.
const NO_SUCH_SITE: &str = "no-such-site-of-the-conformance-suite";

pub(super) fn cases() -> Vec<Case> {
    let server_site = [Need::Site(Home::Server), Need::Admin(Who::PROJECT_ADMIN)];
    vec![
        Case::new("api.system.info", "the system's state names server, sites and jobs", info)
            .exercises(&["get_system_info"])
            .checks(&["API-SYSTEM-001", "SPEC-CONNECTED-CLIENTS-001", "SPEC-SYSTEM-INFO-001"])
            .needs(server_site),
        Case::new("api.system.info.member", "a member sees the system's state", |context| {
            info_of(context, Who::MEMBER)
        })
        .checks(&["API-SYSTEM-001"])
        .needs([Need::Admin(Who::MEMBER), Need::Site(Home::Server)]),
        Case::new(
            "api.system.info.other-member",
            "a member of another organisation sees the system's state",
            |context| info_of(context, Who::OTHER_MEMBER),
        )
        .checks(&["API-SYSTEM-001"])
        .needs([Need::Admin(Who::OTHER_MEMBER), Need::Site(Home::Server)]),
        Case::new("api.system.connected-sites", "the connected sites are listed", connected_sites)
            .exercises(&["get_connected_client_list"])
            .checks(&["API-SYSTEM-002", "SPEC-CONNECTED-CLIENTS-001"])
            .needs(server_site),
        Case::new("api.system.check-status", "status of the server, of all, of one site", check_status)
            .exercises(&["check_status", "check_status.target_type", "check_status.targets"])
            .checks(&["API-STATUS-001", "SPEC-CHECK-STATUS-001", "SPEC-CHECK-STATUS-002"])
            .needs(server_site),
        Case::new("api.system.site-count", "the server counts the sites that it lists", site_count)
            .checks(&["API-STATUS-003"])
            .needs(server_site),
        Case::new("api.system.job-status", "every site has an entry", job_status)
            .exercises(&["get_client_job_status", "get_client_job_status.client_names"])
            .checks(&["API-STATUS-002", "SPEC-CLIENT-JOB-STATUS-001"])
            .needs(server_site),
        Case::new("api.system.resources", "resources of the server and of sites", resources)
            .exercises(&["report_resources", "report_resources.target_type", "report_resources.targets"])
            .checks(&["API-RESOURCES-001", "SPEC-REPORT-RESOURCES-001"])
            .needs(server_site),
        Case::new("api.system.version", "releases of the server and of sites", version)
            .exercises(&["report_version", "report_version.target_type"])
            .checks(&["API-VERSION-001", "SPEC-REPORT-VERSION-001"])
            .needs(server_site),
        Case::new("api.system.environment", "environment of a site", environment)
            .checks(&["API-ENVIRONMENT-001"])
            .needs(server_site),
        Case::new("api.system.unknown-site", "a site that is not connected is an invalid target", unknown_site)
            .exercises(&["check_status", "check_status.targets", "report_version", "report_version.targets"])
            .checks(&["API-TARGET-001"])
            .needs([Need::Admin(Who::PROJECT_ADMIN)]),
        Case::new("api.system.not-authorized", "the server's refusal is an error", not_authorized)
            .checks(&["API-AUTHORIZATION-001"])
            .needs([Need::Admin(Who::MEMBER), Need::Admin(Who::OTHER_LEAD), Need::Site(Home::Elsewhere)]),
        Case::new("api.system.site-refuses", "a site's refusal stands in its entry", site_refuses)
            .exercises(&["report_version", "report_version.targets", "report_resources", "report_resources.targets"])
            .checks(&["API-AUTHORIZATION-002"])
            .needs([Need::Admin(Who::LEAD), Need::Site(Home::Server), Need::Site(Home::Elsewhere)]),
    ]
}

/// Names of the sites that have a kit.
fn site_names(context: &Context) -> BTreeSet<String> {
    let target = context.target();
    let homes = [Home::Server, Home::Elsewhere];
    homes.into_iter().flat_map(|home| target.sites(home)).map(|site| site.name.clone()).collect()
}

async fn info(context: Context) -> CaseResult {
    info_of(context, Who::PROJECT_ADMIN).await
}

async fn info_of(context: Context, who: Who) -> CaseResult {
    let session = context.shared(who).await?;
    let info = session.get_system_info().await?;
    let known = [Some(ServerStatus::Stopped), Some(ServerStatus::Started)];
    ensure!(known.contains(&info.server.status), "status of the server: {:?}", info.server.status);
    ensure_eq!(
        info.server.status == Some(ServerStatus::Started),
        !info.jobs.is_empty(),
        "started with {:?}",
        info.jobs
    );
    ensure!(info.server.start_time.is_some_and(is_past), "start time of the server: {:?}", info.server.start_time);
    let names: BTreeSet<String> = info.sites.iter().map(|site| site.name.clone()).collect();
    ensure_eq!(names, site_names(&context), "sites");
    for site in &info.sites {
        ensure!(site.last_connect_time.is_some_and(is_past), "last connect time of {site:?}");
        ensure_eq!(site.fqcn.as_deref(), Some(site.name.as_str()), "address of {site:?}");
    }
    Ok(())
}

/// A day is allowed for clocks and zones that differ.
fn is_past(time: SystemTime) -> bool {
    time < SystemTime::now() + Duration::from_secs(86_400)
}

async fn connected_sites(context: Context) -> CaseResult {
    let session = context.shared(Who::PROJECT_ADMIN).await?;
    let sites = session.get_connected_client_list().await?;
    let names: BTreeSet<String> = sites.into_iter().map(|site| site.name).collect();
    ensure_eq!(names, site_names(&context), "sites");
    Ok(())
}

async fn site_count(context: Context) -> CaseResult {
    let session = context.shared(Who::PROJECT_ADMIN).await?;
    let reply = session.do_command("check_status server").await?;
    let counts: Vec<&str> = reply
        .data
        .iter()
        .filter_map(|item| match item {
            Item::String(text) => text.strip_prefix("Registered clients: "),
            _ => None,
        })
        .collect();
    let listed = reply.data.iter().rev().find_map(|item| match item {
        Item::Table(rows) => Some(rows.len().saturating_sub(1)),
        _ => None,
    });
    ensure_eq!(counts.iter().map(|count| count.trim().parse().ok()).collect::<Vec<_>>(), [listed], "count of sites");
    Ok(())
}

fn one_site(context: &Context) -> CaseResult<(SiteName, Targets)> {
    let name = SiteName::new(context.site(Home::Server)?)?;
    Ok((name.clone(), Targets::Sites(vec![name])))
}

async fn check_status(context: Context) -> CaseResult {
    let session = context.shared(Who::PROJECT_ADMIN).await?;
    let server = session.check_status(&Targets::Server).await?;
    ensure!(server.server.status.is_some() && !server.sites.is_empty(), "server: {server:?}");
    ensure!(server.site_jobs.is_empty(), "server: {server:?}");

    let all = session.check_status(&Targets::All).await?;
    ensure!(all.server.status.is_some() && !all.sites.is_empty(), "all: {all:?}");
    let names: BTreeSet<String> = all.site_jobs.iter().map(|entry| entry.site.clone()).collect();
    ensure_eq!(names, site_names(&context), "sites of all");

    let (name, target) = one_site(&context)?;
    let one = session.check_status(&target).await?;
    ensure!(one.server.status.is_none() && one.sites.is_empty(), "one site: {one:?}");
    let names: BTreeSet<&str> = one.site_jobs.iter().map(|entry| entry.site.as_str()).collect();
    ensure_eq!(names, BTreeSet::from([name.as_str()]), "sites of one");
    Ok(())
}

async fn job_status(context: Context) -> CaseResult {
    let session = context.shared(Who::PROJECT_ADMIN).await?;
    let entries = session.get_client_job_status(&[]).await?;
    let names: BTreeSet<String> = entries.iter().map(|entry| entry.site.clone()).collect();
    ensure_eq!(names, site_names(&context), "sites");
    for entry in &entries {
        let runs = entry.status == SiteJobStatus::Started;
        ensure!(runs || entry.status == SiteJobStatus::NoJobs, "{entry:?}");
        ensure_eq!(entry.job_id.is_some(), runs, "job of {entry:?}");
    }
    let (name, _) = one_site(&context)?;
    let one = session.get_client_job_status(std::slice::from_ref(&name)).await?;
    ensure!(!one.is_empty() && one.iter().all(|entry| entry.site == name.as_str()), "one site: {one:?}");
    Ok(())
}

async fn resources(context: Context) -> CaseResult {
    let session = context.shared(Who::PROJECT_ADMIN).await?;
    let server = session.report_resources(&Targets::Server).await?;
    let server: Vec<_> = server.iter().map(|entry| (entry.site.as_str(), entry.resources.as_str())).collect();
    ensure_eq!(server, [("server", "unlimited")], "server");
    let (name, target) = one_site(&context)?;
    let one = session.report_resources(&target).await?;
    ensure_eq!(one.len(), 1, "entries of one site");
    ensure_eq!(one[0].site, name.as_str(), "site");
    ensure!(one[0].resources.starts_with("{'"), "resources of a site: {}", one[0].resources);
    let all = session.report_resources(&Targets::All).await?;
    ensure_eq!(all.len(), 1 + site_names(&context).len(), "entries of all");
    Ok(())
}

async fn version(context: Context) -> CaseResult {
    let session = context.shared(Who::PROJECT_ADMIN).await?;
    let all = session.report_version(&Targets::All).await?;
    let mut expected = site_names(&context);
    expected.insert("server".to_owned());
    ensure_eq!(all.iter().map(|entry| entry.site.clone()).collect::<BTreeSet<_>>(), expected, "entries");
    for entry in &all {
        ensure!(entry.version.as_deref().is_some_and(is_release), "{entry:?}");
    }
    let server = all.iter().find(|entry| entry.site == "server").and_then(|entry| entry.version.clone());
    if let Some(announced) = &context.target().description().version {
        ensure_eq!(server.as_ref(), Some(announced), "release of the server, compared with the registration");
    }
    Ok(())
}

fn is_release(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.')
}

async fn environment(context: Context) -> CaseResult {
    let session = context.shared(Who::PROJECT_ADMIN).await?;
    let (name, _) = one_site(&context)?;
    let entries = session.get_client_env(std::slice::from_ref(&name)).await?;
    let [entry] = entries.as_slice() else {
        return Err(Finding::fail(format!("expected one entry, observed {entries:?}")));
    };
    ensure_eq!(entry.site, name.as_str(), "site");
    ensure!(entry.workspace.as_deref().is_some_and(|path| path.starts_with('/')), "{entry:?}");
    ensure_eq!(entry.secure_mode, Some(true), "secure mode");
    let scheme = format!("{}://", context.target().description().scheme);
    ensure!(entry.root_url.as_deref().is_some_and(|url| url.starts_with(&scheme)), "{entry:?}");
    Ok(())
}

async fn unknown_site(context: Context) -> CaseResult {
    let session = context.shared(Who::PROJECT_ADMIN).await?;
    let sites = [SiteName::new(NO_SUCH_SITE)?];
    let target = Targets::Sites(sites.to_vec());
    let expected = format!("invalid client(s): {NO_SUCH_SITE}");
    let errors = [
        fails("check_status", session.check_status(&target).await, ErrorKind::InvalidTarget)?,
        fails("get_client_job_status", session.get_client_job_status(&sites).await, ErrorKind::InvalidTarget)?,
        fails("report_resources", session.report_resources(&target).await, ErrorKind::InvalidTarget)?,
        fails("report_version", session.report_version(&target).await, ErrorKind::InvalidTarget)?,
        fails("get_client_env", session.get_client_env(&sites).await, ErrorKind::InvalidTarget)?,
    ];
    for error in errors {
        ensure_eq!(error.server_text(), Some(expected.as_str()), "the server's words in {error:?}");
    }
    Ok(())
}

/// The refusal names user and command, in the server's words.
async fn refused(session: &Session, user: &str, command: &str, error: flare_client::Error) -> CaseResult {
    let expected = format!("user '{user}' is not authorized for '{command}'");
    ensure_eq!(error.server_text(), Some(expected.as_str()), "the server's words in {error:?}");
    ensure_eq!(error.status().map(|status| status.as_str()), Some("not_authorized"), "status of {error:?}");
    ensure!(!session.is_closed(), "the refusal ended the session");
    Ok(())
}

async fn not_authorized(context: Context) -> CaseResult {
    let kind = ErrorKind::NotAuthorized;
    let member = context.shared(Who::MEMBER).await?;
    let user = context.kit(Who::MEMBER)?.user.as_str();
    let error = fails("report_resources", member.report_resources(&Targets::Server).await, kind)?;
    refused(&member, user, "report_resources", error).await?;
    let error = fails("report_version", member.report_version(&Targets::All).await, kind)?;
    refused(&member, user, "report_version", error).await?;

    // His own site's environment: the right is needed on the server as well.
    let lead = context.shared(Who::OTHER_LEAD).await?;
    let own = SiteName::new(context.site(Home::Elsewhere)?)?;
    let error = fails("get_client_env", lead.get_client_env(&[own]).await, kind)?;
    refused(&lead, &context.kit(Who::OTHER_LEAD)?.user, "report_env", error).await?;
    Ok(())
}

async fn site_refuses(context: Context) -> CaseResult {
    let lead = context.shared(Who::LEAD).await?;
    let user = &context.kit(Who::LEAD)?.user;
    let (own, other) = (context.site(Home::Server)?, context.site(Home::Elsewhere)?);
    let both = Targets::sites([own, other])?;

    let resources = lead.report_resources(&both).await?;
    let of = |site: &str| resources.iter().find(|entry| entry.site == site).map(|entry| entry.resources.clone());
    ensure!(of(own).is_some_and(|text| text.starts_with('{')), "own site: {:?}", of(own));
    ensure_eq!(of(other), Some(format!("user '{user}' is not authorized for 'report_resources'")), "other site");

    let versions = lead.report_version(&both).await?;
    ensure_eq!(versions.len(), 2, "entries");
    for entry in &versions {
        let expected = format!("user '{user}' is not authorized for 'report_version'");
        ensure_eq!(entry.problem.as_deref(), Some(expected.as_str()), "problem of {entry:?}");
        ensure_eq!(entry.version, None, "version of {entry:?}");
    }
    Ok(())
}
