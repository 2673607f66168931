//! What is asked of a job that runs: `show_stats`, `show_errors`, `reset_errors`, `app_command`.

use flare_wire::hci::{JsonObject, MetaStatus};

use super::super::call::{Call, Step};
use super::super::targets::TargetKind;
use crate::release::Release;

/// Statistics of the server's and the sites' part of a job.
pub(in crate::commands) fn show_stats(call: &mut Call<'_>) -> Step {
    let (job_id, server, sites) = participants(call)?;
    let stats = call.sim.jobs().stats(&job_id, server, &names(&sites), call.now);
    push(call, &job_id, stats)
}

/// Errors of the server's and the sites' part of a job.
pub(in crate::commands) fn show_errors(call: &mut Call<'_>) -> Step {
    let (job_id, server, sites) = participants(call)?;
    let errors = call.sim.jobs().errors(&job_id, server, &names(&sites), call.now);
    push(call, &job_id, errors)
}

/// Forgets these errors.
pub(in crate::commands) fn reset_errors(call: &mut Call<'_>) -> Step {
    let (job_id, server, sites) = participants(call)?;
    let answers = call.sim.jobs_mut().reset_errors(&job_id, server, &names(&sites), call.now);
    push(call, &job_id, answers)
}

/// Calls a function that the job's own code has registered. A simulated job has none.
pub(in crate::commands) fn app_command(call: &mut Call<'_>) -> Step {
    let job_id = call.job_id()?;
    let [_, topic] = call.arguments() else {
        let usage = format!("Usage: {}", call.command.usage);
        if call.sim.release() < Release::V2_8 {
            call.reply.push_string(usage).set_status(&MetaStatus::SyntaxError, "");
            return Ok(());
        }
        return call.refuse_with(&usage, &MetaStatus::SyntaxError, "");
    };
    let topic = topic.clone();
    if !is_running(call, &job_id) {
        return not_running(call, &job_id);
    }
    let problem = format!("rc='BAD_REQUEST_DATA' reason='no app command func for topic {topic}'");
    call.refuse_with(&format!("command execution error: {problem}"), &MetaStatus::Error, &problem)
}

/// The job, whether the server is asked, and which sites are.
fn participants(call: &Call<'_>) -> Step<(String, bool, Vec<String>)> {
    let kind = call.arguments().get(1).and_then(|word| TargetKind::read(word));
    let sites = call.targets.sites.iter().filter_map(|index| Some(call.sim.sites().get(*index)?.name().to_string()));
    Ok((call.job_id()?, kind.is_some_and(TargetKind::has_server), sites.collect()))
}

fn names(sites: &[String]) -> Vec<&str> {
    sites.iter().map(String::as_str).collect()
}

fn push(call: &mut Call<'_>, job_id: &str, answers: Option<JsonObject>) -> Step {
    match answers {
        Some(answers) => {
            call.reply.push_dict(answers);
            Ok(())
        }
        None => not_running(call, job_id),
    }
}

/// True when the processes of the job run, whatever its stored status says.
pub(in crate::commands) fn is_running(call: &Call<'_>, job_id: &str) -> bool {
    call.sim.jobs().running_sites(job_id).is_some()
}

pub(in crate::commands) fn not_running<T>(call: &mut Call<'_>, job_id: &str) -> Step<T> {
    call.refuse_with(&format!("Job_id: {job_id} is not running."), &MetaStatus::JobNotRunning, job_id)
}
