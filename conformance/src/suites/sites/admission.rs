//! Sites that are disabled, enabled, and dropped.

use std::time::Instant;

use flare_client::{ErrorKind, JobId, JobStatus, MonitorOptions, Session, SiteName, StudySites, Targets};
use flare_wire::cell::{ReturnCode, headers};
use serde_json::json;

use super::{Alone, Owner, SITE_PATIENCE, back, names, own_sites, said, tokens, unique};
use crate::finding::{ensure, ensure_eq};
use crate::job_folder::JobFolder;
use crate::kits::AdminKit;
use crate::raw::{Admin, Identity, Peer, challenge, register, register_request};
use crate::suites::own::{JOB_PATIENCE, POLL};
use crate::{Case, CaseResult, Context, Finding, Home, Need, Risk, Who};

/// Heartbeats of a real site come every ten seconds, and every five while they are refused: time for two.
const TWO_HEARTBEATS: std::time::Duration = std::time::Duration::from_secs(12);

pub(super) fn cases() -> Vec<Case> {
    let needs = [Need::Admin(Who::PROJECT_ADMIN), Need::Site(Home::Server)];
    vec![
        Case::new("sites.disable", "a disabled site is out until it is enabled", disabled)
            .checks(&[
                "SITE-DISABLE-001",
                "SITE-ENABLE-001",
                "SPEC-DISABLE-CLIENT-001",
                "SPEC-ENABLE-CLIENT-001",
                "SPEC-REMOVE-CLIENT-003",
            ])
            .exercises(&["disable_client", "disable_client.client_name", "enable_client", "enable_client.client_name"])
            .needs(needs),
        Case::new("sites.disable.unknown", "any name can be disabled", unknown)
            .checks(&["SITE-DISABLE-002", "SPEC-DISABLE-CLIENT-002", "SPEC-ENABLE-CLIENT-002"])
            .exercises(&["disable_client", "enable_client"])
            .needs([Need::Admin(Who::PROJECT_ADMIN)]),
        Case::new("sites.disable.admin", "an administrator whose name is disabled cannot register", admin)
            .checks(&["SITE-DISABLE-005"])
            .needs([Need::Admin(Who::PROJECT_ADMIN), Need::Admin(Who::MEMBER)]),
        Case::new("sites.disable.job", "a job on a disabled site goes on", running)
            .checks(&["SITE-DISABLE-003", "SITE-RUNNING-001"])
            .needs(needs)
            .needs([Need::Permission(Risk::OwnObjects)]),
        Case::new("sites.disable.scheduling", "the scheduler does not see a disabled site", scheduling)
            .checks(&["SITE-DISABLE-004"])
            .needs(needs)
            .needs([Need::Permission(Risk::OwnObjects)]),
        Case::new("sites.enable.study", "a site that came back by itself cannot be put into a study", study)
            .checks(&["SITE-STUDY-001"])
            .needs(needs)
            .needs([Need::Permission(Risk::OwnObjects)]),
        Case::new("sites.remove", "a site that was dropped comes back", removed)
            .checks(&["SITE-REMOVE-001", "SPEC-REMOVE-CLIENT-001", "SPEC-REMOVE-CLIENT-002"])
            .exercises(&["remove_client", "remove_client.client_name"])
            .needs(needs),
        Case::new("sites.admission.roles", "the server decides who may keep sites out", roles)
            .checks(&["SITE-ROLE-001"])
            .needs(needs)
            .needs([Need::Admin(Who::LEAD), Need::Admin(Who::MEMBER), Need::Admin(Who::OTHER_ORG_ADMIN)])
            .needs([Need::Site(Home::Elsewhere)]),
    ]
}

