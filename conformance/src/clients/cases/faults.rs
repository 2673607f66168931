//! What a client makes of a connection that breaks, a server that is away, and a session that has ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flare_simserver::Restart;
use flare_simserver::core::SiteBehaviour;
use flare_simserver::faults::{Direction, Fault, FaultGuard};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::calls::{Setting, prepared};
use super::{CONNECTION, ENDED, about, case};
use crate::clients::bout::{Bout, CHIEF, SITE, job_id};
use crate::clients::process::{Answer, Subject};
use crate::finding::{chain, ensure, ensure_eq};
use crate::job_folder::JobFolder;
use crate::{Case, CaseResult, Finding};

/// How long a call may take where the server does not answer: four times what the official client waits for an answer
/// (`client-api.md` section 5.3), and what a busy machine adds.
const SILENT_LIMIT: Duration = Duration::from_secs(40);

/// How often a call that reads is made until it succeeds again, and the pause between two.
const ATTEMPTS: usize = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// A session without a command ends after half an hour.
const IDLE: Duration = Duration::from_secs(1900);

/// Certificates are good for a year.
const CERTIFICATE_ENDS: Duration = Duration::from_secs(400 * 24 * 3600);

pub(super) fn cases(subject: &Arc<Subject>) -> Vec<Case> {
    let mut cases: Vec<Case> = CUTS
        .iter()
        .map(|(id, title, nth)| {
            let about = about(id, title, &["CLIENT-RETRY-002"], &["submit_job"]);
            case(subject, about, move |subject| submit_is_cut(subject, *nth))
        })
        .collect();
    cases.extend([
        case(
            subject,
            about(
                "faults.submit-reply-lost",
                "a job without a token is not submitted twice when the answer is lost",
                &["CLIENT-RETRY-001"],
                &["submit_job"],
            ),
            submit_reply_lost,
        ),
        case(
            subject,
            about(
                "faults.submit-token-reply-lost",
                "a job with a token is one job when the answer is lost",
                &["CLIENT-RETRY-002"],
                &["submit_job"],
            ),
            submit_token_reply_lost,
        ),
        case(
            subject,
            about(
                "faults.clone-reply-lost",
                "a job is not cloned twice when the answer is lost",
                &["CLIENT-RETRY-001"],
                &["clone_job"],
            ),
            clone_reply_lost,
        ),
        case(
            subject,
            about(
                "faults.delete-reply-lost",
                "a job is not deleted twice when the answer is lost",
                &["CLIENT-RETRY-001"],
                &["delete_job"],
            ),
            delete_reply_lost,
        ),
        case(
            subject,
            about(
                "faults.read-reply-lost",
                "after a lost answer the next call is answered",
                &["CLIENT-RETRY-003"],
                &["list_jobs"],
            ),
            read_reply_lost,
        ),
        case(
            subject,
            about(
                "faults.server-killed",
                "a session goes on after the server was killed and started again",
                &["CLIENT-RETRY-003"],
                &["list_jobs"],
            ),
            |subject| server_restarts(subject, Restart::Kill),
        ),
        case(
            subject,
            about(
                "faults.server-restarted",
                "a session goes on after the server has restarted in order",
                &["CLIENT-RETRY-003"],
                &["list_jobs"],
            ),
            |subject| server_restarts(subject, Restart::Graceful),
        ),
        case(
            subject,
            about(
                "faults.server-away",
                "a call while the server is away fails or is answered when it is back",
                &["CLIENT-RETRY-003"],
                &["list_jobs"],
            ),
            server_away,
        ),
        case(
            subject,
            about(
                "faults.server-silent",
                "a call to a server that says nothing fails in time",
                &["CLIENT-PATIENCE-001"],
                &["list_jobs"],
            ),
            server_silent,
        ),
        case(
            subject,
            about(
                "faults.site-silent",
                "a site that says nothing is no result",
                &["CLIENT-PATIENCE-001"],
                &["set_timeout", "get_working_directory"],
            ),
            site_silent,
        ),
        case(
            subject,
            about(
                "faults.slow-reply",
                "an answer that takes two seconds is an answer",
                &["CLIENT-PATIENCE-001"],
                &["list_jobs"],
            ),
            slow_reply,
        ),
        case(
            subject,
            about(
                "faults.damaged-reply",
                "a damaged answer is no result, and the next call is answered",
                &["CLIENT-HARM-001"],
                &["list_jobs"],
            ),
            damaged_reply,
        ),
        case(
            subject,
            about(
                "faults.download-cut",
                "a download that broke off is whole or an error",
                &["CLIENT-DOWNLOAD-001", "CLIENT-RETRY-003"],
                &["download_job_result"],
            ),
            download_cut,
        ),
        case(
            subject,
            about(
                "faults.session-expired",
                "a session that has expired says so, or is opened again",
                &["CLIENT-EXPIRY-001"],
                &["list_jobs"],
            ),
            session_expired,
        ),
        case(
            subject,
            about(
                "faults.session-inactive",
                "a token that the server does not take any more is the end of the session",
                &["CLIENT-EXPIRY-001"],
                &["list_jobs"],
            ),
            session_inactive,
        ),
        case(
            subject,
            about(
                "faults.monitor-restart",
                "a job is monitored over a restart, or the caller is told that the connection broke",
                &["CLIENT-RETRY-003"],
                &["wait_for_job"],
            ),
            monitor_restart,
        ),
    ]);
    cases
}

