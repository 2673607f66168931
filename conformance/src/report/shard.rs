//! Parts of the suite that run apart from each other, and one report from the reports of all parts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::model::{Report, figures, summary};
use crate::{Outcome, suites};

/// Part `index` of `count`, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which part.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

/// Most parts of one run: more than there are cases would be empty ones.
const MAX_SHARDS: usize = 1000;

impl Shard {
    /// True for a case of this part. It depends on the id alone, so a case that is added moves no other.
    #[must_use]
    pub fn has(self, case: &str) -> bool {
        let count = self.count as u64;
        fnv1a(case.as_bytes()) % count == self.index as u64 - 1
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is no k/n with 1 <= k <= n <= {MAX_SHARDS}");
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let (index, count) = (index.parse().map_err(|_| wrong())?, count.parse().map_err(|_| wrong())?);
        if (1..=count).contains(&index) && count <= MAX_SHARDS { Ok(Self { index, count }) } else { Err(wrong()) }
    }
}

/// FNV-1a: the same on every machine and in every release.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// Why reports are not the parts of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeError {
    /// Two parts differ in what has to be the same.
    Different {
        /// What differs: the target, the suite, what was allowed, ...
        what: &'static str,
        /// In the first part.
        one: String,
        /// In another one.
        other: String,
    },
    /// A part is there twice.
    Twice(Shard),
    /// Parts are not there.
    Missing(Vec<Shard>),
    /// A case is in two parts.
    Overlap(String),
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Different { what, one, other } => {
                write!(f, "the parts are not of one run: {what} is {one} in one and {other} in another")
            }
            Self::Twice(shard) => write!(f, "part {shard} is there twice"),
            Self::Missing(shards) => {
                let names: Vec<String> = shards.iter().map(ToString::to_string).collect();
                write!(f, "not all parts are there: {} missing", names.join(", "))
            }
            Self::Overlap(case) => write!(f, "case {case} is in two parts"),
        }
    }
}

impl std::error::Error for MergeError {}

/// Puts the parts among `reports` together to one report, which comes first; reports of whole runs stay what they are.
///
/// # Errors
/// [`MergeError`] when the parts are not all those of one run.
pub fn merge(reports: Vec<Report>) -> Result<Vec<Report>, MergeError> {
    let (parts, mut whole): (Vec<_>, Vec<_>) = reports.into_iter().partition(|report| report.run.shard.is_some());
    if !parts.is_empty() {
        whole.insert(0, merge_parts(parts)?);
    }
    Ok(whole)
}

fn merge_parts(parts: Vec<Report>) -> Result<Report, MergeError> {
    let mut parts = parts.into_iter();
    let Some(mut merged) = parts.next() else { return Err(MergeError::Missing(Vec::new())) };
    let Some(first) = merged.run.shard.take() else { return Ok(merged) };
    let mut there = vec![first];
    for mut part in parts {
        let Some(shard) = part.run.shard.take() else { continue };
        same_run(&merged, &part)?;
        differ("the number of parts", &first.count, &shard.count)?;
        if there.contains(&shard) {
            return Err(MergeError::Twice(shard));
        }
        there.push(shard);
        take(&mut merged, part)?;
    }
    let missing: Vec<Shard> = (1..=first.count)
        .map(|index| Shard { index, count: first.count })
        .filter(|shard| !there.contains(shard))
        .collect();
    if missing.is_empty() { Ok(finished(merged)) } else { Err(MergeError::Missing(missing)) }
}

fn same_run(one: &Report, other: &Report) -> Result<(), MergeError> {
    differ("the role", &one.role, &other.role)?;
    differ("the target", &one.target, &other.target)?;
    differ("the suite", &one.suite, &other.suite)?;
    differ("what was allowed", &one.run.allowed, &other.run.allowed)?;
    differ("the manifest", &one.run.manifest, &other.run.manifest)?;
    differ("the selection", &one.run.selected, &other.run.selected)?;
    differ("the denominator", &one.figures.coverage.of, &other.figures.coverage.of)
}

fn differ<T: PartialEq + fmt::Debug>(what: &'static str, one: &T, other: &T) -> Result<(), MergeError> {
    if one == other {
        return Ok(());
    }
    Err(MergeError::Different { what, one: format!("{one:?}"), other: format!("{other:?}") })
}

