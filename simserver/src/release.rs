//! Which nvflare release is simulated.
//!
//! What differs between releases is decided where it shows, by comparing releases, and was seen on real servers of each:
//! `flare-conformance diff` and `compare.py` hold the simulator beside 2.7.3 and 2.8.3 too.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The nvflare release that a server behaves like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Release {
    /// 2.7.3: no studies, no submit tokens, signed startup kits.
    V2_7,
    /// 2.8.3
    V2_8,
    /// 2.9.0
    #[default]
    V2_9,
}

impl Release {
    /// The version as `report_version` tells it.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::V2_7 => "2.7.3",
            Self::V2_8 => "2.8.3",
            Self::V2_9 => "2.9.0",
        }
    }

    /// The file that errors are logged in.
    pub(crate) const fn error_log(self) -> &'static str {
        match self {
            Self::V2_7 => "log_error.txt",
            Self::V2_8 | Self::V2_9 => "error_log.txt",
        }
    }
}

impl FromStr for Release {
    type Err = NoSuchRelease;

    /// Reads `2.9`, and any patch release such as `2.9.0`.
    fn from_str(text: &str) -> Result<Self, NoSuchRelease> {
        let mut numbers = text.split('.');
        match (numbers.next(), numbers.next()) {
            (Some("2"), Some("7")) => Ok(Self::V2_7),
            (Some("2"), Some("8")) => Ok(Self::V2_8),
            (Some("2"), Some("9")) => Ok(Self::V2_9),
            _ => Err(NoSuchRelease),
        }
    }
}

/// A text that names no release that can be simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchRelease;

impl fmt::Display for NoSuchRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("possible is 2.7, 2.8, 2.9")
    }
}

impl Error for NoSuchRelease {}
