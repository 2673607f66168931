//! Lists of a few jobs out of more and more.

use std::time::{Duration, Instant};

use flare_client::{JobId, JobQuery, Session, StartupKit};
use serde_json::json;
use tokio::task::JoinSet;

use super::BenchError;
use super::figures::{Aim, Figures, median};
use super::memory::Served;

/// How many jobs are stored.
const STORED: [usize; 3] = [10, 1_000, 100_000];
/// How many of them a list shows.
const SHOWN: u32 = 10;
/// How often a list is asked for; the median is taken.
const LISTS: usize = 101;
/// Sessions that make the jobs.
const MAKERS: usize = 16;
/// How many times as long as with the fewest jobs a list may take with more.
const TIMES_THE_FEWEST: f64 = 2.0;

/// Measures every number of jobs.
pub(super) async fn measure(figures: &mut Figures) -> Result<(), BenchError> {
    let scratch = tempfile::tempdir()?;
    let served = Served::start(1, scratch.path()).await?;
    let kit = StartupKit::open(served.kits().join("admin@nvidia.com"))?;
    let session = Session::builder(kit.clone()).connect().await?;
    let folder = scratch.path().join("job");
    std::fs::create_dir_all(folder.join("app/config"))?;
    let meta = json!({"name": "job", "resource_spec": {}, "min_clients": 1000, "deploy_map": {"app": ["@ALL"]}});
    std::fs::write(folder.join("meta.json"), meta.to_string())?;
    for name in ["config_fed_server.json", "config_fed_client.json"] {
        std::fs::write(folder.join("app/config").join(name), "{}")?;
    }
    let first = session.submit_job(&folder).await?;
    session.abort_job(&first).await?;
    let prefix = &first.as_str()[..6];

    let mut stored = 1;
    let mut fewest = None;
    for wanted in STORED {
        make(&kit, &first, wanted - stored).await?;
        stored = wanted;
        let limited = timed_list(&session, &JobQuery::new().limit(SHOWN)).await?;
        let prefixed = timed_list(&session, &JobQuery::new().id_prefix(prefix)?).await?;
        let (limited_fewest, prefixed_fewest) = *fewest.get_or_insert((limited, prefixed));
        let aim = || Aim::Ratio(TIMES_THE_FEWEST);
        figures.compare(&format!("list {SHOWN} of {wanted} jobs"), limited, limited_fewest, aim());
        figures.compare(&format!("list by id of {wanted} jobs"), prefixed, prefixed_fewest, aim());
    }
    session.close().await;
    served.stop().await
}

/// Makes so many clones. They are aborted: a scheduler that tries them all would be measured as well.
async fn make(kit: &StartupKit, first: &JobId, count: usize) -> Result<(), BenchError> {
    let mut makers = JoinSet::new();
    for maker in 0..MAKERS {
        let (kit, first) = (kit.clone(), first.clone());
        let share = count / MAKERS + usize::from(maker < count % MAKERS);
        makers.spawn(async move {
            let session = Session::builder(kit).connect().await?;
            for _ in 0..share {
                let clone = session.clone_job(&first).await?;
                session.abort_job(&clone).await?;
            }
            session.close().await;
            Ok::<(), BenchError>(())
        });
    }
    while let Some(done) = makers.join_next().await {
        done??;
    }
    Ok(())
}

async fn timed_list(session: &Session, query: &JobQuery) -> Result<Duration, BenchError> {
    let mut times = Vec::new();
    for _ in 0..LISTS {
        let started = Instant::now();
        let jobs = session.list_jobs(query).await?;
        times.push(started.elapsed());
        if jobs.is_empty() {
            return Err("a list showed nothing".into());
        }
    }
    Ok(median(&mut times))
}
