//! What `list_jobs` costs by the number of jobs that are stored, from the text of a request to the text of the reply.
//!
//! ```text
//! cargo run --release -p flare-simserver --example list_scale
//! ```

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures time, and is for a terminal")]

#[path = "../tests/federation/mod.rs"]
mod federation;

use std::sync::Arc;
use std::time::{Duration, Instant};

use flare_simserver::blob::Blob;
use flare_simserver::jobs::content::JobContent;
use flare_simserver::jobs::meta::JobMeta;
use flare_simserver::jobs::store::StoredJob;
use flare_wire::Moment;
use serde_json::{Value, json};

use federation::{Federation, ISSUED, config};

/// Numbers of stored jobs.
const STORED: [u64; 3] = [10, 1_000, 100_000];

/// Commands, whose replies show ten jobs or fewer.
const LINES: [&str; 7] = [
    "list_jobs -m 10",
    "list_jobs -m 10 -r",
    "list_jobs -m 10 -d",
    "list_jobs -m 10 -u",
    "list_jobs -m 10 -n job-0",
    "list_jobs 00000007",
    "get_job_meta 00000007-0000-4000-8000-000000000000",
];

/// How often each is said.
const TIMES: usize = 300;

fn main() {
    let mut columns: Vec<Vec<Duration>> = Vec::new();
    for stored in STORED {
        let mut federation = with_jobs(stored);
        let token = federation.login("lead@nvidia.com", "default");
        columns.push(LINES.iter().map(|line| median(&mut federation, line, &token)).collect());
    }
    println!("{:52}{}", "median", STORED.map(|stored| format!("{stored:>12} jobs")).concat());
    for (row, line) in LINES.iter().enumerate() {
        let times: String =
            columns.iter().map(|column| format!("{:>14.1} us", column[row].as_secs_f64() * 1e6)).collect();
        println!("{line:52}{times}");
    }
}

fn median(federation: &mut Federation, line: &str, token: &str) -> Duration {
    let mut once = || {
        let start = Instant::now();
        let reply = federation.send(line, token).to_json();
        let took = start.elapsed();
        assert!(reply.contains("00000007-0000-4000-8000") || reply.contains("job-"), "{line}: {reply}");
        took
    };
    let mut times: Vec<Duration> = (0..TIMES).map(|_| once()).collect();
    times.sort_unstable();
    times[TIMES / 2]
}

/// A server with this many finished jobs of two submitters, a second apart.
fn with_jobs(stored: u64) -> Federation {
    let started = ISSUED + Duration::from_secs(1000);
    let mut federation = Federation::start(config(&["site-1"], started), 1, started);
    for number in 0..stored {
        federation.sim.jobs_mut().restore_job(job(number, started + Duration::from_secs(number)));
    }
    federation.now = started + Duration::from_secs(stored + 1);
    federation
}

fn job(number: u64, submitted: Moment) -> StoredJob<Blob> {
    let submitter = if number.is_multiple_of(2) { "lead@nvidia.com" } else { "admin@nvidia.com" };
    let Value::Object(meta) = json!({
        "name": format!("job-{number:06}"), "resource_spec": {}, "min_clients": 1,
        "deploy_map": {"app": ["@ALL"]}, "study": "default", "submitter_name": submitter,
        "submitter_org": "nvidia", "submitter_role": "lead", "job_folder_name": "job",
        "job_id": format!("{number:08}-0000-4000-8000-000000000000"),
        "submit_time": submitted.since(Moment::default()).as_secs_f64(),
        "submit_time_iso": "2026-11-22T01:04:22.422764+00:00", "start_time": "2026-11-22 01:04:23.422764+00:00",
        "duration": "0:00:12.000000", "data_storage_format": 2, "status": "FINISHED:COMPLETED",
    }) else {
        unreachable!("an object was written")
    };
    let content = JobContent { apps: Default::default(), is_unsafe: false };
    StoredJob::new(JobMeta::restored(meta), Arc::new(content), Blob::none())
}
