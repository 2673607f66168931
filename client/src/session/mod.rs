//! A logged-in session: run commands, close.

mod arrival;
mod clients;
mod cutover;
mod download;
mod job_logs;
mod jobs;
mod login;
mod logs;
mod monitor;
mod pieces;
mod renewal;
mod restart;
mod shell;
mod sites;
mod staging;
mod studies;
mod submit;
mod system;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use flare_wire::cell::{Headers, Payload, channel};
use flare_wire::endpoint::OutgoingRequest;
use flare_wire::hci::{JsonObject, Reply, Request};
use tokio::sync::OnceCell;
use tokio::time::Instant;

pub use download::Download;
pub use job_logs::JobLogsQuery;
pub(crate) use login::{Opened, Opening, open};
pub use monitor::{JobUpdate, JobWatch, MonitorOptions, MonitorReturnCode};
pub use restart::{SystemRestart, SystemShutdown};
pub(crate) use staging::local_file;
pub use submit::{Progress, SubmitJob};

use cutover::Follower;
use renewal::{Pauses, Remedy, remedy};

use crate::command::{Command, Line, Logout};
use crate::connection::Connection;
use crate::endpoints::ServerEndpoint;
use crate::model::{CommandDescription, StudyName};
use crate::startup_kit::StartupKit;
use crate::{Error, ErrorKind, Phase, Result, SessionBuilder, verdict};

/// How long the server waits for sites unless a command brings a timeout of its own (its `admin_timeout`).
const SERVER_WAITS: Duration = Duration::from_secs(10);

/// What we wait longer than the server waits for sites, so that its report about a site that does not answer arrives
/// before we give up. The official client waits 5 s where the server waits 10 s, and so never sees that report.
const REPLY_MARGIN: Duration = Duration::from_secs(2);

/// How long the answer to a logout is waited for; nothing depends on it.
const LOGOUT_TIMEOUT: Duration = Duration::from_secs(1);

/// A session with a FLARE server.
///
/// Cheap to clone; all clones are the same session, and any number of tasks may use it at once. When the last clone is
/// gone the connection ends, but only [`Session::close`] also logs out: without it the server keeps the session in
/// its list for half an hour.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    opening: Opening,
    kit: Arc<StartupKit>,
    study: StudyName,
    command_timeout: Mutex<Option<Duration>>,
    closed: AtomicBool,
    /// What the server said to the logout.
    ended: OnceCell<Option<Reply>>,
    live: Mutex<Arc<Live>>,
    /// Held by whoever logs in again.
    renewing: tokio::sync::Mutex<()>,
    /// Who logs in again as soon as another server is active.
    follower: OnceLock<Follower>,
}

/// The connection and the login that the session has at the moment.
struct Live {
    /// Grows with every login.
    generation: u64,
    connection: Connection,
    token: String,
    /// What the server offered at this login.
    commands: Arc<[CommandDescription]>,
    server: ServerEndpoint,
}

impl Live {
    fn of(generation: u64, opened: Opened) -> Self {
        let Opened { connection, token, commands, server } = opened;
        Self { generation, connection, token, commands, server }
    }
}

/// Whether a server with these commands has this one, whose scope may come before its name. Those that begin with a
/// line are in no table, and a server without a table is asked.
fn offers(commands: &[CommandDescription], name: &str) -> bool {
    let name = name.rsplit('.').next().unwrap_or(name);
    commands.is_empty() || name.starts_with('_') || commands.iter().any(|command| command.name == name)
}

/// Whether a server with these commands knows studies and submit tokens, which came together (2.8).
fn knows_studies(commands: &[CommandDescription]) -> bool {
    offers(commands, "list_studies")
}

impl Inner {
    fn live(&self) -> MutexGuard<'_, Arc<Live>> {
        // Nothing that holds the lock can panic; even then the value is a whole one.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a new login in place of the present one, whose connection ends when nobody uses it any more.
    fn replace(&self, generation: u64, opened: Opened) {
        *self.live() = Arc::new(Live::of(generation, opened));
    }
}

impl Session {
    /// Begins to open a session with this kit.
    pub fn builder(kit: StartupKit) -> SessionBuilder {
        SessionBuilder::new(kit)
    }

    pub(crate) fn new(
        opening: Opening,
        kit: Arc<StartupKit>,
        study: StudyName,
        command_timeout: Option<Duration>,
        opened: Opened,
    ) -> Self {
        let inner = Inner {
            opening,
            kit,
            study,
            command_timeout: Mutex::new(command_timeout),
            closed: AtomicBool::new(false),
            ended: OnceCell::new(),
            live: Mutex::new(Arc::new(Live::of(0, opened))),
            renewing: tokio::sync::Mutex::new(()),
            follower: OnceLock::new(),
        };
        let session = Self { inner: Arc::new(inner) };
        cutover::follow(&session);
        session
    }

