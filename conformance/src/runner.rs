//! Runs cases: several at a time, each with its own time limit, a panic in one harming none of the others.

use std::any::Any;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use tokio::task::{JoinError, JoinSet};

use crate::scope::{Scope, mixed};
use crate::transcripts::Tapes;
use crate::{Case, Context, Finding, KnownFailing, Level, Outcome, Risk, State, Target};

/// How cases are run.
#[derive(Debug, Clone)]
pub struct Runner {
    /// How many cases run at the same time.
    pub jobs: NonZeroUsize,
    /// Caps the time limit of every case.
    pub time_limit: Option<Duration>,
    /// Which cases are expected to fail.
    pub known: KnownFailing,
    /// Where the order of the cases and their random names come from. Without a seed the order is that of the suite, and
    /// the names are those of the operating system.
    pub seed: Option<u64>,
    /// Which cases get the transcript of the wire into their outcome.
    pub transcripts: Transcripts,
}

/// Which cases get the transcript of what went over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Transcripts {
    /// No case.
    None,
    /// Cases that did not pass.
    #[default]
    Failed,
    /// Every case.
    All,
}

impl Transcripts {
    fn wanted(self, state: State) -> bool {
        match self {
            Self::None => false,
            Self::Failed => state != State::Pass,
            Self::All => true,
        }
    }
}

impl Default for Runner {
    /// One case after the other, in the order of the suite, none expected to fail.
    fn default() -> Self {
        Self {
            jobs: NonZeroUsize::MIN,
            time_limit: None,
            known: KnownFailing::default(),
            seed: None,
            transcripts: Transcripts::default(),
        }
    }
}

impl Runner {
    /// Runs `cases` on `target` and calls `progress` as each one ends: one class of
    /// risk after the other, and those that need the target alone one at a time. Cases that get a target of their own
    /// run beside all others. The outcomes are in the order of the cases.
    ///
    /// # Cancel safety
    /// Dropping the future aborts the cases that run.
    pub async fn run(&self, cases: Vec<Case>, target: &Arc<Target>, progress: impl FnMut(&Outcome)) -> Vec<Outcome> {
        self.run_recorded(cases, target, None, progress).await
    }

