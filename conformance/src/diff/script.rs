//! A script: who says what, in which order.

use std::fmt;

use super::allowance::Allowances;
use super::dice::Dice;
use super::grammar::{ENTRIES, Entry, SUBMISSION, Sender, is_by_chance, mutate};
use crate::Role;
use crate::kits::AdminKit;

/// One line in so many is made odd or malformed, and one in so many of those twice.
const MUTATED: usize = 4;

/// One line in so many is sent with a token that is none, or without one.
const WITHOUT_TOKEN: usize = 60;

/// Which token goes with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// That of the sender's session.
    Own,
    /// None at all.
    Missing,
    /// One that no server has signed.
    Forged,
}

/// One line of a script.
#[derive(Clone)]
pub(super) struct Step {
    /// Whose session it is sent in: an index into the administrators that both sides have.
    pub(super) who: usize,
    /// The line, with its placeholders.
    pub(super) line: String,
    /// The token beside it.
    pub(super) token: Token,
    entry: &'static Entry,
}

impl Step {
    /// What may differ in the replies.
    pub(super) fn allowances(&self) -> Allowances {
        self.entry.allowances()
    }

    /// True when a job is submitted and nothing said.
    pub(super) fn is_submission(&self) -> bool {
        self.entry.name == SUBMISSION
    }

    /// The command that the line was made for.
    pub(super) fn command(&self) -> &'static str {
        self.entry.name
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:?}", self.who, self.token, self.line)
    }
}

/// `count` lines that follow from `seed`, sent by these administrators.
pub(super) fn generate(seed: u64, count: usize, admins: &[AdminKit]) -> Vec<Step> {
    let mut dice = Dice::new(seed);
    let members: Vec<usize> = indices(admins, |kit| kit.role == Some(Role::Member));
    let submitters: Vec<usize> = indices(admins, |kit| matches!(kit.role, Some(Role::ProjectAdmin | Role::Lead)));
    let everybody: Vec<usize> = indices(admins, |_| true);
    let total: usize = ENTRIES.iter().map(|entry| entry.weight).sum();
    let mut steps = Vec::with_capacity(count);
    while steps.len() < count {
        let Some(entry) = drawn(dice.below(total)) else { break };
        let senders = match entry.sender {
            Sender::Anybody => &everybody,
            Sender::Submitters => &submitters,
            Sender::Members => &members,
        };
        let mut line = entry.line(&mut dice);
        if entry.may_be_mutated && dice.once_in(MUTATED) {
            line = mutate(&line, &mut dice);
            if dice.once_in(MUTATED) {
                line = mutate(&line, &mut dice);
            }
        }
        if is_by_chance(&line) {
            continue;
        }
        let token = match dice.below(2 * WITHOUT_TOKEN) {
            0 => Token::Missing,
            1 => Token::Forged,
            _ => Token::Own,
        };
        if let Some(who) = dice.pick(senders) {
            steps.push(Step { who, line, token, entry });
        }
    }
    steps
}

fn indices(admins: &[AdminKit], wanted: impl Fn(&AdminKit) -> bool) -> Vec<usize> {
    (0..admins.len()).filter(|index| wanted(&admins[*index])).collect()
}

fn drawn(mut ticket: usize) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| {
        let won = ticket < entry.weight;
        ticket = ticket.saturating_sub(entry.weight);
        won
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admins() -> Vec<AdminKit> {
        let kit = |role| AdminKit {
            path: "kit".into(),
            user: "somebody".to_owned(),
            org: "org".to_owned(),
            role: Some(role),
            server: serde_json::from_str("{}").unwrap(),
        };
        Role::ALL.into_iter().map(kit).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_script() {
        let lines = |seed| format!("{:?}", generate(seed, 300, &admins()));
        assert_eq!(lines(5), lines(5));
        assert_ne!(lines(5), lines(6));
    }

    #[test]
    fn every_command_and_every_sender_occurs() {
        let steps = generate(1, 3_000, &admins());
        for entry in ENTRIES {
            assert!(steps.iter().any(|step| step.command() == entry.name), "{}", entry.name);
        }
        assert!((0..admins().len()).all(|who| steps.iter().any(|step| step.who == who)));
        assert!(steps.iter().any(|step| step.token == Token::Missing));
        assert!(steps.iter().any(|step| step.token == Token::Forged));
    }
}
