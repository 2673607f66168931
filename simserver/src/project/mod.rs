//! The federation to simulate: who takes part, in which organisation, with which role.
//!
//! [`Project::read`] takes nvflare's own `project.yml`; [`Project::new`] and its `with_…` methods build the same
//! thing in code; [`Project::default_demo`] is a small federation for a quick start. A [`Project`] that exists
//! is valid: names follow the patterns of provisioning and are unique, and there is exactly one server
//! (`reference/startup-kits.md` section 1).
//!
//! - `model` — [`Project`] itself
//! - `participant` — [`Server`], [`Site`], [`Admin`] and the [`Role`] of an admin
//! - `transport` — [`Scheme`] and [`ConnectionSecurity`]
//! - `read` — `project.yml` into a [`Project`]; `studies` — its section of that name
//! - `names` — the patterns for names

mod error;
mod model;
mod names;
mod participant;
mod read;
mod studies;
mod transport;

pub use error::{ProjectError, ProjectErrorKind};
pub use model::{DEMO_PROJECT, Project};
pub use participant::{Admin, Role, Server, Site};
pub use studies::Study;
pub use transport::{ConnectionSecurity, NoSuchWay, Scheme};
