//! Scenarios: what is out of the ordinary on a server, in one YAML file.
//!
//! Everything here can be said to a [`SimServerBuilder`](crate::SimServerBuilder) as well; a file is for the program,
//! and for scenarios that several tests share. `examples/scenario.yml` has every key.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::clock::ClockMode;
use crate::core::{SimConfig, SiteBehaviour};
use crate::faults::Fault;
use crate::jobs::behaviour::Rule;
use crate::jobs::lifecycle::{JobSettings, Quirks};

/// The longest file that is read: thousands of rules fit.
const MAX_FILE: u64 = 1024 * 1024;

/// What is out of the ordinary on a server.
///
/// ```
/// use flare_simserver::scenario::Scenario;
///
/// let scenario = Scenario::from_yaml(
///     "
/// clock: scaled=20
/// rules:
///   - {name: broken, site_exceptions: {site-2: 'ValueError: no data'}}
///   - {name: deaf, silent_sites: [site-1]}
///   - {name: endless, until_aborted: true}
/// ",
/// )?;
/// assert_eq!(scenario.rules.len(), 3);
///
/// let error = Scenario::from_yaml("clock: real\nrulez: []\n").unwrap_err();
/// assert!(error.to_string().contains("line 2"), "{error}");
/// # Ok::<(), flare_simserver::scenario::ScenarioError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// How the simulated time passes.
    #[serde(deserialize_with = "clock")]
    pub clock: Option<ClockMode>,
    /// What the runs of certain jobs do; where several fit a job, later ones win.
    pub rules: Vec<Rule>,
    /// How sites treat requests, by name: `answers`, `refuses`, `silent`, `gone`, or `{slow: SECONDS}`.
    pub sites: BTreeMap<String, SiteManner>,
    /// Faults of the connections, from the start to the end of the server.
    pub faults: Vec<Fault>,
    /// The scheduler of jobs.
    pub scheduler: SchedulerChanges,
    /// How long things take.
    pub timings: TimingChanges,
    /// Races of a real server that always end the same way.
    pub quirks: QuirkChanges,
}

/// How a site treats requests.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteManner {
    /// At once.
    Answers,
    /// It refuses them.
    Refuses,
    /// It never answers, but is there.
    Silent,
    /// It is not there any more.
    Gone,
    /// It answers after so many seconds.
    Slow(Seconds),
}

/// What is different about the scheduler; see [`SchedulerPolicy`](crate::jobs::scheduler::SchedulerPolicy).
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SchedulerChanges {
    /// Jobs that run at the same time.
    pub max_jobs: Option<usize>,
    /// Attempts before it gives up on a job.
    pub max_schedule_count: Option<u64>,
    /// Seconds after the first attempts.
    pub min_schedule_interval: Option<Seconds>,
    /// Most seconds between two attempts.
    pub max_schedule_interval: Option<Seconds>,
}

/// What takes longer or shorter, in seconds; see [`Timings`](crate::jobs::lifecycle::Timings).
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimingChanges {
    /// Between two looks at the waiting jobs.
    pub tick: Option<Seconds>,
    /// From the deployment to running processes.
    pub start: Option<Seconds>,
    /// From running processes until they answer.
    pub check_in: Option<Seconds>,
    /// From the first answers of a job until they hold something.
    pub warm_up: Option<Seconds>,
    /// From the abort of a running job to its final status.
    pub abort: Option<Seconds>,
    /// From the abort of a running job to the reply.
    pub abort_reply: Option<Seconds>,
    /// How long a check of resources waits for a site that hangs.
    pub hanging_check: Option<Seconds>,
    /// How long a finished job waits for a silent site.
    pub outcome_wait: Option<Seconds>,
}

/// The races; see [`Quirks`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuirkChanges {
    /// A job that is aborted while DISPATCHED runs all the same.
    pub aborted_while_dispatched_runs_on: bool,
}

/// A length of time as a file has it: a number of seconds, not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(Duration);

