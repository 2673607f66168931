//! A simulated NVIDIA FLARE server.

pub mod kits;
pub mod pki;
pub mod project;
