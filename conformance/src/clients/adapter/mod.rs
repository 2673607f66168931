//! Our own client as a client under test: requests on the standard input, answers on the standard output.
//!
//! Every request is a task of its own, so that calls run beside each other.

mod arguments;
mod values;

use std::collections::HashMap;
use std::io::{self, BufRead as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flare_client::{
    Error, ErrorKind, FolderPath, LogConfig, MonitorReturnCode, Session, StartupKit, StudyName, SubmitToken,
};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::arguments::{Arguments, wrong};
use self::values::{change, meta, site, study, summary, time, word};
use super::protocol::{Callback, Failure, Hello, Line, Request, VERSION};
use crate::finding::chain;
use crate::methods;

/// Lines that were answered and not written yet.
const OUTBOX: usize = 256;

/// Serves the referee until it says `quit` or closes the standard input.
///
/// # Errors
/// When the standard output cannot be written.
pub(crate) async fn serve() -> io::Result<()> {
    let (requests, mut inbox) = mpsc::channel::<String>(OUTBOX);
    // A thread of its own: reading the standard input cannot be given up, and must not keep the process.
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if requests.blocking_send(line).is_err() {
                break;
            }
        }
    });
    let calls = methods::names().map(str::to_owned).collect();
    let hello = Hello {
        protocol: VERSION,
        name: "flare-client".to_owned(),
        release: env!("CARGO_PKG_VERSION").to_owned(),
        calls,
        concurrent: true,
        sessions: true,
    };
    say(&hello)?;
    let sessions = Sessions::default();
    let mut calls = JoinSet::new();
    while let Some(line) = inbox.recv().await {
        let request: Request = serde_json::from_str(&line).map_err(io::Error::other)?;
        if request.call == "quit" {
            calls.shutdown().await;
            return say(&Line::Ok { id: request.id, ok: Value::Null });
        }
        let sessions = sessions.clone();
        calls.spawn(async move { say(&sessions.answer(request).await) });
        while let Some(ended) = calls.try_join_next() {
            ended.map_err(io::Error::other)??;
        }
    }
    Ok(())
}

fn say(line: &impl serde::Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&text)?;
    out.flush()
}

/// Why a call gave no value.
enum Problem {
    Failed(Failure),
    Unsupported(String),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let job_id = error
            .existing_job()
            .or_else(|| error.deleted_submission().map(|deleted| &deleted.job_id))
            .map(|id| id.as_str().to_owned());
        let code = error.code().map(str::to_owned);
        Self::Failed(Failure { kind: kind_of(&error).to_owned(), message: chain(&error), code, job_id })
    }
}

/// The exception of the API document that says the same.
fn kind_of(error: &Error) -> &'static str {
    // Study commands answer with a code of their own for each refusal.
    if error.exit_code().is_some() {
        return "CommandError";
    }
    match error.kind() {
        ErrorKind::InvalidArgument => "InvalidArgumentError",
        ErrorKind::InvalidStartupKit => "ConfigError",
        ErrorKind::Unsupported => "NotImplementedError",
        ErrorKind::LoginRejected
        | ErrorKind::StudyUnknown
        | ErrorKind::NotAuthenticated
        | ErrorKind::RegistrationRefused
        | ErrorKind::ClientCertificateRejected
        | ErrorKind::ClientCertificateExpired => "AuthenticationError",
        ErrorKind::SessionClosed => "SessionClosed",
        ErrorKind::SessionExpired => "SessionExpired",
        ErrorKind::NotAuthorized => "AuthorizationError",
        ErrorKind::InvalidTarget => "InvalidTarget",
        ErrorKind::NoSites => "NoClientsAvailable",
        ErrorKind::SitesRunning => "ClientsStillRunning",
        ErrorKind::NoReply => "NoReply",
        ErrorKind::JobNotFound => "JobNotFound",
        ErrorKind::JobRunning => "JobNotDone",
        ErrorKind::JobNotRunning => "JobNotRunning",
        ErrorKind::InvalidJob => "InvalidJobDefinition",
        ErrorKind::SubmitTokenConflict => "SubmitTokenConflict",
        ErrorKind::SubmitTokenJobDeleted => "SubmitTokenJobDeleted",
        ErrorKind::JobTimeout => "JobTimeout",
        ErrorKind::LocalFile => "OSError",
        ErrorKind::Refused if error.code().is_some() => "CommandError",
        ErrorKind::InvalidCommand | ErrorKind::ServerFault | ErrorKind::Refused | ErrorKind::ProtocolViolation => {
            "InternalError"
        }
        _ => "NoConnection",
    }
}

