//! What a simulated run does.
//!
//! By default that follows from the job's own configuration: its workflows and their rounds, and whether every class
//! it names exists. [Rules](Rule) on the job's name or meta change it. What comes out is a [`RunPlan`]: when the run
//! ends and how, what its statistics, errors and logs say meanwhile, and what it leaves behind.

mod classes;
mod derive;
mod log;
mod plan;
mod report;
mod rule;
#[cfg(test)]
mod tests;
mod workspace;

pub use log::{LogLine, RunLog};
pub use plan::{Ending, RunPlan, Workflow};
pub use report::RunReport;
pub use rule::Rule;
pub use workspace::{WorkspaceEntry, WorkspaceFile, entries as workspace_entries, write_workspace};

use super::content::JobContent;
use super::meta::JobMeta;

/// The rules of a server.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Behaviours {
    rules: Vec<Rule>,
}

impl Behaviours {
    /// With these rules; where several fit a job, later ones win.
    #[must_use]
    pub const fn new(rules: Vec<Rule>) -> Self {
        Self { rules }
    }

    /// Adds a rule.
    pub fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// What the run of this job on these sites does.
    #[must_use]
    pub fn plan(&self, meta: &JobMeta, content: &JobContent, sites: &[String]) -> RunPlan {
        let mut plan = derive::plan(meta, content, sites);
        for rule in self.rules.iter().filter(|rule| rule.fits(meta)) {
            rule.change(&mut plan);
        }
        plan
    }
}
