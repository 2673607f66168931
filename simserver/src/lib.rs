//! A simulated NVIDIA FLARE server, which the official admin client cannot tell from a real one.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use flare_simserver::SimServer;
//! use flare_simserver::project::Role;
//!
//! let server = SimServer::start().await?;
//! let kit = server.admin_kit(Role::ProjectAdmin)?;
//! // Any FLARE client can log in with this kit, until:
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//! listen ─▶ peer ─▶ driver ─▶ commands ─▶ core        kits, pki, project
//! sockets   tasks   the lock  lines and   the state,  who takes part, and
//!           of one  and the   replies     pure        what each is given
//!           link    clock
//! ```
//!
//! | module | |
//! |---|---|
//! | [`SimServer`] | starts a server and takes it down again |
//! | [`commands`] | a request in, a reply out: every admin command, or the word that it is not simulated |
//! | [`core`](mod@core) | the whole state as one machine that is told the time: sessions, rights, sites, files, studies |
//! | [`jobs`] | the life of a job |
//! | `state` | what outlives the process, in a state directory |
//! | [`scenario`] | what is out of the ordinary on a server, as a file |
//! | `script` | answers from elsewhere |
//! | [`faults`] | frames that get lost and connections that break |
//! | [`observer`] | everything that passes over the connections, told to a listener |
//! | [`project`], [`pki`], [`kits`] | nvflare's `project.yml`, keys and certificates, startup kits |
//!
//! Everything but the driver and the listeners is pure: the same calls with the same seed have the same results.

mod ambient;
pub mod blob;
mod clock;
pub mod commands;
pub mod core;
mod driver;
pub mod faults;
pub mod jobs;
pub mod kits;
mod listen;
mod members;
pub mod mutants;
pub mod observer;
mod peer;
pub mod pki;
pub mod project;
mod release;
pub mod scenario;
mod script;
mod server;
mod state;
mod transfer;

pub use clock::{BadClockMode, ClockMode};
pub use mutants::Mutant;
pub use script::{Script, Scripted};
pub use server::{Restart, SimPair, SimServer, SimServerBuilder, StartError};
pub use state::StateError;
