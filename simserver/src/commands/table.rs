//! The table of commands: what clients are told about each, what is checked, and who answers.
//!
//! Scopes, names and texts are facts of nvflare 2.9.0 (`replies/_commands.all.json`); a test compares them.

use std::fmt;

use super::call::{Call, Step};
use super::checks::Check;
use super::{entries, unmodelled};

/// What a client asks its user before it sends a command. The server never checks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// Nothing.
    None,
    /// Yes or no.
    YesNo,
    /// The user name.
    Auth,
}

impl Confirm {
    /// The word in the table of commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::YesNo => "yesno",
            Self::Auth => "auth",
        }
    }
}

/// A command of the server.
#[derive(Clone, Copy)]
pub struct Command {
    pub(super) scope: &'static str,
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) usage: &'static str,
    pub(super) confirm: Confirm,
    pub(super) client_command: Option<&'static str>,
    pub(super) visible: bool,
    pub(super) check: Check,
    pub(super) run: fn(&mut Call<'_>) -> Step,
}

impl Command {
    /// A visible command that is not simulated.
    pub(super) const fn new(
        scope: &'static str,
        name: &'static str,
        description: &'static str,
        usage: &'static str,
    ) -> Self {
        Self {
            scope,
            name,
            description,
            usage,
            confirm: Confirm::None,
            client_command: None,
            visible: true,
            check: Check::Nothing,
            run: unmodelled::run,
        }
    }

    pub(super) const fn hidden(self) -> Self {
        Self { visible: false, ..self }
    }

    pub(super) const fn confirm(self, confirm: Confirm) -> Self {
        Self { confirm, ..self }
    }

    pub(super) const fn client_command(self, name: &'static str) -> Self {
        Self { client_command: Some(name), ..self }
    }

    pub(super) const fn check(self, check: Check) -> Self {
        Self { check, ..self }
    }

    pub(super) const fn run(self, run: fn(&mut Call<'_>) -> Step) -> Self {
        Self { run, ..self }
    }

    /// The scope that names may be prefixed with.
    #[must_use]
    pub const fn scope(&self) -> &'static str {
        self.scope
    }

    /// The name, which is also the right that the policy decides on.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({}.{})", self.scope, self.name)
    }
}

/// All commands, sorted by scope and name.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    entries::ALL.iter().flat_map(|scope| scope.iter())
}

/// The command that `word` names, with or without its scope.
pub(super) fn find(word: &str) -> Option<&'static Command> {
    commands().find(|command| {
        command.name == word
            || word.split_once('.').is_some_and(|(scope, name)| command.scope == scope && command.name == name)
    })
}
