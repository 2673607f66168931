//! Speaks the worker protocol of the measuring scripts (`measure/README.md`): JSON lines, a request on stdin, a reply
//! on stdout. `session.py`, `commands.py`, `jobs.py` and `transfer.py` start it with `--worker 'PATH/worker'`.

use std::collections::HashMap;
use std::io::{BufRead as _, Write as _};
use std::time::{Duration, Instant};

use flare_client::{JobId, JobQuery, Session, StartupKit, Targets};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// What went wrong, for the `error` of a reply.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let name = concat!("flare-client ", env!("CARGO_PKG_VERSION"));
    print_line(&json!({"ready": true, "client": name, "import_s": 0.0}))?;
    let mut worker = Worker::default();
    // One request at a time is the protocol, so reading may block.
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        if request["op"] == "quit" {
            break;
        }
        let reply = match worker.serve(&request).await {
            Ok(mut reply) => {
                reply["ok"] = json!(true);
                reply
            }
            Err(error) => json!({"ok": false, "error": describe(error.as_ref())}),
        };
        print_line(&reply)?;
    }
    worker.close_all().await;
    Ok(())
}

fn print_line(value: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")?;
    out.flush()
}

fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", describe(cause)),
        None => error.to_string(),
    }
}

/// The sessions, by number.
#[derive(Default)]
struct Worker {
    sessions: HashMap<u64, Session>,
    last: u64,
}

impl Worker {
    async fn serve(&mut self, request: &Value) -> Result<Value, Failure> {
        match request["op"].as_str().unwrap_or_default() {
            "open" => self.open(request).await,
            "close" => self.close(request).await,
            "call" => self.call(request).await,
            "load" => self.load(request).await,
            "submit" => self.submit(request).await,
            "each" => self.each(request).await,
            "download" => self.download(request).await,
            other => Err(format!("{other:?} is not part of the protocol").into()),
        }
    }

