//! `flare-simserver`: a simulated NVIDIA FLARE server as a program.

mod args;
mod exit;
mod federation;
mod provision;
mod report;
mod serve;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Arguments, Command};
use flare_simserver::Mutant;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    report::start_logging();
    let outcome = match &arguments.command {
        Command::Provision(provision) => provision::run(provision),
        Command::Serve(serve) => serve::run(serve),
        Command::Mutants => {
            for mutant in Mutant::ALL {
                report::line(&format!("{mutant}  {}", mutant.breaks()));
            }
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report::failure(&failure);
            failure.exit_code()
        }
    }
}
