//! Every method that asks one thing: the line that it sends, and what becomes of the reply.

use std::sync::Arc;

use flare_client::{StudyName, StudySites};
use serde_json::Value;

use super::{About, case};
use crate::clients::bout::{Bout, CHIEF, FOREIGN_SITE, OFFICE, SECOND_SITE, SITE};
use crate::clients::process::Subject;
use crate::finding::{ensure, ensure_eq};
use crate::{Case, CaseResult, Finding};

/// What has to be there before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    /// Nothing.
    Plain,
    /// A job that waits.
    Waiting,
    /// A job that has ended.
    Finished,
    /// A job that runs.
    Running,
    /// A study `trial` with one site.
    Study,
    /// The administrator of an organisation asks.
    Office,
}

/// What the value of the call looks like.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Anything,
    Text,
    /// A text that has this in it.
    TextWith(&'static str),
    List,
    /// A list of so many entries.
    ListOf(usize),
    /// An object with at least these keys.
    Object(&'static [&'static str]),
    /// An object with an entry of this name at this key.
    Names(&'static str, &'static str),
    /// A list in which an entry has this name at this key.
    Lists(&'static str, &'static str),
}

impl Shape {
    fn check(self, call: &str, value: &Value) -> CaseResult {
        let fits = match self {
            Self::Anything => true,
            Self::Text => value.as_str().is_some_and(|text| !text.is_empty()),
            Self::TextWith(part) => value.as_str().is_some_and(|text| text.contains(part)),
            Self::List => value.is_array(),
            Self::ListOf(length) => value.as_array().is_some_and(|list| list.len() == length),
            Self::Object(keys) => keys.iter().all(|key| value.get(key).is_some()),
            Self::Names(key, name) => match value.get(key) {
                Some(Value::Array(names)) => names.iter().any(|entry| entry == name),
                Some(entry) => entry == name,
                None => false,
            },
            Self::Lists(key, name) => value
                .as_array()
                .is_some_and(|list| list.iter().any(|entry| entry.get(key).is_some_and(|it| it == name))),
        };
        if fits {
            return Ok(());
        }
        let shown: String = value.to_string().chars().take(300).collect();
        Err(Finding::fail(format!("{call}: expected {self:?}, observed {shown}")))
    }
}

struct Row {
    about: About,
    method: &'static str,
    arguments: &'static str,
    lines: &'static [&'static str],
    shape: Shape,
    setting: Setting,
}

const fn row(
    id: &'static str,
    title: &'static str,
    requirements: &'static [&'static str],
    method: &'static [&'static str; 1],
    arguments: &'static str,
    lines: &'static [&'static str],
) -> Row {
    let about = super::about(id, title, requirements, method);
    Row { about, method: method[0], arguments, lines, shape: Shape::Anything, setting: Setting::Plain }
}

