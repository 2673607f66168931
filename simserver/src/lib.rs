//! A simulated NVIDIA FLARE server.

mod ambient;
pub mod commands;
pub mod core;
mod driver;
pub mod jobs;
pub mod kits;
mod listen;
mod members;
mod peer;
pub mod pki;
pub mod project;
mod server;

pub use server::{SimServer, SimServerBuilder, StartError};
