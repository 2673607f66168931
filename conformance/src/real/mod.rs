//! A real FLARE federation: brought up from PyPI, and taken down completely.
//!
//! ```text
//! up:    venv -> pip install nvflare -> provision -> server, then each site -> all registered -> one JSON line
//! down:  every marked process ends -> the port is free -> the files are gone
//! ```
//!
//! Everything lives in one workspace folder. Whatever `up` starts carries a mark in its environment, which its
//! children inherit, even those that leave its process group as FLARE's job processes do; `down` ends what carries
//! the mark, and therefore never anything else.
//!
//! | module | what it does |
//! |---|---|
//! | `command` | the command line |
//! | `up`, `down` | the two ways through |
//! | `workspace` | the folder, and the record of what runs there |
//! | `blueprint` | the project file, on a free port of this machine |
//! | `python` | the virtual environment with the wanted release |
//! | `federation` | server and sites: start, and wait until they are registered |
//! | `program` | run a program to its end, with a time limit and its last lines for the error |
//! | `process` | find marked processes and end them |

mod blueprint;
mod command;
mod down;
mod error;
mod federation;
mod process;
mod program;
mod python;
mod up;
mod workspace;

pub(crate) use command::RealCommand;
pub(crate) use error::RealError;
