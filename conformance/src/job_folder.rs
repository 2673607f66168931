//! Job folders that run on a real server with nothing but nvflare installed, and in which nothing is nvflare's own text.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{CaseResult, Finding};

/// A job folder, removed with this value.
#[derive(Debug)]
pub(crate) struct JobFolder {
    parent: TempDir,
    name: String,
    meta: Value,
}

impl JobFolder {
    /// A job of two short rounds for the server and these sites.
    pub(crate) fn short(name: &str, sites: &[&str]) -> CaseResult<Self> {
        Self::new(name, sites, 2)
    }

    /// A job that runs until it is aborted.
    pub(crate) fn endless(name: &str, sites: &[&str]) -> CaseResult<Self> {
        Self::new(name, sites, 100_000)
    }

    /// A job whose server configuration names a class that does not exist.
    pub(crate) fn failing(name: &str, sites: &[&str]) -> CaseResult<Self> {
        let workflow = json!({"id": "workflow", "path": "conformance.no.such.Workflow", "args": {}});
        let config = json!({"format_version": 2, "workflows": [workflow], "components": []});
        Self::new(name, sites, 1)?.with_file("app/config/config_fed_server.json", config.to_string().as_bytes())
    }

    /// A job whose site configuration names a class that does not exist.
    pub(crate) fn failing_at_sites(name: &str, sites: &[&str]) -> CaseResult<Self> {
        let executor = json!({"path": "conformance.no.such.Executor", "args": {}});
        let config = json!({"format_version": 2, "executors": [{"tasks": ["train"], "executor": executor}]});
        Self::new(name, sites, 1)?.with_file("app/config/config_fed_client.json", config.to_string().as_bytes())
    }

    /// A job that is stored and never starts: it asks for more sites than there are.
    pub(crate) fn waiting(name: &str) -> CaseResult<Self> {
        Self::new(name, &[], 1)?
            .with_meta("deploy_map", json!({"app": ["@ALL"]}))?
            .with_meta("min_clients", json!(1000))
    }

    fn new(name: &str, sites: &[&str], rounds: u32) -> CaseResult<Self> {
        let parent = TempDir::with_prefix("flare-conformance-").map_err(|error| Finding::harness(error.to_string()))?;
        let participants: Vec<&str> = ["server"].into_iter().chain(sites.iter().copied()).collect();
        let meta = json!({
            "name": name,
            "resource_spec": {},
            "min_clients": sites.len().max(1),
            "deploy_map": {"app": participants},
        });
        let job = Self { parent, name: name.to_owned(), meta };
        let job =
            job.with_file("app/config/config_fed_server.json", server(rounds, sites.len()).to_string().as_bytes())?;
        job.with_file("app/config/config_fed_client.json", client().to_string().as_bytes())?.written()
    }

    /// With this value in its meta.
    pub(crate) fn with_meta(mut self, key: &str, value: Value) -> CaseResult<Self> {
        self.meta[key] = value;
        self.written()
    }

    /// Without this key in its meta.
    pub(crate) fn without_meta(mut self, key: &str) -> CaseResult<Self> {
        if let Some(meta) = self.meta.as_object_mut() {
            meta.shift_remove(key);
        }
        self.written()
    }

    /// With this file.
    pub(crate) fn with_file(self, path: &str, content: &[u8]) -> CaseResult<Self> {
        let path = self.path().join(path);
        let written =
            path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, content));
        written.map_err(|error| Finding::harness(format!("{}: {error}", path.display())))?;
        Ok(self)
    }

    /// Without this file or folder.
    pub(crate) fn without(self, path: &str) -> CaseResult<Self> {
        let path = self.path().join(path);
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.map_err(|error| Finding::harness(format!("{}: {error}", path.display())))?;
        Ok(self)
    }

    fn written(self) -> CaseResult<Self> {
        let meta = self.meta.to_string();
        self.with_file("meta.json", meta.as_bytes())
    }

    /// The folder.
    pub(crate) fn path(&self) -> PathBuf {
        self.parent.path().join(&self.name)
    }
}

/// Every file below `folder` with its content, but for the signatures that a client adds.
pub(crate) fn files_below(folder: &Path) -> CaseResult<Vec<(String, Vec<u8>)>> {
    let failed = |path: &Path, error: std::io::Error| Finding::fail(format!("{}: {error}", path.display()));
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(&inner).map_err(|error| failed(&inner, error))? {
            let path = entry.map_err(|error| failed(&inner, error))?.path();
            let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if !name.contains(".__nvfl_") {
                let content = std::fs::read(&path).map_err(|error| failed(&path, error))?;
                found.push((name, content));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Scatter and gather over a model of a few numbers.
fn server(rounds: u32, sites: usize) -> Value {
    json!({
        "format_version": 2,
        "workflows": [{
            "id": "scatter_and_gather",
            "path": "nvflare.app_common.workflows.scatter_and_gather.ScatterAndGather",
            "args": {
                "min_clients": sites.max(1),
                "num_rounds": rounds,
                "start_round": 0,
                "wait_time_after_min_received": 0,
                "aggregator_id": "aggregator",
                "persistor_id": "persistor",
                "shareable_generator_id": "shareable_generator",
                "train_task_name": "train",
                "train_timeout": 600,
            },
        }],
        "components": [
            {"id": "persistor", "path": "nvflare.app_common.np.np_model_persistor.NPModelPersistor"},
            {
                "id": "shareable_generator",
                "path": "nvflare.app_common.shareablegenerators.full_model_shareable_generator.FullModelShareableGenerator",
                "args": {},
            },
            {
                "id": "aggregator",
                "path": "nvflare.app_common.aggregators.intime_accumulate_model_aggregator.InTimeAccumulateWeightedAggregator",
                "args": {"expected_data_kind": "WEIGHTS"},
            },
        ],
    })
}

fn client() -> Value {
    let trainer = json!({"path": "nvflare.app_common.np.np_trainer.NPTrainer", "args": {"sleep_time": 0.5}});
    json!({
        "format_version": 2,
        "executors": [{"tasks": ["train"], "executor": trainer}],
        "components": [],
        "task_result_filters": [],
        "task_data_filters": [],
    })
}
