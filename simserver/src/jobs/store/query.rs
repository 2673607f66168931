//! What a list asks for, and what it shows.

use flare_wire::Moment;
use flare_wire::hci::{Reply, Table, python_json_indented};
use serde_json::Value;

use crate::jobs::meta::{JobMeta, Shown};

/// Columns of a list.
const HEADERS: [&str; 5] = ["Job ID", "Name", "Status", "Submit Time", "Run Duration"];

/// The options of `list_jobs`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListQuery {
    /// Study of the session.
    pub study: String,
    /// Start of the id, in any case.
    pub id_prefix: Option<String>,
    /// Start of the name, in any case; jobs without a name of their own have none.
    pub name_prefix: Option<String>,
    /// Name of the submitter.
    pub submitter: Option<String>,
    /// Newest first.
    pub reverse: bool,
    /// Only that many of the newest; 0 is no limit, a negative number leaves out that many of the oldest.
    pub limit: i64,
}

impl ListQuery {
    /// The options in the form in which they are compared; empty prefixes ask for nothing.
    pub(super) fn prefixes(&self) -> (Option<String>, Option<String>) {
        let lower = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(str::to_lowercase);
        (lower(&self.id_prefix), lower(&self.name_prefix))
    }
}

/// What a list shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Listing<'a> {
    /// There are no jobs, in any study.
    NoJobs,
    /// No job is as asked for.
    NoMatch,
    /// These, in order; empty when a negative limit leaves out all of them.
    Jobs(Vec<&'a JobMeta>),
}

impl Listing<'_> {
    /// Adds the list to a reply; `detailed` shows whole metas.
    pub fn push_to(&self, reply: &mut Reply, detailed: bool, now: Moment, shown: Shown) {
        let nothing = |reply: &mut Reply, text: &str| {
            reply.set_status(&flare_wire::hci::MetaStatus::Ok, "");
            reply.set_meta("jobs", Value::Array(Vec::new()));
            reply.push_string(text);
        };
        match self {
            Self::NoJobs => {
                nothing(reply, "No jobs found.");
                reply.push_success("");
            }
            // Without a success item, unlike the other.
            Self::NoMatch => nothing(reply, "No jobs matching the specified criteria."),
            Self::Jobs(jobs) if detailed => {
                let metas: Vec<Value> = jobs.iter().map(|meta| Value::Object(meta.detailed(now, shown))).collect();
                for meta in &metas {
                    reply.push_string(python_json_indented(meta, 4));
                }
                reply.push_string("");
                reply.set_status(&flare_wire::hci::MetaStatus::Ok, "");
                reply.set_meta("jobs", Value::Array(metas));
                reply.push_success("");
            }
            Self::Jobs(jobs) => {
                let mut table = Table::named("jobs", HEADERS);
                for meta in jobs {
                    table.row_with_meta(meta.row(now), meta.row_meta(now, shown));
                }
                reply.push_table(table);
                reply.push_success("");
            }
        }
    }
}