type Outcome = Result<Value, Problem>;

/// The sessions by their numbers.
#[derive(Clone, Default)]
struct Sessions(Arc<Mutex<HashMap<u64, Session>>>);

impl Sessions {
    async fn answer(&self, request: Request) -> Line {
        let id = request.id;
        match self.outcome(&request).await {
            Ok(ok) => Line::Ok { id, ok },
            Err(Problem::Failed(error)) => Line::Error { id, error },
            Err(Problem::Unsupported(why)) => Line::Unsupported { id, unsupported: why.into() },
        }
    }

    async fn outcome(&self, request: &Request) -> Outcome {
        let arguments = Arguments(&request.arguments);
        if request.call == "connect" {
            let kit = StartupKit::open(arguments.text("kit")?)?;
            let mut builder = Session::builder(kit).study(StudyName::new(arguments.text("study")?)?);
            if let Some(timeout) = arguments.seconds("timeout")? {
                builder = builder.connect_timeout(timeout);
            }
            if let Some(timeout) = arguments.seconds("command_timeout")? {
                builder = builder.command_timeout(timeout);
            }
            let session = Box::pin(builder.connect()).await?;
            let number = request.id;
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number, session);
            return Ok(json!({"session": number}));
        }
        let session = request
            .session
            .and_then(|number| self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&number).cloned());
        let session = session.ok_or_else(|| Problem::Unsupported("no such session".to_owned()))?;
        // Boxed, or the stack of a debug build has no room for what a renewal of the session needs.
        if let Some(outcome) = Box::pin(jobs(&session, request, &arguments)).await {
            return outcome;
        }
        if let Some(outcome) = Box::pin(system(&session, &request.call, &arguments)).await {
            return outcome;
        }
        Box::pin(others(&session, &request.call, &arguments)).await
    }
}

async fn jobs(session: &Session, request: &Request, arguments: &Arguments<'_>) -> Option<Outcome> {
    let work = async {
        Ok(match request.call.as_str() {
            "submit_job" => {
                let mut submission = session.submit_job(arguments.text("job_definition_path")?);
                if let Some(token) = arguments.optional("submit_token")? {
                    submission = submission.token(SubmitToken::new(token)?);
                }
                submission.await?.as_str().into()
            }
            "list_jobs" => {
                let query = arguments.query()?;
                if arguments.flag("detailed")? {
                    session.list_jobs_detailed(&query).await?.iter().map(meta).collect()
                } else {
                    session.list_jobs(&query).await?.iter().map(summary).collect()
                }
            }
            "get_job_meta" => meta(&session.get_job_meta(&arguments.job()?).await?),
            "clone_job" => session.clone_job(&arguments.job()?).await?.as_str().into(),
            "abort_job" => session.abort_job(&arguments.job()?).await?.into(),
            "delete_job" => {
                let deleted = session.delete_job(&arguments.job()?).await?;
                let records = deleted.submit_records_marked_deleted;
                json!({"job_id": deleted.job_id.as_str(), "submit_records_marked_deleted": records})
            }
            "list_job_components" => session.list_job_components(&arguments.job()?).await?.into(),
            "download_job_result" => {
                let mut download = session.download_job_result(&arguments.job()?);
                if let Some(destination) = arguments.optional("destination")? {
                    download = download.destination(destination);
                }
                download.await?.display().to_string().into()
            }
            "download_job_components" => {
                session.download_job_components(&arguments.job()?).await?.display().to_string().into()
            }
            "show_stats" => session.show_stats(&arguments.job()?, &arguments.targets("targets")?).await?.into(),
            "show_errors" => session.show_errors(&arguments.job()?, &arguments.targets("targets")?).await?.into(),
            "reset_errors" => {
                session.reset_errors(&arguments.job()?).await?;
                Value::Null
            }
            "get_job_logs" => arguments.job_logs(session).await?,
            "configure_job_log" => {
                let config = LogConfig::new(arguments.text("config")?)?;
                session.configure_job_log(&arguments.job()?, &config, &arguments.log_targets()?).await?;
                Value::Null
            }
            "wait_for_job" => meta(&session.wait_for_job(&arguments.job()?, &arguments.monitoring()?).await?),
            "monitor_job" | "monitor_job_and_return_job_meta" => monitor(session, request, arguments).await?,
            _ => return Ok(None),
        }
        .into())
    };
    work.await.transpose()
}

