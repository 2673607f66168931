//! What most programs do with a server, whatever its release and however it is reached: `main_job KIT JOB_FOLDER`.
//!
//! Logs in, looks at the system, submits the job, waits for it, lists it, downloads its result and deletes it. Prints each
//! step when it is done.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use flare_client::{JobQuery, MonitorOptions, Session, StartupKit};

/// Far more than a small job takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kit, job] = arguments.as_slice() else { return Err("usage: main_job KIT JOB_FOLDER".into()) };
    let session = Session::builder(StartupKit::open(kit)?).connect().await?;
    println!("login");
    let done = steps(&session, job).await;
    session.close().await;
    println!("logout");
    done
}

async fn steps(session: &Session, folder: &str) -> Result<(), Box<dyn Error>> {
    let system = session.get_system_info().await?;
    println!("system: {} sites", system.sites.len());
    let job_id = session.submit_job(folder).await?;
    println!("submit");
    let options = MonitorOptions::new().timeout(PATIENCE).poll_interval(Duration::from_millis(500))?;
    let meta = session.wait_for_job(&job_id, &options).await?;
    println!("end: {:?}", meta.status);
    let listed = session.list_jobs(&JobQuery::new()).await?;
    if !listed.iter().any(|job| job.job_id == job_id.as_str()) {
        return Err("the job is not in the list".into());
    }
    println!("list");
    let destination = tempfile::tempdir()?;
    let result = session.download_job_result(&job_id).destination(destination.path()).await?;
    if !result.join("meta.json").is_file() {
        return Err("the result holds no meta.json".into());
    }
    println!("download");
    session.delete_job(&job_id).await?;
    println!("delete");
    Ok(())
}
