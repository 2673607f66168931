//! Measurements: our client on the in-process simulator beside a plain echo over TLS and WebSocket made of the same
//! crates, in one run on one machine. What counts is the ratio of the two; the echo is what the transport costs anyway.
//!
//! | module | what it holds |
//! |---|---|
//! | `echo` | the echo, both ends |
//! | `figures` | medians, and the table that is printed |
//! | `memory` | resident memory of a simulator in a process of its own |
//! | `transfer` | jobs of several sizes, up and down |
//! | `listing` | lists of a few jobs out of many |

mod echo;
mod figures;
mod listing;
mod memory;
mod transfer;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use flare_client::{Session, StartupKit};
use flare_simserver::pki::{KeyPool, KeySource};
use flare_simserver::project::{Project, Role, Scheme};
use flare_simserver::{SimServer, SimServerBuilder};
use flare_wire::hci::Request;
use tokio::task::JoinSet;

pub(crate) use memory::{ServeArguments, serve};
pub(crate) use transfer::{TransferArguments, transfer};

use echo::{EchoClient, EchoServer};
use figures::{Aim, Figures, median};

/// Why a measurement could not be made.
pub(crate) type BenchError = Box<dyn std::error::Error + Send + Sync>;

/// How often a connection is opened and a server started; the median is taken.
const CONNECTIONS: usize = 41;
const STARTS: usize = 11;
/// How long each throughput is measured.
const WINDOW: Duration = Duration::from_secs(2);
/// How many sessions run at once in the second throughput.
const MANY: usize = 16;
/// How many sites the large federation has.
const MANY_SITES: usize = 1000;
/// What the line of a command looks like on the wire: one that the server answers at once, without asking a site.
const COMMAND: &str = "check_status server";

/// Measures, and prints a table to `out`.
pub(crate) async fn run(out: &mut impl Write) -> Result<(), BenchError> {
    let workspace = tempfile::tempdir()?;
    let server = start(workspace.path(), 2).await?;
    let kit = server.admin_kit(Role::ProjectAdmin)?;
    let kits = server.all_kits()?;
    let echo = EchoServer::start(&kits.join("server")).await?;
    let kit = StartupKit::open(&kit)?;
    let mut figures = Figures::default();

    let (login, connect) = connections(&kit, &echo).await?;
    figures.compare("connect and log in", login, connect, Aim::AtMost(Duration::from_millis(10)));

    let size = request_size();
    let (command, message) = round_trips(&kit, &echo, size).await?;
    figures.compare("command round trip", command, message, Aim::Ratio(3.0));
    for sessions in [1, MANY] {
        let commands = throughput(commands(&kit, sessions).await?).await?;
        let messages = throughput(messages(&echo, sessions, size).await?).await?;
        figures.rates(&format!("commands per second, {sessions} at once"), commands, messages, Aim::Ratio(3.0));
    }
    drop(echo);
    server.shutdown().await;

    let keys = KeySource::Pool(KeyPool::new());
    for sites in [2, MANY_SITES] {
        let took = start_time(|| Ok(SimServer::builder().project(project(sites)?).keys(keys.clone()))).await?;
        figures.single(&format!("start with cached keys, {sites} sites"), took, Aim::AtMost(Duration::from_millis(10)));
    }
    let provisioned = tempfile::tempdir()?;
    let took = start_time(|| Ok(SimServer::builder().project(project(2)?).workspace(provisioned.path()))).await?;
    figures.single("start in its workspace, 2 sites", took, Aim::None);
    for sites in [2, MANY_SITES] {
        let bytes = memory::resident(sites).await?;
        figures.memory(&format!("resident memory, {sites} sites"), bytes, 15 * 1024 * 1024);
    }
    transfer::measure(&mut figures).await?;
    listing::measure(&mut figures).await?;
    figures.write(out)?;
    Ok(())
}

/// A project with this many sites.
pub(crate) fn project(sites: usize) -> Result<Project, BenchError> {
    let mut project = Project::new("bench", "server", "nvidia")?
        .with_host("localhost")?
        .with_scheme(Scheme::Http)
        .with_admin("admin@nvidia.com", "nvidia", Role::ProjectAdmin)?;
    for number in 1..=sites {
        project = project.with_site(&format!("site-{number}"), "nvidia")?;
    }
    Ok(project)
}

