//! Submit tokens: one token, one job.

use flare_client::{ErrorKind, JobQuery, SubmitToken};
use tokio::task::JoinSet;

use super::{Owner, unique};
use crate::finding::{ensure, ensure_eq};
use crate::job_folder::JobFolder;
use crate::{Case, CaseResult, Context, Finding, Who};

/// Submissions at the same time.
const AT_ONCE: usize = 4;

/// One byte more than a member of a job may have that is submitted with a token.
const TOO_LONG: usize = 10 * 1024 * 1024 + 1;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("jobs.token.same", "the same token and content are the same job", same)
            .exercises(&["submit_job", "submit_job.job_definition_path", "submit_job.submit_token"])
            .checks(&["JOB-TOKEN-001"]),
        Case::new("jobs.token.conflict", "the same token with other content is a conflict", conflict)
            .exercises(&["submit_job", "submit_job.submit_token"])
            .checks(&["JOB-TOKEN-002", "SPEC-ERROR-TOKEN-001"]),
        Case::new("jobs.token.other-user", "another user's token is another token", other_user)
            .checks(&["JOB-TOKEN-003", "SPEC-SUBMIT-JOB-002"]),
        Case::new("jobs.token.deleted", "the token of a deleted job stays used", deleted)
            .exercises(&["submit_job", "submit_job.submit_token", "delete_job", "delete_job.job_id"])
            .checks(&["JOB-TOKEN-004", "SPEC-ERROR-TOKEN-002", "SPEC-DELETE-JOB-002"]),
        Case::new("jobs.token.concurrent", "submissions at the same time are one job", concurrent)
            .checks(&["JOB-TOKEN-005"]),
        Case::new("jobs.token.list", "a list by token shows one's own job", listed)
            .exercises(&["list_jobs", "list_jobs.submit_token"])
            .checks(&["JOB-TOKEN-006", "SPEC-LIST-JOBS-007"]),
        Case::new("jobs.token.long-member", "a long file cannot be submitted with a token", long_member)
            .checks(&["JOB-TOKEN-001"]),
    ]
}

fn token() -> CaseResult<SubmitToken> {
    Ok(SubmitToken::new(unique("token")?)?)
}

async fn same(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let (name, token) = (unique("same")?, token()?);
        let job = JobFolder::waiting(&name)?;
        let job_id = owner.session.submit_job(job.path()).token(token.clone()).await?;
        let job_id = owner.own(job_id);
        let session = &owner.session;
        ensure_eq!(session.submit_job(job.path()).token(token.clone()).await?, job_id, "the same folder again");
        let unsigned = session.submit_job(job.path()).token(token.clone()).unsigned().await?;
        ensure_eq!(unsigned, job_id, "the same content without signatures");
        let renamed = JobFolder::waiting(&unique("renamed")?)?.with_meta("name", name.as_str().into())?;
        let renamed = session.submit_job(renamed.path()).token(token.clone()).await?;
        ensure_eq!(renamed, job_id, "the same content in a folder of another name");
        session.abort_job(&job_id).await?;
        ensure_eq!(session.submit_job(job.path()).token(token).await?, job_id, "after the job was aborted");
        Ok(())
    }
    .await;
    owner.leave(found).await
}

async fn conflict(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let token = token()?;
        let job = JobFolder::waiting(&unique("conflict")?)?;
        let job_id = owner.session.submit_job(job.path()).token(token.clone()).await?;
        let job_id = owner.own(job_id);
        let other = job.with_file("app/more.txt", b"more")?;
        let error = owner.session.submit_job(other.path()).token(token).await.err();
        let error = error.ok_or_else(|| Finding::fail("other content was accepted under the same token"))?;
        ensure_eq!(error.kind(), ErrorKind::SubmitTokenConflict, "kind of {error:?}");
        ensure_eq!(error.existing_job(), Some(&job_id), "the job that the conflict names");
        ensure_eq!(error.server_text(), Some("submit token was already used for different job content"), "text");
        Ok(())
    }
    .await;
    owner.leave(found).await
}

