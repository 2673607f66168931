//! The server's log of a run: what the real one writes at the turns of a run, without the chatter in between.

use std::fmt::Write as _;
use std::time::Duration;

use flare_wire::Moment;
use flare_wire::hci::python_json;
use jiff::tz::Offset;
use serde_json::json;

use super::plan::{Ending, RunPlan};
use crate::jobs::python::local_seconds;

/// Most rounds whose start is logged, so that a run of a million rounds has no log of gigabytes.
const MAX_LOGGED_ROUNDS: u64 = 10_000;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When, counted from the start of the run.
    pub after: Duration,
    /// The logger's full name; the last part is its short one.
    pub logger: &'static str,
    /// `INFO` or `ERROR`.
    pub level: &'static str,
    /// What the line is about: job and workflow, in brackets before the message.
    pub context: String,
    /// The message.
    pub message: String,
}

/// The log of a run.
#[derive(Debug, Clone, Copy)]
pub struct RunLog<'a> {
    /// The job.
    pub job_id: &'a str,
    /// The project's name.
    pub project: &'a str,
    /// What the run does.
    pub plan: &'a RunPlan,
    /// When it started.
    pub started: Moment,
    /// How long it has been running, or ran.
    pub elapsed: Duration,
    /// True when it was aborted.
    pub was_aborted: bool,
    /// The server's distance from UTC.
    pub offset: Offset,
}

impl RunLog<'_> {
    /// `log.txt`.
    #[must_use]
    pub fn text(&self) -> String {
        self.render(self.lines(), |out, time, line| {
            let short = line.logger.rsplit('.').next().unwrap_or_default();
            let context = if line.context.is_empty() { String::new() } else { format!("{} - ", line.context) };
            let _ = writeln!(out, "{time} - {short} - {} - {context}{}", line.level, line.message);
        })
    }

    /// `log.json`.
    #[must_use]
    pub fn json(&self) -> String {
        self.render(self.lines(), |out, time, line| {
            let value = json!({
                "asctime": time,
                "name": line.logger.rsplit('.').next().unwrap_or_default(),
                "fullName": line.logger,
                "levelname": line.level,
                "fl_ctx": line.context,
                "message": line.message,
            });
            let _ = writeln!(out, "{}", python_json(&value));
        })
    }

    /// `error_log.txt`.
    #[must_use]
    pub fn errors(&self) -> String {
        let errors = self.lines().into_iter().filter(|line| line.level == "ERROR").collect();
        self.render(errors, |out, time, line| {
            let short = line.logger.rsplit('.').next().unwrap_or_default();
            let _ = writeln!(out, "{time} - {short} - {} - {}", line.level, line.message);
        })
    }

    /// The lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<LogLine> {
        let mut lines = vec![
            self.line(Duration::ZERO, "nvflare.private.fed.app.server.runner_process", "Runner_process started."),
            self.line(
                Duration::from_millis(30),
                "nvflare.private.fed.app.deployer.server_deployer.ServerDeployer",
                "server heartbeat timeout set to 600",
            ),
        ];
        let runner = "nvflare.private.fed.server.server_runner.ServerRunner";
        lines.push(self.context_line(Duration::from_millis(1300), runner, None, "Server runner starting ..."));
        for (after, text) in &self.plan.log {
            lines.push(self.context_line(*after + Duration::from_millis(1400), runner, None, text));
        }
        let server_fault = matches!(self.plan.ending, Ending::Exception { site: None, .. });
        if !server_fault {
            self.workflow_lines(&mut lines, runner);
        }
        self.end_lines(&mut lines, runner);
        lines.retain(|line| line.after <= self.elapsed);
        lines.sort_by_key(|line| line.after);
        lines
    }

    fn workflow_lines(&self, lines: &mut Vec<LogLine>, runner: &'static str) {
        let controller = "nvflare.app_common.workflows.Controller";
        for (index, workflow) in self.plan.workflows.iter().enumerate() {
            let start = self.plan.round_start(index, 0);
            let (id, class) = (&workflow.id, format!("<class '{}'>", workflow.class_path));
            let id_context = Some(id.as_str());
            lines.push(self.context_line(start, runner, None, &format!("starting workflow {id} ({class}) ...")));
            lines.push(self.context_line(start, runner, id_context, &format!("Workflow {id} ({class}) started")));
            for round in 0..workflow.rounds.min(MAX_LOGGED_ROUNDS) {
                let at = self.plan.round_start(index, round);
                if at > self.elapsed {
                    break;
                }
                lines.push(self.context_line(at, controller, id_context, &format!("Round {round} started.")));
            }
        }
    }

    fn end_lines(&self, lines: &mut Vec<LogLine>, runner: &'static str) {
        let end = self.plan.duration().filter(|_| !self.was_aborted);
        if self.was_aborted {
            lines.push(self.context_line(
                self.elapsed,
                runner,
                None,
                "asked to abort - triggered abort_signal to stop the RUN",
            ));
        }
        if let Some(end) = end {
            let before = end.saturating_sub(Duration::from_secs(3));
            let text = match &self.plan.ending {
                Ending::Exception { site: None, text } => Some(text.clone()),
                Ending::Exception { site: Some(site), text } => Some(format!("{site} reported: {text}")),
                _ => None,
            };
            if let Some(text) = text {
                lines.push(LogLine { level: "ERROR", ..self.context_line(before, runner, None, &text) });
            }
            lines.push(self.context_line(before, runner, None, "Server runner finished."));
        }
    }

    fn line(&self, after: Duration, logger: &'static str, message: &str) -> LogLine {
        LogLine { after, logger, level: "INFO", context: String::new(), message: message.to_owned() }
    }

    fn context_line(&self, after: Duration, logger: &'static str, workflow: Option<&str>, message: &str) -> LogLine {
        let workflow = workflow.map_or_else(String::new, |id| format!(", wf={id}"));
        let context = format!("[identity={}, run={}{workflow}]", self.project, self.job_id);
        LogLine { context, ..self.line(after, logger, message) }
    }

    fn render(&self, lines: Vec<LogLine>, mut write: impl FnMut(&mut String, &str, &LogLine)) -> String {
        let mut out = String::new();
        for line in lines {
            let at = self.started + line.after;
            let time = format!("{},{:03}", local_seconds(at, self.offset), at.since_epoch().subsec_millis());
            write(&mut out, &time, &line);
        }
        out
    }
}
