//! Releases of the official software, as far as the suite tells them apart.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A minor release: `2.9`. What a patch release changes is too little for a set of cases of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Release {
    major: u16,
    minor: u16,
}

impl Release {
    /// What the suite was written for.
    pub const V2_9: Self = Self::new(2, 9);

    /// The release `major.minor`.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

impl FromStr for Release {
    type Err = ReleaseError;

    /// Reads `2.9`, and of `2.9.0` or `2.9.0+17.gabc` as much.
    fn from_str(text: &str) -> Result<Self, ReleaseError> {
        let mut parts = text.split('.');
        let mut number = || parts.next().and_then(|part| part.parse().ok()).ok_or(ReleaseError);
        Ok(Self { major: number()?, minor: number()? })
    }
}

impl TryFrom<String> for Release {
    type Error = ReleaseError;

    fn try_from(text: String) -> Result<Self, ReleaseError> {
        text.parse()
    }
}

impl From<Release> for String {
    fn from(release: Release) -> Self {
        release.to_string()
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}", self.major, self.minor))
    }
}

/// A text that names no release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseError;

impl fmt::Display for ReleaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a release such as 2.9")
    }
}

impl std::error::Error for ReleaseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patch_and_build_do_not_matter() {
        for text in ["2.9", "2.9.0", "2.9.0+17.gabc"] {
            assert_eq!(text.parse(), Ok(Release::new(2, 9)), "{text}");
        }
        for text in ["", "2", "two.nine", "2."] {
            assert_eq!(text.parse::<Release>(), Err(ReleaseError), "{text}");
        }
    }

    #[test]
    fn later_releases_are_greater() {
        assert!(Release::new(2, 10) > Release::new(2, 9));
    }
}
