//! Reports: what a run found, as JSON, and everything that is made from it.
//!
//! | module | what it holds |
//! |---|---|
//! | `model`, `outcome`, `transcript` | the report, what became of a case, what went over the wire |
//! | `shard` | parts of a run, and one report from the reports of all parts |
//! | `text`, `markdown`, `junit`, `badge`, `html` | the forms in which a report is read |
//! | `command` | which of them are written where |

mod badge;
mod command;
mod html;
mod junit;
mod markdown;
mod model;
mod outcome;
mod shard;
mod text;
mod transcript;

#[cfg(test)]
mod tests;

pub use badge::Badge;
pub use html::html;
pub use junit::junit;
pub use markdown::markdown;
pub use model::{
    ALL_CASES, Figure, Figures, Report, RequirementText, RunFacts, SCHEMA, SCHEMA_VERSION, Suite, Summary,
    TargetDescription,
};
pub use outcome::Outcome;
pub use shard::{MergeError, Shard, merge};
pub use transcript::{Direction, Exchange};

pub(crate) use command::{Rendered, ReportArguments, replace_file, run};
pub(crate) use shard::fnv1a;
pub(crate) use text::write_outcome;
