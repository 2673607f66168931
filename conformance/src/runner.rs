//! Runs cases: several at a time, each with its own time limit, a panic in one harming none of the others.

use std::any::Any;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use tokio::task::{JoinError, JoinSet};

use crate::{Case, Context, Finding, KnownFailing, Risk, State, Target};

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Id of the case.
    #[serde(rename = "check")]
    pub case: String,
    /// What the case shows.
    pub title: String,
    /// Ids of the requirements it checks.
    pub requirements: Vec<&'static str>,
    /// Methods and arguments of the API document that it exercises.
    pub exercises: Vec<&'static str>,
    /// What became of it.
    pub state: State,
    /// How long it took, in milliseconds.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// What was expected and what was seen; nothing for a pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why the known-failing list expects it to fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
}

impl Outcome {
    /// Something that cases made is still on the target.
    fn of_clean_up(finding: &Finding) -> Self {
        Self {
            case: "clean-up".to_owned(),
            title: "what cases made is removed at the end".to_owned(),
            requirements: Vec::new(),
            exercises: Vec::new(),
            state: State::HarnessError,
            duration: Duration::ZERO,
            message: Some(finding.message().to_owned()),
            known: None,
        }
    }

    #[cfg(test)]
    pub(crate) fn for_test(case: &str, state: State) -> Self {
        Self {
            case: case.to_owned(),
            title: "a case".to_owned(),
            requirements: Vec::new(),
            exercises: Vec::new(),
            state,
            duration: Duration::ZERO,
            message: None,
            known: None,
        }
    }
}

/// A tenth of a millisecond is as fine as timings over sockets are worth.
fn milliseconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    Value::from((duration.as_secs_f64() * 10_000.0).round() / 10.0).serialize(serializer)
}

/// How cases are run.
#[derive(Debug, Clone)]
pub struct Runner {
    /// How many cases run at the same time.
    pub jobs: NonZeroUsize,
    /// Caps the time limit of every case.
    pub time_limit: Option<Duration>,
    /// Which cases are expected to fail.
    pub known: KnownFailing,
}

impl Runner {
    /// Runs `cases` on `target` and calls `progress` as each one ends: one class of
    /// risk after the other, and those that need the target alone one at a time. The outcomes are in the order of the cases.
    ///
    /// # Cancel safety
    /// Dropping the future aborts the cases that run.
    pub async fn run(
        &self,
        cases: Vec<Case>,
        target: &Arc<Target>,
        mut progress: impl FnMut(&Outcome),
    ) -> Vec<Outcome> {
        let cases: Vec<Arc<Case>> = cases.into_iter().map(Arc::new).collect();
        let mut outcomes: Vec<Option<Outcome>> = cases.iter().map(|_| None).collect();
        let mut running = JoinSet::new();
        let mut started = HashMap::new();
        let mut left = Ok(());
        for risk in Risk::ALL {
            // What comes may end the target. A restart also brings a scheduler back that removing jobs has ended.
            if risk == Risk::System {
                left = target.clean_up().await;
            }
            let alone = risk.is_exclusive() && !target.can_be_had_alone();
            let jobs = if alone { 1 } else { self.jobs.get() };
            let mut waiting = cases.iter().enumerate().filter(|(_, case)| case.risk() == risk);
            loop {
                while running.len() < jobs
                    && let Some((index, case)) = waiting.next()
                {
                    let limit = self.time_limit.unwrap_or(Duration::MAX).min(case.time_limit());
                    let task = running.spawn(check(Arc::clone(case), Context::new(Arc::clone(target)), limit));
                    started.insert(task.id(), (index, Instant::now()));
                }
                let Some(ended) = running.join_next_with_id().await else { break };
                let (task, verdict) = match ended {
                    Ok((task, verdict)) => (task, verdict),
                    Err(error) => (error.id(), Err(broken(error))),
                };
                let (index, since) = started.remove(&task).expect("every task was entered when it was spawned");
                let outcome = self.outcome(&cases[index], verdict, since.elapsed());
                progress(&outcome);
                outcomes[index] = Some(outcome);
            }
        }
        target.close_shared().await;
        let mut outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
        if let Err(finding) = left.and(target.clean_up().await) {
            let outcome = Outcome::of_clean_up(&finding);
            progress(&outcome);
            outcomes.push(outcome);
        }
        outcomes
    }

