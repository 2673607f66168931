//! A connection that breaks at every frame of a submission and of a download, in both directions.
#![allow(clippy::unwrap_used, reason = "what goes wrong fails the test")]

#[path = "support/job_folder.rs"]
mod job_folder;

use std::future::IntoFuture;
use std::time::Duration;

use flare_client::{ErrorKind, JobId, JobQuery, MonitorOptions, Session, StartupKit};
use flare_simserver::SimServer;
use flare_simserver::faults::{Direction, Fault};
use flare_simserver::jobs::behaviour::Rule;
use flare_simserver::project::Role;

use job_folder::JobFolder;

/// Longest that anything here may take: nothing may hang.
const LIMIT: Duration = Duration::from_secs(60);

/// More frames than a submission or a download of this size has.
const MANY: u64 = 200;

type Cut = fn(Fault) -> Fault;
const CUTS: [Cut; 2] = [Fault::cut_before, Fault::cut_after];
const DIRECTIONS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

async fn server() -> SimServer {
    let builder = SimServer::builder().configure(|config| {
        config.job_settings.timings.tick = Duration::from_millis(10);
        config.job_settings.timings.start = Duration::from_millis(5);
        config.rules = vec![Rule::named("*").running_for(Duration::from_millis(10))];
    });
    builder.start().await.unwrap()
}

async fn log_in(server: &SimServer) -> Session {
    let kit = StartupKit::open(server.admin_kit(Role::ProjectAdmin).unwrap()).unwrap();
    Session::builder(kit).reconnect_timeout(LIMIT).connect().await.unwrap()
}

/// Three pieces, so that there is a first, a middle and a last one.
fn job() -> JobFolder {
    JobFolder::new("cut").file("payload.bin", &vec![3; (2 << 20) + 4321])
}

async fn jobs(session: &Session) -> Vec<JobId> {
    let listed = session.list_jobs(&JobQuery::new()).await.unwrap();
    listed.iter().map(|job| job.job_id.parse().unwrap()).collect()
}

