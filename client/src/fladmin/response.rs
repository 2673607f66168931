//! What calls give: statuses, responses, and the answers of `do_command`.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

use flare_wire::hci::{JsonObject, Reply};
use serde_json::{Value, json};

use crate::{Error, ErrorKind};

/// How a call went: upstream's `APIStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApiStatus {
    /// `SUCCESS`
    Success,
    /// `ERROR_PROTOCOL`: the server sent something that cannot be understood.
    ErrorProtocol,
    /// `ERROR_CERT`: one side does not accept the other's certificate.
    ErrorCert,
    /// `ERROR_AUTHENTICATION`: the server does not take the user for who he says he is.
    ErrorAuthentication,
    /// `ERROR_AUTHORIZATION`: the user may not do that.
    ErrorAuthorization,
    /// `ERROR_SYNTAX`: an argument, or the command, is not valid.
    ErrorSyntax,
    /// `ERROR_RUNTIME`: the command failed or was refused.
    ErrorRuntime,
    /// `ERROR_INVALID_CLIENT`: the server does not know a site.
    ErrorInvalidClient,
    /// `ERROR_INACTIVE_SESSION`: there is no session, or none any more.
    ErrorInactiveSession,
    /// `ERROR_SERVER_CONNECTION`: the server cannot be reached, or did not answer.
    ErrorServerConnection,
}

impl ApiStatus {
    /// Upstream's text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::ErrorProtocol => "ERROR_PROTOCOL",
            Self::ErrorCert => "ERROR_CERT",
            Self::ErrorAuthentication => "ERROR_AUTHENTICATION",
            Self::ErrorAuthorization => "ERROR_AUTHORIZATION",
            Self::ErrorSyntax => "ERROR_SYNTAX",
            Self::ErrorRuntime => "ERROR_RUNTIME",
            Self::ErrorInvalidClient => "ERROR_INVALID_CLIENT",
            Self::ErrorInactiveSession => "ERROR_INACTIVE_SESSION",
            Self::ErrorServerConnection => "ERROR_SERVER_CONNECTION",
        }
    }

    /// The status that says what an error of this kind is.
    pub(super) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Unreachable
            | ErrorKind::TlsRefused
            | ErrorKind::TimedOut
            | ErrorKind::ConnectionLost
            | ErrorKind::Busy => Self::ErrorServerConnection,
            ErrorKind::ServerCertificateUntrusted
            | ErrorKind::ServerCertificateExpired
            | ErrorKind::ServerIdentityMismatch
            | ErrorKind::ClientCertificateRejected
            | ErrorKind::ClientCertificateExpired
            | ErrorKind::ClockSkew => Self::ErrorCert,
            ErrorKind::ProjectMismatch
            | ErrorKind::RegistrationRefused
            | ErrorKind::LoginRejected
            | ErrorKind::StudyUnknown
            | ErrorKind::NotAuthenticated => Self::ErrorAuthentication,
            ErrorKind::NotAuthorized => Self::ErrorAuthorization,
            ErrorKind::SessionClosed | ErrorKind::SessionExpired => Self::ErrorInactiveSession,
            ErrorKind::ProtocolViolation => Self::ErrorProtocol,
            ErrorKind::InvalidTarget => Self::ErrorInvalidClient,
            ErrorKind::InvalidArgument | ErrorKind::InvalidCommand => Self::ErrorSyntax,
            _ => Self::ErrorRuntime,
        }
    }
}

impl fmt::Display for ApiStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a call gives.
///
/// ```
/// # use flare_client::fladmin::FlAdminApiResponse;
/// # fn show(response: FlAdminApiResponse) {
/// if response.is_success() {
///     println!("{}", response.details["message"]);
/// } else {
///     println!("{}: {}", response.status, response.message().unwrap_or_default());
/// }
/// println!("{}", response.to_json());
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FlAdminApiResponse {
    /// How it went.
    pub status: ApiStatus,
    /// An object whose keys depend on the call; a list for `list_jobs` and `list_sp`, a text for `get_active_sp`. When
    /// something is wrong, `message` says what.
    pub details: Value,
    /// The answer of `do_command` that the response was made of, where the original has it, and with every refusal.
    pub raw: Option<CommandResult>,
}

impl FlAdminApiResponse {
    pub(super) fn new(status: ApiStatus, details: Value) -> Self {
        Self { status, details, raw: None }
    }

    pub(super) fn success(details: Value) -> Self {
        Self::new(ApiStatus::Success, details)
    }

    pub(super) fn message_of(status: ApiStatus, message: impl Into<String>) -> Self {
        Self::new(status, json!({"message": message.into()}))
    }

    /// An argument that was not sent.
    pub(super) fn syntax(message: impl fmt::Display) -> Self {
        Self::message_of(ApiStatus::ErrorSyntax, format!("Error: APISyntaxError: {message}"))
    }

    /// What is in the way of every call.
    #[cfg(feature = "blocking")]
    pub(crate) fn refused(error: &Error) -> Self {
        Self::message_of(ApiStatus::ErrorRuntime, chain(error))
    }

    pub(super) fn with_raw(mut self, raw: CommandResult) -> Self {
        self.raw = Some(raw);
        self
    }

    /// Whether the call did what it is for.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status == ApiStatus::Success
    }

    /// The text under `message`.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.details.get("message").and_then(Value::as_str)
    }

    /// The dictionary that the original gives: `status`, `details`, and `raw` where there is one.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = JsonObject::new();
        object.insert("status".to_owned(), self.status.as_str().into());
        object.insert("details".to_owned(), self.details.clone());
        if let Some(raw) = &self.raw {
            object.insert("raw".to_owned(), raw.to_json());
        }
        Value::Object(object)
    }
}

/// What `do_command` gives: upstream's `AdminAPI` calls it the raw reply.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CommandResult {
    /// `SUCCESS` when the command reached the server and an answer came, whatever it says.
    pub status: ApiStatus,
    /// What this side has to say: why there is no reply, or where the files are.
    pub details: Option<String>,
    /// The reply of the server.
    pub reply: Option<Reply>,
    /// The folder of what was downloaded.
    pub location: Option<PathBuf>,
}

impl CommandResult {
    pub(super) fn replied(status: ApiStatus, reply: Reply) -> Self {
        Self { status, details: None, reply: Some(reply), location: None }
    }

    pub(super) fn local(status: ApiStatus, details: impl Into<String>) -> Self {
        Self { status, details: Some(details.into()), reply: None, location: None }
    }

    /// No reply came.
    pub(super) fn failed(error: &Error) -> Self {
        Self::local(ApiStatus::of(error.kind()), chain(error))
    }

    /// What is in the way of every call.
    #[cfg(feature = "blocking")]
    pub(crate) fn refused(error: &Error) -> Self {
        Self::local(ApiStatus::ErrorRuntime, chain(error))
    }

    /// Whether the command was delivered and answered. What the answer says stands in the reply.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status == ApiStatus::Success
    }

    /// The dictionary that the original gives: the server's `time`, `data` and `meta`, `status`, and `details`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = match &self.reply {
            Some(reply) => match serde_json::from_str(&reply.to_json()) {
                Ok(Value::Object(object)) => object,
                _ => JsonObject::new(),
            },
            None => JsonObject::new(),
        };
        object.insert("status".to_owned(), self.status.as_str().into());
        if let Some(details) = &self.details {
            object.insert("details".to_owned(), details.as_str().into());
        }
        if let Some(location) = &self.location {
            object.insert("meta".to_owned(), json!({"location": location.display().to_string()}));
        }
        Value::Object(object)
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = StdError::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
