//! The runtime behind a blocking handle.

use std::fmt;
use std::sync::Arc;

use tokio::runtime::{Builder, Handle};

use crate::{Error, ErrorKind, Result};

/// Shared by the handles of one session; ends with the last.
#[derive(Clone)]
pub(super) struct Runtime(Arc<Owned>);

struct Owned(Option<tokio::runtime::Runtime>);

impl Runtime {
    pub(super) fn start() -> Result<Self> {
        may_wait()?;
        // One thread: it serves a connection, whatever the calls compute they compute on their own threads.
        let started = Builder::new_multi_thread().worker_threads(1).thread_name("flare-client").enable_all().build();
        match started {
            Ok(runtime) => Ok(Self(Arc::new(Owned(Some(runtime))))),
            Err(error) => {
                Err(Error::new(ErrorKind::LocalFile, "the runtime of the session cannot start").with_source(error))
            }
        }
    }

    /// Waits for a future on this thread.
    pub(super) fn wait<F: Future>(&self, future: F) -> Result<F::Output> {
        may_wait()?;
        let runtime = self.0.0.as_ref().expect("it is there until the drop");
        Ok(runtime.block_on(future))
    }
}

/// The runtime's own check is a panic.
fn may_wait() -> Result<()> {
    match Handle::try_current() {
        Err(_) => Ok(()),
        Ok(_) => {
            let message = "a blocking call inside an asynchronous runtime, whose tasks it would stop";
            Err(Error::new(ErrorKind::Unsupported, message)
                .with_hint("use the asynchronous API, or a thread of its own"))
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Waiting for its threads panics inside another runtime, which a handle may have been moved to.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Runtime(..)")
    }
}
