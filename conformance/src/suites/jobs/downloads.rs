//! How results leave the server.

use flare_client::JobId;
use flare_wire::cell::{Headers, ReturnCode, headers};
use flare_wire::transfer::download::{self, Conclusion, Pull, PullReply};
use tempfile::TempDir;

use super::{Owner, unique};
use crate::finding::{ensure, ensure_eq};
use crate::job_folder::{JobFolder, files_below};
use crate::raw::{Admin, KitCopy, value};
use crate::{Case, CaseResult, Context, Finding, Need, Release, Who};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("jobs.download.default-place", "a result goes to the download folder of the kit", default_place)
            .exercises(&["download_job_result", "download_job_result.job_id"])
            .checks(&["SPEC-JOB-RESULT-003"]),
        Case::new("jobs.download.large", "a job of many pieces comes back byte by byte", large)
            .exercises(&["download_job_result", "download_job_result.job_id", "download_job_result.destination"])
            .checks(&["JOB-DOWNLOAD-001", "SPEC-JOB-RESULT-001"]),
        Case::new("jobs.download.again", "references whose files have all arrived say so when asked again", again)
            .checks(&["JOB-DOWNLOAD-002"])
            .needs([Need::Release(Release::V2_9)]),
        Case::new("jobs.download.cancelled", "who cancels a file has given up all that was offered with it", cancelled)
            .checks(&["JOB-DOWNLOAD-003"])
            .needs([Need::Release(Release::V2_9)]),
    ]
}

async fn default_place(context: Context) -> CaseResult {
    let kit = context.kit(Who::PROJECT_ADMIN)?;
    let copy = KitCopy::of(kit)?.set("download_dir", "fetched")?;
    std::fs::create_dir(copy.path().join("fetched")).map_err(|error| Finding::harness(error.to_string()))?;
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let job = JobFolder::waiting(&unique("place")?)?;
        let job_id = owner.session.submit_job(job.path()).await?;
        let job_id = owner.own(job_id);
        owner.session.abort_job(&job_id).await?;
        let session = context.connect(&crate::AdminKit { path: copy.path().to_owned(), ..kit.clone() }).await?;
        let folder = session.download_job_result(&job_id).await?;
        session.close().await;
        ensure_eq!(folder, copy.path().join("fetched").join(job_id.as_str()), "where the result is");
        ensure!(folder.join("meta.json").is_file(), "{} has no meta.json", folder.display());
        Ok(())
    }
    .await;
    owner.leave(found).await
}

async fn large(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let name = unique("large")?;
        // More than a piece of a download, and no multiple of anything.
        let payload: Vec<u8> =
            (0..11_000_003_u32).map(|index| index.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        let job = JobFolder::waiting(&name)?.with_file("app/payload.bin", &payload)?.with_file("app/empty.bin", b"")?;
        let before = files_below(&job.path())?;
        let job_id = owner.session.submit_job(job.path()).await?;
        let job_id = owner.own(job_id);
        owner.session.abort_job(&job_id).await?;
        let place = TempDir::new().map_err(|error| Finding::harness(error.to_string()))?;
        let folder = owner.session.download_job_result(&job_id).destination(place.path()).await?;
        ensure!(files_below(&folder.join("job").join(&name))? == before, "the job came back with other bytes");
        ensure!(!folder.join("workspace").exists(), "a job that never ran has a workspace");
        Ok(())
    }
    .await;
    owner.leave(found).await
}

/// The references of a job that waits, on the raw endpoint of its submitter.
async fn offered(context: &Context, owner: &mut Owner) -> CaseResult<(Admin, Vec<String>)> {
    let job = JobFolder::waiting(&unique("offered")?)?;
    let job_id = owner.session.submit_job(job.path()).await?;
    let job_id = owner.own(job_id);
    owner.session.abort_job(&job_id).await?;
    let mut admin = Admin::login(context.kit(Who::PROJECT_ADMIN)?).await?;
    let references = references(&mut admin, &job_id).await?;
    ensure!(!references.is_empty(), "the result of {job_id} has no files");
    Ok((admin, references))
}