/// Why a scenario cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The text is no scenario. The problem names line and column.
    Malformed {
        /// What is wrong, and where.
        problem: String,
    },
    /// The project has no site of this name.
    UnknownSite(String),
}

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ScenarioError`].
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let unreadable = |source| ScenarioError::Unreadable { path: path.to_owned(), source };
        let mut text = String::new();
        File::open(path).map_err(unreadable)?.take(MAX_FILE + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MAX_FILE {
            return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, "no scenario is that long")));
        }
        Self::from_yaml(&text)
    }

    /// Reads the text of a file; JSON will do as well.
    ///
    /// # Errors
    /// [`ScenarioError::Malformed`].
    pub fn from_yaml(text: &str) -> Result<Self, ScenarioError> {
        serde_saphyr::from_str(text).map_err(|error| ScenarioError::Malformed { problem: error.to_string() })
    }

    /// Changes what a simulation is made of.
    ///
    /// # Errors
    /// [`ScenarioError::UnknownSite`].
    pub(crate) fn apply(&self, config: &mut SimConfig) -> Result<(), ScenarioError> {
        for (name, manner) in &self.sites {
            let site = config.sites.iter_mut().find(|site| site.name == *name);
            site.ok_or_else(|| ScenarioError::UnknownSite(name.clone()))?.behaviour = (*manner).into();
        }
        config.rules.extend(self.rules.iter().cloned());
        self.change(&mut config.job_settings);
        Ok(())
    }

    fn change(&self, settings: &mut JobSettings) {
        fn set<T>(place: &mut T, value: Option<impl Into<T>>) {
            if let Some(value) = value {
                *place = value.into();
            }
        }
        let JobSettings { policy, timings, quirks, .. } = settings;
        set(&mut policy.max_jobs, self.scheduler.max_jobs);
        set(&mut policy.max_schedule_count, self.scheduler.max_schedule_count);
        set(&mut policy.min_schedule_interval, self.scheduler.min_schedule_interval);
        set(&mut policy.max_schedule_interval, self.scheduler.max_schedule_interval);
        set(&mut timings.tick, self.timings.tick);
        set(&mut timings.start, self.timings.start);
        set(&mut timings.check_in, self.timings.check_in);
        set(&mut timings.warm_up, self.timings.warm_up);
        set(&mut timings.abort, self.timings.abort);
        set(&mut timings.abort_reply, self.timings.abort_reply);
        set(&mut timings.hanging_check, self.timings.hanging_check);
        set(&mut timings.outcome_wait, self.timings.outcome_wait);
        let Quirks { aborted_while_dispatched_runs_on } = quirks;
        *aborted_while_dispatched_runs_on |= self.quirks.aborted_while_dispatched_runs_on;
    }
}

impl From<SiteManner> for SiteBehaviour {
    fn from(manner: SiteManner) -> Self {
        match manner {
            SiteManner::Answers => Self::Answers,
            SiteManner::Refuses => Self::Refuses,
            SiteManner::Silent => Self::Silent,
            SiteManner::Gone => Self::Gone,
            SiteManner::Slow(time) => Self::Slow(time.0),
        }
    }
}

impl From<Seconds> for Duration {
    fn from(seconds: Seconds) -> Self {
        seconds.0
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds)
            .map(Self)
            .map_err(|_| de::Error::custom(format_args!("{seconds} is no number of seconds")))
    }
}

fn clock<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ClockMode>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(de::Error::custom)
}

impl ScenarioError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "check the path that was given as scenario file",
            Self::Malformed { .. } => "compare the file with simserver/examples/scenario.yml, which has every key",
            Self::UnknownSite(_) => "name sites of the project that is served",
        }
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, .. } => write!(f, "cannot read the scenario file {}", path.display()),
            Self::Malformed { problem } => write!(f, "the scenario is malformed: {problem}"),
            Self::UnknownSite(name) => write!(f, "the scenario is about '{name}', which is no site of the project"),
        }
    }
}

impl Error for ScenarioError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Direction;

    const EXAMPLE: &str = include_str!("../examples/scenario.yml");

    #[test]
    fn the_example_has_every_key_and_says_what_the_builder_says() {
        let scenario = Scenario::from_yaml(EXAMPLE).unwrap();
        assert_eq!(scenario.clock, Some(ClockMode::Scaled(20.0)));
        let rules = [
            Rule::named("slow-*").running_for(Duration::from_secs(3600)),
            Rule::named("broken").failing_at("site-2", "ValueError: no data"),
            Rule::named("deaf").silent_at("site-1"),
            Rule::named("endless").until_aborted(),
        ];
        assert_eq!(scenario.rules[..4], rules);
        let slow = SiteManner::Slow(Seconds(Duration::from_millis(2500)));
        assert_eq!(scenario.sites, BTreeMap::from([("site-1".into(), SiteManner::Answers), ("site-2".into(), slow)]));
        let faults = [
            Fault::on(Direction::ToClient).nth_frame(400).cut_after(),
            Fault::on(Direction::ToServer).about("download_service__").delay(Duration::from_millis(50)),
        ];
        assert_eq!(scenario.faults, faults);

        let mut settings = JobSettings::default();
        scenario.change(&mut settings);
        assert_eq!((settings.policy.max_jobs, settings.policy.max_schedule_count), (2, 3));
        assert_eq!(settings.timings.outcome_wait, Duration::from_secs(30));
        assert!(settings.quirks.aborted_while_dispatched_runs_on);
        // A key that the example leaves out would keep its default here.
        let defaults = JobSettings::default();
        assert!(settings.policy != defaults.policy && settings.timings.tick != defaults.timings.tick);
        assert!(settings.timings.start != defaults.timings.start && settings.timings.abort != defaults.timings.abort);
        assert!(settings.timings.check_in != defaults.timings.check_in);
        assert!(settings.timings.warm_up != defaults.timings.warm_up);
        assert!(settings.timings.abort_reply != defaults.timings.abort_reply);
        assert_ne!(settings.timings.hanging_check, defaults.timings.hanging_check);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line, word) in [
            ("clock: real\nrulez: []\n", "line 2", "rulez"),
            ("rules:\n  - {name: a}\n  - {nmae: b}\n", "line 3", "nmae"),
            ("sites:\n  site-1: deaf\n", "line 2", "deaf"),
            ("timings:\n  tick: -1\n", "line 2", "-1 is no number of seconds"),
            ("\n\nclock: fast\n", "line 3", "'fast' is no clock"),
            ("faults:\n  - {direction: sideways, action: drop}\n", "line 2", "sideways"),
        ] {
            let error = Scenario::from_yaml(text).unwrap_err().to_string();
            assert!(error.contains(line) && error.contains(word), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_or_too_long_is_refused() {
        assert!(matches!(Scenario::read(Path::new("/nowhere.yml")), Err(ScenarioError::Unreadable { .. })));
        let file = tempfile::NamedTempFile::new().unwrap();
        let max = usize::try_from(MAX_FILE).unwrap();
        std::fs::write(file.path(), "#".repeat(max)).unwrap();
        assert_eq!(Scenario::read(file.path()).unwrap(), Scenario::default());
        std::fs::write(file.path(), "#".repeat(max + 1)).unwrap();
        assert!(matches!(Scenario::read(file.path()), Err(ScenarioError::Unreadable { .. })));
    }
}
