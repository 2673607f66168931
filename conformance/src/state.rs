//! What became of a case.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a case after a run. The states are never added up with each other: only [`State::Pass`] is a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The requirement holds.
    Pass,
    /// The requirement does not hold.
    Fail,
    /// It does not hold, and the known-failing list says so.
    FailExpected,
    /// It holds although the known-failing list says otherwise: the list is wrong, and the run fails.
    PassUnexpected,
    /// The subject says that it does not have the feature.
    Unsupported,
    /// The target lacks something that the case needs.
    Untestable,
    /// What was seen proves nothing.
    Indeterminate,
    /// The suite itself failed.
    HarnessError,
}

impl State {
    /// Every state, in the order in which reports list them.
    pub const ALL: [Self; 8] = [
        Self::Pass,
        Self::Fail,
        Self::FailExpected,
        Self::PassUnexpected,
        Self::Unsupported,
        Self::Untestable,
        Self::Indeterminate,
        Self::HarnessError,
    ];

    /// The word used in every report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::FailExpected => "fail-expected",
            Self::PassUnexpected => "pass-unexpected",
            Self::Unsupported => "unsupported",
            Self::Untestable => "untestable",
            Self::Indeterminate => "indeterminate",
            Self::HarnessError => "harness-error",
        }
    }

    /// True when a run with such a case may still be called green.
    #[must_use]
    pub const fn is_acceptable(self) -> bool {
        matches!(self, Self::Pass | Self::FailExpected | Self::Unsupported | Self::Untestable)
    }

    /// True when the case said whether the requirement holds.
    #[must_use]
    pub const fn is_verdict(self) -> bool {
        matches!(self, Self::Pass | Self::Fail | Self::FailExpected | Self::PassUnexpected)
    }

    /// True when the subject does something else than the requirement, or the known-failing list, says.
    #[must_use]
    pub const fn is_divergence(self) -> bool {
        matches!(self, Self::Fail | Self::FailExpected | Self::PassUnexpected)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_text_use_the_same_words() {
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
