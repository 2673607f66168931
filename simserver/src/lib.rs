//! A simulated NVIDIA FLARE server.

pub mod pki;
pub mod project;
