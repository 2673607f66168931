//! Commands of scope `training`.

use super::super::checks::Check;
use super::super::clients;
use super::super::status;
use super::super::table::{Command, Confirm};

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "training",
        "admin_check_status",
        "check status for project admin",
        "admin_check_status server|client",
    )
    .hidden()
    .check(Check::ProjectAdmin)
    .run(status::check_status),
    Command::new("training", "check_status", "check status of the FL server/client", "check_status server|client")
        .check(Check::ServerOperation)
        .run(status::check_status),
    Command::new("training", "disable_client", "disable a FL client from reconnecting", "disable_client <client-name>")
        .confirm(Confirm::Auth)
        .check(Check::Policy)
        .run(clients::disable_client),
    Command::new(
        "training",
        "enable_client",
        "enable a disabled FL client to reconnect",
        "enable_client <client-name>",
    )
    .confirm(Confirm::Auth)
    .check(Check::Policy)
    .run(clients::enable_client),
    Command::new(
        "training",
        "remove_client",
        "release a client's active token so the client may register again",
        "remove_client <client-name>",
    )
    .hidden()
    .confirm(Confirm::Auth)
    .check(Check::ClientOperation)
    .run(clients::remove_client),
    Command::new("training", "restart", "restart FL server and/or clients", "restart server|client|all [clients]")
        .confirm(Confirm::Auth)
        .check(Check::ServerOperation)
        .run(clients::restart),
    Command::new(
        "training",
        "show_scopes",
        "show configured scope names on server/client",
        "show_scopes server|client|all ...",
    )
    .check(Check::ServerOperation)
    .run(status::show_scopes),
    Command::new("training", "shutdown", "shutdown the FL server/client", "shutdown server|client|all")
        .confirm(Confirm::Auth)
        .check(Check::ServerOperation)
        .run(clients::shutdown),
];
