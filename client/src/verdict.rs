//! The one table that says what the answer to a command means.
//!
//! Three things are kept apart: the outcome of the transport (did an answer arrive?), the status word that the
//! server put into `meta`, and its texts. Only the first two decide; texts are passed on, never searched.
//! Some `info` values are compared whole, because the server uses them as codes: they are noted below.
//!
//! | an answer came, with this status | |
//! |---|---|
//! | `ok`, none | good; [`Refused`] with an error item (a server before 2.9); study commands: by the code in the payload |
//! | `not_authorized` | [`NotAuthorized`] |
//! | `not_authenticated` | [`NotAuthenticated`] |
//! | `syntax_error` | [`InvalidCommand`] |
//! | `internal_error` | [`ServerFault`] |
//! | `invalid_target` | [`NoSites`] when the info is `no clients available`, else [`InvalidTarget`] |
//! | `invalid_job_def` | [`InvalidJob`] |
//! | `invalid_job_id` | [`JobNotFound`] |
//! | `job_running` | [`JobRunning`] |
//! | `job_not_running` | [`JobNotRunning`] |
//! | `clients_running` | [`SitesRunning`] |
//! | `no_clients` | [`NoSites`] |
//! | `no_reply` | [`NoReply`] |
//! | `submit_token_conflict` | [`SubmitTokenConflict`] with the job |
//! | `submit_token_job_deleted` | [`SubmitTokenJobDeleted`] with the job |
//! | `error` | [`SessionExpired`] when the info is `session_inactive`, [`NotAuthenticated`] when it is `not authenticated - no token`, else [`Refused`] |
//! | `no_jobs`, `no_job_components`, words of later releases | [`Refused`] |
//!
//! | no answer came | | may have run |
//! |---|---|---|
//! | nothing moved in time | [`TimedOut`] | unless the request was not out yet |
//! | the connection broke | [`ConnectionLost`] | yes |
//! | it was down and could not be opened | [`ConnectionLost`]; what is wrong with another server that answers there | no |
//! | the transfer failed | [`ProtocolViolation`] | yes |
//! | the answer cannot be read | [`ProtocolViolation`] | yes |
//! | return code `unauthenticated`, `authentication_error` | [`NotAuthenticated`] | no |
//! | return code `comm_error`, `target_unreachable`, `service_unavailable` | [`ConnectionLost`] | no |
//! | return code `process_exception` | [`ServerFault`] | no |
//! | return code `timeout` | [`NoReply`] | yes |
//! | any other return code | [`ProtocolViolation`] | no |
//! | the server ended the session | [`SessionExpired`] | no |
//! | the session was closed here | [`SessionClosed`] | no |
//! | too much is under way | [`Busy`] | no |
//!
//! Source: `reference/client-api.md` section 4, `reference/server-behaviour.md` sections 1 and 12.4.
//!
//! [`Busy`]: ErrorKind::Busy
//! [`ConnectionLost`]: ErrorKind::ConnectionLost
//! [`InvalidCommand`]: ErrorKind::InvalidCommand
//! [`InvalidJob`]: ErrorKind::InvalidJob
//! [`InvalidTarget`]: ErrorKind::InvalidTarget
//! [`JobNotFound`]: ErrorKind::JobNotFound
//! [`JobNotRunning`]: ErrorKind::JobNotRunning
//! [`JobRunning`]: ErrorKind::JobRunning
//! [`NoReply`]: ErrorKind::NoReply
//! [`NoSites`]: ErrorKind::NoSites
//! [`NotAuthenticated`]: ErrorKind::NotAuthenticated
//! [`NotAuthorized`]: ErrorKind::NotAuthorized
//! [`ProtocolViolation`]: ErrorKind::ProtocolViolation
//! [`Refused`]: ErrorKind::Refused
//! [`ServerFault`]: ErrorKind::ServerFault
//! [`SessionClosed`]: ErrorKind::SessionClosed
//! [`SessionExpired`]: ErrorKind::SessionExpired
//! [`SitesRunning`]: ErrorKind::SitesRunning
//! [`SubmitTokenConflict`]: ErrorKind::SubmitTokenConflict
//! [`SubmitTokenJobDeleted`]: ErrorKind::SubmitTokenJobDeleted
//! [`TimedOut`]: ErrorKind::TimedOut

use flare_wire::RequestPhase;
use flare_wire::cell::ReturnCode;
use flare_wire::hci::{Item, JsonObject, MetaStatus, Reply};
use serde_json::Value;

use crate::connection::Fault;
use crate::model::{DeletedSubmission, JobId};
use crate::{Error, ErrorKind, Phase};

/// `info` of a reply whose token the server does not accept (`replies/proto.bad_token.json`).
const SESSION_INACTIVE: &str = "session_inactive";
/// `info` of a reply to a request that held no token (`replies/proto.no_token.json`).
const NO_TOKEN: &str = "not authenticated - no token";
/// `info` that turns `invalid_target` into "there is nobody" (`replies/check_status.client.no_clients.json`).
const NO_CLIENTS: &str = "no clients available";

