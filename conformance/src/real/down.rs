//! Takes a federation down.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use tokio::task::spawn_blocking;

use super::RealError;
use super::workspace::Workspace;

/// Takes down what is recorded in the folder; gives whether there was anything.
///
/// # Cancel safety
/// Can be repeated: the record goes last.
pub(super) async fn down(folder: &Path) -> Result<bool, RealError> {
    match Workspace::open(folder)? {
        Some(workspace) => take_down(workspace).await.map(|()| true),
        None => Ok(false),
    }
}

/// Ends every process, checks that the port is free and removes the files.
pub(super) async fn take_down(workspace: Workspace) -> Result<(), RealError> {
    let mark = workspace.record().mark.clone();
    spawn_blocking(move || mark.end_all()).await.map_err(|error| RealError::System(error.into()))??;
    if let Some(port) = workspace.record().port
        && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_err()
    {
        return Err(RealError::PortTaken(port));
    }
    workspace.remove()
}
