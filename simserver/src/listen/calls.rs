//! The links of a gRPC connection.

use std::sync::Arc;
use std::time::Duration;

use flare_wire::link::GrpcConnection;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::PeerIdentity;
use crate::driver::Driver;
use crate::peer;

/// How long a peer may take to agree to the end of its connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves every call until either side ends the connection. Each has `patience` to say HELLO, and a connection without
/// calls does not last longer either.
///
/// # Cancel safety
/// Dropping the future closes the connection at once.
pub(super) async fn serve(
    mut connection: GrpcConnection,
    identity: PeerIdentity,
    driver: Arc<Driver>,
    patience: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let mut calls = JoinSet::new();
    let stopping = stop.clone();
    loop {
        tokio::select! {
            link = connection.next_link() => {
                let Some(link) = link else { break };
                let deadline = Instant::now() + patience;
                calls.spawn(peer::serve(link, identity.clone(), Arc::clone(&driver), deadline, stopping.clone()));
            }
            Some(ended) = calls.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a call has ended in a panic");
                }
            }
            () = sleep(patience), if calls.is_empty() => break,
            // An error means that the server's handle is gone.
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    while calls.join_next().await.is_some() {}
    // The peer may be gone or not answer; either way this is the end.
    let _ = timeout(CLOSE_TIMEOUT, connection.close()).await;
}
