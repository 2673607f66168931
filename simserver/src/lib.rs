//! A simulated NVIDIA FLARE server.

mod ambient;
pub mod commands;
pub mod core;
pub mod jobs;
pub mod kits;
pub mod pki;
pub mod project;