async fn disabled(context: Context) -> CaseResult {
    let alone = Alone::with(&context).await?;
    let found = async {
        let (session, site) = (&alone.session, &alone.site);
        let before = tokens(session).await?;
        let payload = |already: bool, removed: bool| {
            json!({
                "data": [{"type": "dict", "data": {"clients": [{
                    "client_name": site.as_str(),
                    "state": "disabled",
                    "already_disabled": already,
                    "active_session_removed": removed,
                    "credential_revoked": false,
                    "rejoin_allowed": false,
                }]}}],
                "meta": {"status": "ok", "info": ""},
            })
        };
        let line = format!("disable_client {site}");
        ensure_eq!(said(session, &line).await?, payload(false, true), "disabling");
        ensure_eq!(said(session, &line).await?, payload(true, false), "disabling again");
        out(&alone).await?;
        tokio::time::sleep(alone.context.target().real_time_of(TWO_HEARTBEATS)).await;
        out(&alone).await?;

        let enabled = session.enable_client(site).await?;
        ensure_eq!((enabled.state.as_str(), enabled.was_disabled), ("enabled", Some(true)), "{enabled:?}");
        ensure_eq!((enabled.credential_revoked, enabled.rejoin_allowed), (Some(false), Some(true)), "{enabled:?}");
        let token = back(session, site).await?;
        ensure_eq!(before.get(site.as_str()), Some(&token), "token of the site");
        let enabled = session.enable_client(site).await?;
        ensure_eq!(enabled.was_disabled, Some(false), "enabling again");
        Ok(())
    }
    .await;
    alone.leave(found).await
}

/// The site is not registered, and an invalid target.
async fn out(alone: &Alone) -> CaseResult {
    let (session, site) = (&alone.session, &alone.site);
    ensure!(!tokens(session).await?.contains_key(site.as_str()), "{site} is registered");
    let error = session.check_status(&Targets::Sites(vec![site.clone()])).await.err();
    let text = format!("invalid client(s): {site}");
    let seen = error.as_ref().map(|error| (error.kind(), error.server_text()));
    ensure_eq!(seen, Some((ErrorKind::InvalidTarget, Some(text.as_str()))), "a command to the site");
    let error = session.remove_client(site).await.err();
    let seen = error.as_ref().map(|error| (error.kind(), error.server_text()));
    ensure_eq!(seen, Some((ErrorKind::InvalidTarget, Some(text.as_str()))), "dropping the site");
    Ok(())
}

async fn unknown(context: Context) -> CaseResult {
    let alone = Alone::with(&context).await?;
    let found = async {
        let nobody = SiteName::new(unique("nobody")?)?;
        let disabled = alone.session.disable_client(&nobody).await?;
        let enabled = alone.session.enable_client(&nobody).await?;
        ensure_eq!(disabled.site, nobody.as_str(), "name");
        let seen = (disabled.already_disabled, disabled.active_session_removed);
        ensure_eq!(seen, (Some(false), Some(false)), "{disabled:?}");
        ensure_eq!(enabled.was_disabled, Some(true), "{enabled:?}");
        for command in ["disable_client", "enable_client"] {
            let expected = json!({
                "data": [{"type": "error", "data": "missing client name"}],
                "meta": {"status": "syntax_error", "info": ""},
            });
            ensure_eq!(said(&alone.session, command).await?, expected, "{command}");
        }
        let two = said(&alone.session, &format!("enable_client {nobody} {nobody}-2")).await?;
        let names: Vec<_> =
            (0..2).map(|index| two["data"][0]["data"]["clients"][index]["client_name"].clone()).collect();
        ensure_eq!(names, [json!(nobody.as_str()), json!(format!("{nobody}-2"))], "two names: {two}");
        Ok(())
    }
    .await;
    alone.close().await;
    found
}

async fn admin(context: Context) -> CaseResult {
    let alone = Alone::with(&context).await?;
    let found = async {
        let kit = alone.context.kit(Who::MEMBER)?;
        said(&alone.session, &format!("disable_client {}", kit.user)).await?;
        let refused = kept_out(kit).await;
        let enabled = said(&alone.session, &format!("enable_client {}", kit.user)).await?;
        ensure_eq!(enabled["data"][0]["data"]["clients"][0]["was_disabled"], json!(true), "enabling: {enabled}");
        refused?;
        Admin::login(kit).await.map(drop).map_err(|finding| finding.during("login of the enabled"))
    }
    .await;
    alone.close().await;
    found
}