/// Passes a reply on, or says why it is a refusal.
pub(crate) fn of_reply(reply: Reply) -> Result<Reply, Error> {
    let status = match reply.status() {
        // 2.9 always sets a status with an error item; an older server may leave `meta` empty.
        None | Some(MetaStatus::Ok) => match first_error(&reply) {
            None => return Ok(reply),
            Some(text) => {
                let text = text.to_owned();
                return Err(refusal(ErrorKind::Refused, reply.status(), text));
            }
        },
        Some(status) => status,
    };
    let kind = of_status(&status, reply.info());
    let text = if reply.info().is_empty() { first_error(&reply).unwrap_or_default() } else { reply.info() };
    let error = refusal(kind, Some(status), text.to_owned());
    let job_id = || text_of(&reply, "job_id").and_then(|id| JobId::new(id).ok());
    Err(match kind {
        ErrorKind::SubmitTokenConflict => match job_id() {
            Some(job_id) => error.with_existing_job(job_id),
            None => error,
        },
        ErrorKind::SubmitTokenJobDeleted => match job_id() {
            Some(job_id) => error.with_deleted_submission(DeletedSubmission {
                job_id,
                state: text_of(&reply, "submit_record_state").unwrap_or_default(),
                deleted_time: text_of(&reply, "deleted_time").unwrap_or_default(),
            }),
            None => error,
        },
        _ => error,
    })
}

fn text_of(reply: &Reply, key: &str) -> Option<String> {
    reply.meta.get(key)?.as_str().map(str::to_owned)
}

/// The refusal of a reply whose session the server does not know; `None` for any other reply.
pub(crate) fn of_session(reply: &Reply) -> Option<Error> {
    let is_inactive = reply.status() == Some(MetaStatus::Error) && reply.info() == SESSION_INACTIVE;
    is_inactive.then(|| refusal(ErrorKind::SessionExpired, reply.status(), reply.info().to_owned()))
}

/// Passes a payload on, or says why it is a refusal: study commands put their errors into replies whose status is `ok`.
pub(crate) fn of_payload(mut payload: JsonObject) -> Result<JsonObject, Error> {
    let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    let Some(code) = text(payload.get("error_code").cloned()) else { return Ok(payload) };
    let message = text(payload.remove("message")).unwrap_or_default();
    let exit_code = payload.get("exit_code").and_then(Value::as_i64);
    let kind = of_error_code(&code);
    let shown = if message.is_empty() { &code } else { &message };
    let error = Error::new(kind, describe(kind, shown)).with_answer(Some(MetaStatus::Ok), message.clone());
    Err(error.with_code(code).with_advice(text(payload.remove("hint")), exit_code))
}

/// The kind of an error that study commands tell by a code (`reference/server-behaviour.md` section 12.4).
fn of_error_code(code: &str) -> ErrorKind {
    match code {
        "STUDY_NOT_FOUND" => ErrorKind::StudyUnknown,
        "INVALID_SITE" => ErrorKind::InvalidTarget,
        "INVALID_ARGS" | "INVALID_STUDY_NAME" => ErrorKind::InvalidCommand,
        "INTERNAL_ERROR" => ErrorKind::ServerFault,
        // STUDY_ALREADY_EXISTS, STUDY_HAS_JOBS, USER_ALREADY_IN_STUDY, USER_NOT_IN_STUDY, LOCK_TIMEOUT
        _ => ErrorKind::Refused,
    }
}

/// The kind of a refusal with this status; `ok` is none.
fn of_status(status: &MetaStatus, info: &str) -> ErrorKind {
    match status {
        MetaStatus::NotAuthorized => ErrorKind::NotAuthorized,
        MetaStatus::NotAuthenticated => ErrorKind::NotAuthenticated,
        MetaStatus::SyntaxError => ErrorKind::InvalidCommand,
        MetaStatus::InternalError => ErrorKind::ServerFault,
        MetaStatus::InvalidTarget if info == NO_CLIENTS => ErrorKind::NoSites,
        MetaStatus::InvalidTarget => ErrorKind::InvalidTarget,
        MetaStatus::InvalidJobDefinition => ErrorKind::InvalidJob,
        MetaStatus::InvalidJobId => ErrorKind::JobNotFound,
        MetaStatus::JobRunning => ErrorKind::JobRunning,
        MetaStatus::JobNotRunning => ErrorKind::JobNotRunning,
        MetaStatus::ClientsRunning => ErrorKind::SitesRunning,
        MetaStatus::NoClients => ErrorKind::NoSites,
        MetaStatus::NoReply => ErrorKind::NoReply,
        MetaStatus::SubmitTokenConflict => ErrorKind::SubmitTokenConflict,
        MetaStatus::SubmitTokenJobDeleted => ErrorKind::SubmitTokenJobDeleted,
        MetaStatus::Error if info == SESSION_INACTIVE => ErrorKind::SessionExpired,
        MetaStatus::Error if info == NO_TOKEN => ErrorKind::NotAuthenticated,
        _ => ErrorKind::Refused,
    }
}

