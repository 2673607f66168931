//! The simulated server as one machine: data in, result out.
//!
//! A [`Sim`] knows who may talk to it, who is logged in, which sites there are and what they answer, which jobs and
//! studies are stored. It reads no clock, touches no socket and no disk, and uses one thread: whoever calls it says
//! when it is, and with the same seed and the same calls it does the same. Whatever it has to say later, it says
//! when asked: [`Sim::next_deadline`] tells when, [`Sim::advance`] what.
//!
//! Commands are not its affair: [`commands`](crate::commands) turn a line into calls of what is here, and the results
//! into a reply.
//!
//! | module | |
//! |---|---|
//! | `config` | [`SimConfig`]: what a server is made of |
//! | `registration`, `sessions` | challenge, registration, message tokens; admin sessions |
//! | `authorization`, `studies`, `sites` | the policy, the study registry, simulated sites |
//! | `federation` | what the [`jobs`](crate::jobs) see of these |
//! | `downloads` | files that are offered, and for how long |
//! | `files`, `workspace`, `logs`, [`shell`] | the workspaces, what is logged there, and the shell commands on them |
//! | [`argparse`] | how commands and sites read their arguments |
//! | `clock`, `passes`, `timers`, `remembered` | local time, housekeeping, what is waited for, what was verified |

pub mod argparse;
mod authorization;
mod clock;
mod config;
mod downloads;
mod federation;
mod files;
mod logs;
mod passes;
mod registration;
mod remembered;
mod sessions;
pub mod shell;
mod sim;
mod sites;
pub mod studies;
mod timers;
mod workspace;

pub use crate::release::{NoSuchRelease, Release};
pub use authorization::{Person, Policy, PolicyError};
pub use clock::LocalTime;
pub use config::{HostMemory, Scopes, ServerConfig, SimConfig, SiteBehaviour, SiteConfig};
pub use downloads::{Download, Offer};
pub use files::{Node, NodeKind, PathError, VirtualFiles};
pub(crate) use logs::LOGS;
pub(crate) use registration::Proof;
pub use registration::RegistrationRefusal;
pub use sessions::Session;
pub(crate) use sim::{ChangedRegistries, DISABLED_CLIENTS, STUDY_REGISTRY};
pub use sim::{Effect, Sim, Ticket};
pub use sites::{Asker, Site, SiteAnswer, SiteIndex, SiteReply, SiteRequest, Sites};
pub use studies::{Study, StudyRegistry, StudyRegistryError};
pub(crate) use studies::{is_study_name, is_word};
pub use timers::{Timer, TimerName};
pub use workspace::Workspace;
