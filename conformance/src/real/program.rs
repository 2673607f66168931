//! Programs that are run to their end.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::RealError;
use super::workspace::Workspace;

/// How much of an output an error shows.
const TAIL_LINES: usize = 25;

/// Runs a program to its end; its output goes to a log file of the workspace.
///
/// Dropping the future kills the program, but not what it has started: that carries the workspace's mark.
pub(super) async fn run(
    task: &'static str,
    limit: Duration,
    workspace: &Workspace,
    command: &mut Command,
) -> Result<(), RealError> {
    let log = workspace.log(task);
    logged_to(command, &log)?;
    workspace.mark(command);
    let mut child = command.kill_on_drop(true).spawn().map_err(|error| not_started(task, command, error))?;
    let ended = match timeout(limit, child.wait()).await {
        Ok(Ok(status)) if status.success() => return Ok(()),
        Ok(Ok(status)) => describe(status),
        Ok(Err(error)) => return Err(RealError::System(error)),
        Err(_) => format!("not finished after {} s", limit.as_secs()),
    };
    Err(RealError::Program { task, ended, tail: tail(&log) })
}

fn not_started(task: &'static str, command: &Command, error: io::Error) -> RealError {
    let program = command.as_std().get_program().to_string_lossy();
    RealError::Program { task, ended: format!("{program} cannot be run: {error}"), tail: String::new() }
}

/// Sends both outputs of a program to a file, and gives it nothing to read.
pub(super) fn logged_to(command: &mut Command, log: &Path) -> Result<(), RealError> {
    let file = OpenOptions::new().create(true).append(true).open(log).map_err(RealError::file(log))?;
    let errors: File = file.try_clone().map_err(RealError::file(log))?;
    command.stdin(Stdio::null()).stdout(file).stderr(errors);
    Ok(())
}

/// The last lines of a log, none if it cannot be read.
pub(super) fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// How a process ended, in a few words.
pub(super) fn describe(status: ExitStatus) -> String {
    // The standard text is "exit status: 1" or "signal: 9 (SIGKILL)".
    status.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_last_lines_of_a_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let text: String = (0..100).map(|line| format!("line {line}\n")).collect();
        std::fs::write(&log, text).unwrap();
        assert_eq!(tail(&log).lines().count(), TAIL_LINES);
        assert!(tail(&log).ends_with("line 99"));
        assert_eq!(tail(&folder.path().join("none")), "");
    }
}
