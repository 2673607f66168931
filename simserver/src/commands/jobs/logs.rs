//! `get_job_log` and `configure_job_log`.
//!
//! Source: `reference/server-behaviour.md` section 8.

use flare_wire::hci::{MetaStatus, Table};

use super::super::arguments::GET_JOB_LOG;
use super::super::call::{Call, Step};
use super::super::log_config::{REFUSAL, is_log_config};
use super::super::targets::TargetKind;
use crate::mutants::Mutant;

/// The log that is shown when none is named.
const DEFAULT_LOG: &str = "log.txt";

/// Shows logs of a job.
pub(in crate::commands) fn get_job_log(call: &mut Call<'_>) -> Step {
    let job_id = call.job_id()?;
    let arguments = match GET_JOB_LOG.parse(call.arguments()) {
        Ok(arguments) => arguments,
        Err(error) => return call.refuse(&MetaStatus::SyntaxError, &format!("ValueError: {error}")),
    };
    let word = |name: &str| arguments.positional(name).first().cloned();
    let target = word("target").unwrap_or_else(|| "server".to_owned());
    let file = word("log_file_name").unwrap_or_else(|| DEFAULT_LOG.to_owned());
    let file = if call.sim.mutant(Mutant::LogFileIgnored) { DEFAULT_LOG.to_owned() } else { file };
    let jobs = call.sim.jobs();
    let logs = jobs.store().get(&job_id).map(|job| jobs.logs(job, &target, &file, call.now)).unwrap_or_default();
    call.reply.push_dict(logs).set_status(&MetaStatus::Ok, "");
    Ok(())
}

/// Configures the logs of a job that runs.
pub(in crate::commands) fn configure_job_log(call: &mut Call<'_>) -> Step {
    let job_id = call.job_id()?;
    let status = call.sim.jobs().meta(&job_id).map(|meta| meta.status().as_str().to_owned()).unwrap_or_default();
    if status != "RUNNING" {
        return call.refuse(&MetaStatus::Error, &format!("Job {job_id} must be running but is {status}"));
    }
    let kind = call.arguments().get(1).and_then(|word| TargetKind::read(word));
    let is_good = call.arguments().last().is_some_and(|config| is_log_config(config));
    if kind.is_some_and(TargetKind::has_server) {
        if !is_good {
            return call.refuse(&MetaStatus::Error, &format!("ValueError: {REFUSAL}"));
        }
        call.reply.push_string(format!("successfully configured server job {job_id} log"));
    }
    if kind.is_some_and(TargetKind::has_sites) {
        sites(call, &job_id, is_good);
    }
    Ok(())
}

/// Every site answers for itself; the first line of each that could not is repeated in an error.
fn sites(call: &mut Call<'_>, job_id: &str, is_good: bool) {
    let taking_part: Vec<String> = call.sim.jobs().running_sites(job_id).unwrap_or_default().to_vec();
    let sites = call.targets.sites.clone();
    let names = sites.iter().filter_map(|index| Some(call.sim.sites().get(*index)?.name().to_string()));
    let mut table = Table::new(["client", "response"]);
    let mut failed = Vec::new();
    for site in names.collect::<Vec<_>>() {
        let answer = if !taking_part.contains(&site) {
            Err("failed to configure_job_log with return code: target_unreachable".to_owned())
        } else if !is_good {
            Err(format!("ValueError: {REFUSAL}"))
        } else {
            Ok(format!("successfully configured {site} job {job_id} log"))
        };
        if let Err(problem) = &answer {
            failed.push(format!("{site}: {problem}"));
        }
        table.row([site, answer.unwrap_or_else(|problem| problem)]);
    }
    call.reply.push_table(table);
    if !failed.is_empty() {
        call.reply.push_error(failed.join("\n"));
    }
}
