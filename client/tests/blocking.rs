//! The blocking API on the simulated server.
#![allow(clippy::unwrap_used, reason = "what goes wrong fails the test")]

#[path = "support/job_folder.rs"]
mod job_folder;
#[path = "support/quick.rs"]
mod quick;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use flare_client::blocking::{FlAdminApi, FlAdminApiRunner, Session};
use flare_client::fladmin::{ApiStatus, TargetType, WaitOptions, clients_have_no_jobs};
use flare_client::{ErrorKind, JobQuery, JobStatus, MonitorReturnCode, StartupKit};
use flare_simserver::SimServer;
use flare_simserver::project::Role;
use tokio::runtime::Runtime;

use job_folder::JobFolder;
use quick::{AMPLE, SOON, quick, soon};

/// A server on a runtime of its own: these tests have none.
struct Served {
    server: SimServer,
    _runtime: Runtime,
}

fn serve() -> Served {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(quick().start()).unwrap();
    Served { server, _runtime: runtime }
}

impl Served {
    fn kit(&self) -> StartupKit {
        StartupKit::open(self.server.admin_kit(Role::ProjectAdmin).unwrap()).unwrap()
    }

    fn log_in(&self) -> Session {
        Session::builder(self.kit()).reconnect_timeout(AMPLE).connect_blocking().unwrap()
    }
}

#[test]
fn a_job_runs_without_a_runtime_in_the_program() {
    let served = serve();
    let session = served.log_in();
    assert_eq!(session.get_connected_client_list().unwrap().len(), 2);
    let job = JobFolder::new("hello");
    let job_id = session.submit_job(job.path()).with(|job| job.retry_safe()).wait().unwrap();
    let statuses: Vec<JobStatus> = session
        .watch_job(&job_id)
        .with(|watch| watch.poll_interval(SOON))
        .map(|update| update.unwrap().status)
        .collect();
    assert_eq!(statuses.last(), Some(&JobStatus::Completed));
    let mut looks = 0;
    let ended = session.monitor_job(&job_id, &soon(), |_| {
        looks += 1;
        true
    });
    assert_eq!((ended.unwrap(), looks), (MonitorReturnCode::JobFinished, 1));
    let place = tempfile::tempdir().unwrap();
    let folder = session.download_job_result(&job_id).with(|download| download.destination(place.path())).wait();
    assert!(folder.unwrap().join("meta.json").is_file());
    assert_eq!(session.list_jobs(&JobQuery::new()).unwrap()[0].job_id, job_id.as_str());

    let clone = session.clone();
    session.close().unwrap();
    assert_eq!(clone.list_studies().unwrap_err().kind(), ErrorKind::SessionClosed);
}

#[test]
fn several_threads_share_a_session() {
    let served = serve();
    let session = served.log_in();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| session.get_system_info().unwrap().sites.len())).collect();
        assert!(calls.into_iter().all(|call| call.join().unwrap() == 2));
    });
    session.close().unwrap();
}

#[test]
fn the_older_api_works_too() {
    let served = serve();
    let api = FlAdminApi::new(served.kit()).unwrap();
    assert!(api.check_status(TargetType::Server, &[]).is_success());
    let options = WaitOptions::of_clients().interval(SOON).timeout(AMPLE);
    assert!(api.wait_until_client_status(options, clients_have_no_jobs).is_success());
    assert_eq!(api.session().unwrap().get_connected_client_list().unwrap().len(), 2);
    assert!(api.logout().unwrap().is_success());
    assert_eq!(api.list_jobs(None).status, ApiStatus::ErrorInactiveSession);

    let kit = served.kit();
    let runner = FlAdminApiRunner::start(kit.username(), kit.root()).unwrap();
    let job = JobFolder::new("hello");
    let last = runner.run(job.path().to_str().unwrap(), options, |_| {});
    assert!(last.is_success(), "{last:?}");
    runner.close();
    let api = FlAdminApi::from(served.log_in());
    assert!(api.list_jobs(None).is_success());
    api.logout();
}

#[test]
fn inside_a_runtime_calls_are_refused_and_nothing_panics() {
    let served = serve();
    let session = served.log_in();
    let api = FlAdminApi::new(served.kit()).unwrap();
    let (kit, moved) = (served.kit(), session.clone());
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async move {
        let refused = Session::builder(kit.clone()).connect_blocking().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        assert!(refused.to_string().contains("inside an asynchronous runtime"), "{refused}");
        assert_eq!(FlAdminApi::new(kit).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(moved.list_studies().unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(moved.close().unwrap_err().kind(), ErrorKind::Unsupported);
        let job = moved.submit_job("nothing").wait().unwrap_err();
        assert_eq!(job.kind(), ErrorKind::Unsupported);
        let response = api.list_jobs(None);
        assert_eq!(response.status, ApiStatus::ErrorRuntime);
        assert!(response.message().unwrap().contains("inside an asynchronous runtime"));
        // Its runtime may end here as well.
        drop((moved, api));
    });
    // Outside it goes on.
    session.list_studies().unwrap();
    session.close().unwrap();
}

/// The names of public functions in the `impl` blocks of a type, as its source files have them.
fn functions(folder: &str, is_wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        for declaration in text.split("\n    pub ").skip(1) {
            let head = declaration.split('{').next().unwrap();
            if head.trim_start_matches("async ").starts_with("fn ") && is_wanted(head) {
                let name = head.trim_start_matches("async ").trim_start_matches("fn ");
                names.insert(name.split(['(', '<']).next().unwrap().to_owned());
            }
        }
    }
    names
}

#[test]
fn no_asynchronous_method_lacks_a_twin() {
    const PREPARED: [&str; 6] =
        ["-> SubmitJob", "-> Download", "-> JobLogsQuery", "-> SystemRestart", "-> SystemShutdown", "-> JobWatch"];
    let waits = |head: &str| {
        let is_method = head.contains("&self") && !head.contains("&mut self");
        is_method && (head.starts_with("async fn") || PREPARED.iter().any(|made| head.contains(made)))
    };
    for (originals, twins, least) in
        [("session", "src/blocking/session.rs", 45), ("fladmin", "src/blocking/fladmin.rs", 30)]
    {
        let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(twins)).unwrap();
        let originals = functions(originals, waits);
        assert!(originals.len() >= least, "{} were found: {originals:?}", originals.len());
        let lacking: Vec<&String> = originals.iter().filter(|name| !source.contains(&format!("fn {name}("))).collect();
        assert!(lacking.is_empty(), "{twins} lacks {lacking:?}");
    }
}
