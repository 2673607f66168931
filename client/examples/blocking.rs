//! A program without a runtime: lists the sites and the jobs of a system.
//!
//! ```text
//! cargo run -p flare-client --features blocking --example blocking -- prod_00/admin@nvidia.com
//! ```
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use flare_client::blocking::Session;
use flare_client::{JobQuery, StartupKit};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: blocking KIT")?;
    let session = Session::builder(StartupKit::open(folder)?).connect_blocking()?;
    for site in session.get_connected_client_list()? {
        println!("{}", site.name);
    }
    for job in session.list_jobs(&JobQuery::new())? {
        println!("{} {:?}", job.job_id, job.status);
    }
    session.close()?;
    Ok(())
}
