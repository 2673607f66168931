//! Every case passes with our client on the in-process simulator, on every transport.

use std::num::NonZeroUsize;
use std::sync::Arc;

use flare_conformance::{Exit, KnownFailing, Runner, State, Target, suites};

/// Enough for the processors of a small machine: the cases wait most of the time.
const JOBS: NonZeroUsize = NonZeroUsize::new(8).unwrap();
/// Fewer passes than this would mean that cases were skipped.
const MANY: usize = 200;

async fn all_pass(scheme: &str) {
    let target = Arc::new(Target::simulated(scheme).await.expect("the simulator starts"));
    let runner = Runner {
        jobs: JOBS,
        known: KnownFailing::simulated().expect("the built-in list can be read"),
        ..Runner::default()
    };
    let outcomes = runner.run(suites::all(), &target, |_| ()).await;
    let bad: Vec<_> = outcomes.iter().filter(|outcome| !outcome.state.is_acceptable()).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!(Exit::of(&outcomes), Exit::Green);
    let passed = outcomes.iter().filter(|outcome| outcome.state == State::Pass).count();
    assert!(passed >= MANY, "only {passed} cases passed");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_passes_over_http() {
    all_pass("http").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_passes_over_tcp() {
    all_pass("tcp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_passes_over_grpc() {
    all_pass("grpc").await;
}
