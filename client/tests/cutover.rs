//! Another server becomes active while a session is used.
#![allow(clippy::unwrap_used, reason = "what goes wrong fails the test")]

#[path = "support/job_folder.rs"]
mod job_folder;

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::time::Duration;

use flare_client::fladmin::{ApiStatus, FlAdminApi, TargetType};
use flare_client::{
    EndpointProvider, EndpointSwitch, ErrorKind, JobQuery, JobStatus, ServerEndpoint, Session, StartupKit, SubmitToken,
};
use flare_simserver::core::{Sim, SiteBehaviour, TimerName};
use flare_simserver::jobs::behaviour::Rule;
use flare_simserver::project::Role;
use flare_simserver::{ClockMode, Restart, SimPair, SimServer};
use tokio::sync::mpsc;
use tokio::time::timeout;

use job_folder::JobFolder;

/// Longest that anything here may take: nothing may hang.
const LIMIT: Duration = Duration::from_secs(60);

/// Several pieces of a transfer, so that there is a middle.
const PAYLOAD: usize = (4 << 20) + 4321;

/// The same for a download, whose pieces are longer.
const LARGE: usize = (24 << 20) + 4321;

fn endpoint(address: SocketAddr) -> ServerEndpoint {
    ServerEndpoint::new(address.ip().to_string(), address.port())
}

/// A pair whose time is moved by hand, and a session that is told which one is active.
struct Scene {
    pair: SimPair,
    switch: EndpointSwitch,
    session: Session,
}

impl Scene {
    async fn new() -> Self {
        let hour = Rule::named("*").running_for(Duration::from_secs(3600));
        let builder = SimServer::builder().clock(ClockMode::Manual);
        let pair = SimPair::start(builder.configure(move |config| config.rules = vec![hour.clone()])).await.unwrap();
        let (switch, provider) = EndpointProvider::switched(Some(endpoint(pair.active())));
        let kit = StartupKit::open(pair.server().admin_kit(Role::ProjectAdmin).unwrap()).unwrap();
        let session = Session::builder(kit).endpoints(provider).reconnect_timeout(LIMIT).connect().await.unwrap();
        Self { pair, switch, session }
    }

    /// The active server goes, the other one comes, and the session is told.
    async fn cut_over(&self) {
        self.pair.switch(Restart::Kill).await.unwrap();
        self.switch.set_active(endpoint(self.pair.active()));
    }

    async fn count_jobs(&self) -> usize {
        self.session.list_jobs(&JobQuery::new()).await.unwrap().len()
    }