    fn outcome(&self, case: &Case, verdict: Result<(), Finding>, duration: Duration) -> Outcome {
        let (state, message) = match verdict {
            Ok(()) => (State::Pass, None),
            Err(finding) => (finding.state(), Some(finding.message().to_owned())),
        };
        Outcome {
            case: case.id().to_owned(),
            title: case.title().to_owned(),
            requirements: case.requirements().to_vec(),
            exercises: case.exercised().to_vec(),
            state: self.known.judge(case.id(), state),
            duration,
            message,
            known: self.known.reason(case.id()),
        }
    }
}

/// How often a case is run whose outcome proves nothing. What spoils it is rare: two such outcomes in a row are seen
/// once in tens of thousands of cases.
const ATTEMPTS: usize = 3;

/// Runs one case, unless the target lacks something it needs; again when what it found proves nothing.
async fn check(case: Arc<Case>, context: Context, limit: Duration) -> Result<(), Finding> {
    for need in case.needed() {
        context.target().require(*need)?;
    }
    let mut attempts = 1;
    loop {
        match tokio::time::timeout(limit, case.run(context.clone())).await {
            Ok(Err(finding)) if finding.state() == State::Indeterminate && attempts < ATTEMPTS => attempts += 1,
            Ok(verdict) => return verdict,
            Err(_) => return Err(Finding::fail(format!("not finished after {} s", limit.as_secs_f64()))),
        }
    }
}

/// A panic is a fault of the suite (or of the client library under it), never evidence about the server.
fn broken(error: JoinError) -> Finding {
    match error.try_into_panic() {
        Ok(payload) => Finding::harness(format!("panicked: {}", panic_text(payload.as_ref()))),
        Err(error) => Finding::harness(error.to_string()),
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&str>() {
        text
    } else {
        payload.downcast_ref::<String>().map_or("without a message", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::Need;

    const JOBS: NonZeroUsize = NonZeroUsize::new(4).unwrap();

    async fn run(cases: Vec<Case>, known: &str) -> Vec<(String, State, Option<String>)> {
        let runner = Runner { jobs: JOBS, time_limit: None, known: KnownFailing::parse(known).unwrap() };
        let target = Arc::new(Target::without_server("test"));
        let outcomes = runner.run(cases, &target, |_| ()).await;
        outcomes.into_iter().map(|outcome| (outcome.case, outcome.state, outcome.message)).collect()
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_the_suite_and_the_other_cases_go_on() {
        let panics = Case::new("a.panics", "panics", |_| async { panic!("no such index {}", 3) });
        let passes = Case::new("a.passes", "passes", |_| async { Ok(()) });
        assert_eq!(
            run(vec![panics, passes], "").await,
            [
                ("a.panics".into(), State::HarnessError, Some("panicked: no such index 3".into())),
                ("a.passes".into(), State::Pass, None)
            ]
        );
    }

    #[tokio::test]
    async fn a_case_that_hangs_fails_after_its_time_limit() {
        let hangs = Case::new("a.hangs", "hangs", |_| std::future::pending()).within(Duration::from_millis(5));
        assert_eq!(
            run(vec![hangs], "").await,
            [("a.hangs".into(), State::Fail, Some("not finished after 0.005 s".into()))]
        );
    }

    #[tokio::test]
    async fn a_case_that_proves_nothing_is_run_again_but_not_for_ever() {
        let runs = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&runs);
        let unlucky_once = Case::new("a.unlucky", "unlucky once", move |_| {
            let first = counter.fetch_add(1, Ordering::Relaxed) == 0;
            async move { if first { Err(Finding::indeterminate("spoilt")) } else { Ok(()) } }
        });
        let never_clear =
            Case::new("a.unclear", "never clear", |_| async { Err(Finding::indeterminate("spoilt again")) });
        let outcomes = run(vec![unlucky_once, never_clear], "").await;
        assert_eq!([outcomes[0].1, outcomes[1].1], [State::Pass, State::Indeterminate]);
        assert_eq!(runs.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_case_whose_needs_are_not_met_does_not_run() {
        let needy = Case::new("a.needy", "needy", |_| async { Ok(()) }).needs([Need::ControlledTime]);
        let outcomes = run(vec![needy], "").await;
        assert_eq!(outcomes[0].1, State::Untestable);
    }

    #[tokio::test]
    async fn a_listed_case_that_passes_is_reported_as_such() {
        let passes = Case::new("a.passes", "passes", |_| async { Ok(()) });
        let fails = Case::new("a.fails", "fails", |_| async { Err(Finding::fail("no")) });
        let outcomes =
            run(vec![passes, fails], "a.passes  until=2027-06-01  #7  broken\na.fails  until=2027-06-01  #7  broken")
                .await;
        assert_eq!([outcomes[0].1, outcomes[1].1], [State::PassUnexpected, State::FailExpected]);
    }
}