/// The user of this kit cannot register.
async fn kept_out(kit: &AdminKit) -> CaseResult {
    let identity = Identity::of_kit(&kit.path)?;
    let mut peer = Peer::connect(&kit.server, &identity).await?;
    let nonce = challenge(&mut peer, &kit.user).await?.reply.nonce;
    let request = register_request(&mut peer, &kit.user, &kit.server.project_name, &identity, &nonce);
    let reply = register(&mut peer, &request).await?;
    ensure_eq!(reply.return_code(), ReturnCode::Unauthenticated, "return code");
    let text = format!("Client '{}' is disabled", kit.user);
    ensure_eq!(reply.headers.text(headers::ERROR), Some(text.as_str()), "error text");
    Ok(())
}

async fn running(context: Context) -> CaseResult {
    let alone = Alone::with(&context).await?;
    let mut owner = Owner::log_in(&alone.context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let sites = own_sites(&alone.context)?;
        let job = JobFolder::endless(&unique("disabled")?, &names(&sites))?;
        let job_id = owner.session.submit_job(job.path()).await?;
        let job_id = owner.own(job_id);
        owner.until(&job_id, &JobStatus::Running).await?;
        let one = Targets::Sites(vec![alone.site.clone()]);
        let refusals = [
            ("restart", owner.session.restart(&one).no_wait().await.err()),
            ("shutdown", owner.session.shutdown(&one).no_wait().await.err()),
        ];
        for (what, error) in refusals {
            ensure_eq!(error.as_ref().map(flare_client::Error::kind), Some(ErrorKind::JobRunning), "{what}: {error:?}");
        }
        owner.session.disable_client(&alone.site).await?;
        // Each round needs all sites. What was under way when the site was disabled is over after the second.
        let first = rounds(&owner.session, &job_id, 0).await?;
        rounds(&owner.session, &job_id, first + 2).await?;
        ensure!(!tokens(&owner.session).await?.contains_key(alone.site.as_str()), "the site is registered");
        // The abort must reach the site.
        owner.session.enable_client(&alone.site).await?;
        back(&owner.session, &alone.site).await?;
        Ok(())
    }
    .await;
    let found = owner.leave(found).await;
    alone.leave(found).await
}

/// Waits until the job's workflow is in this round, or a later one; gives the round.
async fn rounds(session: &Session, job_id: &JobId, wanted: u64) -> CaseResult<u64> {
    let until = Instant::now() + JOB_PATIENCE;
    let mut seen = None;
    while Instant::now() < until {
        // A job that has just become RUNNING cannot be asked yet.
        if let Ok(stats) = session.show_stats(job_id, &Targets::Server).await {
            seen = stats.get("server").and_then(|server| server["ScatterAndGather"]["current_round"].as_u64());
        }
        match seen {
            Some(round) if round >= wanted => return Ok(round),
            _ => tokio::time::sleep(POLL).await,
        }
    }
    Err(Finding::fail(format!("round {wanted} never came; the last one was {seen:?}")))
}

async fn scheduling(context: Context) -> CaseResult {
    let alone = Alone::with(&context).await?;
    let mut owner = Owner::log_in(&alone.context, Who::PROJECT_ADMIN).await?;
    let found = async {
        owner.session.disable_client(&alone.site).await?;
        let there = tokens(&owner.session).await?.len();
        let job = JobFolder::waiting(&unique("scheduling")?)?;
        let job_id = owner.session.submit_job(job.path()).await?;
        let job_id = owner.own(job_id);
        let options = MonitorOptions::new().timeout(SITE_PATIENCE).poll_interval(POLL)?;
        let mut history = Vec::new();
        let until_tried = |meta: &flare_client::JobMeta| {
            history.clone_from(&meta.schedule_history);
            history.is_empty()
        };
        owner.session.monitor_job(&job_id, &options, until_tried).await?;
        let expected = format!(": connected sites ({there}) < min_sites (1000)");
        ensure!(history.first().is_some_and(|line| line.ends_with(&expected)), "history: {history:?}");
        Ok(())
    }
    .await;
    let found = owner.leave(found).await;
    alone.leave(found).await
}

