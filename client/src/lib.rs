//! Async, typed client of the NVIDIA FLARE admin API.

mod command;
mod error;
mod model;
mod startup_kit;
mod verdict;

pub use error::{Error, ErrorKind, Phase, Result};
pub use flare_wire::hci::{Item, JsonObject, MetaStatus, Reply};
pub use model::*;
pub use startup_kit::{ConnectionSecurity, KitDefect, KitError, Scheme, StartupKit};
