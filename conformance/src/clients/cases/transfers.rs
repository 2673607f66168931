//! Jobs on their way to the server, and results on their way back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::calls::{Setting, prepared};
use super::{ARGUMENT, about, case};
use crate::clients::bout::{Bout, SITE, job_id};
use crate::clients::process::Subject;
use crate::finding::{ensure, ensure_eq};
use crate::job_folder::{JobFolder, files_below};
use crate::{Case, CaseResult, Finding};

/// How long something that must come may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A file of several pieces that does not get smaller when it is compressed.
const LARGE: u32 = 3 * 1024 * 1024;

pub(super) fn cases(subject: &Arc<Subject>) -> Vec<Case> {
    vec![
        case(
            subject,
            about(
                "submit.plain",
                "a job is submitted with one upload and gets an id",
                &["JOB-SUBMIT-001", "CLIENT-UPLOAD-001"],
                &["submit_job"],
            ),
            plain,
        ),
        case(
            subject,
            about(
                "submit.signed",
                "a submitted job is signed, so that it runs",
                &["JOB-SUBMIT-004", "JOB-LIFE-001"],
                &["submit_job"],
            ),
            signed,
        ),
        case(
            subject,
            about("submit.large", "a large job travels in pieces", &["CLIENT-UPLOAD-001"], &["submit_job"]),
            large,
        ),
        case(
            subject,
            about("submit.token", "the same token and content are the same job", &["JOB-TOKEN-001"], &["submit_job"]),
            token,
        ),
        case(
            subject,
            about(
                "submit.token-conflict",
                "the same token with other content is a conflict",
                &["JOB-TOKEN-002"],
                &["submit_job"],
            ),
            token_conflict,
        ),
        case(
            subject,
            about("submit.token-deleted", "the token of a deleted job is used up", &["JOB-TOKEN-004"], &["submit_job"]),
            token_deleted,
        ),
        case(
            subject,
            about(
                "submit.token-malformed",
                "a malformed token is refused before anything is sent",
                &["CLIENT-LINE-002"],
                &["submit_job"],
            ),
            token_malformed,
        ),
        case(
            subject,
            about("submit.invalid", "a folder that is no job is refused", &["JOB-SUBMIT-002"], &["submit_job"]),
            invalid,
        ),
        case(
            subject,
            about(
                "submit.missing",
                "a folder that is not there is refused before anything is sent",
                &["CLIENT-LINE-002"],
                &["submit_job"],
            ),
            missing,
        ),
        case(
            subject,
            about(
                "download.result",
                "the result of a job is fetched whole",
                &["JOB-DOWNLOAD-001"],
                &["download_job_result"],
            ),
            download,
        ),
        case(
            subject,
            about(
                "download.confirmed",
                "a download is confirmed and forgotten",
                &["CLIENT-DOWNLOAD-001"],
                &["download_job_result"],
            ),
            confirmed,
        ),
        case(
            subject,
            about(
                "download.large",
                "a result of many pieces is fetched whole",
                &["CLIENT-DOWNLOAD-001"],
                &["download_job_result"],
            ),
            download_large,
        ),
        case(
            subject,
            about(
                "download.default",
                "without a destination the result is in the kit's download folder",
                &["JOB-DOWNLOAD-001"],
                &["download_job_result"],
            ),
            download_default,
        ),
    ]
}

fn submission(job: &JobFolder, token: Option<&str>) -> Value {
    json!({"job_definition_path": job.path(), "submit_token": token})
}

async fn plain(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    let job = JobFolder::waiting("referee-plain")?;
    let id = job_id(&bout.value("submit_job", submission(&job, None)).await?)?;
    ensure!(bout.status(id.as_str()).is_some(), "there is no job {id}");
    ensure_eq!(bout.wire.uploads().0, 1, "uploads of one submission");
    let commands = bout.wire.commands();
    ensure_eq!(commands.len(), 1, "commands of one submission");
    ensure!(commands[0].is_upload && commands[0].name == "submit_job", "the command is {}", commands[0].line());
    ensure_eq!(commands[0].words.len(), 1, "words behind submit_job ({})", commands[0].line());
    Ok(())
}

