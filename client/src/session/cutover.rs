//! Another server becomes active: the session moves there.
//!
//! ```text
//! provider says so ─▶ connection to the old server ends: what was under way is lost, later requests wait
//!                  ─▶ connect, verify, register, log in, `_commands`   (one for all, see `renewal`)
//!                  ─▶ what waited is sent to the new server
//! ```

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::task::AbortHandle;

use super::renewal::Pauses;
use super::{Inner, Live, Session};
use crate::Result;

/// The task that moves a session. It ends with the session.
#[derive(Debug)]
pub(super) struct Follower(AbortHandle);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Lets a session move as soon as another server is active, so that commands under way learn of it.
pub(super) fn follow(session: &Session) {
    let task = tokio::spawn(follow_on(Arc::downgrade(&session.inner)));
    // The session is new, so there is none yet.
    let _ = session.inner.follower.set(Follower(task.abort_handle()));
}

async fn follow_on(session: Weak<Inner>) {
    loop {
        let Some(inner) = session.upgrade() else { return };
        let (endpoints, server) = (inner.opening.endpoints.clone(), inner.live().server.clone());
        drop(inner);
        endpoints.wait_for_change(&server).await;
        let Some(inner) = session.upgrade() else { return };
        let session = Session { inner };
        if session.inner.closed.load(Ordering::Acquire) {
            return;
        }
        tracing::debug!(%server, "another server is active");
        let mut pauses = Pauses::until(session.give_up_time());
        if let Err(error) = session.live_at_active(&mut pauses).await {
            tracing::warn!(%error, "the session could not move to the active server yet");
            // The next command tries again, and says what is wrong; so does the next change.
            drop(session);
            match endpoints.active() {
                Some(active) => endpoints.wait_for_change(&active).await,
                None => endpoints.wait_for_any().await,
            }
        }
    }
}

impl Session {
    /// Whether a login is one at the active server.
    pub(super) fn is_at_active(&self, live: &Live) -> bool {
        self.inner.opening.endpoints.is_active(&live.server)
    }

    /// The connection and login to use now, at the active server; logs in there first if need be.
    ///
    /// # Cancel safety
    /// As [`Session::renew`].
    pub(super) async fn live_at_active(&self, pauses: &mut Pauses) -> Result<Arc<Live>> {
        loop {
            let live = self.live()?;
            if self.is_at_active(&live) {
                return Ok(live);
            }
            Box::pin(self.renew(&live, pauses)).await?;
        }
    }
}
