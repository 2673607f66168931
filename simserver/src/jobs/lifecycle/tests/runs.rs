//! How jobs wait, run and end.

use super::*;

#[test]
fn jobs_wait_while_enough_run_and_while_no_site_is_there() {
    let policy = SchedulerPolicy { max_jobs: 1, ..SchedulerPolicy::default() };
    let mut bench = Bench::with(JobSettings { policy, ..JobSettings::default() }, Vec::new());
    let sites = std::mem::take(&mut bench.world.sites);
    let first = bench.submit(&JobFolder::hello("j"));
    bench.pass_time(3600.0);
    assert_eq!((bench.status(&first), bench.jobs.next_deadline()), (JobStatus::Submitted, None));
    assert!(!bench.jobs.meta(&first).unwrap().fields().contains_key("schedule_count"));
    bench.world.sites = sites;
    bench.jobs.sites_changed(bench.now);
    bench.until(&first, JobStatus::Running);
    let second = bench.submit(&JobFolder::hello("j"));
    bench.pass_time(5.0);
    assert!(!bench.jobs.meta(&second).unwrap().fields().contains_key("schedule_count"));
    bench.until(&second, JobStatus::Running);
    assert_eq!(bench.status(&first), JobStatus::Completed);
}

#[test]
fn a_poisoned_queue_moves_again_once_the_poison_is_aborted() {
    let mut bench = Bench::new();
    let poison = bench.submit(&JobFolder::hello("j").meta("min_clients", json!("2")));
    let later = bench.submit(&JobFolder::hello("j"));
    bench.pass_time(3600.0);
    assert_eq!((bench.status(&poison), bench.status(&later)), (JobStatus::Submitted, JobStatus::Submitted));
    bench.abort(&poison);
    bench.until(&later, JobStatus::Running);
}

#[test]
fn a_hopeless_job_is_given_up_after_ten_attempts() {
    let mut bench = Bench::new();
    let gpus = JobFolder::hello("j")
        .meta("resource_spec", json!({"site-1": {"num_of_gpus": 1}}))
        .meta("deploy_map", json!({"app": ["server", "site-1"]}));
    let id = bench.submit(&gpus);
    bench.until(&id, JobStatus::CanNotSchedule);
    let schedule = bench.jobs.meta(&id).unwrap().schedule();
    assert_eq!((schedule.count, schedule.history.len()), (11, 11));
    assert!(schedule.history[10].ends_with("exceeded max schedule count 10"));
    let logs = bench.jobs.logs(bench.jobs.store().get(&id).unwrap(), "all", "log.txt", bench.now);
    let expected = &flare_fixtures::reply("get_job_log.never_run").reply["data"][0]["data"];
    assert_eq!(python_json(&Value::Object(logs)), python_json(expected));
}

#[test]
fn gpus_are_held_while_a_job_runs() {
    let mut bench = Bench::with(JobSettings::default(), vec![Rule::named("*").until_aborted()]);
    bench.world.sites[0].gpus = 1;
    let gpus = || long(json!(["server", "site-1"])).meta("resource_spec", json!({"site-1": {"num_of_gpus": 1}}));
    let first = bench.submit(&gpus());
    let second = bench.submit(&gpus());
    bench.until(&first, JobStatus::Running);
    bench.pass_time(5.0);
    assert_eq!((bench.status(&second), bench.jobs.meta(&second).unwrap().schedule().count), (JobStatus::Submitted, 1));
    bench.abort(&first);
    bench.until(&second, JobStatus::Running);
}

#[test]
fn faults_leave_error_logs_as_components() {
    let mut bench = Bench::with(JobSettings::default(), vec![Rule::named("j").failing_at("site-1", "ValueError: no")]);
    let id = bench.submit(&JobFolder::hello("j"));
    bench.until(&id, JobStatus::ExecutionException);
    assert_eq!(bench.jobs.components(&id), ["ERRORLOG_site-1"]);
    let files = bench.jobs.download_components(&id).unwrap();
    assert_eq!(files, [DownloadFile::Component("ERRORLOG_site-1".to_owned(), b"ValueError: no\n".to_vec())]);
    let errors = bench.jobs.errors(&id, true, &[], bench.now);
    assert_eq!(errors, None);
}

