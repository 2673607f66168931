//! What the tests of this module tree share: job folders as archives, and replies as they are compared.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};

use flare_wire::hci::{Reply, python_json};
use serde_json::{Map, Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A job folder that is zipped as the official client does: directories as entries, everything stored.
#[derive(Debug, Clone)]
pub(crate) struct JobFolder {
    name: String,
    meta: Map<String, Value>,
    files: BTreeMap<String, Vec<u8>>,
    without: Vec<String>,
}

impl JobFolder {
    /// A job for all clients with two rounds of scatter and gather.
    pub(crate) fn hello(name: &str) -> Self {
        let meta = json!({"name": name, "resource_spec": {}, "min_clients": 1, "deploy_map": {"app": ["@ALL"]}});
        let server = json!({
            "format_version": 2,
            "workflows": [{
                "id": "scatter_and_gather",
                "path": "nvflare.app_common.workflows.scatter_and_gather.ScatterAndGather",
                "args": {"min_clients": 1, "num_rounds": 2}
            }]
        });
        let client = json!({
            "format_version": 2,
            "executors": [{
                "tasks": ["train"],
                "executor": {"path": "nvflare.app_common.np.np_trainer.NPTrainer", "args": {}}
            }]
        });
        let Value::Object(meta) = meta else { unreachable!() };
        Self { name: name.to_owned(), meta, files: BTreeMap::new(), without: Vec::new() }
            .app_file("config/config_fed_server.json", server.to_string().as_bytes())
            .app_file("config/config_fed_client.json", client.to_string().as_bytes())
    }

    /// Sets a key of the meta.
    pub(crate) fn meta(mut self, key: &str, value: Value) -> Self {
        self.meta.insert(key.to_owned(), value);
        self
    }

    /// Adds a file below the app folder.
    pub(crate) fn app_file(self, path: &str, content: &[u8]) -> Self {
        let path = format!("{}/app/{path}", self.name);
        self.file(&path, content)
    }

    /// Adds a file at a full path.
    pub(crate) fn file(mut self, path: &str, content: &[u8]) -> Self {
        self.files.insert(path.to_owned(), content.to_vec());
        self
    }

    /// Leaves out a file of the job folder.
    pub(crate) fn without(mut self, path: &str) -> Self {
        self.without.push(format!("{}/{path}", self.name));
        self
    }

    /// All files by their full path.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = self.files.clone();
        let meta = python_json(&Value::Object(self.meta.clone()));
        files.entry(format!("{}/meta.json", self.name)).or_insert_with(|| meta.into_bytes());
        files.retain(|path, _| !self.without.contains(path));
        files
    }

    /// The archive.
    pub(crate) fn zip(&self) -> Vec<u8> {
        zip_files(&self.files())
    }
}

/// An archive of these files and of the directories they are in.
pub(crate) fn zip_files(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let mut directories: Vec<String> = Vec::new();
    for (path, content) in files {
        for (end, _) in path.match_indices('/') {
            let directory = path[..=end].to_owned();
            if !directories.contains(&directory) {
                writer.add_directory(directory.trim_end_matches('/'), options).unwrap();
                directories.push(directory);
            }
        }
        writer.start_file(path, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Items and meta of a recorded reply, as text so that the order of keys counts.
pub(crate) fn recorded(name: &str) -> String {
    shape(&flare_fixtures::reply(name).reply)
}

/// Items and meta of a reply of ours, to be compared with [`recorded`].
pub(crate) fn written(reply: &Reply) -> String {
    shape(&serde_json::from_str(&reply.to_json()).unwrap())
}

fn shape(reply: &Value) -> String {
    python_json(&json!([reply["data"], reply["meta"]]))
}

/// The job meta in a recorded reply to `get_job_meta`.
pub(crate) fn recorded_meta(name: &str) -> Map<String, Value> {
    flare_fixtures::reply(name).reply["meta"]["job_meta"].as_object().unwrap().clone()
}
