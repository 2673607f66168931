//! One command on its way through the server.

use std::fmt;
use std::time::Duration;

use flare_wire::Moment;
use flare_wire::auth::{LoginHeaders, SessionToken};
use flare_wire::hci::{MetaStatus, Reply};
use serde_json::Value;

use super::jobs::Submission;
use super::request::Request;
use super::shell::ShellCommand;
use super::table::Command;
use super::targets::Targets;
use crate::core::shell::NotModelled;
use crate::core::{Asker, Person, Sim, SiteAnswer, SiteIndex, SiteRequest};
use crate::mutants::Mutant;

/// How long the server waits for sites, unless the request says otherwise.
pub(super) const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest that a request can make the server wait for sites: a day. The real server has no limit.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// What ends a command early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// The reply is complete.
    Done,
    /// An exception that the real server reports as such: its type and text.
    Exception(String),
    /// Something that is not simulated.
    NotModelled(String),
}

/// The result of a step of a command.
pub(super) type Step<T = ()> = Result<T, Stop>;

impl From<NotModelled> for Stop {
    fn from(what: NotModelled) -> Self {
        Self::NotModelled(what.to_string())
    }
}

/// A command, what is known about it so far, and its reply.
pub(super) struct Call<'a> {
    pub(super) sim: &'a mut Sim,
    pub(super) now: Moment,
    /// The endpoint that it comes from.
    pub(super) origin: &'a str,
    pub(super) login: &'a LoginHeaders,
    pub(super) command: Command,
    /// The line as it was sent.
    pub(super) line: &'a str,
    /// Its words, the command included.
    pub(super) words: Vec<String>,
    pub(super) request: &'a Request,
    /// Known once the session was checked.
    pub(super) session: Option<SessionToken>,
    /// Set by the checks of the commands that have targets.
    pub(super) targets: Targets,
    /// Id of the job, set by the checks of the commands that are about one.
    pub(super) job: Option<String>,
    /// True when the command came with an uploaded file.
    pub(super) has_upload: bool,
    /// Set by a command that wants that file to be looked at.
    pub(super) submission: Option<Box<Submission>>,
    /// Set by the checks of shell commands.
    pub(super) shell: Option<ShellCommand>,
    /// The event in the audit log.
    pub(super) event: String,
    pub(super) reply: Reply,
    /// How long the reply has to wait for the slowest site.
    pub(super) wait: Duration,
}

impl Call<'_> {
    /// The words after the command.
    pub(super) fn arguments(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// The first word after the command, for handlers whose checks made sure that there is one.
    pub(super) fn first_argument(&self) -> Step<String> {
        self.arguments().first().cloned().ok_or_else(|| Stop::Exception("IndexError: list index out of range".into()))
    }

    /// Name, organisation and role of the user as they are; empty without a session.
    pub(super) fn user(&self) -> (&str, &str, &str) {
        self.session.as_ref().map_or(("", "", ""), |session| (&session.name, &session.org, &session.role))
    }

    /// The user as policies see one.
    pub(super) fn person(&self) -> Person {
        let (name, org, role) = self.user();
        Person::new(name, org, role)
    }

    /// The study of the session.
    pub(super) fn study(&self) -> &str {
        self.session.as_ref().map_or(flare_wire::auth::DEFAULT_STUDY, |session| session.study.as_str())
    }

    /// Ends the command with an error whose text is also the `info` of the meta.
    pub(super) fn refuse<T>(&mut self, status: &MetaStatus, text: &str) -> Step<T> {
        self.refuse_with(text, status, text)
    }

    /// Ends the command with an error.
    pub(super) fn refuse_with<T>(&mut self, text: &str, status: &MetaStatus, info: &str) -> Step<T> {
        let status = if self.sim.mutant(Mutant::RefusalsSucceed) { &MetaStatus::Ok } else { status };
        self.reply.push_error_with(text, status, info);
        Err(Stop::Done)
    }

    /// Asks the targets, in the order in which they registered. Nobody is asked when the request sets a negative
    /// time-out, which means for the real server not to wait for answers.
    pub(super) fn ask_targets(&mut self, request: SiteRequest<'_>) -> Step<Vec<SiteAnswer>> {
        let sites = self.targets.sites.clone();
        if sites.is_empty() {
            return Ok(Vec::new());
        }
        let Some(timeout) = self.timeout()? else { return Ok(Vec::new()) };
        let mut answers = Vec::new();
        for site in sites {
            answers.extend(self.ask(site, request, timeout)?);
        }
        Ok(answers)
    }

    /// Asks one site.
    pub(super) fn ask(
        &mut self,
        site: SiteIndex,
        request: SiteRequest<'_>,
        timeout: Duration,
    ) -> Step<Option<SiteAnswer>> {
        let person = self.person();
        let (name, ..) = self.user();
        let name = name.to_owned();
        let asker = Asker { name: &name, person: &person, command: self.command.name, event: &self.event };
        let answer = self.sim.ask(self.now, site, request, asker, timeout)?;
        if let Some(answer) = &answer {
            self.wait = self.wait.max(answer.after);
        }
        Ok(answer)
    }

    /// `cmd_timeout` of the request, or the server's own; `None` when it is negative.
    fn timeout(&self) -> Step<Option<Duration>> {
        let seconds = match self.request.meta.get("cmd_timeout") {
            None | Some(Value::Null | Value::Bool(false)) => return Ok(Some(ADMIN_TIMEOUT)),
            Some(Value::Bool(true)) => 1.0,
            Some(Value::Number(number)) => number.as_f64().unwrap_or(f64::INFINITY),
            Some(Value::String(text)) if text.is_empty() => return Ok(Some(ADMIN_TIMEOUT)),
            Some(Value::Array(list)) if list.is_empty() => return Ok(Some(ADMIN_TIMEOUT)),
            Some(Value::Object(map)) if map.is_empty() => return Ok(Some(ADMIN_TIMEOUT)),
            Some(Value::String(_)) => return Err(not_comparable("str")),
            Some(Value::Array(_)) => return Err(not_comparable("list")),
            Some(Value::Object(_)) => return Err(not_comparable("dict")),
        };
        if seconds == 0.0 {
            return Ok(Some(ADMIN_TIMEOUT));
        }
        if seconds < 0.0 {
            return Ok(None);
        }
        Ok(Some(Duration::try_from_secs_f64(seconds).unwrap_or(MAX_TIMEOUT).min(MAX_TIMEOUT)))
    }
}

fn not_comparable(kind: &str) -> Stop {
    Stop::Exception(format!("TypeError: '<=' not supported between instances of '{kind}' and 'float'"))
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("line", &self.line).finish_non_exhaustive()
    }
}
