//! Jobs, from submission to deletion.

mod downloads;
mod errors;
mod life;
mod list;
mod refusals;
mod running;
mod tokens;

use super::own::{CASE_LIMIT, JOB_PATIENCE, Owner, POLL, names, own_sites, unique};
use crate::{Case, Risk};

/// What these cases do to a target.
const CHANGES: &str =
    "submits jobs whose names begin with `conformance-`, ends those that run, and deletes them at the end";

pub(super) fn cases() -> Vec<Case> {
    [
        life::cases(),
        running::cases(),
        errors::cases(),
        list::cases(),
        downloads::cases(),
        refusals::cases(),
        tokens::cases(),
    ]
    .into_iter()
    .flatten()
    .map(|case| case.risking(Risk::OwnObjects, CHANGES).within(CASE_LIMIT))
    .collect()
}
