//! A session outlives its connection and its login: what is repeated, what is opened again, and for how long.
//!
//! | what happened | was it carried out? | what is done |
//! |---|---|---|
//! | the server does not know the session any more | no | log in again, repeat |
//! | the server has ended the session | no | connect and log in again, repeat |
//! | the connection is down, and nobody listens at the server's address | no | repeat: a server that restarts knows the session |
//! | the connection is down, and the server does not want it back | no | connect and log in again, repeat |
//! | the connection broke before the reply | perhaps | repeat what may be run twice; the rest is an error that says so |
//! | no reply in time | perhaps | an error that says so |
//!
//! A connection that breaks is opened again under the same name and with the same tokens, which a server that restarted
//! accepts; that is the connection's own affair. A new login is one for all callers: who comes while it is under way waits
//! for it, and uses what it brought.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::{Live, Session, login};
use crate::clock::after;
use crate::{Error, ErrorKind, Result};

/// Between attempts to reach a server that is down; doubles up to [`MAX_PAUSE`]. A server that restarts is away for
/// seconds, and an attempt at a closed port costs nothing.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// What to do about a command that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Nothing can be done.
    None,
    /// Ask again: the connection repairs itself.
    Repeat,
    /// Log in again and ask again.
    Renew,
}

/// The table above.
pub(super) fn remedy(error: &Error, is_repeatable: bool) -> Remedy {
    match error.kind() {
        ErrorKind::SessionExpired => Remedy::Renew,
        ErrorKind::ConnectionLost if !error.may_have_run() && !error.is_absence() => Remedy::Renew,
        ErrorKind::ConnectionLost if !error.may_have_run() || is_repeatable => Remedy::Repeat,
        _ => Remedy::None,
    }
}

/// True for failures that may be over soon.
pub(super) fn is_passing(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unreachable
            | ErrorKind::TlsRefused
            | ErrorKind::ConnectionLost
            | ErrorKind::TimedOut
            | ErrorKind::Busy
    )
}

/// Growing pauses until a point in time.
pub(super) struct Pauses {
    next: Duration,
    until: Instant,
}

impl Pauses {
    pub(super) const fn until(until: Instant) -> Self {
        Self { next: FIRST_PAUSE, until }
    }

    /// Pauses; false, at once, when the time is over.
    pub(super) async fn pause(&mut self) -> bool {
        if Instant::now() + self.next >= self.until {
            return false;
        }
        sleep(self.next).await;
        self.next = (self.next * 2).min(MAX_PAUSE);
        true
    }
}

impl Session {
    /// Until when a command that begins now tries to get over a lost connection.
    pub(super) fn give_up_time(&self) -> Instant {
        after(self.inner.opening.reconnect_timeout)
    }

    /// Opens a new connection and logs in, unless somebody has done it since `seen` was current.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection that was being opened; the session keeps what it had.
    pub(super) async fn renew(&self, seen: &Live, pauses: &mut Pauses) -> Result<()> {
        loop {
            let until = pauses.until;
            let late = || Error::new(ErrorKind::ConnectionLost, "the server did not come back in time");
            let turn = timeout_at(until, self.inner.renewing.lock()).await.map_err(|_| late())?;
            if self.live()?.generation != seen.generation {
                return Ok(());
            }
            if !self.is_at_active(seen) {
                seen.connection.move_away();
            }
            let opening = &self.inner.opening;
            let deadline = until.min(after(opening.connect_timeout));
            let failed = match login::open(opening, &self.inner.kit, &self.inner.study, deadline).await {
                Ok(opened) => {
                    self.inner.replace(seen.generation + 1, opened);
                    tracing::debug!("logged in again");
                    return Ok(());
                }
                Err(error) => error,
            };
            drop(turn);
            if !is_passing(&failed) {
                return Err(failed);
            }
            if !pauses.pause().await {
                let message = "the connection is down and cannot be opened again";
                return Err(Error::new(ErrorKind::ConnectionLost, message).with_source(failed));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_may_have_run_is_repeated_only_where_that_does_no_harm() {
        let lost = || Error::new(ErrorKind::ConnectionLost, "lost");
        let absent = || lost().with_source(Arc::new(Error::new(ErrorKind::Unreachable, "nobody listens")));
        let unwelcome =
            || lost().with_source(Arc::new(Error::timed_out(crate::Phase::Handshake, Duration::from_secs(1))));
        let expired = || Error::new(ErrorKind::SessionExpired, "expired");
        let timed_out = || Error::timed_out(crate::Phase::Command, Duration::from_secs(1)).after_sending();
        for (error, repeatable, expected) in [
            (lost(), true, Remedy::Renew),
            (lost(), false, Remedy::Renew),
            (absent(), true, Remedy::Repeat),
            (absent(), false, Remedy::Repeat),
            (unwelcome(), false, Remedy::Renew),
            (lost().after_sending(), true, Remedy::Repeat),
            (lost().after_sending(), false, Remedy::None),
            (expired(), false, Remedy::Renew),
            (timed_out(), true, Remedy::None),
            (timed_out(), false, Remedy::None),
            (Error::new(ErrorKind::Refused, "no"), true, Remedy::None),
        ] {
            assert_eq!(remedy(&error, repeatable), expected, "{error:?} {repeatable}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end_in_time() {
        let started = Instant::now();
        let mut pauses = Pauses::until(started + Duration::from_secs(10));
        let mut count = 0;
        while pauses.pause().await {
            count += 1;
        }
        assert!(started.elapsed() < Duration::from_secs(10));
        assert_eq!(count, 8, "0.1, 0.2, 0.4, 0.8, 1.6, and three times 2 seconds");
    }
}
