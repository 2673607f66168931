//! What holds whatever is done to jobs, and in whatever order.

use proptest::prelude::*;

use super::*;

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