impl Row {
    const fn gives(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    const fn with(mut self, setting: Setting) -> Self {
        self.setting = setting;
        self
    }
}

/// Names that stand in the rows for what is known only later.
pub(super) fn filled(text: &str, job: &str) -> String {
    let names = [
        ("{job}", job),
        ("{site}", SITE),
        ("{second}", SECOND_SITE),
        ("{foreign}", FOREIGN_SITE),
        ("{office}", OFFICE),
    ];
    names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// Arguments with the names filled in.
pub(super) fn arguments(text: &str, job: &str) -> CaseResult<Value> {
    serde_json::from_str(&filled(text, job)).map_err(|error| Finding::harness(format!("{text}: {error}")))
}

/// Prepares what has to be there, lets the client log in, and gives the id of the job if there is one.
pub(super) async fn prepared(subject: &Subject, setting: Setting) -> CaseResult<(Bout, String)> {
    let mut bout = Bout::open(subject).await?;
    let job = match setting {
        Setting::Plain | Setting::Office => String::new(),
        Setting::Waiting => bout.waiting_job().await?,
        Setting::Finished => bout.finished_job().await?,
        Setting::Running => bout.running_job().await?,
        Setting::Study => {
            let session = bout.own_session().await?;
            session.register_study(&StudyName::new("trial")?, &StudySites::of_org("hospital", [SITE])?).await?;
            session.close().await;
            bout.wire.forget();
            String::new()
        }
    };
    bout.connect_as(if setting == Setting::Office { OFFICE } else { CHIEF }).await?;
    Ok((bout, job))
}

pub(super) fn cases(subject: &Arc<Subject>) -> Vec<Case> {
    let rows = [SYSTEM, SHELL, JOBS, STUDIES].into_iter().flatten();
    let mut cases: Vec<Case> = rows
        .map(|row| {
            let Row { about, method, arguments: text, lines, shape, setting } = row;
            let about = super::about(about.id, about.title, about.requirements, about.methods);
            case(subject, about, move |subject| async move {
                let (mut bout, job) = prepared(&subject, *setting).await?;
                let value = bout.value(method, arguments(text, &job)?).await?;
                let expected: Vec<String> = lines.iter().map(|line| filled(line, &job)).collect();
                ensure_eq!(bout.wire.lines(), expected, "the lines that {method} sent");
                shape.check(method, &value)
            })
        })
        .collect();
    cases.push(case(
        subject,
        super::about(
            "jobs.clone-is-another",
            "a clone has an id of its own and names its original",
            &["JOB-CLONE-001"],
            &["clone_job", "get_job_meta"],
        ),
        clone_is_another,
    ));
    cases
}

async fn clone_is_another(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, job) = prepared(&subject, Setting::Waiting).await?;
    let arguments = |id: &str| serde_json::json!({"job_id": id});
    let clone = bout.value("clone_job", arguments(&job)).await?;
    let clone = clone.as_str().unwrap_or_default().to_owned();
    ensure!(clone != job && bout.status(&clone).is_some(), "the clone {clone:?} of {job} is no job of its own");
    let meta = bout.value("get_job_meta", arguments(&clone)).await?;
    ensure_eq!(meta["job_id"], Value::from(clone), "job_id of the clone");
    ensure_eq!(meta["cloned_from"], Value::from(job), "cloned_from of the clone");
    Ok(())
}

const LINE: &str = "CLIENT-LINE-001";

static SYSTEM: &[Row] = &[
    row(
        "system.info",
        "get_system_info gives server, sites and jobs",
        &["API-SYSTEM-001", LINE],
        &["get_system_info"],
        "{}",
        &["check_status server"],
    )
    .gives(Shape::Object(&["server_info", "client_info", "job_info"])),
    row(
        "system.clients",
        "get_connected_client_list gives the sites",
        &["API-SYSTEM-002", LINE],
        &["get_connected_client_list"],
        "{}",
        &["check_status server"],
    )
    .gives(Shape::Lists("name", SITE)),
    row(
        "system.status-all",
        "check_status of all",
        &["API-STATUS-001", LINE],
        &["check_status"],
        r#"{"target_type": "all"}"#,
        &["check_status all"],
    )
    .gives(Shape::Object(&["server_status", "server_start_time", "clients", "client_status"])),
    row(
        "system.status-server",
        "check_status of the server",
        &["API-STATUS-001", LINE],
        &["check_status"],
        r#"{"target_type": "server"}"#,
        &["check_status server"],
    )
    .gives(Shape::Object(&["server_status", "clients"])),
    row(
        "system.status-site",
        "check_status of one site",
        &["API-STATUS-001", LINE],
        &["check_status"],
        r#"{"target_type": "client", "targets": ["{site}"]}"#,
        &["check_status client {site}"],
    )
    .gives(Shape::Object(&["client_status"])),
    row(
        "system.site-jobs",
        "get_client_job_status of every site has an entry for each",
        &["API-STATUS-002", LINE],
        &["get_client_job_status"],
        "{}",
        &["check_status client"],
    )
    .gives(Shape::ListOf(3)),
    row(
        "system.site-jobs-named",
        "get_client_job_status of named sites has entries for these",
        &["API-STATUS-002", LINE],
        &["get_client_job_status"],
        r#"{"client_names": ["{site}", "{second}"]}"#,
        &["check_status client {site} {second}"],
    )
    .gives(Shape::ListOf(2)),
    row(
        "system.resources",
        "report_resources of all",
        &["API-RESOURCES-001", LINE],
        &["report_resources"],
        r#"{"target_type": "all"}"#,
        &["report_resources all"],
    )
    .gives(Shape::Object(&["server", SITE, SECOND_SITE])),
    row(
        "system.resources-site",
        "report_resources of one site",
        &["API-RESOURCES-001", LINE],
        &["report_resources"],
        r#"{"target_type": "client", "targets": ["{site}"]}"#,
        &["report_resources client {site}"],
    )
    .gives(Shape::Object(&[SITE])),
    row(
        "system.version",
        "report_version of all",
        &["API-VERSION-001", LINE],
        &["report_version"],
        r#"{"target_type": "all"}"#,
        &["report_version all"],
    )
    .gives(Shape::Object(&["server", SITE])),
    row(
        "system.version-site",
        "report_version of one site",
        &["API-VERSION-001", LINE],
        &["report_version"],
        r#"{"target_type": "client", "targets": ["{site}"]}"#,
        &["report_version client {site}"],
    )
    .gives(Shape::Object(&[SITE])),
    row(
        "system.apps",
        "get_available_apps_to_upload asks nobody",
        &["API-APPS-001"],
        &["get_available_apps_to_upload"],
        "{}",
        &[],
    )
    .gives(Shape::List),
    row(
        "system.disable",
        "disable_client says that the site is disabled",
        &["SITE-DISABLE-001", LINE],
        &["disable_client"],
        r#"{"client_name": "{site}"}"#,
        &["disable_client {site}"],
    )
    .gives(Shape::Object(&["clients"])),
    row(
        "system.enable",
        "enable_client says that the site is enabled",
        &["SITE-ENABLE-001", LINE],
        &["enable_client"],
        r#"{"client_name": "{site}"}"#,
        &["enable_client {site}"],
    )
    .gives(Shape::Object(&["clients"])),
    row(
        "system.remove",
        "remove_client drops a site's registration",
        &["SITE-REMOVE-001", LINE],
        &["remove_client"],
        r#"{"client_name": "{site}"}"#,
        &["remove_client {site}"],
    ),
    row(
        "system.log",
        "configure_site_log for all",
        &["SITE-LOG-001", LINE],
        &["configure_site_log"],
        r#"{"config": "INFO"}"#,
        &["configure_site_log all INFO"],
    ),
    row(
        "system.log-server",
        "configure_site_log for the server, by mode",
        &["SITE-LOG-001", LINE],
        &["configure_site_log"],
        r#"{"config": "concise", "target": "server"}"#,
        &["configure_site_log server concise"],
    ),
    row(
        "system.restart-site",
        "restart of a site without waiting",
        &["SITE-RESTART-001", LINE],
        &["restart"],
        r#"{"target_type": "client", "client_names": ["{site}"], "wait": false}"#,
        &["restart client {site}"],
    ),
    row(
        "system.restart-all",
        "restart of everything without waiting",
        &["SYSTEM-RESTART-001", LINE],
        &["restart"],
        r#"{"target_type": "all", "wait": false}"#,
        &["restart all"],
    ),
    row(
        "system.shutdown-site",
        "shutdown of a site without waiting",
        &["SYSTEM-SHUTDOWN-002", LINE],
        &["shutdown"],
        r#"{"target_type": "client", "client_names": ["{site}"], "wait": false}"#,
        &["shutdown client {site}"],
    ),
    row(
        "system.shutdown-all",
        "shutdown of everything without waiting",
        &["SYSTEM-SHUTDOWN-003", LINE],
        &["shutdown"],
        r#"{"target_type": "all", "wait": false}"#,
        &["shutdown all"],
    ),
];

static SHELL: &[Row] = &[
    row(
        "shell.pwd",
        "get_working_directory of the server",
        &["API-SHELL-001", LINE],
        &["get_working_directory"],
        r#"{"target": "server"}"#,
        &["pwd server"],
    )
    .gives(Shape::TextWith("/")),
    row(
        "shell.pwd-site",
        "get_working_directory of a site",
        &["API-SHELL-001", LINE],
        &["get_working_directory"],
        r#"{"target": "{site}"}"#,
        &["pwd {site}"],
    )
    .gives(Shape::TextWith(SITE)),
    row(
        "shell.ls",
        "ls_target with options and a path",
        &["API-SHELL-002", LINE],
        &["ls_target"],
        r#"{"target": "server", "options": "-l", "path": "startup"}"#,
        &["ls server -l startup"],
    )
    .gives(Shape::TextWith("fed_server.json")),
    row(
        "shell.ls-plain",
        "ls_target with nothing but a target",
        &["API-SHELL-002", LINE],
        &["ls_target"],
        r#"{"target": "{site}"}"#,
        &["ls {site}"],
    )
    .gives(Shape::TextWith("startup")),
    row(
        "shell.cat",
        "cat_target with options",
        &["API-SHELL-003", LINE],
        &["cat_target"],
        r#"{"target": "server", "options": "-n", "file": "startup/fed_server.json"}"#,
        &["cat server -n startup/fed_server.json"],
    )
    .gives(Shape::Text),
    row(
        "shell.head",
        "head_target with an option that has a value",
        &["API-SHELL-004", LINE],
        &["head_target"],
        r#"{"target": "server", "options": "-n 2", "file": "startup/fed_server.json"}"#,
        &["head server -n 2 startup/fed_server.json"],
    )
    .gives(Shape::Text),
    row(
        "shell.tail",
        "tail_target",
        &["API-SHELL-005", LINE],
        &["tail_target"],
        r#"{"target": "{site}", "file": "startup/fed_client.json"}"#,
        &["tail {site} startup/fed_client.json"],
    )
    .gives(Shape::Text),
    row(
        "shell.grep",
        "grep_target with a pattern",
        &["API-SHELL-006", LINE],
        &["grep_target"],
        r#"{"target": "server", "options": "-n", "pattern": "format_version", "file": "startup/fed_server.json"}"#,
        &["grep server -n format_version startup/fed_server.json"],
    )
    .gives(Shape::TextWith("format_version")),
    row(
        "shell.head-log",
        "head_target_log reads the log",
        &["API-SHELL-007", LINE],
        &["head_target_log"],
        r#"{"target": "server", "options": "-n 3"}"#,
        &["head server -n 3 log.txt"],
    )
    .gives(Shape::Text),
    row(
        "shell.tail-log",
        "tail_target_log reads the log",
        &["API-SHELL-008", LINE],
        &["tail_target_log"],
        r#"{"target": "server"}"#,
        &["tail server log.txt"],
    )
    .gives(Shape::Text),
    row(
        "shell.options-two",
        "two options are two words to the server",
        &["API-SHELL-002"],
        &["ls_target"],
        r#"{"target": "server", "options": "-l -a"}"#,
        &["ls server -l -a"],
    )
    .gives(Shape::TextWith("startup")),
    row(
        "shell.complaint",
        "what the program complains about is a result",
        &["API-SHELL-009"],
        &["cat_target"],
        r#"{"target": "server", "file": "missing.txt"}"#,
        &["cat server missing.txt"],
    )
    .gives(Shape::TextWith("No such file")),
];

static JOBS: &[Row] = &[
    row("jobs.list", "list_jobs gives the jobs", &["API-JOBS-001", LINE], &["list_jobs"], "{}", &["list_jobs"])
        .with(Setting::Waiting)
        .gives(Shape::ListOf(1)),
    row(
        "jobs.list-none",
        "list_jobs of a server without jobs is an empty list",
        &["API-JOBS-001"],
        &["list_jobs"],
        "{}",
        &["list_jobs"],
    )
    .gives(Shape::ListOf(0)),
    row(
        "jobs.list-detailed",
        "list_jobs in detail",
        &["JOB-LIST-001", LINE],
        &["list_jobs"],
        r#"{"detailed": true}"#,
        &["list_jobs -d"],
    )
    .with(Setting::Waiting)
    .gives(Shape::Lists("submitter_name", CHIEF)),
    row(
        "jobs.list-options",
        "list_jobs with limit, prefixes and order",
        &["JOB-LIST-001", "API-JOBS-002", LINE],
        &["list_jobs"],
        r#"{"limit": 5, "id_prefix": "0a", "name_prefix": "referee", "reverse": true}"#,
        &["list_jobs -r -m 5 -n referee 0a"],
    )
    .with(Setting::Waiting)
    .gives(Shape::List),
    row(
        "jobs.list-token",
        "list_jobs by submit token",
        &["JOB-LIST-001", LINE],
        &["list_jobs"],
        r#"{"submit_token": "nobody-used-this"}"#,
        &["list_jobs --submit-token nobody-used-this"],
    )
    .with(Setting::Waiting)
    .gives(Shape::ListOf(0)),
    row(
        "jobs.meta",
        "get_job_meta gives what the job is",
        &["JOB-SUBMIT-001", LINE],
        &["get_job_meta"],
        r#"{"job_id": "{job}"}"#,
        &["get_job_meta {job}"],
    )
    .with(Setting::Waiting)
    .gives(Shape::Object(&["job_id", "status", "submitter_name", "study"])),
    row(
        "jobs.clone",
        "clone_job gives the id of the clone",
        &["JOB-CLONE-001", LINE],
        &["clone_job"],
        r#"{"job_id": "{job}"}"#,
        &["clone_job {job}"],
    )
    .with(Setting::Waiting)
    .gives(Shape::Text),
    row(
        "jobs.abort",
        "abort_job of a job that waits",
        &["JOB-ABORT-001", LINE],
        &["abort_job"],
        r#"{"job_id": "{job}"}"#,
        &["abort_job {job}"],
    )
    .with(Setting::Waiting),
    row(
        "jobs.abort-running",
        "abort_job of a job that runs",
        &["JOB-ABORT-001", LINE],
        &["abort_job"],
        r#"{"job_id": "{job}"}"#,
        &["abort_job {job}"],
    )
    .with(Setting::Running),
    row(
        "jobs.abort-ended",
        "abort_job of a job that has ended is no error",
        &["JOB-ABORT-001"],
        &["abort_job"],
        r#"{"job_id": "{job}"}"#,
        &["abort_job {job}"],
    )
    .with(Setting::Finished),
    row(
        "jobs.delete",
        "delete_job of a job that has ended",
        &["JOB-DELETE-001", LINE],
        &["delete_job"],
        r#"{"job_id": "{job}"}"#,
        &["delete_job {job}"],
    )
    .with(Setting::Finished)
    .gives(Shape::Object(&["job_id"])),
    row(
        "jobs.components",
        "list_job_components of a job without any",
        &["JOB-COMPONENTS-001", LINE],
        &["list_job_components"],
        r#"{"job_id": "{job}"}"#,
        &["list_job {job}"],
    )
    .with(Setting::Finished)
    .gives(Shape::ListOf(0)),
    row(
        "jobs.stats",
        "show_stats of all",
        &["JOB-STATS-001", LINE],
        &["show_stats"],
        r#"{"job_id": "{job}", "target_type": "all"}"#,
        &["show_stats {job} all"],
    )
    .with(Setting::Running)
    .gives(Shape::Object(&["server", SITE])),
    row(
        "jobs.stats-server",
        "show_stats of the server",
        &["JOB-STATS-001", LINE],
        &["show_stats"],
        r#"{"job_id": "{job}", "target_type": "server"}"#,
        &["show_stats {job} server"],
    )
    .with(Setting::Running)
    .gives(Shape::Object(&["server"])),
    row(
        "jobs.stats-site",
        "show_stats of a site",
        &["JOB-STATS-001", LINE],
        &["show_stats"],
        r#"{"job_id": "{job}", "target_type": "client", "targets": ["{site}"]}"#,
        &["show_stats {job} client {site}"],
    )
    .with(Setting::Running)
    .gives(Shape::Object(&[SITE])),
    row(
        "jobs.errors",
        "show_errors of all",
        &["JOB-STATS-001", LINE],
        &["show_errors"],
        r#"{"job_id": "{job}", "target_type": "all"}"#,
        &["show_errors {job} all"],
    )
    .with(Setting::Running)
    .gives(Shape::Object(&["server"])),
    row(
        "jobs.errors-site",
        "show_errors of a site",
        &["JOB-STATS-001", LINE],
        &["show_errors"],
        r#"{"job_id": "{job}", "target_type": "client", "targets": ["{site}"]}"#,
        &["show_errors {job} client {site}"],
    )
    .with(Setting::Running)
    .gives(Shape::Object(&[SITE])),
    row(
        "jobs.reset-errors",
        "reset_errors is for all",
        &["JOB-STATS-001", LINE],
        &["reset_errors"],
        r#"{"job_id": "{job}"}"#,
        &["reset_errors {job} all"],
    )
    .with(Setting::Running),
    row(
        "jobs.logs",
        "get_job_logs of the server",
        &["JOB-LOGS-001", LINE],
        &["get_job_logs"],
        r#"{"job_id": "{job}"}"#,
        &["get_job_log {job} server"],
    )
    .with(Setting::Finished)
    .gives(Shape::Object(&["logs"])),
    row(
        "jobs.logs-all",
        "get_job_logs of all",
        &["JOB-LOGS-001", LINE],
        &["get_job_logs"],
        r#"{"job_id": "{job}", "target": "all"}"#,
        &["get_job_log {job} all"],
    )
    .with(Setting::Finished)
    .gives(Shape::Object(&["logs"])),
    row(
        "jobs.logs-json",
        "get_job_logs of the other file",
        &["JOB-LOGS-001", LINE],
        &["get_job_logs"],
        r#"{"job_id": "{job}", "log_file_name": "log.json"}"#,
        &["get_job_log {job} server log.json"],
    )
    .with(Setting::Finished)
    .gives(Shape::Object(&["logs"])),
    row(
        "jobs.logs-tail",
        "get_job_logs shortened on this side",
        &["JOB-LOGS-001"],
        &["get_job_logs"],
        r#"{"job_id": "{job}", "tail_lines": 1}"#,
        &["get_job_log {job} server"],
    )
    .with(Setting::Finished)
    .gives(Shape::Object(&["logs"])),
    row(
        "jobs.log-level",
        "configure_job_log for all",
        &["SITE-LOG-001", LINE],
        &["configure_job_log"],
        r#"{"job_id": "{job}", "config": "DEBUG"}"#,
        &["configure_job_log {job} all DEBUG"],
    )
    .with(Setting::Running),
    row(
        "jobs.log-level-site",
        "configure_job_log for one site",
        &["SITE-LOG-001", LINE],
        &["configure_job_log"],
        r#"{"job_id": "{job}", "config": "INFO", "target": "{site}"}"#,
        &["configure_job_log {job} client {site} INFO"],
    )
    .with(Setting::Running),
];

static STUDIES: &[Row] = &[
    row(
        "studies.register",
        "register_study by organisation",
        &["STUDY-REGISTER-001", LINE],
        &["register_study"],
        r#"{"study": "trial", "site_orgs": ["hospital:{site},{second}", "clinic:{foreign}"]}"#,
        &["register_study trial --site-org hospital:{site},{second} --site-org clinic:{foreign}"],
    )
    .gives(Shape::Names("sites", SITE)),
    row(
        "studies.register-sites",
        "register_study by an organisation's own sites",
        &["STUDY-REGISTER-002", LINE],
        &["register_study"],
        r#"{"study": "trial", "sites": ["{site}", "{second}"]}"#,
        &["register_study trial --sites {site},{second}"],
    )
    .with(Setting::Office)
    .gives(Shape::Names("sites", SECOND_SITE)),
    row(
        "studies.add-site",
        "add_study_site tells what was added",
        &["STUDY-SITE-001", LINE],
        &["add_study_site"],
        r#"{"study": "trial", "site_orgs": ["hospital:{site},{second}"]}"#,
        &["add_study_site trial --site-org hospital:{site},{second}"],
    )
    .with(Setting::Study)
    .gives(Shape::Names("added", SECOND_SITE)),
    row(
        "studies.remove-site",
        "remove_study_site tells what was removed",
        &["STUDY-SITE-002", LINE],
        &["remove_study_site"],
        r#"{"study": "trial", "site_orgs": ["hospital:{site}"]}"#,
        &["remove_study_site trial --site-org hospital:{site}"],
    )
    .with(Setting::Study)
    .gives(Shape::Names("removed", SITE)),
    row(
        "studies.remove",
        "remove_study removes it",
        &["STUDY-REMOVE-001", LINE],
        &["remove_study"],
        r#"{"study": "trial"}"#,
        &["remove_study trial"],
    )
    .with(Setting::Study)
    .gives(Shape::Names("name", "trial")),
    row(
        "studies.list",
        "list_studies gives the studies",
        &["STUDY-LIST-001", LINE],
        &["list_studies"],
        "{}",
        &["list_studies"],
    )
    .with(Setting::Study)
    .gives(Shape::Names("studies", "trial")),
    row(
        "studies.show",
        "show_study shows sites and users",
        &["STUDY-SHOW-001", LINE],
        &["show_study"],
        r#"{"study": "trial"}"#,
        &["show_study trial"],
    )
    .with(Setting::Study)
    .gives(Shape::Object(&["name", "sites", "users", "site_orgs"])),
    row(
        "studies.add-user",
        "add_study_user",
        &["STUDY-USER-001", LINE],
        &["add_study_user"],
        r#"{"study": "trial", "user": "{office}"}"#,
        &["add_study_user trial {office}"],
    )
    .with(Setting::Study)
    .gives(Shape::Names("user", OFFICE)),
    row(
        "studies.remove-user",
        "remove_study_user",
        &["STUDY-USER-002", LINE],
        &["remove_study_user"],
        r#"{"study": "trial", "user": "chief@hospital.test"}"#,
        &["remove_study_user trial chief@hospital.test"],
    )
    .with(Setting::Study)
    .gives(Shape::Names("user", CHIEF)),
];
