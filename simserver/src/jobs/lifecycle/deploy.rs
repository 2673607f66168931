//! Deploying a job to the server and its sites: who refuses it, and whether it starts without them.
//!
//! Source: `reference/server-behaviour.md` sections 10.2 and 10.5.

use serde_json::Value;

use crate::jobs::content::{AppContent, JobContent};
use crate::jobs::definition::{SERVER_SITE, launcher_brings_code};
use crate::jobs::federation::{AppRight, Federation};
use crate::jobs::meta::JobMeta;
use crate::jobs::python::to_text;
use crate::jobs::scheduler::Assignment;
use crate::jobs::signature::Trust;
use crate::release::Release;

/// What came of a deployment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Deployment {
    /// The lines of `job_deploy_detail`.
    pub(super) detail: Vec<String>,
    /// The sites that took it; none at all when the job cannot start.
    pub(super) sites: Result<Vec<Assignment>, Failed>,
}

/// The deployment failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failed;

const NO_BYOC: &str = "BYOC not permitted";
const NO_FLOWER: &str = "Server-predeployed Flower app mode is not permitted on this site. A site admin must grant the \
                         'server-predeployed-flwr' right in authorization.json to enable this mode.";

/// Deploys to the server and then to the sites.
pub(super) fn deploy(
    meta: &JobMeta,
    content: &JobContent,
    server_app: &str,
    assignments: Vec<Assignment>,
    federation: &impl Federation,
    release: Release,
) -> Deployment {
    if content.is_unsafe || content.apps.values().any(|app| *app.trust.get() == Trust::Unreadable) {
        // The archive is refused while it is unpacked, before any line is written.
        return Deployment { detail: Vec::new(), sites: Err(Failed) };
    }
    if let Some(app) = content.apps.get(server_app)
        && let Err(refusal) = on_server(meta, server_app, app, federation, release)
    {
        return Deployment { detail: vec![format!("server: {refusal}")], sites: Err(Failed) };
    }
    let mut detail = vec!["server: OK".to_owned()];
    let total = assignments.len();
    let (mut taken, mut failed) = (Vec::new(), Vec::new());
    for assignment in assignments {
        let site = &assignment.site;
        let refusal = content
            .apps
            .get(&assignment.app)
            .map_or(Ok(()), |app| on_site(meta, &assignment.app, app, site, federation));
        match refusal {
            Ok(()) => {
                detail.push(format!("{site}: OK"));
                taken.push(assignment);
            }
            Err(refusal) => {
                detail.push(format!("{site}: NVFLARE_ERROR: {refusal}"));
                failed.push(assignment.site);
            }
        }
    }
    let aborts = !failed.is_empty() && misses_any(meta, total - failed.len(), &failed, &mut detail);
    Deployment { detail, sites: if aborts { Err(Failed) } else { Ok(taken) } }
}

/// Whether the job cannot do without the failed sites; says so in the detail.
fn misses_any(meta: &JobMeta, ok_sites: usize, failed: &[String], detail: &mut Vec<String>) -> bool {
    let one = Value::from(1);
    let min_sites = meta.fields().get("min_clients").unwrap_or(&one);
    #[expect(clippy::cast_precision_loss, reason = "counts of sites are far below 2^52")]
    if min_sites.as_f64().is_some_and(|min_sites| (ok_sites as f64) < min_sites) {
        detail.push(format!("num_ok_sites {ok_sites} < required_min_sites {}", to_text(min_sites)));
        return true;
    }
    let required: Vec<&str> = meta
        .fields()
        .get("mandatory_clients")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let missing: Vec<&String> = failed.iter().filter(|site| required.contains(&site.as_str())).collect();
    detail.extend(missing.iter().map(|site| format!("failed to deploy to required client {site}")));
    !missing.is_empty()
}

/// The server asks for signatures last. Before 2.8 it wants one of every job.
fn on_server(
    meta: &JobMeta,
    name: &str,
    app: &AppContent,
    federation: &impl Federation,
    release: Release,
) -> Result<(), String> {
    if *app.trust.get() == Trust::Broken {
        return Err(broken(name));
    }
    rights(meta, app, SERVER_SITE, federation)?;
    if *app.trust.get() == Trust::Unsigned && release < Release::V2_8 {
        return Err("job signature verification failed".to_owned());
    }
    if *app.trust.get() == Trust::Unsigned && federation.requires_signed_jobs(SERVER_SITE) {
        return Err("unsigned job rejected — require_signed_jobs is enabled".to_owned());
    }
    Ok(())
}

/// A site asks for them first, and in other words.
fn on_site(
    meta: &JobMeta,
    name: &str,
    app: &AppContent,
    site: &str,
    federation: &impl Federation,
) -> Result<(), String> {
    match app.trust.get() {
        Trust::Broken => return Err(broken(name)),
        Trust::Unsigned if federation.requires_signed_jobs(site) => {
            return Err("unsigned job rejected - signed deploy is required".to_owned());
        }
        _ => {}
    }
    rights(meta, app, site, federation)
}

fn broken(app: &str) -> String {
    format!("app {app} does not pass signature verification")
}

/// The rights of a signed app are those of its signers, of an unsigned one those of its submitter.
fn rights(meta: &JobMeta, app: &AppContent, participant: &str, federation: &impl Federation) -> Result<(), String> {
    let submitters = match app.trust.get() {
        Trust::Signed(signers) => signers.clone(),
        _ => vec![meta.submitter()],
    };
    let brings_code = app.has_custom_code || launcher_brings_code(meta.fields(), participant);
    let needs_flower = meta.fields().get("flower_predeployed") == Some(&Value::Bool(true));
    for submitter in &submitters {
        if brings_code && !federation.permits(participant, AppRight::Byoc, submitter) {
            return Err(NO_BYOC.to_owned());
        }
        if needs_flower && !federation.permits(participant, AppRight::PredeployedFlower, submitter) {
            return Err(NO_FLOWER.to_owned());
        }
    }
    Ok(())
}
