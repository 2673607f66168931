//! Commands without a scope.

use super::super::catalogue;
use super::super::table::Command;

pub(super) const COMMANDS: &[Command] =
    &[Command::new("", "_commands", "list server commands", "_commands").hidden().run(catalogue::commands)];
