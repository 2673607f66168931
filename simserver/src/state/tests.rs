use std::sync::Arc;

use super::*;
use crate::jobs::behaviour::{WorkspaceEntry, WorkspaceFile};
use crate::jobs::content::{AppContent, JobContent};
use crate::jobs::meta::JobMeta;
use crate::jobs::signature::Trust;
use crate::jobs::submitter::Submitter;

fn job(job_id: &str, archive: Blob) -> StoredJob<Blob> {
    let meta = serde_json::json!({"name": "n", "job_id": job_id, "status": "SUBMITTED", "odd": [1.5, null, "ü"]});
    let app = AppContent {
        trust: Trust::Signed(vec![Submitter::new("a@b.c", "o", "lead")]).into(),
        has_custom_code: true,
        server_config: Some(serde_json::json!({"workflows": []})),
        client_config: None,
        custom_classes: vec!["m.C".into()],
        files: vec![("n/app/x".into(), "x".into())],
    };
    let content = JobContent { apps: [("app".to_owned(), app)].into(), is_unsafe: false };
    let workspace = vec![
        WorkspaceEntry { path: "log.txt".into(), file: WorkspaceFile::Bytes(vec![0, 255, 10]) },
        WorkspaceEntry { path: "app".into(), file: WorkspaceFile::Member("n/app/x".into()) },
    ];
    let meta = JobMeta::restored(meta.as_object().unwrap().clone());
    let mut job = StoredJob::new(meta, Arc::new(content), archive);
    job.details_mut().workspace = Some(workspace);
    job.details_mut().components = [("ERRORLOG_site-1".to_owned(), vec![0, 255])].into();
    job
}

fn upload(store: &StateStore, name: &str) -> Blob {
    let file = tempfile::NamedTempFile::new_in(store.incoming()).unwrap().into_temp_path();
    fs::write(&file, name).unwrap();
    store.adopter().adopt(file, name).unwrap()
}

fn put(store: &mut StateStore, job: &StoredJob<Blob>) {
    store.write(&Changes { jobs: vec![(job.meta.job_id(), Some(job))], ..Changes::default() }).unwrap();
}

fn delete(store: &mut StateStore, job_id: &str) {
    store.write(&Changes { jobs: vec![(job_id, None)], ..Changes::default() }).unwrap();
}

fn archives(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = entries(&directory.join("archives"))
        .unwrap()
        .into_iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn jobs_come_back_as_they_were_and_clones_share_their_archive() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, found) = StateStore::open(directory.path()).unwrap();
    assert!(found.jobs.is_empty() && found.records.is_empty() && found.starts == 0);
    let one = job("1", upload(&store, "archive"));
    let clone = job("2", one.archive.clone());
    put(&mut store, &one);
    put(&mut store, &clone);
    // Once more, as when its status changes.
    put(&mut store, &one);
    drop((store, clone));

    let (mut store, found) = StateStore::open(directory.path()).unwrap();
    assert_eq!((&found.jobs[0], found.starts), (&one, 1));
    assert_eq!((found.jobs.len(), found.jobs[1].archive.path()), (2, one.archive.path()));
    drop((found, one));
    delete(&mut store, "1");
    assert_eq!(archives(directory.path()), ["archive"], "the clone needs it");
    delete(&mut store, "2");
    assert!(archives(directory.path()).is_empty());
}

#[test]
fn what_no_job_refers_to_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, _) = StateStore::open(directory.path()).unwrap();
    drop(upload(&store, "refused"));
    assert!(archives(directory.path()).is_empty(), "a refused upload goes with its handle");
    let kept = job("1", upload(&store, "kept"));
    put(&mut store, &kept);
    drop(kept);
    fs::write(directory.path().join("archives/of-a-killed-process"), "").unwrap();
    fs::create_dir(directory.path().join("incoming/of-a-killed-process")).unwrap();
    drop(store);
    let (store, _) = StateStore::open(directory.path()).unwrap();
    assert_eq!(archives(directory.path()), ["kept"]);
    assert!(entries(&store.incoming()).unwrap().is_empty());
}

#[test]
fn submit_records_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, _) = StateStore::open(directory.path()).unwrap();
    let record = serde_json::json!({
        "schema_version": 1, "state": "created", "submit_token": "t", "job_id": "1", "study": "default",
        "submitter_name": "a@b.c", "submitter_org": "o", "submitter_role": "lead", "job_name": "n",
        "job_folder_name": "n", "job_content_hash": "sha256:0", "submit_time": "now",
    });
    let record = SubmitRecord::from_json(record.as_object().unwrap()).unwrap();
    store.write(&Changes { records: vec![&record], ..Changes::default() }).unwrap();
    drop(store);
    assert_eq!(StateStore::open(directory.path()).unwrap().1.records, [record]);
}

#[test]
fn registries_come_back_and_one_that_was_removed_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, found) = StateStore::open(directory.path()).unwrap();
    assert!(found.studies.is_none() && found.disabled.is_none(), "nothing was ever changed");
    let studies = r#"{"format_version": "1.0", "studies": {"trial": {"admins": ["a@b.c"], "site_orgs": {}}}}"#;
    let disabled = r#"{"disabled_clients": ["site-2"]}"#;
    let files = vec![(STUDY_REGISTRY, Some(studies.to_owned())), (DISABLED_CLIENTS, Some(disabled.to_owned()))];
    store.write(&Changes { files, ..Changes::default() }).unwrap();
    drop(store);
    let (mut store, found) = StateStore::open(directory.path()).unwrap();
    assert_eq!(found.disabled, Some(vec!["site-2".to_owned()]));
    assert_eq!(found.studies.unwrap().study("trial").unwrap().users, ["a@b.c"]);
    store.write(&Changes { files: vec![(STUDY_REGISTRY, None)], ..Changes::default() }).unwrap();
    drop(store);
    let (_, found) = StateStore::open(directory.path()).unwrap();
    assert!(found.studies.is_none() && found.disabled.is_some());
}

#[test]
fn two_servers_cannot_share_a_directory_and_damage_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = StateStore::open(directory.path()).unwrap();
    assert!(matches!(StateStore::open(directory.path()), Err(StateError::Store { .. })));
    let transaction = store.database.begin_write().unwrap();
    transaction.open_table(JOBS).unwrap().insert("7", b"{".as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(store);
    let error = StateStore::open(directory.path()).map(drop).unwrap_err();
    assert!(error.to_string().starts_with("job 7 in "), "{error}");
}

#[test]
fn what_an_earlier_version_kept_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = StateStore::open(directory.path()).unwrap();
    let archive = upload(&store, "kept");
    archive.retain();
    let whole_jobs: TableDefinition<'_, &str, &[u8]> = TableDefinition::new(WHOLE_JOBS);
    let transaction = store.database.begin_write().unwrap();
    transaction.open_table(whole_jobs).unwrap().insert("id", b"{}".as_slice()).unwrap();
    transaction.commit().unwrap();
    drop((store, archive));
    let before = archives(directory.path());
    let error = StateStore::open(directory.path()).err().unwrap();
    assert!(matches!(error, StateError::Outdated { .. }), "{error}");
    assert_eq!(archives(directory.path()), before);
}
