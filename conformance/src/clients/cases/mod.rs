//! What is asked of a client, grouped by what it is about.

mod calls;
mod connecting;
mod faults;
mod monitoring;
mod refusals;
mod sessions;
mod transfers;

use std::sync::Arc;
use std::time::Duration;

use super::process::Subject;
use crate::{Case, CaseResult};

/// How long one case may take. Most ask three things; the `nvflare` command takes some seconds for each, on a machine
/// that may be busy.
const LIMIT: Duration = Duration::from_secs(240);

/// Every case, for this client.
pub(crate) fn all(subject: &Arc<Subject>) -> Vec<Case> {
    [
        connecting::cases(subject),
        sessions::cases(subject),
        calls::cases(subject),
        refusals::cases(subject),
        transfers::cases(subject),
        monitoring::cases(subject),
        faults::cases(subject),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Every case, for a client that is never started: to be listed.
pub(crate) fn catalogue() -> Vec<Case> {
    all(&Arc::new(Subject::nobody()))
}

/// What stands in a report about a case, apart from its outcome.
struct About {
    id: &'static str,
    title: &'static str,
    requirements: &'static [&'static str],
    methods: &'static [&'static str],
}

const fn about(
    id: &'static str,
    title: &'static str,
    requirements: &'static [&'static str],
    methods: &'static [&'static str],
) -> About {
    About { id, title, requirements, methods }
}

fn case<F, B>(subject: &Arc<Subject>, about: About, body: B) -> Case
where
    B: Fn(Arc<Subject>) -> F + Send + Sync + 'static,
    F: Future<Output = CaseResult> + Send + 'static,
{
    let subject = Arc::clone(subject);
    let About { id, title, requirements, methods } = about;
    Case::new(format!("client.{id}"), title, move |_| body(Arc::clone(&subject)))
        .checks(requirements)
        .exercises(methods)
        .within(LIMIT)
}

/// The exceptions that say that an argument is wrong: the API document names one, the official client has five.
const ARGUMENT: &[&str] = &["InvalidArgumentError", "ValueError", "TypeError", "SyntaxError", "AssertionError"];

/// Those that say that the server cannot be reached, or not be talked to.
const CONNECTION: &[&str] = &["NoConnection", "ConnectionError", "TimeoutError", "FLCommunicationError"];

/// Those that say that the session is over.
const ENDED: &[&str] = &["SessionExpired", "SessionClosed", "AuthenticationError"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::manifest::{Manifest, RoleUnderTest};
    use crate::{methods, requirement};

    #[test]
    fn every_case_has_an_id_of_its_own_and_checks_what_is_written_down() {
        let mut seen = BTreeSet::new();
        for case in catalogue() {
            assert!(case.id().starts_with("client."), "{}", case.id());
            assert!(seen.insert(case.id().to_owned()), "{} exists twice", case.id());
            assert!(!case.requirements().is_empty(), "{} checks nothing", case.id());
            for id in case.requirements() {
                assert!(requirement::find(id).is_some(), "{} names the unknown {id}", case.id());
            }
        }
        assert!(seen.len() >= 60, "{} cases", seen.len());
    }

    #[test]
    fn every_method_of_the_document_is_called_by_a_case() {
        let cases = catalogue();
        let called: BTreeSet<&str> = cases.iter().flat_map(Case::exercised).copied().collect();
        let missing: Vec<&str> = methods::names().filter(|name| !called.contains(name)).collect();
        assert!(missing.is_empty(), "no case calls {missing:?}");
        let known: BTreeSet<&str> = methods::names().collect();
        assert!(called.is_subset(&known), "not documented: {:?}", called.difference(&known));
    }

    #[test]
    fn every_case_is_in_a_set_and_every_line_of_a_set_is_a_case() {
        let cases = catalogue();
        let ids: Vec<&str> = cases.iter().map(Case::id).collect();
        assert_eq!(Manifest::problems(RoleUnderTest::Client, &ids), Vec::<String>::new());
    }
}
