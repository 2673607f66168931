//! The report of a run. Its JSON form is published (`docs/report.schema.json`), and everything else is made from it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::outcome::{CLEAN_UP, Outcome, from_milliseconds, to_milliseconds};
use super::shard::Shard;
use crate::{Keyword, Risk, RoleUnderTest, State, Target, requirement};

/// Version of the JSON form. It grows when a reader of an older version would misread a report, not when something is
/// added.
pub const SCHEMA_VERSION: u32 = 1;

/// The JSON Schema of reports.
pub const SCHEMA: &str = include_str!("../../../docs/report.schema.json");

/// What a report says about the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetDescription {
    /// `simulated`, `deployed` or `client`.
    pub kind: String,
    /// Where it is, as a person would name it.
    pub name: String,
    /// Transport: `http`, `tcp`, `grpc`.
    pub scheme: String,
    /// Release that the subject says it is, when it could be asked.
    pub version: Option<String>,
}

impl TargetDescription {
    /// As a person would name it, shortly.
    #[must_use]
    pub fn title(&self) -> String {
        let version = self.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
        format!("{}{version} over {}", self.kind, self.scheme)
    }
}

/// Which suite gave the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suite {
    /// Version of the suite.
    pub version: String,
    /// The commit it was built from, when the build knew it (`FLARE_COMMIT` in its environment).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

impl Suite {
    /// This one.
    #[must_use]
    pub fn this() -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), commit: option_env!("FLARE_COMMIT").map(str::to_owned) }
    }
}

/// How the cases were run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    /// When the run began, RFC 3339.
    pub started: String,
    /// How many cases ran at the same time.
    pub jobs: usize,
    /// What the order and the random names came from, when that was a number; none as well when the parts of the run
    /// had different ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Which part of the cases it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// What cases might do to the target.
    pub allowed: Vec<Risk>,
    /// The set of cases that owns the denominator of the coverage: the minor release of nvflare, or `all`.
    pub manifest: String,
    /// The globs and levels that chose the cases; none for all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selected: Vec<String>,
}

impl RunFacts {
    /// The facts of a run that begins now, of all cases, one at a time, with everything allowed.
    #[must_use]
    pub fn now() -> Self {
        Self {
            started: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            jobs: 1,
            seed: None,
            shard: None,
            allowed: Risk::ALL.into(),
            manifest: ALL_CASES.to_owned(),
            selected: Vec::new(),
        }
    }
}

/// Name of the manifest when there is none for a release: every case of the suite.
pub const ALL_CASES: &str = "all";

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// How many.
    pub count: usize,
    /// Out of how many.
    pub of: usize,
}

impl Figure {
    /// As a percentage with one digit, which never says 0 or 100 unless it is exactly that.
    #[must_use]
    pub fn percent(self) -> String {
        if self.of == 0 {
            return "–".to_owned();
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of cases")]
        let percent = 100.0 * self.count as f64 / self.of as f64;
        let bounded = if self.count == 0 || self.count == self.of { percent } else { percent.clamp(0.1, 99.9) };
        format!("{bounded:.1} %")
    }
}

/// The two figures of a run. They measure different things and are never added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Cases in which the subject did something else than the requirement or the list says, of those that gave a verdict.
    pub divergence: Figure,
    /// Cases that gave a verdict, of those that the manifest has.
    pub coverage: Figure,
}

/// A requirement that a case of the report checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequirementText {
    /// Its id.
    pub id: String,
    /// What holds.
    pub text: String,
    /// How binding it is.
    pub keyword: Keyword,
    /// Where it comes from.
    pub source: String,
}

/// A finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Who gave it.
    pub suite: Suite,
    /// Who is under test.
    pub role: RoleUnderTest,
    /// The subject.
    pub target: TargetDescription,
    /// How the cases were run.
    pub run: RunFacts,
    /// The two figures.
    pub figures: Figures,
    /// How many cases there are, and how many in every state.
    pub summary: Summary,
    /// What the requirements say that the cases name.
    pub requirements: Vec<RequirementText>,
    /// What became of the cases, in the order of the suite.
    pub results: Vec<Outcome>,
}

