//! One case's encounter: a simulator for it alone, the client under test, and the record of what passes between them.

use std::path::PathBuf;
use std::time::Duration;

use flare_client::{JobId, Session, StartupKit};
use flare_simserver::{ClockMode, SimServer, SimServerBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use super::process::{Answer, Client, Subject};
use super::protocol::Failure;
use super::wire::Wire;
use crate::finding::chain;
use crate::job_folder::JobFolder;
use crate::simulated::{keys, project};
use crate::{CaseResult, Finding};

/// How much faster than real the simulated time passes: a short job takes half a second.
pub(crate) const SPEED: f64 = 25.0;

/// How long one call may take. The `nvflare` command starts an interpreter for each, on a machine that may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long a client is given to open a session, where nothing is in its way.
pub(crate) const CONNECT_TIMEOUT: f64 = 20.0;

/// A call that reads and that every client has.
const READS: &str = "list_jobs";

/// Between two looks at the simulator.
const POLL: Duration = Duration::from_millis(10);

/// The project administrator of the simulator.
pub(crate) const CHIEF: &str = "chief@hospital.test";
/// The administrator of the server's organisation.
pub(crate) const OFFICE: &str = "office@hospital.test";
/// A member of it.
pub(crate) const MEMBER: &str = "member@hospital.test";
/// A site of the server's organisation.
pub(crate) const SITE: &str = "ward-a";
/// Another one.
pub(crate) const SECOND_SITE: &str = "ward-b";
/// A site of another organisation.
pub(crate) const FOREIGN_SITE: &str = "practice";

/// A client, and the simulator that it is to work with.
pub(crate) struct Bout {
    pub(crate) server: SimServer,
    pub(crate) client: Client,
    pub(crate) wire: Wire,
    session: Option<u64>,
    folder: TempDir,
}

impl Bout {
    /// On a simulator like any other.
    pub(crate) async fn open(subject: &Subject) -> CaseResult<Self> {
        Self::open_with(subject, |builder| builder).await
    }

    /// On a simulator that is changed.
    pub(crate) async fn open_with(
        subject: &Subject,
        change: impl FnOnce(SimServerBuilder) -> SimServerBuilder,
    ) -> CaseResult<Self> {
        let wire = Wire::new();
        let folder = TempDir::with_prefix("flare-referee-").map_err(|error| Finding::harness(error.to_string()))?;
        let project = project().map_err(|error| Finding::harness(error.to_string()))?;
        let observer = wire.clone();
        let builder = SimServer::builder()
            .project(project)
            .workspace(folder.path().join("workspace"))
            .keys(keys())
            .clock(ClockMode::Scaled(SPEED))
            .observer(move |observation| observer.observe(observation));
        let (server, client) = tokio::join!(change(builder).start(), Client::start(subject));
        let server = server.map_err(|error| Finding::harness(format!("simulator: {}", chain(&error))))?;
        Ok(Self { server, client: client?, wire, session: None, folder })
    }

    /// The same with a session of the project administrator.
    pub(crate) async fn connected(subject: &Subject) -> CaseResult<Self> {
        let mut bout = Self::open(subject).await?;
        bout.connect().await?;
        Ok(bout)
    }

    /// The same, when the client has logged in.
    pub(crate) async fn opened(subject: &Subject) -> CaseResult<Self> {
        let mut bout = Self::connected(subject).await?;
        if !bout.client.hello.sessions {
            bout.value(READS, json!({})).await?;
        }
        Ok(bout)
    }

    /// Says that what a case looks at is not there without sessions.
    pub(crate) fn needs_sessions(&self) -> CaseResult {
        if self.client.hello.sessions {
            return Ok(());
        }
        Err(Finding::unsupported("the client has no sessions: every call logs in by itself"))
    }

    /// A folder for the case, removed with this value.
    pub(crate) fn folder(&self, name: &str) -> CaseResult<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path).map_err(|error| Finding::harness(error.to_string()))?;
        Ok(path)
    }

    /// The startup kit of a participant.
    pub(crate) fn kit(&self, name: &str) -> CaseResult<PathBuf> {
        self.server.kit(name).map_err(|error| Finding::harness(format!("simulator: {}", chain(&error))))
    }

    /// What `connect` is given.
    pub(crate) fn connecting(&self, user: &str) -> CaseResult<Value> {
        Ok(json!({"kit": self.kit(user)?, "user": user, "study": "default", "timeout": CONNECT_TIMEOUT}))
    }

    /// Lets the client open a session as the project administrator, which calls use from then on.
    pub(crate) async fn connect(&mut self) -> CaseResult {
        self.connect_as(CHIEF).await
    }

    /// The same as somebody else.
    pub(crate) async fn connect_as(&mut self, user: &str) -> CaseResult {
        let arguments = self.connecting(user)?;
        let answer = self.connect_with(arguments, PATIENCE).await?;
        let session = answer.value("connect")?;
        self.session = Some(number_of_session(&session)?);
        Ok(())
    }

    /// Lets the client open a session, which may fail.
    pub(crate) async fn connect_with(&mut self, arguments: Value, patience: Duration) -> CaseResult<Answer> {
        let id = self.client.ask(None, "connect", arguments).await?;
        self.client.answer(id, "connect", patience).await
    }

    /// The same and, where only a call logs in, a call that reads: its failure is that of the session.
    pub(crate) async fn log_in_with(&mut self, arguments: Value, patience: Duration) -> CaseResult<Answer> {
        match self.connect_with(arguments, patience).await? {
            Answer::Value(session) if !self.client.hello.sessions => {
                let number = number_of_session(&session)?;
                let id = self.client.ask(Some(number), READS, json!({})).await?;
                self.client.answer(id, READS, patience).await
            }
            answer => Ok(answer),
        }
    }

    /// Begins a call.
    pub(crate) async fn ask(&mut self, call: &str, arguments: Value) -> CaseResult<u64> {
        self.client.ask(self.session, call, arguments).await
    }

    /// Waits for its end.
    pub(crate) async fn answer(&mut self, id: u64, call: &str) -> CaseResult<Answer> {
        self.client.answer(id, call, PATIENCE).await
    }

    /// A call.
    pub(crate) async fn call(&mut self, call: &str, arguments: Value) -> CaseResult<Answer> {
        let id = self.ask(call, arguments).await?;
        self.answer(id, call).await
    }

    /// A call that has to end well.
    pub(crate) async fn value(&mut self, call: &str, arguments: Value) -> CaseResult<Value> {
        self.call(call, arguments).await?.value(call)
    }

    /// A call that has to fail in one of these ways.
    pub(crate) async fn failure(&mut self, call: &str, arguments: Value, kinds: &[&str]) -> CaseResult<Failure> {
        let failure = self.call(call, arguments).await?.failure(call)?;
        if kinds.contains(&failure.kind.as_str()) {
            return Ok(failure);
        }
        Err(Finding::fail(format!("{call}: expected {}, observed {failure}", kinds.join(" or "))))
    }

    /// Ends the session.
    pub(crate) async fn close(&mut self) -> CaseResult {
        self.value("close", json!({})).await.map(drop)
    }

    /// A session of our own client, to prepare something or to look at it afterwards.
    pub(crate) async fn own_session(&self) -> CaseResult<Session> {
        Ok(Session::builder(StartupKit::open(self.kit(CHIEF)?)?).connect().await?)
    }

    /// Submits a job with our own client.
    pub(crate) async fn prepare(&self, job: &JobFolder) -> CaseResult<String> {
        let session = self.own_session().await?;
        let id = session.submit_job(job.path()).await?;
        session.close().await;
        self.wire.forget();
        Ok(id.as_str().to_owned())
    }

    /// A job that waits for ever.
    pub(crate) async fn waiting_job(&self) -> CaseResult<String> {
        self.prepare(&JobFolder::waiting("referee-waiting")?).await
    }

    /// A job that has ended.
    pub(crate) async fn finished_job(&self) -> CaseResult<String> {
        self.ended(&JobFolder::short("referee-short", &[SITE])?).await
    }

    /// This job, when it has ended.
    pub(crate) async fn ended(&self, job: &JobFolder) -> CaseResult<String> {
        let job = self.prepare(job).await?;
        self.until_ended(&job).await?;
        Ok(job)
    }

    /// Waits until a job has ended.
    pub(crate) async fn until_ended(&self, job: &str) -> CaseResult {
        self.until_status(job, |status| status.starts_with("FINISHED")).await
    }

    /// A job that runs.
    pub(crate) async fn running_job(&self) -> CaseResult<String> {
        let job = self.prepare(&JobFolder::endless("referee-endless", &[SITE, SECOND_SITE, FOREIGN_SITE])?).await?;
        self.until_status(&job, |status| status == "RUNNING").await?;
        // Its processes cannot be asked at once.
        self.until(&job, || self.server.control(|sim, now| sim.jobs().answers(&job, now))).await?;
        Ok(job)
    }

    /// The status of a job, as the simulator has it.
    pub(crate) fn status(&self, job: &str) -> Option<String> {
        self.server.control(|sim, _| sim.jobs().meta(job).map(|meta| meta.status().as_str().to_owned()))
    }

    /// How many jobs there are.
    pub(crate) fn jobs(&self) -> usize {
        self.server.control(|sim, _| sim.jobs().count())
    }

    async fn until_status(&self, job: &str, is_so: impl Fn(&str) -> bool) -> CaseResult {
        self.until(job, || self.status(job).is_some_and(|status| is_so(&status))).await
    }

    async fn until(&self, job: &str, is_so: impl Fn() -> bool) -> CaseResult {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !is_so() {
                sleep(POLL).await;
            }
        });
        waited.await.map_err(|_| Finding::harness(format!("the job stayed {:?}", self.status(job))))
    }
}

/// The number in what `connect` gave.
pub(crate) fn number_of_session(value: &Value) -> CaseResult<u64> {
    let number = value.get("session").and_then(Value::as_u64);
    number.ok_or_else(|| Finding::fail(format!("connect: expected {{\"session\": NUMBER}}, observed {value}")))
}

/// The id of a job in what a call gave.
pub(crate) fn job_id(value: &Value) -> CaseResult<JobId> {
    let id = value.as_str().and_then(|text| JobId::new(text).ok());
    id.ok_or_else(|| Finding::fail(format!("expected the id of a job, observed {value}")))
}
