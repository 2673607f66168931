//! What a case found instead of a pass.

use std::error::Error;
use std::fmt;

use flare_client::ErrorKind;

use crate::State;

/// What a case body returns: nothing when the requirement holds, else what was found.
pub type CaseResult<T = ()> = Result<T, Finding>;

/// Why a case did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    state: State,
    message: String,
    /// What was expected and what was observed, where two values were compared.
    comparison: Option<Box<(String, String)>>,
}

impl Finding {
    fn new(state: State, message: impl Into<String>) -> Self {
        Self { state, message: message.into(), comparison: None }
    }

    /// The subject gave something else than the requirement says.
    pub fn differs(what: impl fmt::Display, expected: impl Into<String>, observed: impl Into<String>) -> Self {
        let (expected, observed) = (expected.into(), observed.into());
        let message = format!("{what}: expected {expected}, observed {observed}");
        Self { comparison: Some(Box::new((expected, observed))), ..Self::fail(message) }
    }

    /// The subject does not do what the requirement says.
    pub fn fail(message: impl Into<String>) -> Self {
        Self::new(State::Fail, message)
    }

    /// The case needs something that this target does not have.
    pub fn untestable(message: impl Into<String>) -> Self {
        Self::new(State::Untestable, message)
    }

    /// The subject says that it does not have this feature.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(State::Unsupported, message)
    }

    /// What was seen proves neither the requirement nor its opposite.
    pub fn indeterminate(message: impl Into<String>) -> Self {
        Self::new(State::Indeterminate, message)
    }

    /// The suite itself failed: nothing is said about the subject.
    pub fn harness(message: impl Into<String>) -> Self {
        Self::new(State::HarnessError, message)
    }

    /// The state that this makes of the case.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// What was expected and what was seen.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What was expected and what was observed, where the case compared two values.
    #[must_use]
    pub fn comparison(&self) -> Option<(&str, &str)> {
        self.comparison.as_deref().map(|(expected, observed)| (expected.as_str(), observed.as_str()))
    }

    /// The same finding, with `what` was going on in front of its message.
    #[must_use]
    pub fn during(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Finding {}

/// What a real server says to whoever lists or looks through the stored jobs while somebody deletes one of them (seen on
/// 2.9.0 with `list_jobs`). It says nothing about what the case asks.
const CROSSED: [&str; 3] = ["StorageException: object ", "/jobs-storage/", " does not exist"];

/// An error of the client library where success was expected.
impl From<flare_client::Error> for Finding {
    fn from(error: flare_client::Error) -> Self {
        let message = format!("{} ({:?})", chain(&error), error.kind());
        let is_crossed = error.kind() == ErrorKind::ServerFault && CROSSED.iter().all(|part| message.contains(part));
        if is_crossed { Self::indeterminate(message) } else { Self::fail(message) }
    }
}

/// An error and its causes, on one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Fails the case unless `condition` holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::Finding::fail(format!($($message)+)));
        }
    };
}

/// Fails the case unless both sides are equal; the message shows both.
macro_rules! ensure_eq {
    ($observed:expr, $expected:expr, $($what:tt)+) => {
        // A match keeps temporaries alive for as long as they are compared.
        match (&$observed, &$expected) {
            (observed, expected) => {
                if observed != expected {
                    return Err($crate::Finding::differs(
                        format_args!($($what)+),
                        format!("{expected:?}"),
                        format!("{observed:?}"),
                    ));
                }
            }
        }
    };
}

pub(crate) use {ensure, ensure_eq};

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(observed: &str) -> CaseResult {
        ensure_eq!(observed, "OK", "reply to {}", "_logout");
        ensure!(observed.len() == 2, "unreachable");
        Ok(())
    }

    #[test]
    fn a_comparison_shows_what_was_expected_and_what_was_observed() {
        assert_eq!(compare("OK"), Ok(()));
        let finding = compare("REJECT").unwrap_err();
        assert_eq!(finding.state(), State::Fail);
        assert_eq!(finding.message(), r#"reply to _logout: expected "OK", observed "REJECT""#);
        assert_eq!(finding.comparison(), Some((r#""OK""#, r#""REJECT""#)));
    }

    #[test]
    fn causes_are_printed_after_the_error() {
        let finding = Finding::fail("closed").during("login");
        assert_eq!(chain(&finding), "login: closed");
    }
}
