//! The one table that says what the answer to a command means.
//!
//! Three things are kept apart: the outcome of the transport (did an answer arrive?), the status word that the
//! server put into `meta`, and its texts. Only the first two decide; texts are passed on, never searched.
//! Two `info` values are compared whole, because the server uses them as codes: the marks are noted below.
//! Source: `reference/client-api.md` section 4.1, `reference/server-behaviour.md` section 1.

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
            Error::new(kind, message).with_code(code.as_str()).with_answer(None, text)
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
        Fault::Busy => Error::new(ErrorKind::Busy, "too many requests are under way"),
    }
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
mod tests {
    use super::*;

    #[test]
    fn every_transport_outcome_has_its_kind() {
        use std::sync::Arc;
        use std::time::Duration;

        use flare_wire::stream::StreamError;

        let after = Duration::from_secs(5);
        let answered = |code: ReturnCode| Fault::Answered { code, text: String::new() };
        let offline = |kind| Fault::Offline(Arc::new(Error::new(kind, "")));
        for (fault, kind, may_have_run) in [
            (Fault::TimedOut { phase: RequestPhase::Sending, after }, ErrorKind::TimedOut, false),
            (Fault::TimedOut { phase: RequestPhase::Waiting, after }, ErrorKind::TimedOut, true),
            (Fault::TimedOut { phase: RequestPhase::Receiving, after }, ErrorKind::TimedOut, true),
            (answered(ReturnCode::Unauthenticated), ErrorKind::NotAuthenticated, false),
            (answered(ReturnCode::AuthenticationError), ErrorKind::NotAuthenticated, false),
            (answered(ReturnCode::CommError), ErrorKind::ConnectionLost, false),
            (answered(ReturnCode::TargetUnreachable), ErrorKind::ConnectionLost, false),
            (answered(ReturnCode::ServiceUnavailable), ErrorKind::ConnectionLost, false),
            (answered(ReturnCode::ProcessException), ErrorKind::ServerFault, false),
            (answered(ReturnCode::Other("new".into())), ErrorKind::ProtocolViolation, false),
            (Fault::Stream(StreamError::Refused { text: "x".into() }), ErrorKind::ProtocolViolation, true),
            (Fault::Lost(None), ErrorKind::ConnectionLost, true),
            (offline(ErrorKind::Unreachable), ErrorKind::ConnectionLost, false),
            (offline(ErrorKind::TlsRefused), ErrorKind::ConnectionLost, false),
            (offline(ErrorKind::TimedOut), ErrorKind::ConnectionLost, false),
            (offline(ErrorKind::ServerIdentityMismatch), ErrorKind::ServerIdentityMismatch, false),
            (Fault::Expired("Your session is closed".into()), ErrorKind::SessionExpired, false),
            (Fault::Closed, ErrorKind::SessionClosed, false),
            (Fault::Busy, ErrorKind::Busy, false),
        ] {
            let error = of_fault(fault.clone(), Phase::Command);
            assert_eq!((error.kind(), error.may_have_run()), (kind, may_have_run), "{fault:?}");
            assert!(!of_fault(fault, Phase::Login).may_have_run());
        }
    }

    fn kind(status: &str, info: &str) -> ErrorKind {
        let mut reply = Reply::new();
        reply.push_error_with("some text", &MetaStatus::from(status), info);
        of_reply(reply).unwrap_err().kind()
    }

    #[test]
    fn every_status_word_has_its_kind() {
        for (status, info, expected) in [
            ("not_authorized", "", ErrorKind::NotAuthorized),
            ("not_authenticated", "", ErrorKind::NotAuthenticated),
            ("syntax_error", "x", ErrorKind::InvalidCommand),
            ("internal_error", "client timeout", ErrorKind::ServerFault),
            ("invalid_target", "invalid target: x", ErrorKind::InvalidTarget),
            ("invalid_target", "no clients available", ErrorKind::NoSites),
            ("invalid_job_def", "x", ErrorKind::InvalidJob),
            ("invalid_job_id", "x", ErrorKind::JobNotFound),
            ("job_running", "x", ErrorKind::JobRunning),
            ("job_not_running", "x", ErrorKind::JobNotRunning),
            ("clients_running", "", ErrorKind::SitesRunning),
            ("no_clients", "", ErrorKind::NoSites),
            ("no_reply", "", ErrorKind::NoReply),
            ("submit_token_conflict", "", ErrorKind::SubmitTokenConflict),
            ("submit_token_job_deleted", "", ErrorKind::SubmitTokenJobDeleted),
            ("no_jobs", "", ErrorKind::Refused),
            ("no_job_components", "", ErrorKind::Refused),
            ("error", "anything", ErrorKind::Refused),
            ("error", "session_inactive", ErrorKind::SessionExpired),
            ("error", "not authenticated - no token", ErrorKind::NotAuthenticated),
            ("some_new_word", "", ErrorKind::Refused),
        ] {
            assert_eq!(kind(status, info), expected, "{status} / {info}");
        }
    }

    #[test]
    fn every_error_code_has_its_kind() {
        for (code, expected) in [
            ("STUDY_NOT_FOUND", ErrorKind::StudyUnknown),
            ("INVALID_SITE", ErrorKind::InvalidTarget),
            ("INVALID_ARGS", ErrorKind::InvalidCommand),
            ("INVALID_STUDY_NAME", ErrorKind::InvalidCommand),
            ("INTERNAL_ERROR", ErrorKind::ServerFault),
            ("STUDY_ALREADY_EXISTS", ErrorKind::Refused),
            ("STUDY_HAS_JOBS", ErrorKind::Refused),
            ("USER_ALREADY_IN_STUDY", ErrorKind::Refused),
            ("USER_NOT_IN_STUDY", ErrorKind::Refused),
            ("LOCK_TIMEOUT", ErrorKind::Refused),
            ("SOMETHING_NEW", ErrorKind::Refused),
        ] {
            assert_eq!(of_error_code(code), expected, "{code}");
        }
    }

    #[test]
    fn texts_do_not_decide() {
        assert_eq!(kind("error", "user not authorized: session_inactive, unknown site"), ErrorKind::Refused);
        let mut reply = Reply::new();
        reply.push_string("user 'lead' is not authorized for 'pwd'");
        assert!(of_reply(reply).is_ok());
    }

    #[test]
    fn an_error_item_without_a_status_is_a_refusal() {
        let reply = Reply { data: vec![Item::Error("no".into())], ..Reply::new() };
        let error = of_reply(reply).unwrap_err();
        assert_eq!((error.kind(), error.server_text()), (ErrorKind::Refused, Some("no")));
    }

    #[test]
    fn the_error_text_stands_in_for_an_empty_info() {
        let mut reply = Reply::new();
        reply.push_error_with("NOT_AUTHORIZED for lead", &MetaStatus::NotAuthorized, "");
        let error = of_reply(reply).unwrap_err();
        assert_eq!(error.to_string(), "not authorized: NOT_AUTHORIZED for lead");
        assert_eq!(error.status(), Some(&MetaStatus::NotAuthorized));
    }
}
