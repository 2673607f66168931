//! The exit codes of the binary, which are part of its interface.

use std::process::ExitCode;

use crate::{Outcome, State};

/// How a run of the binary ended.
///
/// | code | meaning |
/// |---|---|
/// | 0 | at least one case passed, and none ended in a way that is not acceptable |
/// | 1 | a case failed, was indeterminate, or passed although it is listed as failing |
/// | 2 | the command line is wrong |
/// | 3 | the suite itself failed in a case; nothing is said about the subject |
/// | 4 | the target cannot be used: no kits, nobody listens, login refused; or a real federation did not come up or go down |
/// | 5 | nothing was tested: no case was selected, or each one lacked something that the target does not have |
/// | 6 | a report file or a known-failing list cannot be written or read |
/// | 130 | interrupted; what was started has been taken down |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Green,
    /// The subject failed.
    Failed,
    /// Wrong usage.
    Usage,
    /// The suite failed.
    Harness,
    /// The target cannot be used.
    Target,
    /// Nothing was tested.
    Nothing,
    /// A file cannot be written or read.
    File,
    /// Interrupted by the user.
    Interrupted,
}

impl Exit {
    /// The number that the process ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Green => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Harness => 3,
            Self::Target => 4,
            Self::Nothing => 5,
            Self::File => 6,
            Self::Interrupted => 130,
        }
    }

    /// The exit for these outcomes. A failure of the subject outweighs a failure of the suite.
    #[must_use]
    pub fn of(outcomes: &[Outcome]) -> Self {
        let any = |wanted: fn(State) -> bool| outcomes.iter().any(|outcome| wanted(outcome.state));
        if any(|state| matches!(state, State::Fail | State::PassUnexpected | State::Indeterminate)) {
            Self::Failed
        } else if any(|state| state == State::HarnessError) {
            Self::Harness
        } else if any(|state| state == State::Pass) {
            Self::Green
        } else {
            Self::Nothing
        }
    }
}

impl Exit {
    /// The exit for several runs: of what is not green the worst, and green only when every one is.
    #[must_use]
    pub fn of_all<'a>(runs: impl IntoIterator<Item = &'a [Outcome]>) -> Self {
        const WORST_FIRST: [Exit; 4] = [Exit::Failed, Exit::Harness, Exit::Nothing, Exit::Green];
        let exits: Vec<Self> = runs.into_iter().map(Self::of).collect();
        WORST_FIRST.into_iter().find(|exit| exits.contains(exit)).unwrap_or(Self::Nothing)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit_of(states: &[State]) -> Exit {
        let outcomes: Vec<Outcome> = states.iter().map(|state| Outcome::for_test("a.case", *state)).collect();
        Exit::of(&outcomes)
    }

    #[test]
    fn only_a_run_with_a_pass_and_nothing_bad_is_green() {
        assert_eq!(exit_of(&[State::Pass, State::Untestable, State::FailExpected]), Exit::Green);
        assert_eq!(exit_of(&[State::Untestable]), Exit::Nothing);
        assert_eq!(exit_of(&[]), Exit::Nothing);
        assert_eq!(exit_of(&[State::Pass, State::Fail]), Exit::Failed);
        assert_eq!(exit_of(&[State::Pass, State::PassUnexpected]), Exit::Failed);
        assert_eq!(exit_of(&[State::Pass, State::Indeterminate]), Exit::Failed);
        assert_eq!(exit_of(&[State::Pass, State::HarnessError]), Exit::Harness);
        assert_eq!(exit_of(&[State::Fail, State::HarnessError]), Exit::Failed);
    }
}
