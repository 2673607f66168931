//! Commands of scope `info`.

use super::super::checks::Check;
use super::super::jobs;
use super::super::table::Command;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "info",
        "reset_errors",
        "reset error stats for an actively running job",
        "reset_errors job_id server|client [clients]",
    )
    .check(Check::RunningJob)
    .run(jobs::reset_errors),
    Command::new(
        "info",
        "show_errors",
        "show latest errors in an actively running job",
        "show_errors job_id server|client [clients]",
    )
    .check(Check::RunningJob)
    .run(jobs::show_errors),
    Command::new(
        "info",
        "show_stats",
        "show current system stats for an actively running job",
        "show_stats job_id server|client [clients]",
    )
    .check(Check::RunningJob)
    .run(jobs::show_stats),
];
