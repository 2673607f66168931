//! Tokens over submissions, deletions and crashes.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::jobs::testing::{recorded, written};

const NOW: Moment = Moment::from_unix(Duration::from_micros(1_795_309_462_177_388));

fn claim(study: &str, role: &str, token: &str, content: &str) -> TokenClaim {
    TokenClaim {
        scope: Scope {
            study: study.to_owned(),
            submitter: Submitter::new("lead@nvidia.com", "nvidia", role),
            token: SubmitToken::new(token).unwrap(),
        },
        content_hash: format!("sha256:{content}"),
        job_name: json!("nores"),
        job_folder_name: "nores".to_owned(),
    }
}

fn submit(
    records: &mut SubmitRecords,
    random: &mut Randomness,
    claim: TokenClaim,
    exists: bool,
) -> Result<Claimed, TokenRefusal> {
    let scope = claim.scope.clone();
    let claimed = records.claim(claim, NOW, Offset::UTC, random, |_| exists)?;
    if matches!(claimed, Claimed::Create(_)) {
        records.confirm(&scope);
    }
    Ok(claimed)
}

#[test]
fn tokens_have_the_shape_of_the_real_server() {
    assert!(SubmitToken::new(&"a".repeat(128)).is_ok() && SubmitToken::new("a:b.c_d-1").is_ok());
    let recorded = flare_fixtures::reply("submit_job.bad_token");
    for bad in ["", "a/b", "ä", &"a".repeat(129), "a\n"] {
        assert_eq!(SubmitToken::new(bad).unwrap_err().to_string(), recorded.reply["meta"]["info"]);
    }
}

#[test]
fn one_scope_and_content_is_one_job() {
    let (mut records, mut random) = (SubmitRecords::new(), Randomness::from_number(1));
    let Claimed::Create(id) = submit(&mut records, &mut random, claim("default", "lead", "t", "1"), false).unwrap()
    else {
        panic!("not created");
    };
    let again = submit(&mut records, &mut random, claim("default", "lead", "t", "1"), true);
    assert_eq!(again, Ok(Claimed::Existing(id.clone())));
    let conflict = submit(&mut records, &mut random, claim("default", "lead", "t", "2"), true);
    assert_eq!(conflict, Err(TokenRefusal::Conflict { job_id: Some(id) }));
    for other in
        [claim("s2", "lead", "t", "1"), claim("default", "member", "t", "1"), claim("default", "lead", "u", "1")]
    {
        assert!(matches!(submit(&mut records, &mut random, other, false), Ok(Claimed::Create(_))));
    }
}

#[test]
fn refusals_are_those_recorded() {
    let job_id = Some("772d29ae-246f-4f16-beb6-02e5449d55ae".to_owned());
    let mut reply = Reply::new();
    TokenRefusal::Conflict { job_id: job_id.clone() }.push_to(&mut reply);
    assert_eq!(written(&reply), recorded("submit_token.different_content"));
    let mut reply = Reply::new();
    TokenRefusal::JobDeleted { job_id, deleted_time: Some("2026-11-22T01:04:22.177388+00:00".into()) }
        .push_to(&mut reply);
    assert_eq!(written(&reply), recorded("submit_token.after_delete"));
}

#[test]
fn a_deleted_job_leaves_a_tombstone_for_any_content() {
    let (mut records, mut random) = (SubmitRecords::new(), Randomness::from_number(1));
    let first = claim("default", "lead", "t", "1");
    let Claimed::Create(id) = submit(&mut records, &mut random, first.clone(), false).unwrap() else { panic!() };
    assert_eq!(records.job_of(&first.scope), Ok(Some(id.as_str())));
    let by = Submitter::new("admin@nvidia.com", "nvidia", "project_admin");
    assert_eq!(records.mark_deleted(&id, &by, NOW).len(), 1);
    assert_eq!(records.mark_deleted(&id, &by, NOW).len(), 0);
    let refusal = TokenRefusal::JobDeleted {
        job_id: Some(id),
        deleted_time: Some("2026-11-22T01:04:22.177388+00:00".to_owned()),
    };
    assert_eq!(records.job_of(&first.scope), Err(refusal.clone()));
    for content in ["1", "2"] {
        let again = submit(&mut records, &mut random, claim("default", "lead", "t", content), false);
        assert_eq!(again, Err(refusal.clone()));
    }
}

