//! What a state directory costs: how long a server with many stored jobs takes to start, also after it was killed, and how
//! much memory it needs.
//!
//! ```text
//! cargo run --release -p flare-simserver --example state_scale [JOBS]
//! ```

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it measures time, is for a terminal, and ends when something fails"
)]

#[path = "../tests/federation/mod.rs"]
mod federation;

use std::io::{Cursor, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use flare_simserver::blob::Blob;
use flare_simserver::jobs::behaviour::WorkspaceFile;
use flare_simserver::jobs::meta::JobMeta;
use flare_simserver::jobs::store::StoredJob;
use flare_simserver::{ClockMode, SimServer};
use serde_json::json;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use federation::{Federation, ISSUED, config};

/// Stored jobs, unless the command line says otherwise.
const JOBS: u64 = 100_000;

/// Jobs that are put into the store at once.
const BATCH: u64 = 1_000;

/// How often a start is measured.
const STARTS: usize = 3;

fn main() {
    let jobs = std::env::args().nth(1).map_or(JOBS, |jobs| jobs.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let server = start(directory.path()).await;
        let model = finished_job();
        let size: usize = model
            .workspace()
            .into_iter()
            .flatten()
            .map(|entry| match &entry.file {
                WorkspaceFile::Bytes(bytes) => bytes.len(),
                WorkspaceFile::Member(_) => 0,
            })
            .sum();
        println!("each job has a workspace of {size} bytes");
        let written = Instant::now();
        for first in (0..jobs).step_by(BATCH as usize) {
            server.control(|sim, _| {
                for number in first..jobs.min(first + BATCH) {
                    sim.jobs_mut().restore_job(numbered(&model, number));
                }
            });
        }
        println!("{jobs} jobs are written in {:.2?}", written.elapsed());
        // What is on disk now is what a kill would leave.
        let killed = tempfile::tempdir().unwrap();
        std::fs::create_dir(killed.path().join("state")).unwrap();
        let store = "state/jobs.redb";
        std::fs::copy(directory.path().join(store), killed.path().join(store)).unwrap();
        server.shutdown().await;
        let started = Instant::now();
        let server = start(killed.path()).await;
        println!("started after a kill in {:.2?}", started.elapsed());
        server.shutdown().await;
        drop(killed);
        let mut starts = Vec::new();
        let before = resident();
        let mut after = 0;
        for _ in 0..STARTS {
            let started = Instant::now();
            let server = start(directory.path()).await;
            starts.push(started.elapsed());
            assert_eq!(server.control(|sim, _| sim.jobs().store().len() as u64), jobs);
            after = after.max(resident());
            server.shutdown().await;
        }
        println!("started with them in {starts:.2?}, resident memory {before} MiB before and {after} MiB with them");
        let bytes = std::fs::metadata(directory.path().join("state/jobs.redb")).unwrap().len();
        println!("the store has {:.1} MiB", bytes as f64 / f64::from(1 << 20));
    });
}

/// Resident memory in MiB; 0 where the system does not tell.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

async fn start(directory: &Path) -> SimServer {
    let builder = SimServer::builder().workspace(directory.join("ws")).state_dir(directory.join("state"));
    builder.clock(ClockMode::Manual).start().await.unwrap()
}

fn numbered(model: &StoredJob<Blob>, number: u64) -> StoredJob<Blob> {
    let mut fields = model.meta.fields().clone();
    fields.insert("job_id".to_owned(), json!(format!("{number:08}-0000-4000-8000-000000000000")));
    let mut job = model.clone();
    job.meta = JobMeta::restored(fields);
    job.archive = Blob::none();
    job
}

/// A job that has run as jobs do.
fn finished_job() -> StoredJob<Blob> {
    let started = ISSUED + Duration::from_secs(1000);
    let mut config = config(&["site-1", "site-2"], started);
    config.job_settings.policy.max_jobs = 1;
    config.server.requires_signed_jobs = false;
    config.sites.iter_mut().for_each(|site| site.requires_signed_jobs = false);
    let mut federation = Federation::start(config, 1, started);
    let token = federation.login("admin@nvidia.com", "default");
    let reply = federation.upload("submit_job job", &token, &json!({}), &archive());
    let job_id = reply.meta["job_id"].as_str().unwrap().to_owned();
    federation.advance(Duration::from_secs(600));
    let job = federation.sim.jobs().store().get(&job_id).unwrap().clone();
    assert!(job.workspace().is_some(), "it has not run: {:?}", job.meta);
    job
}

fn archive() -> Vec<u8> {
    let meta = r#"{"name": "job", "min_clients": 1, "deploy_map": {"app": ["@ALL"]}}"#;
    let server = r#"{"format_version": 2, "workflows": []}"#;
    let client = r#"{"format_version": 2, "executors": []}"#;
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for directory in ["job/", "job/app/", "job/app/config/"] {
        zip.add_directory(directory, SimpleFileOptions::default()).unwrap();
    }
    for (path, content) in [
        ("job/meta.json", meta),
        ("job/app/config/config_fed_server.json", server),
        ("job/app/config/config_fed_client.json", client),
    ] {
        zip.start_file(path, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
