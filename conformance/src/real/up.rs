//! Brings a federation up.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::RealError;
use super::blueprint::{Blueprint, free_ports};
use super::down::take_down;
use super::federation::Federation;
use super::python::Python;
use super::workspace::Workspace;

/// What to bring up, and where.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) version: &'a str,
    pub(super) project: Option<&'a Path>,
    pub(super) folder: &'a Path,
    pub(super) venv: Option<&'a Path>,
}

/// A federation that is up; printed as one line of JSON, like the simulator's.
#[derive(Debug, Serialize)]
pub(super) struct Ready {
    /// That of admins.
    port: u16,
    scheme: &'static str,
    kits: PathBuf,
    version: String,
}

/// Brings a federation up, or leaves nothing behind: a failure or a signal takes everything down again.
pub(super) async fn up(wanted: Wanted<'_>) -> Result<Ready, RealError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RealError::System)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(RealError::System)?;
    let blueprint = Blueprint::read(wanted.project)?;
    let mut workspace = Workspace::claim(wanted.folder)?;
    let result = tokio::select! {
        result = bring_up(&wanted, &blueprint, &mut workspace) => result,
        _ = interrupt.recv() => Err(RealError::Interrupted),
        _ = terminate.recv() => Err(RealError::Interrupted),
    };
    if result.is_err() {
        // What is wrong with taking it down matters more: something may still be running.
        take_down(workspace).await?;
    }
    result
}

async fn bring_up(wanted: &Wanted<'_>, blueprint: &Blueprint, workspace: &mut Workspace) -> Result<Ready, RealError> {
    let python = Python::ready(wanted.version, wanted.venv, workspace).await?;
    // Not before now: installing may take minutes, in which somebody else could take the port.
    let [port, other] = free_ports()?;
    let admin_port = if blueprint.has_admin_port() { other } else { port };
    workspace.record_port(port)?;
    blueprint.write(&workspace.project_file(), port, admin_port)?;
    let mut federation = Federation::provision(blueprint, &python, workspace).await?;
    federation.start().await?;
    Ok(Ready {
        port: admin_port,
        scheme: blueprint.project.scheme().as_str(),
        kits: federation.kits(),
        version: wanted.version.to_owned(),
    })
}
