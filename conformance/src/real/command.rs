//! `flare-conformance real`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::RealError;
use super::down::down;
use super::up::{Wanted, up};

/// Bring up a real FLARE federation, or take it down.
#[derive(Debug, Subcommand)]
pub(crate) enum RealCommand {
    /// Install nvflare, provision, start server and sites, and wait until every site is registered.
    ///
    /// Prints one line of JSON with the port, the scheme and the folder of the kits. What was started stays up until
    /// `real down`; if this command fails or is interrupted, it takes everything down again.
    Up(UpArguments),
    /// End every process of the federation in the workspace and remove what `up` made there.
    Down(DownArguments),
}

/// What to bring up.
#[derive(Debug, Args)]
pub(crate) struct UpArguments {
    /// Release of nvflare, as PyPI names it.
    #[arg(long, default_value = "2.9.0")]
    version: String,
    /// Project file; its port is replaced by a free one. Without it: two organisations, every role in each.
    #[arg(long, value_name = "FILE")]
    project: Option<PathBuf>,
    /// Folder for all that the federation writes.
    #[arg(long, value_name = "DIR")]
    workspace: PathBuf,
    /// Virtual environment to use, filled if need be and kept; by default one inside the workspace, or inside the
    /// folder that the environment variable FLARE_VENV_CACHE names.
    #[arg(long, value_name = "DIR")]
    venv: Option<PathBuf>,
}

/// What to take down.
#[derive(Debug, Args)]
pub(crate) struct DownArguments {
    /// Folder in which the federation was brought up.
    #[arg(long, value_name = "DIR")]
    workspace: PathBuf,
    /// Accepted so that the arguments of `up` can be repeated; the workspace says it all.
    #[arg(long, hide = true)]
    version: Option<String>,
    /// See `version`.
    #[arg(long, hide = true)]
    project: Option<PathBuf>,
    /// See `version`; a shared environment stays.
    #[arg(long, hide = true)]
    venv: Option<PathBuf>,
}

impl RealCommand {
    /// Does what the command says; `up` prints its line.
    ///
    /// # Errors
    /// [`RealError`]; after a failed `up` nothing of it is left.
    ///
    /// # Cancel safety
    /// Not cancel safe: `up` listens for signals itself, to clean up.
    pub(crate) async fn run(self) -> Result<(), RealError> {
        match self {
            Self::Up(arguments) => {
                let wanted = Wanted {
                    version: &arguments.version,
                    project: arguments.project.as_deref(),
                    folder: &arguments.workspace,
                    venv: arguments.venv.as_deref(),
                };
                let ready = up(wanted).await?;
                let line = serde_json::to_string(&ready).map_err(|error| RealError::System(error.into()))?;
                writeln!(io::stdout(), "{line}").map_err(RealError::System)
            }
            Self::Down(arguments) => {
                let was_up = down(&arguments.workspace).await?;
                let text = if was_up { "taken down" } else { "nothing is up" };
                writeln!(io::stdout(), "{text}").map_err(RealError::System)
            }
        }
    }
}
