//! Sites that are kept out, dropped, restarted, and told what to log.
//!
//! Each case has the target for itself, and leaves its site as it found it: a server does not know the organisation of a
//! site that came back by itself (2.9.0), so the site is restarted at the end.

mod admission;
mod changes;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use flare_client::{Item, Session, SiteName, Targets};
use serde_json::Value;

use super::own::{CASE_LIMIT, Owner, POLL, names, own_sites, unique};
use crate::{Case, CaseResult, Context, Finding, Home, Risk, Who};

/// Column of the table of clients that holds the token of a site.
const TOKEN_COLUMN: usize = 4;

/// How long a site may take to go or to come back. A real one is back 14 s after it was told to restart; a loaded machine
/// needs several times as long.
pub(super) const SITE_PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn cases() -> Vec<Case> {
    [admission::cases(), changes::cases()]
        .into_iter()
        .flatten()
        .map(|case| {
            let changes = changes(case.id());
            case.risking(Risk::Sites, changes).within(CASE_LIMIT)
        })
        .collect()
}

/// What a case does to the target.
fn changes(id: &str) -> &'static str {
    match id {
        "sites.disable" => "disables a site, enables it again and restarts it",
        "sites.disable.unknown" => "disables a name that no site has, and enables it again",
        "sites.disable.admin" => "disables a member's name, which keeps the member out, and enables it again",
        "sites.disable.job" | "sites.disable.scheduling" => {
            "submits a job whose name begins with `conformance-` and deletes it at the end; disables a site, enables it again \
             and restarts it"
        }
        "sites.enable.study" => {
            "registers a study whose name begins with `conformance-` and removes it at the end; disables a site, enables it \
             again and restarts it"
        }
        "sites.remove" => "drops the registration of a site, which comes back by itself, and restarts the site",
        "sites.admission.roles" => "disables sites as administrators who may, enables them again and restarts one",
        "sites.restart" => "restarts a site twice",
        "sites.restart.refused" => "tells a site to restart and to shut down as administrators whom it has to refuse",
        "sites.log" => "changes what the server and sites log, and loads their own settings again",
        _ => "",
    }
}

/// The target for the case alone, a project admin's session there, and a site of the server's organisation.
pub(super) struct Alone {
    pub(super) context: Context,
    pub(super) session: Session,
    pub(super) site: SiteName,
}

impl Alone {
    pub(super) async fn with(context: &Context) -> CaseResult<Self> {
        let context = context.alone().await?;
        let session = context.session(Who::PROJECT_ADMIN).await?;
        let site = SiteName::new(context.site(Home::Server)?)?;
        Ok(Self { context, session, site })
    }

    /// Enables the site, whatever became of it, restarts it and waits until it is back; gives what the case found.
    pub(super) async fn leave(self, found: CaseResult) -> CaseResult {
        let restored = async {
            self.session.enable_client(&self.site).await?;
            back(&self.session, &self.site).await?;
            self.session.restart(&Targets::Sites(vec![self.site.clone()])).timeout(SITE_PATIENCE)?.await?;
            CaseResult::Ok(())
        };
        let restored = restored.await.map_err(|finding| finding.during(&format!("bringing {} back", self.site)));
        self.close().await;
        found.and(restored)
    }

    /// Logs out.
    pub(super) async fn close(&self) {
        self.session.close().await;
        // Another session may be in use by a case that left something to be removed.
        if self.context.target().can_be_had_alone() {
            self.context.target().close_shared().await;
        }
    }
}

/// The registered sites and their tokens.
pub(super) async fn tokens(session: &Session) -> CaseResult<BTreeMap<String, String>> {
    let reply = session.do_command("check_status server").await?;
    let rows = reply.data.iter().filter_map(|item| match item {
        Item::Table(rows) => Some(rows.iter().skip(1)),
        _ => None,
    });
    Ok(rows.flatten().filter_map(|row| Some((row.first()?.clone()?, row.get(TOKEN_COLUMN)?.clone()?))).collect())
}

/// Waits until the site is registered; gives its token.
pub(super) async fn back(session: &Session, site: &SiteName) -> CaseResult<String> {
    let until = Instant::now() + SITE_PATIENCE;
    loop {
        if let Some(token) = tokens(session).await?.remove(site.as_str()) {
            return Ok(token);
        }
        if Instant::now() > until {
            return Err(Finding::fail(format!("{site} is not back after {} s", SITE_PATIENCE.as_secs())));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What a command was answered, without its time.
async fn said(session: &Session, line: &str) -> CaseResult<Value> {
    super::studies::said(session, line).await
}
