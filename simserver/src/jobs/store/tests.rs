//! Lists, against plain filtering and the recorded replies.

use std::time::Duration;

use flare_wire::hci::Reply;
use jiff::tz::Offset;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::jobs::meta::{Shown, Submission};
use crate::jobs::submitter::Submitter;
use crate::jobs::testing::{recorded, written};

const NOW: Moment = Moment::from_unix(Duration::from_secs(1_795_310_373));

fn content() -> Arc<JobContent> {
    Arc::new(JobContent { apps: BTreeMap::new(), is_unsafe: false })
}

fn job(id: &str, name: Value, user: &str, study: &str, seconds: u64) -> StoredJob<()> {
    let fields = json!({"name": name, "deploy_map": {"app": ["@ALL"]}});
    let submission = Submission {
        study: study.to_owned(),
        submitter: Submitter::new(user, "nvidia", "lead"),
        folder: "folder".to_owned(),
        custom_props: None,
        job_id: id.to_owned(),
    };
    let at = Moment::from_unix(Duration::from_secs(1_795_000_000 + seconds));
    let meta = JobMeta::submitted(fields.as_object().unwrap().clone(), &submission, at, Offset::UTC);
    StoredJob::new(meta, content(), ())
}

fn query() -> ListQuery {
    ListQuery { study: "default".to_owned(), ..ListQuery::default() }
}

