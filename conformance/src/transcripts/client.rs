//! A client that says to a simulator what the recorded one said, and compares the replies.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use flare_wire::cell::{Headers, Payload};
use flare_wire::hci::split_line;
use flare_wire::redact::Redactor;
use serde_json::Value;

use super::extract::OwnNames;
use super::legend::{put_back, put_back_in};
use super::model::{Exchange, Transcript};
use crate::diff::{References, allowances_of};
use crate::raw::Admin;
use crate::{CaseResult, Finding, Target};

/// Cases whose replies tell of what the recorded server had been through before.
const OF_THEIR_OWN: &[(&str, &str)] = &[
    ("api.session.timeout", "the recorded sites were too late for a very short timeout, simulated ones are not"),
    ("api.shell.logs", "the lines of logs are those of the recorded server's own start"),
    ("api.shell.ls", "the recorded server had files of what was done on it before"),
];

/// Says everything in a transcript to `target`.
///
/// # Errors
/// Unsupported for what cannot be said again; fails when a reply is another one.
pub(super) async fn replay(transcript: &Transcript, target: &Target, own: &OwnNames) -> CaseResult {
    let is_about_jobs = |exchange: &Exchange| exchange.upload || exchange.reply.pointer("/meta/job_meta").is_some();
    if transcript.exchanges.iter().any(is_about_jobs) {
        return Err(Finding::unsupported(
            "it is about submitted jobs, which are signed with keys that are not recorded",
        ));
    }
    if let Some((_, reason)) = OF_THEIR_OWN.iter().find(|(case, _)| *case == transcript.case) {
        return Err(Finding::untestable(*reason));
    }
    let mut admins: BTreeMap<&str, Admin> = BTreeMap::new();
    let mut references = References::default();
    let mut redactor = Redactor::new();
    for exchange in &transcript.exchanges {
        let admin = match admins.entry(&exchange.user) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let kit = target.admins().iter().find(|kit| kit.user == exchange.user);
                let kit = kit.ok_or_else(|| Finding::untestable(format!("the target lacks {}", exchange.user)))?;
                entry.insert(Admin::login(kit).await?)
            }
        };
        let line = references.translated(&put_back(&transcript.legend, &exchange.command));
        let reply = admin.command_with(&line, exchange.meta.clone()).await?;
        let observed = redactor.message(&Headers::new(), &Payload::text(&reply.to_json())).body.unwrap_or_default();
        let observed = own.hide_in(&observed);
        let recorded: Value = put_back_in(&transcript.legend, &exchange.reply);
        let allowances = allowances_of(split_line(&line).name());
        let differences = references.differences(&recorded, &observed, &allowances);
        if !differences.is_empty() {
            let what = format!("reply to `{line}` of {}: {}", exchange.user, differences.join("; "));
            return Err(Finding::differs(what, recorded.to_string(), observed.to_string()));
        }
    }
    Ok(())
}
