//! Who owns the tasks of a connection.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use hyper::rt;
use tokio::task::JoinSet;

/// The tasks of one connection; with the last of these handles they end.
#[derive(Debug, Clone, Default)]
pub(super) struct Tasks(Arc<Mutex<JoinSet<()>>>);

/// Starts tasks. Does not keep them: what they hold must not keep themselves alive.
#[derive(Debug, Clone)]
pub(super) struct Executor(Weak<Mutex<JoinSet<()>>>);

impl Tasks {
    pub(super) fn executor(&self) -> Executor {
        Executor(Arc::downgrade(&self.0))
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.0);
        // Takes ended tasks out, or the set would grow for ever.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Waits until all have ended.
    pub(super) fn poll_ended(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut tasks = lock(&self.0);
        loop {
            match tasks.poll_join_next(context) {
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Nothing that holds the lock can panic half-way.
fn lock(tasks: &Mutex<JoinSet<()>>) -> MutexGuard<'_, JoinSet<()>> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<F> rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
{
    fn execute(&self, future: F) {
        // Without an owner there is nothing left to work for.
        if let Some(tasks) = self.0.upgrade() {
            Tasks(tasks).spawn(async move { drop(future.await) });
        }
    }
}
