//! The HTML page of reports in a real browser: Debian's Chromium, without a window.
//!
//! Where there is no Chromium the tests say so and prove nothing; with `FLARE_BROWSER` set (CI does) a missing one fails.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use flare_conformance::report::{Direction, Exchange, Outcome, Report, RunFacts, TargetDescription, html};
use flare_conformance::{RoleUnderTest, State, suites};
use serde_json::json;

/// Where the browser is: what `FLARE_BROWSER` says, or what Debian and Ubuntu call it.
fn browser() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("FLARE_BROWSER") {
        return Some(path.into());
    }
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

/// What the browser made of the page.
struct Rendered {
    dom: String,
}

impl Rendered {
    /// How often this is in the document.
    fn count(&self, text: &str) -> usize {
        self.dom.matches(text).count()
    }

    fn rows(&self) -> usize {
        self.count("<tr class=\"row\"")
    }
}

/// Loads the page at such an address, and fails on whatever the browser complains about.
fn load(browser: &Path, page: &Path, hash: &str) -> Rendered {
    let profile = tempfile::tempdir().expect("a folder for the browser");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--enable-logging=stderr", "--v=0", "--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}{hash}", page.display()))
        .output()
        .expect("the browser can be started");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let complaints: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert_eq!(complaints, Vec::<&str>::new());
    Rendered { dom: String::from_utf8(output.stdout).expect("the document is UTF-8") }
}

/// A page about reports, loaded at each of these addresses; nothing when there is no browser.
#[expect(clippy::print_stderr, reason = "a test that proves nothing has to say so")]
fn loaded<const N: usize>(reports: &[Report], hashes: [&str; N]) -> Option<[Rendered; N]> {
    let Some(browser) = browser() else {
        eprintln!("skipped: there is no Chromium; apt-get install chromium, or set FLARE_BROWSER");
        return None;
    };
    let folder = tempfile::tempdir().expect("a folder for the page");
    let page = folder.path().join("page.html");
    std::fs::write(&page, html(reports).expect("the page can be made")).expect("the page can be written");
    Some(hashes.map(|hash| load(&browser, &page, hash)))
}

fn report(scheme: &str, state: impl Fn(usize) -> State) -> Report {
    let target = TargetDescription {
        kind: "simulated".into(),
        name: "in-process simulator".into(),
        scheme: scheme.into(),
        version: Some("2.9.0".into()),
    };
    let outcomes: Vec<Outcome> = suites::all()
        .iter()
        .enumerate()
        .map(|(index, case)| {
            let mut outcome = Outcome::of(case, Ok(()));
            outcome.state = state(index);
            if outcome.state != State::Pass {
                outcome.message = Some("reply: expected \"OK </script>\", observed \"NO\"".into());
                outcome.expected = Some("Reply { status: \"OK </script>\", info: \"x\" }".into());
                outcome.observed = Some("Reply { status: \"NO\", info: \"x\" }".into());
                outcome.transcript = vec![Exchange {
                    at_ms: 1.0,
                    connection: "lead".into(),
                    direction: Direction::Sent,
                    what: "admin/command `list_jobs`".into(),
                    headers: Default::default(),
                    body: Some(json!({"command": "<img src=x onerror=alert(1)>"})),
                }];
            }
            outcome
        })
        .collect();
    let count = outcomes.len();
    Report::new(&target, RoleUnderTest::Server, RunFacts::now(), count, outcomes, Duration::from_secs(9))
}

#[test]
fn a_green_page_has_a_row_per_case_and_says_that_nothing_differs() {
    let Some([page]) = loaded(&[report("http", |_| State::Pass)], [""]) else { return };
    assert_eq!(page.rows(), suites::all().len());
    assert!(page.dom.contains("Nothing differs: "), "{}", page.dom);
    assert_eq!(page.count("<section id=\"differences\" aria-labelledby=\"differences-title\" hidden=\"\">"), 1);
}

#[test]
fn failures_are_listed_first_found_by_filter_and_unfolded_by_address() {
    let reports = [
        report("http", |_| State::Pass),
        report("tcp", |index| match index {
            3 | 5 => State::Fail,
            7 => State::FailExpected,
            _ => State::Pass,
        }),
    ];
    let cases = suites::all();
    let (failed, suite) = (cases[3].id(), cases[3].id().split('.').next().unwrap());
    let open = format!("#open={failed}");
    let text = format!("#q={failed}");
    let of_suite = format!("#suite={suite}");
    let hashes = ["", "#state=fail", "#state=differs", &open, "#view=requirements", &text, &of_suite];
    let Some([all, fails, differs, opened, requirements, text, of_suite]) = loaded(&reports, hashes) else { return };
    assert_eq!(all.rows(), cases.len());
    assert_eq!(all.count("<li><a href=\"#open="), 3);
    assert!(all.dom.contains("2 of "), "the verdict counts");
    assert_eq!([fails.rows(), differs.rows()], [2, 3]);
    assert_eq!(text.rows(), cases.iter().filter(|case| case.id().contains(failed)).count());
    assert_eq!(of_suite.rows(), cases.iter().filter(|case| case.id().split('.').next() == Some(suite)).count());
    assert!(requirements.rows() > 100, "{}", requirements.rows());

    assert_eq!(opened.count("<tr class=\"detail\">"), 1);
    assert!(opened.dom.contains("<mark>OK &lt;/script&gt;</mark>"), "what is expected is marked");
    assert!(opened.dom.contains("<mark>NO</mark>"), "what is observed is marked");
    assert!(opened.dom.contains("admin/command `list_jobs`"), "the transcript is there");
    assert!(!opened.dom.contains("<img"), "what a server says stays text");
    let requirement = cases[3].requirements()[0];
    assert!(opened.dom.contains(&format!("#view=requirements&amp;open={requirement}")), "requirements are links");
}