    async fn open(&mut self, request: &Value) -> Result<Value, Failure> {
        let folder = request["kit"].as_str().ok_or("`kit` is missing")?;
        let count = request["n"].as_u64().unwrap_or(1);
        let timeout = Duration::try_from_secs_f64(request["timeout"].as_f64().unwrap_or(30.0))?;
        let parallel = request["parallel"].as_bool().unwrap_or(false);
        let kit = StartupKit::open(folder)?;
        let started = Instant::now();
        let mut opening = JoinSet::new();
        let mut opened = Vec::new();
        for _ in 0..count {
            let builder = Session::builder(kit.clone()).connect_timeout(timeout);
            opening.spawn(async move {
                let started = Instant::now();
                (builder.connect().await, started.elapsed())
            });
            if !parallel {
                opened.extend(opening.join_next().await);
            }
        }
        while let Some(one) = opening.join_next().await {
            opened.push(one);
        }
        let wall = started.elapsed();
        let (mut ids, mut latencies, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for one in opened {
            let (session, latency) = one?;
            match session {
                Ok(session) => {
                    self.last += 1;
                    self.sessions.insert(self.last, session);
                    ids.push(self.last);
                    latencies.push(latency.as_secs_f64());
                }
                Err(error) => errors.push(describe(&error)),
            }
        }
        Ok(json!({"sids": ids, "lat": latencies, "wall": wall.as_secs_f64(), "errors": errors}))
    }

    async fn close(&mut self, request: &Value) -> Result<Value, Failure> {
        let mut latencies = Vec::new();
        for id in ids(request) {
            let session = self.sessions.remove(&id).ok_or("no such session")?;
            let started = Instant::now();
            session.close().await;
            latencies.push(started.elapsed().as_secs_f64());
        }
        Ok(json!({"lat": latencies}))
    }

    fn session(&self, request: &Value) -> Result<&Session, Failure> {
        let id = request["sid"].as_u64().ok_or("`sid` is missing")?;
        self.sessions.get(&id).ok_or_else(|| "no such session".into())
    }

    async fn submit(&self, request: &Value) -> Result<Value, Failure> {
        let session = self.session(request)?;
        let folder = request["path"].as_str().ok_or("`path` is missing")?;
        let (mut ids, mut latencies) = (Vec::new(), Vec::new());
        for _ in 0..request["n"].as_u64().unwrap_or(1) {
            let started = Instant::now();
            ids.push(session.submit_job(folder).await?.to_string());
            latencies.push(started.elapsed().as_secs_f64());
        }
        Ok(json!({"ids": ids, "lat": latencies}))
    }

    async fn each(&self, request: &Value) -> Result<Value, Failure> {
        let session = self.session(request)?;
        let mut latencies = Vec::new();
        for id in request["jobs"].as_array().ok_or("`jobs` is missing")? {
            let job_id: JobId = id.as_str().ok_or("a job id is no text")?.parse()?;
            let started = Instant::now();
            match request["what"].as_str().unwrap_or_default() {
                "abort" => drop(session.abort_job(&job_id).await?),
                "delete" => drop(session.delete_job(&job_id).await?),
                other => return Err(format!("{other:?} cannot be done to jobs").into()),
            }
            latencies.push(started.elapsed().as_secs_f64());
        }
        Ok(json!({"lat": latencies}))
    }

    async fn download(&self, request: &Value) -> Result<Value, Failure> {
        let session = self.session(request)?;
        let job_id: JobId = request["job"].as_str().ok_or("`job` is missing")?.parse()?;
        let started = Instant::now();
        let path = session.download_job_result(&job_id).await?;
        Ok(json!({"s": started.elapsed().as_secs_f64(), "path": path}))
    }

    async fn call(&self, request: &Value) -> Result<Value, Failure> {
        let session = request["sid"].as_u64().and_then(|id| self.sessions.get(&id)).ok_or("no such session")?;
        let call = Call::read(request)?;
        let (mut latencies, mut size) = (Vec::new(), 0);
        for _ in 0..request["n"].as_u64().unwrap_or(1) {
            let started = Instant::now();
            size = call.run(session).await?;
            latencies.push(started.elapsed().as_secs_f64());
        }
        Ok(json!({"lat": latencies, "size": size}))
    }

    async fn load(&self, request: &Value) -> Result<Value, Failure> {
        let call = Call::read(request)?;
        let started = Instant::now();
        let until = started + Duration::try_from_secs_f64(request["seconds"].as_f64().unwrap_or(1.0))?;
        let mut loops = JoinSet::new();
        for id in ids(request) {
            let session = self.sessions.get(&id).ok_or("no such session")?.clone();
            let call = call.clone();
            loops.spawn(async move {
                let (mut latencies, mut errors) = (Vec::new(), Vec::new());
                while Instant::now() < until {
                    let started = Instant::now();
                    match call.run(&session).await {
                        Ok(_) => latencies.push(started.elapsed().as_secs_f64()),
                        Err(error) => errors.push(describe(&error)),
                    }
                }
                (latencies, errors)
            });
        }
        let (mut latencies, mut errors) = (Vec::new(), Vec::new());
        while let Some(done) = loops.join_next().await {
            let (more, failed) = done?;
            latencies.extend(more);
            errors.extend(failed);
        }
        Ok(json!({"wall": started.elapsed().as_secs_f64(), "lat": latencies, "errors": errors}))
    }

    async fn close_all(&mut self) {
        for (_, session) in self.sessions.drain() {
            session.close().await;
        }
    }
}

fn ids(request: &Value) -> Vec<u64> {
    request["sids"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
}

/// What a measurement calls.
#[derive(Clone)]
enum Call {
    SystemInfo,
    ListJobs(JobQuery),
    ListJobsDetailed(JobQuery),
    JobMeta(JobId),
    ListStudies,
    CheckStatus(Targets),
}

impl Call {
    fn read(request: &Value) -> Result<Self, Failure> {
        let arguments = &request["arg"];
        Ok(match request["what"].as_str().unwrap_or_default() {
            "system_info" => Self::SystemInfo,
            "list_jobs" => {
                let limit = u32::try_from(arguments["limit"].as_u64().unwrap_or(0))?;
                let query = JobQuery::new().limit(limit);
                if arguments["detailed"] == true { Self::ListJobsDetailed(query) } else { Self::ListJobs(query) }
            }
            "job_meta" => Self::JobMeta(JobId::new(arguments["job"].as_str().unwrap_or_default())?),
            "list_studies" => Self::ListStudies,
            "check_status" => Self::CheckStatus(match arguments["target"].as_str() {
                None | Some("server") => Targets::Server,
                Some("all") => Targets::All,
                Some("client") => Targets::all_sites(),
                Some(site) => Targets::sites([site])?,
            }),
            other => return Err(format!("{other:?} is not supported yet").into()),
        })
    }

    /// The number of things in the result.
    async fn run(&self, session: &Session) -> flare_client::Result<usize> {
        Ok(match self {
            Self::SystemInfo => session.get_system_info().await?.sites.len(),
            Self::ListJobs(query) => session.list_jobs(query).await?.len(),
            Self::ListJobsDetailed(query) => session.list_jobs_detailed(query).await?.len(),
            Self::JobMeta(job) => usize::from(!session.get_job_meta(job).await?.job_id.is_empty()),
            Self::ListStudies => session.list_studies().await?.studies.len(),
            Self::CheckStatus(targets) => session.check_status(targets).await?.sites.len(),
        })
    }
}
