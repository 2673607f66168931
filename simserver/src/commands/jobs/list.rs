//! `list_jobs` and `get_job_meta`.

use flare_wire::hci::MetaStatus;

use super::super::arguments::{LIST_JOBS, LIST_JOBS_2_7};
use super::super::call::{Call, Step, Stop};
use crate::jobs::lifecycle::SubmitRefusal;
use crate::jobs::meta::DEFAULT_STUDY;
use crate::jobs::store::ListQuery;
use crate::jobs::submit_records::{Scope, SubmitToken};
use crate::mutants::Mutant;
use crate::release::Release;

/// Lists the jobs of the session's study.
pub(in crate::commands) fn list_jobs(call: &mut Call<'_>) -> Step {
    let is_old = call.sim.release() < Release::V2_8;
    let parser = if is_old { &LIST_JOBS_2_7 } else { &LIST_JOBS };
    let arguments = match parser.parse(call.arguments()) {
        Ok(arguments) => arguments,
        Err(error) if is_old => return call.refuse(&MetaStatus::InternalError, &format!("ValueError: {error}")),
        Err(error) => return call.refuse(&MetaStatus::SyntaxError, &error.to_string()),
    };
    let token = match arguments.text("--submit-token").map(SubmitToken::new).transpose() {
        Ok(token) => token,
        Err(error) => return call.refuse(&MetaStatus::SyntaxError, &error.to_string()),
    };
    let (user, ..) = call.user();
    let broken = |mutant| call.sim.mutant(mutant);
    let study = if broken(Mutant::ListsDefaultStudy) { DEFAULT_STUDY } else { call.study() };
    let query = ListQuery {
        study: study.to_owned(),
        id_prefix: arguments.positional("job_id").first().filter(|_| !broken(Mutant::IdPrefixIgnored)).cloned(),
        name_prefix: arguments.text("-n").filter(|_| !broken(Mutant::NamePrefixIgnored)).map(str::to_owned),
        submitter: (arguments.flag("-u") && !user.is_empty() && !broken(Mutant::OwnJobsIgnored))
            .then(|| user.to_owned()),
        reverse: arguments.flag("-r") && !broken(Mutant::ReverseIgnored),
        limit: arguments.integer("-m").filter(|_| !broken(Mutant::LimitIgnored)).unwrap_or_default(),
    };
    let scope = token.map(|token| Scope { study: query.study.clone(), submitter: call.submitter(), token });
    let jobs = call.sim.jobs();
    let listing = match &scope {
        Some(scope) => jobs.list_token(scope, &query),
        None => jobs.list(&query).map_err(|error| SubmitRefusal::Refused(error.into())),
    };
    match listing {
        Ok(listing) => {
            listing.push_to(&mut call.reply, arguments.flag("-d"), call.now, jobs.shown());
            Ok(())
        }
        Err(refusal @ SubmitRefusal::Token(_)) => {
            refusal.push_to(&mut call.reply);
            Ok(())
        }
        // A list is no submission: what goes wrong is reported as every exception is.
        Err(SubmitRefusal::Refused(refusal)) => Err(Stop::Exception(refusal.exception_text())),
    }
}

/// Shows the meta of a job as it is stored, without a live duration.
pub(in crate::commands) fn get_job_meta(call: &mut Call<'_>) -> Step {
    let job_id = call.job_id()?;
    let jobs = call.sim.jobs();
    let meta = jobs.meta(&job_id).map(|meta| meta.normalized(jobs.shown())).unwrap_or_default();
    call.reply.push_dict(meta.clone()).set_status(&MetaStatus::Ok, "").set_meta("job_meta", meta);
    Ok(())
}