/// A submission of a small job is two frames: its one piece and the acknowledgement of the answer.
static CUTS: &[(&str, &str, u64)] = &[
    ("faults.submit-cut-1", "a submission that breaks before its first frame can be made again", 1),
    ("faults.submit-cut-2", "a submission that breaks before its second frame can be made again", 2),
    ("faults.submit-cut-3", "a submission that breaks before its third frame can be made again", 3),
    ("faults.submit-cut-4", "a submission that breaks before its fourth frame can be made again", 4),
];

async fn submit_is_cut(subject: Arc<Subject>, nth: u64) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    let job = JobFolder::waiting("referee-cut")?;
    let arguments = json!({"job_definition_path": job.path(), "submit_token": "cut"});
    let cut = bout.server.inject(Fault::on(Direction::ToServer).nth_frame(nth).cut_before());
    let answer = bout.call("submit_job", arguments.clone()).await?;
    drop(cut);
    ensure!(bout.jobs() <= 1, "one submission with a token came to {} jobs", bout.jobs());
    if let Answer::Value(id) = &answer {
        ensure!(bout.status(job_id(id)?.as_str()).is_some(), "there is no job {id}");
    }
    let again = again(&mut bout, "submit_job", arguments).await?;
    ensure!(bout.status(job_id(&again)?.as_str()).is_some(), "there is no job {again}");
    ensure_eq!(bout.jobs(), 1, "jobs after the submission was made again");
    if let Answer::Value(id) = answer {
        ensure_eq!(again, id, "the job of the second submission");
    }
    Ok(())
}

/// Makes a call until it succeeds.
async fn again(bout: &mut Bout, call: &str, arguments: Value) -> CaseResult<Value> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match bout.call(call, arguments.clone()).await? {
            Answer::Value(value) => return Ok(value),
            Answer::Failed(failure) => last = Some(failure),
        }
        sleep(PAUSE).await;
    }
    let last = last.map(|failure| failure.to_string()).unwrap_or_default();
    Err(Finding::fail(format!("{call} failed {ATTEMPTS} times on a server that is well: {last}")))
}

/// Channels on which answers travel: streamed ones on the first, plain ones on those of their requests.
const ANSWERS: [&str; 3] = ["return_only", "hci_channel", "aux_communication"];

/// Does this to the next answer to a command or to a piece of an upload, on whichever channel it comes.
fn next_answer(bout: &Bout, fault: impl Fn(Fault) -> Fault) -> Vec<FaultGuard> {
    let on = |channel| fault(Fault::on(Direction::ToClient).about(channel).nth_frame(1));
    ANSWERS.into_iter().map(|channel| bout.server.inject(on(channel))).collect()
}

/// The connection breaks instead of the next answer.
fn no_answer(bout: &Bout) -> Vec<FaultGuard> {
    next_answer(bout, Fault::cut_before)
}

async fn submit_reply_lost(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    bout.needs_sessions()?;
    let job = JobFolder::waiting("referee-lost")?;
    let lost = no_answer(&bout);
    let answer = bout.call("submit_job", json!({"job_definition_path": job.path()})).await?;
    drop(lost);
    ensure_eq!(bout.jobs(), 1, "jobs of one submission");
    ensure_eq!(bout.wire.uploads().0, 1, "uploads of one submission");
    ensure!(matches!(answer, Answer::Failed(_)), "expected an error, observed {answer:?}");
    Ok(())
}

