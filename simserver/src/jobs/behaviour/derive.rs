//! The course of a run as the job's configuration has it.

use serde_json::Value;

use super::classes;
use super::plan::{Ending, RunPlan, Workflow};
use crate::jobs::content::{AppContent, JobContent};
use crate::jobs::definition::{SERVER_SITE, is_all_sites, participants};
use crate::jobs::meta::JobMeta;

/// Rounds of a workflow that says nothing about them.
const DEFAULT_ROUNDS: u64 = 1;

/// The task of a workflow that names none.
const DEFAULT_TASK: &str = "train";

/// Parts of a configuration whose entries name classes; executors have theirs one level deeper.
const COMPONENT_LISTS: [&str; 5] = ["workflows", "components", "executors", "task_data_filters", "task_result_filters"];

/// The aggregator that warns of every site for which it has no weight, and the part of it that does.
const AGGREGATOR: &str = "InTimeAccumulateWeightedAggregator";
const WARNS: &str = "DXOAggregator";

/// What the job of this meta and content does on these sites.
pub(super) fn plan(meta: &JobMeta, content: &JobContent, sites: &[String]) -> RunPlan {
    let server_app = app_of(meta, content, SERVER_SITE);
    let config = server_app.and_then(|app| app.server_config.as_ref());
    let mut plan = RunPlan::new(workflows(config));
    plan.warns = config.filter(|config| has_unweighted_aggregator(config)).map(|_| WARNS.to_owned());
    if let Some((app, config)) = server_app.zip(config)
        && let Some(missing) = missing_class(config, &app.custom_classes)
    {
        plan.ending = Ending::Exception { site: None, text: no_class(&missing) };
        return plan;
    }
    let mut failing = Vec::new();
    let mut text = String::new();
    for site in sites {
        let Some(app) = app_of(meta, content, site) else { continue };
        if let Some(missing) = app.client_config.as_ref().and_then(|config| missing_class(config, &app.custom_classes))
        {
            failing.push(site.clone());
            text = no_class(&missing);
        }
    }
    if !failing.is_empty() {
        plan.ending = Ending::Abnormal { sites: failing, text };
    }
    plan
}

/// The app that a participant gets.
fn app_of<'a>(meta: &JobMeta, content: &'a JobContent, participant: &str) -> Option<&'a AppContent> {
    let map = meta.fields().get("deploy_map")?.as_object()?;
    let (app, _) = map.iter().find(|(_, entry)| {
        participants(entry).is_ok_and(|sites| sites.iter().any(|site| *site == participant || is_all_sites(site)))
    })?;
    content.apps.get(app)
}

fn has_unweighted_aggregator(config: &Value) -> bool {
    let components = config.get("components").and_then(Value::as_array);
    components.into_iter().flatten().any(|component| {
        let is_aggregator = class_path(component).is_some_and(|path| path.rsplit('.').next() == Some(AGGREGATOR));
        is_aggregator && component.get("args").and_then(|args| args.get("aggregation_weights")).is_none()
    })
}

fn workflows(config: Option<&Value>) -> Vec<Workflow> {
    let listed = config.and_then(|config| config.get("workflows")).and_then(Value::as_array);
    listed.into_iter().flatten().enumerate().map(|(index, entry)| workflow(index, entry)).collect()
}

fn workflow(index: usize, entry: &Value) -> Workflow {
    let class_path = class_path(entry).unwrap_or_default();
    let argument = |names: &[&str]| names.iter().find_map(|name| entry.get("args")?.get(name));
    let rounds = argument(&["num_rounds", "rounds"]).and_then(Value::as_u64);
    let task = argument(&["train_task_name", "task_name"]).and_then(Value::as_str);
    Workflow {
        id: entry.get("id").and_then(Value::as_str).map_or_else(|| format!("workflow_{index}"), str::to_owned),
        class: class_path.rsplit('.').next().unwrap_or_default().to_owned(),
        class_path,
        rounds: rounds.unwrap_or(DEFAULT_ROUNDS),
        task: task.unwrap_or(DEFAULT_TASK).to_owned(),
    }
}

/// The class that an entry names by `path` or by `name` (or, in exported jobs, by `class_path`).
fn class_path(entry: &Value) -> Option<String> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(path) = text("path").or_else(|| text("class_path")) {
        return Some(path.to_owned());
    }
    text("name").map(|name| classes::path_of(name).unwrap_or_else(|| name.to_owned()))
}

/// The first class of a configuration that does not exist.
fn missing_class(config: &Value, custom: &[String]) -> Option<String> {
    let entries = COMPONENT_LISTS.iter().filter_map(|list| config.get(list)?.as_array()).flatten();
    let nested = |entry: &Value| -> Vec<Value> {
        let filters = entry.get("filters").and_then(Value::as_array).cloned().unwrap_or_default();
        std::iter::once(entry.clone()).chain(entry.get("executor").cloned()).chain(filters).collect()
    };
    entries.flat_map(nested).filter_map(|entry| class_path(&entry)).find(|path| !classes::exists(path, custom))
}

fn no_class(path: &str) -> String {
    let module = path.rsplit_once('.').map_or(path, |(module, _)| module);
    format!("ConfigError: cannot build component: ModuleNotFoundError: No module named '{module}' (class {path})")
}
