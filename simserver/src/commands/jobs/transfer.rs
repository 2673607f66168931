//! `submit_job`, `download_job`, `download_job_components`: the commands that go with a file.
//!
//! A submission has three parts, since reading an archive takes as long as the archive is large:
//!
//! ```text
//! submit_job ── arguments, rights ──▶ Submission ── check_archive (reads the file, nothing else) ──▶ Checked
//!                                                                       finish ── study, token, store ──▶ reply
//! ```
//!
//! Signatures are not judged in any of them, but when the job is to be deployed.

use std::sync::Arc;

use flare_wire::Moment;
use flare_wire::certificate::Certificate;
use flare_wire::hci::{MetaStatus, Reply};
use serde_json::{Value, json};

use super::super::arguments::SUBMIT_JOB;
use super::super::call::{Call, Step};
use super::no_components;
use crate::blob::Blob;
use crate::core::Sim;
use crate::jobs::archive::Archive;
use crate::jobs::content::JobContent;
use crate::jobs::content_hash::content_hash;
use crate::jobs::definition::{JobDefinition, Refusal};
use crate::jobs::lifecycle::{DownloadFile, NewJob, NotDone, SubmitRefusal};
use crate::jobs::signature::{Trust, verify_app};
use crate::jobs::submit_records::SubmitToken;
use crate::jobs::submitter::Submitter;
use crate::jobs::verdict::Verdict;
use crate::mutants::Mutant;
use crate::release::Release;

/// A job that a user may submit, and whose archive has to be looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    folder: String,
    token: Option<SubmitToken>,
    study: String,
    submitter: Submitter,
    custom_props: Option<Value>,
    roots: Arc<[Certificate]>,
    now: Moment,
    release: Release,
    /// What was said so far.
    reply: Reply,
}

/// An archive that was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    definition: JobDefinition,
    content: Arc<JobContent>,
    /// Why the content could not be hashed, where it had to be.
    hash: Option<Result<String, Refusal>>,
}

/// Checks the arguments of a submission. Without a file there is nothing to submit.
pub(in crate::commands) fn submit_job(call: &mut Call<'_>) -> Step {
    let (folder, token) = folder_and_token(call)?;
    if !call.has_upload {
        return call.refuse_with("missing upload file", &MetaStatus::InternalError, "");
    }
    call.submission = Some(Box::new(Submission {
        folder,
        token,
        study: call.study().to_owned(),
        submitter: call.submitter(),
        custom_props: call.request.meta.get("custom_props").cloned(),
        roots: call.sim.roots().into(),
        now: call.now,
        release: call.sim.release(),
        reply: Reply::new(),
    }));
    Ok(())
}

/// Before 2.8 the first word is the folder, and the others mean nothing.
fn folder_and_token(call: &mut Call<'_>) -> Step<(String, Option<SubmitToken>)> {
    if call.sim.release() < Release::V2_8 {
        return Ok((call.first_argument()?, None));
    }
    let arguments = match SUBMIT_JOB.parse(call.arguments()) {
        Ok(arguments) => arguments,
        Err(error) => return call.refuse(&MetaStatus::SyntaxError, &error.to_string()),
    };
    match arguments.text("--submit-token").map(SubmitToken::new).transpose() {
        Ok(token) => Ok((arguments.positional("folder_name").first().cloned().unwrap_or_default(), token)),
        Err(error) => call.refuse(&MetaStatus::SyntaxError, &error.to_string()),
    }
}

impl Submission {
    /// Takes over what was said before the archive was looked at.
    pub(in crate::commands) fn with_reply(mut self, reply: Reply) -> Self {
        self.reply = reply;
        self
    }
}

impl Checked {
    /// Judges the signatures now. Takes as long as the archive is large.
    pub(crate) fn judge(&self) {
        self.content.judge();
    }
}

