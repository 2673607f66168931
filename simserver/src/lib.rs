//! A simulated NVIDIA FLARE server.

pub mod project;
