//! A command that does nothing: it shows that connection and session are good, and brings back a session that the
//! server has forgotten.

use flare_wire::hci::Reply;

use super::{Command, Line};
use crate::Error;

/// `_commands` for one command: the shortest reply that a session is needed for.
#[derive(Debug)]
pub(crate) struct Touch;

impl Command for Touch {
    type Output = ();
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("_commands").word("submit_job")
    }

    fn read(&self, _reply: Reply) -> Result<(), Error> {
        Ok(())
    }
}
