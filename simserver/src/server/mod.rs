//! A running simulated server: how it is set up, and what a test can do with it.
//!
//! - `builder` — [`SimServerBuilder`]
//! - `running` — [`SimServer`]
//! - `pair` — [`SimPair`]
//! - `simulation` — from a project to the simulation of it
//! - `kit_store` — startup kits of a running server, written when they are asked for

mod builder;
mod error;
mod kit_store;
mod pair;
mod running;
mod simulation;

pub use builder::SimServerBuilder;
pub use error::StartError;
pub use pair::SimPair;
pub use running::{Restart, SimServer};