#[test]
fn a_record_whose_job_was_never_written_is_repaired_under_its_id() {
    let (mut records, mut random) = (SubmitRecords::new(), Randomness::from_number(1));
    let first = claim("default", "lead", "t", "1");
    let Ok(Claimed::Create(id)) = records.claim(first.clone(), NOW, Offset::UTC, &mut random, |_| false) else {
        panic!();
    };
    assert_eq!(records.get(&first.scope).unwrap().state, RecordState::Creating);
    let again = submit(&mut records, &mut random, first.clone(), false);
    assert_eq!(again, Ok(Claimed::Create(id)));
    assert_eq!(records.get(&first.scope).unwrap().state, RecordState::Created);
}

#[test]
fn a_record_is_kept_in_the_form_of_the_real_server() {
    let (mut records, mut random) = (SubmitRecords::new(), Randomness::from_number(1));
    let first = claim("default", "lead", "t", "1");
    let Ok(Claimed::Create(id)) = submit(&mut records, &mut random, first.clone(), false) else { panic!() };
    records.mark_deleted(&id, &Submitter::new("a", "b", "c"), NOW);
    let record = records.get(&first.scope).unwrap();
    let keys: Vec<String> = record.to_json().keys().cloned().collect();
    assert_eq!(
        keys.join(" "),
        "schema_version state submit_token job_id study submitter_name submitter_org submitter_role job_name \
         job_folder_name job_content_hash submit_time deleted_time deleted_by"
    );
    assert_eq!(SubmitRecord::from_json(&record.to_json()).as_ref(), Some(record));
    let mut restored = SubmitRecords::new();
    restored.restore(record.clone());
    assert!(restored.job_of(&first.scope).is_err());
}

#[test]
fn a_record_lies_where_the_real_server_puts_it() {
    // `submit_record_scope_hashes` of nvflare 2.9.0.
    let path = claim("default", "lead", "tok-1", "1").scope.path();
    assert_eq!(
        path,
        "1080a60800d9e5bddc69f51489c636a776bacaadb5368f46db4aa0947c67e3ba/6a1af6b5638034fcf53557be00d51093b26ae1f469b4e35647ed91aeeb75ff5b/d15991e448d1713bfd6a85d823f6acd8ad8d5032807de9347f76695d0a65321e"
    );
}

proptest! {
    #[test]
    fn a_token_never_stands_for_two_jobs(steps in prop::collection::vec((0_u8..3, 0_u8..2, 0_u8..4), 1..60)) {
        let (mut records, mut random) = (SubmitRecords::new(), Randomness::from_number(7));
        let mut alive: Vec<String> = Vec::new();
        let mut first: BTreeMap<u8, String> = BTreeMap::new();
        for (token, content, action) in steps {
            let claim = claim("default", "lead", &format!("t{token}"), &content.to_string());
            if action == 0 {
                if let Some(id) = first.get(&token) {
                    records.mark_deleted(id, &Submitter::default(), NOW);
                    alive.retain(|alive| alive != id);
                }
                continue;
            }
            let scope = claim.scope.clone();
            match records.claim(claim, NOW, Offset::UTC, &mut random, |id| alive.iter().any(|alive| alive == id)) {
                Ok(Claimed::Create(id)) => {
                    // A crash in between leaves the record unconfirmed and the job unwritten.
                    if action != 1 {
                        alive.push(id.clone());
                        records.confirm(&scope);
                    }
                    prop_assert_eq!(first.entry(token).or_insert_with(|| id.clone()), &id);
                }
                Ok(Claimed::Existing(id)) => prop_assert_eq!(first.get(&token), Some(&id)),
                Err(TokenRefusal::Conflict { job_id } | TokenRefusal::JobDeleted { job_id, .. }) => {
                    prop_assert_eq!(first.get(&token), job_id.as_ref());
                }
            }
        }
    }
}
