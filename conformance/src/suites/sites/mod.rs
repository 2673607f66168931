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
use crate::requirement::{reference, seed};
use crate::{Case, CaseResult, Context, Finding, Home, Requirement, Risk, Who};

const SERVER: &str = "server-behaviour";

/// Column of the table of clients that holds the token of a site.
const TOKEN_COLUMN: usize = 4;

/// How long a site may take to go or to come back. A real one is back 14 s after it was told to restart; a loaded machine
/// needs several times as long.
pub(super) const SITE_PATIENCE: Duration = Duration::from_secs(120);

pub(super) const REQUIREMENTS: &[Requirement] = &[
    seed(
        "SITE-DISABLE-001",
        "Disable a client from reconnecting to the system.",
        "A disabled site is out at once, and stays out although it tries to come back.",
    ),
    seed(
        "SITE-ENABLE-001",
        "Enable a disabled client to reconnect to the system.",
        "A site that is enabled again comes back by itself, with the token that it had.",
    ),
    reference(
        "SITE-DISABLE-002",
        SERVER,
        "13",
        "Any name can be disabled and enabled, and the payload tells what was.",
    ),
    reference("SITE-DISABLE-003", SERVER, "13", "A job that runs on a site which is disabled goes on."),
    reference("SITE-DISABLE-004", SERVER, "13", "The scheduler does not see a disabled site."),
    reference(
        "SITE-STUDY-001",
        SERVER,
        "13",
        "A site that came back by itself cannot be put into a study until it has been restarted.",
    ),
    seed(
        "SITE-REMOVE-001",
        "Release a connected client’s active token.",
        "A site whose registration was dropped comes back by itself; a name that is not registered is an invalid target.",
    ),
    reference(
        "SITE-RESTART-001",
        SERVER,
        "6",
        "A site that is told to restart comes back with a new token, and the others do not notice.",
    ),
    reference("SITE-RUNNING-001", SERVER, "6", "While a job runs, nothing is restarted or shut down."),
    seed(
        "SITE-LOG-001",
        "Configure site-level logging.",
        "The server and sites are told what to log by level or mode, and each answers for itself.",
    ),
    reference(
        "SITE-ROLE-001",
        SERVER,
        "2.3",
        "Who may disable, enable or drop a site is decided by the server's organisation, whosever the site is.",
    ),
    reference(
        "SITE-ROLE-002",
        SERVER,
        "2.3",
        "Each site decides itself who may restart it, shut it down or tell it what to log.",
    ),
];

pub(super) fn cases() -> Vec<Case> {
    [admission::cases(), changes::cases()]
        .into_iter()
        .flatten()
        .map(|case| case.risking(Risk::Sites).within(CASE_LIMIT))
        .collect()
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
