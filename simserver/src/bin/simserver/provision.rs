//! `flare-simserver provision`.

use flare_simserver::kits;
use serde_json::json;

use crate::args::ProvisionArguments;
use crate::exit::Failure;
use crate::{federation, report};

pub(crate) fn run(arguments: &ProvisionArguments) -> Result<(), Failure> {
    let project = federation::project(&arguments.federation)?;
    let keys = federation::keys(&arguments.federation);
    let kits = kits::provision(&project, &arguments.federation.workspace, keys)?;
    let done = json!({"port": project.server().admin_port(), "scheme": project.scheme().as_str(), "kits": kits});
    report::line(&done.to_string());
    Ok(())
}
