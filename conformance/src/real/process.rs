//! Finds the processes of a federation by the mark they carry, and ends them.
//!
//! A process id alone says little: it may have been given to somebody else since. A process group says too little:
//! FLARE starts each job in a session of its own. The environment that a process was started with stays readable in
//! `/proc` as long as it runs, and its children inherit it.

use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::RealError;

/// The environment variable that carries a mark.
const VARIABLE: &str = "FLARE_CONFORMANCE_FEDERATION";

/// What a process may take to end by itself. A FLARE server answers SIGTERM at once; a site in the middle of a
/// reconnect took up to 3 s.
const GRACE: Duration = Duration::from_secs(8);

/// What the kernel may take to end a process that it was told to kill.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// A process that forks while it is ended leaves a child for the next round; more rounds than this mean that something
/// starts them anew.
const ROUNDS: usize = 5;

/// Distinguishes the processes of one federation from all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Mark(String);

impl Mark {
    pub(super) fn new(random: u128) -> Self {
        Self(format!("{random:032x}"))
    }

    /// Lets a program and all that it starts carry the mark.
    pub(super) fn put_on(&self, command: &mut Command) {
        command.env(VARIABLE, &self.0);
    }

    fn is_on(&self, pid: Pid) -> bool {
        // Unreadable means that the process is gone, or belongs to another user and hence is none of ours.
        let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap_or_default();
        let wanted = format!("{VARIABLE}={}", self.0);
        environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
    }

    fn processes(&self) -> Result<Vec<Process>, RealError> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").map_err(RealError::System)? {
            let name = entry.map_err(RealError::System)?.file_name();
            let pid = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
            if let Some(pid) = pid
                && let Some(process) = self.open(pid)?
            {
                found.push(process);
            }
        }
        Ok(found)
    }

    /// A handle to the process if it carries the mark. The handle comes first: it keeps standing for this very
    /// process, so the look at the environment cannot be about one process and the signal go to another.
    fn open(&self, pid: Pid) -> Result<Option<Process>, RealError> {
        if !self.is_on(pid) {
            return Ok(None);
        }
        let handle = match pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(handle) => handle,
            Err(Errno::SRCH | Errno::INVAL) => return Ok(None),
            Err(error) => return Err(RealError::System(error.into())),
        };
        Ok(self.is_on(pid).then_some(Process { pid, handle }))
    }

    /// Ends every process that carries the mark and waits until all are gone: asks first, kills what stays. Blocks.
    pub(super) fn end_all(&self) -> Result<(), RealError> {
        for _ in 0..ROUNDS {
            let processes = self.processes()?;
            if processes.is_empty() {
                return Ok(());
            }
            let deaf = signal_and_wait(processes, Signal::TERM, GRACE)?;
            let undead = signal_and_wait(deaf, Signal::KILL, KILL_LIMIT)?;
            if !undead.is_empty() {
                break;
            }
        }
        let left: Vec<i32> = self.processes()?.iter().map(|process| process.pid.as_raw_nonzero().get()).collect();
        if left.is_empty() { Ok(()) } else { Err(RealError::StillRunning(left)) }
    }
}

/// A running process, whatever becomes of its number.
struct Process {
    pid: Pid,
    handle: OwnedFd,
}

/// Sends a signal to all and gives those that are still there when the time is up.
fn signal_and_wait(processes: Vec<Process>, signal: Signal, limit: Duration) -> Result<Vec<Process>, RealError> {
    for process in &processes {
        match pidfd_send_signal(&process.handle, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(RealError::System(error.into())),
        }
    }
    let deadline = Instant::now() + limit;
    let mut left = processes;
    while !left.is_empty() {
        let mut handles: Vec<PollFd<'_>> =
            left.iter().map(|process| PollFd::new(&process.handle, PollFlags::IN)).collect();
        let wait = deadline.saturating_duration_since(Instant::now());
        let wait = Timespec::try_from(wait).expect("a limit of some seconds fits");
        match poll(&mut handles, Some(&wait)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(RealError::System(error.into())),
        }
        // A process handle becomes readable when its process has ended.
        let here: Vec<bool> = handles.iter().map(|handle| handle.revents().is_empty()).collect();
        let mut here = here.into_iter();
        left.retain(|_| here.next().unwrap_or(true));
        if wait == Timespec::default() {
            break;
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::io::{AsyncBufReadExt as _, BufReader};

    use super::*;

    fn sleeper(mark: Option<&Mark>, script: &str) -> tokio::process::Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        if let Some(mark) = mark {
            mark.put_on(&mut command);
        }
        command.spawn().unwrap()
    }

    /// A mark that no other test of any run has.
    fn unique(number: u128) -> Mark {
        Mark::new(u128::from(std::process::id()) << 64 | number)
    }

    fn running(child: &tokio::process::Child) -> Pid {
        Pid::from_raw(child.id().unwrap().cast_signed()).unwrap()
    }

    #[tokio::test]
    async fn marked_processes_and_their_children_end_and_nobody_else() {
        let (mark, other) = (unique(1), unique(2));
        // The inner one leaves session and group, as the job processes of FLARE do.
        let mut ours = sleeper(Some(&mark), "setsid sleep 600 & echo; wait");
        let mut stranger = sleeper(Some(&other), "exec sleep 600");
        let mut unmarked = sleeper(None, "exec sleep 600");
        while mark.processes().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        mark.end_all().unwrap();
        assert!(!ours.wait().await.unwrap().success());
        assert!(mark.processes().unwrap().is_empty());
        assert!(stranger.try_wait().unwrap().is_none());
        assert!(unmarked.try_wait().unwrap().is_none());
        // While the shell becomes `sleep`, its environment cannot be read for a moment.
        let becomes_marked = async {
            while !other.is_on(running(&stranger)) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), becomes_marked).await.unwrap();
        assert!(!other.is_on(running(&unmarked)));
    }

    #[tokio::test]
    async fn a_process_that_ignores_the_request_is_killed() {
        let mark = unique(3);
        let mut child = sleeper(Some(&mark), "trap '' TERM; echo ready; while :; do read never; done");
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(output.next_line().await.unwrap().as_deref(), Some("ready"));
        let deaf = signal_and_wait(mark.processes().unwrap(), Signal::TERM, Duration::from_millis(50)).unwrap();
        assert_eq!(deaf.len(), 1);
        assert!(signal_and_wait(deaf, Signal::KILL, KILL_LIMIT).unwrap().is_empty());
        assert!(!child.wait().await.unwrap().success());
        assert!(mark.processes().unwrap().is_empty());
    }

    #[test]
    fn ending_nothing_is_fine() {
        unique(4).end_all().unwrap();
    }
}
