//! The commands on jobs: from the checked arguments to [`jobs::lifecycle`](crate::jobs::lifecycle), and back to a reply.
//!
//! Source: `reference/server-behaviour.md` section 5.

mod control;
mod list;
mod logs;
mod run;
mod transfer;

pub(super) use control::{abort_job, clone_job, delete_job, list_job};
pub(super) use list::{get_job_meta, list_jobs};
pub(super) use logs::{configure_job_log, get_job_log};
pub(super) use run::{app_command, is_running, not_running, reset_errors, show_errors, show_stats};
pub use transfer::{Checked, Submission, check_archive, finish};
pub(super) use transfer::{download_components, download_job, submit_job};

use flare_wire::hci::MetaStatus;

use super::call::{Call, Step, Stop};
use crate::jobs::submitter::Submitter;
use crate::release::Release;

/// The status of a job without further components, which was misspelt before 2.8.
fn no_components(release: Release) -> MetaStatus {
    if release < Release::V2_8 { MetaStatus::Other("no_job_compoents".to_owned()) } else { MetaStatus::NoJobComponents }
}

impl Call<'_> {
    /// Id of the job that the checks have found.
    fn job_id(&self) -> Step<String> {
        self.job.clone().ok_or_else(|| Stop::NotModelled("a command without its job".to_owned()))
    }

    /// The user as jobs remember one.
    fn submitter(&self) -> Submitter {
        let (name, org, role) = self.user();
        Submitter::new(name, org, role)
    }
}