fn ids(store: &JobStore<()>, query: &ListQuery) -> Vec<String> {
    match store.list(query).unwrap() {
        Listing::Jobs(jobs) => jobs.iter().map(|meta| meta.job_id().to_owned()).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_recorded_queue_is_listed_as_recorded() {
    let reply = &flare_fixtures::reply("queue.list_jobs").reply;
    let mut store = JobStore::new();
    for row in reply["meta"]["jobs"].as_array().unwrap() {
        let mut fields = json!({
            "name": row["job_name"], "study": row["study"], "job_id": row["job_id"], "status": row["status"],
            "submit_time_iso": row["submit_time"], "duration": row["duration"],
            "submit_time": crate::jobs::python::moment_of_iso(row["submit_time"].as_str().unwrap()).unwrap().as_secs_f64(),
        });
        if row["status"] == "RUNNING" {
            // The duration is the time that passed since the start.
            let (_, clock) = row["duration"].as_str().unwrap().rsplit_once(':').unwrap();
            let ran = Duration::from_secs_f64(clock.parse().unwrap());
            fields["start_time"] = json!(crate::jobs::python::iso_utc(NOW - ran));
        }
        let meta = JobMeta::restored(fields.as_object().unwrap().clone());
        assert!(store.insert(StoredJob::new(meta, content(), ())));
    }
    let mut listed = Reply::new();
    store.list(&ListQuery { reverse: true, limit: 3, ..query() }).unwrap().push_to(
        &mut listed,
        false,
        NOW,
        Shown::default(),
    );
    assert_eq!(written(&listed), recorded("queue.list_jobs"));
}

#[test]
fn nothing_to_list_is_said_in_two_ways() {
    let mut store = JobStore::new();
    let mut reply = Reply::new();
    store.list(&query()).unwrap().push_to(&mut reply, false, NOW, Shown::default());
    assert_eq!(written(&reply), recorded("list_jobs.empty"));
    store.insert(job("a", json!("n"), "u", "other", 1));
    assert_eq!(store.list(&query()).unwrap(), Listing::NoMatch);
    let mut reply = Reply::new();
    store.list(&query()).unwrap().push_to(&mut reply, true, NOW, Shown::default());
    assert_eq!(written(&reply), recorded("list_jobs.detail_nomatch"));
}

#[test]
fn negative_limits_leave_out_the_oldest() {
    let mut store = JobStore::new();
    for (index, id) in ["a", "b", "c"].into_iter().enumerate() {
        store.insert(job(id, json!("n"), "u", "default", index as u64));
    }
    assert_eq!(ids(&store, &ListQuery { limit: -1, ..query() }), ["b", "c"]);
    assert_eq!(ids(&store, &ListQuery { limit: -1, reverse: true, ..query() }), ["c", "b"]);
    assert_eq!(ids(&store, &ListQuery { limit: 2, ..query() }), ["b", "c"]);
    assert_eq!(ids(&store, &ListQuery { limit: 2, reverse: true, ..query() }), ["c", "b"]);
    assert_eq!(store.list(&ListQuery { limit: -3, ..query() }).unwrap(), Listing::Jobs(Vec::new()));
}

#[test]
fn a_name_that_is_no_text_breaks_every_list_until_it_is_gone() {
    let mut store = JobStore::new();
    store.insert(job("a", json!("n"), "u", "default", 1));
    store.insert(job("b", json!(5), "u", "other", 1));
    let error = store.list(&query()).unwrap_err();
    assert_eq!(error.to_string(), "AttributeError: 'int' object has no attribute 'lower'");
    store.remove("b");
    assert_eq!(ids(&store, &query()), ["a"]);
}

#[test]
fn changes_are_told_once() {
    let mut store = JobStore::new();
    store.insert(job("a", json!("n"), "u", "default", 1));
    assert!(!store.insert(job("a", json!("other"), "u", "default", 1)));
    assert_eq!(store.take_changed(), ["a"]);
    assert_eq!(store.take_changed(), [""; 0]);
    store.set_status("a", JobStatus::Dispatched, NOW);
    assert_eq!((store.waiting().count(), store.take_changed()), (0, vec!["a".to_owned()]));
}

#[test]
fn a_limit_or_a_prefix_looks_at_few_of_many_jobs() {
    let mut store = JobStore::new();
    for number in 0..20_000_u64 {
        let id = format!("{:08x}", number.wrapping_mul(2_654_435_761) & 0xffff_ffff);
        store.insert(job(&id, json!(format!("job-{}", number % 1000)), "u", "default", number));
    }
    assert_eq!(ids(&store, &ListQuery { limit: 10, ..query() }).len(), 10);
    let one = format!("{:08x}", 2_654_435_761_u64 & 0xffff_ffff);
    assert_eq!(ids(&store, &ListQuery { id_prefix: Some(one.to_uppercase()), ..query() }), [one]);
    let named = ListQuery { name_prefix: Some("JOB-999".to_owned()), limit: 3, ..query() };
    assert_eq!(ids(&store, &named).len(), 3);
    // A prefix that fits every job.
    assert_eq!(ids(&store, &ListQuery { name_prefix: Some("job".to_owned()), limit: 3, ..query() }).len(), 3);
}

proptest! {
    #[test]
    fn every_list_is_that_of_plain_filtering(
        jobs in prop::collection::vec(("[ab]{0,2}", "[ab]{0,2}", 0_u64..5, 0_u8..2, any::<bool>()), 0..40),
        id_prefix in prop::option::of("[abAB]{0,2}"),
        name_prefix in prop::option::of("[abAB]{0,2}"),
        submitter in prop::option::of(0_u8..2),
        reverse in any::<bool>(),
        limit in -3_i64..4,
    ) {
        let mut store = JobStore::new();
        let mut plain = Vec::new();
        for (number, (id, name, seconds, user, removed)) in jobs.into_iter().enumerate() {
            let id = format!("{id}{number}");
            store.insert(job(&id, json!(name), &format!("u{user}"), "default", seconds));
            if removed {
                store.remove(&id);
            } else {
                plain.push((seconds, number, id, name, format!("u{user}")));
            }
        }
        let query = ListQuery {
            id_prefix, name_prefix, submitter: submitter.map(|user| format!("u{user}")), reverse, limit, ..query()
        };
        let (id_prefix, name_prefix) = query.prefixes();
        plain.retain(|(_, _, id, name, user)| {
            id_prefix.as_ref().is_none_or(|prefix| id.starts_with(prefix))
                && name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix))
                && query.submitter.as_ref().is_none_or(|name| name == user)
        });
        plain.sort();
        let len = plain.len();
        let skip = match limit {
            0 => 0,
            1.. => len.saturating_sub(usize::try_from(limit).unwrap()),
            _ => len.min(usize::try_from(-limit).unwrap()),
        };
        let mut expected: Vec<String> = plain.into_iter().skip(skip).map(|(_, _, id, _, _)| id).collect();
        if reverse {
            expected.reverse();
        }
        prop_assert_eq!(ids(&store, &query), expected);
    }
}
