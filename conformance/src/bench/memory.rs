//! Resident memory of a simulator, measured from outside: it runs in a process of its own, which is this program again.

use std::io::Read as _;
use std::process::Stdio;

use clap::Args;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::{BenchError, start};

/// What the simulator's process prints when it is ready.
const READY: &str = "ready";

/// Arguments of the process that is measured; not for users.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// How many sites.
    #[arg(long)]
    sites: usize,
}

/// Serves until standard input ends.
pub(crate) async fn serve(arguments: &ServeArguments) -> Result<(), BenchError> {
    let workspace = tempfile::tempdir()?;
    let server = start(workspace.path(), arguments.sites).await?;
    print_ready();
    tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0; 1])).await??;
    server.shutdown().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the parent process waits for this line")]
fn print_ready() {
    println!("{READY}");
}

/// Resident bytes of a simulator with so many sites, just started.
pub(super) async fn resident(sites: usize) -> Result<u64, BenchError> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["bench-serve", "--sites", &sites.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take().ok_or("the process has no output")?;
    let first = BufReader::new(stdout).lines().next_line().await?;
    if first.as_deref() != Some(READY) {
        return Err("the simulator did not start".into());
    }
    let id = child.id().ok_or("the process is gone")?;
    let bytes = resident_of(&std::fs::read_to_string(format!("/proc/{id}/status"))?);
    drop(child.stdin.take());
    child.wait().await?;
    bytes.ok_or_else(|| "the system does not tell the resident memory".into())
}

/// `VmRSS` of a `/proc/<id>/status`, in bytes.
fn resident_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_the_process_status() {
        assert_eq!(resident_of("Name:\tx\nVmRSS:\t    1024 kB\nThreads:\t1\n"), Some(1024 * 1024));
        assert_eq!(resident_of("Name:\tx\n"), None);
    }
}