    /// The kit that the session was opened with.
    #[must_use]
    pub fn kit(&self) -> &StartupKit {
        &self.inner.kit
    }

    /// The study that the session sees.
    #[must_use]
    pub fn study(&self) -> &StudyName {
        &self.inner.study
    }

    /// What the server offers, as it said after the last login.
    #[must_use]
    pub fn commands(&self) -> Arc<[CommandDescription]> {
        Arc::clone(&self.inner.live().commands)
    }

    /// The server that the session is logged in at.
    #[must_use]
    pub fn server(&self) -> ServerEndpoint {
        self.inner.live().server.clone()
    }

    /// Gives the commands that follow so much time: the server waits so long for sites, and this side a little longer
    /// for the server. Applies to all clones of the session.
    ///
    /// Shell commands on a site take no notice of it on the server, which waits 10 s for them in any case.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// use std::time::Duration;
    ///
    /// session.set_timeout(Duration::from_secs(30))?;
    /// let reply = session.do_command("report_env").await?;
    /// session.unset_timeout();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a timeout of zero.
    pub fn set_timeout(&self, timeout: Duration) -> Result<()> {
        let timeout = checked_timeout(timeout)?;
        *self.command_timeout_slot() = Some(timeout);
        Ok(())
    }

    /// Goes back to the default: the server waits 10 s for sites, this side 12 s for the server.
    pub fn unset_timeout(&self) {
        *self.command_timeout_slot() = None;
    }

    fn command_timeout_slot(&self) -> MutexGuard<'_, Option<Duration>> {
        // Nothing that holds the lock can panic; even then the value is a whole one.
        self.inner.command_timeout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a command line as it is and gives the reply as it came, refusals included.
    ///
    /// For commands that this library has no method for. Words with blanks need double quotes.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// let reply = session.do_command("list_sessions").await?;
    /// for item in &reply.data {
    ///     println!("{item:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Only when no reply arrives: [`SessionClosed`](ErrorKind::SessionClosed),
    /// [`SessionExpired`](ErrorKind::SessionExpired),
    /// [`TimedOut`](ErrorKind::TimedOut), [`ConnectionLost`](ErrorKind::ConnectionLost),
    /// [`ProtocolViolation`](ErrorKind::ProtocolViolation).
    ///
    /// # Cancel safety
    /// The server may carry out the command although the future was dropped.
    pub async fn do_command(&self, line: &str) -> Result<Reply> {
        self.reply_to(&Line::raw(line), false, true).await
    }

    /// Runs one command: sends its line, checks the verdict, reads the reply.
    async fn run<C: Command>(&self, command: &C) -> Result<C::Output> {
        let name = command.line();
        self.run_unnamed(command).await.map_err(|error| error.in_command(name.name()))
    }

    /// As [`run`](Self::run), for a command that is a part of something else: its name is not in the error.
    async fn run_unnamed<C: Command>(&self, command: &C) -> Result<C::Output> {
        self.offered(&command.line())?;
        let reply = self.reply_of(command).await?;
        verdict::of_reply(reply).and_then(|reply| command.read(reply))
    }

