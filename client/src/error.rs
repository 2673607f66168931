//! The one public error: what went wrong, where, and what a caller can do about it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flare_wire::hci::MetaStatus;

use crate::model::{DeletedSubmission, JobId};

/// What a call gives.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// Why a call failed.
///
/// [`Error::kind`] is what a program should look at and [`Error::hint`] what a person should read.
/// `Display` is a fragment about this level only; [`source`](StdError::source) gives the rest of the chain.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: String,
    status: Option<MetaStatus>,
    info: Option<String>,
    code: Option<String>,
    phase: Option<Phase>,
    after: Option<Duration>,
    may_have_run: bool,
    hint: Option<&'static str>,
    server_hint: Option<String>,
    exit_code: Option<i64>,
    job: Option<JobId>,
    deleted: Option<DeletedSubmission>,
    source: Option<Source>,
}

/// What a caller can do about an [`Error`].
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The startup kit is incomplete, damaged or contradicts itself.
    InvalidStartupKit,
    /// An argument cannot be sent; nothing was.
    InvalidArgument,
    /// The server's release does not have it, as the table of commands tells that it gives after the login; nothing was
    /// sent.
    Unsupported,

    /// Nobody listens at the server's address, or the address cannot be found.
    Unreachable,
    /// The peer would not complete a TLS handshake, and did not say that our certificate is the reason.
    TlsRefused,
    /// The server's certificate was issued by another authority than the kit's root.
    ServerCertificateUntrusted,
    /// The server's certificate has expired.
    ServerCertificateExpired,
    /// The server's certificate is good, but belongs to somebody else than the kit expects.
    ServerIdentityMismatch,
    /// The server does not accept our certificate.
    ClientCertificateRejected,
    /// Our certificate has expired.
    ClientCertificateExpired,
    /// The clocks of the two machines disagree about the validity of a certificate.
    ClockSkew,

    /// The server runs another project than the kit names.
    ProjectMismatch,
    /// The server does not register this client, for the reason it gives.
    RegistrationRefused,
    /// The server refused the login; [`Error::code`] has its `AUTH_*` code if it gave one.
    LoginRejected,
    /// The server does not know the study.
    StudyUnknown,

    /// No answer in time; [`Error::phase`] and [`Error::after`] say where and when.
    TimedOut,
    /// The connection to the server broke, or is down at the moment.
    ConnectionLost,
    /// Too many requests are under way on this session.
    Busy,
    /// The session was closed on this side.
    SessionClosed,
    /// The server ended the session, or no longer accepts its token: log in again.
    SessionExpired,
    /// The peer sent something that the protocol does not allow.
    ProtocolViolation,

    /// The user's role or organisation does not permit the command.
    NotAuthorized,
    /// The server does not see the user as logged in.
    NotAuthenticated,
    /// The server does not know a target of the command.
    InvalidTarget,
    /// No site is connected that could carry out the command.
    NoSites,
    /// Sites are still connected; they have to go first.
    SitesRunning,
    /// A site did not answer the server.
    NoReply,
    /// There is no such job in the session's study.
    JobNotFound,
    /// The job has to end first.
    JobRunning,
    /// The job is not running.
    JobNotRunning,
    /// The job definition is not valid.
    InvalidJob,
    /// The submit token was used for another job.
    SubmitTokenConflict,
    /// The job of this submit token was deleted.
    SubmitTokenJobDeleted,
    /// The job did not end in time.
    JobTimeout,
    /// A file cannot be written or read on this machine.
    LocalFile,
    /// The server does not understand the command or its arguments.
    InvalidCommand,
    /// The server failed while it carried out the command.
    ServerFault,
    /// The server refused the command for the reason it gives.
    Refused,
}

