//! A real overseer, of nvflare 2.6, tells a session where the active server is.
//!
//! Needs a Python that has nvflare 2.6 with its overseer service; `FLARE_OVERSEER_PYTHON` says which. `.ci/run` sets it.
#![allow(clippy::unwrap_used, reason = "what goes wrong fails the test")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use flare_client::{JobQuery, OverseerAgent, Session, StartupKit};
use flare_simserver::pki::{Subject, Validity};
use flare_simserver::project::Role;
use flare_simserver::{Restart, SimPair, SimServer};
use flare_wire::Moment;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Longest that anything here may take: nothing may hang.
const LIMIT: Duration = Duration::from_secs(60);

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
async fn a_session_follows_the_primary_server_of_a_real_overseer() {
    let pair = SimPair::start(SimServer::builder()).await.unwrap();
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
    let session = Session::builder(kit)
        .endpoints(provider)
        .connect_timeout(LIMIT)
        .reconnect_timeout(LIMIT)
        .connect()
        .await
        .unwrap();
    let before = session.server();
    assert_eq!((before.host(), before.port()), ("localhost", pair.active().port()));
    assert!(before.service_session_id().is_some());

    pair.switch(Restart::Kill).await.unwrap();
    overseer.promote(pair.active().port()).await;
    assert!(timeout(LIMIT, session.list_jobs(&JobQuery::new())).await.expect("an answer").unwrap().is_empty());
    let after = session.server();
    assert_eq!(after.port(), pair.active().port());
    assert_ne!(after.service_session_id(), before.service_session_id());

    session.close().await;
    overseer.end().await;
    pair.shutdown().await;
}
