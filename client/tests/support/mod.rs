//! What the tests of this folder share.
#![allow(dead_code, unreachable_pub, reason = "every test program uses another part of it")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

pub mod federation;
pub mod patience;
pub mod scripted;
