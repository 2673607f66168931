//! The log files of a participant: `audit.log`, `log.txt`, `log.json`.
//!
//! Source: `reference/server-behaviour.md` section 17; the lines of `log.txt` and `log.json` are those that a real
//! server of release 2.9.0 writes on the same occasions.

use flare_wire::hci::python_json;
use flare_wire::{Moment, Randomness};
use serde_json::json;

use super::{LocalTime, VirtualFiles};
use crate::release::Release;

/// The audit log: one line per command.
const AUDIT: &str = "audit.log";

/// The files that lines are written to.
pub(crate) const LOGS: [&str; 3] = [AUDIT, "log.json", "log.txt"];

/// Files that a running participant has, beside its kit and [the one for errors](Release::error_log).
const LOG_FILES: [&str; 4] = [AUDIT, "log.json", "log.txt", "log_fl.txt"];

/// The longest that a log becomes; then its older half goes. A real one grows until the disk is full.
const MAX_LOG: usize = 4 << 20;

/// The same for the audit log of a site, of which there may be a thousand.
const MAX_SITE_AUDIT: usize = 64 << 10;

/// Characters of a command that the audit log keeps.
const MAX_ACTION: usize = 100;

/// Commands that leave no line, when they have no arguments.
const NOT_AUDITED: [&str; 2] = ["_check_session", "_commands"];

/// Creates the files that are not there.
pub(super) fn prepare(files: &mut VirtualFiles, now: Moment, release: Release) {
    for name in LOG_FILES.into_iter().chain([release.error_log()]) {
        if files.node(name).is_err() {
            files.insert(name, Vec::new(), 0o644, now);
        }
    }
    files.insert_directory("transfer", 0o755, now);
}

/// Puts what an earlier process has logged before what this one has.
pub(super) fn restore(files: &mut VirtualFiles, name: &str, earlier: Vec<u8>, now: Moment) {
    let since = String::from_utf8_lossy(files.read(name).unwrap_or_default()).into_owned();
    files.insert(name, earlier, 0o644, now);
    files.append(name, &since, now, MAX_LOG);
}

/// Writes the line of a command; returns the id of the event, which sites refer to, or nothing when the command
/// leaves no line.
pub(super) fn audit_command(
    files: &mut VirtualFiles,
    now: Moment,
    clock: LocalTime,
    random: &mut Randomness,
    user: &str,
    line: &str,
) -> String {
    let action: String = line.chars().take(MAX_ACTION).collect();
    if NOT_AUDITED.contains(&action.as_str()) {
        return String::new();
    }
    let event = random.uuid();
    let line = format!("[E:{event}][T:{}][U:{user}][A:{action}]\n", clock.stamp(now));
    files.append(AUDIT, &line, now, MAX_LOG);
    event
}

/// The line of a request that came to a site, with the server's event that caused it.
pub(super) fn request_line(
    now: Moment,
    clock: LocalTime,
    random: &mut Randomness,
    user: &str,
    topic: &str,
    cause: &str,
) -> String {
    let cause = if cause.is_empty() { String::new() } else { format!("[R:{cause}]") };
    format!("[E:{}]{cause}[T:{}][U:{user}][A:{topic}]\n", random.uuid(), clock.stamp(now))
}

/// Appends to the audit log of a site.
pub(super) fn audit_site(files: &mut VirtualFiles, now: Moment, line: &str) {
    files.append(AUDIT, line, now, MAX_SITE_AUDIT);
}

/// A class that writes to the log, by its full name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source(pub(super) &'static str);

