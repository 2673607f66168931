//! Known-failing lists: cases that are expected to fail on a target, each with a reason, a link and a date.
//!
//! A listed case is still run and must fail: one that passes makes the run fail, and so does one that fails after its date. So
//! no list rots: what is expected is looked at again at the latest on that day.
//!
//! ```text
//! # comment
//! session.expiry.pushed  until=2027-06-01  INFRA-12  the gateway before this deployment swallows pushed messages
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use jiff::civil::Date;

use crate::State;

/// The cases that are known to fail on one target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownFailing {
    cases: BTreeMap<String, KnownFailure>,
    /// The day on which the list is read; without it nothing has expired.
    today: Option<Date>,
}

/// Why a case is expected to fail, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFailure {
    /// The last day on which it is.
    pub until: Date,
    /// Where more is said about it: an address, a path, or the number of an issue.
    pub link: String,
    /// Why.
    pub reason: String,
}

impl fmt::Display for KnownFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, until {})", self.reason, self.link, self.until)
    }
}

/// The list that belongs to the in-process simulator.
const SIMULATED: &str = include_str!("../known-failing/simulated.txt");
/// The lists that belong to real servers, by release.
const RELEASES: [(&str, &str); 2] =
    [("2.8.3", include_str!("../known-failing/2.8.3.txt")), ("2.9.0", include_str!("../known-failing/2.9.0.txt"))];

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
        RELEASES
            .iter()
            .find(|(known, _)| *known == version)
            .map_or_else(|| Ok(Self::default()), |(_, text)| Self::parse(text))
    }

    /// Reads a list: one `case-id until=YYYY-MM-DD link reason` per line, `#` starts a comment line.
    ///
    /// # Errors
    /// A [`KnownFailingError`] for a line that lacks one of these, and for a case that is listed twice.
    pub fn parse(text: &str) -> Result<Self, KnownFailingError> {
        let mut cases = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |problem| KnownFailingError { line: index + 1, problem };
            let (id, failure) = read(line).map_err(wrong)?;
            if cases.insert(id.to_owned(), failure).is_some() {
                return Err(wrong("listed twice"));
            }
        }
        Ok(Self { cases, today: None })
    }

    /// The same list, read on this day: what is listed until an earlier one has expired.
    #[must_use]
    pub fn on(self, today: Date) -> Self {
        Self { today: Some(today), ..self }
    }

    /// Why `case` is expected to fail, when it is listed; also when that has expired.
    #[must_use]
    pub fn reason(&self, case: &str) -> Option<String> {
        let failure = self.cases.get(case)?;
        Some(if self.has_expired(failure) { format!("{failure}: expired") } else { failure.to_string() })
    }

    /// The listed cases.
    pub fn cases(&self) -> impl Iterator<Item = (&str, &KnownFailure)> {
        self.cases.iter().map(|(id, failure)| (id.as_str(), failure))
    }

    /// What `state` becomes in the light of the list. Only pass and fail change: a listed case that was not
    /// testable says nothing about the list. One that fails after its date has failed.
    #[must_use]
    pub fn judge(&self, case: &str, state: State) -> State {
        match (self.cases.get(case), state) {
            (Some(_), State::Pass) => State::PassUnexpected,
            (Some(failure), State::Fail) if !self.has_expired(failure) => State::FailExpected,
            (_, other) => other,
        }
    }

    fn has_expired(&self, failure: &KnownFailure) -> bool {
        self.today.is_some_and(|today| today > failure.until)
    }
}

fn read(line: &str) -> Result<(&str, KnownFailure), &'static str> {
    let mut rest = line;
    let mut word = |missing: &'static str| -> Result<_, &'static str> {
        let (word, after) = rest.split_once(char::is_whitespace).ok_or(missing)?;
        rest = after.trim_start();
        Ok(word)
    };
    let no_date = "no date: `until=YYYY-MM-DD`";
    let id = word(no_date)?;
    let until = word("no link")?.strip_prefix("until=").ok_or(no_date)?;
    let until = until.parse().map_err(|_| "the date is not `YYYY-MM-DD`")?;
    let link = word("no reason")?.to_owned();
    Ok((id, KnownFailure { until, link, reason: rest.to_owned() }))
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
    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_built_in_lists_can_be_read_and_name_existing_cases() {
        let cases = crate::suites::all();
        let releases = RELEASES.iter().map(|(version, _)| KnownFailing::release(version));
        for list in releases.chain([KnownFailing::simulated()]) {
            for (id, _) in list.unwrap().cases() {
                assert!(cases.iter().any(|case| case.id() == id), "{id} is listed but there is no such case");
            }
        }
    }

    #[test]
    fn every_line_needs_a_date_a_link_and_a_reason() {
        let problem = |line: &str| KnownFailing::parse(&format!("# why\n\n{line}\n")).unwrap_err().to_string();
        assert_eq!(problem("a.case"), "known-failing list, line 3: no date: `until=YYYY-MM-DD`");
        assert_eq!(problem("a.case  broken since 2.8"), "known-failing list, line 3: no date: `until=YYYY-MM-DD`");
        assert_eq!(
            problem("a.case  until=2027-02-30  #7 broken"),
            "known-failing list, line 3: the date is not `YYYY-MM-DD`"
        );
        assert_eq!(problem("a.case  until=2027-06-01"), "known-failing list, line 3: no link");
        assert_eq!(problem("a.case  until=2027-06-01  #7"), "known-failing list, line 3: no reason");
        let line = "a.case  until=2027-06-01  #7  broken since 2.8";
        assert_eq!(problem(&format!("{line}\n{line}")), "known-failing list, line 4: listed twice");
        let list = KnownFailing::parse(line).unwrap();
        assert_eq!(list.reason("a.case").unwrap(), "broken since 2.8 (#7, until 2027-06-01)");
    }

    #[test]
    fn a_listed_case_must_fail() {
        let list = KnownFailing::parse("a.case  until=2027-06-01  #7  broken").unwrap();
        assert_eq!(list.judge("a.case", State::Pass), State::PassUnexpected);
        assert_eq!(list.judge("a.case", State::Fail), State::FailExpected);
        assert_eq!(list.judge("a.case", State::Untestable), State::Untestable);
        assert_eq!(list.judge("b.case", State::Fail), State::Fail);
    }

    #[test]
    fn a_listed_case_that_fails_after_its_date_has_failed() {
        let list = KnownFailing::parse("a.case  until=2027-06-01  #7  broken").unwrap();
        let on_the_day = list.clone().on(date(2027, 6, 1));
        assert_eq!(on_the_day.judge("a.case", State::Fail), State::FailExpected);
        let after = list.on(date(2027, 6, 2));
        assert_eq!(after.judge("a.case", State::Fail), State::Fail);
        assert_eq!(after.judge("a.case", State::Pass), State::PassUnexpected);
        assert_eq!(after.reason("a.case").unwrap(), "broken (#7, until 2027-06-01): expired");
    }
}
