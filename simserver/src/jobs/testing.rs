//! What the tests of this module tree share: job folders as archives, and replies as they are compared.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};
use std::time::Duration;

use flare_wire::certificate::Certificate;
use flare_wire::hci::{Reply, python_json};
use flare_wire::{Moment, PrivateKey, Randomness};
use serde_json::{Map, Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::signature::{SIGNATURE_FILE, SUBMITTER_FILE};
use crate::pki::{Authority, KeyPair, Subject, Validity};

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

/// A lead of a project of its own, who signs job folders.
pub(crate) struct Signer {
    /// The project's root.
    pub(crate) roots: Vec<Certificate>,
    /// A time at which the certificates are valid.
    pub(crate) now: Moment,
    key: PrivateKey,
    pem: Vec<u8>,
}

impl Signer {
    /// With new keys.
    pub(crate) fn new() -> Self {
        let now = Moment::from_unix(Duration::from_secs(1_795_308_000));
        let mut random = Randomness::from_number(1);
        let validity = Validity::starting(now);
        let authority = Authority::create("project", KeyPair::generate().unwrap(), validity, &mut random).unwrap();
        let lead = Subject::new("lead@nvidia.com").organization("nvidia").role("lead");
        let identity = authority.issue(&lead, KeyPair::generate().unwrap(), now, &mut random).unwrap();
        Self {
            roots: vec![authority.certificate().clone()],
            now: now + Duration::from_secs(60),
            key: identity.key().signer(),
            pem: identity.pem().as_bytes().to_vec(),
        }
    }

    /// The files with signatures in every directory, as the official client adds them.
    pub(crate) fn sign(&self, files: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
        let mut random = Randomness::from_number(2);
        let mut signatures: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for (path, content) in files {
            let parts: Vec<&str> = path.split('/').collect();
            for (index, part) in parts.iter().enumerate().skip(1) {
                let signed = if index + 1 == parts.len() { content.as_slice() } else { part.as_bytes() };
                let directory = format!("{}/", parts[..index].join("/"));
                let entries = signatures.entry(directory).or_default();
                entries.entry(*part).or_insert_with(|| self.key.sign_base64(&mut random, signed).into());
            }
        }
        let mut all = files.clone();
        for (directory, entries) in signatures {
            all.insert(format!("{directory}{SUBMITTER_FILE}"), self.pem.clone());
            all.insert(format!("{directory}{SIGNATURE_FILE}"), Value::Object(entries).to_string().into_bytes());
        }
        all
    }
}
