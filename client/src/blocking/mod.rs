//! The same APIs for programs without an asynchronous runtime.
//!
//! Every handle has a runtime of its own with one thread, on which the connection lives; the calls run on the thread that
//! makes them, and are the asynchronous ones with a wait around them. What is prepared before it is done, such as
//! [`Session::submit_job`], is a [`Prepared`].
//!
//! ```
//! use flare_client::StartupKit;
//! use flare_client::blocking::Session;
//! # use flare_simserver::{SimServer, project::Role};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let runtime = tokio::runtime::Runtime::new()?;
//! # let server = runtime.block_on(SimServer::start())?;
//! # let folder = server.admin_kit(Role::ProjectAdmin)?;
//!
//! let kit = StartupKit::open(folder)?;
//! let session = Session::builder(kit).connect_blocking()?;
//! for site in session.get_connected_client_list()? {
//!     println!("{}", site.name);
//! }
//! session.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! Inside an asynchronous runtime, where waiting would stop other tasks, every call is refused with
//! [`Unsupported`](crate::ErrorKind::Unsupported); also in threads that belong to one, as those of `spawn_blocking` do. A
//! thread of `std` is not one of them.

mod fladmin;
mod prepared;
mod runtime;
mod session;

pub use fladmin::{FlAdminApi, FlAdminApiRunner};
pub use prepared::{JobWatch, Prepared};
pub use session::Session;
