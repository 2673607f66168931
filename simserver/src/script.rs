//! Answers that are given from elsewhere: a server that repeats what another one was recorded to say.

use std::fmt;
use std::sync::Arc;

use flare_wire::hci::{JsonObject, Reply};

/// A command in a session, whose answer may come from a script.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Scripted<'a> {
    /// Who sends it.
    pub user: &'a str,
    /// The study of the session.
    pub study: &'a str,
    /// The line as it was sent.
    pub line: &'a str,
    /// Settings of the request.
    pub meta: &'a JsonObject,
    /// A file came with it.
    pub has_upload: bool,
}

/// Gives the answers of a server; see [`SimServerBuilder::script`](crate::SimServerBuilder::script).
#[derive(Clone)]
pub struct Script(Arc<dyn Fn(Scripted<'_>) -> Option<Reply> + Send + Sync>);

impl Script {
    pub(crate) fn new(answer: impl Fn(Scripted<'_>) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self(Arc::new(answer))
    }

    pub(crate) fn answer(&self, command: Scripted<'_>) -> Option<Reply> {
        (self.0)(command)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script(..)")
    }
}