/// Adds what `part` found. Parts run side by side, so together they took as long as the longest.
fn take(merged: &mut Report, part: Report) -> Result<(), MergeError> {
    let is_case = |outcome: &&Outcome| outcome.case != super::outcome::CLEAN_UP;
    if let Some(twice) =
        part.results.iter().filter(is_case).find(|new| merged.results.iter().any(|old| old.case == new.case))
    {
        return Err(MergeError::Overlap(twice.case.clone()));
    }
    if merged.run.seed != part.run.seed {
        merged.run.seed = None;
    }
    if part.run.started < merged.run.started {
        merged.run.started = part.run.started;
    }
    merged.run.jobs = merged.run.jobs.max(part.run.jobs);
    merged.summary.duration = merged.summary.duration.max(part.summary.duration);
    merged.results.extend(part.results);
    merged.requirements.extend(part.requirements);
    Ok(())
}

/// Brings everything into the order of an undivided run, and counts again.
fn finished(mut merged: Report) -> Report {
    let order: Vec<String> = suites::all().iter().map(|case| case.id().to_owned()).collect();
    let place = |id: &str| order.iter().position(|known| known == id).unwrap_or(usize::MAX);
    merged.results.sort_by_cached_key(|outcome| (place(&outcome.case), outcome.case.clone()));
    merged.requirements.sort_by(|one, other| one.id.cmp(&other.id));
    merged.requirements.dedup();
    merged.figures = figures(&merged.results, merged.figures.coverage.of);
    merged.summary = summary(&merged.results, merged.summary.duration);
    merged
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::model::{RunFacts, TargetDescription};
    use super::*;
    use crate::{RoleUnderTest, State};

    fn target(scheme: &str) -> TargetDescription {
        TargetDescription {
            kind: "simulated".into(),
            name: "test".into(),
            scheme: scheme.into(),
            version: Some("2.9.0".into()),
        }
    }

    fn outcomes() -> Vec<Outcome> {
        let cases = suites::all();
        let states = [State::Pass, State::Fail, State::Pass, State::Untestable, State::FailExpected];
        cases.iter().zip(states.iter().cycle()).map(|(case, state)| Outcome::new(case.id(), "t", *state)).collect()
    }

    fn part(shard: Option<&str>, scheme: &str) -> Report {
        let shard: Option<Shard> = shard.map(|text| text.parse().unwrap());
        let mut results = outcomes();
        results.retain(|outcome| shard.is_none_or(|shard| shard.has(&outcome.case)));
        let run = RunFacts { shard, started: "2026-11-26T02:00:00Z".into(), ..RunFacts::now() };
        let denominator = suites::all().len();
        Report::new(&target(scheme), RoleUnderTest::Server, run, denominator, results, Duration::from_millis(5))
    }

    #[test]
    fn the_parts_of_a_run_make_the_report_of_the_whole_run() {
        let merged = merge(["2/3", "3/3", "1/3"].iter().map(|shard| part(Some(shard), "http")).collect()).unwrap();
        assert_eq!(merged, [part(None, "http")]);
    }

    #[test]
    fn every_case_is_in_exactly_one_part_and_no_part_is_much_larger_than_another() {
        let count = suites::all().len();
        let sizes: Vec<usize> = (1..=4).map(|index| part(Some(&format!("{index}/4")), "http").results.len()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), count);
        assert!(sizes.iter().all(|size| (count / 8..count / 2).contains(size)), "{sizes:?}");
    }

    #[test]
    fn parts_that_are_not_those_of_one_run_are_refused() {
        let merged = |shards: &[(&str, &str)]| {
            let parts = shards.iter().map(|(shard, scheme)| part(Some(shard), scheme)).collect();
            merge(parts).unwrap_err().to_string()
        };
        assert_eq!(merged(&[("1/3", "http"), ("3/3", "http")]), "not all parts are there: 2/3 missing");
        assert_eq!(merged(&[("1/2", "http"), ("1/2", "http")]), "part 1/2 is there twice");
        assert!(merged(&[("1/2", "http"), ("2/2", "tcp")]).contains("the target"));
        assert!(merged(&[("1/2", "http"), ("2/3", "http")]).contains("the number of parts"));
        let mut overlapping = part(Some("2/2"), "http");
        overlapping.results = outcomes();
        let refused = merge(vec![part(Some("1/2"), "http"), overlapping]).unwrap_err();
        assert!(matches!(refused, MergeError::Overlap(_)), "{refused}");
    }

    #[test]
    fn whole_runs_stay_beside_the_merged_one() {
        let reports = vec![part(None, "tcp"), part(Some("1/1"), "http")];
        assert_eq!(merge(reports).unwrap(), [part(None, "http"), part(None, "tcp")]);
    }

    #[test]
    fn only_a_part_of_a_whole_is_a_shard() {
        for wrong in ["", "1", "0/2", "3/2", "1/0", "a/b", "1/1001", "-1/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
        assert_eq!("2/3".parse::<Shard>().unwrap().to_string(), "2/3");
    }
}
