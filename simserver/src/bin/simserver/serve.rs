//! `flare-simserver serve`.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use flare_simserver::SimServer;
use flare_simserver::core::LocalTime;
use flare_simserver::scenario::Scenario;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::ServeArguments;
use crate::exit::Failure;
use crate::{federation, report};

pub(crate) fn run(arguments: &ServeArguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::Runtime)?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: &ServeArguments) -> Result<(), Failure> {
    // From here on a signal means an orderly end, also while the server starts.
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Runtime)?;
    let mut jump = signal(SignalKind::user_defined1()).map_err(Failure::Runtime)?;
    let ready_file = arguments.ready_file.as_deref().map(ReadyFile::new).transpose()?;

    let project = federation::project(&arguments.federation)?;
    let scheme = project.scheme();
    let mut builder = SimServer::builder()
        .port(arguments.port.unwrap_or_else(|| project.server().admin_port()))
        .release(arguments.release)
        .workspace(&arguments.federation.workspace)
        .keys(federation::keys(&arguments.federation))
        .configure(|config| config.local_time = LocalTime::with_offset(jiff::Zoned::now().offset()))
        .project(project);
    if let Some(address) = arguments.address {
        builder = builder.address(address);
    }
    if let Some(directory) = &arguments.state_dir {
        builder = builder.state_dir(directory);
    }
    if let Some(file) = &arguments.study_registry {
        builder = builder.study_registry(file);
    }
    if let Some(path) = &arguments.scenario {
        builder = builder.scenario(Scenario::read(path)?);
    }
    if let Some(clock) = arguments.clock {
        builder = builder.clock(clock);
    }
    if let Some(seed) = arguments.seed {
        builder = builder.seed(seed);
    }
    builder = arguments.mutants.iter().fold(builder, |builder, mutant| builder.mutant(*mutant));
    let server = tokio::select! {
        server = builder.start() => server?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };

    let mut ready = json!({"port": server.port(), "scheme": scheme.as_str(), "kits": server.all_kits()?});
    if server.site_port() != server.port() {
        ready["fed_learn_port"] = server.site_port().into();
    }
    let ready = ready.to_string();
    if let Some(file) = &ready_file {
        file.write(&ready)?;
    }
    report::line(&ready);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            // The command `shutdown`.
            () = server.stopped() => break,
            _ = jump.recv() => {
                let timer = server.jump_to_next();
                tracing::info!(?timer, "jumped");
            }
        }
    }
    server.shutdown().await;
    Ok(())
}

/// The file that tells others that the server is ready. It is there as long as the server is.
struct ReadyFile(PathBuf);

impl ReadyFile {
    /// Removes what an earlier run has left: whoever waits for the file must not find that one.
    fn new(path: &Path) -> Result<Self, Failure> {
        let path = std::path::absolute(path).map_err(|error| Failure::ready_file(path, error))?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::ready_file(&path, error)),
            _ => Ok(Self(path)),
        }
    }

    /// Writes the file so that it appears complete.
    fn write(&self, line: &str) -> Result<(), Failure> {
        let failed = |error| Failure::ready_file(&self.0, error);
        let directory = self.0.parent().unwrap_or(&self.0);
        // There is no secret in it, and who waits for it may be another user.
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(directory)
            .map_err(failed)?;
        writeln!(file, "{line}").map_err(failed)?;
        file.persist(&self.0).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        // It may never have been written.
        let _ = fs::remove_file(&self.0);
    }
}
