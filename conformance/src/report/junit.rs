//! JUnit XML, for the test views of CI systems.

use std::io;

use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::model::Report;
use super::text;
use crate::{Outcome, State};

/// The JUnit form of `reports`: a suite each.
///
/// # Errors
/// None that a report could cause.
pub fn junit(reports: &[Report]) -> io::Result<String> {
    let mut all = quick_junit::Report::new("flare-conformance");
    for report in reports {
        all.add_test_suite(suite(report));
    }
    all.to_string().map_err(io::Error::other)
}

fn suite(report: &Report) -> TestSuite {
    let mut suite = TestSuite::new(report.target.title());
    suite.set_time(report.summary.duration);
    suite.extra.insert(XmlString::new("timestamp"), XmlString::new(&report.run.started));
    for (name, value) in text::facts(report) {
        suite.add_property(Property::new(name, value));
    }
    for outcome in &report.results {
        suite.add_test_case(case(outcome));
    }
    suite
}

fn case(outcome: &Outcome) -> TestCase {
    let mut case = TestCase::new(&outcome.case, status(outcome));
    case.set_classname(outcome.suite()).set_time(outcome.duration);
    let transcript = text::transcript(outcome);
    if !transcript.is_empty() {
        case.set_system_out(transcript);
    }
    case
}

/// What cannot be tested, or fails as expected, is skipped: JUnit knows nothing between that and a failure.
fn status(outcome: &Outcome) -> TestCaseStatus {
    let mut status = match outcome.state {
        State::Pass => return TestCaseStatus::success(),
        State::FailExpected | State::Unsupported | State::Untestable => TestCaseStatus::skipped(),
        State::HarnessError => TestCaseStatus::non_success(NonSuccessKind::Error),
        State::Fail | State::PassUnexpected | State::Indeterminate => {
            TestCaseStatus::non_success(NonSuccessKind::Failure)
        }
    };
    let message = outcome.message.as_deref().unwrap_or(&outcome.title);
    status.set_type(outcome.state.as_str()).set_message(text::first_line(message));
    status.set_description(text::details(outcome));
    status
}
