//! Jobs of several sizes, submitted and downloaded again: client and simulator in processes of their own, whose peaks
//! of resident memory are read, beside a plain copy over TLS and WebSocket in which every mebibyte is acknowledged.
//!
//! With `FLARE_PYTHON` set to a Python that has nvflare, the official client does the same with the same simulator.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use clap::Args;
use flare_client::{Session, StartupKit};
use serde_json::json;
use tokio::process::Command;

use super::BenchError;
use super::echo::{EchoClient, EchoServer, Way};
use super::figures::{Aim, Figures, median};
use super::memory::{self, Served};

/// Sizes of the payload in MiB. The first is what memory is held against.
const SIZES: [usize; 4] = [1, 16, 128, 512];
/// How often each is moved, the copy beside it each time; the median is taken.
const RUNS: usize = 5;
/// How much more memory the largest may take than the smallest.
const MORE_MEMORY: u64 = 32 * 1024 * 1024;
/// How many times as long as the copy a transfer may take: half its rate.
const TIMES_THE_COPY: f64 = 2.0;
/// One of this many bytes is made anew; a file of repeated blocks of it would compress, and be another file.
const BLOCK: usize = 1024 * 1024;

/// Arguments of the process that submits and downloads; not for users.
#[derive(Debug, Args)]
pub(crate) struct TransferArguments {
    /// Startup kit.
    #[arg(long)]
    kit: PathBuf,
    /// The job's folder.
    #[arg(long)]
    job: PathBuf,
    /// Where the result goes.
    #[arg(long)]
    destination: PathBuf,
}

/// What a process that submitted and downloaded tells.
struct Moved {
    up: Duration,
    down: Duration,
    /// Its peak of resident bytes.
    peak: u64,
}

/// Submits and downloads, and prints what it took: seconds up, seconds down, peak of resident bytes.
#[expect(clippy::print_stdout, reason = "the parent process reads this line")]
pub(crate) async fn transfer(arguments: &TransferArguments) -> Result<(), BenchError> {
    let session = Session::builder(StartupKit::open(&arguments.kit)?).connect().await?;
    let started = Instant::now();
    let job_id = session.submit_job(&arguments.job).await?;
    let up = started.elapsed();
    // The server gives out no job that may still run.
    session.abort_job(&job_id).await?;
    let started = Instant::now();
    let result = session.download_job_result(&job_id).destination(&arguments.destination).await?;
    let down = started.elapsed();
    let peak = memory::peak(std::process::id())?;
    session.delete_job(&job_id).await?;
    session.close().await;
    std::fs::remove_dir_all(result)?;
    println!("{} {} {peak}", up.as_secs_f64(), down.as_secs_f64());
    Ok(())
}