/// The step in which a call ran out of time.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Opening the TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The WebSocket upgrade.
    Upgrade,
    /// HELLO was sent, READY did not come.
    Handshake,
    /// The server was asked to prove its identity.
    Challenge,
    /// The client was to be registered.
    Register,
    /// The user was to be logged in.
    Login,
    /// The list of commands was asked for.
    CommandList,
    /// A command was sent.
    Command,
    /// A part of a job was sent.
    Upload,
    /// A part of a file was asked for.
    Download,
    /// A job was waited for.
    Wait,
    /// The session was to be ended.
    Close,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "opening the connection",
            Self::Tls => "the TLS handshake",
            Self::Upgrade => "the WebSocket upgrade",
            Self::Handshake => "the handshake",
            Self::Challenge => "the challenge",
            Self::Register => "the registration",
            Self::Login => "the login",
            Self::CommandList => "reading the list of commands",
            Self::Command => "the command",
            Self::Upload => "the upload",
            Self::Download => "the download",
            Self::Wait => "waiting for the job",
            Self::Close => "closing the session",
        })
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                status: None,
                info: None,
                code: None,
                phase: None,
                after: None,
                may_have_run: false,
                hint: None,
                server_hint: None,
                exit_code: None,
                job: None,
                deleted: None,
                source: None,
            }),
        }
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    pub(crate) fn timed_out(phase: Phase, after: Duration) -> Self {
        let mut error = Self::new(ErrorKind::TimedOut, format!("{phase} timed out after {}", Seconds(after)));
        error.inner.phase = Some(phase);
        error.inner.after = Some(after);
        error
    }

    /// Says which step was waited for, and how long.
    pub(crate) fn waited(mut self, phase: Phase, after: Duration) -> Self {
        self.inner.phase = Some(phase);
        self.inner.after = Some(after);
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    pub(crate) fn with_answer(mut self, status: Option<MetaStatus>, info: impl Into<String>) -> Self {
        self.inner.status = status;
        self.inner.info = Some(info.into());
        self
    }

    pub(crate) fn with_code(mut self, code: impl Into<String>) -> Self {
        self.inner.code = Some(code.into());
        self
    }

    /// A hint that says more than that of the kind.
    pub(crate) fn with_hint(mut self, hint: &'static str) -> Self {
        self.inner.hint = Some(hint);
        self
    }

    /// What the server says that a person can do about it, and the exit code that it wants of a command-line tool.
    pub(crate) fn with_advice(mut self, hint: Option<String>, exit_code: Option<i64>) -> Self {
        self.inner.server_hint = hint.filter(|hint| !hint.is_empty());
        self.inner.exit_code = exit_code;
        self
    }

    /// Names the job that is there already.
    pub(crate) fn with_existing_job(mut self, job_id: JobId) -> Self {
        self.inner.job = Some(job_id);
        self
    }

    /// Names the job that a submit token stood for.
    pub(crate) fn with_deleted_submission(mut self, deleted: DeletedSubmission) -> Self {
        self.inner.deleted = Some(deleted);
        self
    }

    /// Marks a command that may have been carried out although its answer did not arrive.
    pub(crate) fn after_sending(mut self) -> Self {
        self.inner.may_have_run = true;
        self
    }

    /// Puts the command in front of the message. Only the name: arguments may hold secrets such as submit tokens.
    pub(crate) fn in_command(mut self, name: &str) -> Self {
        self.inner.message = format!("{name}: {}", self.inner.message);
        self
    }

    /// True when nobody listens at the server's address, or takes no TLS there yet or any more; also when that is why a
    /// lost connection could not be opened again.
    pub(crate) fn is_absence(&self) -> bool {
        let is_absent = |error: &Self| matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::TlsRefused);
        let source = self.inner.source.as_ref().and_then(|source| source.downcast_ref::<Arc<Self>>());
        is_absent(self) || source.is_some_and(|source| is_absent(source))
    }

    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// What the server said about the command in `meta.status`, if it answered.
    #[must_use]
    pub fn status(&self) -> Option<&MetaStatus> {
        self.inner.status.as_ref()
    }

    /// The server's own words, if it answered. Not for matching: the texts change between releases.
    #[must_use]
    pub fn server_text(&self) -> Option<&str> {
        self.inner.info.as_deref()
    }

    /// The server's code for the refusal, such as `AUTH_UNKNOWN_STUDY` of a login or `STUDY_NOT_FOUND` of a command.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.inner.code.as_deref()
    }

    /// What a person can do about it in the server's own words (study commands).
    #[must_use]
    pub fn server_hint(&self) -> Option<&str> {
        self.inner.server_hint.as_deref()
    }

    /// The exit code that the server wants of a command-line tool (study commands).
    #[must_use]
    pub fn exit_code(&self) -> Option<i64> {
        self.inner.exit_code
    }

    /// The step that ran out of time.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.inner.phase
    }

    /// How long that step was waited for.
    #[must_use]
    pub fn after(&self) -> Option<Duration> {
        self.inner.after
    }

    /// True when the server may have carried out the command although no answer arrived. Repeating a command
    /// that changes something may then do it twice.
    #[must_use]
    pub fn may_have_run(&self) -> bool {
        self.inner.may_have_run
    }

    /// The job that a submit token was used for before
    /// ([`SubmitTokenConflict`](ErrorKind::SubmitTokenConflict)), or the one that came of a submission that failed.
    #[must_use]
    pub fn existing_job(&self) -> Option<&JobId> {
        self.inner.job.as_ref()
    }

    /// The job that a submit token stood for ([`SubmitTokenJobDeleted`](ErrorKind::SubmitTokenJobDeleted)).
    #[must_use]
    pub fn deleted_submission(&self) -> Option<&DeletedSubmission> {
        self.inner.deleted.as_ref()
    }

    /// What a person can do about it, as a sentence fragment.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        let of_code = || self.inner.code.as_deref().and_then(hint_of_code);
        self.inner.hint.or_else(of_code).or_else(|| self.inner.kind.hint())
    }
}

