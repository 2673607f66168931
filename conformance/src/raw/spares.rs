//! Raw endpoints that go from case to case: most of what a case costs that says one command is its login.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Admin;
use crate::Who;

/// How long an endpoint may lie unused: nobody answers the server for it meanwhile, and a WebSocket server gives a
/// connection up that does not answer its pings, after twice 20 s.
const FRESH: Duration = Duration::from_secs(10);

/// Endpoints that are logged in and that no case uses.
#[derive(Default)]
pub(crate) struct Spares(Mutex<BTreeMap<Who, Vec<(Instant, Admin)>>>);

impl Spares {
    /// One of such an administrator.
    pub(crate) fn take(&self, who: Who) -> Option<Admin> {
        let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, admin) = spares.get_mut(&who)?.pop()?;
        (since.elapsed() < FRESH).then_some(admin)
    }

    /// Keeps one for the next case: nothing may be under way on it.
    pub(crate) fn put(&self, who: Who, admin: Admin) {
        let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spares.entry(who).or_default().push((Instant::now(), admin));
    }

    /// Disconnects all.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl fmt::Debug for Spares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spares(..)")
    }
}
