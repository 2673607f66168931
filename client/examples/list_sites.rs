//! Lists the sites of a running federation: `cargo run --example list_sites -- KIT_FOLDER`.

use std::error::Error;
use std::process::ExitCode;

use flare_client::{Session, StartupKit};

#[tokio::main]
#[expect(clippy::print_stderr, reason = "a program tells its user what went wrong")]
async fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: list_sites KIT_FOLDER");
        return ExitCode::from(2);
    };
    let Err(error) = list_sites(&folder).await else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because {error}");
        cause = error.source();
    }
    if let Some(hint) = error.hint() {
        eprintln!("  hint: {hint}");
    }
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "the list is what the program is for")]
async fn list_sites(folder: &str) -> flare_client::Result<()> {
    let session = Session::builder(StartupKit::open(folder)?).connect().await?;
    let system = session.get_system_info().await?;
    for site in &system.sites {
        println!("{}", site.name);
    }
    session.close().await;
    Ok(())
}
