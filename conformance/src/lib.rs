//! Conformance cases for FLARE servers, and a runner.
//!
//! A [`Case`] names the [`Requirement`]s it checks and what it needs of a [`Target`]; a [`Runner`] runs cases on a
//! target, the in-process simulator or a real deployment, and gives [`Outcome`]s, of which a [`Report`] is made.
//!
//! ```no_run
//! use std::sync::Arc;
//! use flare_conformance::{KnownFailing, Runner, Target, suites};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let target = Arc::new(Target::simulated("http").await?);
//! let runner = Runner { known: KnownFailing::simulated()?, ..Runner::default() };
//! let outcomes = runner.run(suites::all(), &target, |outcome| println!("{} {}", outcome.state, outcome.case)).await;
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `case`, `need`, `risk`, `context`, `finding`, `state` | a case, what it needs and does, what it works with, what it says |
//! | [`requirement`], `seeds`, `trace` | what is checked, where that comes from, and what was seen of it |
//! | [`manifest`], `release` | which cases count for a release, and of which level they are |
//! | `job_folder`, `leftover` | jobs that cases submit, and how they go again |
//! | `target`, `simulated`, `kits` | the subject of a run |
//! | `dry_run` | what a run would do |
//! | `mutants` | the suite on simulators that have a rule broken |
//! | `runner`, `scope`, `recorder`, `known`, `exit` | run cases, judge them by the known-failing list, exit code |
//! | [`report`] | what a run found, as JSON, text, Markdown, JUnit, HTML and a badge |
//! | `progress` | what is seen of a run while it goes on |
//! | `methods` | the documented methods, and a table of what cases say about each |
//! | `clients` | any client as the one under test, and the simulator as referee |
//! | `transcripts` | recordings of real servers, and playing them |
//! | `raw` | a peer that speaks the wire by hand |
//! | `real` | bring a real federation up, and take it down (Linux) |
//! | [`suites`] | the cases |
//! | `bench` | measurements beside a plain echo |
//! | `diff` | random command lines on two federations, reply by reply |
//! | `cli` | the command line |

mod bench;
mod case;
pub mod cli;
mod clients;
mod context;
mod diff;
mod dry_run;
mod exit;
mod finding;
mod job_folder;
mod kits;
mod known;
mod leftover;
pub mod manifest;
mod methods;
mod mutants;
mod need;
mod progress;
mod raw;
#[cfg(target_os = "linux")]
mod real;
mod recorder;
mod release;
pub mod report;
pub mod requirement;
mod risk;
mod runner;
mod scope;
mod seeds;
mod simulated;
mod state;
pub mod suites;
mod target;
mod trace;
mod transcripts;

pub use case::{Case, DEFAULT_TIME_LIMIT};
pub use context::Context;
pub use exit::Exit;
pub use finding::{CaseResult, Finding};
pub use kits::{AdminKit, Kits, KitsError, Role, RootKey, ServerAddress, SiteKit};
pub use known::{KnownFailing, KnownFailingError, KnownFailure};
pub use manifest::{Level, Manifest, RoleUnderTest};
pub use need::{Home, Need, Who};
pub use release::{Release, ReleaseError};
pub use report::{Outcome, Report, TargetDescription};
pub use requirement::{Keyword, Requirement, SeedDocument, Source, Standing};
pub use risk::Risk;
pub use runner::{Runner, Transcripts};
pub use state::State;
pub use target::{Target, TargetError};

/// How the name of everything begins that cases make on a target, so that it can be told apart and found.
pub const OWN_PREFIX: &str = "conformance-";

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
