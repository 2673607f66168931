//! The client under test as a process: what it is asked, what it answers, and what becomes of it.
//!
//! Nothing that it does or fails to do holds the referee up: every wait has an end, every line a greatest length, and
//! with this value the process and whatever it has started is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::protocol::{Callback, Failure, Hello, Line, MAX_LINE, Request, VERSION};
use crate::{CaseResult, Finding};

/// How long a client may take until it says hello. An interpreter that loads the official client takes three seconds,
/// and many times as long on a busy machine.
const HELLO_PATIENCE: Duration = Duration::from_secs(60);

/// How long it may take to end when it was told to, before that is an answer in itself.
const QUIT_PATIENCE: Duration = Duration::from_secs(10);

/// How long a request may take to be read by the client.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// How long a client that closed its output may take to be gone, and how long what it said last may take to be read: it
/// is in the pipe already, unless something that the client started keeps the pipe open.
const LAST_WORDS_PATIENCE: Duration = Duration::from_secs(2);

/// How much of what the client says on its standard error is kept, from the end.
const MAX_COMPLAINTS: usize = 4096;

/// Callbacks of one client that are kept; one that polls without a pause fills the memory otherwise.
const MAX_CALLBACKS: usize = 10_000;

/// Lines that were read and not looked at yet.
const INBOX: usize = 256;

/// How the client under test is started.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    program: String,
    arguments: Vec<String>,
}

impl Subject {
    /// A client that this command line starts.
    ///
    /// # Errors
    /// Harness error when there is no program in it.
    pub(crate) fn new(command: &[String]) -> CaseResult<Self> {
        let (program, arguments) = command.split_first().ok_or_else(|| Finding::harness("no command to start"))?;
        Ok(Self { program: program.clone(), arguments: arguments.to_vec() })
    }

    /// No client.
    pub(crate) const fn nobody() -> Self {
        Self { program: String::new(), arguments: Vec::new() }
    }

    /// Starts it once, to learn who it is.
    ///
    /// # Errors
    /// Fails when it cannot be started or does not say hello.
    pub(crate) async fn introduce(&self) -> CaseResult<(String, String)> {
        let client = Client::start(self).await?;
        let Hello { name, release, .. } = client.hello.clone();
        client.quit().await?;
        Ok((name, release))
    }
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// It ended well.
    Value(Value),
    /// It failed.
    Failed(Failure),
}

impl Answer {
    /// The value.
    pub(crate) fn value(self, call: &str) -> CaseResult<Value> {
        match self {
            Self::Value(value) => Ok(value),
            Self::Failed(failure) => Err(Finding::fail(format!("{call}: {failure}"))),
        }
    }

    /// The failure.
    pub(crate) fn failure(self, call: &str) -> CaseResult<Failure> {
        match self {
            Self::Failed(failure) => Ok(failure),
            Self::Value(value) => Err(Finding::fail(format!("{call}: expected an error, observed {value}"))),
        }
    }
}

/// A client process that has said hello.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) hello: Hello,
    child: Child,
    stdin: Option<ChildStdin>,
    inbox: mpsc::Receiver<Received>,
    complaints: Arc<Mutex<Vec<u8>>>,
    complaining: JoinHandle<()>,
    last: u64,
    waiting: BTreeSet<u64>,
    answers: BTreeMap<u64, CaseResult<Answer>>,
    callbacks: Vec<(u64, Callback)>,
}

/// What the reader of the standard output has seen.
#[derive(Debug)]
enum Received {
    Text(Vec<u8>),
    TooLong,
}

