//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use flare_simserver::core::Release;
use flare_simserver::project::{ConnectionSecurity, Scheme};
use flare_simserver::{ClockMode, Mutant};

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

    /// Serve until SIGTERM, Ctrl-C or the command `shutdown`, after writing the startup kits that are missing.
    ///
    /// When the server accepts connections, it prints one line, {"port": ..., "scheme": ..., "kits": ...}, where
    /// `kits` is the directory that holds one startup kit per participant. Where admins have a port of their own, that
    /// is "port", and "fed_learn_port" is the other.
    Serve(ServeArguments),

    /// List the mutants: rules of the real server that `serve --mutant` can break.
    Mutants,
}

/// What both commands need.
#[derive(Debug, Args)]
pub(crate) struct Federation {
    /// nvflare's project.yml; without it: a server, two sites and one admin of each role.
    #[arg(long, value_name = "FILE")]
    pub(crate) project: Option<PathBuf>,

    /// How frames travel, instead of what the project says: http, tcp or grpc.
    #[arg(long, value_name = "SCHEME")]
    pub(crate) scheme: Option<Scheme>,

    /// What protects everybody's connections, instead of what the project says: mtls, tls or clear.
    #[arg(long, value_name = "SECURITY")]
    pub(crate) connection_security: Option<ConnectionSecurity>,

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

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    pub(crate) federation: Federation,

    /// The release of nvflare to behave like: 2.7, 2.8 or 2.9.
    #[arg(long, value_name = "RELEASE", default_value = "2.9")]
    pub(crate) release: Release,

    /// The port to listen on, instead of the project's; 0 for any that is free. Kits name the port really used. In a
    /// project with two ports it is that of admins, and 0 leaves both open.
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,

    /// The address to listen on; without it the loopback interface if the project's host leads there, and every
    /// interface otherwise.
    #[arg(long, value_name = "IP")]
    pub(crate) address: Option<IpAddr>,

    /// Write the line that is printed also to this file, which appears complete and goes with the server.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,

    /// Keep jobs, submit records, studies, disabled clients and the server's logs in this directory, and go on with those
    /// that are there. They outlive SIGKILL.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// Begin with the studies in this file, the `study_registry.json` of a real server.
    #[arg(long, value_name = "FILE")]
    pub(crate) study_registry: Option<PathBuf>,

    /// What is out of the ordinary: runs, sites, faults, clock, scheduler; see simserver/examples/scenario.yml.
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: Option<PathBuf>,

    /// How the simulated time passes: `real`, `scaled=FACTOR`, or `manual`, where every SIGUSR1 lets happen what is
    /// waited for next.
    #[arg(long, value_name = "MODE")]
    pub(crate) clock: Option<ClockMode>,

    /// Make ids and tokens the same in every run.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Break a rule of the real server on purpose; may be given several times. `flare-simserver mutants` lists them.
    #[arg(long = "mutant", value_name = "NAME")]
    pub(crate) mutants: Vec<Mutant>,
}
