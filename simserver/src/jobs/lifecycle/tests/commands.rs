//! What commands about jobs answer and leave behind, against the recorded metas and replies.

use super::*;

#[test]
fn a_job_runs_to_its_end_with_the_recorded_keys() {
    let mut bench = Bench::new();
    let id = bench.submit(&long(json!(["server", "site-1", "site-2"])));
    assert!(is_uuid4(&id));
    bench.until(&id, JobStatus::Dispatched);
    bench.until(&id, JobStatus::Running);
    assert_eq!(bench.jobs.running().collect::<Vec<_>>(), [(id.as_str(), "app")]);
    bench.until(&id, JobStatus::Completed);
    let meta = bench.jobs.meta(&id).unwrap();
    let keys = |fields: &flare_wire::hci::JsonObject| fields.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(meta.fields()), keys(&recorded_meta("get_job_meta.aborted")));
    assert_eq!(meta.fields()["duration"], "0:00:13");
    assert_eq!(bench.detail(&id), json!(["server: OK", "site-1: OK", "site-2: OK"]));
    let names: Vec<String> = bench.jobs.download(&id).unwrap().iter().map(|file| file.name().to_owned()).collect();
    assert_eq!(names, ["workspace.zip", "meta.json", "job.zip"]);
}

#[test]
fn an_hour_passes_in_one_jump_from_deadline_to_deadline() {
    let rule = Rule::named("*").running_for(Duration::from_secs(3600));
    let mut bench = Bench::with(JobSettings::default(), vec![rule]);
    let id = bench.submit(&JobFolder::hello("j"));
    bench.until(&id, JobStatus::Completed);
    assert_eq!(bench.jobs.meta(&id).unwrap().fields()["duration"], "1:00:00");
    bench.pass_time(2.0);
    assert_eq!(bench.jobs.next_deadline(), None);
}

#[test]
fn aborts_answer_as_recorded_in_every_state() {
    let rules = vec![Rule::named("*").until_aborted()];
    let mut bench = Bench::with(JobSettings::default(), rules);
    let id = bench.submit(&JobFolder::hello("j"));
    let waiting = bench.abort(&id);
    same_reply(|reply| waiting.push_to(reply), &id, "abort_job.submitted");
    let over = bench.abort(&id);
    same_reply(|reply| over.push_to(reply), &id, "abort_job.finished");

    let id = bench.submit(&JobFolder::hello("j"));
    bench.until(&id, JobStatus::Running);
    bench.pass_time(100.0);
    let running = bench.abort(&id);
    same_reply(|reply| running.push_to(reply), &id, "abort_job.running.owner");
    let second = bench.abort(&id);
    same_reply(|reply| second.push_to(reply), &id, "abort_job.running.second");
    assert_eq!(bench.status(&id), JobStatus::Running);
    bench.until(&id, JobStatus::Aborted);
    assert!(bench.jobs.meta(&id).unwrap().fields()["duration"].as_str().unwrap().starts_with("0:01:4"));

    let id = bench.submit(&JobFolder::hello("j"));
    bench.until(&id, JobStatus::Dispatched);
    let dispatched = bench.abort(&id);
    same_reply(|reply| dispatched.push_to(reply), &id, "abort_job.dispatched");
    bench.pass_time(10.0);
    assert_eq!((bench.status(&id), bench.jobs.running().count()), (JobStatus::Aborted, 0));
}

#[test]
fn with_the_quirk_a_job_aborted_while_dispatched_runs_on() {
    let quirks = Quirks { aborted_while_dispatched_runs_on: true };
    let mut bench = Bench::with(JobSettings { quirks, ..JobSettings::default() }, Vec::new());
    let id = bench.submit(&JobFolder::hello("j"));
    bench.until(&id, JobStatus::Dispatched);
    bench.abort(&id);
    bench.pass_time(1.0);
    assert_eq!((bench.status(&id), bench.jobs.running().count()), (JobStatus::Aborted, 1));
    assert!(bench.jobs.stats(&id, true, &[], bench.now).is_some());
    assert_eq!(bench.jobs.download(&id).unwrap().len(), 2);
    bench.until(&id, JobStatus::Completed);
    let meta = bench.jobs.meta(&id).unwrap();
    assert_eq!((&meta.fields()["start_time"], &meta.fields()["duration"]), (&json!(""), &json!("N/A")));
}

