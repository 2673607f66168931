//! The older admin API of FLARE, `FLAdminAPI`, on the same connection as [`Session`].
//!
//! No method fails: whatever happens becomes an [`FlAdminApiResponse`] with a [status](ApiStatus) and details. The names of
//! calls, details and statuses are upstream's. New code had better use [`Session`], whose results have types.
//!
//! ```
//! use flare_client::StartupKit;
//! use flare_client::fladmin::{FlAdminApi, TargetType};
//! # use flare_simserver::{SimServer, project::Role};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = SimServer::start().await?;
//! # let folder = server.admin_kit(Role::ProjectAdmin)?;
//!
//! let api = FlAdminApi::new(StartupKit::open(folder)?);
//! let status = api.check_status(TargetType::Server, &[]).await;
//! assert!(status.is_success());
//! println!("{} {}", status.details["server_engine_status"], status.details["registered_clients"]);
//!
//! let nobody = api.get_working_directory("nosite").await;
//! println!("{}: {}", nobody.status, nobody.message().unwrap_or_default());
//! api.logout().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Logging in
//!
//! happens by itself at the first call, and again when the session was lost; see [`Session`] for what is repeated then. As
//! long as it does not work every call says so, with the reason, and tries again. A command that the server does not have is
//! another matter, and only told after a login: `Command NAME not found`.
//!
//! # What differs from the original
//!
//! | original (2.7.3) | here |
//! |---|---|
//! | a refusal is `SUCCESS` unless its text has one of a few key words | the server's status word decides; [`StatusReading::AsOriginal`] for the old way |
//! | a failed login shows as an unknown command | shows as what it is |
//! | a lost session stays lost | is logged in again once for all callers |
//! | after `logout` calls give `ERROR_RUNTIME`, `login` fails after 8 s | `ERROR_INACTIVE_SESSION` at once |
//! | `submit_job` writes signatures into the folder | the folder stays as it is |
//! | `reset_errors` lacks a target, which current servers refuse | is for everybody |
//! | nothing found by `grep_target` is `ERROR_RUNTIME` | an empty message |
//! | the waiting calls: see [`WaitOptions`] | |

mod arguments;
mod jobs;
mod reading;
mod response;
mod runner;
mod shell;
mod system;
mod wait;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flare_wire::hci::split_line;
use tokio::sync::Mutex;

pub use arguments::TargetType;
pub use reading::StatusReading;
pub use response::{ApiStatus, CommandResult, FlAdminApiResponse};
pub use runner::{FlAdminApiRunner, RunStep};
pub use wait::{
    WAITED_UNTIL_NOT_RUNNING, WAITED_UNTIL_TIMEOUT, WaitOptions, clients_have_no_jobs, server_has_stopped,
    server_runner_is_done,
};

use arguments::Unfit;
use reading::{Understood, delivered, understood};

use crate::command::{Command, Line};
use crate::model::{CommandDescription, JobId};
use crate::startup_kit::StartupKit;
use crate::{Error, ErrorKind, Result, Session, SessionBuilder};

/// What upstream's command table calls an upload.
const PUSH_FOLDER: &str = "file_transfer.push_folder";
/// What upstream's command table calls a download.
const PULL_FOLDER: &str = "file_transfer.pull_folder";

/// The older API. Cheap to clone; all clones share one session.
///
/// Dropping the future of a call leaves behind what dropping that of the [`Session`] method of the same name does.
#[derive(Clone)]
pub struct FlAdminApi {
    inner: Arc<Inner>,
    reading: StatusReading,
}

struct Inner {
    kit: StartupKit,
    /// How a session is opened; none for one that somebody else has opened.
    builder: Option<SessionBuilder>,
    /// Held by whoever logs in.
    session: Mutex<Option<Session>>,
    is_over: AtomicBool,
}

/// A response in place of what was asked for.
type Outcome<T> = std::result::Result<T, Box<FlAdminApiResponse>>;

impl From<Unfit> for Box<FlAdminApiResponse> {
    fn from(Unfit(text): Unfit) -> Self {
        Self::new(FlAdminApiResponse::syntax(text))
    }
}

/// The response, whichever way it came about.
fn settled(outcome: Outcome<FlAdminApiResponse>) -> FlAdminApiResponse {
    outcome.unwrap_or_else(|response| *response)
}

impl From<SessionBuilder> for FlAdminApi {
    fn from(builder: SessionBuilder) -> Self {
        Self::of(builder.kit().clone(), Some(builder), None)
    }
}

/// The older API on a session that is open already; [`FlAdminApi::logout`] ends that.
impl From<Session> for FlAdminApi {
    fn from(session: Session) -> Self {
        Self::of(session.kit().clone(), None, Some(session))
    }
}