    /// The same, where `tapes` take everything that cases say and hear.
    pub(crate) async fn run_recorded(
        &self,
        cases: Vec<Case>,
        target: &Arc<Target>,
        tapes: Option<&Tapes>,
        mut progress: impl FnMut(&Outcome),
    ) -> Vec<Outcome> {
        let cases: Vec<Arc<Case>> = cases.into_iter().map(Arc::new).collect();
        let order = self.order(&cases);
        let mut outcomes: Vec<Option<Outcome>> = cases.iter().map(|_| None).collect();
        let mut running = JoinSet::new();
        let mut started = HashMap::new();
        let mut left = Ok(());
        for stage in stages(target.can_be_had_alone(), target.has_workshop()) {
            // What comes may end the target. A restart also brings a scheduler back that removing jobs has ended.
            if stage.risks == [Risk::System] {
                left = target.clean_up().await;
            }
            let jobs = if stage.one_at_a_time { 1 } else { self.jobs.get() };
            let in_turn =
                stage.risks.iter().flat_map(|risk| order.iter().filter(|index| cases[**index].risk() == *risk));
            let mut in_turn: Vec<usize> = in_turn.copied().collect();
            in_turn.sort_by_key(|index| std::cmp::Reverse(cases[*index].waits()));
            let mut waiting = in_turn.into_iter();
            loop {
                while running.len() < jobs
                    && let Some(index) = waiting.next()
                {
                    let case = &cases[index];
                    let limit = self.time_limit.unwrap_or(Duration::MAX).min(case.time_limit());
                    let scope = if tapes.is_some() { Scope::recorded } else { Scope::new }(case.id(), self.seed);
                    let work = check(Arc::clone(case), Context::new(Arc::clone(target)), limit, Arc::clone(&scope));
                    let task = running.spawn(Arc::clone(&scope).run(work));
                    started.insert(task.id(), (index, scope, Instant::now()));
                }
                let Some(ended) = running.join_next_with_id().await else { break };
                let (task, verdict) = match ended {
                    Ok((task, verdict)) => (task, verdict),
                    Err(error) => (error.id(), Err(broken(error))),
                };
                let (index, scope, since) = started.remove(&task).expect("every task was entered when it was spawned");
                let level = target.manifest().level(cases[index].id());
                if let Some(tapes) = tapes {
                    tapes.keep(cases[index].id(), scope.recorder().said());
                }
                let outcome = self.outcome(&cases[index], level, verdict, since.elapsed(), &scope);
                progress(&outcome);
                outcomes[index] = Some(outcome);
            }
        }
        // What is left is removed with the sessions of the cases, as long as they are open.
        if target.can_be_had_alone() {
            left = target.clean_up().await;
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

    /// The indices of the cases in the order in which they begin.
    fn order(&self, cases: &[Arc<Case>]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..cases.len()).collect();
        if let Some(seed) = self.seed {
            order.sort_by_key(|index| mixed(seed, cases[*index].id()));
        }
        order.sort_by_key(|index| std::cmp::Reverse(cases[*index].waits()));
        order
    }

    fn outcome(
        &self,
        case: &Case,
        level: Option<Level>,
        verdict: Result<(), Finding>,
        duration: Duration,
        scope: &Scope,
    ) -> Outcome {
        let mut outcome = Outcome::of(case, verdict);
        outcome.state = self.known.judge(case.id(), outcome.state);
        outcome.known = self.known.reason(case.id());
        outcome.level = level;
        outcome.duration = duration;
        if outcome.state != State::Pass || self.transcripts == Transcripts::All {
            let (transcript, redactor) = scope.recorder().develop();
            for text in [&mut outcome.message, &mut outcome.expected, &mut outcome.observed].into_iter().flatten() {
                *text = redactor.text(text).into_owned();
            }
            if self.transcripts.wanted(outcome.state) {
                outcome.transcript = transcript;
            }
        }
        outcome
    }
}

/// Cases that run beside each other.
struct Stage {
    /// Their classes, in the order in which they begin.
    risks: &'static [Risk],
    one_at_a_time: bool,
}

/// The stages of a run. What only looks sees nothing of what others do to the same target. Where cases that need a target
/// alone get one of their own, they take the longest and so begin first, and so do those that make things elsewhere.
fn stages(can_be_had_alone: bool, has_workshop: bool) -> Vec<Stage> {
    if has_workshop {
        const ALL: &[Risk] = &[Risk::System, Risk::Sites, Risk::OwnObjects, Risk::Read];
        return vec![Stage { risks: ALL, one_at_a_time: false }];
    }
    if can_be_had_alone {
        return vec![
            Stage { risks: &[Risk::System, Risk::Sites, Risk::Read], one_at_a_time: false },
            Stage { risks: &[Risk::OwnObjects], one_at_a_time: false },
        ];
    }
    let stage = |risks: &'static [Risk]| Stage { risks, one_at_a_time: risks.iter().any(|risk| risk.is_exclusive()) };
    vec![stage(&[Risk::Read]), stage(&[Risk::OwnObjects]), stage(&[Risk::Sites]), stage(&[Risk::System])]
}

/// How often a case is run whose outcome proves nothing. What spoils it is rare: two such outcomes in a row are seen
/// once in tens of thousands of cases.
const ATTEMPTS: usize = 3;

/// Runs one case, unless the target lacks something it needs; again when what it found proves nothing.
async fn check(case: Arc<Case>, context: Context, limit: Duration, scope: Arc<Scope>) -> Result<(), Finding> {
    for need in case.needed() {
        context.target().require(*need)?;
    }
    let context = if case.risk() == Risk::OwnObjects { context.workshop().await? } else { context };
    let mut attempts = 1;
    loop {
        match tokio::time::timeout(limit, case.run(context.clone())).await {
            Ok(Err(finding)) if finding.state() == State::Indeterminate && attempts < ATTEMPTS => {
                attempts += 1;
                scope.recorder().rewind();
            }
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
        let runner = Runner { jobs: JOBS, known: KnownFailing::parse(known).unwrap(), ..Runner::default() };
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

    #[test]
    fn every_class_of_risk_runs_once_and_on_one_deployment_after_the_other() {
        for (alone, workshop) in [(true, true), (true, false), (false, false)] {
            let mut risks: Vec<Risk> = stages(alone, workshop).iter().flat_map(|stage| stage.risks).copied().collect();
            risks.sort_unstable();
            assert_eq!(risks, Risk::ALL);
        }
        let deployed = stages(false, false);
        assert!(deployed.iter().zip(Risk::ALL).all(|(stage, risk)| stage.risks == [risk]));
        assert!(deployed.iter().all(|stage| stage.one_at_a_time == stage.risks[0].is_exclusive()));
    }

    #[test]
    fn a_seed_is_an_order_and_without_one_the_order_is_that_of_the_suite() {
        let case = |index: usize| Arc::new(Case::new(format!("a.case-{index}"), "a case", |_| async { Ok(()) }));
        let cases: Vec<Arc<Case>> = (0..50).map(case).collect();
        let order = |seed| Runner { seed, ..Runner::default() }.order(&cases);
        assert!(order(None).iter().copied().eq(0..50));
        assert_eq!(order(Some(1)), order(Some(1)));
        assert_ne!(order(Some(1)), order(Some(2)));
        assert_ne!(order(Some(1)), order(None));
        let waits = Arc::new(Case::new("a.waits", "waits", |_| async { Ok(()) }).waiting(Duration::from_secs(1)));
        let cases: Vec<Arc<Case>> = (0..5).map(case).chain([waits]).collect();
        assert_eq!(Runner::default().order(&cases), [5, 0, 1, 2, 3, 4]);
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
