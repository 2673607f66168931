//! The metas of real jobs, made again stage by stage.

use std::time::Duration;

use flare_wire::hci::python_json;

use super::*;
use crate::jobs::testing::recorded_meta;

fn text(fields: &JsonObject) -> String {
    python_json(&Value::Object(fields.clone()))
}

/// The keys before `study` are the user's.
fn as_submitted(recorded: &JsonObject) -> JobMeta {
    let user = recorded.iter().take_while(|(key, _)| *key != "study");
    let kept = JobMeta::restored(recorded.clone());
    let submission = Submission {
        study: kept.study().to_owned(),
        submitter: kept.submitter(),
        folder: kept.folder().to_owned(),
        custom_props: recorded.get("custom_props").cloned(),
        job_id: kept.job_id().to_owned(),
    };
    let user = user.map(|(key, value)| (key.clone(), value.clone())).collect();
    JobMeta::submitted(user, &submission, kept.submit_time(), Offset::UTC)
}

/// The moment at which a job that ran this long was over.
fn end(recorded: &JobMeta, ran: Duration) -> Moment {
    recorded.start_time().unwrap() + ran
}

#[test]
fn waiting_jobs_have_the_recorded_meta() {
    for case in ["get_job_meta.submitted", "get_job_meta.poison_min_clients_str", "get_job_meta.no_clients"] {
        let recorded = recorded_meta(case);
        assert_eq!(text(as_submitted(&recorded).fields()), text(&recorded), "{case}");
    }
}

#[test]
fn a_job_that_ran_has_the_recorded_meta() {
    let recorded = recorded_meta("get_job_meta.aborted");
    let kept = JobMeta::restored(recorded.clone());
    let mut meta = as_submitted(&recorded);
    meta.set_status(JobStatus::Dispatched, meta.submit_time());
    meta.set_deploy_detail(&["server: OK".into(), "site-1: OK".into(), "site-2: OK".into()]);
    meta.set_schedule(&kept.schedule());
    meta.set_status(JobStatus::Running, kept.start_time().unwrap());
    let mut running = recorded_meta("get_job_meta.running");
    assert_eq!(text(meta.fields()), text(&running));
    meta.set_status(JobStatus::Aborted, end(&kept, Duration::from_micros(14_815_252)));
    assert_eq!(text(meta.fields()), text(&recorded));
    running.shift_remove("study");
    assert_eq!(JobMeta::restored(running).normalized(Shown::default())["study"], "default");
}

#[test]
fn failed_attempts_stand_before_the_deployment() {
    let recorded = recorded_meta("get_job_meta.after_enable");
    let kept = JobMeta::restored(recorded.clone());
    let mut meta = as_submitted(&recorded);
    meta.set_schedule(&Schedule { count: 1, last: Moment::default(), history: vec!["x".into()] });
    meta.set_status(JobStatus::Dispatched, meta.submit_time());
    meta.set_deploy_detail(&["server: OK".into(), "site-1: OK".into(), "site-2: OK".into()]);
    meta.set_schedule(&kept.schedule());
    meta.set_status(JobStatus::Running, kept.start_time().unwrap());
    meta.set_status(JobStatus::Completed, end(&kept, Duration::from_micros(12_155_472)));
    assert_eq!(text(meta.fields()), text(&recorded));
}

#[test]
fn jobs_that_never_ran_have_the_recorded_meta() {
    let recorded = recorded_meta("get_job_meta.failed_to_run_unsigned");
    let mut meta = as_submitted(&recorded);
    meta.set_status(JobStatus::FailedToRun, meta.submit_time());
    meta.set_deploy_detail(&["server: unsigned job rejected — require_signed_jobs is enabled".into()]);
    assert_eq!(text(meta.fields()), text(&recorded));

    let recorded = recorded_meta("get_job_meta.cant_schedule.mandatory");
    let mut meta = as_submitted(&recorded);
    meta.set_schedule(&JobMeta::restored(recorded.clone()).schedule());
    meta.set_status(JobStatus::CanNotSchedule, meta.submit_time());
    assert_eq!(text(meta.fields()), text(&recorded));

    let recorded = recorded_meta("get_job_meta.aborted_before_run");
    let mut meta = as_submitted(&recorded);
    meta.set_status(JobStatus::Aborted, meta.submit_time());
    assert_eq!(text(meta.fields()), text(&recorded));
}

#[test]
fn request_properties_stand_behind_the_folder() {
    let recorded = recorded_meta("get_job_meta.custom_props");
    let kept = JobMeta::restored(recorded.clone());
    let mut meta = as_submitted(&recorded);
    if !kept.schedule().history.is_empty() {
        meta.set_schedule(&kept.schedule());
    }
    assert_eq!(text(meta.fields()), text(&recorded));
}

#[test]
fn a_clone_has_the_keys_of_the_recorded_one() {
    let recorded = recorded_meta("study.get_job_meta.clone");
    let kept = JobMeta::restored(recorded.clone());
    let original = JobMeta::restored(recorded_meta("study.get_job_meta.same_study"));
    let clone = original.cloned(&kept.submitter(), kept.job_id(), kept.submit_time(), Offset::UTC);
    assert_eq!(clone.fields(), &recorded);
    let after_copied =
        |fields: &JsonObject| fields.keys().skip_while(|key| *key != "submitter_name").cloned().collect::<Vec<_>>();
    assert_eq!(after_copied(clone.fields()), after_copied(&recorded));
}

#[test]
fn the_name_in_lists_falls_back_to_the_folder() {
    let named = |fields: Value| JobMeta::restored(fields.as_object().unwrap().clone()).display_name().to_owned();
    assert_eq!(named(json!({"name": "n", "job_folder_name": "f"})), "n");
    assert_eq!(named(json!({"name": "", "job_folder_name": "f"})), "f");
    assert_eq!(named(json!({})), "No name");
}
