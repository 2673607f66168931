//! Async, typed client of the NVIDIA FLARE admin API.

mod builder;
mod clock;
mod command;
mod connection;
mod error;
mod model;
mod session;
mod startup_kit;
mod verdict;

pub use builder::SessionBuilder;
pub use error::{Error, ErrorKind, Phase, Result};
pub use flare_wire::hci::{Item, JsonObject, MetaStatus, Reply};
pub use model::*;
pub use session::Session;
pub use startup_kit::{ConnectionSecurity, KitDefect, KitError, Scheme, StartupKit};
