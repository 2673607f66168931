//! `_commands`: what commands there are.

use flare_wire::hci::Table;

use super::call::{Call, Step};
use super::table::{commands_of, find};
use crate::core::Release;

/// Lists the commands, or describes the named ones.
pub(super) fn commands(call: &mut Call<'_>) -> Step {
    if call.arguments().is_empty() {
        call.reply.push_table(list(call.sim.release()));
        return Ok(());
    }
    for word in call.arguments().to_vec() {
        let Some(command) = find(call.sim.release(), &word) else {
            call.reply.push_error(format!("undefined command {word}\n"));
            continue;
        };
        if !command.visible {
            continue;
        }
        // The real server puts the scope in front of the word, also when that has one already.
        call.reply.push_string(format!("Command: {}.{word}", command.scope));
        call.reply.push_string(format!("Description: {}", command.description));
        call.reply.push_string(format!("Usage: {}\n", command.usage));
    }
    Ok(())
}

/// Every command but the internal ones, whose names start with an underscore.
fn list(release: Release) -> Table {
    let mut table = Table::new(["scope", "command", "description", "usage", "confirm", "clientcmd", "visible"]);
    for command in commands_of(release).filter(|command| !command.name.starts_with('_')) {
        let cells = [
            Some(command.scope),
            Some(command.name),
            Some(command.description),
            Some(command.usage),
            Some(command.confirm.as_str()),
            command.client_command,
            Some(if command.visible { "True" } else { "False" }),
        ];
        table.row_with_nulls(cells.into_iter().map(|cell| cell.map(str::to_owned)).collect());
    }
    table
}
