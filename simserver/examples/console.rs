//! Starts a simulated server and shows how to log in to it with the official client.
//!
//! ```text
//! cargo run -p flare-simserver --example console
//! ```

use std::error::Error;
use std::io::{self, Write as _};

use flare_simserver::SimServer;
use flare_simserver::project::Role;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = SimServer::start().await?;
    let kit = server.admin_kit(Role::ProjectAdmin)?;
    writeln!(
        io::stdout(),
        "Serving {} on port {}. In Python:\n
    from nvflare.fuel.flare_api.flare_api import new_secure_session
    session = new_secure_session(\"admin@nvidia.com\", \"{}\")
    print(session.get_system_info())\n
Ctrl-C ends the server.",
        server.project().name(),
        server.port(),
        kit.display(),
    )?;
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}