    async fn end(self) {
        self.session.close().await;
        self.pair.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_moves_and_logs_in_before_anything_is_asked() {
    let scene = Scene::new().await;
    let (first, second) = (scene.pair.active(), scene.pair.standby().await);
    assert_eq!(scene.session.server(), endpoint(first));
    scene.cut_over().await;
    let moved = timeout(LIMIT, async {
        while scene.session.server() != endpoint(second) {
            tokio::task::yield_now().await;
        }
    });
    moved.await.expect("the session moves by itself");
    assert_eq!(scene.pair.server().control(|sim, _| sim.sessions().count()), 1, "it has logged in there");
    assert!(scene.session.commands().iter().any(|command| command.name == "check_status"));
    scene.cut_over().await;
    assert_eq!(scene.count_jobs().await, 0);
    assert_eq!(scene.session.server(), endpoint(first));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_wait_while_no_server_is_active() {
    let scene = Scene::new().await;
    scene.switch.set_none();
    scene.pair.switch(Restart::Graceful).await.unwrap();
    let everything = JobQuery::new();
    let mut listed = Box::pin(scene.session.list_jobs(&everything));
    assert!(timeout(Duration::from_millis(100), &mut listed).await.is_err(), "there is nobody to ask");
    scene.switch.set_active(endpoint(scene.pair.active()));
    assert!(timeout(LIMIT, listed).await.expect("it is asked").unwrap().is_empty());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_under_way_ends_at_once_with_an_error_that_says_so() {
    let scene = Scene::new().await;
    scene.pair.server().control(|sim, now| sim.set_site_behaviour(now, "site-1", SiteBehaviour::Silent));
    // The old server stays up and would answer one day: it is left all the same.
    let standby = SimServer::start().await.unwrap();
    let session = scene.session.clone();
    let asked = tokio::spawn(async move { session.do_command("report_env site-1").await });
    let pending = timeout(LIMIT, async {
        let waits = |sim: &Sim| sim.timers().iter().any(|timer| timer.name == TimerName::SiteAnswer);
        while !scene.pair.server().control(|sim, _| waits(sim)) {
            tokio::task::yield_now().await;
        }
    });
    pending.await.expect("the server waits for the site");
    scene.switch.set_active(endpoint(standby.address()));
    let error = timeout(LIMIT, asked).await.expect("an end").unwrap().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::ConnectionLost, true), "{error}");
    // The other server is of another project: the session cannot move there, and says why.
    let error = scene.session.list_jobs(&JobQuery::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerCertificateUntrusted, "{error}");
    scene.switch.set_active(endpoint(scene.pair.active()));
    assert_eq!(scene.count_jobs().await, 0, "back where it was");
    standby.shutdown().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_waited_for_through_a_cutover() {
    let (scene, job) = (Scene::new().await, JobFolder::new("waited"));
    let job_id = scene.session.submit_job(job.path()).await.unwrap();
    let mut watch = scene.session.watch_job(&job_id).poll_interval(Duration::from_millis(10));
    assert_eq!(watch.next().await.unwrap().unwrap().status, JobStatus::Submitted);
    scene.cut_over().await;
    assert!(scene.pair.server().jump_to(&TimerName::JobFinished(job_id.to_string())), "the other server runs it");
    let seen = timeout(LIMIT, async {
        loop {
            let update = watch.next().await.expect("an end").unwrap();
            if update.status.is_final() {
                break update.status;
            }
        }
    });
    assert_eq!(seen.await.expect("the end of the job"), JobStatus::Completed);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_with_a_token_is_made_once_through_a_cutover() {
    let scene = Scene::new().await;
    let job = JobFolder::new("moved").file("payload.bin", &job_folder::incompressible(PAYLOAD));
    let (told, mut pieces) = mpsc::unbounded_channel();
    let token = SubmitToken::new("through-a-cutover").unwrap();
    let submission = scene.session.submit_job(job.path()).token(token.clone()).on_progress(move |at| {
        let _ = told.send(at.transferred);
    });
    let submitted = tokio::spawn(submission.into_future());
    assert!(pieces.recv().await.is_some_and(|sent| sent < PAYLOAD as u64), "it is in the middle");
    scene.cut_over().await;
    let job_id = timeout(LIMIT, submitted).await.expect("an end").unwrap().unwrap();
    let listed = scene.session.list_jobs(&JobQuery::new().submit_token(token)).await.unwrap();
    assert_eq!(listed.iter().map(|job| job.job_id.as_str()).collect::<Vec<_>>(), [job_id.as_str()]);
    assert_eq!(scene.count_jobs().await, 1);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_without_a_token_is_not_made_again() {
    let scene = Scene::new().await;
    let job = JobFolder::new("moved").file("payload.bin", &job_folder::incompressible(PAYLOAD));
    let (told, mut pieces) = mpsc::unbounded_channel();
    let submission = scene.session.submit_job(job.path()).on_progress(move |at| {
        let _ = told.send(at.transferred);
    });
    let submitted = tokio::spawn(submission.into_future());
    assert!(pieces.recv().await.is_some_and(|sent| sent < PAYLOAD as u64), "it is in the middle");
    scene.cut_over().await;
    let error = timeout(LIMIT, submitted).await.expect("an end").unwrap().unwrap_err();
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::ConnectionLost, false), "half a job is none: {error}");
    assert_eq!(scene.count_jobs().await, 0);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_comes_whole_through_a_cutover() {
    let scene = Scene::new().await;
    let job = JobFolder::new("moved").file("payload.bin", &job_folder::incompressible(LARGE));
    let job_id = scene.session.submit_job(job.path()).await.unwrap();
    assert!(scene.pair.server().jump_to(&TimerName::JobFinished(job_id.to_string())));
    let (told, mut pieces) = mpsc::unbounded_channel();
    let destination = tempfile::tempdir().unwrap();
    let download = scene.session.download_job_result(&job_id).destination(destination.path()).on_progress(move |at| {
        let _ = told.send(at.transferred);
    });
    let downloaded = tokio::spawn(download.into_future());
    assert!(pieces.recv().await.is_some_and(|got| got < LARGE as u64), "it is in the middle");
    scene.cut_over().await;
    let result = timeout(LIMIT, downloaded).await.expect("an end").unwrap().unwrap();
    let sent = JobFolder::files(&job.path());
    let payload = sent.iter().find(|(name, _)| name.ends_with("payload.bin")).unwrap();
    let got = JobFolder::files(&result);
    assert!(got.iter().any(|(name, content)| name.ends_with("payload.bin") && *content == payload.1));
    assert_eq!(std::fs::read_dir(destination.path()).unwrap().count(), 1, "nothing is left beside it");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_api_logs_in_again_at_the_server_that_took_over() {
    let pair = SimPair::start(SimServer::builder()).await.unwrap();
    let (switch, provider) = EndpointProvider::switched(Some(endpoint(pair.active())));
    let kit = StartupKit::open(pair.server().admin_kit(Role::ProjectAdmin).unwrap()).unwrap();
    let api = FlAdminApi::from(Session::builder(kit).endpoints(provider).reconnect_timeout(LIMIT));
    assert_eq!(api.check_status(TargetType::Server, &[]).await.status, ApiStatus::Success);
    pair.switch(Restart::Kill).await.unwrap();
    switch.set_active(endpoint(pair.active()));
    let answer = timeout(LIMIT, api.check_status(TargetType::Server, &[])).await.expect("an answer");
    assert_eq!(answer.status, ApiStatus::Success, "{answer:?}");
    assert_eq!(api.session().await.unwrap().server(), endpoint(pair.active()));
    api.logout().await;
    pair.shutdown().await;
}
