//! Passes over waiting jobs, against the histories of real ones.

use serde_json::{Value, json};

use super::*;
use crate::jobs::testing::recorded_meta;

/// Sites, those of them without resources, and the sites of studies.
struct Fixed {
    online: Vec<&'static str>,
    poor: Vec<(&'static str, &'static str)>,
    studies: Vec<(&'static str, Vec<&'static str>)>,
}

impl Fixed {
    fn online(sites: &[&'static str]) -> Self {
        Self { online: sites.to_vec(), poor: Vec::new(), studies: Vec::new() }
    }
}

impl Surroundings for Fixed {
    fn online_sites(&self) -> Vec<String> {
        self.online.iter().map(|site| (*site).to_owned()).collect()
    }

    fn enrolled_sites(&self, study: &str) -> Option<Vec<String>> {
        let (_, sites) = self.studies.iter().find(|(name, _)| *name == study)?;
        Some(sites.iter().map(|site| (*site).to_owned()).collect())
    }

    fn check_resources(&mut self, site: &str, _job: &JobMeta, requirement: &JsonObject) -> ResourceCheck {
        let reason = self.poor.iter().find(|(poor, _)| *poor == site).map(|(_, reason)| *reason);
        match reason {
            Some(reason) => ResourceCheck::NotEnough(reason.to_owned()),
            None if requirement.contains_key("num_of_gpus") => ResourceCheck::NotEnough(String::new()),
            None => ResourceCheck::Enough,
        }
    }
}

/// The settings of the recorded system.
const RECORDED: SchedulerPolicy = SchedulerPolicy {
    max_jobs: 2,
    max_schedule_count: 10,
    min_schedule_interval: Duration::from_secs(2),
    max_schedule_interval: Duration::from_secs(5),
};

fn meta(fields: Value) -> JobMeta {
    let mut all = json!({"job_id": "j", "status": "SUBMITTED", "submit_time": 1.0});
    all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    JobMeta::restored(all.as_object().unwrap().clone())
}

fn at(seconds: u64) -> Moment {
    Moment::from_unix(Duration::from_secs(1_795_308_752 + seconds))
}

/// What the history of a recorded job would be, time by time, without the clock times.
fn results(schedule: &Schedule) -> Vec<&str> {
    schedule.history.iter().map(|line| &line[21..]).collect()
}

/// Runs a pass every second until the job is given up on or starts.
fn until_decided(mut meta: JobMeta, surroundings: &mut Fixed) -> Schedule {
    for second in 0..200 {
        let pass = run_pass(&RECORDED, [&meta], surroundings, at(second), Offset::UTC);
        if let Some(attempted) = pass.attempted.first() {
            meta.set_schedule(&attempted.schedule);
            if attempted.given_up {
                return attempted.schedule.clone();
            }
        }
        if let Some(ready) = pass.ready {
            return ready.schedule;
        }
    }
    meta.schedule()
}

#[test]
fn hopeless_jobs_get_the_recorded_history() {
    for case in ["mandatory", "mandres", "needall", "nores", "offline"] {
        let recorded = JobMeta::restored(recorded_meta(&format!("get_job_meta.cant_schedule.{case}")));
        let mut fresh = recorded.fields().clone();
        for key in ["schedule_count", "last_schedule_time", "schedule_history"] {
            fresh.shift_remove(key);
        }
        let mut sites = Fixed::online(&["site-1", "site-2", "site-3"]);
        let decided = until_decided(JobMeta::restored(fresh), &mut sites);
        assert_eq!(results(&decided), results(&recorded.schedule()), "{case}");
        assert_eq!((decided.count, decided.history.len()), (11, 11), "{case}");
    }
}

#[test]
fn pauses_double_up_to_the_limit() {
    let policy = SchedulerPolicy::default();
    let pauses: Vec<u64> = (1..10)
        .map(|count| policy.due(&Schedule { count, last: at(0), history: Vec::new() }).since(at(0)).as_secs())
        .collect();
    assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
    assert_eq!(policy.due(&Schedule::default()), Moment::default());
    assert_eq!(policy.due(&Schedule { count: 10, last: at(0), history: Vec::new() }), Moment::default());
}

#[test]
fn a_site_that_left_the_study_ends_the_waiting() {
    let recorded = JobMeta::restored(recorded_meta("study.get_job_meta.site_removed"));
    let mut sites = Fixed::online(&["site-1"]);
    sites.studies = vec![("s1", vec!["site-2"])];
    let fields = json!({"study": "s1", "deploy_map": {"app": ["server", "site-1"]}});
    let pass = run_pass(&RECORDED, [&meta(fields)], &mut sites, at(0), Offset::UTC);
    assert!(pass.attempted[0].given_up);
    assert_eq!(results(&pass.attempted[0].schedule), results(&recorded.schedule())[4..]);
}

#[test]
fn a_text_as_min_clients_stalls_the_queue_behind_it() {
    let earlier = meta(json!({"job_id": "a", "deploy_map": {"app": ["server", "site-9"]}}));
    let poison = meta(json!({"job_id": "b", "deploy_map": {"app": ["@ALL"]}, "min_clients": "2"}));
    let later = meta(json!({"job_id": "c", "deploy_map": {"app": ["@ALL"]}}));
    let mut sites = Fixed::online(&["site-1", "site-2"]);
    let pass = run_pass(&RECORDED, [&earlier, &poison, &later], &mut sites, at(0), Offset::UTC);
    assert_eq!(pass.stalled.as_deref(), Some("b"));
    assert_eq!((pass.attempted.len(), pass.ready), (1, None));
    let pass = run_pass(&RECORDED, [&earlier, &later], &mut sites, at(0), Offset::UTC);
    assert_eq!(pass.ready.unwrap().job_id, "c");
}

#[test]
fn a_job_runs_on_the_sites_that_have_resources() {
    let fields = json!({"deploy_map": {"a": ["server", "site-1"], "b": ["site-2", "site-3"]}, "min_clients": 2});
    let mut sites = Fixed::online(&["site-1", "site-2", "site-3"]);
    sites.poor = vec![("site-2", "busy")];
    let ready = run_pass(&RECORDED, [&meta(fields.clone())], &mut sites, at(0), Offset::UTC).ready.unwrap();
    let assigned: Vec<(&str, &str)> = ready.sites.iter().map(|site| (site.site.as_str(), site.app.as_str())).collect();
    assert_eq!(assigned, [("site-1", "a"), ("site-3", "b")]);
    assert_eq!(ready.schedule.history, ["2026-11-22 00:52:32: scheduled"]);
    sites.poor.push(("site-1", ""));
    let pass = run_pass(&RECORDED, [&meta(fields)], &mut sites, at(0), Offset::UTC);
    assert_eq!(
        results(&pass.attempted[0].schedule),
        ["not enough sites have enough resources (ok sites 1 < min sites 2). Details: site-2: busy"]
    );
}

#[test]
fn other_results_have_the_words_of_the_source() {
    for (fields, result, given_up) in [
        (json!({"deploy_map": {}}), "no deploy map", true),
        (json!({"deploy_map": {"a": ["@ALL"]}, "mandatory_clients": "x"}), "required sites must be a list", true),
        (json!({"deploy_map": {"a": ["@ALL"]}, "mandatory_clients": [1]}), "invalid required site '1'", true),
        (json!({"deploy_map": {"a": ["server"]}, "min_clients": null}), "error checking resources", false),
        (json!({"deploy_map": {"a": ["@ALL"]}, "min_clients": 1.5}), "connected sites (1) < min_sites (1.5)", false),
    ] {
        let mut sites = Fixed::online(&["site-1"]);
        let pass = run_pass(&RECORDED, [&meta(fields)], &mut sites, at(0), Offset::UTC);
        assert_eq!(results(&pass.attempted[0].schedule), [result]);
        assert_eq!(pass.attempted[0].given_up, given_up);
    }
}
