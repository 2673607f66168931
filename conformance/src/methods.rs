//! The methods of the FLARE API document (`SessionSpec`) with their arguments, and a table of what cases say about them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use crate::State;

/// A documented method.
struct Method {
    name: &'static str,
    arguments: &'static [&'static str],
}

const fn method(name: &'static str, arguments: &'static [&'static str]) -> Method {
    Method { name, arguments }
}

const STUDY_SITES: &[&str] = &["study", "sites", "site_orgs"];
const MONITOR: &[&str] = &["job_id", "timeout", "poll_interval", "cb", "cb_args", "cb_kwargs"];
const ENDING: &[&str] = &["target_type", "client_names", "wait", "timeout"];

/// Every method of the document, in its order.
const DOCUMENTED: &[Method] = &[
    method("abort_job", &["job_id"]),
    method("add_study_site", STUDY_SITES),
    method("add_study_user", &["study", "user"]),
    method("cat_target", &["target", "options", "file"]),
    method("check_status", &["target_type", "targets"]),
    method("clone_job", &["job_id"]),
    method("configure_job_log", &["job_id", "config", "target"]),
    method("configure_site_log", &["config", "target"]),
    method("delete_job", &["job_id"]),
    method("disable_client", &["client_name"]),
    method("download_job_components", &["job_id"]),
    method("download_job_result", &["job_id", "destination"]),
    method("enable_client", &["client_name"]),
    method("get_available_apps_to_upload", &[]),
    method("get_client_job_status", &["client_names"]),
    method("get_connected_client_list", &[]),
    method("get_job_logs", &["job_id", "target", "tail_lines", "grep_pattern", "log_file_name"]),
    method("get_job_meta", &["job_id"]),
    method("get_system_info", &[]),
    method("get_working_directory", &["target"]),
    method("grep_target", &["target", "options", "pattern", "file"]),
    method("head_target", &["target", "options", "file"]),
    method("head_target_log", &["target", "options"]),
    method("list_job_components", &["job_id"]),
    method("list_jobs", &["detailed", "limit", "id_prefix", "name_prefix", "reverse", "submit_token", "kwargs"]),
    method("list_studies", &[]),
    method("ls_target", &["target", "options", "path"]),
    method("monitor_job", MONITOR),
    method("monitor_job_and_return_job_meta", MONITOR),
    method("register_study", STUDY_SITES),
    method("remove_client", &["client_name"]),
    method("remove_study", &["study"]),
    method("remove_study_site", STUDY_SITES),
    method("remove_study_user", &["study", "user"]),
    method("report_resources", &["target_type", "targets"]),
    method("report_version", &["target_type", "targets"]),
    method("reset_errors", &["job_id"]),
    method("restart", ENDING),
    method("set_timeout", &["value"]),
    method("show_errors", &["job_id", "target_type", "targets"]),
    method("show_stats", &["job_id", "target_type", "targets"]),
    method("show_study", &["study"]),
    method("shutdown", ENDING),
    method("shutdown_system", &[]),
    method("submit_job", &["job_definition_path", "submit_token"]),
    method("tail_target", &["target", "options", "file"]),
    method("tail_target_log", &["target", "options"]),
    method("unset_timeout", &[]),
    method("wait_for_job", &["job_id", "timeout", "poll_interval"]),
];

/// The names of the documented methods.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    DOCUMENTED.iter().map(|method| method.name)
}

/// Documented arguments that no case gives, and why.
const REASONS: &[(&str, &str)] = &[
    ("list_jobs.kwargs", "older names of the other arguments in Python; here each has one name"),
    ("monitor_job.cb_args", "a closure holds what it needs"),
    ("monitor_job.cb_kwargs", "a closure holds what it needs"),
    ("monitor_job_and_return_job_meta.cb_args", "a closure holds what it needs"),
    ("monitor_job_and_return_job_meta.cb_kwargs", "a closure holds what it needs"),
];

/// Where the reports are, and where the table goes.
#[derive(Debug, Args)]
pub(crate) struct TableArguments {
    /// Report (`run --json`) of a real server with our client; may be given several times, for runs on several federations.
    #[arg(long, value_name = "FILE", required = true)]
    real: Vec<PathBuf>,
    /// Report of the simulator with our client.
    #[arg(long, value_name = "FILE", required = true)]
    simulated: Vec<PathBuf>,
    /// What the official client's comparison found, by method (`compare.py --json`); may be given several times.
    #[arg(long, value_name = "FILE")]
    official: Vec<PathBuf>,
    /// Where the table is written.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// How often something held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    fn add(&mut self, passed: bool) {
        if passed { self.passed += 1 } else { self.failed += 1 }
    }

    fn shown(tally: Option<&Self>) -> String {
        match tally {
            None => String::new(),
            Some(Self { passed, failed: 0 }) => format!("{passed} passed"),
            Some(Self { passed, failed }) => format!("{passed} passed, **{failed} failed**"),
        }
    }
}

type Tallies = BTreeMap<String, Tally>;

#[derive(Deserialize)]
struct Report {
    results: Vec<Outcome>,
}

/// What `compare.py` writes, among other things.
#[derive(Deserialize)]
struct Comparison {
    #[serde(rename = "official client")]
    methods: Tallies,
}

#[derive(Deserialize)]
struct Outcome {
    state: String,
    #[serde(default)]
    exercises: Vec<String>,
}