impl FlAdminApi {
    /// With this kit; nothing is sent before the first call. For other timeouts make it `from` a [`SessionBuilder`].
    #[must_use]
    pub fn new(kit: StartupKit) -> Self {
        Session::builder(kit).into()
    }

    fn of(kit: StartupKit, builder: Option<SessionBuilder>, session: Option<Session>) -> Self {
        let inner = Inner { kit, builder, session: Mutex::new(session), is_over: AtomicBool::new(false) };
        Self { inner: Arc::new(inner), reading: StatusReading::default() }
    }

    /// Reads replies in this way from here on; other clones are not affected.
    #[must_use]
    pub fn reading(mut self, reading: StatusReading) -> Self {
        self.reading = reading;
        self
    }

    /// The session below, logged in: whatever the older API lacks can be had from it on the same connection.
    ///
    /// # Errors
    /// Those of [`SessionBuilder::connect`]; [`SessionClosed`](ErrorKind::SessionClosed) after [`logout`](Self::logout).
    ///
    /// # Cancel safety
    /// Dropping the future ends a login that is under way.
    pub async fn session(&self) -> Result<Session> {
        let closed = || Error::new(ErrorKind::SessionClosed, "the session was logged out and cannot be used again");
        if self.inner.is_over.load(Ordering::Acquire) {
            return Err(closed());
        }
        let mut held = self.inner.session.lock().await;
        if let Some(session) = &*held {
            return Ok(session.clone());
        }
        let builder = self.inner.builder.clone().ok_or_else(closed)?;
        let session = builder.connect().await?;
        *held = Some(session.clone());
        Ok(session)
    }

    /// Logs in now rather than at the first call; does nothing when that has happened.
    ///
    /// ```no_run
    /// # async fn example(api: flare_client::fladmin::FlAdminApi) {
    /// let login = api.login().await;
    /// if !login.is_success() {
    ///     println!("{}", login.details.unwrap_or_default());
    /// }
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future ends a login that is under way.
    pub async fn login(&self) -> CommandResult {
        match self.session().await {
            Ok(_) => CommandResult::local(ApiStatus::Success, "Login success"),
            Err(error) => CommandResult::failed(&error),
        }
    }

    /// Logs out and closes the connection; gives the server's answer, the first time and if there is one. All later calls
    /// give [`ErrorInactiveSession`](ApiStatus::ErrorInactiveSession), also those of other clones: make a new API to go on.
    ///
    /// # Cancel safety
    /// When the future is dropped before it is done, the API is over all the same.
    pub async fn logout(&self) -> Option<CommandResult> {
        self.inner.is_over.store(true, Ordering::Release);
        let session = self.inner.session.lock().await.take()?;
        let reply = session.log_out().await;
        reply.map(|reply| delivered(reply, self.reading))
    }

    /// Sends a command line as it is: the level below the calls. `SUCCESS` means that it was delivered and answered; what
    /// the answer says stands in the [reply](CommandResult::reply). A name may be qualified with its scope, as in
    /// `job_mgmt.list_jobs`. Commands with files, such as `submit_job FOLDER`, send and fetch them too.
    ///
    /// A line that was sent is not sent again when its reply was lost: only whoever wrote it knows whether that is safe.
    ///
    /// ```no_run
    /// # async fn example(api: flare_client::fladmin::FlAdminApi) {
    /// let sessions = api.do_command("list_sessions").await;
    /// println!("{}", sessions.to_json());
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// The server may carry out the command although the future was dropped.
    pub async fn do_command(&self, line: &str) -> CommandResult {
        let words = split_line(line).words;
        let (name, arguments) = words.split_first().map_or(("", &[][..]), |(name, rest)| (name.as_str(), rest));
        if name == "info" {
            let (up, down) = (self.inner.kit.upload_dir(), self.inner.kit.download_dir());
            let folders =
                format!("Local Upload Source: {}\nLocal Download Destination: {}\n", up.display(), down.display());
            return CommandResult::local(ApiStatus::Success, folders);
        }
        let session = match self.session().await {
            Ok(session) => session,
            Err(error) => return not_logged_in(&error, self.reading),
        };
        let command = match find(&session.commands(), name) {
            Ok(command) => command,
            Err(text) => return CommandResult::local(ApiStatus::ErrorSyntax, text),
        };
        match (command.client_command.as_deref(), arguments) {
            (Some(PUSH_FOLDER), [folder]) => self.push(&session, folder).await,
            (Some(PULL_FOLDER), [job_id, rest @ ..]) if rest.len() < 2 => {
                self.pull(&session, &command.name, job_id).await
            }
            (Some(PUSH_FOLDER | PULL_FOLDER), _) => {
                CommandResult::local(ApiStatus::ErrorSyntax, format!("usage: {}", command.usage))
            }
            _ => self.exchanged(session.reply_to(&Line::raw(line), false, true).await),
        }
    }

