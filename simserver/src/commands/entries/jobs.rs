//! Commands of scope `job_mgmt`.

use super::super::checks::Check;
use super::super::jobs;
use super::super::table::{Command, Confirm};

pub(super) const COMMANDS: &[Command] = &[
    Command::new("job_mgmt", "abort_job", "abort a job if it is running or dispatched", "abort_job job_id")
        .confirm(Confirm::YesNo)
        .check(Check::Job)
        .run(jobs::abort_job),
    Command::new("job_mgmt", "app_command", "execute an app-defined command", "app_command job_id topic # cmd_data")
        .check(Check::JobId)
        .run(jobs::app_command),
    Command::new("job_mgmt", "clone_job", "clone a job with a new job_id", "clone_job job_id")
        .check(Check::Job)
        .run(jobs::clone_job),
    Command::new(
        "job_mgmt",
        "configure_job_log",
        "configure logging of a running job",
        "configure_job_log job_id server|client <client-name>... config",
    )
    .check(Check::JobWithConfig)
    .run(jobs::configure_job_log),
    Command::new("job_mgmt", "delete_job", "delete a job and persisted workspace", "delete_job job_id")
        .confirm(Confirm::Auth)
        .check(Check::Job)
        .run(jobs::delete_job),
    Command::new("job_mgmt", "download_job", "download a specified job", "download_job job_id [destination]")
        .client_command("file_transfer.pull_folder")
        .check(Check::Job)
        .run(jobs::download_job),
    Command::new(
        "job_mgmt",
        "download_job_components",
        "download additional components for a specified job",
        "download_job_components job_id",
    )
    .client_command("file_transfer.pull_folder")
    .check(Check::Job)
    .run(jobs::download_components),
    Command::new(
        "job_mgmt",
        "get_job_log",
        "get job log text from the server-side log store",
        "get_job_log job_id [server|all|client_name]",
    )
    .check(Check::JobId)
    .run(jobs::get_job_log),
    Command::new("job_mgmt", "get_job_meta", "get meta info of specified job", "get_job_meta job_id")
        .check(Check::Job)
        .run(jobs::get_job_meta),
    Command::new("job_mgmt", "list_job", "list additional components of specified job", "list_job job_id")
        .check(Check::Job)
        .run(jobs::list_job),
    Command::new(
        "job_mgmt",
        "list_jobs",
        "list submitted jobs",
        "list_jobs [-n name_prefix] [-d] [-u] [-r] [-m num_of_jobs] [--submit-token token] [job_id_prefix]",
    )
    .check(Check::Policy)
    .run(jobs::list_jobs),
    Command::new("job_mgmt", "submit_job", "submit a job", "submit_job job_folder [--submit-token token]")
        .client_command("file_transfer.push_folder")
        .check(Check::Policy)
        .run(jobs::submit_job),
];
