//! The two federations, spoken to at the same time.

use std::path::Path;

use serde_json::Value;

use super::allowance::Allowances;
use super::references::References;
use super::script::{Step, Token};
use super::side::{Outcome, Side};
use crate::kits::AdminKit;
use crate::{CaseResult, Finding};

/// Two federations that are made of the same participants.
pub(super) struct Pair {
    left: Side,
    right: Side,
}

impl Pair {
    /// Logs in to both as every administrator.
    pub(super) async fn open(left: &Path, right: &Path) -> CaseResult<Self> {
        let (left, right) = tokio::join!(Side::open(left), Side::open(right));
        let (left, right) = (left?, right?);
        if left.participants() != right.participants() {
            return Err(Finding::harness(format!(
                "the federations are not made of the same participants: {:?} <> {:?}",
                left.participants(),
                right.participants()
            )));
        }
        Ok(Self { left, right })
    }

    /// The administrators of both.
    pub(super) fn admins(&self) -> &[AdminKit] {
        self.left.admins()
    }

    /// The names of the commands that the left server offers.
    pub(super) async fn commands(&mut self) -> CaseResult<Vec<String>> {
        self.left.commands().await
    }

    /// The names and organisations of the sites of both.
    pub(super) fn sites(&self) -> Vec<(String, String)> {
        self.left.sites()
    }

    /// Says a line on both sides; gives what differs, and what it came to.
    pub(super) async fn play(&mut self, step: &Step, references: &mut References) -> (Vec<String>, [Outcome; 2]) {
        if step.is_submission() {
            let (left, right) = tokio::join!(self.left.submit(step.who), self.right.submit(step.who));
            let outcome = |side: CaseResult| side.map(|()| Value::Null).map_err(|finding| finding.message().to_owned());
            let outcomes = [outcome(left), outcome(right)];
            let problems = if outcomes[0] == outcomes[1] { Vec::new() } else { vec![format!("{outcomes:?}")] };
            return (problems, outcomes);
        }
        self.say(step.who, &step.line, step.token, &step.allowances(), references).await
    }

    /// The same for a line that belongs to no script.
    pub(super) async fn say(
        &mut self,
        who: usize,
        line: &str,
        token: Token,
        allowances: &Allowances,
        references: &mut References,
    ) -> (Vec<String>, [Outcome; 2]) {
        let (left, right) = tokio::join!(self.left.say(who, line, token), self.right.say(who, line, token));
        let problems = match (&left, &right) {
            (Ok(left), Ok(right)) => references.differences(left, right, allowances),
            (Err(left), Err(right)) if left == right => Vec::new(),
            (left, right) => vec![format!("{} <> {}", super::shown(left), super::shown(right))],
        };
        (problems, [left, right])
    }

    /// Submits a job on both sides as this administrator. It is the last of their jobs from there on.
    pub(super) async fn submit(&mut self, who: usize) -> CaseResult {
        let (left, right) = tokio::join!(self.left.submit(who), self.right.submit(who));
        left.and(right)
    }

    /// How many jobs both sides know.
    pub(super) fn jobs(&self) -> usize {
        self.left.jobs()
    }

    /// No studies and no jobs on either side.
    pub(super) async fn clear(&mut self) -> CaseResult {
        let (left, right) = tokio::join!(self.left.clear(), self.right.clear());
        left.and(right)
    }

    /// The state before a script: no studies, and a job of every administrator who may submit.
    pub(super) async fn reset(&mut self) -> CaseResult {
        self.clear().await?;
        for who in self.left.submitters() {
            self.submit(who).await?;
        }
        Ok(())
    }

    /// Plays a script from the beginning; true when the replies to its last line differ.
    pub(super) async fn differs_at_end(&mut self, script: &[Step]) -> bool {
        let mut references = References::default();
        if self.reset().await.is_err() {
            return false;
        }
        let mut differs = false;
        for step in script {
            differs = !self.play(step, &mut references).await.0.is_empty();
        }
        differs
    }
}
