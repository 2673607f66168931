//! The human-computer interface (HCI): admin command lines and their JSON replies.
//!
//! A request holds one command line, a reply holds a list of items and one flat `meta` object:
//!
//! ```text
//! {"time": text, "data": [{"type": "command", "data": LINE}, {"type": "token", "data": TOKEN}], "meta": {...}}
//! {"time": text, "data": [ITEM, ...], "meta": {"status": STATUS, "info": TEXT, ...}}
//! ```
//!
//! Source: `reference/wire-protocol.md` section 7, `reference/server-behaviour.md` section 1.

mod json;
mod line;
mod reply;
mod request;

pub use json::{python_json, python_json_indented, python_repr};
pub use line::{CommandLine, join_args, posix_words, split_line};
pub use reply::{Item, MetaStatus, Reply, Table};
pub use request::{HciError, Request};

/// A JSON object whose keys keep their order, as replies do.
pub type JsonObject = serde_json::Map<String, serde_json::Value>;
