//! Known-failing lists: cases that are expected to fail on a target, each with its reason.
//!
//! A listed case is still run and must fail: one that passes makes the run fail, so that the list never rots.
//!
//! ```text
//! # comment
//! session.expiry.pushed  the gateway before this deployment swallows pushed messages (INFRA-12)
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use crate::State;

/// The cases that are known to fail on one target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownFailing(BTreeMap<String, String>);

/// The list that belongs to the in-process simulator.
const SIMULATED: &str = include_str!("../known-failing/simulated.txt");
/// The list that belongs to real servers of release 2.9.0.
const RELEASE_2_9_0: &str = include_str!("../known-failing/2.9.0.txt");

impl KnownFailing {
    /// The list that is built in for the in-process simulator.
    ///
    /// # Errors
    /// A [`KnownFailingError`] when the list is malformed.
    pub fn simulated() -> Result<Self, KnownFailingError> {
        Self::parse(SIMULATED)
    }

    /// The list that is built in for real servers of `version`; empty for a release that has none.
    ///
    /// # Errors
    /// A [`KnownFailingError`] when the list is malformed.
    pub fn release(version: &str) -> Result<Self, KnownFailingError> {
        match version {
            "2.9.0" => Self::parse(RELEASE_2_9_0),
            _ => Ok(Self::default()),
        }
    }

    /// Reads a list: one `case-id reason` per line, `#` starts a comment line.
    ///
    /// # Errors
    /// A [`KnownFailingError`] for a line without a reason and for a case that is listed twice.
    pub fn parse(text: &str) -> Result<Self, KnownFailingError> {
        let mut cases = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let number = index + 1;
            let (id, reason) =
                line.split_once(char::is_whitespace).ok_or(KnownFailingError { line: number, problem: "no reason" })?;
            if cases.insert(id.to_owned(), reason.trim().to_owned()).is_some() {
                return Err(KnownFailingError { line: number, problem: "listed twice" });
            }
        }
        Ok(Self(cases))
    }

    /// The reason why `case` is expected to fail, when it is listed.
    #[must_use]
    pub fn reason(&self, case: &str) -> Option<&str> {
        self.0.get(case).map(String::as_str)
    }

    /// The ids of the listed cases.
    pub fn cases(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What `state` becomes in the light of the list. Only pass and fail change: a listed case that was not
    /// testable says nothing about the list.
    #[must_use]
    pub fn judge(&self, case: &str, state: State) -> State {
        match (self.reason(case), state) {
            (Some(_), State::Pass) => State::PassUnexpected,
            (Some(_), State::Fail) => State::FailExpected,
            (_, other) => other,
        }
    }
}

/// A line of a known-failing list that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownFailingError {
    line: usize,
    problem: &'static str,
}

impl fmt::Display for KnownFailingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "known-failing list, line {}: {}", self.line, self.problem)
    }
}

impl Error for KnownFailingError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_lists_can_be_read_and_name_existing_cases() {
        let cases = crate::suites::all();
        for list in [KnownFailing::simulated(), KnownFailing::release("2.9.0")] {
            for id in list.unwrap().cases() {
                assert!(cases.iter().any(|case| case.id() == id), "{id} is listed but there is no such case");
            }
        }
    }

    #[test]
    fn every_line_needs_a_reason() {
        let error = KnownFailing::parse("# why\n\na.case  broken since 2.8\nb.case\n").unwrap_err();
        assert_eq!(error.to_string(), "known-failing list, line 4: no reason");
        assert!(KnownFailing::parse("a x\na y").is_err());
    }

    #[test]
    fn a_listed_case_must_fail() {
        let list = KnownFailing::parse("a.case  broken").unwrap();
        assert_eq!(list.judge("a.case", State::Pass), State::PassUnexpected);
        assert_eq!(list.judge("a.case", State::Fail), State::FailExpected);
        assert_eq!(list.judge("a.case", State::Untestable), State::Untestable);
        assert_eq!(list.judge("b.case", State::Fail), State::Fail);
    }
}
