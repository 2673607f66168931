//! Jobs, from submission to deletion.

mod life;
mod refusals;
mod tokens;

use super::own::{CASE_LIMIT, JOB_PATIENCE, Owner, POLL, names, own_sites, unique};
use crate::requirement::{reference, seed};
use crate::{Case, Requirement, Risk};

pub(super) const REQUIREMENTS: &[Requirement] = &[
    seed(
        "JOB-SUBMIT-001",
        "Submit a predefined job to the system",
        "A submitted job gets an id, is listed, and keeps what it was submitted with.",
    ),
    reference(
        "JOB-SUBMIT-002",
        "server-behaviour",
        "15",
        "Every rule of a job's definition that is broken is told in the server's own words.",
    ),
    reference("JOB-SUBMIT-003", "server-behaviour", "2.2", "Only roles with the right submit_job may submit."),
    reference("JOB-SUBMIT-004", "server-behaviour", "10.5", "A job without signatures is taken in and fails to run."),
    reference(
        "JOB-SUBMIT-005",
        "server-behaviour",
        "10.2",
        "Custom properties of the request are kept in the job's meta.",
    ),
    reference(
        "JOB-LIFE-001",
        "server-behaviour",
        "10.1",
        "A job goes from SUBMITTED over RUNNING to FINISHED:COMPLETED, and its meta tells when, for how long and where.",
    ),
    reference(
        "JOB-LIFE-002",
        "server-behaviour",
        "10.1",
        "A job whose workflow cannot be made ends as FINISHED:EXECUTION_EXCEPTION.",
    ),
    reference(
        "JOB-LIFE-003",
        "server-behaviour",
        "10.3",
        "A job that finds too few sites stays SUBMITTED, and its history says why.",
    ),
    reference(
        "JOB-LIFE-004",
        "server-behaviour",
        "10.3",
        "The scheduler gives up after ten attempts: FINISHED:CAN_NOT_SCHEDULE, with eleven lines of history.",
    ),
    seed(
        "JOB-ABORT-001",
        "If the job is already done, no effect",
        "Aborting says what it comes to in each state: waiting, running, ended.",
    ),
    seed(
        "JOB-STATS-001",
        "Show processing stats of specified job on specified targets",
        "A running job tells its statistics and errors by participant; one that does not run is refused.",
    ),
    seed(
        "JOB-CLONE-001",
        "Create a new job by cloning a specified job",
        "A clone is a job of its own that names its original.",
    ),
    reference("JOB-DELETE-001", "client-api", "12", "A running job cannot be deleted; a deleted one is gone."),
    seed(
        "JOB-DOWNLOAD-001",
        "Download result of the job",
        "The result of a job holds the job byte by byte as it was submitted, its workspace, and its meta.",
    ),
    seed(
        "JOB-COMPONENTS-001",
        "Get the list of additional job components for the specified job.",
        "A job without further components has an empty list of them, and nothing to download.",
    ),
    seed(
        "JOB-LOGS-001",
        "Retrieve logs for the specified job.",
        "Logs come by participant, with reasons for those that are not available.",
    ),
    seed(
        "JOB-LIST-001",
        "Get the job info from the server",
        "Every filter of a list selects as it says, and order and limit do too.",
    ),
    reference(
        "JOB-TOKEN-001",
        "server-behaviour",
        "11",
        "The same token and content give the same job, also when its folder has another name or nothing is signed.",
    ),
    reference(
        "JOB-TOKEN-002",
        "server-behaviour",
        "11",
        "The same token with other content is a conflict that names the job.",
    ),
    reference("JOB-TOKEN-003", "server-behaviour", "11", "Another user's token is another token."),
    reference(
        "JOB-TOKEN-004",
        "server-behaviour",
        "11",
        "The token of a deleted job stays used for ever, and tells id, state and time.",
    ),
    reference(
        "JOB-TOKEN-005",
        "server-behaviour",
        "11",
        "Submissions with the same token at the same time are one job.",
    ),
    reference(
        "JOB-TOKEN-006",
        "server-behaviour",
        "11",
        "A list by token shows the caller's own job, clones excluded.",
    ),
    seed(
        "JOB-MONITOR-001",
        "Monitor the job progress until one of the conditions occurs:",
        "Monitoring ends with the job, with the time, or with the callback, and says which.",
    ),
];

pub(super) fn cases() -> Vec<Case> {
    [life::cases(), refusals::cases(), tokens::cases()]
        .into_iter()
        .flatten()
        .map(|case| case.risking(Risk::OwnObjects).within(CASE_LIMIT))
        .collect()
}
