//! What holds for every input: decode of encode is the identity, any split of the bytes gives the same frames,
//! no input panics, every limit is refused one past and accepted at, and two ends talk over any network.
//!
//! A failing case is kept in `proptest-regressions` beside this folder and tried first from then on.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a test fails; the lint knows only test functions, not their helpers"
)]

mod auth;
mod cell;
mod certificate;
mod endpoint;
mod fobs;
mod frame;
mod hci;
#[cfg(feature = "link")]
mod link;
mod msgpack;
mod mutation;
mod network;
mod strategies;
mod stream;
