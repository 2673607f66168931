//! Commands of scope `login`.

use super::super::login;
use super::super::table::Command;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("login", "_cert_login", "login to server with SSL cert", "login userName")
        .hidden()
        .run(login::cert_login),
    Command::new("login", "_logout", "logout from server", "logout").hidden().run(login::logout),
];
