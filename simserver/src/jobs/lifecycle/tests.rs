//! Whole lives of jobs, against the recorded metas and replies, and random lives against what must always hold.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use flare_wire::certificate::Certificate;
use flare_wire::hci::{Reply, python_json};
use flare_wire::{Randomness, is_uuid4};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::jobs::archive::Archive;
use crate::jobs::behaviour::Rule;
use crate::jobs::content::JobContent;
use crate::jobs::content_hash::content_hash;
use crate::jobs::definition::JobDefinition;
use crate::jobs::federation::{AppRight, Federation, Reach, SiteView};
use crate::jobs::meta::JobStatus;
use crate::jobs::scheduler::SchedulerPolicy;
use crate::jobs::store::ListQuery;
use crate::jobs::submit_records::{Scope, SubmitToken};
use crate::jobs::submitter::Submitter;
use crate::jobs::testing::{JobFolder, Signer, recorded, recorded_meta, written, zip_files};
use crate::release::Release;

/// Three sites; nobody asks for signatures; `site-3` forbids custom code.
struct World {
    sites: Vec<SiteView>,
    signed_only: bool,
    roots: Vec<Certificate>,
}

impl World {
    fn new() -> Self {
        let sites = ["site-1", "site-2", "site-3"].map(SiteView::new).to_vec();
        Self { sites, signed_only: false, roots: Vec::new() }
    }
}

impl Federation for World {
    fn sites(&self) -> Vec<SiteView> {
        self.sites.clone()
    }

    fn enrolled_sites(&self, _study: &str) -> Option<Vec<String>> {
        None
    }

    fn permits(&self, participant: &str, _right: AppRight, _submitter: &Submitter) -> bool {
        participant != "site-3"
    }

    fn requires_signed_jobs(&self, _participant: &str) -> bool {
        self.signed_only
    }

    fn roots(&self) -> &[Certificate] {
        &self.roots
    }
}

struct Bench {
    jobs: Jobs<u32>,
    world: World,
    now: Moment,
    random: Randomness,
}

impl Bench {
    fn new() -> Self {
        Self::with(JobSettings::default(), Vec::new())
    }

    fn with(settings: JobSettings, rules: Vec<Rule>) -> Self {
        let now = Moment::from_unix(Duration::from_secs(1_795_308_677));
        let jobs = Jobs::new(settings, Behaviours::new(rules), now);
        Self { jobs, world: World::new(), now, random: Randomness::from_number(3) }
    }

    fn submit(&mut self, job: &JobFolder) -> String {
        self.try_submit(&job.zip(), None).unwrap().job_id
    }

    fn try_submit(&mut self, zip: &[u8], token: Option<&str>) -> Result<Submitted, SubmitRefusal> {
        let mut archive = Archive::open(Cursor::new(zip)).unwrap();
        let definition = JobDefinition::read("j", &mut archive, Release::V2_9).unwrap();
        let content = JobContent::read(&definition, &mut archive, self.world.roots(), self.now).unwrap();
        let token = token.map(|token| (SubmitToken::new(token).unwrap(), content_hash(&mut archive).unwrap()));
        let new = NewJob {
            definition,
            content: Arc::new(content),
            archive: 7,
            study: "default".to_owned(),
            submitter: lead(),
            custom_props: None,
            token,
        };
        self.jobs.submit(new, self.now, &mut self.random)
    }

    fn pass_time(&mut self, seconds: f64) {
        self.now = self.now + Duration::from_secs_f64(seconds);
        self.jobs.advance(self.now, &self.world);
    }

    /// Jumps from deadline to deadline until the job has this status.
    fn until(&mut self, job_id: &str, status: JobStatus) {
        for _ in 0..100 {
            if self.status(job_id) == status {
                return;
            }
            let Some(due) = self.jobs.next_deadline() else { break };
            self.now = self.now.max(due);
            self.jobs.advance(self.now, &self.world);
        }
        assert_eq!(self.status(job_id), status, "{:?}", self.jobs.meta(job_id));
    }

    fn status(&self, job_id: &str) -> JobStatus {
        self.jobs.meta(job_id).unwrap().status()
    }

    fn abort(&mut self, job_id: &str) -> Aborted {
        self.jobs.abort(job_id, self.now)
    }

    fn detail(&self, job_id: &str) -> Value {
        self.jobs.meta(job_id).unwrap().fields().get("job_deploy_detail").cloned().unwrap_or_default()
    }
}

