//! What the command line says about the federation.

use flare_simserver::pki::KeySource;
use flare_simserver::project::Project;

use crate::args::Federation;
use crate::exit::Failure;

/// The project of the command line, with a warning for everything in it that is not simulated.
pub(crate) fn project(federation: &Federation) -> Result<Project, Failure> {
    let mut project = match &federation.project {
        Some(path) => Project::read(path)?,
        None => Project::default_demo(),
    };
    if let Some(scheme) = federation.scheme {
        project = project.with_scheme(scheme);
    }
    if let Some(security) = federation.connection_security {
        project = project.with_connection_security(security);
    }
    for warning in project.warnings() {
        tracing::warn!("{warning}");
    }
    Ok(project)
}

/// Where keys come from.
pub(crate) fn keys(federation: &Federation) -> KeySource {
    federation.keys.clone().map_or(KeySource::Generate, KeySource::Directory)
}