async fn forget(session: &Session) {
    let options = MonitorOptions::new().timeout(LIMIT).poll_interval(Duration::from_millis(10)).unwrap();
    for job_id in jobs(session).await {
        session.wait_for_job(&job_id, &options).await.unwrap();
        session.delete_job(&job_id).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_with_a_token_is_one_job_wherever_the_connection_breaks() {
    let (server, job) = (server().await, job());
    for direction in DIRECTIONS {
        for cut in CUTS {
            for frame in 1..MANY {
                let session = log_in(&server).await;
                let guard = server.inject(cut(Fault::on(direction).nth_frame(frame)));
                let submitted =
                    tokio::time::timeout(LIMIT, async { session.submit_job(job.path()).retry_safe().await });
                let job_id = submitted.await.unwrap_or_else(|_| panic!("{direction:?} {frame} hangs"));
                let seen = guard.frames_seen();
                drop(guard);
                let job_id = job_id.unwrap_or_else(|error| panic!("{direction:?} {frame}: {error:?}"));
                assert_eq!(jobs(&session).await, [job_id], "{direction:?} {frame}");
                forget(&session).await;
                session.close().await;
                if seen < frame {
                    assert!(frame > 5, "the fault never struck");
                    break;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_without_a_token_is_one_job_or_an_error_that_does_not_lie() {
    let (server, job) = (server().await, job());
    let mut uncertain = 0;
    for direction in DIRECTIONS {
        for cut in CUTS {
            for frame in 1..MANY {
                let session = log_in(&server).await;
                let guard = server.inject(cut(Fault::on(direction).nth_frame(frame)));
                let submitted = tokio::time::timeout(LIMIT, async { session.submit_job(job.path()).await });
                let submitted = submitted.await.unwrap_or_else(|_| panic!("{direction:?} {frame} hangs"));
                let seen = guard.frames_seen();
                drop(guard);
                // What the server was told before the connection broke, it may be at still.
                let may_have_run = submitted.as_ref().is_err_and(flare_client::Error::may_have_run);
                if may_have_run {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                let found = jobs(&session).await;
                match submitted {
                    Ok(job_id) => assert_eq!(found, [job_id], "{direction:?} {frame}"),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{direction:?} {frame}: {error:?}");
                        let most = usize::from(error.may_have_run());
                        assert!(found.len() <= most, "{direction:?} {frame}: {error:?} and {found:?}");
                        uncertain += most;
                        assert_eq!(error.to_string().contains("may still have run it"), error.may_have_run());
                    }
                }
                forget(&session).await;
                session.close().await;
                if seen < frame {
                    break;
                }
            }
        }
    }
    assert!(uncertain > 0, "no submission was cut off after its last piece");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_arrives_whole_wherever_the_connection_breaks() {
    let (server, job) = (server().await, job());
    let expected = JobFolder::files(&job.path());
    let first = log_in(&server).await;
    let job_id = first.submit_job(job.path()).await.unwrap();
    let options = MonitorOptions::new().timeout(LIMIT).poll_interval(Duration::from_millis(10)).unwrap();
    first.wait_for_job(&job_id, &options).await.unwrap();
    for direction in DIRECTIONS {
        for cut in CUTS {
            for frame in 1..MANY {
                let session = log_in(&server).await;
                let place = tempfile::tempdir().unwrap();
                let guard = server.inject(cut(Fault::on(direction).nth_frame(frame)));
                let download = async { session.download_job_result(&job_id).destination(place.path()).await };
                let folder = tokio::time::timeout(LIMIT, download).await;
                let seen = guard.frames_seen();
                drop(guard);
                let folder = folder.unwrap_or_else(|_| panic!("{direction:?} {frame} hangs"));
                let folder = folder.unwrap_or_else(|error| panic!("{direction:?} {frame}: {error:?}"));
                assert_eq!(JobFolder::files(&folder.join("job/cut")), expected, "{direction:?} {frame}");
                assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "nothing is left beside it");
                session.close().await;
                if seen < frame {
                    assert!(frame > 5, "the fault never struck");
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_download_that_cannot_be_finished_leaves_nothing() {
    let (server, job) = (server().await, job());
    let session = log_in(&server).await;
    let job_id = session.submit_job(job.path()).await.unwrap();
    let options = MonitorOptions::new().timeout(LIMIT).poll_interval(Duration::from_millis(10)).unwrap();
    session.wait_for_job(&job_id, &options).await.unwrap();
    session.close().await;
    let kit = StartupKit::open(server.admin_kit(Role::ProjectAdmin).unwrap()).unwrap();
    let hasty = Session::builder(kit).reconnect_timeout(Duration::from_millis(300)).connect().await.unwrap();
    let place = tempfile::tempdir().unwrap();
    // Every request for a piece takes its connection with it.
    let guard = server.inject(Fault::on(Direction::ToServer).about("download_service__").cut_before());
    let error = hasty.download_job_result(&job_id).destination(place.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error:?}");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    drop(guard);
    // Nor does one that nobody waits for any more.
    let _slow = server.inject(Fault::on(Direction::ToServer).about("download_service__").delay(Duration::from_secs(5)));
    let download = async { hasty.download_job_result(&job_id).destination(place.path()).await };
    assert!(tokio::time::timeout(Duration::from_millis(200), download).await.is_err());
    // The thread that writes it takes it away.
    let gone = async {
        while std::fs::read_dir(place.path()).unwrap().count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, gone).await.expect("something is left of a download that nobody waits for");
}

#[tokio::test]
async fn a_download_that_is_dropped_is_given_up_by_the_server_too() {
    let (server, job) = (server().await, job());
    let session = log_in(&server).await;
    let job_id = session.submit_job(job.path()).await.unwrap();
    let options = MonitorOptions::new().timeout(LIMIT).poll_interval(Duration::from_millis(10)).unwrap();
    session.wait_for_job(&job_id, &options).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let (begun, first_piece) = tokio::sync::oneshot::channel();
    let mut begun = Some(begun);
    let download = session.download_job_result(&job_id).destination(place.path()).on_progress(move |_| {
        begun.take().map(|begun| begun.send(()));
    });
    let open = || server.control(|sim, _| sim.open_downloads());
    tokio::select! {
        biased;
        _ = first_piece => assert!(open() > 0, "there is something to give up"),
        folder = download.into_future() => panic!("{folder:?} was finished before it began"),
    }
    let given_up = async {
        while open() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, given_up).await.expect("the server keeps what nobody wants");
    session.close().await;
    server.shutdown().await;
}
