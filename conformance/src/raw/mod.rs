//! A peer that speaks the wire protocol by hand, for cases about the wire itself.
//!
//! It shares the codecs of `flare-wire` (which are tested against recorded bytes) but none of its state machines
//! and nothing of the client library: what it sends, and in which order, is up to the case, legal or not.

mod admin;
mod half_open;
mod identity;
mod impostor;
mod kit_copy;
mod peer;
mod spares;
mod tls;
mod wire;

pub(crate) use admin::{Admin, challenge, read_reply, register, register_request, value};
pub(crate) use half_open::HalfOpen;
pub(crate) use identity::{Authority, Identity, NewSubject};
pub(crate) use impostor::{DeafPort, Impostor};
pub(crate) use kit_copy::KitCopy;
pub(crate) use peer::{FINAL, Peer, Stream, is_topic};
pub(crate) use spares::Spares;
pub(crate) use tls::{TlsRefusal, probe};
pub(crate) use wire::{Received, Wire};

use std::time::Duration;

use flare_wire::Randomness;
use rand::TryRng as _;
use rand::rngs::SysRng;
use tokio::sync::Semaphore;

use crate::{CaseResult, Finding, scope};

/// How long a case waits for something that must come. A real server answers in milliseconds; the time is for
/// loaded machines.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Held while a connection is opened. A real tcp server queues five connections and does one TLS handshake at a time
/// (`tcp_driver.py`): what comes on top of that is reset, which says nothing about the case it happens to.
pub(crate) static DOOR: Semaphore = Semaphore::const_new(3);

/// A generator seeded by the operating system: endpoint names must never repeat on a shared server. In a run with a seed,
/// the seed says what they are.
pub(crate) fn randomness() -> CaseResult<Randomness> {
    if let Some(random) = scope::randomness() {
        return Ok(random);
    }
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed).map_err(|error| Finding::harness(format!("no randomness: {error}")))?;
    Ok(Randomness::from_seed(seed))
}

/// Waits until `condition` holds, which something else is about to bring about.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) -> CaseResult {
    const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
    let waited = tokio::time::timeout(PATIENCE, async {
        while !condition() {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    });
    waited.await.map_err(|_| Finding::fail(format!("waited {} s in vain until {what}", PATIENCE.as_secs())))
}