#[test]
fn errors_show_until_they_are_reset() {
    let rule = Rule::named("j").failing_on_server("ValueError: no");
    let mut bench = Bench::with(JobSettings::default(), vec![rule]);
    let id = bench.submit(&JobFolder::hello("j"));
    bench.until(&id, JobStatus::Running);
    bench.pass_time(8.0);
    let errors = bench.jobs.errors(&id, true, &["site-1"], bench.now).unwrap();
    assert_eq!(errors["server"], json!({"ScatterAndGather": {"exception": "ValueError: no"}}));
    let reset = bench.jobs.reset_errors(&id, true, &["site-2", "site-1", "site-3"], bench.now).unwrap();
    let recorded = &flare_fixtures::reply("reset_errors.running.all");
    let old_id = recorded.command.as_deref().unwrap().split(' ').nth(1).unwrap();
    let expected = recorded.reply["data"][0]["data"].to_string().replace(old_id, &id);
    assert_eq!(Value::Object(reset).to_string(), expected);
    assert_eq!(bench.jobs.errors(&id, true, &[], bench.now).unwrap()["server"], "No Error");
}

#[test]
fn an_aggregator_without_weights_warns_in_its_first_rounds_and_again_after_a_reset() {
    let mut bench = Bench::new();
    let aggregator =
        "nvflare.app_common.aggregators.intime_accumulate_model_aggregator.InTimeAccumulateWeightedAggregator";
    let config = json!({
        "workflows": [{"name": "ScatterAndGather", "args": {"num_rounds": 100}}],
        "components": [{"id": "aggregator", "path": aggregator, "args": {}}],
    });
    let job = JobFolder::hello("j").app_file("config/config_fed_server.json", config.to_string().as_bytes());
    let id = bench.submit(&job);
    bench.until(&id, JobStatus::Running);
    let warns = |bench: &Bench| bench.jobs.errors(&id, true, &[], bench.now).unwrap()["server"] != "No Error";
    assert!(!warns(&bench), "before the first round has ended");
    bench.pass_time(8.0);
    assert!(warns(&bench));
    bench.jobs.reset_errors(&id, true, &[], bench.now).unwrap();
    assert!(!warns(&bench), "after a reset");
    bench.pass_time(2.0);
    assert!(warns(&bench), "in the next round");
    bench.pass_time(60.0);
    bench.jobs.reset_errors(&id, true, &[], bench.now).unwrap();
    bench.pass_time(60.0);
    assert!(!warns(&bench), "after many rounds");
}

#[test]
fn a_silent_site_holds_up_the_end() {
    let mut bench = Bench::with(JobSettings::default(), vec![Rule::named("j").silent_at("site-2")]);
    let id = bench.submit(&JobFolder::hello("j"));
    bench.until(&id, JobStatus::Completed);
    assert_eq!(bench.jobs.meta(&id).unwrap().fields()["duration"], "0:15:13");
}

#[test]
fn a_dead_site_fails_the_check_at_once_and_a_hanging_one_holds_it_up() {
    for (reach, seconds) in [(Reach::Gone, 1), (Reach::Hanging, 15)] {
        let mut bench = Bench::new();
        bench.world.sites[1].reach = reach;
        let start = bench.now;
        let id = bench.submit(&JobFolder::hello("j"));
        bench.until(&id, JobStatus::Running);
        assert_eq!(bench.jobs.running_sites(&id).unwrap(), ["site-1", "site-3"]);
        let took = bench.jobs.meta(&id).unwrap().start_time().unwrap().since(start).as_secs();
        assert!((seconds - 1..=seconds).contains(&took), "{reach:?} {took}");
    }
}