async fn start(workspace: &Path, sites: usize) -> Result<SimServer, BenchError> {
    Ok(SimServer::builder().project(project(sites)?).workspace(workspace).start().await?)
}

/// Opens connections of both kinds in turn, so that what disturbs one disturbs the other.
async fn connections(kit: &StartupKit, echo: &EchoServer) -> Result<(Duration, Duration), BenchError> {
    let mut logins = Vec::new();
    let mut connects = Vec::new();
    for _ in 0..CONNECTIONS {
        let started = Instant::now();
        let session = Session::builder(kit.clone()).connect().await?;
        logins.push(started.elapsed());
        session.close().await;

        let started = Instant::now();
        let mut client = EchoClient::connect(echo).await?;
        client.round_trip(1).await?;
        connects.push(started.elapsed());
    }
    Ok((median(&mut logins), median(&mut connects)))
}

/// Bytes of a command on the wire, so that the echo moves as many.
fn request_size() -> usize {
    /// Length of a session token, and of the headers of a message, as recorded from the official client.
    const TOKEN: usize = 540;
    const HEADERS: usize = 1035;
    let request = Request { token: Some("x".repeat(TOKEN)), ..Request::new(COMMAND) };
    request.to_json().len() + HEADERS
}

async fn round_trips(kit: &StartupKit, echo: &EchoServer, size: usize) -> Result<(Duration, Duration), BenchError> {
    const ROUND_TRIPS: usize = 501;
    let session = Session::builder(kit.clone()).connect().await?;
    let mut client = EchoClient::connect(echo).await?;
    let mut commands = Vec::new();
    let mut messages = Vec::new();
    for _ in 0..ROUND_TRIPS {
        let started = Instant::now();
        session.get_system_info().await?;
        commands.push(started.elapsed());
        let started = Instant::now();
        client.round_trip(size).await?;
        messages.push(started.elapsed());
    }
    session.close().await;
    Ok((median(&mut commands), median(&mut messages)))
}

/// Something that does one round trip after the other until the time is over, and counts them.
type Worker = std::pin::Pin<Box<dyn Future<Output = Result<usize, BenchError>> + Send>>;

async fn commands(kit: &StartupKit, sessions: usize) -> Result<Vec<Worker>, BenchError> {
    let mut workers: Vec<Worker> = Vec::new();
    for _ in 0..sessions {
        let session = Session::builder(kit.clone()).connect().await?;
        workers.push(Box::pin(async move {
            let started = Instant::now();
            let mut count = 0;
            while started.elapsed() < WINDOW {
                session.get_system_info().await?;
                count += 1;
            }
            session.close().await;
            Ok(count)
        }));
    }
    Ok(workers)
}

async fn messages(echo: &EchoServer, connections: usize, size: usize) -> Result<Vec<Worker>, BenchError> {
    let mut workers: Vec<Worker> = Vec::new();
    for _ in 0..connections {
        let mut client = EchoClient::connect(echo).await?;
        workers.push(Box::pin(async move {
            let started = Instant::now();
            let mut count = 0;
            while started.elapsed() < WINDOW {
                client.round_trip(size).await?;
                count += 1;
            }
            Ok(count)
        }));
    }
    Ok(workers)
}

/// Round trips per second of all workers together.
async fn throughput(workers: Vec<Worker>) -> Result<f64, BenchError> {
    let mut running = JoinSet::new();
    for worker in workers {
        running.spawn(worker);
    }
    let mut count = 0;
    while let Some(done) = running.join_next().await {
        count += done??;
    }
    Ok(count as f64 / WINDOW.as_secs_f64())
}

/// Time from building a server to its being ready, once the keys are there from an earlier start.
async fn start_time(builder: impl Fn() -> Result<SimServerBuilder, BenchError>) -> Result<Duration, BenchError> {
    builder()?.start().await?.shutdown().await;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let started = Instant::now();
        let server = builder()?.start().await?;
        times.push(started.elapsed());
        server.shutdown().await;
    }
    Ok(median(&mut times))
}
