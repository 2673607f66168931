//! Plans of job folders, and what runs say about themselves.

use crate::jobs::meta::Shown;
use crate::release::Release;
use std::io::Cursor;
use std::time::Duration;

use flare_wire::Moment;
use jiff::tz::Offset;
use serde_json::{Value, json};

use super::workspace::{entries, write_workspace};
use super::*;
use crate::jobs::archive::Archive;
use crate::jobs::definition::JobDefinition;
use crate::jobs::meta::JobStatus;
use crate::jobs::testing::JobFolder;

const ID: &str = "10ecf777-d2eb-4685-bc68-d18e3c5a0d62";

fn plan_with(job: JobFolder, rules: Vec<Rule>) -> RunPlan {
    let (meta, content) = read(&job);
    Behaviours::new(rules).plan(&meta, &content, &["site-1".into(), "site-2".into()])
}

fn read(job: &JobFolder) -> (JobMeta, JobContent) {
    let mut archive = Archive::open(Cursor::new(job.zip())).unwrap();
    let definition = JobDefinition::read("long", &mut archive, Release::V2_9).unwrap();
    let content = JobContent::read(&definition, &mut archive, &[], Moment::default()).unwrap();
    (JobMeta::restored(definition.meta), content)
}

fn long() -> JobFolder {
    let workflow = json!({
        "id": "scatter_and_gather", "name": "ScatterAndGather", "args": {"num_rounds": 60}
    });
    JobFolder::hello("long")
        .app_file("config/config_fed_server.json", json!({"workflows": [workflow]}).to_string().as_bytes())
}

#[test]
fn a_job_runs_as_many_rounds_as_it_says() {
    let plan = plan_with(JobFolder::hello("long"), Vec::new());
    assert_eq!((plan.ending.status(), plan.duration()), (JobStatus::Completed, Some(Duration::from_secs(13))));
    let plan = plan_with(long(), Vec::new());
    assert_eq!(plan.workflows[0].rounds, 60);
    assert_eq!(plan.position(Duration::from_secs(5 + 14)).unwrap().1, 7);
    assert_eq!(plan.position(Duration::from_secs(10_000)).unwrap().1, 59);
}

#[test]
fn a_missing_class_fails_as_it_does_on_a_real_system() {
    let config = |kind: &str, path: &str| {
        let entry = json!({"tasks": ["train"], "executor": {"path": path}, "id": "x", "path": path});
        JobFolder::hello("long").app_file(
            &format!("config/config_fed_{kind}.json"),
            json!({"workflows": [entry], "executors": [entry]}).to_string().as_bytes(),
        )
    };
    let server = plan_with(config("server", "nvflare.no.such.Controller"), Vec::new());
    assert_eq!(server.ending.status(), JobStatus::ExecutionException);
    assert_eq!(server.ending.site_errors(), []);
    let client = plan_with(config("client", "net.Trainer"), Vec::new());
    assert_eq!(client.ending.status(), JobStatus::Abnormal);
    assert_eq!(client.ending.site_errors().len(), 2);
    let custom = config("client", "net.Trainer").app_file("custom/net.py", b"class Trainer(Executor):\n");
    assert_eq!(plan_with(custom, Vec::new()).ending, Ending::Completed);
}

#[test]
fn rules_change_the_jobs_they_fit() {
    let plan = |rule: Rule| plan_with(JobFolder::hello("long").meta("scope", json!("s")), vec![rule]);
    assert_eq!(plan(Rule::named("other").until_aborted()).ending, Ending::Completed);
    assert_eq!(plan(Rule::named("lo*").with_meta("scope", "t").until_aborted()).ending, Ending::Completed);
    let endless = plan(Rule::named("lo*").with_meta("scope", "s").until_aborted());
    assert_eq!(endless.duration(), None);
    let hour = Duration::from_secs(3600);
    assert_eq!(plan(Rule::named("*").running_for(hour)).duration(), Some(hour));
    let failing = plan(Rule::named("*").failing_at("site-2", "ValueError: no"));
    assert_eq!(failing.ending.site_errors(), [("site-2", "ValueError: no")]);
}

fn report_of<'a>(plan: &'a RunPlan, sites: &'a [String], elapsed: Duration) -> RunReport<'a> {
    let started = Moment::from_unix(Duration::from_secs(1_795_671_400));
    RunReport {
        job_id: ID,
        project: "example_project",
        started,
        offset: Offset::UTC,
        plan,
        sites,
        elapsed,
        works: true,
    }
}

