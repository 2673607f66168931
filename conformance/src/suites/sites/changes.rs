//! Sites that are restarted and told what to log.

use std::collections::BTreeMap;

use flare_client::{ErrorKind, LogConfig, Session, SiteName, SiteResponse, Targets};
use serde_json::json;

use super::{Alone, SITE_PATIENCE, said, tokens};
use crate::finding::{ensure, ensure_eq};
use crate::{Case, CaseResult, Context, Home, Need, Who};

pub(super) fn cases() -> Vec<Case> {
    let needs = [Need::Admin(Who::PROJECT_ADMIN), Need::Site(Home::Server)];
    vec![
        Case::new("sites.restart", "a restarted site comes back as a new one", restarted)
            .checks(&["SITE-RESTART-001", "SPEC-RESTART-002", "SPEC-RESTART-003"])
            .exercises(&["restart", "restart.target_type", "restart.client_names", "restart.wait", "restart.timeout"])
            .needs(needs),
        Case::new("sites.restart.refused", "a site decides who restarts it and shuts it down", refused)
            .checks(&["SITE-ROLE-002"])
            .exercises(&["restart", "shutdown", "shutdown.wait"])
            .needs(needs)
            .needs([Need::Admin(Who::MEMBER), Need::Admin(Who::OTHER_LEAD)]),
        Case::new("sites.log", "the server and sites are told what to log", log)
            .checks(&[
                "SITE-LOG-001",
                "SITE-ROLE-002",
                "SPEC-CONFIGURE-SITE-LOG-001",
                "SPEC-CONFIGURE-SITE-LOG-002",
                "SPEC-CONFIGURE-SITE-LOG-003",
            ])
            .exercises(&["configure_site_log", "configure_site_log.config", "configure_site_log.target"])
            .needs(needs)
            .needs([Need::Admin(Who::LEAD), Need::Admin(Who::MEMBER), Need::Site(Home::Elsewhere)]),
    ]
}

async fn restarted(context: Context) -> CaseResult {
    let alone = Alone::with(&context).await?;
    let found = async {
        let (session, site) = (&alone.session, &alone.site);
        let before = tokens(session).await?;
        let one = Targets::Sites(vec![site.clone()]);
        let change = session.restart(&one).timeout(SITE_PATIENCE)?.await?;
        let expected = BTreeMap::from([(site.to_string(), "Restart the client...".to_owned())]);
        ensure_eq!(change.site_answers, expected, "what the site said");
        ensure_eq!(change.server_status, None, "what the server said of itself");
        let after = tokens(session).await?;
        for (name, token) in &before {
            let same = after.get(name) == Some(token);
            ensure_eq!(same, name != site.as_str(), "token of {name} stays the same");
        }
        let again = session.restart(&one).no_wait().await?;
        ensure_eq!(again.site_answers, expected, "what the site said without waiting");
        let gone = session.restart(&Targets::sites(["no-such-site"])?).no_wait().await.err();
        ensure_eq!(gone.map(|error| error.kind()), Some(ErrorKind::InvalidTarget), "restarting nobody");
        Ok(())
    }
    .await;
    alone.leave(found).await
}

async fn refused(context: Context) -> CaseResult {
    let alone = Alone::with(&context).await?;
    let found = async {
        let before = tokens(&alone.session).await?;
        let site = &alone.site;
        for who in [Who::MEMBER, Who::OTHER_LEAD] {
            let session = alone.context.shared(who).await?;
            let user = &alone.context.kit(who)?.user;
            let one = Targets::Sites(vec![site.clone()]);
            let change = session.restart(&one).no_wait().await?;
            let text = format!("user '{user}' is not authorized for 'restart'");
            ensure_eq!(change.site_answers, BTreeMap::from([(site.to_string(), text)]), "restarting as a {who}");
            let text = format!("user '{user}' is not authorized for 'shutdown'");
            let expected = json!({
                "data": [{"type": "table", "rows": [["CLIENT", "RESPONSE"], [site.as_str(), text]]}],
                "meta": {"status": "error", "info": "failed to shut down all clients"},
            });
            ensure_eq!(said(&session, &format!("shutdown client {site}")).await?, expected, "shutting down as a {who}");
            let error = session.shutdown(&one).no_wait().await.err();
            ensure_eq!(error.map(|error| error.kind()), Some(ErrorKind::Refused), "shutting down as a {who}");
        }
        ensure_eq!(tokens(&alone.session).await?, before, "sites afterwards");
        Ok(())
    }
    .await;
    alone.close().await;
    found
}

/// What each target said to a change of its log.
async fn told(session: &Session, config: &str, targets: &Targets) -> CaseResult<BTreeMap<String, String>> {
    let said: Vec<SiteResponse> = session.configure_site_log(&LogConfig::new(config)?, targets).await?;
    Ok(said.into_iter().map(|said| (said.site, said.response)).collect())
}

async fn log(context: Context) -> CaseResult {
    let alone = Alone::with(&context).await?;
    let found = async {
        let all: Vec<String> = tokens(&alone.session).await?.into_keys().collect();
        let done = |names: &[String]| -> BTreeMap<String, String> {
            names.iter().map(|name| (name.clone(), format!("successfully configured {name} log"))).collect()
        };
        for config in ["INFO", "debug", "30", "full", "concise", "msg_only", "verbose"] {
            let said = told(&alone.session, config, &Targets::Sites(vec![alone.site.clone()])).await?;
            ensure_eq!(said, done(&[alone.site.to_string()]), "one site, {config}");
        }
        ensure_eq!(told(&alone.session, "INFO", &Targets::all_sites()).await?, done(&all), "all sites");
        let server = told(&alone.session, "INFO", &Targets::Server).await?;
        let everything = told(&alone.session, "reload", &Targets::All).await?;
        let sites = |said: &BTreeMap<String, String>| -> BTreeMap<String, String> {
            said.iter().filter(|(name, _)| *name != "server").map(|(name, text)| (name.clone(), text.clone())).collect()
        };
        ensure!(sites(&server).is_empty(), "the server alone: {server:?}");
        ensure_eq!(sites(&everything), done(&all), "everything");

        let error =
            alone.session.configure_site_log(&LogConfig::new("INFO")?, &Targets::sites(["no-such-site"])?).await;
        ensure_eq!(error.err().map(|error| error.kind()), Some(ErrorKind::InvalidTarget), "a site that there is not");
        let text = "configure_site_log only supports log levels and built-in log modes";
        let expected = json!({
            "data": [{"type": "error", "data": text}],
            "meta": {"status": "syntax_error", "info": text},
        });
        ensure_eq!(said(&alone.session, "configure_site_log server bogus").await?, expected, "no level and no mode");

        let member = alone.context.shared(Who::MEMBER).await?;
        let error = told(&member, "INFO", &Targets::Server).await.err();
        ensure!(error.is_some_and(|error| error.message().contains("not authorized")), "a member tells the server");
        let (lead, user) = (alone.context.shared(Who::LEAD).await?, &alone.context.kit(Who::LEAD)?.user);
        let other = SiteName::new(alone.context.site(Home::Elsewhere)?)?;
        let said = told(&lead, "INFO", &Targets::Sites(vec![alone.site.clone(), other.clone()])).await?;
        let mut expected = done(&[alone.site.to_string()]);
        expected.insert(other.to_string(), format!("user '{user}' is not authorized for 'configure_site_log'"));
        ensure_eq!(said, expected, "a lead tells a site of his and another");
        told(&alone.session, "reload", &Targets::All).await?;
        Ok(())
    }
    .await;
    alone.close().await;
    found
}
