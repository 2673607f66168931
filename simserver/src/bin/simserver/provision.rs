//! `flare-simserver provision`.

use flare_simserver::kits;
use flare_simserver::pki::KeySource;
use flare_simserver::project::Project;
use serde_json::json;

use crate::args::{Federation, ProvisionArguments};
use crate::exit::Failure;
use crate::report;

pub(crate) fn run(arguments: &ProvisionArguments) -> Result<(), Failure> {
    let federation = &arguments.federation;
    let project = project(federation)?;
    let kits = kits::provision(&project, &federation.workspace, keys(federation))?;
    let done = json!({"port": project.server().admin_port(), "scheme": project.scheme().as_str(), "kits": kits});
    report::line(&done.to_string());
    Ok(())
}

/// The project of the command line.
pub(crate) fn project(federation: &Federation) -> Result<Project, Failure> {
    let project = match &federation.project {
        Some(path) => Project::read(path)?,
        None => Project::default_demo(),
    };
    for warning in project.warnings() {
        tracing::warn!("{warning}");
    }
    Ok(project)
}

fn keys(federation: &Federation) -> KeySource {
    federation.keys.clone().map_or(KeySource::Generate, KeySource::Directory)
}
