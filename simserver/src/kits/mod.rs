//! Startup kits as real provisioning writes them.
//!
//! ```text
//! <workspace>/<project>/
//!   state/cert.json                keys and certificates, used again by the next run
//!   prod_00/<participant>/         a kit: startup/ local/ transfer/
//! ```
//!
//! File names, modes and JSON content follow `nvflare provision` (`reference/startup-kits.md` sections 2 and 3);
//! scripts and texts are our own and do less. As in real provisioning since 2.8 there is no
//! `signature.json`, so a kit can be edited without becoming invalid; clients of 2.7 want one, and get it from a project
//! that [signs its kits](crate::project::Project::with_signed_kits).
//!
//! - `kit` — the files of one participant, as data
//! - `contents` — what is in them
//! - `credentials` — [`Credentials`]: who has which certificate; `state/cert.json`
//! - `workspace` — [`Workspace`]: where kits are written

mod contents;
mod credentials;
mod error;
mod kit;
mod workspace;

use kit::Kit;
pub(crate) use kit::{DIRECTORIES, DIRECTORY_MODE, KitFile, SIGNATURES, SIGNED};

pub use contents::{DEFAULT_AUTHORIZATION, Participant};
pub use credentials::{Credentials, SiteKeys};
pub use error::KitError;
pub use workspace::{Reservation, Workspace, provision};