async fn submit_token_reply_lost(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    let job = JobFolder::waiting("referee-lost")?;
    let arguments = json!({"job_definition_path": job.path(), "submit_token": "lost"});
    let lost = no_answer(&bout);
    bout.call("submit_job", arguments.clone()).await?;
    drop(lost);
    let id = again(&mut bout, "submit_job", arguments).await?;
    ensure!(bout.status(job_id(&id)?.as_str()).is_some(), "there is no job {id}");
    ensure_eq!(bout.jobs(), 1, "jobs of one token");
    Ok(())
}

async fn clone_reply_lost(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, id) = prepared(&subject, Setting::Waiting).await?;
    bout.needs_sessions()?;
    let lost = no_answer(&bout);
    let answer = bout.call("clone_job", json!({"job_id": id})).await?;
    drop(lost);
    ensure_eq!(bout.wire.named("clone_job").len(), 1, "commands of one call");
    ensure_eq!(bout.jobs(), 2, "the job and its clone");
    ensure!(matches!(answer, Answer::Failed(_)), "expected an error, observed {answer:?}");
    Ok(())
}

async fn delete_reply_lost(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, id) = prepared(&subject, Setting::Finished).await?;
    bout.needs_sessions()?;
    let lost = no_answer(&bout);
    let answer = bout.call("delete_job", json!({"job_id": id})).await?;
    drop(lost);
    ensure_eq!(bout.wire.named("delete_job").len(), 1, "commands of one call");
    ensure!(matches!(answer, Answer::Failed(_)), "expected an error, observed {answer:?}");
    Ok(())
}

async fn read_reply_lost(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, id) = prepared(&subject, Setting::Waiting).await?;
    bout.needs_sessions()?;
    let lost = no_answer(&bout);
    let answer = bout.call("list_jobs", json!({})).await?;
    drop(lost);
    if let Answer::Failed(failure) = &answer {
        ensure!(CONNECTION.contains(&failure.kind.as_str()), "expected {CONNECTION:?}, observed {failure}");
    }
    let jobs = again(&mut bout, "list_jobs", json!({})).await?;
    ensure_eq!(jobs[0]["job_id"], Value::from(id), "the job in the list");
    Ok(())
}

async fn restarted(bout: &Bout, how: Restart, away: Duration) -> CaseResult {
    let restarted = bout.server.restart_after(how, away).await;
    restarted.map_err(|error| Finding::harness(format!("simulator: {}", chain(&error))))
}

async fn server_restarts(subject: Arc<Subject>, how: Restart) -> CaseResult {
    let (mut bout, id) = prepared(&subject, Setting::Waiting).await?;
    bout.value("list_jobs", json!({})).await?;
    restarted(&bout, how, Duration::ZERO).await?;
    let jobs = again(&mut bout, "list_jobs", json!({})).await?;
    ensure_eq!(jobs[0]["job_id"], Value::from(id), "the job in the list");
    Ok(())
}

async fn server_away(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, id) = prepared(&subject, Setting::Waiting).await?;
    bout.value("list_jobs", json!({})).await?;
    let call = bout.ask("list_jobs", json!({})).await?;
    restarted(&bout, Restart::Kill, Duration::from_secs(2)).await?;
    match bout.answer(call, "list_jobs").await? {
        Answer::Value(jobs) => ensure_eq!(jobs[0]["job_id"], Value::from(id.as_str()), "the job in the list"),
        Answer::Failed(failure) => {
            ensure!(CONNECTION.contains(&failure.kind.as_str()), "expected {CONNECTION:?}, observed {failure}");
        }
    }
    let jobs = again(&mut bout, "list_jobs", json!({})).await?;
    ensure_eq!(jobs[0]["job_id"], Value::from(id), "the job in the list afterwards");
    Ok(())
}

async fn server_silent(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    let _silence = bout.server.inject(Fault::on(Direction::ToClient).nth_frame(1).silence());
    let started = Instant::now();
    bout.failure("list_jobs", json!({}), CONNECTION).await?;
    ensure!(started.elapsed() <= SILENT_LIMIT, "the call took {:?}", started.elapsed());
    Ok(())
}