#[test]
fn statistics_have_the_recorded_shape() {
    let plan = plan_with(long(), Vec::new());
    let sites = ["site-1".to_owned(), "site-2".to_owned()];
    let report = report_of(&plan, &sites, Duration::from_secs(5));
    let all = ["site-2", "site-1", "site-3"];
    let stats = RunReport::gather(Some(report.server_stats()), all, |site| report.site_stats(site));
    let recorded = &flare_fixtures::reply("show_stats.running.all").reply["data"][0]["data"];
    assert_eq!(Value::Object(stats).to_string(), recorded.to_string());
    let errors = RunReport::gather(Some(report.server_errors(None)), all, |site| report.site_errors(site, None));
    let recorded = &flare_fixtures::reply("show_errors.running.all").reply["data"][0]["data"];
    assert_eq!(Value::Object(errors).to_string(), recorded.to_string());
}

#[test]
fn a_warning_says_what_a_real_one_does() {
    let plan = RunPlan { warns: Some("DXOAggregator".to_owned()), ..plan_with(long(), Vec::new()) };
    let sites = ["site-1".to_owned()];
    let errors = report_of(&plan, &sites, Duration::from_secs(8)).server_errors(None);
    let text = errors["DXOAggregator"]["warning"].as_str().unwrap();
    let start = format!(
        "2026-11-26 05:36:47: [identity=example_project, run={ID}, wf=scatter_and_gather, peer=site-1, peer_run={ID}, \
         peer_rc=OK, task_name=train, task_id="
    );
    assert!(text.starts_with(&start), "{text}");
    let end = "]: Aggregation_weight missing for site-1 and set to default value, 1.0 This kind of message will show 10 times at most.";
    assert!(text.ends_with(end), "{text}");
    assert_eq!(
        report_of(&plan, &sites, Duration::from_secs(8)).server_errors(Some(Duration::from_secs(7))),
        "No Error"
    );
}

#[test]
fn a_silent_site_ends_the_list() {
    let plan = plan_with(long(), vec![Rule::named("*").silent_at("site-2")]);
    let report = report_of(&plan, &[], Duration::ZERO);
    let stats = RunReport::gather(None, ["site-1", "site-2", "site-3"], |site| report.site_stats(site));
    assert_eq!(Value::Object(stats), json!({"site-1": {}, "site-2": "invalid_reply"}));
}

#[test]
fn the_log_has_the_form_of_the_recorded_one() {
    let plan = plan_with(long(), vec![Rule::named("*").with_log("hello")]);
    let started = Moment::from_unix(Duration::from_millis(1_795_308_678_963));
    let log = RunLog {
        job_id: ID,
        project: "example_project",
        plan: &plan,
        started,
        elapsed: Duration::from_secs(8),
        was_aborted: false,
        offset: Offset::UTC,
    };
    let text = log.text();
    let recorded = &flare_fixtures::reply("get_job_log.running.server").reply["data"][0]["data"]["logs"]["server"];
    assert_eq!(text.lines().next(), recorded.as_str().unwrap().lines().next());
    assert!(text.contains(&format!("[identity=example_project, run={ID}] - hello\n")));
    assert!(text.ends_with("Round 1 started.\n"), "{text}");
    let json = &flare_fixtures::reply("get_job_log.running.server_log.json").reply["data"][0]["data"]["logs"]["server"];
    assert_eq!(log.json().lines().next(), json.as_str().unwrap().lines().next());
}

#[test]
fn a_workspace_holds_the_files_of_a_real_one() {
    let job = long().app_file("custom/net.py", b"pass");
    let (mut meta, content) = read(&job);
    meta.set_status(JobStatus::Running, Moment::default());
    meta.set_deploy_detail(&["server: OK".to_owned()]);
    let plan = plan_with(job.clone(), vec![Rule::named("*").with_result("models/server.npy", "data")]);
    let log = RunLog {
        job_id: ID,
        project: "p",
        plan: &plan,
        started: Moment::default(),
        elapsed: Duration::from_secs(9),
        was_aborted: false,
        offset: Offset::UTC,
    };
    let entries = entries(&meta, Shown::default(), "app", content.apps.get("app"), &log);
    let mut archive = Archive::open(Cursor::new(job.zip())).unwrap();
    let out = write_workspace(&entries, &mut archive, Cursor::new(Vec::new())).unwrap();
    let mut workspace = Archive::open(out).unwrap();
    let names: Vec<&str> = workspace.members().iter().map(|member| member.name.as_str()).collect();
    for name in [
        "log.txt",
        "log.json",
        "error_log.txt",
        "log_fl.txt",
        "audit.log",
        "fl_app.txt",
        "meta.json",
        "stats_pool_summary.json",
        "app_server/",
        "app_server/custom/net.py",
        "models/server.npy",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert_eq!(workspace.read_config("app_server/custom/net.py").unwrap(), b"pass");
    assert_eq!(workspace.read_config("fl_app.txt").unwrap(), b"app");
    // The meta in it was written when the app was deployed, before the job was said to run.
    let deployed: Value = serde_json::from_slice(&workspace.read_config("meta.json").unwrap()).unwrap();
    assert_eq!(deployed["status"], "SUBMITTED");
    assert_eq!(deployed.get("job_deploy_detail"), None);
}
