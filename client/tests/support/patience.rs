//! How long peers are waited for.

use std::time::Duration;

use flare_client::{Error, ErrorKind, Phase, Session, StartupKit};

/// More than any answer takes, however busy the machine is.
pub const AMPLE: Duration = Duration::from_secs(60);

/// How long a peer is waited for that does not answer. The first is enough for the steps before its silence on a quiet
/// machine, the last on any.
const PATIENCES: [Duration; 3] = [Duration::from_millis(300), Duration::from_secs(3), AMPLE];

/// The error of a session that cannot be opened because the peer is silent in this step.
pub async fn timed_out(kit: &StartupKit, step: Phase) -> Error {
    let mut last = None;
    for patience in PATIENCES {
        let error =
            Session::builder(kit.clone()).connect_timeout(patience).connect().await.expect_err("nobody answers");
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error:?}");
        if error.phase() == Some(step) {
            return error;
        }
        last = Some(error);
    }
    panic!("silent in another step than {step:?}: {last:?}");
}