async fn monitor(session: &Session, request: &Request, arguments: &Arguments<'_>) -> Outcome {
    let (job_id, options) = (arguments.job()?, arguments.monitoring()?);
    let mut left = arguments.0.get("cb").and_then(|cb| cb.get("continue")).and_then(Value::as_u64);
    let has_callback = left.is_some();
    let (code, ended) = session
        .monitor_job_and_return_job_meta(&job_id, &options, |job_meta| {
            if !has_callback {
                return true;
            }
            let callback = Callback { job_id: job_id.as_str().to_owned(), job_meta: meta(job_meta) };
            // Without its standard output this process has nobody to work for.
            if say(&Line::Callback { id: request.id, callback }).is_err() {
                return false;
            }
            let goes_on = left.is_some_and(|left| left > 0);
            left = left.map(|left| left.saturating_sub(1));
            goes_on
        })
        .await?;
    let code = match code {
        MonitorReturnCode::JobFinished => "JOB_FINISHED",
        MonitorReturnCode::Timeout => "TIMEOUT",
        MonitorReturnCode::EndedByCallback => "ENDED_BY_CB",
    };
    if request.call == "monitor_job" { Ok(code.into()) } else { Ok(json!([code, ended.as_ref().map(meta)])) }
}

async fn system(session: &Session, call: &str, arguments: &Arguments<'_>) -> Option<Outcome> {
    let work = async {
        Ok(match call {
            "get_system_info" => {
                let info = session.get_system_info().await?;
                let jobs: Value = info
                    .jobs
                    .iter()
                    .map(|job| json!({"app_name": job.app_name, "job_id": job.job_id}))
                    .collect();
                json!({
                    "server_info": {"status": info.server.status.as_ref().map(word), "start_time": time(info.server.start_time)},
                    "client_info": info.sites.iter().map(site).collect::<Value>(),
                    "job_info": jobs,
                })
            }
            "get_connected_client_list" => session.get_connected_client_list().await?.iter().map(site).collect(),
            "check_status" => {
                let status = session.check_status(&arguments.targets("targets")?).await?;
                let sites = status.sites.iter().map(|site| {
                    json!({"client_name": site.name, "client_last_conn_time": time(site.last_connect_time), "fqcn": site.fqcn})
                });
                json!({
                    "server_status": status.server.status.as_ref().map(word),
                    "server_start_time": time(status.server.start_time),
                    "clients": sites.collect::<Value>(),
                    "jobs": status.jobs.iter().map(|job| json!({"job_id": job.job_id})).collect::<Value>(),
                    "client_status": status.site_jobs.iter().map(|job| json!({"client_name": job.site})).collect::<Value>(),
                })
            }
            "get_client_job_status" => {
                let entries = session.get_client_job_status(&arguments.sites("client_names")?).await?;
                entries.iter().map(|job| json!({"client_name": job.site, "job_id": job.job_id})).collect()
            }
            "report_resources" => {
                let reports = session.report_resources(&arguments.targets("targets")?).await?;
                reports.into_iter().map(|report| (report.site, report.resources.into())).collect::<Map<_, _>>().into()
            }
            "report_version" => {
                let versions = session.report_version(&arguments.targets("targets")?).await?;
                let entry = |version: flare_client::SiteVersion| {
                    (version.site, json!({"version": version.version, "error": version.problem}))
                };
                versions.into_iter().map(entry).collect::<Map<_, _>>().into()
            }
            "restart" => {
                let mut restart = session.restart(&arguments.targets("client_names")?);
                if !arguments.waits()? {
                    restart = restart.no_wait();
                } else if let Some(timeout) = arguments.seconds("timeout")? {
                    restart = restart.timeout(timeout)?;
                }
                change(&restart.await?)
            }
            "shutdown" => {
                let mut shutdown = session.shutdown(&arguments.targets("client_names")?);
                if !arguments.waits()? {
                    shutdown = shutdown.no_wait();
                } else if let Some(timeout) = arguments.seconds("timeout")? {
                    shutdown = shutdown.timeout(timeout)?;
                }
                change(&shutdown.await?)
            }
            "shutdown_system" => {
                session.shutdown_system().await?;
                Value::Null
            }
            "remove_client" => {
                session.remove_client(&arguments.site("client_name")?).await?;
                Value::Null
            }
            "disable_client" | "enable_client" => {
                let name = arguments.site("client_name")?;
                let admission = if call == "disable_client" {
                    session.disable_client(&name).await?
                } else {
                    session.enable_client(&name).await?
                };
                json!({"clients": [{"client_name": admission.site, "state": admission.state}]})
            }
            "configure_site_log" => {
                let config = LogConfig::new(arguments.text("config")?)?;
                session.configure_site_log(&config, &arguments.log_targets()?).await?;
                Value::Null
            }
            _ => return Ok(None),
        }
        .into())
    };
    work.await.transpose()
}