    /// Refuses what the server does not offer, before anything is sent: its release may be older than a command.
    fn offered(&self, line: &Line) -> Result<()> {
        if offers(&self.commands(), line.name()) {
            return Ok(());
        }
        let message = format!("the server has no command {:?}: its release is older", line.name());
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    /// The reply to a command as it came, refusals included.
    async fn reply_of<C: Command>(&self, command: &C) -> Result<Reply> {
        let how = How { streamed: C::STREAMED, is_repeatable: C::REPEATABLE, meta: command.meta() };
        self.exchange(&command.line(), &how).await
    }

    /// The reply to a line as it came, refusals included.
    pub(crate) async fn reply_to(&self, line: &Line, is_repeatable: bool, streamed: bool) -> Result<Reply> {
        let how = How { streamed, is_repeatable, meta: JsonObject::new() };
        self.exchange(line, &how).await.map_err(|error| error.in_command(line.name()))
    }

    /// Sends a line until it is answered, as far as that is safe; see [`renewal`].
    async fn exchange(&self, line: &Line, how: &How) -> Result<Reply> {
        let mut pauses = Pauses::until(self.give_up_time());
        loop {
            let live = self.live_at_active(&mut pauses).await?;
            let failed = match self.exchange_once(&live, line, how).await {
                Ok(reply) => match verdict::of_session(&reply) {
                    Some(inactive) if self.inner.opening.renews => inactive,
                    _ => return Ok(reply),
                },
                Err(error) => error,
            };
            match remedy(&failed, how.is_repeatable) {
                Remedy::Renew if self.inner.opening.renews || !self.is_at_active(&live) => {
                    // A login that works and a session that does not would go round for ever.
                    if !pauses.pause().await {
                        return Err(failed);
                    }
                    Box::pin(self.renew(&live, &mut pauses)).await?;
                }
                Remedy::Repeat if pauses.pause().await => {}
                _ => return Err(failed),
            }
        }
    }

    async fn exchange_once(&self, live: &Live, line: &Line, how: &How) -> Result<Reply> {
        let timeout = *self.command_timeout_slot();
        let mut request = Request { token: Some(live.token.clone()), ..Request::new(line.as_str()) };
        request.meta.clone_from(&how.meta);
        if let Some(timeout) = timeout {
            request.meta.insert("cmd_timeout".to_owned(), timeout.as_secs_f64().into());
        }
        let patience = timeout.unwrap_or(SERVER_WAITS).saturating_add(REPLY_MARGIN);
        let message = Message { headers: Headers::new(), request, streamed: how.streamed };
        send(&live.connection, message, patience, Phase::Command).await
    }

    /// The connection and login to use now.
    fn live(&self) -> Result<Arc<Live>> {
        let live = Arc::clone(&self.inner.live());
        if self.inner.closed.load(Ordering::Acquire) && !live.connection.is_expired() {
            return Err(Error::new(ErrorKind::SessionClosed, "the session is closed"));
        }
        Ok(live)
    }

    /// Logs out and closes the connection. Commands that are under way fail with
    /// [`SessionClosed`](ErrorKind::SessionClosed), and so do all later ones, also those of other clones.
    ///
    /// May be called any number of times; returns when the connection has ended. A server that does not answer is not
    /// waited for longer than about two seconds.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// session.close().await;
    /// assert!(session.is_closed());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// When the future is dropped before it is done, the session is closed for commands, but the connection lives until
    /// the last clone is gone or `close` is called again.
    pub async fn close(&self) {
        self.log_out().await;
    }

    /// Closes the session; gives what the server said to the logout, if it said something.
    pub(crate) async fn log_out(&self) -> Option<Reply> {
        self.inner.closed.store(true, Ordering::Release);
        // Whoever comes second waits for the first, or it would cut off the logout.
        self.inner.ended.get_or_init(|| self.end()).await.clone()
    }

    async fn end(&self) -> Option<Reply> {
        let live = Arc::clone(&self.inner.live());
        let mut reply = None;
        if !live.connection.is_expired() {
            let line = Logout.line();
            let request = Request { token: Some(live.token.clone()), ..Request::new(line.as_str()) };
            let message = Message { headers: Headers::new(), request, streamed: Logout::STREAMED };
            // A session that cannot be ended in order ends with its connection, and on the server with time.
            reply = send(&live.connection, message, LOGOUT_TIMEOUT, Phase::Close).await.ok();
        }
        live.connection.close().await;
        reply
    }

    /// True when the session was closed on this side; or ended by the server, if it was told not to log in again.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let has_ended = || !self.inner.opening.renews && self.inner.live().connection.is_expired();
        self.inner.closed.load(Ordering::Acquire) || has_ended()
    }
}

/// Hides the token.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("kit", &self.inner.kit)
            .field("study", &self.inner.study)
            .field("connection", &self.inner.live().connection)
            .finish_non_exhaustive()
    }
}

pub(crate) fn checked_timeout(timeout: Duration) -> Result<Duration> {
    if timeout.is_zero() { Err(Error::argument("the command timeout is zero")) } else { Ok(timeout) }
}

/// How a line is sent.
struct How {
    streamed: bool,
    is_repeatable: bool,
    meta: JsonObject,
}

/// An admin request on its way.
struct Message {
    headers: Headers,
    request: Request,
    streamed: bool,
}

/// Sends one admin request and reads the text of its reply.
async fn send(connection: &Connection, message: Message, timeout: Duration, phase: Phase) -> Result<Reply> {
    let outgoing = OutgoingRequest {
        headers: message.headers,
        payload: Payload::text(&message.request.to_json()),
        streamed: message.streamed,
        ..OutgoingRequest::plain(channel::HCI, channel::COMMAND)
    };
    let response = connection.request(outgoing, timeout).await.map_err(|fault| verdict::of_fault(fault, phase))?;
    let text = response.payload.as_text().map_err(|error| verdict::of_unreadable(phase, error))?;
    Reply::parse(&text).map_err(|error| verdict::of_unreadable(phase, error))
}

/// What is left of the time until `deadline`.
fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