impl Source {
    pub(super) const SERVER: Self = Self("nvflare.private.fed.server.fed_server.FederatedServer");
    pub(super) const CLIENT_MANAGER: Self = Self("nvflare.private.fed.server.client_manager.ClientManager");
    pub(super) const LOGIN: Self = Self("nvflare.fuel.hci.server.login.LoginModule");
    pub(super) const HCI: Self = Self("nvflare.fuel.hci.server.hci");
    pub(super) const ROOT: Self = Self("root");
    pub(super) const CLIENT: Self = Self("nvflare.private.fed.client.fed_client.FederatedClient");
    pub(super) const ENGINE: Self = Self("nvflare.private.fed.server.server_engine.ServerEngine");
    pub(super) const JOB_RUNNER: Self = Self("nvflare.private.fed.server.job_runner.JobRunner");
    const AUX_RUNNER: Self = Self("nvflare.private.aux_runner.AuxRunner");
    const AUTHENTICATOR: Self = Self("nvflare.private.fed.authenticator.Authenticator");
    const CELL: Self = Self("nvflare.fuel.f3.cellnet.cell.Cell");
    const DEPLOYER: Self = Self("nvflare.private.fed.app.deployer.server_deployer.ServerDeployer");

    fn name(self) -> &'static str {
        self.0.rsplit('.').next().unwrap_or(self.0)
    }
}

/// Writes what a server logs while it starts, but for the lines about its ports.
pub(super) fn server_started(files: &mut VirtualFiles, now: Moment, clock: LocalTime) {
    let entries = [
        (Source::DEPLOYER, "server heartbeat timeout set to 600"),
        (Source::CELL, "Register blob CB for channel='aux_communication', topic='*'"),
        (Source::SERVER, "max_reg_duration=60.0"),
        (Source::AUX_RUNNER, "registered aux handler for topic ObjectStreamer.Request"),
        (Source::AUX_RUNNER, "registered aux handler for topic ObjectStreamer.Abort"),
        (Source::AUX_RUNNER, "registered aux handler for topic fed.event"),
        (Source::DEPLOYER, "deployed FLARE Server."),
        (Source::CELL, "Register blob CB for channel='hci_channel', topic='*'"),
        (Source::HCI, "Admin Server is started"),
        (Source::ROOT, "Server started"),
    ];
    info_all(files, now, clock, entries);
}

/// Writes what a site logs until it is registered, but for the lines about its ports.
pub(super) fn site_registered(files: &mut VirtualFiles, now: Moment, clock: LocalTime, site: &str, project: &str) {
    let registered = format!("Successfully registered client:{site} for project {project}.");
    let entries = [
        (Source::AUX_RUNNER, "registered aux handler for topic ObjectStreamer.Request"),
        (Source::AUX_RUNNER, "registered aux handler for topic ObjectStreamer.Abort"),
        (Source::CELL, "Register blob CB for channel='server_command', topic='get_task'"),
        (Source::CELL, "Register blob CB for channel='server_command', topic='submit_update'"),
        (Source::CLIENT, "Wait for engine to be created."),
        (Source::CELL, "Register blob CB for channel='aux_communication', topic='*'"),
        (Source::AUX_RUNNER, "registered aux handler for topic fed.event"),
        (Source::AUTHENTICATOR, "verified server identity 'server'"),
        (Source::AUTHENTICATOR, "Verified received token and signature successfully"),
        (Source::CLIENT, registered.as_str()),
    ];
    info_all(files, now, clock, entries);
}

/// Writes a line to both logs.
pub(super) fn info(files: &mut VirtualFiles, now: Moment, clock: LocalTime, source: Source, message: &str) {
    info_all(files, now, clock, [(source, message)]);
}

/// Writes several lines of the same time to both logs.
pub(super) fn info_all<M: AsRef<str>>(
    files: &mut VirtualFiles,
    now: Moment,
    clock: LocalTime,
    entries: impl IntoIterator<Item = (Source, M)>,
) {
    let time = clock.log(now);
    let (mut lines, mut objects) = (String::new(), String::new());
    for (source, message) in entries {
        let message = message.as_ref();
        lines.push_str(&format!("{time} - {} - INFO - {message}\n", source.name()));
        objects.push_str(&python_json(&json!({
            "asctime": time, "name": source.name(), "fullName": source.0, "levelname": "INFO", "fl_ctx": "",
            "message": message,
        })));
        objects.push('\n');
    }
    files.append("log.txt", &lines, now, MAX_LOG);
    files.append("log.json", &objects, now, MAX_LOG);
}
