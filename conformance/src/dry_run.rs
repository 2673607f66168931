//! What a run would do, told without touching anything.

use std::io::{self, Write};

use crate::{Case, Need, Release, Risk, State};

/// Writes a line per case: whether it would be run, its class of risk, and what it creates and changes.
///
/// The target is not asked, so that what it lacks shows only in a run. `allowed` is what cases may do beyond looking, `release`
/// the release of the target as far as that is known.
///
/// # Errors
/// When `out` cannot be written to.
pub(crate) fn write(
    out: &mut impl Write,
    cases: &[Case],
    allowed: &[Risk],
    release: Option<Release>,
) -> io::Result<()> {
    let mut runs = 0;
    for risk in Risk::ALL {
        for case in cases.iter().filter(|case| case.risk() == risk) {
            let obstacle = case.needed().iter().find_map(|need| obstacle(*need, allowed, release));
            let verdict = obstacle.as_ref().map_or("would run", |_| "would not run");
            writeln!(out, "{verdict:<13}  {:<11}  {}", case.risk(), case.id())?;
            let does = if case.changes().is_empty() { "only looks" } else { case.changes() };
            writeln!(out, "{:<13}  {does}", "")?;
            match obstacle {
                Some((state, need)) => writeln!(out, "{:<13}  {state}: needs {need}", "")?,
                None => runs += 1,
            }
        }
    }
    writeln!(out, "\n{runs} of {} cases would run; nothing was touched", cases.len())
}

/// What is known to be missing, and what the case would end as.
fn obstacle(need: Need, allowed: &[Risk], release: Option<Release>) -> Option<(State, Need)> {
    match need {
        Need::Permission(risk) if !allowed.contains(&risk) => Some((State::Untestable, need)),
        Need::Release(wanted) if release.is_some_and(|release| release < wanted) => Some((State::Unsupported, need)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suites;

    #[test]
    fn every_case_that_does_more_than_look_says_what_it_changes() {
        for case in suites::all() {
            assert_eq!(case.risk() == Risk::Read, case.changes().is_empty(), "{}", case.id());
        }
    }

    #[test]
    fn what_would_run_is_told_with_what_it_changes() {
        let case = |id: &str| Case::new(id, "a case", |_| async { Ok(()) });
        let cases = [
            case("jobs.a").risking(Risk::OwnObjects, "submits a job and deletes it"),
            case("session.a"),
            case("system.a").risking(Risk::System, "ends the server"),
            case("stream.a").needs([Need::Release(Release::V2_9)]),
        ];
        let mut out = Vec::new();
        write(&mut out, &cases, &[Risk::OwnObjects], Some(Release::new(2, 8))).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"
        would run      read         session.a
                       only looks
        would not run  read         stream.a
                       only looks
                       unsupported: needs release 2.9
        would run      own-objects  jobs.a
                       submits a job and deletes it
        would not run  system       system.a
                       ends the server
                       untestable: needs permission (--allow system)

        2 of 4 cases would run; nothing was touched
        ");
    }
}
