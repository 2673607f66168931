//! Job folders for tests.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Bytes that do not compress.
pub(crate) fn incompressible(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A job folder that goes with this value.
pub(crate) struct JobFolder {
    parent: TempDir,
    name: String,
}

impl JobFolder {
    /// A small job for every site.
    pub(crate) fn new(name: &str) -> Self {
        let job = Self { parent: TempDir::new().unwrap(), name: name.to_owned() };
        fs::create_dir_all(job.path().join("app/config")).unwrap();
        let config = json!({"format_version": 2, "workflows": [], "components": [], "executors": []}).to_string();
        for file in ["config_fed_server.json", "config_fed_client.json"] {
            fs::write(job.path().join("app/config").join(file), &config).unwrap();
        }
        job.meta(&json!({"name": name, "resource_spec": {}, "min_clients": 1, "deploy_map": {"app": ["@ALL"]}}))
    }

    /// With this meta.
    pub(crate) fn meta(self, meta: &Value) -> Self {
        fs::write(self.path().join("meta.json"), meta.to_string()).unwrap();
        self
    }

    /// With a file of this content in its app.
    pub(crate) fn file(self, name: &str, content: &[u8]) -> Self {
        fs::write(self.path().join("app").join(name), content).unwrap();
        self
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.parent.path().join(&self.name)
    }

    /// Every file below a folder, with its content, but for signatures.
    pub(crate) fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(inner) = folders.pop() {
            for entry in fs::read_dir(inner).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                if path.is_dir() {
                    folders.push(path);
                } else if !name.contains(".__nvfl_") {
                    found.push((name, fs::read(path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }
}