async fn signed(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    let job = JobFolder::short("referee-signed", &[SITE])?;
    let id = bout.value("submit_job", submission(&job, None)).await?;
    let meta = bout.value("wait_for_job", json!({"job_id": id, "timeout": 60, "poll_interval": 0.5})).await?;
    ensure_eq!(meta["status"], Value::from("FINISHED:COMPLETED"), "status of the job");
    Ok(())
}

/// Bytes without a pattern that a compressor would find.
fn noise(length: u32) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..length).map(|_| next()).collect()
}

async fn large(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    let job = JobFolder::short("referee-large", &[SITE])?.with_file("app/custom/weights.bin", &noise(LARGE))?;
    let id = job_id(&bout.value("submit_job", submission(&job, None)).await?)?;
    let (begun, pieces) = bout.wire.uploads();
    ensure_eq!(begun, 1, "uploads of one submission");
    ensure!(pieces >= 3, "{LARGE} bytes came in {pieces} pieces");
    bout.until_ended(id.as_str()).await?;
    let session = bout.own_session().await?;
    let folder = session.download_job_result(&id).destination(bout.folder("check")?).await?;
    same_job(&job.path(), &folder)?;
    session.close().await;
    Ok(())
}

async fn token(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    let job = JobFolder::waiting("referee-token")?;
    let first = bout.value("submit_job", submission(&job, Some("token-1"))).await?;
    let second = bout.value("submit_job", submission(&job, Some("token-1"))).await?;
    ensure_eq!(second, first, "the job of the second submission");
    ensure_eq!(bout.jobs(), 1, "jobs on the server");
    let commands = bout.wire.commands();
    let words = commands.first().map(|command| command.words[1..].join(" "));
    ensure_eq!(words.as_deref(), Some("--submit-token token-1"), "the words behind the folder");
    let listed = bout.value("list_jobs", json!({"submit_token": "token-1"})).await?;
    ensure_eq!(listed[0]["job_id"], first, "the job with this token");
    Ok(())
}

async fn token_conflict(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    let first = bout.value("submit_job", submission(&JobFolder::waiting("referee-one")?, Some("token-2"))).await?;
    let other = JobFolder::waiting("referee-two")?.with_file("app/custom/more.txt", b"more")?;
    let failure = bout.failure("submit_job", submission(&other, Some("token-2")), &["SubmitTokenConflict"]).await?;
    ensure_eq!(failure.job_id.map(Value::from), Some(first), "the job that is there already");
    Ok(())
}

async fn token_deleted(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    let job = JobFolder::waiting("referee-deleted")?;
    let id = bout.value("submit_job", submission(&job, Some("token-3"))).await?;
    bout.value("delete_job", json!({"job_id": id})).await?;
    let failure = bout.failure("submit_job", submission(&job, Some("token-3")), &["SubmitTokenJobDeleted"]).await?;
    ensure_eq!(failure.job_id.map(Value::from), Some(id), "the job that was deleted");
    Ok(())
}

async fn token_malformed(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    bout.failure("submit_job", submission(&JobFolder::waiting("referee-bad")?, Some("two words")), ARGUMENT).await?;
    ensure_eq!((bout.wire.lines().len(), bout.wire.uploads().0), (0, 0), "commands and uploads");
    Ok(())
}

async fn invalid(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    let job = JobFolder::waiting("referee-invalid")?.without("meta.json")?;
    bout.failure("submit_job", submission(&job, None), &["InvalidJobDefinition"]).await?;
    ensure_eq!(bout.jobs(), 0, "jobs on the server");
    Ok(())
}