async fn references(admin: &mut Admin, job_id: &JobId) -> CaseResult<Vec<String>> {
    let reply = admin.command(&format!("download_job {job_id}")).await?;
    let files = reply.meta.get("files").and_then(|files| files.as_array()).cloned().unwrap_or_default();
    let reference = |file: &serde_json::Value| file.get(1).and_then(|reference| reference.as_str()).map(str::to_owned);
    Ok(files.iter().filter_map(reference).collect())
}

/// What is answered to a pull; nothing for a reference that the server does not know.
async fn pull(admin: &mut Admin, pull: &Pull) -> CaseResult<Option<PullReply>> {
    let answer = admin.peer.request(download::CHANNEL, download::TOPIC, &Headers::new(), &pull.to_payload()).await?;
    match answer.headers.text(headers::RETURN_CODE) {
        Some(code) if code == ReturnCode::Ok.as_str() => {}
        Some(code) if code == ReturnCode::InvalidRequest.as_str() => return Ok(None),
        other => return Err(Finding::fail(format!("return code of a pull: {other:?}"))),
    }
    let reply = PullReply::from_value(value(&answer)?);
    reply.map(Some).map_err(|error| Finding::fail(format!("answer to a pull: {error}")))
}

async fn again(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let (mut admin, references) = offered(&context, &mut owner).await?;
        for reference in &references {
            let mut bytes = 0;
            let nonce = loop {
                match pull(&mut admin, &Pull::piece(reference, bytes)).await? {
                    Some(PullReply::Data { received, .. }) if received > bytes => bytes = received,
                    Some(PullReply::Eof { nonce }) => break nonce,
                    other => return Err(Finding::fail(format!("after {bytes} bytes: {}", shown(other.as_ref())))),
                }
            };
            let nonce = nonce.ok_or_else(|| Finding::fail("the end asks for no confirmation"))?;
            conclude(&mut admin, reference, Conclusion::Success { nonce }).await?;
        }
        for reference in &references {
            let repeated = pull(&mut admin, &Pull::piece(reference, 0)).await?;
            ensure!(
                repeated == Some(PullReply::Eof { nonce: None }),
                "asked again when all was there: {}",
                shown(repeated.as_ref())
            );
        }
        let unknown = pull(&mut admin, &Pull::piece("R00000000-0000-4000-8000-000000000000", 0)).await?;
        ensure_eq!(unknown, None, "a reference that never was");
        Ok(())
    }
    .await;
    owner.leave(found).await
}

async fn cancelled(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let (mut admin, references) = offered(&context, &mut owner).await?;
        let first = pull(&mut admin, &Pull::piece(&references[0], 0)).await?;
        ensure!(matches!(first, Some(PullReply::Data { .. })), "the first piece: {}", shown(first.as_ref()));
        conclude(&mut admin, &references[0], Conclusion::Cancel).await?;
        for reference in &references {
            let after = pull(&mut admin, &Pull::piece(reference, 0)).await?;
            ensure!(after == Some(PullReply::Error { nonce: None }), "after that: {}", shown(after.as_ref()));
        }
        Ok(())
    }
    .await;
    owner.leave(found).await
}

/// Says how a download ended. The server answers although the official client does not wait for it.
async fn conclude(admin: &mut Admin, reference: &str, conclusion: Conclusion) -> CaseResult {
    let payload = Pull::conclude(reference, conclusion).to_payload();
    admin.peer.request(download::CHANNEL, download::TOPIC, &Headers::new(), &payload).await.map(drop)
}

/// An answer without its bytes.
fn shown(reply: Option<&PullReply>) -> String {
    match reply {
        Some(PullReply::Data { received, .. }) => format!("data up to byte {received}"),
        other => format!("{other:?}"),
    }
}
