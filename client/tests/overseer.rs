//! A real overseer, of nvflare 2.6, tells a session where the active server is.
//!
//! Needs a Python that has nvflare 2.6 with its overseer service; `FLARE_OVERSEER_PYTHON` says which. `.ci/run` sets it.
#![allow(clippy::unwrap_used, reason = "what goes wrong fails the test")]

#[path = "support/job_folder.rs"]
mod job_folder;

use std::fs;
use std::future::IntoFuture;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use flare_client::{JobQuery, JobStatus, OverseerAgent, Session, StartupKit};
use flare_simserver::core::TimerName;
use flare_simserver::jobs::behaviour::Rule;
use flare_simserver::pki::{Subject, Validity};
use flare_simserver::project::Role;
use flare_simserver::{ClockMode, Restart, SimPair, SimServer};
use flare_wire::Moment;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use job_folder::JobFolder;

/// Longest that anything here may take: nothing may hang.
const LIMIT: Duration = Duration::from_secs(60);

/// Three of these are several pieces of a download, so that there is a middle. One alone would be, but a server that is
/// given a submit token takes no file of more than 10 MiB.
const PART: usize = (8 << 20) + 4321;

const DAY: Duration = Duration::from_secs(86_400);

/// The service, and the two servers that report to it.
struct Overseer {
    process: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Overseer {
    async fn start(pair: &SimPair, certificates: &Path) -> Option<Self> {
        let Some(python) = std::env::var_os("FLARE_OVERSEER_PYTHON") else {
            say_skipped();
            return None;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/official/overseer.py");
        let mut command = Command::new(python);
        command.arg("-B").arg(script).arg("--certificates").arg(certificates).args(["--project", "example_project"]);
        for port in [pair.active().port(), pair.standby().await.port()] {
            command.arg("--server").arg(sp_end_point(port));
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let (orders, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Some(Self { process, orders, answers: BufReader::new(answers).lines() })
    }

    async fn answer(&mut self) -> Value {
        let line = timeout(LIMIT, self.answers.next_line()).await.expect("an answer").unwrap().expect("a line");
        serde_json::from_str(&line).unwrap()
    }

    async fn promote(&mut self, port: u16) {
        self.orders.write_all(format!("promote {}\n", sp_end_point(port)).as_bytes()).await.unwrap();
        assert_eq!(self.answer().await["primary_sp"]["sp_end_point"], sp_end_point(port));
    }

    async fn end(mut self) {
        drop(self.orders);
        let status = timeout(LIMIT, self.process.wait()).await.expect("an end").unwrap();
        assert!(status.success(), "{status}");
    }
}

#[expect(clippy::explicit_write, reason = "past the capture of the harness: that nothing was tested has to be seen")]
fn say_skipped() {
    writeln!(std::io::stderr(), "skipped: FLARE_OVERSEER_PYTHON does not name a Python with nvflare 2.6").unwrap();
}

fn sp_end_point(port: u16) -> String {
    format!("localhost:{port}:{port}")
}

/// What a kit of the overseer would hold, and a project admin's certificate.
fn certificates(server: &SimServer, folder: &Path) {
    let now = Moment::from_unix(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap());
    let overseer = server.issue(&Subject::new("localhost"), Validity { from: now - DAY, until: now + DAY }).unwrap();
    fs::write(folder.join("overseer.crt"), overseer.pem()).unwrap();
    fs::write(folder.join("overseer.key"), overseer.key().to_pem()).unwrap();
    let kit = server.admin_kit(Role::ProjectAdmin).unwrap().join("startup");
    for name in ["rootCA.pem", "client.crt", "client.key"] {
        fs::copy(kit.join(name), folder.join(name)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_an_upload_and_a_download_follow_the_primary_server_of_a_real_overseer() {
    let hour = Rule::named("*").running_for(Duration::from_secs(3600));
    let builder = SimServer::builder().clock(ClockMode::Manual);
    let pair = SimPair::start(builder.configure(move |config| config.rules = vec![hour.clone()])).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    certificates(pair.server(), folder.path());
    let Some(mut overseer) = Overseer::start(&pair, folder.path()).await else { return };
    let ready = overseer.answer().await;
    assert_eq!(ready["primary"], sp_end_point(pair.active().port()));

    let kit = StartupKit::open(pair.server().admin_kit(Role::ProjectAdmin).unwrap()).unwrap();
    let provider = OverseerAgent::new(ready["end_point"].as_str().unwrap(), "example_project")
        .kit(&kit)
        .heartbeat_interval(Duration::from_millis(100))
        .start()
        .unwrap();
    let builder = Session::builder(kit).endpoints(provider).connect_timeout(LIMIT).reconnect_timeout(LIMIT);
    let session = builder.connect().await.unwrap();
    let before = session.server();
    assert_eq!((before.host(), before.port()), ("localhost", pair.active().port()));
    assert!(before.service_session_id().is_some());

    // A wait.
    let waited = session.submit_job(JobFolder::new("waited").path()).await.unwrap();
    let mut watch = session.watch_job(&waited).poll_interval(Duration::from_millis(10));
    assert_eq!(watch.next().await.unwrap().unwrap().status, JobStatus::Submitted);
    cut_over(&pair, &mut overseer).await;
    assert!(pair.server().jump_to(&TimerName::JobFinished(waited.to_string())), "the other server runs it");
    let end = timeout(LIMIT, async {
        loop {
            let status = watch.next().await.expect("an end").unwrap().status;
            if status.is_final() {
                break status;
            }
        }
    });
    assert_eq!(end.await.expect("the end of the job"), JobStatus::Completed);
    let after = session.server();
    assert_eq!(after.port(), pair.active().port());
    assert_ne!(after.service_session_id(), before.service_session_id());

    // An upload.
    let part = job_folder::incompressible(PART);
    let job = ["a", "b", "c"].iter().fold(JobFolder::new("moved"), |job, name| job.file(&format!("{name}.bin"), &part));
    let (told, mut pieces) = mpsc::unbounded_channel();
    let submission = session.submit_job(job.path()).retry_safe().on_progress(move |at| {
        let _ = told.send(at.transferred);
    });
    let submitted = tokio::spawn(submission.into_future());
    assert!(pieces.recv().await.is_some_and(|sent| sent < PART as u64), "it is in the middle");
    cut_over(&pair, &mut overseer).await;
    let moved = timeout(LIMIT, submitted).await.expect("an end").unwrap().unwrap();
    assert_eq!(session.list_jobs(&JobQuery::new()).await.unwrap().len(), 2, "it was submitted once");

    // A download.
    assert!(pair.server().jump_to(&TimerName::JobFinished(moved.to_string())));
    let destination = tempfile::tempdir().unwrap();
    let (told, mut pieces) = mpsc::unbounded_channel();
    let download = session.download_job_result(&moved).destination(destination.path()).on_progress(move |at| {
        let _ = told.send(at.transferred);
    });
    let downloaded = tokio::spawn(download.into_future());
    assert!(pieces.recv().await.is_some_and(|got| got < PART as u64), "it is in the middle");
    cut_over(&pair, &mut overseer).await;
    let result = timeout(LIMIT, downloaded).await.expect("an end").unwrap().unwrap();
    let (sent, got) = (JobFolder::files(&job.path()), JobFolder::files(&result));
    for (name, content) in sent.iter().filter(|(name, _)| name.ends_with(".bin")) {
        let is_there = got.iter().any(|(path, got)| path.ends_with(name) && got == content);
        assert!(is_there, "{name} is not there byte for byte");
    }

    session.close().await;
    overseer.end().await;
    pair.shutdown().await;
}

/// The active server goes, the other one comes, and the overseer is told.
async fn cut_over(pair: &SimPair, overseer: &mut Overseer) {
    pair.switch(Restart::Kill).await.unwrap();
    overseer.promote(pair.active().port()).await;
}
