//! Traceability: a table from each requirement over its cases to what was last seen of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::manifest::{Manifest, RoleUnderTest};
use crate::requirement::{Requirement, SeedDocument, Standing};
use crate::{Case, Release, State, clients, requirement, suites};

/// Where the reports are, and where the table goes.
#[derive(Debug, Args)]
pub(crate) struct TraceArguments {
    /// Report (`run --json`) of a run on a real target; may be given several times, for runs on several.
    #[arg(long = "report", value_name = "FILE")]
    reports: Vec<PathBuf>,
    /// Where the table is written.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// What of a report matters here.
#[derive(Debug, Deserialize)]
struct Report {
    target: Target,
    #[serde(default)]
    run: Run,
    results: Vec<Outcome>,
}

#[derive(Debug, Default, Deserialize)]
struct Run {
    /// When the run began, as a time or a day.
    started: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: String,
    scheme: String,
    version: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    check: String,
    state: String,
}

/// What was seen of a case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Observation {
    day: Date,
    version: String,
    kind: String,
    scheme: String,
    state: String,
}

impl Observation {
    /// Whether it says something about the case.
    fn is_verdict(&self) -> bool {
        ![State::Unsupported, State::Untestable, State::Indeterminate, State::HarnessError]
            .iter()
            .any(|state| state.as_str() == self.state)
    }

    fn where_and_when(&self) -> String {
        format!("{} {} over {}, {}", self.kind, self.version, self.scheme, self.day)
    }
}

type Observations = BTreeMap<String, Vec<Observation>>;

/// Writes the table.
///
/// # Errors
/// When a report cannot be read or the table cannot be written.
pub(crate) fn write(arguments: &TraceArguments) -> io::Result<()> {
    let mut observations = Observations::new();
    for path in &arguments.reports {
        let report: Report = serde_json::from_slice(&fs::read(path)?)?;
        let day = day(&report, path)?;
        for (case, observation) in observed(report, day) {
            observations.entry(case).or_default().push(observation);
        }
    }
    let registry: Vec<&Requirement> = requirement::all().collect();
    let cases: Vec<Case> = suites::all().into_iter().chain(clients::catalogue()).collect();
    fs::write(&arguments.output, table(&registry, &cases, &observations))
}

/// The day that the report tells, or that on which its file was written.
fn day(report: &Report, path: &Path) -> io::Result<Date> {
    if let Some(day) = report.run.started.as_deref().and_then(|started| started.get(..10)?.parse().ok()) {
        return Ok(day);
    }
    let written = Timestamp::try_from(fs::metadata(path)?.modified()?).map_err(io::Error::other)?;
    Ok(written.to_zoned(TimeZone::UTC).date())
}

fn observed(report: Report, day: Date) -> impl Iterator<Item = (String, Observation)> {
    let Target { kind, scheme, version } = report.target;
    let version = version.unwrap_or_else(|| "of unknown release".to_owned());
    report.results.into_iter().map(move |Outcome { check, state }| {
        let (version, kind, scheme) = (version.clone(), kind.clone(), scheme.clone());
        (check, Observation { day, version, kind, scheme, state })
    })
}

fn table(registry: &[&Requirement], cases: &[Case], observations: &Observations) -> String {
    let mut text = String::from(HEADING);
    write_figures(&mut text, registry, cases);
    for area in areas(registry) {
        let title = area.to_lowercase();
        let _ = writeln!(
            text,
            "\n## {title}\n\n| requirement | | since | what holds | from | cases | last seen |\n|---|---|---|---|---|---|---|"
        );
        for requirement in registry.iter().filter(|requirement| area_of(requirement) == area) {
            let (cases, seen) = evidence(requirement, cases, observations);
            let note = requirement.note.as_ref().map(|note| format!("<br>*{}*", cell(note))).unwrap_or_default();
            let _ = writeln!(
                text,
                "| {} | {} | {} | {}{note} | {} | {cases} | {seen} |",
                requirement.id,
                requirement.keyword,
                requirement.since,
                cell(&requirement.text),
                cell(&requirement.origin()),
            );
        }
    }
    text
}