/// Writes the table.
///
/// # Errors
/// When a report cannot be read or the table cannot be written.
pub(crate) fn write(arguments: &TableArguments) -> io::Result<()> {
    let real = read_reports(&arguments.real)?;
    let simulated = read_reports(&arguments.simulated)?;
    let official = read_official(&arguments.official)?;
    fs::write(&arguments.output, table(&real, &simulated, &official))
}

fn read_reports(paths: &[PathBuf]) -> io::Result<Tallies> {
    let mut tallies = Tallies::new();
    for path in paths {
        let report: Report = serde_json::from_slice(&fs::read(path)?)?;
        for outcome in report.results {
            let passed = match outcome.state.as_str() {
                state if state == State::Pass.as_str() => true,
                state if state == State::Fail.as_str() => false,
                _ => continue,
            };
            for name in outcome.exercises {
                tallies.entry(name).or_default().add(passed);
            }
        }
    }
    Ok(tallies)
}

fn read_official(paths: &[PathBuf]) -> io::Result<Tallies> {
    let mut tallies = Tallies::new();
    for path in paths {
        let comparison: Comparison = serde_json::from_slice(&fs::read(path)?)?;
        for (method, found) in comparison.methods {
            let tally = tallies.entry(method).or_default();
            tally.passed += found.passed;
            tally.failed += found.failed;
        }
    }
    Ok(tallies)
}

fn table(real: &Tallies, simulated: &Tallies, official: &Tallies) -> String {
    let mut text = String::from(HEADING);
    for method in DOCUMENTED {
        let official = Tally::shown(official.get(method.name));
        let mut row = |shown: &str, name: &str, official: &str| {
            let reason = REASONS.iter().find(|(known, _)| *known == name);
            let (real, simulated) = match reason {
                Some((_, reason)) => (format!("not applicable: {reason}"), String::new()),
                None => (Tally::shown(real.get(name)), Tally::shown(simulated.get(name))),
            };
            text.push_str(&format!("| {shown} | {real} | {simulated} | {official} |\n"));
        };
        row(&format!("**`{}`**", method.name), method.name, &official);
        for argument in method.arguments {
            row(&format!("&emsp;`{argument}`"), &format!("{}.{argument}", method.name), "");
        }
    }
    text
}

const HEADING: &str = "# Every method of the FLARE API document

Written by `flare-conformance table` from the reports of its runs: each method of `SessionSpec` with each documented argument, and
how many cases that exercise it held. The last column counts calls of the official Python client whose results were the same on the
simulator as on the real server beside it; it is by method.

| method and argument | our client on a real 2.9.0 server | our client on the simulator | official client on the simulator |
|---|---|---|---|
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Case, suites};

    /// Every documented method and argument, as cases name them.
    fn documented() -> impl Iterator<Item = String> {
        DOCUMENTED.iter().flat_map(|method| {
            let arguments = method.arguments.iter().map(|argument| format!("{}.{argument}", method.name));
            std::iter::once(method.name.to_owned()).chain(arguments)
        })
    }

    /// What is wrong with the names that cases give.
    fn problems(cases: &[Case]) -> Vec<String> {
        let reason = |name: &str| REASONS.iter().any(|(known, _)| *known == name);
        let exercised = |name: &str| cases.iter().any(|case| case.exercised().contains(&name));
        let mut problems: Vec<String> = documented()
            .filter(|name| reason(name) == exercised(name))
            .map(|name| {
                let has = if reason(&name) { "a reason and a case" } else { "neither a case nor a reason" };
                format!("{name} has {has}")
            })
            .collect();
        for case in cases {
            for name in case.exercised() {
                if !documented().any(|known| known == *name) {
                    problems.push(format!("{} exercises {name}, which is not documented", case.id()));
                }
                let method = name.split('.').next().unwrap_or_default();
                if !case.exercised().contains(&method) {
                    problems.push(format!("{} exercises {name} without {method}", case.id()));
                }
            }
        }
        problems
    }

    #[test]
    fn comparisons_of_the_official_client_are_added_up_whatever_else_they_tell() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["one", "other"].map(|name| folder.path().join(name));
        for path in &paths {
            let text = r#"{"official client": {"list_jobs": {"passed": 2, "failed": 1}}, "left": "kits", "passed": 2, "failed": []}"#;
            fs::write(path, text).unwrap();
        }
        let official = read_official(&paths).unwrap();
        assert_eq!(official, Tallies::from([("list_jobs".to_owned(), Tally { passed: 4, failed: 2 })]));
    }

    #[test]
    fn every_documented_method_and_argument_has_a_case_or_a_reason() {
        assert_eq!(problems(&suites::all()), Vec::<String>::new());
    }

    #[test]
    fn the_table_shows_what_held_and_what_did_not() {
        let tallies = |entries: &[(&str, usize, usize)]| -> Tallies {
            entries
                .iter()
                .map(|(name, passed, failed)| ((*name).to_owned(), Tally { passed: *passed, failed: *failed }))
                .collect()
        };
        let real = tallies(&[("submit_job", 3, 0), ("submit_job.submit_token", 1, 1)]);
        let text = table(&real, &tallies(&[("submit_job", 4, 0)]), &tallies(&[("submit_job", 7, 0)]));
        let rows: Vec<&str> = text.lines().skip_while(|line| !line.contains("**`submit_job`**")).take(3).collect();
        assert_eq!(
            rows,
            [
                "| **`submit_job`** | 3 passed | 4 passed | 7 passed |",
                "| &emsp;`job_definition_path` |  |  |  |",
                "| &emsp;`submit_token` | 1 passed, **1 failed** |  |  |",
            ]
        );
    }
}