async fn other_user(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let mut lead = Owner::log_in(&context, Who::LEAD).await?;
    let found = async {
        let token = token()?;
        let job = JobFolder::waiting(&unique("other-user")?)?;
        let job_id = owner.session.submit_job(job.path()).token(token.clone()).await?;
        let job_id = owner.own(job_id);
        let other = lead.session.submit_job(job.path()).token(token).await?;
        let other = lead.own(other);
        ensure!(other != job_id, "two users share a job over a token");
        Ok(())
    }
    .await;
    let found = lead.leave(found).await;
    owner.leave(found).await
}

async fn deleted(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let token = token()?;
        let job = JobFolder::waiting(&unique("deleted")?)?;
        let job_id = owner.session.submit_job(job.path()).token(token.clone()).await?;
        let job_id = owner.own(job_id);
        let deleted = owner.session.delete_job(&job_id).await?;
        ensure_eq!(deleted.submit_records_marked_deleted, 1, "tombstones");
        let other = JobFolder::waiting(&unique("other")?)?;
        for folder in [job.path(), other.path()] {
            let error = owner.session.submit_job(folder).token(token.clone()).await.err();
            let error = error.ok_or_else(|| Finding::fail("the token of a deleted job was accepted"))?;
            ensure_eq!(error.kind(), ErrorKind::SubmitTokenJobDeleted, "kind of {error:?}");
            let tombstone = error.deleted_submission().ok_or_else(|| Finding::fail("the tombstone tells nothing"))?;
            ensure_eq!((&tombstone.job_id, tombstone.state.as_str()), (&job_id, "job_deleted"), "tombstone");
            ensure!(tombstone.deleted_time.ends_with("+00:00"), "time: {tombstone:?}");
        }
        let error = owner.session.list_jobs(&JobQuery::new().submit_token(token)).await.err();
        ensure_eq!(error.map(|error| error.kind()), Some(ErrorKind::SubmitTokenJobDeleted), "a list by that token");
        Ok(())
    }
    .await;
    owner.leave(found).await
}

async fn concurrent(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let token = token()?;
        let job = JobFolder::waiting(&unique("concurrent")?)?;
        let mut submissions = JoinSet::new();
        for _ in 0..AT_ONCE {
            submissions.spawn(owner.session.submit_job(job.path()).token(token.clone()).into_future());
        }
        let mut ids = Vec::new();
        for submitted in submissions.join_all().await {
            ids.push(submitted?);
        }
        for id in &ids {
            owner.own(id.clone());
        }
        ids.dedup();
        ensure_eq!(ids.len(), 1, "jobs of {AT_ONCE} submissions");
        Ok(())
    }
    .await;
    owner.leave(found).await
}

async fn listed(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let lead = Owner::log_in(&context, Who::LEAD).await?;
    let found = async {
        let token = token()?;
        let name = unique("listed")?;
        let job = JobFolder::waiting(&name)?;
        let job_id = owner.session.submit_job(job.path()).token(token.clone()).await?;
        let job_id = owner.own(job_id);
        let clone = owner.session.clone_job(&job_id).await?;
        owner.own(clone);
        let query = || JobQuery::new().submit_token(token.clone());
        let found = owner.session.list_jobs(&query()).await?;
        let ids: Vec<&str> = found.iter().map(|job| job.job_id.as_str()).collect();
        ensure_eq!(ids, [job_id.as_str()], "jobs of the token");
        let filtered = owner.session.list_jobs(&query().name_prefix("no-such-name")?).await?;
        ensure!(filtered.is_empty(), "other filters count too: {filtered:?}");
        let of_lead = lead.session.list_jobs(&query()).await?;
        ensure!(of_lead.is_empty(), "somebody else's token shows {of_lead:?}");
        Ok(())
    }
    .await;
    let found = lead.leave(found).await;
    owner.leave(found).await
}

async fn long_member(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let name = unique("long")?;
        let job = JobFolder::waiting(&name)?.with_file("app/long.bin", &vec![0; TOO_LONG])?;
        let error = owner.session.submit_job(job.path()).token(token()?).await.err();
        let error = error.ok_or_else(|| Finding::fail("a file of more than 10 MiB was accepted with a token"))?;
        ensure_eq!(error.kind(), ErrorKind::ServerFault, "kind of {error:?}");
        let job_id = owner.session.submit_job(job.path()).await?;
        owner.own(job_id);
        Ok(())
    }
    .await;
    owner.leave(found).await
}
