//! One test for each row of the two tables, and for what must not count.

use std::sync::Arc;
use std::time::Duration;

use flare_wire::stream::StreamError;
use serde_json::json;

use super::*;

/// The kind of a reply that has this status and info, and an error item as a real server sends it.
fn kind(status: &str, info: &str) -> ErrorKind {
    let mut reply = Reply::new();
    reply.push_error_with("some text", &MetaStatus::from(status), info);
    of_reply(reply).unwrap_err().kind()
}

/// Tests of rows `name: status, info => kind`, and the list of all statuses that have one.
macro_rules! statuses {
    ($($name:ident: $status:literal, $info:literal => $kind:ident;)*) => {
        mod status {
            use super::*;

            const ROWS: &[&str] = &[$($status),*];

            $(
                #[test]
                fn $name() {
                    assert_eq!(kind($status, $info), ErrorKind::$kind);
                }
            )*

            #[test]
            fn every_word_that_is_known_has_a_row() {
                for status in MetaStatus::KNOWN {
                    assert!(status == MetaStatus::Ok || ROWS.contains(&status.as_str()), "{status}");
                }
            }
        }
    };
}

statuses! {
    not_authorized: "not_authorized", "pwd: user is not authorized" => NotAuthorized;
    not_authenticated: "not_authenticated", "who are you" => NotAuthenticated;
    syntax_error: "syntax_error", "unrecognized arguments: -z" => InvalidCommand;
    internal_error: "internal_error", "client timeout" => ServerFault;
    invalid_target: "invalid_target", "invalid target: nosite" => InvalidTarget;
    invalid_target_because_there_is_nobody: "invalid_target", "no clients available" => NoSites;
    invalid_job_def: "invalid_job_def", "no meta" => InvalidJob;
    invalid_job_id: "invalid_job_id", "nope" => JobNotFound;
    job_running: "job_running", "There are still jobs running." => JobRunning;
    job_not_running: "job_not_running", "id" => JobNotRunning;
    clients_running: "clients_running", "" => SitesRunning;
    no_clients: "no_clients", "" => NoSites;
    no_reply: "no_reply", "site-1" => NoReply;
    submit_token_conflict: "submit_token_conflict", "" => SubmitTokenConflict;
    submit_token_job_deleted: "submit_token_job_deleted", "" => SubmitTokenJobDeleted;
    no_jobs: "no_jobs", "" => Refused;
    no_job_components: "no_job_components", "No components to download" => Refused;
    error: "error", "anything" => Refused;
    error_that_means_the_session: "error", "session_inactive" => SessionExpired;
    error_that_means_a_missing_token: "error", "not authenticated - no token" => NotAuthenticated;
    a_word_of_a_later_release: "some_new_word", "x" => Refused;
}

/// Tests of rows `name: fault => kind, may have run`.
macro_rules! outcomes {
    ($($name:ident: $fault:expr => $kind:ident, $may_have_run:literal;)*) => {
        mod outcome {
            use super::*;

            $(
                #[test]
                fn $name() {
                    let error = of_fault($fault, Phase::Command);
                    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::$kind, $may_have_run));
                    // Only a command can have run.
                    assert!(!of_fault($fault, Phase::Login).may_have_run());
                }
            )*
        }
    };
}

fn timed_out(phase: RequestPhase) -> Fault {
    Fault::TimedOut { phase, after: Duration::from_secs(5) }
}

fn answered(code: ReturnCode) -> Fault {
    Fault::Answered { code, text: String::new() }
}

fn offline(kind: ErrorKind) -> Fault {
    Fault::Offline(Arc::new(Error::new(kind, "")))
}

outcomes! {
    silence_before_the_request_was_out: timed_out(RequestPhase::Sending) => TimedOut, false;
    silence_instead_of_an_answer: timed_out(RequestPhase::Waiting) => TimedOut, true;
    silence_in_the_middle_of_an_answer: timed_out(RequestPhase::Receiving) => TimedOut, true;
    a_connection_that_broke: Fault::Lost(None) => ConnectionLost, true;
    a_server_that_is_gone: offline(ErrorKind::Unreachable) => ConnectionLost, false;
    a_server_that_ends_tls: offline(ErrorKind::TlsRefused) => ConnectionLost, false;
    a_server_that_is_silent_when_it_is_called_again: offline(ErrorKind::TimedOut) => ConnectionLost, false;
    another_server_at_the_address: offline(ErrorKind::ServerIdentityMismatch) => ServerIdentityMismatch, false;
    a_server_that_does_not_want_us_any_more:
        offline(ErrorKind::ClientCertificateRejected) => ClientCertificateRejected, false;
    a_transfer_that_failed: Fault::Stream(StreamError::Refused { text: "x".into() }) => ProtocolViolation, true;
    return_code_unauthenticated: answered(ReturnCode::Unauthenticated) => NotAuthenticated, false;
    return_code_authentication_error: answered(ReturnCode::AuthenticationError) => NotAuthenticated, false;
    return_code_comm_error: answered(ReturnCode::CommError) => ConnectionLost, false;
    return_code_target_unreachable: answered(ReturnCode::TargetUnreachable) => ConnectionLost, false;
    return_code_service_unavailable: answered(ReturnCode::ServiceUnavailable) => ConnectionLost, false;
    return_code_process_exception: answered(ReturnCode::ProcessException) => ServerFault, false;
    return_code_timeout: answered(ReturnCode::Timeout) => NoReply, true;
    return_code_invalid_target: answered(ReturnCode::InvalidTarget) => ProtocolViolation, false;
    return_code_invalid_request: answered(ReturnCode::InvalidRequest) => ProtocolViolation, false;
    return_code_of_a_later_release: answered(ReturnCode::Other("new".into())) => ProtocolViolation, false;
    a_session_that_the_server_ended: Fault::Expired("Your session is closed".into()) => SessionExpired, false;
    a_session_that_was_closed_here: Fault::Closed => SessionClosed, false;
    too_much_under_way: Fault::Busy => Busy, false;
}