fn lead() -> Submitter {
    Submitter::new("lead@nvidia.com", "nvidia", "lead")
}

fn long(sites: Value) -> JobFolder {
    JobFolder::hello("j").meta("deploy_map", json!({"app": sites}))
}

/// The reply with the job's id in place of the recorded one.
fn same_reply(push: impl FnOnce(&mut Reply), job_id: &str, case: &str) {
    let mut reply = Reply::new();
    push(&mut reply);
    let command = flare_fixtures::reply(case).command.clone().unwrap();
    let recorded_id = command.split(' ').nth(1).unwrap();
    assert_eq!(written(&reply), recorded(case).replace(recorded_id, job_id), "{case}");
}

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

#[derive(Debug, Clone)]
enum Step {
    Submit { token: Option<u8>, content: u8, min_clients: u8 },
    Abort(usize),
    Delete(usize),
    Clone(usize),
    Pass(u16),
    Restart,
    Sites(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (prop::option::of(0_u8..3), 0_u8..3, 0_u8..5)
            .prop_map(|(token, content, min_clients)| Step::Submit { token, content, min_clients }),
        2 => (0_usize..20).prop_map(Step::Abort),
        1 => (0_usize..20).prop_map(Step::Delete),
        1 => (0_usize..20).prop_map(Step::Clone),
        6 => (0_u16..9000).prop_map(Step::Pass),
        1 => Just(Step::Restart),
        1 => (0_u8..8).prop_map(Step::Sites),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_job_leaves_a_final_state_and_no_token_has_two_jobs(
        steps in prop::collection::vec(any_step(), 1..60),
        fails in any::<bool>(),
    ) {
        let rules = if fails { vec![Rule::named("1").failing_at("site-1", "x")] } else { Vec::new() };
        let mut bench = Bench::with(JobSettings::default(), rules);
        let mut ids: Vec<String> = Vec::new();
        let mut finals: BTreeMap<String, String> = BTreeMap::new();
        let mut tokens: BTreeMap<u8, String> = BTreeMap::new();
        for step in steps {
            let id = |index: usize| ids.get(index % ids.len().max(1)).cloned().unwrap_or_default();
            match step {
                Step::Submit { token, content, min_clients } => {
                    let job = JobFolder::hello("j").meta("name", json!(content.to_string()));
                    let job = if min_clients == 0 { job.meta("min_clients", json!("2")) } else {
                        job.meta("min_clients", json!(min_clients))
                    };
                    let name = token.map(|token| format!("t{token}"));
                    if let Ok(submitted) = bench.try_submit(&job.zip(), name.as_deref()) {
                        if let Some(token) = token {
                            let first = tokens.entry(token).or_insert_with(|| submitted.job_id.clone());
                            prop_assert_eq!(first, &submitted.job_id);
                        }
                        if submitted.is_new {
                            ids.push(submitted.job_id);
                        }
                    }
                }
                Step::Abort(index) => drop(bench.abort(&id(index))),
                Step::Delete(index) => {
                    let id = id(index);
                    if let Deleted::Done { .. } = bench.jobs.delete(&id, &lead(), bench.now) {
                        finals.remove(&id);
                    }
                }
                Step::Clone(index) => {
                    ids.extend(bench.jobs.clone_job(&id(index), &lead(), bench.now, &mut bench.random));
                }
                Step::Pass(tenths) => bench.pass_time(f64::from(tenths) / 10.0),
                Step::Restart => bench.jobs.restart(bench.now),
                Step::Sites(mask) => {
                    let all = ["site-1", "site-2", "site-3"];
                    let sites = all.iter().enumerate().filter(|(index, _)| mask & (1 << index) != 0);
                    bench.world.sites = sites.map(|(_, name)| SiteView::new(name)).collect();
                    bench.jobs.sites_changed(bench.now);
                }
            }
            prop_assert!(bench.jobs.running().count() <= 4);
            for job in bench.jobs.store().iter() {
                let status = job.meta.status();
                let text = python_json(&Value::Object(job.meta.fields().clone()));
                if let Some(before) = finals.get(job.meta.job_id()) {
                    prop_assert_eq!(before, &text, "a finished job changed");
                } else if status.is_final() {
                    finals.insert(job.meta.job_id().to_owned(), text);
                }
                prop_assert!(job.meta.schedule().history.len() <= 11);
            }
        }
    }
}
