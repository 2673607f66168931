//! The NVIDIA FLARE admin wire protocol, shared by both ends.

pub mod auth;
pub mod cell;
pub mod certificate;
pub mod fobs;
pub mod frame;
pub mod hci;
pub mod msgpack;
mod random;
mod sign;
mod time;

pub use random::{Randomness, is_uuid4};
pub use sign::{PrivateKey, PublicKey, SignatureError};
pub use time::Moment;
