//! The recorded replies of the real server, and what the simulated one says to the same command in the same state.
//!
//! Each recording of a command that is simulated is either replayed or listed below with the reason why its state
//! cannot be set up; the numbers are checked, so that none drops out unnoticed. Recordings of other commands are
//! replayed as far as the simulated server refuses them.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

mod clients;
#[path = "../federation/mod.rs"]
mod federation;
mod jobs;
mod logins;
mod normal;
mod refusals;
mod replay;
mod setup;
mod shell;
mod studies;
mod submissions;

use flare_fixtures::{RecordedReply, replies};

/// Commands that are simulated.
const COMMANDS: [&str; 22] = [
    "_cert_login",
    "_check_session",
    "_commands",
    "_logout",
    "admin_check_status",
    "cat",
    "check_status",
    "get_job_meta",
    "grep",
    "head",
    "list_jobs",
    "list_sessions",
    "list_studies",
    "ls",
    "pwd",
    "report_env",
    "report_resources",
    "report_version",
    "show_scopes",
    "sys_info",
    "tail",
    "training.check_status",
];

/// Recordings that are not replayed, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("check_status.aborted_dispatched", "a job process runs"),
    ("check_status.all.client_disabled_job", "a job process runs"),
    ("queue.check_status", "job processes run"),
    ("queue.check_status_after_remove", "job processes run"),
    ("grep.ok", "the recording was cut"),
    ("head.neg", "the recording was cut, and shows all but the end of a file that nobody knows"),
];

/// How many recordings there are of commands that are simulated, and of requests that are no command.
const RECORDED: usize = 413;

/// The command word; requests that are no command are named `proto.*`.
fn word(recorded: &RecordedReply) -> &str {
    recorded.command.as_deref().unwrap_or_default().split_whitespace().next().unwrap_or_default()
}

fn concerns_us(recorded: &RecordedReply) -> bool {
    !jobs::is_replayed(&recorded.name)
        && !submissions::is_replayed(&recorded.name)
        && !studies::is_replayed(recorded)
        && !clients::is_replayed(recorded)
        && (COMMANDS.contains(&word(recorded)) || recorded.name.starts_with("proto."))
}

fn reason_left_out(name: &str) -> Option<&'static str> {
    LEFT_OUT.iter().find(|(left_out, _)| *left_out == name).map(|(_, reason)| *reason)
}

#[test]
fn every_recording_is_replayed_or_left_out_for_a_reason() {
    let concerned: Vec<_> = replies().iter().filter(|recorded| concerns_us(recorded)).collect();
    assert_eq!(concerned.len(), RECORDED);
    for (name, _) in LEFT_OUT {
        assert!(concerned.iter().any(|recorded| recorded.name == *name), "{name} is no recording");
    }
    let mut failures = Vec::new();
    let mut replayed = 0;
    for recorded in concerned {
        if reason_left_out(&recorded.name).is_some() {
            continue;
        }
        match std::panic::catch_unwind(|| replay::replay(recorded)) {
            Ok(()) => replayed += 1,
            Err(_) => failures.push(recorded.name.as_str()),
        }
    }
    assert_eq!(failures, Vec::<&str>::new());
    assert_eq!(replayed, RECORDED - LEFT_OUT.len());
}
