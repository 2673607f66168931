//! Lists of jobs, and what comes with a submission.

use flare_client::JobQuery;
use serde_json::json;

use super::{Owner, unique};
use crate::finding::ensure_eq;
use crate::job_folder::JobFolder;
use crate::{Case, CaseResult, Context, Who};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("jobs.list.filters", "every filter of a list selects as it says", filters)
            .exercises(&[
                "list_jobs",
                "list_jobs.detailed",
                "list_jobs.limit",
                "list_jobs.id_prefix",
                "list_jobs.name_prefix",
                "list_jobs.reverse",
            ])
            .checks(&[
                "JOB-LIST-001",
                "SPEC-LIST-JOBS-001",
                "SPEC-LIST-JOBS-002",
                "SPEC-LIST-JOBS-003",
                "SPEC-LIST-JOBS-004",
                "SPEC-LIST-JOBS-005",
                "SPEC-LIST-JOBS-006",
            ]),
        Case::new("jobs.submit.custom-props", "custom properties are kept", custom_props).checks(&["JOB-SUBMIT-005"]),
    ]
}

async fn filters(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let mut lead = Owner::log_in(&context, Who::LEAD).await?;
    let found = filtered(&mut owner, &mut lead).await;
    let found = lead.leave(found).await;
    owner.leave(found).await
}

async fn filtered(owner: &mut Owner, lead: &mut Owner) -> CaseResult {
    let prefix = unique("list")?;
    let mut ids = Vec::new();
    for number in 0..3 {
        let job = JobFolder::waiting(&format!("{prefix}-{number}"))?;
        let job_id = owner.session.submit_job(job.path()).await?;
        ids.push(owner.own(job_id).to_string());
    }
    let job = JobFolder::waiting(&format!("{prefix}-3"))?;
    let job_id = lead.session.submit_job(job.path()).await?;
    ids.push(lead.own(job_id).to_string());

    let listed = async |query: JobQuery| -> CaseResult<Vec<String>> {
        let summary: Vec<String> = owner.session.list_jobs(&query).await?.into_iter().map(|job| job.job_id).collect();
        let detailed: Vec<String> =
            owner.session.list_jobs_detailed(&query).await?.into_iter().map(|job| job.job_id).collect();
        ensure_eq!(detailed, summary, "the detailed form of a list");
        Ok(summary)
    };
    let ours = || JobQuery::new().name_prefix(prefix.to_uppercase());
    let reversed: Vec<String> = ids.iter().rev().cloned().collect();
    ensure_eq!(listed(ours()?).await?, ids, "by name, in any case, oldest first");
    ensure_eq!(listed(ours()?.reverse()).await?, reversed, "newest first");
    ensure_eq!(listed(ours()?.limit(2)).await?, ids[2..], "the newest two, oldest first");
    ensure_eq!(listed(ours()?.limit(2).reverse()).await?, reversed[..2], "the newest two, newest first");
    ensure_eq!(listed(ours()?.limit(0)).await?, ids, "without a limit");
    ensure_eq!(listed(ours()?.own()).await?, ids[..3], "one's own");
    ensure_eq!(listed(JobQuery::new().id_prefix(&ids[1])?).await?, ids[1..2], "by id");
    ensure_eq!(listed(JobQuery::new().id_prefix(ids[1][..18].to_uppercase())?).await?, ids[1..2], "by part of an id");
    let unknown = JobQuery::new().name_prefix(format!("{prefix}-none"));
    ensure_eq!(listed(unknown?).await?, Vec::<String>::new(), "by a name that there is not");
    ensure_eq!(listed(ours()?.id_prefix("zzz")?).await?, Vec::<String>::new(), "by an id that there is not");
    Ok(())
}

async fn custom_props(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let job = JobFolder::waiting(&unique("props")?)?;
        let props = json!({"ticket": 7, "tags": ["a", "b"]});
        let object = props.as_object().cloned().unwrap_or_default();
        let job_id = owner.session.submit_job(job.path()).custom_props(object).await?;
        let job_id = owner.own(job_id);
        let meta = owner.session.get_job_meta(&job_id).await?;
        ensure_eq!(meta.extra.get("custom_props"), Some(&props), "custom_props");
        Ok(())
    }
    .await;
    owner.leave(found).await
}
