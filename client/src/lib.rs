//! Async, typed client of the NVIDIA FLARE admin API.
//!
//! It reads an admin startup kit, connects to the FLARE server that the kit leads to, proves who the user is, checks
//! who the server is, and runs admin commands. No Python, no console, no fixed waits: opening a session costs what the
//! two sides have to compute.
//!
//! ```
//! use flare_client::{ErrorKind, Session, StartupKit, Target};
//! # use flare_simserver::{SimServer, project::Role};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = SimServer::start().await?;
//! # let folder = server.admin_kit(Role::ProjectAdmin)?;
//!
//! let kit = StartupKit::open(folder)?;
//! let session = Session::builder(kit).connect().await?;
//! for site in session.get_connected_client_list().await? {
//!     println!("{} was last heard of at {:?}", site.name, site.last_connect_time);
//! }
//!
//! let nobody = Target::site("nosite")?;
//! let error = session.get_working_directory(&nobody).await.unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::InvalidTarget);
//! println!("{error}; {}", error.hint().unwrap_or_default());
//!
//! session.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What to start from
//!
//! | | |
//! |---|---|
//! | [`StartupKit`] | which server, as whom, and the proof |
//! | [`Session::builder`] | study and timeouts, then [`connect`](SessionBuilder::connect) |
//! | [`Session`] | one method per command, named as upstream's; [`Session::do_command`] for the rest |
//! | [`Error`] | [`kind`](Error::kind) for programs, [`hint`](Error::hint) for people, `source()` for the causes |
//! | [`fladmin`] | the older API, `FLAdminAPI`, on the same session: statuses instead of errors |
//!
//! Upstream calls a federated machine a client; here it is a *site*, because "client" is this library.
//!
//! # What is sent again
//!
//! A lost connection and an ended session are repaired within
//! [`reconnect_timeout`](SessionBuilder::reconnect_timeout). A command that cannot have run yet is always sent again;
//! what happens to one whose reply was lost depends on what twice would do:
//!
//! | | when the reply was lost |
//! |---|---|
//! | whatever only reads; [`abort_job`](Session::abort_job), [`reset_errors`](Session::reset_errors), [`configure_job_log`](Session::configure_job_log), [`configure_site_log`](Session::configure_site_log), [`disable_client`](Session::disable_client), [`enable_client`](Session::enable_client), [`register_study`](Session::register_study), [`add_study_site`](Session::add_study_site), [`remove_study_site`](Session::remove_study_site) | sent again |
//! | [`submit_job`](Session::submit_job) with a token | sent again, whole; the server knows the job by its token |
//! | [`download_job_result`](Session::download_job_result), [`download_job_components`](Session::download_job_components) | the piece is asked for again; all of it when the server has forgotten its offer |
//! | `submit_job` without a token; [`clone_job`](Session::clone_job), [`delete_job`](Session::delete_job), [`do_app_command`](Session::do_app_command), [`remove_client`](Session::remove_client), [`restart`](Session::restart), [`shutdown`](Session::shutdown), [`shutdown_system`](Session::shutdown_system), [`remove_study`](Session::remove_study), [`add_study_user`](Session::add_study_user), [`remove_study_user`](Session::remove_study_user), [`do_command`](Session::do_command) | an error with [`may_have_run`](Error::may_have_run) |
//!
//! # Cancel safety
//!
//! Dropping the future of a command forgets the command on this side; the server may carry it out all the same.
//! Dropping the future of [`SessionBuilder::connect`] closes the connection. The connection lives in a task of its own,
//! which ends with the last clone of its session; only [`Session::close`] also logs out. A download that is dropped leaves
//! nothing behind; a submission that is dropped before its last piece was sent submits nothing.
//!
//! # How it is built
//!
//! ```text
//! blocking    the same APIs for programs without a runtime (feature `blocking`)
//! fladmin     the older API: statuses and details instead of errors and types
//! session     typed methods: one command each
//!   command   the line that is sent, and how its reply is read (pure)
//!   model     what goes into commands and what replies become
//!   verdict   what an answer, or its absence, means
//! connection  one task owns the link; callers get their replies through it
//!   flare_wire  endpoint, streams, frames, links
//! ```
//!
//! A call goes down through these layers once, and its reply climbs back once.

#[cfg(feature = "blocking")]
pub mod blocking;
mod builder;
mod clock;
mod command;
mod connection;
mod endpoints;
mod error;
pub mod fladmin;
mod job_folder;
mod model;
mod observer;
mod session;
mod signer;
mod startup_kit;
mod unpack;
mod verdict;

pub use builder::SessionBuilder;
pub use endpoints::{EndpointProvider, EndpointSwitch, OverseerAgent, ServerEndpoint};
pub use error::{Error, ErrorKind, Phase, Result};
pub use flare_wire::cell::{Headers, Payload};
pub use flare_wire::hci::{Item, JsonObject, MetaStatus, Reply};
pub use model::*;
pub use observer::Observed;
pub use session::{
    Download, JobLogsQuery, JobUpdate, JobWatch, MonitorOptions, MonitorReturnCode, Progress, Session, SubmitJob,
    SystemRestart, SystemShutdown,
};
pub use startup_kit::{ConnectionSecurity, KitDefect, KitError, Scheme, StartupKit};
