//! What `show_stats` and `show_errors` say about a run.
//!
//! Source: `reference/server-behaviour.md` section 5, and the statistics that nvflare's components add.

use std::time::Duration;

use flare_wire::hci::JsonObject;
use flare_wire::{Moment, Randomness};
use jiff::tz::Offset;
use serde_json::{Value, json};

use super::plan::{Ending, RunPlan, Workflow};
use crate::jobs::python::local_seconds;

/// The class whose statistics tell its rounds.
const SCATTER_AND_GATHER: &str = "ScatterAndGather";

/// What a site that does not answer is shown as; sites behind it are not shown at all.
const INVALID_REPLY: &str = "invalid_reply";

/// Rounds in which an aggregator warns of the same site; then it is silent about it. It says ten and means twelve.
const WARNED_ROUNDS: u64 = 12;

/// A run at one moment.
#[derive(Debug, Clone, Copy)]
pub struct RunReport<'a> {
    /// The job.
    pub job_id: &'a str,
    /// The project's name.
    pub project: &'a str,
    /// When it started.
    pub started: Moment,
    /// The server's distance from UTC.
    pub offset: Offset,
    /// What it does.
    pub plan: &'a RunPlan,
    /// The sites that take part.
    pub sites: &'a [String],
    /// How long it has been running.
    pub elapsed: Duration,
    /// False as long as it has nothing to tell of its work.
    pub works: bool,
}

impl RunReport<'_> {
    /// The server's statistics.
    #[must_use]
    pub fn server_stats(&self) -> Value {
        let Some((workflow, round)) = self.plan.position(self.elapsed).filter(|_| self.works) else { return json!({}) };
        let working: Vec<&String> = self.sites.iter().filter(|_| self.is_working()).collect();
        let tasks = json!({workflow.task.as_str(): working});
        let mut stats = JsonObject::new();
        stats.insert(workflow.class.clone(), workflow_stats(workflow, round, tasks));
        let runner = json!({"job_id": self.job_id, "status": "started", "workflow": workflow.id});
        stats.insert("ServerRunner".to_owned(), runner);
        Value::Object(stats)
    }

    /// A site's statistics; empty for one that does not take part, `None` for one that does not answer.
    #[must_use]
    pub fn site_stats(&self, site: &str) -> Option<Value> {
        if self.plan.silent_sites.contains(site) {
            return None;
        }
        if !self.works || !self.sites.iter().any(|name| name == site) {
            return Some(json!({}));
        }
        let tasks: Vec<&str> = match self.plan.position(self.elapsed) {
            Some((workflow, _)) if self.is_working() => vec![&workflow.task],
            _ => Vec::new(),
        };
        Some(json!({"ClientRunner": {"job_id": self.job_id, "current_tasks": tasks}}))
    }

    /// The server's errors since they were reset, which was so long after the start; a text when there are none.
    #[must_use]
    pub fn server_errors(&self, reset: Option<Duration>) -> Value {
        let is_new = |at: Duration| reset.is_none_or(|reset| reset < at);
        let mut errors = JsonObject::new();
        if let Some((class, text)) = self.last_warning(is_new) {
            errors.insert(class.to_owned(), json!({"warning": text}));
        }
        if let Ending::Exception { site: None, text } = &self.plan.ending
            && self.fault().is_some_and(|at| at <= self.elapsed && is_new(at))
        {
            let group = self.plan.workflows.first().map_or("ServerRunner", |workflow| &workflow.class);
            errors.insert(group.to_owned(), json!({"exception": text}));
        }
        if errors.is_empty() { json!("No Error") } else { Value::Object(errors) }
    }

    /// A site's errors since they were reset; `None` for one that does not answer.
    #[must_use]
    pub fn site_errors(&self, site: &str, reset: Option<Duration>) -> Option<Value> {
        if self.plan.silent_sites.contains(site) {
            return None;
        }
        let errors = self.plan.ending.site_errors();
        let is_there = |at: Duration| at <= self.elapsed && reset.is_none_or(|reset| reset < at);
        let error = errors.iter().find(|(failing, _)| *failing == site).filter(|_| self.fault().is_some_and(is_there));
        Some(error.map_or_else(|| json!({}), |(_, text)| json!({"ClientRunner": {"exception": text}})))
    }

    /// Puts answers of sites together as the server does: the first one that is missing ends the list.
    #[must_use]
    pub fn gather<'s>(
        server: Option<Value>,
        sites: impl IntoIterator<Item = &'s str>,
        answer: impl Fn(&str) -> Option<Value>,
    ) -> JsonObject {
        let mut result = JsonObject::new();
        if let Some(server) = server {
            result.insert("server".to_owned(), server);
        }
        for site in sites {
            let Some(answer) = answer(site) else {
                result.insert(site.to_owned(), Value::from(INVALID_REPLY));
                break;
            };
            result.insert(site.to_owned(), answer);
        }
        result
    }

    /// Tasks are out for the first half of every round; the second half is for the results.
    fn is_working(&self) -> bool {
        let round = self.plan.round_time.as_nanos().max(1);
        self.elapsed >= self.plan.round_start(0, 0)
            && (self.elapsed - self.plan.round_start(0, 0)).as_nanos() % round * 2 < round
    }

    /// A fault shows in the second half of the run.
    fn fault(&self) -> Option<Duration> {
        self.plan.duration().map(|duration| duration / 2)
    }

    /// The last warning of the results of sites, of which there is one in each of the first rounds: the class that
    /// warned, and its words.
    fn last_warning(&self, is_new: impl Fn(Duration) -> bool) -> Option<(&str, String)> {
        let class = self.plan.warns.as_deref()?;
        let site = self.sites.last()?;
        let workflow = self.plan.workflows.first()?;
        let rounds = 1..=workflow.rounds.min(WARNED_ROUNDS);
        let (round, at) = rounds
            .rev()
            .map(|round| (round, self.plan.round_start(0, round)))
            .find(|(_, at)| *at <= self.elapsed && is_new(*at))?;
        let time = local_seconds(self.started + at, self.offset);
        let Self { job_id, project, .. } = self;
        let (id, task, task_id) = (&workflow.id, &workflow.task, Randomness::from_number(round).uuid());
        let place = format!(
            "identity={project}, run={job_id}, wf={id}, peer={site}, peer_run={job_id}, peer_rc=OK, task_name={task}, \
             task_id={task_id}"
        );
        let text = format!(
            "{time}: [{place}]: Aggregation_weight missing for {site} and set to default value, 1.0 This kind of message \
             will show 10 times at most."
        );
        Some((class, text))
    }
}

/// A controller tells its tasks, scatter-and-gather its rounds too.
fn workflow_stats(workflow: &Workflow, round: u64, tasks: Value) -> Value {
    if workflow.class == SCATTER_AND_GATHER {
        json!({"phase": "train", "current_round": round, "num_rounds": workflow.rounds, "tasks": tasks})
    } else {
        json!({"tasks": tasks})
    }
}
