//! Role `client`: any client is the one under test, our simulator the referee.
//!
//! ```text
//! referee ──requests──▶ client process ──▶ simulator      what the client says:  answers
//!         ◀──answers───                ◀──                what it does:          the wire
//!         ◀──────────────── observer ─────
//! ```
//!
//! A client is a process that speaks JSON lines (`docs/client-protocol.md`). Every case has a simulator and a process of
//! its own, looks at both what the client says and what it has sent, and ends whatever the client does.
//!
//! | module | what it holds |
//! |---|---|
//! | `protocol`, `process` | the lines, and the process that says them |
//! | `wire` | what was seen of the connections |
//! | `bout` | simulator, client and record of one case |
//! | `cases` | what is asked of a client |
//! | `adapter` | our own client as the one under test |
//! | `command` | the subcommand |
//! | `score` | a table of methods and clients, from reports |

mod adapter;
mod bout;
mod cases;
mod command;
mod kit_copy;
mod process;
mod protocol;
mod score;
mod wire;

pub(crate) use adapter::serve as serve_own_client;
pub(crate) use cases::catalogue;
pub(crate) use command::{ClientArguments, run};
pub(crate) use score::{ScoreArguments, write as write_score};