#[test]
fn deletions_answer_as_recorded_in_every_state() {
    let mut bench = Bench::new();
    let id = bench.submit(&JobFolder::hello("j"));
    bench.until(&id, JobStatus::Running);
    let running = bench.jobs.delete(&id, &lead(), bench.now);
    same_reply(|reply| running.push_to(reply, Release::V2_9), &id, "delete_job.running");
    bench.until(&id, JobStatus::Completed);
    let done = bench.jobs.delete(&id, &lead(), bench.now);
    same_reply(|reply| done.push_to(reply, Release::V2_9), &id, "delete_job.completed");
    let again = bench.jobs.find(Some(&id), "default").map(|_| ()).unwrap_err();
    same_reply(|reply| again.push_to(reply), &id, "delete_job.again");
}

#[test]
fn ids_are_refused_as_recorded() {
    let bench = Bench::new();
    for (argument, case) in [
        (None, "delete_job.noarg"),
        (Some("abc"), "delete_job.bad_id"),
        (Some("00000000-0000-4000-8000-000000000000"), "delete_job.unknown_id"),
    ] {
        let mut reply = Reply::new();
        bench.jobs.find(argument, "default").map(|_| ()).unwrap_err().push_to(&mut reply);
        assert_eq!(written(&reply), recorded(case));
    }
}

#[test]
fn a_job_of_another_study_is_not_there_and_upper_case_is_read() {
    let mut bench = Bench::new();
    let id = bench.submit(&JobFolder::hello("j"));
    assert_eq!(bench.jobs.find(Some(&id), "s2").map(|_| ()), Err(IdRefusal::Unknown(id.clone())));
    let upper = id.to_uppercase();
    assert_eq!(bench.jobs.find(Some(&upper), "default").unwrap().meta.job_id(), id);
    assert_eq!(bench.jobs.download(&upper), Err(NotDone::Unknown(upper)));
    let waiting = bench.jobs.download(&id).unwrap_err();
    same_reply(|reply| waiting.push_to(reply), &id, "download_job.not_done");
}

#[test]
fn tokens_lead_to_one_job_until_it_is_deleted() {
    let mut bench = Bench::new();
    let zip = JobFolder::hello("j").zip();
    let first = bench.try_submit(&zip, Some("t")).unwrap();
    assert_eq!(bench.try_submit(&zip, Some("t")), Ok(Submitted { is_new: false, ..first.clone() }));
    let other = bench.try_submit(&JobFolder::hello("j").meta("x", json!(1)).zip(), Some("t")).unwrap_err();
    let mut reply = Reply::new();
    other.push_to(&mut reply);
    assert_eq!(reply.meta["code"], "SUBMIT_TOKEN_CONFLICT");
    let scope = Scope { study: "default".to_owned(), submitter: lead(), token: SubmitToken::new("t").unwrap() };
    let query = ListQuery { study: "default".to_owned(), ..ListQuery::default() };
    assert!(
        matches!(bench.jobs.list_token(&scope, &query), Ok(crate::jobs::store::Listing::Jobs(jobs)) if jobs.len() == 1)
    );
    let no_name = ListQuery { name_prefix: Some("zzz".to_owned()), ..query.clone() };
    assert_eq!(bench.jobs.list_token(&scope, &no_name), Ok(crate::jobs::store::Listing::NoMatch));
    let mut reply = Reply::new();
    bench.jobs.delete(&first.job_id, &lead(), bench.now).push_to(&mut reply, Release::V2_9);
    assert_eq!(reply.meta["submit_records_marked_deleted"], 1);
    assert!(bench.jobs.list_token(&scope, &query).is_err());
    assert!(bench.try_submit(&zip, Some("t")).is_err());
}

#[test]
fn a_second_job_of_the_same_own_id_is_refused_as_recorded() {
    let mut bench = Bench::new();
    bench.jobs.settings.store_root = "<POC>/jobs-storage".to_owned();
    let own = JobFolder::hello("j").meta("job_id", json!("my-own-id"));
    assert_eq!(bench.submit(&own), "my-own-id");
    let mut reply = Reply::new();
    bench.try_submit(&own.zip(), None).unwrap_err().push_to(&mut reply);
    assert_eq!(written(&reply), recorded("submit_job.own_job_id_again"));
    assert_eq!(bench.jobs.find(Some("my-own-id"), "default").map(|_| ()), Err(IdRefusal::Invalid("my-own-id".into())));
}

#[test]
fn a_clone_runs_for_who_cloned_it() {
    let mut bench = Bench::new();
    let id = bench.submit(&JobFolder::hello("j").meta("user_key", json!(1)));
    bench.until(&id, JobStatus::Running);
    let admin = Submitter::new("admin@nvidia.com", "nvidia", "project_admin");
    let clone = bench.jobs.clone_job(&id, &admin, bench.now, &mut bench.random).unwrap();
    let meta = bench.jobs.meta(&clone).unwrap();
    assert_eq!((meta.submitter(), meta.fields().contains_key("user_key")), (admin, false));
    bench.until(&clone, JobStatus::Completed);
}

