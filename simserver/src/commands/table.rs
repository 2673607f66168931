//! The table of commands: what clients are told about each, what is checked, and who answers.
//!
//! Scopes, names and texts are facts of nvflare 2.9.0 (`replies/_commands.all.json`); a test compares them.

use std::fmt;

use super::call::{Call, Step};
use super::checks::Check;
use super::{entries, unmodelled};
use crate::core::Release;

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

/// Those that came with 2.8.
const SINCE_2_8: [&str; 12] = [
    "add_study_site",
    "add_study_user",
    "disable_client",
    "enable_client",
    "get_job_log",
    "list_studies",
    "register_study",
    "remove_study",
    "remove_study_site",
    "remove_study_user",
    "report_version",
    "show_study",
];

/// What the table of 2.7.3 says of others: description, usage, and whether a command is shown.
const IN_2_7: [(&str, &str, &str, bool); 3] = [
    (
        "list_jobs",
        "list submitted jobs",
        "list_jobs [-n name_prefix] [-d] [-u] [-r] [-m num_of_jobs] [job_id_prefix]",
        true,
    ),
    ("submit_job", "submit a job", "submit_job job_folder", true),
    ("remove_client", "remove a FL client", "remove_client <client-name>", true),
];

/// The commands of a release, as its table describes them.
pub(super) fn commands_of(release: Release) -> impl Iterator<Item = Command> {
    let is_old = release < Release::V2_8;
    commands().filter(move |command| !is_old || !SINCE_2_8.contains(&command.name)).map(move |command| {
        match IN_2_7.iter().find(|(name, ..)| is_old && *name == command.name) {
            Some(&(_, description, usage, visible)) => Command { description, usage, visible, ..*command },
            None => *command,
        }
    })
}

/// The command that `word` names, with or without its scope.
pub(super) fn find(release: Release, word: &str) -> Option<Command> {
    commands_of(release).find(|command| {
        command.name == word
            || word.split_once('.').is_some_and(|(scope, name)| command.scope == scope && command.name == name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the table of a real 2.7.3 server, which has twelve rows less than one of 2.9.0; that of 2.8.3 is the same.
    #[test]
    fn an_older_release_has_fewer_commands_and_other_words() {
        assert_eq!(commands_of(Release::V2_8).count(), commands().count());
        assert_eq!(commands_of(Release::V2_7).count() + 12, commands().count());
        assert!(find(Release::V2_7, "get_job_log").is_none());
        assert!(find(Release::V2_8, "job_mgmt.get_job_log").is_some());
        let shown = |release| find(release, "remove_client").map(|command| command.visible);
        assert_eq!((shown(Release::V2_7), shown(Release::V2_9)), (Some(true), Some(false)));
        assert_eq!(find(Release::V2_7, "submit_job").unwrap().usage, "submit_job job_folder");
    }
}