/// Measures every size.
pub(super) async fn measure(figures: &mut Figures) -> Result<(), BenchError> {
    let mut smallest = None;
    for size in SIZES {
        let scratch = tempfile::tempdir()?;
        let job = scratch.path().join("job");
        write_job(&job, size)?;
        let served = Served::start(1, scratch.path()).await?;
        let kit = served.kits().join("admin@nvidia.com");
        let (mut ups, mut downs, mut copied_ups, mut copied_downs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut client_peak = 0;
        for _ in 0..RUNS {
            let echo = EchoServer::start(&served.kits().join("server")).await?;
            let mut copy = EchoClient::connect(&echo).await?;
            copied_ups.push(timed_copy(&mut copy, Way::Up, size).await?);
            copied_downs.push(timed_copy(&mut copy, Way::Down, size).await?);
            drop((copy, echo));
            let moved = ours(&kit, &job, scratch.path()).await?;
            ups.push(moved.up);
            downs.push(moved.down);
            client_peak = moved.peak.max(client_peak);
        }
        let (up, down) = (median(&mut ups), median(&mut downs));
        let (copied_up, copied_down) = (median(&mut copied_ups), median(&mut copied_downs));
        let server_peak = served.peak()?;
        let bytes = size as f64 * 1024.0 * 1024.0;
        figures.transfer(&format!("submit {size} MiB"), bytes, up, copied_up, Aim::Ratio(TIMES_THE_COPY));
        figures.transfer(&format!("download {size} MiB"), bytes, down, copied_down, Aim::Ratio(TIMES_THE_COPY));
        let (client_base, server_base) = *smallest.get_or_insert((client_peak, server_peak));
        if size == SIZES[SIZES.len() - 1] {
            let more = |peak: u64, base: u64| peak.saturating_sub(base);
            figures.memory(
                &format!("client memory, {size} above {} MiB", SIZES[0]),
                more(client_peak, client_base),
                MORE_MEMORY,
            );
            figures.memory(
                &format!("server memory, {size} above {} MiB", SIZES[0]),
                more(server_peak, server_base),
                MORE_MEMORY,
            );
        }
        if let Some(python) = std::env::var_os("FLARE_PYTHON") {
            let moved = official(Path::new(&python), &kit, &job, scratch.path()).await?;
            figures.transfer(&format!("official submit {size} MiB"), bytes, moved.up, copied_up, Aim::None);
            figures.transfer(&format!("official download {size} MiB"), bytes, moved.down, copied_down, Aim::None);
            figures.amount(&format!("official client memory, {size} MiB"), moved.peak);
        }
        served.stop().await?;
    }
    Ok(())
}

async fn timed_copy(copy: &mut EchoClient, way: Way, mebibytes: usize) -> Result<Duration, BenchError> {
    let started = Instant::now();
    copy.copy(way, mebibytes).await?;
    Ok(started.elapsed())
}

/// A job that no federation of one site can start, with so much in it that does not compress.
fn write_job(folder: &Path, mebibytes: usize) -> Result<(), BenchError> {
    let config = folder.join("app/config");
    std::fs::create_dir_all(&config)?;
    let meta = json!({"name": "job", "resource_spec": {}, "min_clients": 1000, "deploy_map": {"app": ["@ALL"]}});
    std::fs::write(folder.join("meta.json"), meta.to_string())?;
    for name in ["config_fed_server.json", "config_fed_client.json"] {
        std::fs::write(config.join(name), "{}")?;
    }
    let mut file = BufWriter::new(File::create(config.join("payload.bin"))?);
    let mut random = Xorshift(0x9E37_79B9_7F4A_7C15);
    let mut block = vec![0; BLOCK];
    for _ in 0..mebibytes {
        for word in block.chunks_exact_mut(8) {
            word.copy_from_slice(&random.next().to_le_bytes());
        }
        file.write_all(&block)?;
    }
    file.flush()?;
    Ok(())
}

/// Numbers that no compressor finds anything in; they need not be better than that.
struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

async fn ours(kit: &Path, job: &Path, scratch: &Path) -> Result<Moved, BenchError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bench-transfer").arg("--kit").arg(kit).arg("--job").arg(job);
    command.arg("--destination").arg(scratch.join("result"));
    moved(command).await
}

async fn official(python: &Path, kit: &Path, job: &Path, scratch: &Path) -> Result<Moved, BenchError> {
    let script = scratch.join("official.py");
    std::fs::write(&script, include_str!("official.py"))?;
    let mut command = Command::new(python);
    command.arg("-B").arg(&script).arg(kit).arg(job).arg(scratch.join("official")).env("HOME", scratch);
    moved(command).await
}

async fn moved(mut command: Command) -> Result<Moved, BenchError> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true).output().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    // The official client says things of its own before.
    let last = text.lines().last().unwrap_or_default();
    parsed(last).ok_or_else(|| format!("a transfer ended with {} and said {text:?}", output.status).into())
}

fn parsed(line: &str) -> Option<Moved> {
    let mut words = line.split(' ');
    let mut seconds = || Some(Duration::from_secs_f64(words.next()?.parse().ok()?));
    let (up, down) = (seconds()?, seconds()?);
    Some(Moved { up, down, peak: words.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_transfer_prints_is_read() {
        let moved = parsed("1.5 0.25 4096").unwrap();
        assert_eq!((moved.up, moved.down, moved.peak), (Duration::from_millis(1500), Duration::from_millis(250), 4096));
        assert!(parsed("Connecting to FLARE ...").is_none());
    }

    #[test]
    fn the_payload_of_a_job_does_not_compress() {
        let folder = tempfile::tempdir().unwrap();
        write_job(folder.path(), 2).unwrap();
        let payload = std::fs::read(folder.path().join("app/config/payload.bin")).unwrap();
        assert_eq!(payload.len(), 2 * BLOCK);
        assert_ne!(payload[..BLOCK], payload[BLOCK..]);
        let mut counts = [0_u32; 256];
        for byte in &payload {
            counts[usize::from(*byte)] += 1;
        }
        // An even spread would be 8192 of each.
        assert!(counts.iter().all(|count| (7500..8900).contains(count)), "{counts:?}");
    }
}