impl Client {
    /// Starts the process and waits for its hello.
    ///
    /// # Errors
    /// Fails when it does not say hello as it should.
    pub(crate) async fn start(subject: &Subject) -> CaseResult<Self> {
        let mut command = Command::new(&subject.program);
        command.args(&subject.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let mut child =
            command.spawn().map_err(|error| Finding::fail(format!("cannot start {}: {error}", subject.program)))?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Finding::harness("the client was started without pipes"));
        };
        let (lines, inbox) = mpsc::channel(INBOX);
        tokio::spawn(read_lines(stdout, lines));
        let complaints = Arc::default();
        let complaining = tokio::spawn(keep_end(stderr, Arc::clone(&complaints)));
        let mut client = Self {
            hello: Hello {
                protocol: 0,
                name: String::new(),
                release: String::new(),
                calls: Vec::new(),
                concurrent: false,
                sessions: true,
            },
            child,
            stdin: Some(stdin),
            inbox,
            complaints,
            complaining,
            last: 0,
            waiting: BTreeSet::new(),
            answers: BTreeMap::new(),
            callbacks: Vec::new(),
        };
        let line = client.line(Instant::now() + HELLO_PATIENCE, "hello").await?;
        client.hello = serde_json::from_slice(&line)
            .map_err(|error| Finding::fail(format!("the first line is no hello: {error}: {}", shown(&line))))?;
        if client.hello.protocol != VERSION {
            let spoken = client.hello.protocol;
            return Err(Finding::fail(format!("the client speaks version {spoken} of the protocol, not {VERSION}")));
        }
        Ok(client)
    }

    /// Asks something and does not wait for the answer.
    ///
    /// # Errors
    /// Unsupported when the client has no such call; fails when it does not take the request.
    pub(crate) async fn ask(&mut self, session: Option<u64>, call: &str, arguments: Value) -> CaseResult<u64> {
        let is_own = matches!(call, "connect" | "close" | "quit");
        if !is_own && !self.hello.calls.iter().any(|known| known == call) {
            return Err(Finding::unsupported(format!("the client has no {call}")));
        }
        self.last += 1;
        let request = Request { id: self.last, session, call: call.to_owned(), arguments };
        let mut line = serde_json::to_vec(&request).map_err(|error| Finding::harness(error.to_string()))?;
        line.push(b'\n');
        let stdin = self.stdin.as_mut().ok_or_else(|| Finding::harness("the client was told to quit"))?;
        let written = timeout(WRITE_PATIENCE, async {
            stdin.write_all(&line).await?;
            stdin.flush().await
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(self.ended(call).await),
            Err(_) => return Err(Finding::fail(format!("{call}: the client does not read its standard input"))),
        }
        self.waiting.insert(self.last);
        Ok(self.last)
    }

    /// Waits for the answer to a request.
    ///
    /// # Errors
    /// Unsupported when the client says so; fails when it says something else than an answer, ends, or takes too long.
    pub(crate) async fn answer(&mut self, id: u64, call: &str, patience: Duration) -> CaseResult<Answer> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(answer) = self.answers.remove(&id) {
                return answer.map_err(|finding| finding.during(call));
            }
            let line = self.line(deadline, call).await?;
            self.take(&line).map_err(|finding| finding.during(call))?;
        }
    }

    /// What the callbacks of a request were given so far.
    pub(crate) fn callbacks(&self, id: u64) -> Vec<&Callback> {
        self.callbacks.iter().filter(|(of, _)| *of == id).map(|(_, callback)| callback).collect()
    }

    fn take(&mut self, line: &[u8]) -> CaseResult {
        let line: Line = serde_json::from_slice(line)
            .map_err(|_| Finding::fail(format!("the client said what is no answer: {}", shown(line))))?;
        let (id, answer) = match line {
            Line::Ok { id, ok } => (id, Ok(Answer::Value(ok))),
            Line::Error { id, error } => (id, Ok(Answer::Failed(error))),
            Line::Unsupported { id, unsupported } => {
                let why = unsupported.as_str().unwrap_or("the client does not support this");
                (id, Err(Finding::unsupported(why)))
            }
            Line::Callback { id, callback } => {
                if !self.waiting.contains(&id) {
                    return Err(Finding::fail(format!("a callback for request {id}, which is not under way")));
                }
                if self.callbacks.len() >= MAX_CALLBACKS {
                    return Err(Finding::fail(format!("more than {MAX_CALLBACKS} callbacks")));
                }
                self.callbacks.push((id, callback));
                return Ok(());
            }
        };
        if !self.waiting.remove(&id) {
            return Err(Finding::fail(format!("an answer to request {id}, which is not under way")));
        }
        self.answers.insert(id, answer);
        Ok(())
    }

    async fn line(&mut self, deadline: Instant, what: &str) -> CaseResult<Vec<u8>> {
        match timeout_at(deadline, self.inbox.recv()).await {
            Ok(Some(received)) => text_of(received),
            Ok(None) => Err(self.ended(what).await),
            Err(_) => Err(Finding::fail(format!("{what}: the client did not answer in time{}", self.complaints()))),
        }
    }

    /// The finding that the process is gone.
    async fn ended(&mut self, what: &str) -> Finding {
        let how = match timeout(LAST_WORDS_PATIENCE, self.child.wait()).await {
            Ok(Ok(status)) => format!("the client ended ({status})"),
            _ => "the client closed its output".to_owned(),
        };
        self.hear_last_words().await;
        Finding::fail(format!("{what}: {how}{}", self.complaints()))
    }

    /// Waits until all that the client complained of is read.
    async fn hear_last_words(&mut self) {
        if !self.complaining.is_finished() {
            let _ = timeout(LAST_WORDS_PATIENCE, &mut self.complaining).await;
        }
    }

    fn complaints(&self) -> String {
        let complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&complaints);
        let last: Vec<&str> = text.trim().lines().rev().take(3).collect();
        if last.is_empty() {
            return String::new();
        }
        format!("; it complained: {}", last.into_iter().rev().collect::<Vec<_>>().join(" | "))
    }

    /// Tells it to end, and waits until it has.
    ///
    /// # Errors
    /// Fails when it does not, or not well.
    pub(crate) async fn quit(mut self) -> CaseResult {
        let id = self.ask(None, "quit", Value::Object(serde_json::Map::new())).await?;
        self.answer(id, "quit", QUIT_PATIENCE).await?.value("quit")?;
        drop(self.stdin.take());
        match timeout(QUIT_PATIENCE, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => {
                self.hear_last_words().await;
                Err(Finding::fail(format!("quit: the client ended with {status}{}", self.complaints())))
            }
            Ok(Err(error)) => Err(Finding::harness(error.to_string())),
            Err(_) => Err(Finding::fail("quit: the client answered and did not end")),
        }
    }
}

