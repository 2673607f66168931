//! What the program prints.

use std::error::Error as _;
use std::io::{self, IsTerminal as _, Write as _};

use tracing_subscriber::EnvFilter;

use crate::exit::Failure;

/// Logs go to standard error, warnings and above unless `RUST_LOG` says otherwise.
pub(crate) fn start_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

/// The failure with its causes, each once, and what to do.
pub(crate) fn failure(failure: &Failure) {
    let mut text = format!("error: {failure}\n");
    let mut cause = failure.source();
    while let Some(error) = cause {
        text.push_str(&format!("  because: {error}\n"));
        cause = error.source();
    }
    text.push_str(&format!("  hint: {}\n", failure.hint()));
    // Nobody is left to hear that standard error is gone.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// One line on standard output. A reader that went away is no reason to stop.
pub(crate) fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