impl ErrorKind {
    /// What a person can do about it, as a sentence fragment.
    #[must_use]
    pub fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::Unreachable => "check that the server runs and that host and port of the startup kit lead to it",
            Self::TlsRefused => {
                "check that the port is the server's and that connection_security is the same on both sides"
            }
            Self::ServerCertificateUntrusted => {
                "the kit and the server come from different provisioning runs: use a kit of this server's project"
            }
            Self::ServerCertificateExpired => "the server needs a new certificate: provision it again",
            Self::ServerIdentityMismatch => {
                "check server_identity, host and port in the kit: another server answers there"
            }
            Self::ClientCertificateRejected => {
                "the server does not trust this kit's certificate: ask the project admin for a kit of this project"
            }
            Self::ClientCertificateExpired => {
                "ask the project admin for a new startup kit, or check this machine's clock"
            }
            Self::ClockSkew => "compare the clocks of this machine and of the server",
            Self::ProjectMismatch => "check project_name in the kit: the server runs another project",
            Self::RegistrationRefused => "ask the project admin why the server refuses this client",
            Self::LoginRejected => "check that the kit belongs to this user and was issued for an admin",
            Self::StudyUnknown => "list the studies you may use, or log in without a study",
            Self::TimedOut => "the server is slow or silent: raise the timeout, or look at the server's log",
            Self::ConnectionLost => "the server restarted or the network broke: try again",
            Self::Busy => "wait for some of the commands, or spread them over several sessions",
            Self::SessionClosed | Self::SessionExpired => "open a new session",
            Self::ProtocolViolation => "check that the address is that of a FLARE server of a supported release",
            Self::NotAuthorized => "ask an admin with the needed role, or have the server's policy changed",
            Self::NotAuthenticated => "log in again",
            Self::InvalidTarget => "list the connected sites and check the spelling",
            Self::NoSites => "start the sites, or wait until they have registered",
            Self::SitesRunning => "shut down the sites first",
            Self::NoReply => "the site is connected but does not answer: try again, or look at its log",
            Self::JobNotFound => "list the jobs; a job of another study is not visible in this session",
            Self::JobRunning => "wait for the job, or abort it",
            Self::SubmitTokenConflict | Self::SubmitTokenJobDeleted => "use a new submit token",
            Self::JobTimeout => "wait longer, or abort the job",
            Self::LocalFile => "check the path, its permissions and the room on the disk",
            Self::InvalidStartupKit
            | Self::InvalidArgument
            | Self::Unsupported
            | Self::JobNotRunning
            | Self::InvalidJob
            | Self::InvalidCommand
            | Self::ServerFault
            | Self::Refused => return None,
        })
    }
}

/// Login codes of 2.9 that say more than their kind (`reference/client-api.md` section 2.5).
fn hint_of_code(code: &str) -> Option<&'static str> {
    Some(match code {
        "AUTH_SERVER_IDENTITY_UNAVAILABLE" => "the server has no signing key: its admin has to repair its startup kit",
        "AUTH_STUDY_USER_NOT_MAPPED" => "ask an admin of the study to add you; this is needed for every role",
        "AUTH_STUDY_NOT_CONFIGURED" => "the server has no studies yet: log in without a study",
        _ => return None,
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        if self.inner.may_have_run {
            f.write_str("; the server may still have run it")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.inner.kind).field("message", &self.to_string());
        if let Some(code) = &self.inner.code {
            out.field("code", code);
        }
        if let Some(status) = &self.inner.status {
            out.field("status", &status.as_str());
        }
        if let Some(source) = &self.inner.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// A duration as people read it: `5 s`, `0.25 s`.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.3}", self.0.as_secs_f64());
        write!(f, "{} s", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timed_out_command_says_that_it_may_have_run() {
        let error =
            Error::timed_out(Phase::Command, Duration::from_millis(5250)).after_sending().in_command("abort_job");
        assert_eq!(
            error.to_string(),
            "abort_job: the command timed out after 5.25 s; the server may still have run it"
        );
        assert_eq!((error.phase(), error.after()), (Some(Phase::Command), Some(Duration::from_millis(5250))));
        assert!(error.may_have_run());
    }

    #[test]
    fn the_message_does_not_repeat_the_source() {
        let source = std::io::Error::other("connection refused");
        let error = Error::new(ErrorKind::Unreachable, "cannot connect to localhost:8002").with_source(source);
        assert_eq!(error.to_string(), "cannot connect to localhost:8002");
        assert_eq!(StdError::source(&error).unwrap().to_string(), "connection refused");
    }

    #[test]
    fn the_hint_of_a_code_wins_over_the_hint_of_the_kind() {
        let error = Error::new(ErrorKind::LoginRejected, "login rejected").with_code("AUTH_STUDY_USER_NOT_MAPPED");
        assert!(error.hint().unwrap().contains("add you"));
        let error = Error::new(ErrorKind::LoginRejected, "login rejected").with_code("AUTH_SOMETHING_NEW");
        assert_eq!(error.hint(), ErrorKind::LoginRejected.hint());
    }
}