/// Says what it means that no answer arrived in this step.
pub(crate) fn of_fault(fault: Fault, step: Phase) -> Error {
    match fault {
        Fault::TimedOut { phase, after } => {
            let error = Error::timed_out(step, after);
            // An incomplete request is not carried out.
            if phase == RequestPhase::Sending { error } else { sent(error, step) }
        }
        Fault::Answered { code, text } => {
            let (kind, what) = of_return_code(&code);
            let message = if text.is_empty() { format!("{what} ({code})") } else { format!("{what}: {text}") };
            let error = Error::new(kind, message).with_code(code.as_str()).with_answer(None, text);
            if code == ReturnCode::Timeout { sent(error, step) } else { error }
        }
        Fault::Stream(error) => {
            let failed = Error::new(ErrorKind::ProtocolViolation, format!("{step} failed in transfer"));
            sent(failed.with_source(error), step)
        }
        Fault::Lost(reason) => {
            let error =
                sent(Error::new(ErrorKind::ConnectionLost, format!("the connection was lost during {step}")), step);
            match reason {
                Some(reason) => error.with_source(reason),
                None => error,
            }
        }
        Fault::Offline(error) => {
            let message = "the connection is down and cannot be opened again";
            Error::new(of_reconnect(error.kind()), message).with_source(error)
        }
        Fault::Expired(text) => {
            let message = if text.is_empty() { "the server ended the session".to_owned() } else { first_line(&text) };
            Error::new(ErrorKind::SessionExpired, message).with_answer(None, text)
        }
        Fault::Closed => Error::new(ErrorKind::SessionClosed, "the session is closed"),
        Fault::Moved => Error::new(ErrorKind::ConnectionLost, "another server has become active"),
        Fault::Unsent => Error::new(ErrorKind::ConnectionLost, "the connection was lost before the request was sent"),
        Fault::Busy => Error::new(ErrorKind::Busy, "too many requests are under way"),
    }
}

/// What it means that an answer arrived and cannot be read.
pub(crate) fn of_unreadable(step: Phase, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    sent(Error::new(ErrorKind::ProtocolViolation, "the reply cannot be read").with_source(source), step)
}

/// Only a command can have an effect on the server.
fn sent(error: Error, step: Phase) -> Error {
    if step == Phase::Command { error.after_sending() } else { error }
}

/// A return code that comes instead of a reply is the cell network's, not the command's.
fn of_return_code(code: &ReturnCode) -> (ErrorKind, &'static str) {
    match code {
        ReturnCode::Unauthenticated | ReturnCode::AuthenticationError => {
            (ErrorKind::NotAuthenticated, "the server does not know this client")
        }
        ReturnCode::TargetUnreachable | ReturnCode::CommError | ReturnCode::ServiceUnavailable => {
            (ErrorKind::ConnectionLost, "the server is not in service")
        }
        ReturnCode::ProcessException => (ErrorKind::ServerFault, "the server failed"),
        ReturnCode::Timeout => (ErrorKind::NoReply, "whoever the server asked did not answer"),
        _ => (ErrorKind::ProtocolViolation, "the server answered with an unexpected return code"),
    }
}

/// To a caller a server that cannot be reached again is a lost connection, whichever step fails; a server that
/// is another one now, or does not want us any more, is not.
fn of_reconnect(kind: ErrorKind) -> ErrorKind {
    match kind {
        ErrorKind::Unreachable | ErrorKind::TlsRefused | ErrorKind::TimedOut => ErrorKind::ConnectionLost,
        other => other,
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn refusal(kind: ErrorKind, status: Option<MetaStatus>, text: String) -> Error {
    Error::new(kind, describe(kind, &text)).with_answer(status, text)
}

fn describe(kind: ErrorKind, text: &str) -> String {
    let what = match kind {
        ErrorKind::NotAuthorized => "not authorized",
        ErrorKind::NotAuthenticated => "not authenticated",
        ErrorKind::SessionExpired => "the server no longer accepts the session",
        ErrorKind::InvalidTarget => "invalid target",
        ErrorKind::NoSites => "no site is available",
        ErrorKind::JobNotFound => "no such job",
        ErrorKind::InvalidCommand => "the server does not understand the command",
        ErrorKind::ServerFault => "the server failed",
        _ => "refused by the server",
    };
    // Argument errors carry the whole usage text; the first line says what is wrong.
    match text.lines().next() {
        Some(line) if !line.is_empty() => format!("{what}: {line}"),
        _ => what.to_owned(),
    }
}

fn first_error(reply: &Reply) -> Option<&str> {
    reply.data.iter().find_map(|item| match item {
        Item::Error(text) => Some(text.as_str()),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
