//! Commands: a request in, a reply out.
//!
//! ```text
//! text ─▶ request ─▶ words ─▶ command ─▶ session ─▶ checks, policy ─▶ audit log ─▶ handler ─▶ reply
//! ```
//!
//! The order shows in the replies: an unknown command is told before anything is asked about the user, a wrong
//! argument before a missing right (`reference/server-behaviour.md` section 1).
//!
//! | module | |
//! |---|---|
//! | `request`, `line`, `ids` | what a request, a command line, an id is |
//! | `table`, `entries` | the one table of commands |
//! | `call` | a command on its way through the server |
//! | `checks`, `targets`, [`arguments`] | what is checked before a command runs |
//! | `login`, `catalogue`, `clients`, `status`, `system`, `jobs`, `studies`, `shell` | the handlers |
//! | `unmodelled` | what commands answer that are not simulated |

pub mod arguments;
mod call;
mod catalogue;
mod cellnet;
mod checks;
mod clients;
mod entries;
mod ids;
mod jobs;
mod line;
mod log_config;
mod login;
mod request;
mod shell;
mod status;
mod studies;
mod system;
mod table;
mod targets;
mod unmodelled;

use std::time::Duration;

use flare_wire::Moment;
use flare_wire::auth::LoginHeaders;
use flare_wire::hci::{MetaStatus, Reply};
use serde_json::Value;

pub use jobs::{Checked, Submission, check_archive, finish};
pub use table::{Command, Confirm, commands};

use crate::core::{Sim, Ticket};
use crate::mutants::Mutant;
use crate::release::Release;
use crate::script::Scripted;
use call::{Call, Step, Stop};
use request::Request;
use targets::Targets;

/// Commands that look after the session themselves; only when they are named without their scope.
const WITHOUT_SESSION: [&str; 2] = ["_cert_login", "_check_session"];

/// Commands that no script answers.
const ABOUT_SESSIONS: [&str; 3] = ["_cert_login", "_check_session", "_logout"];

/// A request on channel `hci_channel`.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// The endpoint that it comes from.
    pub origin: &'a str,
    /// Its payload: a text. (The real server reads bytes that hold a text as well.)
    pub text: &'a str,
    /// The headers that `_cert_login` reads.
    pub login: &'a LoginHeaders,
    /// True for the request in the context of an upload, whose file has arrived.
    pub has_upload: bool,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The reply.
    Now(Reply),
    /// The reply comes as [`Effect::Answered`](crate::core::Effect::Answered) with this ticket: a site is slow.
    Later(Ticket),
    /// The uploaded archive has to be looked at ([`check_archive`]), and then the job taken in ([`finish`]).
    Submit(Box<Submission>),
}

/// Handles one request.
///
/// A request whose payload is no text at all does not come here: the real server answers it with an empty payload.
pub fn handle(sim: &mut Sim, now: Moment, incoming: Incoming<'_>) -> Answer {
    sim.update_sites(now);
    sim.advance_jobs(now);
    let mut reply = Reply { time: sim.clock().stamp(now), ..Reply::new() };
    let Some(request) = Request::read(incoming.text) else {
        reply.push_error_with("protocol violation", &MetaStatus::InternalError, "protocol violation");
        if incoming.has_upload {
            // The real server goes on all the same, with no command.
            reply.push_error("Unknown command \"\"");
        }
        return Answer::Now(reply);
    };
    let (reply, wait, submission) = execute(sim, now, incoming, &request, reply);
    if let Some(submission) = submission {
        return Answer::Submit(Box::new(submission.with_reply(reply)));
    }
    if wait.is_zero() {
        return Answer::Now(reply);
    }
    match sim.answer_later(now + wait, reply) {
        Ok(ticket) => Answer::Later(ticket),
        Err(mut reply) => {
            reply.data.clear();
            reply.meta.clear();
            reply.push_error("not modelled by flare-simserver: as many commands that wait for sites");
            Answer::Now(reply)
        }
    }
}

