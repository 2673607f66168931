//! What is found of an app's signatures: looked for when somebody asks, since it takes as long as the app is large.
//!
//! A real server judges them when it deploys the job, long after the reply to its submission.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::signature::Trust;

/// Reads the app and judges it.
type Judge = Box<dyn FnOnce() -> Trust + Send>;

/// How far an app can be trusted, once somebody wants to know. Written somewhere, it is known.
pub struct Verdict {
    reached: OnceLock<Trust>,
    judge: Mutex<Option<Judge>>,
}

impl Verdict {
    /// One that `judge` reaches when it is first asked for. Whoever asks meanwhile waits for it.
    pub fn by(judge: impl FnOnce() -> Trust + Send + 'static) -> Self {
        Self { reached: OnceLock::new(), judge: Mutex::new(Some(Box::new(judge))) }
    }

    /// The verdict. Takes as long as the app is large, the first time.
    #[must_use]
    pub fn get(&self) -> &Trust {
        self.reached.get_or_init(|| {
            let judge = self.judge.lock().unwrap_or_else(PoisonError::into_inner).take();
            // Only a judge that has panicked is gone without a verdict.
            judge.map_or(Trust::Unreadable, |judge| judge())
        })
    }

    /// True when it costs nothing to [get](Self::get).
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.reached.get().is_some()
    }
}

impl From<Trust> for Verdict {
    fn from(trust: Trust) -> Self {
        Self { reached: OnceLock::from(trust), judge: Mutex::new(None) }
    }
}

/// A copy has the verdict with it.
impl Clone for Verdict {
    fn clone(&self) -> Self {
        self.get().clone().into()
    }
}

impl PartialEq for Verdict {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verdict").field(&self.reached.get()).finish()
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Verdict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Trust::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Barrier};
    use std::thread;

    use super::*;

    #[test]
    fn a_verdict_is_reached_once_by_whoever_asks_first_and_the_others_wait() {
        let judged = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&judged);
        let verdict = Verdict::by(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Trust::Broken
        });
        assert!(!verdict.is_reached());
        let barrier = Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    barrier.wait();
                    assert_eq!(verdict.get(), &Trust::Broken);
                });
            }
        });
        assert!(verdict.is_reached() && judged.load(Ordering::Relaxed) == 1);
    }

    #[test]
    fn what_is_written_is_the_verdict() {
        let verdict = Verdict::by(|| Trust::Unsigned);
        let text = serde_json::to_string(&verdict).unwrap();
        let read: Verdict = serde_json::from_str(&text).unwrap();
        assert!(verdict.is_reached() && read.is_reached() && read == verdict);
    }
}