async fn study(context: Context) -> CaseResult {
    let alone = Alone::with(&context).await?;
    let mut owner = Owner::log_in(&alone.context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let study = owner.study_name("site")?;
        let org = &alone.context.kit(Who::PROJECT_ADMIN)?.org;
        let sites = StudySites::of_org(org, [alone.site.as_str()])?;
        owner.session.register_study(&study, &sites).await?;
        owner.session.disable_client(&alone.site).await?;
        owner.session.enable_client(&alone.site).await?;
        back(&owner.session, &alone.site).await?;
        let error = owner.session.register_study(&study, &sites).await.err();
        let seen = error.as_ref().map(|error| (error.kind(), error.code()));
        ensure_eq!(seen, Some((ErrorKind::InvalidTarget, Some("INVALID_SITE"))), "{error:?}");
        ensure_eq!(owner.session.show_study(&study).await?.sites, [alone.site.as_str()], "sites of the study");
        let one = Targets::Sites(vec![alone.site.clone()]);
        owner.session.restart(&one).timeout(SITE_PATIENCE)?.await?;
        let again = owner.session.add_study_site(&study, &sites).await?;
        ensure_eq!(again.already_enrolled, [alone.site.as_str()], "after the site was restarted");
        Ok(())
    }
    .await;
    let found = owner.leave(found).await;
    alone.leave(found).await
}

/// The registered sites, in the order in which the server has them.
async fn names_in_order(session: &Session) -> Result<Vec<String>, Finding> {
    Ok(session.get_connected_client_list().await?.into_iter().map(|site| site.name).collect())
}

async fn removed(context: Context) -> CaseResult {
    let alone = Alone::with(&context).await?;
    let found = async {
        let (session, site) = (&alone.session, &alone.site);
        let before = tokens(session).await?;
        let expected = json!({"data": [{"type": "success", "data": ""}], "meta": {"status": "ok", "info": ""}});
        let others = names_in_order(session).await?;
        ensure_eq!(said(session, &format!("remove_client {site}")).await?, expected, "dropping");
        // A heartbeat brings it back, at worst before it is looked for: then it stands behind the others.
        let left = names_in_order(session).await?;
        let was_last = others.last().is_some_and(|last| last == site.as_str());
        let is_behind = !was_last && left.last().is_some_and(|last| last == site.as_str());
        ensure!(is_behind || !left.iter().any(|name| name == site.as_str()), "still registered: {left:?}");
        let token = back(session, site).await?;
        ensure_eq!(before.get(site.as_str()), Some(&token), "token of the site that came back");
        let nobody = SiteName::new("no-such-site-of-the-conformance-suite")?;
        let error = session.remove_client(&nobody).await.err();
        let text = format!("invalid client(s): {nobody}");
        let seen = error.as_ref().map(|error| (error.kind(), error.server_text()));
        ensure_eq!(seen, Some((ErrorKind::InvalidTarget, Some(text.as_str()))), "dropping nobody");
        Ok(())
    }
    .await;
    alone.leave(found).await
}

async fn roles(context: Context) -> CaseResult {
    let alone = Alone::with(&context).await?;
    let other = SiteName::new(alone.context.site(Home::Elsewhere)?)?;
    let found = async {
        for who in [Who::MEMBER, Who::OTHER_ORG_ADMIN] {
            let session = alone.context.shared(who).await?;
            let user = &alone.context.kit(who)?.user;
            // The admin of another organisation may not even for a site of his own.
            let refusals = [
                ("disable_client", session.disable_client(&other).await.err()),
                ("enable_client", session.enable_client(&other).await.err()),
                ("remove_client", session.remove_client(&other).await.err()),
            ];
            for (command, error) in refusals {
                let text = format!("user '{user}' is not authorized for '{command}'");
                let seen = error.as_ref().map(|error| (error.kind(), error.server_text()));
                ensure_eq!(seen, Some((ErrorKind::NotAuthorized, Some(text.as_str()))), "{command} of a {who}");
            }
        }
        // A lead of the server's organisation may for another's.
        let lead = alone.context.shared(Who::LEAD).await?;
        let disabled = lead.disable_client(&other).await?;
        ensure_eq!(disabled.active_session_removed, Some(true), "{disabled:?}");
        Ok(())
    }
    .await;
    // It is the other site that has to be brought back.
    Alone { site: other, ..alone }.leave(found).await
}