/// Runs a request; returns the reply, how long it has to wait, and the job that it submits.
fn execute(
    sim: &mut Sim,
    now: Moment,
    incoming: Incoming<'_>,
    request: &Request,
    mut reply: Reply,
) -> (Reply, Duration, Option<Box<Submission>>) {
    let Value::String(line) = &request.command else {
        fail(&mut reply, Stop::Exception("TypeError: expected string or bytes-like object, got 'dict'".to_owned()));
        return (reply, Duration::ZERO, None);
    };
    let words = match line::words(line, sim.release()) {
        Ok(words) => words,
        Err(text) => {
            fail(&mut reply, Stop::Exception(text));
            return (reply, Duration::ZERO, None);
        }
    };
    let word = words.first().map_or("", String::as_str);
    if let Some(scripted) = scripted(sim, now, incoming, request, line, word) {
        return (scripted, Duration::ZERO, None);
    }
    let Some(command) = table::find(sim.release(), word) else {
        if !sim.mutant(Mutant::UnknownCommandSilent) {
            reply.push_error(format!("Unknown command \"{word}\""));
        }
        return (reply, Duration::ZERO, None);
    };
    let mut call = Call {
        sim,
        now,
        origin: incoming.origin,
        login: incoming.login,
        command,
        line,
        words,
        request,
        session: None,
        targets: Targets::default(),
        job: None,
        has_upload: incoming.has_upload,
        submission: None,
        shell: None,
        event: String::new(),
        reply,
        wait: Duration::ZERO,
    };
    if let Err(stop) = run(&mut call) {
        fail(&mut call.reply, stop);
    }
    (call.reply, call.wait, call.submission)
}

/// The answer of a script to a command in a session. Sessions themselves are always simulated.
fn scripted(
    sim: &mut Sim,
    now: Moment,
    incoming: Incoming<'_>,
    request: &Request,
    line: &str,
    word: &str,
) -> Option<Reply> {
    let script = sim.script().filter(|_| !ABOUT_SESSIONS.contains(&word))?.clone();
    let session = sim.resume_session(now, request.token.as_ref()?.as_str()?, incoming.origin)?;
    let (user, study, meta) = (session.name.as_str(), session.study.as_str(), &request.meta);
    script.answer(Scripted { user, study, line, meta, has_upload: incoming.has_upload })
}

fn run(call: &mut Call<'_>) -> Step {
    authenticate(call)?;
    call.check()?;
    let user = call.session.as_ref().map_or("?", |session| session.name.as_str()).to_owned();
    call.event = call.sim.audit(call.now, &user, call.line);
    (call.command.run)(call)
}

fn authenticate(call: &mut Call<'_>) -> Step {
    if call.words.first().is_some_and(|word| WITHOUT_SESSION.contains(&word.as_str())) {
        return Ok(());
    }
    let Some(token) = &call.request.token else {
        return call.refuse(&MetaStatus::Error, "not authenticated - no token");
    };
    let token = token.as_str();
    if call.has_upload && token.is_some_and(|token| call.sim.is_unknown_session(call.now, token)) {
        // What comes with a file has no endpoint of its own, which the real server wants for a new session.
        return Err(Stop::Exception("AssertionError: ".to_owned()));
    }
    call.session = token.and_then(|token| call.sim.resume_session(call.now, token, call.origin));
    if call.session.is_some() {
        return Ok(());
    }
    let seconds = call.sim.idle_seconds();
    call.reply.push_error("session_inactive");
    let how = if call.sim.release() < Release::V2_9 { "timed out" } else { "timed out/expired" };
    call.reply.push_string(format!(
        "user not authenticated or session {how} after {seconds} seconds of inactivity - logged out"
    ));
    Err(Stop::Done)
}

/// Adds what a command that ended early has to say to what it has said already.
fn fail(reply: &mut Reply, stop: Stop) {
    match stop {
        Stop::Done => {}
        Stop::Exception(text) => drop(reply.push_error(format!("Exception Occurred: {text}"))),
        Stop::NotModelled(what) => drop(reply.push_error(format!("not modelled by flare-simserver: {what}"))),
    }
}