#[test]
fn an_answer_that_cannot_be_read_may_be_that_of_a_command_that_ran() {
    for (step, may_have_run) in [(Phase::Command, true), (Phase::CommandList, false)] {
        let error = of_unreadable(step, std::io::Error::other("x"));
        assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::ProtocolViolation, may_have_run));
    }
}

/// Tests of rows `name: code => kind` of study commands.
macro_rules! codes {
    ($($name:ident: $code:literal => $kind:ident;)*) => {
        mod code {
            use super::*;

            $(
                #[test]
                fn $name() {
                    let payload = json!({"error_code": $code, "message": "m", "hint": "h", "exit_code": 3});
                    let error = of_payload(payload.as_object().unwrap().clone()).unwrap_err();
                    assert_eq!((error.kind(), error.code()), (ErrorKind::$kind, Some($code)));
                    let told = (error.server_text(), error.server_hint(), error.exit_code());
                    assert_eq!(told, (Some("m"), Some("h"), Some(3)));
                }
            )*
        }
    };
}

codes! {
    study_not_found: "STUDY_NOT_FOUND" => StudyUnknown;
    invalid_site: "INVALID_SITE" => InvalidTarget;
    invalid_args: "INVALID_ARGS" => InvalidCommand;
    invalid_study_name: "INVALID_STUDY_NAME" => InvalidCommand;
    internal_error: "INTERNAL_ERROR" => ServerFault;
    study_already_exists: "STUDY_ALREADY_EXISTS" => Refused;
    study_has_jobs: "STUDY_HAS_JOBS" => Refused;
    user_already_in_study: "USER_ALREADY_IN_STUDY" => Refused;
    user_not_in_study: "USER_NOT_IN_STUDY" => Refused;
    lock_timeout: "LOCK_TIMEOUT" => Refused;
    a_code_of_a_later_release: "SOMETHING_NEW" => Refused;
}

/// What the official client searches all texts for.
const KEYWORDS: [&str; 6] =
    ["session_inactive", "wrong server", "Failed to communicate", "invalid client", "unknown site", "not authorized"];

#[test]
fn keywords_in_a_good_reply_are_no_error() {
    for keyword in KEYWORDS {
        for text in [keyword.to_owned(), format!("-rw-r--r-- 1 root root 12 {keyword}\n")] {
            let mut reply = Reply::new();
            reply.push_string(&text);
            assert!(of_session(&reply).is_none() && of_reply(reply).is_ok(), "{text}");
        }
    }
}

#[test]
fn keywords_in_a_refusal_do_not_change_what_it_is() {
    for keyword in KEYWORDS {
        for (status, expected) in [
            ("error", ErrorKind::Refused),
            ("invalid_job_id", ErrorKind::JobNotFound),
            ("syntax_error", ErrorKind::InvalidCommand),
        ] {
            assert_eq!(kind(status, &format!("no file {keyword} here")), expected, "{status} {keyword}");
        }
        // As the whole of an info it is a code only with the status that the server gives it.
        assert_eq!(kind("invalid_job_id", keyword), ErrorKind::JobNotFound);
        let mut reply = Reply::new();
        reply.push_error_with(keyword, &MetaStatus::Error, "something else");
        assert!(of_session(&reply).is_none());
        assert_eq!(of_reply(reply).unwrap_err().kind(), ErrorKind::Refused, "{keyword}");
    }
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

#[test]
fn refusals_of_a_token_name_the_job() {
    let mut reply = Reply::new();
    reply.push_error_with("used", &MetaStatus::SubmitTokenConflict, "used").set_meta("job_id", json!("a-job"));
    assert_eq!(of_reply(reply).unwrap_err().existing_job().unwrap().as_str(), "a-job");
    let mut reply = Reply::new();
    reply.push_error_with("gone", &MetaStatus::SubmitTokenJobDeleted, "gone").set_meta("job_id", json!("a-job"));
    reply.set_meta("submit_record_state", json!("job_deleted")).set_meta("deleted_time", json!("then"));
    let error = of_reply(reply).unwrap_err();
    let deleted = error.deleted_submission().unwrap();
    assert_eq!((deleted.job_id.as_str(), &*deleted.state, &*deleted.deleted_time), ("a-job", "job_deleted", "then"));
}
