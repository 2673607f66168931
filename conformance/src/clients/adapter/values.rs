//! What our client gives, as JSON.

use std::time::SystemTime;

use flare_client::{JobMeta, JobStatus, JobSummary, ServerStatus, SiteInfo, SystemChange};
use serde_json::{Value, json};

pub(super) fn time(moment: Option<SystemTime>) -> Option<f64> {
    moment?.duration_since(SystemTime::UNIX_EPOCH).ok().map(|time| time.as_secs_f64())
}

pub(super) fn word(status: &ServerStatus) -> &str {
    match status {
        ServerStatus::Stopped => "stopped",
        ServerStatus::Started => "started",
        ServerStatus::Other(text) => text,
        _ => "",
    }
}

pub(super) fn site(site: &SiteInfo) -> Value {
    json!({"name": site.name, "last_connect_time": time(site.last_connect_time)})
}

pub(super) fn summary(job: &JobSummary) -> Value {
    json!({
        "job_id": job.job_id,
        "job_name": job.job_name,
        "status": job.status.as_ref().map(JobStatus::as_str),
        "submit_time": job.submit_time,
        "study": job.study,
    })
}

pub(super) fn meta(job: &JobMeta) -> Value {
    json!({
        "job_id": job.job_id,
        "name": job.name,
        "job_folder_name": job.job_folder_name,
        "status": job.status.as_ref().map(JobStatus::as_str),
        "study": job.study,
        "submitter_name": job.submitter_name,
        "submitter_org": job.submitter_org,
        "submitter_role": job.submitter_role,
        "submit_time": time(job.submit_time),
        "cloned_from": job.cloned_from,
    })
}

pub(super) fn study(study: flare_client::Study) -> Value {
    json!({"name": study.name, "site_orgs": study.site_orgs, "sites": study.sites, "users": study.users})
}

pub(super) fn change(said: &SystemChange) -> Value {
    json!({"client_status": said.site_answers, "server_status": said.server_status})
}
