//! The rows of the table of commands, one module per scope.

mod builtin;
mod cellnet;
mod info;
mod jobs;
mod login;
mod sessions;
mod studies;
mod system;
mod training;

use super::table::Command;

/// All scopes in the order of their names.
pub(super) const ALL: &[&[Command]] = &[
    builtin::COMMANDS,
    cellnet::COMMANDS,
    info::COMMANDS,
    jobs::COMMANDS,
    login::COMMANDS,
    sessions::COMMANDS,
    studies::COMMANDS,
    system::COMMANDS,
    training::COMMANDS,
];