#[test]
fn a_killed_server_leaves_zombies() {
    let mut bench = Bench::new();
    let id = bench.submit(&JobFolder::hello("j"));
    bench.until(&id, JobStatus::Running);
    bench.pass_time(6.0);
    bench.jobs.restart(bench.now);
    bench.pass_time(1000.0);
    assert_eq!(bench.status(&id), JobStatus::Running);
    assert_eq!(bench.jobs.stats(&id, true, &[], bench.now), None);
    let abort = bench.abort(&id);
    same_reply(|reply| abort.push_to(reply), &id, "zombie.abort_job");
    let delete = bench.jobs.delete(&id, &lead(), bench.now);
    same_reply(|reply| delete.push_to(reply, Release::V2_9), &id, "zombie.delete_job");
    let download = bench.jobs.download(&id).unwrap_err();
    same_reply(|reply| download.push_to(reply), &id, "zombie.download_job");
    let logs = bench.jobs.logs(bench.jobs.store().get(&id).unwrap(), "server", "log.txt", bench.now);
    assert!(logs["logs"]["server"].as_str().unwrap().contains("Round 0 started."));
    assert!(bench.jobs.meta(&id).unwrap().live_duration(bench.now).starts_with("0:16:"));
    let job = bench.jobs.store().get(&id).unwrap().clone();
    let components: Vec<&String> = job.components().keys().collect();
    assert_eq!(components, ["ERRORLOG_site-1", "ERRORLOG_site-2", "ERRORLOG_site-3"]);
    // Another process that is told what was stored finds the same.
    let mut other = Jobs::new(bench.jobs.settings().clone(), Behaviours::new(Vec::new()), bench.now);
    let mut stored = job.clone();
    stored.details_mut().components.clear();
    other.restore_job(stored);
    let restored = other.store().get(&id).unwrap();
    assert_eq!(restored.components().keys().collect::<Vec<_>>(), components);
    let logs = other.logs(restored, "server", "log.txt", bench.now);
    assert!(logs["logs"]["server"].as_str().unwrap().contains("Round 0 started."));
    // It does not count as running.
    let next = bench.submit(&JobFolder::hello("j"));
    bench.until(&next, JobStatus::Completed);
}

#[test]
fn unsigned_broken_and_forbidden_apps_fail_with_the_recorded_words() {
    let mut bench = Bench::new();
    bench.world.signed_only = true;
    let unsigned = bench.submit(&JobFolder::hello("j"));
    bench.until(&unsigned, JobStatus::FailedToRun);
    assert_eq!(bench.detail(&unsigned), recorded_meta("get_job_meta.failed_to_run_unsigned")["job_deploy_detail"]);
    assert!(!bench.jobs.meta(&unsigned).unwrap().fields().contains_key("schedule_count"));

    let signer = Signer::new();
    bench.world.roots = signer.roots.clone();
    bench.now = bench.now.max(signer.now);
    let mut files = signer.sign(&JobFolder::hello("j").files());
    let signed = bench.try_submit(&zip_files(&files), None).unwrap().job_id;
    files.insert("j/app/config/config_fed_client.json".to_owned(), b"{}".to_vec());
    let tampered = bench.try_submit(&zip_files(&files), None).unwrap().job_id;
    bench.until(&tampered, JobStatus::FailedToRun);
    assert_eq!(bench.detail(&tampered), recorded_meta("get_job_meta.tampered_signature")["job_deploy_detail"]);
    bench.until(&signed, JobStatus::Completed);

    bench.world.signed_only = false;
    let code = |sites: Value| long(sites).app_file("custom/net.py", b"");
    let refused = bench.submit(&code(json!(["server", "site-3"])));
    bench.until(&refused, JobStatus::FailedToRun);
    assert_eq!(bench.detail(&refused), recorded_meta("get_job_meta.byoc_refused_by_site")["job_deploy_detail"]);
    let partly = bench.submit(&code(json!(["server", "site-1", "site-3"])));
    bench.until(&partly, JobStatus::Completed);
    assert_eq!(bench.detail(&partly), recorded_meta("get_job_meta.byoc_refused_by_one_of_two")["job_deploy_detail"]);
    let unsafe_paths = bench.submit(&JobFolder::hello("j").file("j/../../x", b""));
    bench.until(&unsafe_paths, JobStatus::FailedToRun);
    assert_eq!(bench.detail(&unsafe_paths), Value::Null);
}
