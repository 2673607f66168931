//! What belongs to one case that runs, found from wherever the case's task is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use flare_client::Observed;
use flare_wire::Randomness;
use flare_wire::frame::Frame;

use crate::recorder::Recorder;
use crate::report::{Direction, fnv1a};

tokio::task_local! {
    static SCOPE: Arc<Scope>;
}

/// One case that runs.
#[derive(Debug)]
pub(crate) struct Scope {
    /// Where the random names of the case come from; none for those of the operating system.
    seed: Option<u64>,
    /// How many generators the case has taken.
    taken: AtomicU64,
    /// What it says and hears.
    recorder: Recorder,
}

impl Scope {
    /// The scope of `case` in a run with this seed.
    pub(crate) fn new(case: &str, seed: Option<u64>) -> Arc<Self> {
        Self::with(case, seed, Recorder::new())
    }

    /// The same, where everything that is said is kept.
    pub(crate) fn recorded(case: &str, seed: Option<u64>) -> Arc<Self> {
        Self::with(case, seed, Recorder::of_everything())
    }

    fn with(case: &str, seed: Option<u64>, recorder: Recorder) -> Arc<Self> {
        Arc::new(Self { seed: seed.map(|seed| mixed(seed, case)), taken: AtomicU64::new(0), recorder })
    }

    /// What the case has said and heard.
    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Runs `work` as this case. What it spawns is not part of that.
    pub(crate) async fn run<T>(self: Arc<Self>, work: impl Future<Output = T>) -> T {
        SCOPE.scope(self, work).await
    }
}

/// The next generator of the case that runs, when its run has a seed. It does not depend on when the case runs, nor on
/// what runs beside it.
pub(crate) fn randomness() -> Option<Randomness> {
    let next = |scope: &Arc<Scope>| {
        let seed = scope.seed?;
        let taken = scope.taken.fetch_add(1, Ordering::Relaxed);
        Some(Randomness::from_number(mixed(seed, &taken.to_string())))
    };
    SCOPE.try_with(next).ok().flatten()
}

/// True when the random names of the case that runs come from a seed.
pub(crate) fn is_seeded() -> bool {
    SCOPE.try_with(|scope| scope.seed.is_some()).unwrap_or(false)
}

/// One connection as the case that runs sees it.
#[derive(Debug, Clone)]
pub(crate) struct Tap {
    /// The case that opened it.
    opened_by: Weak<Scope>,
    connection: String,
}

impl Tap {
    /// A tap on a new connection of `who`.
    pub(crate) fn new(who: &str) -> Self {
        let scope = SCOPE.try_with(Arc::clone).ok();
        let connection = scope.as_ref().map(|scope| scope.recorder.connection(who));
        Self {
            opened_by: scope.as_ref().map(Arc::downgrade).unwrap_or_default(),
            connection: connection.unwrap_or_else(|| who.to_owned()),
        }
    }

    /// A tap on another connection of the same case.
    pub(crate) fn of(&self, connection: String) -> Self {
        Self { opened_by: self.opened_by.clone(), connection }
    }

    /// Keeps a frame.
    pub(crate) fn frame(&self, direction: Direction, frame: &Frame) {
        self.with(|recorder| recorder.frame(&self.connection, direction, frame));
    }

    /// Keeps what is no message.
    pub(crate) fn line(&self, direction: Direction, what: impl Into<String>) {
        self.with(|recorder| recorder.line(&self.connection, direction, what));
    }

    /// Keeps what a session says and hears.
    pub(crate) fn observe(&self, seen: Observed<'_>) {
        self.with(|recorder| match seen {
            Observed::Sent { headers, payload } => {
                recorder.message(&self.connection, Direction::Sent, headers, payload);
            }
            Observed::Received { headers, payload } => {
                recorder.message(&self.connection, Direction::Received, headers, payload);
            }
            Observed::Unanswered { reason } => {
                recorder.line(&self.connection, Direction::Event, format!("no reply: {reason}"));
            }
            _ => {}
        });
    }

    /// Sessions are shared between cases: what happens belongs to the case in whose task it does, and elsewhere (in
    /// tasks that a case spawned) to the one that opened the connection, if it still runs.
    fn with(&self, keep: impl FnOnce(&Recorder)) {
        let here = SCOPE.try_with(Arc::clone).ok();
        if let Some(scope) = here.or_else(|| self.opened_by.upgrade()) {
            keep(&scope.recorder);
        }
    }
}

/// A number that depends on both, for orders and generators.
pub(crate) fn mixed(seed: u64, text: &str) -> u64 {
    fnv1a(&[&seed.to_be_bytes(), text.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn names(case: &str, seed: Option<u64>) -> Option<[String; 2]> {
        Scope::new(case, seed).run(async { Some([randomness()?.uuid(), randomness()?.uuid()]) }).await
    }

    #[tokio::test]
    async fn names_follow_from_seed_and_case_and_never_repeat_within_it() {
        let first = names("a.case", Some(1)).await.unwrap();
        assert_eq!(names("a.case", Some(1)).await.unwrap(), first);
        assert_ne!(first[0], first[1]);
        assert_ne!(names("a.case", Some(2)).await.unwrap(), first);
        assert_ne!(names("b.case", Some(1)).await.unwrap(), first);
        assert_eq!(names("a.case", None).await, None);
        assert!(randomness().is_none());
    }
}