/// Counts of cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// All of them.
    pub cases: usize,
    /// By state; every state is there.
    #[serde(flatten)]
    pub states: BTreeMap<State, usize>,
    /// How long the run took, in milliseconds.
    #[serde(rename = "duration_ms", serialize_with = "to_milliseconds", deserialize_with = "from_milliseconds")]
    pub duration: Duration,
}

impl Report {
    /// A report on `outcomes`, which took `duration` together. `denominator` is the number of cases that the manifest
    /// has for the subject; a run of one shard counts the whole of it.
    #[must_use]
    pub fn new(
        target: &TargetDescription,
        role: RoleUnderTest,
        run: RunFacts,
        denominator: usize,
        outcomes: Vec<Outcome>,
        duration: Duration,
    ) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            suite: Suite::this(),
            role,
            target: target.clone(),
            run,
            figures: figures(&outcomes, denominator),
            summary: summary(&outcomes, duration),
            requirements: requirements(&outcomes),
            results: outcomes,
        }
    }

    /// A report on a server, with all cases that its release has as the denominator.
    #[must_use]
    pub fn of_server(target: &Target, run: RunFacts, outcomes: Vec<Outcome>, duration: Duration) -> Self {
        let role = RoleUnderTest::Server;
        let denominator = target.manifest().size(role);
        Self::new(target.description(), role, run, denominator, outcomes, duration)
    }

    /// The outcomes.
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome] {
        &self.results
    }

    /// How many cases ended in this state.
    #[must_use]
    pub fn count(&self, state: State) -> usize {
        self.summary.states.get(&state).copied().unwrap_or_default()
    }

    /// True when nothing ended in a way that is not acceptable, and something passed.
    #[must_use]
    pub fn is_green(&self) -> bool {
        self.count(State::Pass) > 0 && self.results.iter().all(|outcome| outcome.state.is_acceptable())
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// When the file cannot be read, or is no report of this [`SCHEMA_VERSION`].
    pub fn read(path: &Path) -> io::Result<Self> {
        let named = |error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", path.display()));
        let report: Self =
            serde_json::from_slice(&fs::read(path).map_err(|error| named(&error))?).map_err(|error| named(&error))?;
        if report.schema_version != SCHEMA_VERSION {
            return Err(named(&format_args!("schema version {} is not known here", report.schema_version)));
        }
        Ok(report)
    }

    /// The JSON form.
    ///
    /// # Errors
    /// None that a report could cause.
    pub fn to_json(&self) -> io::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

pub(super) fn figures(outcomes: &[Outcome], denominator: usize) -> Figures {
    let count = |wanted: fn(State) -> bool| {
        outcomes.iter().filter(|outcome| outcome.case != CLEAN_UP && wanted(outcome.state)).count()
    };
    let verdicts = count(State::is_verdict);
    Figures {
        divergence: Figure { count: count(State::is_divergence), of: verdicts },
        coverage: Figure { count: verdicts, of: denominator },
    }
}

pub(super) fn summary(outcomes: &[Outcome], duration: Duration) -> Summary {
    let count = |state| outcomes.iter().filter(|outcome| outcome.state == state).count();
    let states = State::ALL.into_iter().map(|state| (state, count(state))).collect();
    Summary { cases: outcomes.len(), states, duration }
}

fn requirements(outcomes: &[Outcome]) -> Vec<RequirementText> {
    let mut ids: Vec<&str> = outcomes.iter().flat_map(|outcome| &outcome.requirements).map(String::as_str).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter()
        .filter_map(requirement::find)
        .map(|found| RequirementText {
            id: found.id.clone(),
            text: found.text.clone(),
            keyword: found.keyword,
            source: found.origin(),
        })
        .collect()
}