fn area_of(requirement: &Requirement) -> &str {
    requirement.id.split('-').next().unwrap_or_default()
}

/// The areas, in the order of the registry.
fn areas<'a>(registry: &[&'a Requirement]) -> Vec<&'a str> {
    let mut areas = Vec::new();
    for requirement in registry {
        let area = area_of(requirement);
        if !areas.contains(&area) {
            areas.push(area);
        }
    }
    areas
}

/// How many requirements stand how, and how many sentences and cases there are.
fn write_figures(text: &mut String, registry: &[&Requirement], cases: &[Case]) {
    let count =
        |wanted: fn(Standing<'_>) -> bool| registry.iter().filter(|requirement| wanted(requirement.standing())).count();
    let checked = count(|standing| standing == Standing::Checked);
    let excluded = count(|standing| matches!(standing, Standing::Excluded { .. }));
    let planned = count(|standing| matches!(standing, Standing::Planned { .. }));
    let _ = writeln!(
        text,
        "* {} requirements: {checked} checked by cases, {excluded} excluded with a reason, {planned} planned.",
        registry.len()
    );
    for document in SeedDocument::ALL {
        let mut sentences: Vec<usize> =
            registry.iter().flat_map(|requirement| requirement.sentences(document)).collect();
        sentences.sort_unstable();
        sentences.dedup();
        let _ = writeln!(text, "* {} sentences of `{}` are covered.", sentences.len(), document.name());
    }
    for set in Manifest::all() {
        let [server, client] = [RoleUnderTest::Server, RoleUnderTest::Client].map(|role| set.size(role));
        let release = set.release();
        let _ = writeln!(text, "* {server} cases of a server and {client} of a client count for release {release}.");
    }
    let of_client = cases.iter().filter(|case| RoleUnderTest::of_case(case.id()) == RoleUnderTest::Client).count();
    let _ = writeln!(text, "* {} cases of a server and {of_client} of a client in all.", cases.len() - of_client);
}

/// The cells of cases and of what was last seen. A requirement counts as seen only where its release, or a later one, ran.
fn evidence(requirement: &Requirement, cases: &[Case], observations: &Observations) -> (String, String) {
    match requirement.standing() {
        Standing::Excluded { reason } => return (format!("excluded: {}", cell(reason)), String::new()),
        Standing::Planned { reason } => return (format!("planned: {}", cell(reason)), String::new()),
        Standing::Checked => {}
    }
    let ids: Vec<&str> =
        cases.iter().filter(|case| case.requirements().contains(&requirement.id.as_str())).map(Case::id).collect();
    let counts = |observation: &&Observation| {
        let release: Option<Release> = observation.version.parse().ok();
        observation.is_verdict() && release.is_some_and(|release| release >= requirement.since)
    };
    // By day and place; of a case the last report there counts.
    let mut places: BTreeMap<(Date, String), BTreeMap<&str, &str>> = BTreeMap::new();
    for (id, seen) in ids.iter().filter_map(|id| observations.get_key_value(*id)) {
        for observation in seen.iter().filter(counts) {
            let place = places.entry((observation.day, observation.where_and_when())).or_default();
            place.insert(id, &observation.state);
        }
    }
    let seen: Vec<String> = places
        .iter()
        .rev()
        .map(|((_, place), states)| {
            let number = |state: &State| states.values().filter(|seen| **seen == state.as_str()).count();
            let told =
                State::ALL.iter().filter(|state| number(state) > 0).map(|state| format!("{} {state}", number(state)));
            format!("{}: {place}", told.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let seen = if seen.is_empty() { "not yet".to_owned() } else { seen.join("<br>") };
    (named(&ids), seen)
}

/// How many cases are named before the rest is counted.
const NAMED: usize = 6;

fn named(ids: &[&str]) -> String {
    let mut names: Vec<String> = ids.iter().take(NAMED).map(|id| format!("`{id}`")).collect();
    if ids.len() > NAMED {
        names.push(format!("and {} more", ids.len() - NAMED));
    }
    names.join(" ")
}

/// Text that does not end the cell it stands in.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

const HEADING: &str = "# Requirements, their cases, and what was last seen

Written by `flare-conformance trace` from the registry (`conformance/requirements`), the cases, and the reports of runs. `flare-api N` and
`fladmin-api N` are sentences of the seed documents (`fixtures/seeds`), `recorded X` is a reply in `fixtures/replies`, names that end in `.md`
are documents of the project with verified behaviour. *Since* is the first of the releases looked at (2.7.3, 2.8.3, 2.9.0) that is known to
do so. Where a note stands, real servers do otherwise than the source says, and the requirement says what they do.

";

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn requirement(line: &str) -> Requirement {
        serde_saphyr::from_str(line).unwrap()
    }

    fn seen(version: &str, state: &str, day: Date) -> Observation {
        let text = |text: &str| text.to_owned();
        Observation { day, version: text(version), kind: text("deployed"), scheme: text("http"), state: text(state) }
    }

    #[test]
    fn a_requirement_shows_its_cases_and_what_was_last_seen() {
        let checked =
            requirement("{id: A-B-001, keyword: MUST, since: '2.9', text: a | b, from: flare-api 1, note: n}");
        let planned =
            requirement("{id: A-B-002, keyword: MAY, since: '2.7', text: c, from: fladmin-api 3, planned: later}");
        let cases = [
            Case::new("a.one", "one", |_| async { Ok(()) }).checks(&["A-B-001"]),
            Case::new("a.two", "two", |_| async { Ok(()) }).checks(&["A-B-001"]),
        ];
        let (before, after) = (date(2026, 11, 25), date(2026, 11, 26));
        let observations = [
            ("a.one", vec![seen("2.9.0", "pass", before), seen("2.8.3", "pass", after), seen("2.9.0", "pass", after)]),
            ("a.two", vec![seen("2.9.0", "fail", after), seen("2.9.0", "untestable", before)]),
        ];
        let observations = observations.map(|(id, seen)| (id.to_owned(), seen)).into();
        let text = table(&[&checked, &planned], &cases, &observations);
        let rows: Vec<&str> = text.lines().skip_while(|line| *line != "## a").collect();
        insta::assert_snapshot!(rows.join("\n"), @r"
        ## a

        | requirement | | since | what holds | from | cases | last seen |
        |---|---|---|---|---|---|---|
        | A-B-001 | MUST | 2.9 | a \| b<br>*n* | flare-api 1 | `a.one` `a.two` | 1 pass, 1 fail: deployed 2.9.0 over http, 2026-11-26<br>1 pass: deployed 2.9.0 over http, 2026-11-25 |
        | A-B-002 | MAY | 2.7 | c | fladmin-api 3 | planned: later |  |
        ");
        assert!(text.contains("2 requirements: 1 checked by cases, 0 excluded with a reason, 1 planned."), "{text}");
    }

    #[test]
    fn the_day_of_a_report_is_what_it_says_or_that_of_its_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let report = |started: &str| -> Report {
            let text = r#"{"target": {"kind": "deployed", "scheme": "http", "version": null}, "results": []"#;
            serde_json::from_str(&format!("{text}{started}}}")).unwrap()
        };
        assert_eq!(
            day(&report(r#", "run": {"started": "2026-11-26T02:10:00Z"}"#), file.path()).unwrap(),
            date(2026, 11, 26)
        );
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
        let told = day(&report(""), file.path()).unwrap();
        assert!((today - told).get_days() <= 1, "{told}");
    }
}
