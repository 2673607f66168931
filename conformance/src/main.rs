//! Runs the conformance suite.

use std::process::ExitCode;

use clap::Parser as _;
use flare_conformance::cli::Arguments;

fn main() -> ExitCode {
    flare_conformance::cli::main(Arguments::parse()).into()
}