/// What the client has started goes with it.
impl Drop for Client {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        if let Some(group) =
            self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
        {
            // It may be gone already.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

fn text_of(received: Received) -> CaseResult<Vec<u8>> {
    match received {
        Received::Text(line) => Ok(line),
        Received::TooLong => Err(Finding::fail(format!("the client said a line of more than {MAX_LINE} bytes"))),
    }
}

/// The beginning of a line, for a report.
fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(line).chars().take(120).collect::<String>().escape_debug().to_string()
}

/// Reads lines until there are no more, or one is too long.
async fn read_lines(mut from: impl AsyncRead + Unpin, to: mpsc::Sender<Received>) {
    let mut line = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let mut rest = &buffer[..length];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            line.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            if line.len() <= MAX_LINE && to.send(Received::Text(std::mem::take(&mut line))).await.is_err() {
                return;
            }
        }
        line.extend_from_slice(rest);
        if line.len() > MAX_LINE {
            // Nobody may be left who wants to know.
            let _ = to.send(Received::TooLong).await;
            return;
        }
    }
}

/// Reads all and keeps the end.
async fn keep_end(mut from: impl AsyncRead + Unpin, kept: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = vec![0; MAX_COMPLAINTS];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&buffer[..length]);
        let excess = kept.len().saturating_sub(MAX_COMPLAINTS);
        kept.drain(..excess);
    }
}
