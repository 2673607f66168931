//! Commands: the line that is sent, and how its reply is read. Pure: nothing here talks to a server.

mod clients;
mod job_control;
mod job_logs;
mod job_run;
mod jobs;
mod line;
mod login;
#[cfg(test)]
mod repeats;
mod shell;
mod sites;
mod studies;
mod system;
mod touch;
mod transfer;

pub(crate) use clients::{AdmitClient, ConfigureSiteLog, RemoveClient, Restart, Shutdown, SiteTokens};
pub(crate) use job_control::{AbortJob, CloneJob, DeleteJob, ListJobComponents};
pub(crate) use job_logs::{ConfigureJobLog, GetJobLog};
pub(crate) use job_run::{AppCommand, ResetErrors, ShowErrors, ShowStats};
pub(crate) use jobs::{GetJobMeta, ListJobs, ListJobsDetailed};
pub(crate) use line::Line;
pub(crate) use login::{CertLogin, Commands, Logout};
pub(crate) use shell::{Grep, List, PrintDirectory, Read, ReadCommand};
pub(crate) use sites::{ClientJobStatus, ReportEnvironment, ReportResources, ReportVersion};
pub(crate) use studies::{
    AddStudySite, AddStudyUser, ListStudies, RegisterStudy, RemoveStudy, RemoveStudySite, RemoveStudyUser, ShowStudy,
};
pub(crate) use system::{CheckStatus, GetSystemInfo};
pub(crate) use touch::Touch;
pub(crate) use transfer::{DownloadComponents, DownloadJob, DownloadOffer, OfferedFile, submit_line, submitted};

use flare_wire::hci::{Item, JsonObject, Reply};
use serde_json::Value;

use crate::{Error, ErrorKind};

/// One command of the server.
pub(crate) trait Command {
    /// What the reply becomes.
    type Output;

    /// Whether running it twice does no more than running it once. Only such a command is sent again when the connection
    /// broke before its reply arrived: another one may have been carried out, and nobody could tell.
    const REPEATABLE: bool;

    /// Whether request and reply travel as streams, as the official client sends all of its commands, or as one plain
    /// message each, which servers of all releases take as well. A plain exchange has half as many messages (measured
    /// on a 2.9.0 server: 1.6 ms instead of 3.7 ms); a stream has no upper limit, and its timeout counts from the last
    /// chunk that moved. So whatever can grow large is streamed.
    const STREAMED: bool = false;

    /// The line to send.
    fn line(&self) -> Line;

    /// Settings that go with the line.
    fn meta(&self) -> JsonObject {
        JsonObject::new()
    }

    /// Makes the result of a reply that was not a refusal.
    ///
    /// # Errors
    /// [`ErrorKind::ProtocolViolation`] when the reply lacks what the command is for.
    fn read(&self, reply: Reply) -> Result<Self::Output, Error>;
}

/// The error for a reply that lacks its essential part.
fn missing(what: &str) -> Error {
    Error::new(ErrorKind::ProtocolViolation, format!("the reply holds no {what}"))
}

/// The first `dict` item.
fn first_dict(reply: Reply) -> Option<JsonObject> {
    reply.data.into_iter().find_map(|item| match item {
        Item::Dict(object) => Some(object),
        _ => None,
    })
}

/// The rows of the first table, without its header.
fn first_table(reply: &Reply) -> Option<&[Vec<Option<String>>]> {
    reply.data.iter().find_map(|item| match item {
        Item::Table(rows) => rows.get(1..),
        _ => None,
    })
}

/// All `string` items, one after the other.
fn all_text(reply: Reply) -> String {
    reply
        .data
        .into_iter()
        .filter_map(|item| match item {
            Item::String(text) => Some(text),
            _ => None,
        })
        .collect()
}

/// The objects of a list in `meta`; what is no object is passed over.
fn objects(list: Option<Value>) -> Vec<JsonObject> {
    let Some(Value::Array(items)) = list else { return Vec::new() };
    items
        .into_iter()
        .filter_map(|item| match item {
            Value::Object(object) => Some(object),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod recorded {
    //! Reading what a real server once answered.

    use flare_fixtures::reply as recorded;
    use flare_wire::hci::Reply;

    use super::Command;
    use crate::{Error, verdict};

    /// Reads the recorded reply `name` with `command`, after checking that its line is what was recorded.
    pub(crate) fn read<C: Command>(command: &C, name: &str) -> Result<C::Output, Error> {
        let recorded = recorded(name);
        assert_eq!(Some(command.line().as_str()), recorded.command.as_deref(), "line of {name}");
        read_any(command, name)
    }

    /// As [`read`], for a line that the official client writes in another, equivalent way.
    pub(crate) fn read_any<C: Command>(command: &C, name: &str) -> Result<C::Output, Error> {
        let reply = Reply::parse(&recorded(name).reply.to_string()).unwrap();
        command.read(verdict::of_reply(reply)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::model::{JobId, JobQuery, SiteName, StudyName, StudySites, Targets};
    use crate::verdict;

    /// The names that readers look for, so that random replies get past the first look.
    const KEYS: &str = "status|info|jobs|job_meta|clients|client_status|server_status|server_start_time|studies|identity|\
                        duration|submit_time|client_name|x";

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(|number| json!(number)),
            any::<i64>().prop_map(Value::from),
            "ok|error|REJECT.*|AUTH_.*|[0-9:. -]{0,12}|.*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((KEYS, inner), 0..5).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    fn item() -> impl Strategy<Value = Value> {
        ("string|success|error|dict|table|token|shutdown|x", value())
            .prop_map(|(kind, value)| json!({"type": kind, "data": value, "rows": value}))
    }

    proptest! {
        #[test]
        fn no_reply_makes_a_reader_panic(
            items in prop::collection::vec(item(), 0..4),
            meta in prop::collection::vec((KEYS, value()), 0..5),
        ) {
            let meta: JsonObject = meta.into_iter().collect();
            let reply = Reply::parse(&json!({"data": items, "meta": meta}).to_string()).unwrap();
            // The readers have to stand also what the verdict would have stopped.
            let _ = verdict::of_reply(reply.clone());
            let (query, targets) = (JobQuery::new(), Targets::All);
            let _ = ListJobs(&query).read(reply.clone());
            let _ = ListJobsDetailed(&query).read(reply.clone());
            let _ = GetJobMeta(&JobId::new("x").unwrap()).read(reply.clone());
            let _ = CertLogin { user: "x" }.read(reply.clone());
            let _ = Commands.read(reply.clone());
            let _ = ListStudies.read(reply.clone());
            let (study, site) = (StudyName::default(), SiteName::new("x").unwrap());
            let sites = StudySites::sites(["x"]).unwrap();
            let _ = RegisterStudy { study: &study, sites: &sites }.read(reply.clone());
            let _ = AddStudySite { study: &study, sites: &sites }.read(reply.clone());
            let _ = RemoveStudyUser { study: &study, user: "x" }.read(reply.clone());
            let _ = RemoveStudy(&study).read(reply.clone());
            let _ = AdmitClient { site: &site, admit: true }.read(reply.clone());
            let _ = Restart(&targets).read(reply.clone());
            let _ = Shutdown(&targets).read(reply.clone());
            let _ = SiteTokens.read(reply.clone());
            let _ = GetSystemInfo.read(reply.clone());
            let _ = CheckStatus(&targets).read(reply.clone());
            let _ = ClientJobStatus(&[]).read(reply.clone());
            let _ = ReportEnvironment(&[]).read(reply.clone());
            let _ = ReportResources(&targets).read(reply.clone());
            let _ = ReportVersion(&targets).read(reply);
        }
    }
}