/// Reads the uploaded archive, and keeps a handle to it until its signatures are judged. Needs nothing of the server, but
/// time: a long one when the job comes with a token.
///
/// # Errors
/// The refusal of the real server.
pub fn check_archive(submission: &Submission, archive: &Blob) -> Result<Checked, Refusal> {
    let file = archive.open().map_err(|error| Refusal::unreadable(&error))?;
    let mut members = Archive::open(file)?;
    let definition = JobDefinition::read(&submission.folder, &mut members, submission.release)?;
    let content = JobContent::read_unjudged(&definition, &mut members, |prefix| {
        let (archive, prefix) = (archive.clone(), prefix.to_owned());
        let (roots, now) = (Arc::clone(&submission.roots), submission.now);
        Verdict::by(move || judge(&archive, &prefix, &roots, now))
    })?;
    let hash = submission.token.as_ref().map(|_| content_hash(&mut members).map_err(Refusal::Exception));
    Ok(Checked { definition, content: Arc::new(content), hash })
}

/// Judges the app below a prefix, by the roots and the time of the upload.
fn judge(archive: &Blob, prefix: &str, roots: &[Certificate], now: Moment) -> Trust {
    let judged = || -> Result<Trust, Refusal> {
        let file = archive.open().map_err(|error| Refusal::unreadable(&error))?;
        Ok(verify_app(&mut Archive::open(file)?, prefix, roots, now)?)
    };
    judged().unwrap_or_else(|refusal| {
        tracing::info!(error = refusal.exception_text(), "an app cannot be read");
        Trust::Unreadable
    })
}

/// Takes a job in whose archive was looked at.
pub fn finish(
    sim: &mut Sim,
    now: Moment,
    submission: Submission,
    checked: Result<Checked, Refusal>,
    archive: Blob,
) -> Reply {
    let Submission { folder: _, token, study, submitter, custom_props, mut reply, .. } = submission;
    let submitted = checked.map_err(SubmitRefusal::Refused).and_then(|checked| {
        let Checked { definition, content, hash } = checked;
        let enrolled = sim.enrolled_sites(&study);
        if !sim.mutant(Mutant::ForeignSitesDeployed) {
            definition.check_study(&study, enrolled.as_deref()).map_err(SubmitRefusal::Refused)?;
        }
        let token = match (token, hash) {
            (Some(token), Some(hash)) => Some((token, hash.map_err(SubmitRefusal::Refused)?)),
            _ => None,
        };
        let new = NewJob { definition, content, archive, study, submitter, custom_props, token };
        let (jobs, random) = sim.jobs_and_randomness();
        jobs.submit(new, now, random)
    });
    match submitted {
        Ok(submitted) => submitted.push_to(&mut reply),
        Err(refusal) => refusal.push_to(&mut reply),
    }
    reply
}

/// Offers the files of a finished job.
pub(in crate::commands) fn download_job(call: &mut Call<'_>) -> Step {
    // The argument as it was given: in upper case it passes the checks and finds nothing here.
    let job_id = call.first_argument()?;
    let files = call.sim.jobs().download(&job_id);
    offer(call, &job_id, files)
}

/// Offers the further components of a job.
pub(in crate::commands) fn download_components(call: &mut Call<'_>) -> Step {
    let job_id = call.first_argument()?;
    let files = call.sim.jobs().download_components(&job_id);
    if files.as_ref().is_ok_and(Vec::is_empty) {
        let nothing = "No components to download";
        call.reply.push_string(nothing).set_status(&no_components(call.sim.release()), nothing);
        return Ok(());
    }
    offer(call, &job_id, files)
}

fn offer(call: &mut Call<'_>, job_id: &str, files: Result<Vec<DownloadFile<Blob>>, NotDone>) -> Step {
    let files = match files {
        Ok(files) => files,
        Err(refusal) => {
            refusal.push_to(&mut call.reply);
            return Ok(());
        }
    };
    let session = call.session.as_ref().map(|session| session.session_id.clone()).unwrap_or_default();
    let offers = call.sim.offer(call.now, &session, files);
    let files: Vec<Value> = offers.iter().map(|offer| json!([offer.name, offer.reference])).collect();
    let transaction = call.sim.new_id();
    call.reply.push_string("OK").set_status(&MetaStatus::Ok, "").set_meta("source_fqcn", flare_wire::cell::SERVER);
    call.reply.set_meta("files", files).set_meta("tx_id", transaction).set_meta("folder_name", job_id);
    Ok(())
}
