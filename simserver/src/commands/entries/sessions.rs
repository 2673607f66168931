//! Commands of scope `sess`.

use super::super::login;
use super::super::table::Command;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("sess", "_check_session", "check if session is active", "_check_session")
        .hidden()
        .run(login::check_session),
    Command::new("sess", "list_sessions", "list user sessions", "list_sessions").hidden().run(login::list_sessions),
];
