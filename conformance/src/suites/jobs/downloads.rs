//! How results leave the server.

use std::collections::BTreeSet;
use std::io::{Cursor, Seek, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use flare_client::JobId;
use flare_wire::cell::{Headers, ReturnCode, headers};
use flare_wire::hci::{Reply, Request};
use flare_wire::transfer::download::{self, Conclusion, Pull, PullReply};
use flare_wire::transfer::upload::{self, Piece, PieceReply, UploadContext};
use tempfile::TempDir;
use zip::result::ZipResult;
use zip::write::{FullFileOptions, SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

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
        Case::new("jobs.download.packed", "a job comes back whichever way its archive was packed", packed)
            .exercises(&["download_job_result", "download_job_result.job_id", "download_job_result.destination"])
            .checks(&["JOB-DOWNLOAD-001"]),
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

/// How the archive of a job can be packed.
#[derive(Debug, Clone, Copy)]
enum Packing {
    /// As Python's `zipfile` does: compressed, the length of a file before it.
    Compressed,
    /// As a stream is packed: the length of a file behind it.
    LengthsBehind,
    /// The length of the first file before it too, as our client packs, but not those of the others.
    Mixed,
}

async fn packed(context: Context) -> CaseResult {
    let mut owner = Owner::log_in(&context, Who::PROJECT_ADMIN).await?;
    let found = async {
        let mut admin = Admin::login(context.kit(Who::PROJECT_ADMIN)?).await?;
        for packing in [Packing::Compressed, Packing::LengthsBehind, Packing::Mixed] {
            let name = unique("packed")?;
            // More than a piece of a download, so that what is behind it is not there with the first.
            let payload: Vec<u8> =
                (0..6_000_001_u32).map(|index| index.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
            let job = JobFolder::waiting(&name)?.with_file("app/custom/payload.bin", &payload)?;
            let files = files_below(&job.path())?;
            let archive = archive(&name, &files, packing).map_err(|error| Finding::harness(error.to_string()))?;
            let job_id = owner.own(submitted(&mut admin, &name, &archive).await?);
            owner.session.abort_job(&job_id).await?;
            let place = TempDir::new().map_err(|error| Finding::harness(error.to_string()))?;
            let told = Arc::new(AtomicU64::new(0));
            let listener = Arc::clone(&told);
            let download = owner.session.download_job_result(&job_id).destination(place.path());
            let folder = download.on_progress(move |so_far| listener.store(so_far.transferred, Relaxed)).await?;
            let arrived = files_below(&folder.join("job").join(&name))?;
            ensure!(arrived == files, "{packing:?}: the job came back with other bytes");
            let beside = files_below(&folder)?.len() - files.len();
            ensure_eq!(beside, 1, "{packing:?}: files besides the job, which is meta.json");
            let meta = std::fs::metadata(folder.join("meta.json")).map_err(|error| Finding::fail(error.to_string()))?;
            ensure_eq!(told.load(Relaxed), archive.len() as u64 + meta.len(), "{packing:?}: bytes at the end");
        }
        Ok(())
    }
    .await;
    owner.leave(found).await
}

/// The archive of a job, with an entry for every folder.
fn archive(name: &str, files: &[(String, Vec<u8>)], packing: Packing) -> ZipResult<Vec<u8>> {
    fn fill<W: Write + Seek>(
        mut zip: ZipWriter<W>,
        name: &str,
        files: &[(String, Vec<u8>)],
        packing: Packing,
    ) -> ZipResult<W> {
        let mut folders = BTreeSet::from([name.to_owned()]);
        for (file, _) in files {
            folders.extend(file.match_indices('/').map(|(end, _)| format!("{name}/{}", &file[..end])));
        }
        for folder in folders {
            zip.add_directory(folder, SimpleFileOptions::default())?;
        }
        for (number, (file, content)) in files.iter().enumerate() {
            let method = match packing {
                Packing::Compressed => CompressionMethod::Deflated,
                Packing::LengthsBehind | Packing::Mixed => CompressionMethod::Stored,
            };
            let mut options = FullFileOptions::default().compression_method(method);
            if matches!(packing, Packing::Mixed) && number == 0 {
                let len = content.len() as u64;
                options.add_extra_field(u16::from_le_bytes(*b"FL"), len.to_le_bytes(), false)?;
            }
            zip.start_file(format!("{name}/{file}"), options)?;
            zip.write_all(content)?;
        }
        zip.finish()
    }
    match packing {
        Packing::Compressed => {
            fill(ZipWriter::new(Cursor::new(Vec::new())), name, files, packing).map(Cursor::into_inner)
        }
        Packing::LengthsBehind | Packing::Mixed => {
            fill(ZipWriter::new_stream(Vec::new()), name, files, packing).map(StreamWriter::into_inner)
        }
    }
}

/// Submits an archive as it is; gives the job's id.
async fn submitted(admin: &mut Admin, name: &str, archive: &[u8]) -> CaseResult<JobId> {
    let request = Request { token: admin.token.clone(), ..Request::new(format!("job_mgmt.submit_job {name}")) };
    let context =
        UploadContext { request: request.to_json(), file_size: archive.len() as u64, file_name: "job.zip".to_owned() };
    let transaction = admin.peer.random().uuid();
    let mut context = Some(context);
    let count = archive.len() / upload::PIECE_SIZE + 1;
    for number in 0..count {
        let start = number * upload::PIECE_SIZE;
        let data = &archive[start..archive.len().min(start + upload::PIECE_SIZE)];
        let piece = Piece {
            transaction: transaction.clone(),
            sequence: number as u64,
            context: context.take(),
            data: data.to_vec().into(),
            size: data.len() as u64,
            eof: number + 1 == count,
            has_peer_props: true,
        };
        let payload = piece.into_payload(&admin.user);
        let answer = admin.peer.request(upload::CHANNEL, upload::REQUEST, &Headers::new(), &payload).await?;
        let answer = PieceReply::from_value(&value(&answer)?)
            .map_err(|error| Finding::fail(format!("the answer to a piece: {error}")))?;
        ensure_eq!(answer.return_code, PieceReply::OK, "code of piece {number}");
        if let Some(text) = answer.end_result {
            let reply =
                Reply::parse(&text).map_err(|error| Finding::fail(format!("what the command says: {error}")))?;
            let job_id = reply.meta.get("job_id").and_then(|job_id| job_id.as_str());
            let job_id = job_id.ok_or_else(|| Finding::fail(format!("the job was not taken: {reply:?}")))?;
            return JobId::new(job_id).map_err(|error| Finding::fail(error.to_string()));
        }
    }
    Err(Finding::fail("the command did not run with the last piece"))
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