async fn site_silent(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::open_with(&subject, |builder| builder.site(SITE, SiteBehaviour::Silent)).await?;
    bout.connect_as(CHIEF).await?;
    // More than the server waits for a site, so that it is the server that gives up.
    bout.value("set_timeout", json!({"value": 15})).await?;
    let failure =
        bout.call("get_working_directory", json!({"target": SITE})).await?.failure("get_working_directory")?;
    ensure!(
        ["NoReply", "InternalError"].contains(&failure.kind.as_str()),
        "expected NoReply or InternalError, observed {failure}"
    );
    Ok(())
}

async fn slow_reply(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, id) = prepared(&subject, Setting::Waiting).await?;
    bout.needs_sessions()?;
    let _late = next_answer(&bout, |fault| fault.delay(Duration::from_secs(2)));
    let jobs = bout.value("list_jobs", json!({})).await?;
    ensure_eq!(jobs[0]["job_id"], Value::from(id), "the job in the list");
    Ok(())
}

async fn damaged_reply(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, id) = prepared(&subject, Setting::Waiting).await?;
    let damaged = next_answer(&bout, Fault::corrupt);
    let answer = bout.call("list_jobs", json!({})).await?;
    drop(damaged);
    if let Answer::Value(jobs) = answer {
        // A server repeats what is not acknowledged.
        ensure_eq!(jobs[0]["job_id"], Value::from(id.as_str()), "the job in the list");
    }
    let jobs = again(&mut bout, "list_jobs", json!({})).await?;
    ensure_eq!(jobs[0]["job_id"], Value::from(id), "the job in the list afterwards");
    Ok(())
}

async fn download_cut(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::open(&subject).await?;
    let id = bout.finished_job().await?;
    bout.connect().await?;
    let destination = bout.folder("results")?;
    let cut = Fault::on(Direction::ToServer).about("download_service__").nth_frame(1).cut_before();
    let cut = bout.server.inject(cut);
    let arguments = json!({"job_id": id, "destination": destination});
    let answer = bout.call("download_job_result", arguments).await?;
    drop(cut);
    if let Answer::Value(folder) = answer {
        let folder = folder.as_str().unwrap_or_default().to_owned();
        let files = crate::job_folder::files_below(std::path::Path::new(&folder))?;
        ensure!(files.iter().any(|(name, _)| name.ends_with("meta.json")), "the result at {folder} is not whole");
    }
    let fresh = bout.folder("again")?;
    let folder = again(&mut bout, "download_job_result", json!({"job_id": id, "destination": fresh})).await?;
    let files = crate::job_folder::files_below(std::path::Path::new(folder.as_str().unwrap_or_default()))?;
    ensure!(files.iter().any(|(name, _)| name.ends_with("meta.json")), "the second result is not whole");
    Ok(())
}

async fn session_expired(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    bout.value("list_jobs", json!({})).await?;
    let logins = bout.wire.logins().len();
    bout.server.skip_time(IDLE);
    match bout.call("list_jobs", json!({})).await? {
        Answer::Value(_) => ensure!(bout.wire.logins().len() > logins, "the client uses a session that has expired"),
        Answer::Failed(failure) => {
            ensure!(ENDED.contains(&failure.kind.as_str()), "expected one of {ENDED:?}, observed {failure}");
        }
    }
    Ok(())
}

async fn session_inactive(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    bout.needs_sessions()?;
    bout.value("list_jobs", json!({})).await?;
    // The announcement is lost, so that the client finds out by the next command.
    let _lost = bout.server.inject(Fault::on(Direction::ToClient).on_topic("SESSION_EXPIRED").drop_frame());
    bout.server.skip_time(CERTIFICATE_ENDS);
    bout.failure("list_jobs", json!({}), ENDED).await.map(drop)
}

async fn monitor_restart(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, id) = prepared(&subject, Setting::Waiting).await?;
    let arguments = json!({"job_id": id, "timeout": 8, "poll_interval": 0.5});
    let call = bout.ask("wait_for_job", arguments).await?;
    bout.wire.until("a poll", Duration::from_secs(30), |wire| !wire.named("get_job_meta").is_empty()).await?;
    restarted(&bout, Restart::Kill, Duration::from_secs(1)).await?;
    let failure = bout.answer(call, "wait_for_job").await?.failure("wait_for_job")?;
    let kinds = [CONNECTION, &["JobTimeout"]].concat();
    ensure!(kinds.contains(&failure.kind.as_str()), "expected one of {kinds:?}, observed {failure}");
    let meta = again(&mut bout, "get_job_meta", json!({"job_id": id})).await?;
    ensure_eq!(meta["job_id"], Value::from(id), "the job afterwards");
    Ok(())
}