async fn others(session: &Session, call: &str, arguments: &Arguments<'_>) -> Outcome {
    Ok(match call {
        "close" => {
            session.close().await;
            Value::Null
        }
        "set_timeout" => {
            let seconds = arguments.0.get("value").and_then(Value::as_f64);
            let timeout = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            session.set_timeout(timeout.ok_or_else(|| wrong("value"))?)?;
            Value::Null
        }
        "unset_timeout" => {
            session.unset_timeout();
            Value::Null
        }
        "get_available_apps_to_upload" => session.get_available_apps_to_upload().await?.into(),
        "get_working_directory" => session.get_working_directory(&arguments.target()?).await?.into(),
        "ls_target" => {
            let path = arguments.optional("path")?.map(FolderPath::new).transpose()?;
            session.ls_target(&arguments.target()?, &arguments.options()?, path.as_ref()).await?.into()
        }
        "cat_target" => {
            session.cat_target(&arguments.target()?, &arguments.options()?, &arguments.file()?).await?.into()
        }
        "head_target" => {
            session.head_target(&arguments.target()?, &arguments.options()?, &arguments.file()?).await?.into()
        }
        "tail_target" => {
            session.tail_target(&arguments.target()?, &arguments.options()?, &arguments.file()?).await?.into()
        }
        "grep_target" => {
            let pattern = arguments.text("pattern")?;
            let file = arguments.file()?;
            session.grep_target(&arguments.target()?, &arguments.options()?, pattern, &file).await?.into()
        }
        "head_target_log" => session.head_target_log(&arguments.target()?, &arguments.options()?).await?.into(),
        "tail_target_log" => session.tail_target_log(&arguments.target()?, &arguments.options()?).await?.into(),
        "list_studies" => {
            let listing = session.list_studies().await?;
            json!({
                "identity": {"name": listing.identity.name, "org": listing.identity.org, "role": listing.identity.role},
                "studies": listing.studies,
            })
        }
        "register_study" => study(session.register_study(&arguments.study()?, &arguments.study_sites()?).await?),
        "show_study" => study(session.show_study(&arguments.study()?).await?),
        "remove_study" => {
            let removed = session.remove_study(&arguments.study()?).await?;
            json!({"name": removed.name, "removed": removed.removed})
        }
        "add_study_site" => {
            let change = session.add_study_site(&arguments.study()?, &arguments.study_sites()?).await?;
            json!({"study": change.study, "added": change.added, "already_enrolled": change.already_enrolled})
        }
        "remove_study_site" => {
            let change = session.remove_study_site(&arguments.study()?, &arguments.study_sites()?).await?;
            json!({"study": change.study, "removed": change.removed, "not_enrolled": change.not_enrolled})
        }
        "add_study_user" | "remove_study_user" => {
            let (name, user) = (arguments.study()?, arguments.text("user")?);
            let change = if call == "add_study_user" {
                session.add_study_user(&name, user).await?
            } else {
                session.remove_study_user(&name, user).await?
            };
            json!({"study": change.study, "user": change.user})
        }
        _ => return Err(Problem::Unsupported(format!("no call {call}"))),
    })
}