    fn exchanged(&self, reply: Result<flare_wire::hci::Reply>) -> CommandResult {
        match reply {
            Ok(reply) => delivered(reply, self.reading),
            Err(error) => CommandResult::failed(&error),
        }
    }

    /// `submit_job`: a folder below the upload folder, or anywhere by an absolute path.
    async fn push(&self, session: &Session, folder: &str) -> CommandResult {
        let path = self.inner.kit.upload_dir().join(folder.trim_end_matches('/'));
        if !path.is_dir() {
            let text = format!("'{}' is not a valid folder.", path.display());
            return CommandResult::local(ApiStatus::ErrorRuntime, text);
        }
        self.exchanged(session.submit_job(path).reply().await)
    }

    /// `download_job`, `download_job_components`.
    async fn pull(&self, session: &Session, command: &str, job_id: &str) -> CommandResult {
        let job_id = match JobId::new(job_id) {
            Ok(job_id) => job_id,
            Err(error) => return CommandResult::failed(&error),
        };
        let download = match command {
            "download_job" => session.download_job_result(&job_id),
            _ => session.download_job_components(&job_id),
        };
        match download.with_refusal().await {
            (Ok(folder), _) => {
                let text = format!("content downloaded to {}", folder.display());
                CommandResult { location: Some(folder), ..CommandResult::local(ApiStatus::Success, text) }
            }
            (Err(_), Some(refusal)) => delivered(refusal, self.reading),
            (Err(error), None) => CommandResult::failed(&error),
        }
    }

    /// Runs a command for a call, and makes the common checks.
    async fn call<C: Command>(&self, command: &C) -> Outcome<Understood> {
        self.call_line(&command.line(), C::REPEATABLE, C::STREAMED).await
    }

    async fn call_line(&self, line: &Line, is_repeatable: bool, streamed: bool) -> Outcome<Understood> {
        let session = self.session_with(line.name()).await?;
        let raw = self.exchanged(session.reply_to(line, is_repeatable, streamed).await);
        let understood = understood(raw, self.reading)?;
        understood.unless_refused_by_a_site(self.inner.kit.username(), line.name())
    }

    /// The session, if the server has this command.
    async fn session_with(&self, command: &str) -> Outcome<Session> {
        let session = match self.session().await {
            Ok(session) => session,
            Err(error) => return Err(self.unsent(not_logged_in(&error, self.reading))),
        };
        let Err(text) = find(&session.commands(), command) else { return Ok(session) };
        let unknown = CommandResult::local(ApiStatus::ErrorSyntax, text.as_str());
        if self.reading == StatusReading::AsOriginal {
            return Err(self.unsent(unknown));
        }
        let text = format!("{text}: this server does not offer it");
        Err(Box::new(FlAdminApiResponse::message_of(ApiStatus::ErrorRuntime, text).with_raw(unknown)))
    }

    /// The response for a result without a reply.
    fn unsent(&self, result: CommandResult) -> Box<FlAdminApiResponse> {
        match understood(result, self.reading) {
            Err(response) => response,
            Ok(understood) => Box::new(understood.unusable()),
        }
    }
}

/// Hides the session's token.
impl fmt::Debug for FlAdminApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlAdminApi").field("kit", &self.inner.kit).field("reading", &self.reading).finish()
    }
}

/// There is no session; which is not the same as an unknown command.
fn not_logged_in(error: &Error, reading: StatusReading) -> CommandResult {
    let text = match error.kind() {
        ErrorKind::SessionClosed if reading == StatusReading::AsOriginal => {
            "Session is inactive, please try later".to_owned()
        }
        ErrorKind::SessionClosed => "Session is inactive: it was logged out and cannot be used again".to_owned(),
        _ => format!("not logged in: {}", response::chain(error)),
    };
    CommandResult::local(ApiStatus::of(error.kind()), text)
}

/// Looks a name up in the server's table, as the original does: with or without its scope. The error says what is wrong
/// with the name.
fn find(commands: &[CommandDescription], name: &str) -> std::result::Result<CommandDescription, String> {
    let is_meant = |command: &&CommandDescription| match name.split_once('.') {
        Some((scope, name)) => command.scope == scope && command.name == name,
        None => command.name == name,
    };
    let mut found = commands.iter().filter(is_meant);
    match (found.next(), found.next()) {
        (None, _) => Err(format!("Command {name} not found")),
        (Some(command), None) => Ok(command.clone()),
        (Some(_), Some(_)) => Err(format!("Ambiguous command {name} - qualify with scope")),
    }
}

#[cfg(test)]
mod tests;
