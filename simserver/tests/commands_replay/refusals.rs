//! Recordings of commands that are not simulated: what they refuse before they would run is refused in the same
//! words, and everything else is said not to be simulated.

use std::panic::{AssertUnwindSafe, catch_unwind};

use flare_fixtures::{RecordedReply, replies};
use flare_wire::hci::MetaStatus;
use serde_json::{Value, json};

use crate::federation::{Federation, SITES, config};
use crate::{clients, concerns_us, jobs, normal, replay, setup, studies, submissions};

/// Recordings that are not compared, by the start of their names, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("delete_job.org_admin_other_submitter", "the job was submitted by somebody else"),
    ("download_job.badserver", "the job ran"),
];

#[test]
fn what_other_commands_refuse_is_refused_in_the_same_words() {
    let (mut same, mut not_simulated, mut different) = (0, 0, Vec::new());
    for recorded in replies().iter().filter(|recorded| !concerns_us(recorded)) {
        let one_reply = recorded.reply.is_object() && recorded.sent_as.as_deref() == Some("request");
        let Some(line) = recorded.command.as_deref().filter(|_| one_reply) else { continue };
        let is_left_out = LEFT_OUT.iter().any(|(start, _)| recorded.name.starts_with(start));
        let is_replayed = jobs::is_replayed(&recorded.name)
            || submissions::is_replayed(&recorded.name)
            || studies::is_replayed(recorded)
            || clients::is_replayed(recorded);
        if is_left_out || is_replayed {
            continue;
        }
        let mut federation = federation(recorded);
        let token = federation.login(&recorded.user, &recorded.study);
        let reply = federation.send(line, &token);
        if reply.to_json().contains("not modelled by flare-simserver: ") {
            assert_eq!(reply.status(), Some(MetaStatus::Error));
            not_simulated += 1;
        } else if catch_unwind(AssertUnwindSafe(|| replay::compare(recorded, &reply, &federation))).is_ok() {
            same += 1;
        } else {
            different.push(recorded.name.as_str());
        }
    }
    assert_eq!(different, Vec::<&str>::new());
    // Changes when commands are simulated that were not.
    assert_eq!((same, not_simulated), (129, 8));
}

/// All sites, both studies, and the job that the command names, unless it is said not to be there.
fn federation(recorded: &RecordedReply) -> Federation {
    let now = normal::time_of(&recorded.reply);
    let mut names: Vec<&str> =
        SITES.iter().map(|(name, _)| *name).filter(|site| setup::is_there(recorded, site)).collect();
    if recorded.command.as_deref() == Some("cells") {
        // Cells are shown in the order in which they connected.
        let shown = recorded.reply["data"].to_string();
        names.sort_by_key(|name| shown.find(&format!("\"{name}\"")));
    }
    let mut config = config(&names, now);
    config.studies = Some(setup::registry(&setup::studies_json()));
    let id = recorded.command.as_deref().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_lowercase();
    let no_such_job = recorded.reply["data"].to_string().contains(&format!("no such job: {id}"));
    if !no_such_job {
        let mut meta = setup::full_meta(&id, None).unwrap_or_default();
        meta.insert("job_id".to_owned(), id.as_str().into());
        meta.insert("study".to_owned(), recorded.study.as_str().into());
        let lead2 = recorded.user == "lead2@nvidia.com";
        let lead =
            if lead2 && recorded.reply["meta"]["status"] == "ok" { "lead2@nvidia.com" } else { "lead@nvidia.com" };
        meta.entry("submitter_name").or_insert_with(|| json!(lead));
        meta.entry("submitter_org").or_insert_with(|| json!("nvidia"));
        meta.entry("status").or_insert(Value::from("FINISHED:COMPLETED"));
        config.jobs = vec![meta];
    }
    Federation::start(config, 9, now)
}
