//! What became of one case, as reports keep it.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::transcript::Exchange;
use crate::{Case, Finding, Level, Risk, RoleUnderTest, State};

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Id of the case.
    #[serde(rename = "check")]
    pub case: String,
    /// What the case shows.
    pub title: String,
    /// Who is under test.
    pub role: RoleUnderTest,
    /// Its level, when the set of the target's release has the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// What it does to the target.
    pub risk: Risk,
    /// Ids of the requirements it checks.
    pub requirements: Vec<String>,
    /// Methods and arguments of the API document that it exercises.
    pub exercises: Vec<String>,
    /// What became of it.
    pub state: State,
    /// How long it took, in milliseconds.
    #[serde(rename = "duration_ms", serialize_with = "to_milliseconds", deserialize_with = "from_milliseconds")]
    pub duration: Duration,
    /// What was found, as a sentence; nothing for a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What should have been seen, where the case compared two values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What was seen instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// Why the known-failing list expects it to fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
    /// What went over the wire, secrets removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcript: Vec<Exchange>,
}

impl Outcome {
    /// What became of `case`, when nothing more is known than its state.
    #[must_use]
    pub fn new(case: impl Into<String>, title: impl Into<String>, state: State) -> Self {
        let case = case.into();
        Self {
            role: RoleUnderTest::of_case(&case),
            case,
            title: title.into(),
            level: None,
            risk: Risk::Read,
            requirements: Vec::new(),
            exercises: Vec::new(),
            state,
            duration: Duration::ZERO,
            message: None,
            expected: None,
            observed: None,
            known: None,
            transcript: Vec::new(),
        }
    }

    /// What became of `case` after it gave `verdict`; no known-failing list was asked yet.
    #[must_use]
    pub fn of(case: &Case, verdict: Result<(), Finding>) -> Self {
        let mut outcome = Self::new(case.id(), case.title(), State::Pass);
        outcome.risk = case.risk();
        outcome.requirements = case.requirements().iter().map(|id| (*id).to_owned()).collect();
        outcome.exercises = case.exercised().iter().map(|name| (*name).to_owned()).collect();
        if let Err(finding) = verdict {
            outcome.found(&finding);
        }
        outcome
    }

    /// Something that cases made is still on the target.
    pub(crate) fn of_clean_up(finding: &Finding) -> Self {
        let mut outcome = Self::new(CLEAN_UP, "what cases made is removed at the end", State::HarnessError);
        outcome.message = Some(finding.message().to_owned());
        outcome
    }

    fn found(&mut self, finding: &Finding) {
        self.state = finding.state();
        self.message = Some(finding.message().to_owned());
        if let Some((expected, observed)) = finding.comparison() {
            self.expected = Some(expected.to_owned());
            self.observed = Some(observed.to_owned());
        }
    }

    /// The first part of the id.
    #[must_use]
    pub fn suite(&self) -> &str {
        self.case.split('.').next().unwrap_or_default()
    }

    #[cfg(test)]
    pub(crate) fn for_test(case: &str, state: State) -> Self {
        Self::new(case, "a case", state)
    }
}

/// The id under which a report says that something was left on the target. It is no case.
pub(crate) const CLEAN_UP: &str = "clean-up";

/// A tenth of a millisecond is as fine as timings over sockets are worth.
pub(super) fn to_milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 10_000.0).round() / 10.0)
}

pub(super) fn from_milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let milliseconds = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(milliseconds / 1000.0).map_err(serde::de::Error::custom)
}
