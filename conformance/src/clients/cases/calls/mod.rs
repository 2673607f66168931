//! Every method that asks one thing: the line that it sends, and what becomes of the reply.

mod jobs;
mod shell;
mod studies;
mod system;

use std::sync::Arc;

use flare_client::{StudyName, StudySites};
use serde_json::Value;

use super::{About, case};
use crate::clients::bout::{Bout, CHIEF, FOREIGN_SITE, OFFICE, SECOND_SITE, SITE};
use crate::clients::process::Subject;
use crate::finding::{ensure, ensure_eq};
use crate::{Case, CaseResult, Finding};

/// The requirement of every row: the line is this one.
const LINE: &str = "CLIENT-LINE-001";

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

/// A call, what it sends and what it gives.
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
    let rows = [system::ROWS, shell::ROWS, jobs::ROWS, studies::ROWS].into_iter().flatten();
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
