//! Bytes recorded from real systems, read and written back.
//!
//! Both of our ends use this crate, so a mistake in it is symmetrical and no round trip between them can show
//! it. What real systems sent can: every recorded frame is decoded, compared with what an independent decoder
//! made of it, and encoded again to the same bytes.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a test fails; the lint knows only test functions, not their helpers"
)]

mod exchanges;
mod frames;
mod hci;
mod login;
mod payloads;
mod replay;
mod signatures;
mod view;
