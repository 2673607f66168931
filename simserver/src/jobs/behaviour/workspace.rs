//! What a run leaves behind: the content of `workspace.zip`.
//!
//! The server's copy of the app is as large as the job, so it is not held here: the workspace is a list of entries,
//! some of which say where in the job's archive they come from, and it becomes an archive only when it is downloaded.

use std::io::{self, Read, Seek, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flare_wire::hci::python_json_indented;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::log::RunLog;
use crate::jobs::archive::Archive;
use crate::jobs::content::AppContent;
use crate::jobs::content_hash::MAX_CONTENT_LEN;
use crate::jobs::meta::{JobMeta, Shown};

/// Where the content of an entry comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkspaceFile {
    /// From here.
    Bytes(#[serde(serialize_with = "to_base64", deserialize_with = "from_base64")] Vec<u8>),
    /// From this member of the job's archive.
    Member(String),
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(deserializer)?).map_err(de::Error::custom)
}

/// One file of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceEntry {
    /// Its path.
    pub path: String,
    /// Its content.
    pub file: WorkspaceFile,
}

/// The files of a run that is over.
#[must_use]
pub fn entries(
    meta: &JobMeta,
    shown: Shown,
    app_name: &str,
    app: Option<&AppContent>,
    log: &RunLog<'_>,
) -> Vec<WorkspaceEntry> {
    let text = |path: &str, content: String| WorkspaceEntry {
        path: path.to_owned(),
        file: WorkspaceFile::Bytes(content.into_bytes()),
    };
    let run_meta = python_json_indented(&Value::Object(as_deployed(meta, shown)), 4);
    let mut entries = vec![
        text("log.txt", log.text()),
        text("log.json", log.json()),
        text(shown.release.error_log(), log.errors()),
        text("log_fl.txt", log.text()),
        text("audit.log", String::new()),
        text("fl_app.txt", app_name.to_owned()),
        text("meta.json", run_meta),
        text("stats_pool_summary.json", python_json_indented(&json!({}), 4)),
    ];
    for (member, path) in app.into_iter().flat_map(|app| &app.files) {
        entries
            .push(WorkspaceEntry { path: format!("app_server/{path}"), file: WorkspaceFile::Member(member.clone()) });
    }
    for (path, content) in &log.plan.results {
        entries.retain(|entry| entry.path != *path);
        entries.push(WorkspaceEntry { path: path.clone(), file: WorkspaceFile::Bytes(content.clone()) });
    }
    entries
}

/// The meta that is deployed with the app, before the store hears that the job runs: as it was when it was scheduled.
fn as_deployed(meta: &JobMeta, shown: Shown) -> Map<String, Value> {
    let mut fields = meta.shown(shown);
    fields.shift_remove("job_deploy_detail");
    for (name, value) in [("start_time", ""), ("duration", "N/A"), ("status", "SUBMITTED")] {
        if let Some(field) = fields.get_mut(name) {
            *field = json!(value);
        }
    }
    // A first attempt is noted in this order, which the store turns around.
    if fields.get("schedule_count") == Some(&json!(1)) {
        for name in ["schedule_history", "schedule_count", "last_schedule_time"] {
            if let Some(value) = fields.shift_remove(name) {
                fields.insert(name.to_owned(), value);
            }
        }
    }
    fields
}

/// Writes a workspace as an archive: stored, with an entry for every directory.
///
/// # Errors
/// When writing fails, or a member of the job's archive cannot be read.
pub fn write_workspace<R: Read + Seek, W: Write + Seek>(
    entries: &[WorkspaceEntry],
    job: &mut Archive<R>,
    out: W,
) -> io::Result<W> {
    let mut writer = ZipWriter::new(out);
    let mut directories: Vec<&str> = Vec::new();
    // Sizes are not known beforehand, and only this form has room for more than 4 GiB.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for entry in entries {
        for (end, _) in entry.path.match_indices('/') {
            let directory = &entry.path[..end];
            if !directories.contains(&directory) {
                writer.add_directory(directory, options)?;
                directories.push(directory);
            }
        }
        writer.start_file(entry.path.as_str(), options.large_file(matches!(entry.file, WorkspaceFile::Member(_))))?;
        match &entry.file {
            WorkspaceFile::Bytes(bytes) => writer.write_all(bytes)?,
            WorkspaceFile::Member(name) => {
                let mut written = Ok(());
                let read = job.read(name, MAX_CONTENT_LEN, |piece| {
                    if written.is_ok() {
                        written = writer.write_all(piece);
                    }
                });
                written?;
                read.map_err(io::Error::other)?;
            }
        }
    }
    Ok(writer.finish()?)
}
