//! What a case does to the system it runs on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How far a case goes. On a deployment it may only read unless more is allowed by name; no class includes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// It only looks.
    Read,
    /// It makes jobs and studies, whose names begin with [`OWN_PREFIX`](crate::OWN_PREFIX), and removes them again.
    OwnObjects,
    /// It sends sites away for a while, or lets them restart. Nobody else should use them meanwhile.
    Sites,
    /// It restarts the server, or ends the whole system.
    System,
}

impl Risk {
    /// Every class, in the order in which their cases run: what only looks sees nothing of what the others do.
    pub const ALL: [Self; 4] = [Self::Read, Self::OwnObjects, Self::Sites, Self::System];

    /// The word by which the command line names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::OwnObjects => "own-objects",
            Self::Sites => "sites",
            Self::System => "system",
        }
    }

    /// True when nothing else may happen to the target while such a case runs.
    #[must_use]
    pub const fn is_exclusive(self) -> bool {
        matches!(self, Self::Sites | Self::System)
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
