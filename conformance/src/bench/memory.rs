//! Resident memory of a simulator, measured from outside: it runs in a process of its own, which is this program again.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::Args;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::{BenchError, start};

/// What the simulator's process prints when it is ready, before the folder of its kits.
const READY: &str = "ready ";

/// Arguments of the process that is measured; not for users.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// How many sites.
    #[arg(long)]
    sites: usize,
    /// Where its kits go.
    #[arg(long)]
    workspace: PathBuf,
}

/// Serves until standard input ends.
pub(crate) async fn serve(arguments: &ServeArguments) -> Result<(), BenchError> {
    let server = start(&arguments.workspace, arguments.sites).await?;
    print_ready(&server.all_kits()?);
    tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0; 1])).await??;
    server.shutdown().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the parent process waits for this line")]
fn print_ready(kits: &Path) {
    println!("{READY}{}", kits.display());
}

/// A simulator in a process of its own, which ends when this is dropped.
pub(super) struct Served {
    process: Child,
    id: u32,
    kits: PathBuf,
}

impl Served {
    /// Starts one with so many sites; its workspace is below `scratch`.
    pub(super) async fn start(sites: usize, scratch: &Path) -> Result<Self, BenchError> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["bench-serve", "--sites", &sites.to_string()])
            .arg("--workspace")
            .arg(scratch.join("simulator"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the process has no output")?;
        let first = BufReader::new(stdout).lines().next_line().await?;
        let kits = first.as_deref().and_then(|line| line.strip_prefix(READY));
        let kits = PathBuf::from(kits.ok_or("the simulator did not start")?);
        let id = process.id().ok_or("the process is gone")?;
        Ok(Self { process, id, kits })
    }

    /// The folder of its startup kits.
    pub(super) fn kits(&self) -> &Path {
        &self.kits
    }

    /// Its peak of resident bytes.
    pub(super) fn peak(&self) -> Result<u64, BenchError> {
        peak(self.id)
    }

    /// Ends it.
    pub(super) async fn stop(mut self) -> Result<(), BenchError> {
        drop(self.process.stdin.take());
        self.process.wait().await?;
        Ok(())
    }
}

/// Resident bytes of a simulator with so many sites, just started.
pub(super) async fn resident(sites: usize) -> Result<u64, BenchError> {
    let scratch = tempfile::tempdir()?;
    let served = Served::start(sites, scratch.path()).await?;
    let bytes = memory_of(served.id, "VmRSS:");
    served.stop().await?;
    bytes
}

/// The most resident bytes that a process has had.
pub(super) fn peak(id: u32) -> Result<u64, BenchError> {
    memory_of(id, "VmHWM:")
}

fn memory_of(id: u32, name: &str) -> Result<u64, BenchError> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    figure(&status, name).ok_or_else(|| "the system does not tell the resident memory".into())
}

/// A figure of a `/proc/<id>/status`, in bytes.
fn figure(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_the_process_status() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t1\n";
        assert_eq!(figure(status, "VmRSS:"), Some(1024 * 1024));
        assert_eq!(figure(status, "VmHWM:"), Some(2048 * 1024));
        assert_eq!(figure("Name:\tx\n", "VmRSS:"), None);
    }
}
