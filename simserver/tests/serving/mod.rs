//! The program `flare-simserver` in a process of its own.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test binary uses its own part of this; what goes wrong fails it"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// The program, ready to be run.
pub(crate) fn simserver(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flare-simserver"));
    command.args(arguments).env_remove("RUST_LOG");
    command
}

/// A server in a process of its own; killed if a test forgets it.
pub(crate) struct Serving {
    process: Child,
    /// The line that it printed.
    pub(crate) ready: Value,
}

impl Serving {
    /// Starts it and waits for the line it prints when it is ready.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::run(&mut simserver(arguments))
    }

    /// The same with a command that leads to it.
    pub(crate) fn run(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not ready: {line:?}"));
        Self { process, ready }
    }

    pub(crate) fn port(&self) -> u16 {
        self.ready["port"].as_u64().unwrap().try_into().unwrap()
    }

    pub(crate) fn kits(&self) -> &Path {
        Path::new(self.ready["kits"].as_str().unwrap())
    }

    /// Sends a signal and gives the exit code.
    pub(crate) fn end(self, signal: &str) -> Option<i32> {
        let sent = Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.wait()
    }

    /// Waits until it ends by itself, and gives the exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already, unless a test has failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