async fn missing(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    let path = bout.folder("here")?.join("nothing");
    let kinds = [ARGUMENT, &["InvalidJobDefinition", "FileNotFoundError", "OSError"]].concat();
    bout.failure("submit_job", json!({"job_definition_path": path}), &kinds).await?;
    ensure_eq!((bout.wire.lines().len(), bout.wire.uploads().0), (0, 0), "commands and uploads");
    Ok(())
}

fn folder_of(value: &Value) -> CaseResult<PathBuf> {
    let folder = value.as_str().map(PathBuf::from).filter(|folder| folder.is_dir());
    folder.ok_or_else(|| Finding::fail(format!("download_job_result: expected a folder, observed {value}")))
}

/// Every file of the job that was submitted is below the result, byte by byte.
fn same_job(job: &Path, result: &Path) -> CaseResult {
    let result = files_below(result)?;
    for (name, content) in files_below(job)? {
        let found = result.iter().find(|(path, _)| path.starts_with("job/") && path.ends_with(&format!("/{name}")));
        let is_same = found.is_some_and(|(_, found)| *found == content);
        ensure!(is_same, "{name} of the job is {} in the result", if found.is_some() { "another" } else { "not" });
    }
    ensure!(result.iter().any(|(path, _)| path.ends_with("meta.json")), "there is no meta.json in the result");
    Ok(())
}

async fn download(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::open(&subject).await?;
    let job = JobFolder::short("referee-result", &[SITE])?;
    let id = bout.ended(&job).await?;
    bout.connect().await?;
    let destination = bout.folder("results")?;
    let value = bout.value("download_job_result", json!({"job_id": id, "destination": destination})).await?;
    let folder = folder_of(&value)?;
    ensure!(folder.starts_with(&destination), "{} is not below {}", folder.display(), destination.display());
    ensure_eq!(bout.wire.lines(), [format!("download_job {id}")], "the lines that download_job_result sent");
    same_job(&job.path(), &folder)
}

async fn confirmed(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, id) = prepared(&subject, Setting::Finished).await?;
    let destination = bout.folder("results")?;
    bout.value("download_job_result", json!({"job_id": id, "destination": destination})).await?;
    bout.wire
        .until("the end of every download", PATIENCE, |wire| {
            let pulls = wire.pulls();
            !pulls.is_empty()
                && pulls
                    .iter()
                    .all(|pull| pulls.iter().any(|end| end.reference == pull.reference && end.conclusion.is_some()))
        })
        .await?;
    ensure_eq!(bout.server.control(|sim, _| sim.open_downloads()), 0, "downloads that the server keeps");
    Ok(())
}

async fn download_large(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::open(&subject).await?;
    let job = JobFolder::short("referee-many", &[SITE])?.with_file("app/custom/weights.bin", &noise(4 * LARGE))?;
    let id = bout.ended(&job).await?;
    bout.connect().await?;
    let destination = bout.folder("results")?;
    let value = bout.value("download_job_result", json!({"job_id": id, "destination": destination})).await?;
    same_job(&job.path(), &folder_of(&value)?)?;
    let pieces = bout.wire.pulls().iter().filter(|pull| pull.conclusion.is_none()).count();
    ensure!(pieces >= 3, "{} bytes were fetched in {pieces} pieces", 4 * LARGE);
    Ok(())
}

async fn download_default(subject: Arc<Subject>) -> CaseResult {
    let (mut bout, id) = prepared(&subject, Setting::Finished).await?;
    let value = bout.value("download_job_result", json!({"job_id": id})).await?;
    let folder = folder_of(&value)?;
    let kit = bout.kit(crate::clients::bout::CHIEF)?;
    ensure!(folder.starts_with(&kit), "{} is not below the kit {}", folder.display(), kit.display());
    ensure!(
        folder.join("meta.json").is_file() || folder.join("workspace").is_dir(),
        "the result has neither meta nor workspace"
    );
    Ok(())
}
