//! `abort_job`, `delete_job`, `clone_job`, `list_job`.

use flare_wire::hci::MetaStatus;
use serde_json::Value;

use super::super::call::{Call, Step, Stop};
use super::no_components;
use crate::jobs::lifecycle::Aborted;
use crate::mutants::Mutant;
use crate::release::Release;

/// Aborts a job.
pub(in crate::commands) fn abort_job(call: &mut Call<'_>) -> Step {
    let job_id = call.job_id()?;
    let aborted = call.sim.jobs_mut().abort(&job_id, call.now);
    if aborted == Aborted::Signalled {
        call.wait = call.wait.max(call.sim.jobs().settings().timings.abort_reply);
    }
    aborted.push_to(&mut call.reply);
    Ok(())
}

/// Deletes a job that does not run.
pub(in crate::commands) fn delete_job(call: &mut Call<'_>) -> Step {
    let (job_id, by) = (call.job_id()?, call.submitter());
    let deleted = call.sim.jobs_mut().delete(&job_id, &by, call.now);
    deleted.push_to(&mut call.reply, call.sim.release());
    Ok(())
}

/// Submits a job again.
pub(in crate::commands) fn clone_job(call: &mut Call<'_>) -> Step {
    let (job_id, by, now) = (call.job_id()?, call.submitter(), call.now);
    let (jobs, random) = call.sim.jobs_and_randomness();
    let gone = || Stop::Exception(format!("RuntimeError: no such job: {job_id}"));
    let clone = jobs.clone_job(&job_id, &by, now, random).ok_or_else(gone)?;
    let clone = if call.sim.mutant(Mutant::CloneNamesOriginal) { job_id.clone() } else { clone };
    call.reply.push_string(format!("Cloned job {job_id} as: {clone}")).push_success("");
    call.reply.set_status(&MetaStatus::Ok, "").set_meta("job_id", clone);
    Ok(())
}

/// Lists the further components of a job.
pub(in crate::commands) fn list_job(call: &mut Call<'_>) -> Step {
    let job_id = call.job_id()?;
    let components: Vec<String> = call.sim.jobs().components(&job_id).into_iter().map(str::to_owned).collect();
    if components.is_empty() && call.sim.release() < Release::V2_8 {
        let text = "No additional job components found.";
        return call.refuse(&no_components(Release::V2_7), text);
    }
    if !components.is_empty() {
        call.reply.push_string(components.join(", "));
    }
    call.reply.push_success("").set_status(&MetaStatus::Ok, "");
    call.reply.set_meta("job_components", components.into_iter().map(Value::from).collect::<Vec<_>>());
    Ok(())
}
