//! Commands that the server has and the simulator has not.

use super::call::{Call, Step, Stop};

/// Says so.
pub(super) fn run(call: &mut Call<'_>) -> Step {
    Err(Stop::NotModelled(call.command.name.to_owned()))
}
