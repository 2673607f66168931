//! The whole life of jobs with the kit of a project admin: `jobs KIT JOB_FOLDER [LONG_JOB_FOLDER]`.
//!
//! Submits the job, watches it to its end, and looks at everything that is left; with a second folder also aborts a job
//! that runs. What it submits it deletes.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use flare_client::{
    ErrorKind, JobQuery, JobStatus, LogConfig, LogTarget, MonitorOptions, Session, StartupKit, SubmitToken, Targets,
};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kit, job, rest @ ..] = arguments.as_slice() else {
        return Err("usage: jobs KIT JOB_FOLDER [LONG_JOB_FOLDER]".into());
    };
    let session = Session::builder(StartupKit::open(kit)?).connect().await?;
    let done = life(&session, job).await;
    let done = match (done, rest.first()) {
        (Ok(()), Some(long)) => aborted(&session, long).await,
        (done, _) => done,
    };
    session.close().await;
    done
}

async fn life(session: &Session, folder: &str) -> Result<(), Box<dyn Error>> {
    let token = SubmitToken::new(format!("jobs-example-{}", std::process::id()))?;
    let job_id = session.submit_job(folder).token(token.clone()).on_progress(|at| println!("{at:?}")).await?;
    println!("submitted {job_id}");
    assert_eq!(session.submit_job(folder).token(token.clone()).await?, job_id, "the token stands for the job");
    let listed = session.list_jobs(&JobQuery::new().submit_token(token.clone())).await?;
    println!("listed by its token: {listed:?}");

    let mut watch =
        session.watch_job(&job_id).poll_interval(Duration::from_millis(200)).deadline(Duration::from_secs(120));
    while let Some(update) = watch.next().await {
        println!("{}", update?.status);
    }
    let meta = session.wait_for_job(&job_id, &MonitorOptions::new()).await?;
    println!("ran for {:?}: {:?}", meta.duration, meta.job_deploy_detail);
    println!("components: {:?}", session.list_job_components(&job_id).await?);
    let logs = session.get_job_logs(&job_id).target(LogTarget::All).tail(2).await?;
    println!("{logs:?}");
    let destination = tempfile::tempdir()?;
    let result = session.download_job_result(&job_id).destination(destination.path()).await?;
    let mut names: Vec<String> = walk(&result)?;
    names.sort();
    println!("downloaded: {}", names.join(" "));
    let error = session.download_job_components(&job_id).destination(destination.path()).await.err();
    println!("components: {:?}", error.map(|error| (error.kind(), error.to_string())));
    println!("{:?}", session.show_stats(&job_id, &Targets::All).await.err().map(|error| error.kind()));

    let clone = session.clone_job(&job_id).await?;
    println!("{}; {:?}", session.abort_job(&clone).await?, session.delete_job(&clone).await?);
    println!("{:?}", session.delete_job(&job_id).await?);
    let error = session.submit_job(folder).token(token).await.err();
    println!("{:?}", error.map(|error| (error.kind(), error.deleted_submission().cloned())));
    Ok(())
}

async fn aborted(session: &Session, folder: &str) -> Result<(), Box<dyn Error>> {
    let job_id = session.submit_job(folder).await?;
    let mut watch =
        session.watch_job(&job_id).poll_interval(Duration::from_millis(100)).deadline(Duration::from_secs(60));
    while let Some(update) = watch.next().await {
        if update?.status == JobStatus::Running {
            break;
        }
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!("{}", json!(session.show_stats(&job_id, &Targets::All).await?));
    println!("{}", json!(session.show_errors(&job_id, &Targets::All).await?));
    session.reset_errors(&job_id).await?;
    session.configure_job_log(&job_id, &LogConfig::new("DEBUG")?, &Targets::Server).await?;
    println!("{:?}", session.do_app_command(&job_id, "topic", &json!({})).await.err());
    println!("{:?}", session.delete_job(&job_id).await.err());
    println!("{}", session.abort_job(&job_id).await?);
    let meta = session.wait_for_job(&job_id, &MonitorOptions::new().timeout(Duration::from_secs(60))).await?;
    println!("{:?}, {:?}", meta.status, session.delete_job(&job_id).await?);
    let gone = session.get_job_meta(&job_id).await.err().map(|error| error.kind());
    assert_eq!(gone, Some(ErrorKind::JobNotFound));
    Ok(())
}

fn walk(folder: &std::path::Path) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(inner)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(name) = path.strip_prefix(folder) {
                found.push(name.display().to_string());
            }
        }
    }
    Ok(found)
}
