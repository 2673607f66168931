//! Recordings of real servers, and what they are good for without one.
//!
//! ```text
//! record:  cases ──▶ real server           what they say to each other, by case ──▶ 2.9.0.jsonl
//! replay:  cases ──▶ recorded server       does our client still say the same, and understand the answers?
//!          recorded client ──▶ simulator   does the simulator still answer as the real server did?
//! ```
//!
//! A transcript is kept at the level of commands: the line, and the reply. What lies below (handshakes, signatures, chunks)
//! cannot be said again, since it is about keys and nonces; a case that is about it cannot be replayed, and says so. Jobs
//! that are submitted are recorded without their signatures and signed anew. Of downloads only the recorded client can be
//! played: what was fetched is not recorded. Ids and moments are references: equal ones stay equal, and a legend says
//! what was recorded.
//!
//! | module | |
//! |---|---|
//! | `model` | a recording, and its file |
//! | `legend` | values that become references |
//! | `extract` | commands and replies out of what was seen on the wire |
//! | `record`, `replay` | the two subcommands |
//! | `server` | a server that answers as the recorded one did |
//! | `client` | a client that says what the recorded one did |

mod client;
mod extract;
mod legend;
mod model;
mod record;
mod replay;
mod server;

pub(crate) use record::{RecordArguments, Tapes, run as record};
pub(crate) use replay::{ReplayArguments, run as replay};
