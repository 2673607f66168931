//! Everything about jobs, from the uploaded archive to the archived workspace, as plain state machines.
//!
//! Nothing here reads a clock, draws unseeded randomness or opens a file: time is a [`Moment`](flare_wire::Moment),
//! ids come from a [`Randomness`](flare_wire::Randomness), and an archive is anything that can be read and sought.
//!
//! | module | what it is |
//! |---|---|
//! | [`archive`] | an uploaded zip, read within limits |
//! | [`behaviour`] | what a simulated run does, says and leaves behind |
//! | [`content`] | what the server needs to know of an archive once it is stored |
//! | [`content_hash`] | what a submit token compares |
//! | [`definition`] | an archive becomes a [`JobDefinition`](definition::JobDefinition) or the real server's refusal |
//! | [`federation`] | what jobs see of the sites, studies and policies |
//! | [`lifecycle`] | [`Jobs`](lifecycle::Jobs): the commands on jobs, and what happens to jobs as time passes |
//! | [`meta`] | a job's meta at every stage |
//! | [`python`] | the texts of Python that users see: JSON errors, exceptions, durations, times |
//! | [`scheduler`] | which waiting job starts, and why the others do not |
//! | [`signature`] | whether an app is signed, and by whom |
//! | [`store`] | all jobs, and lists that cost what they show |
//! | [`submit_records`] | submit tokens: one token, one job |
//! | [`submitter`] | who submits, clones or deletes |
//! | [`verdict`] | what is found of signatures, when somebody asks |
//!
//! Source: `reference/server-behaviour.md` sections 5, 8, 10, 11, 15, 16 and 18, and the nvflare 2.9.0 server.

pub mod archive;
pub mod behaviour;
pub mod content;
pub mod content_hash;
pub mod definition;
pub mod federation;
pub mod lifecycle;
pub mod meta;
pub mod python;
pub mod scheduler;
pub mod signature;
pub mod store;
pub mod submit_records;
pub mod submitter;
#[cfg(test)]
mod testing;
pub mod verdict;
