//! A logged-in session: run commands, close.

mod jobs;
mod login;
mod logs;
mod shell;
mod sites;
mod studies;
mod system;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flare_wire::cell::{Headers, Payload, channel};
use flare_wire::endpoint::OutgoingRequest;
use flare_wire::hci::{Reply, Request};
use tokio::sync::OnceCell;
use tokio::time::Instant;

pub(crate) use login::log_in;

use crate::command::{Command, Line, Logout};
use crate::connection::Connection;
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
    connection: Connection,
    kit: Arc<StartupKit>,
    study: StudyName,
    token: String,
    commands: Vec<CommandDescription>,
    command_timeout: std::sync::Mutex<Option<Duration>>,
    closed: AtomicBool,
    ended: OnceCell<()>,
}

impl Session {
    /// Begins to open a session with this kit.
    pub fn builder(kit: StartupKit) -> SessionBuilder {
        SessionBuilder::new(kit)
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

    /// What the server offers, as it said after the login.
    #[must_use]
    pub fn commands(&self) -> &[CommandDescription] {
        &self.inner.commands
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

    fn command_timeout_slot(&self) -> std::sync::MutexGuard<'_, Option<Duration>> {
        // Nothing that holds the lock can panic; even then the value is a whole one.
        self.inner.command_timeout.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
        self.exchange(&Line::raw(line), true).await
    }

    /// Runs one command: sends its line, checks the verdict, reads the reply.
    async fn run<C: Command>(&self, command: &C) -> Result<C::Output> {
        let line = command.line();
        let reply = self.exchange(&line, C::STREAMED).await?;
        verdict::of_reply(reply).and_then(|reply| command.read(reply)).map_err(|error| error.in_command(line.name()))
    }

    async fn exchange(&self, line: &Line, streamed: bool) -> Result<Reply> {
        if self.inner.closed.load(Ordering::Acquire) && !self.inner.connection.is_expired() {
            return Err(Error::new(ErrorKind::SessionClosed, "the session is closed").in_command(line.name()));
        }
        let timeout = *self.command_timeout_slot();
        let mut request = Request { token: Some(self.inner.token.clone()), ..Request::new(line.as_str()) };
        if let Some(timeout) = timeout {
            request.meta.insert("cmd_timeout".to_owned(), timeout.as_secs_f64().into());
        }
        let patience = timeout.unwrap_or(SERVER_WAITS) + REPLY_MARGIN;
        let message = Message { headers: Headers::new(), request, streamed };
        send(&self.inner.connection, message, patience, Phase::Command)
            .await
            .map_err(|error| error.in_command(line.name()))
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
        self.inner.closed.store(true, Ordering::Release);
        // Whoever comes second waits for the first, or it would cut off the logout.
        self.inner.ended.get_or_init(|| self.end()).await;
    }

    async fn end(&self) {
        if !self.inner.connection.is_expired() {
            let line = Logout.line();
            let request = Request { token: Some(self.inner.token.clone()), ..Request::new(line.as_str()) };
            let message = Message { headers: Headers::new(), request, streamed: Logout::STREAMED };
            // A session that cannot be ended in order ends with its connection, and on the server with time.
            let _ = send(&self.inner.connection, message, LOGOUT_TIMEOUT, Phase::Close).await;
        }
        self.inner.connection.close().await;
    }

    /// True when the session was closed on this side, or ended by the server.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.closed.load(Ordering::Acquire) || self.inner.connection.is_expired()
    }
}

/// Hides the token.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("kit", &self.inner.kit)
            .field("study", &self.inner.study)
            .field("connection", &self.inner.connection)
            .finish_non_exhaustive()
    }
}

pub(crate) fn checked_timeout(timeout: Duration) -> Result<Duration> {
    if timeout.is_zero() { Err(Error::argument("the command timeout is zero")) } else { Ok(timeout) }
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
    let unreadable = || Error::new(ErrorKind::ProtocolViolation, "the reply cannot be read");
    let text = response.payload.as_text().map_err(|error| unreadable().with_source(error))?;
    Reply::parse(&text).map_err(|error| unreadable().with_source(error))
}

/// What is left of the time until `deadline`.
fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
