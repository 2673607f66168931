//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::exit;

/// A simulated NVIDIA FLARE server that the official clients cannot tell from a real one.
#[derive(Debug, Parser)]
#[command(name = "flare-simserver", version, after_help = exit::HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write startup kits and nothing else, as `nvflare provision` does.
    Provision(ProvisionArguments),
}

/// What both commands need.
#[derive(Debug, Args)]
pub(crate) struct Federation {
    /// nvflare's project.yml; without it: a server, two sites and one admin of each role.
    #[arg(long, value_name = "FILE")]
    pub(crate) project: Option<PathBuf>,

    /// Where <project>/prod_NN/<participant> goes; keys and certificates of earlier runs there are used again.
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace: PathBuf,

    /// Keep RSA keys in this directory and use those that are there: making them is what takes time.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ProvisionArguments {
    #[command(flatten)]
    pub(crate) federation: Federation,
}
