//! Commands that manage sites, and those that restart and shut down.

use std::collections::BTreeMap;

use flare_wire::hci::{Item, Reply};
use serde_json::Value;

use super::{Command, Line, first_dict, first_table, missing};
use crate::model::{LogConfig, SiteAdmission, SiteName, SiteResponse, SystemChange, Targets};
use crate::{Error, ErrorKind};

/// `remove_client`.
#[derive(Debug)]
pub(crate) struct RemoveClient<'a>(pub(crate) &'a SiteName);

impl Command for RemoveClient<'_> {
    type Output = ();
    /// The second time the site may be unknown, which would look like an error.
    const REPEATABLE: bool = false;

    fn line(&self) -> Line {
        Line::new("remove_client").word(self.0.as_str())
    }

    fn read(&self, _reply: Reply) -> Result<Self::Output, Error> {
        Ok(())
    }
}

/// `disable_client`, `enable_client`.
#[derive(Debug)]
pub(crate) struct AdmitClient<'a> {
    pub(crate) site: &'a SiteName,
    pub(crate) admit: bool,
}

impl Command for AdmitClient<'_> {
    type Output = SiteAdmission;
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new(if self.admit { "enable_client" } else { "disable_client" }).word(self.site.as_str())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        let clients = first_dict(reply).and_then(|mut payload| payload.remove("clients"));
        let client = super::objects(clients).into_iter().next().ok_or_else(|| missing("state of the site"))?;
        if let Some(error) = client.get("error").and_then(Value::as_str) {
            let message = format!("the server failed: {error}");
            return Err(Error::new(ErrorKind::ServerFault, message).with_answer(None, error));
        }
        Ok(SiteAdmission::read(client))
    }
}

/// `restart`.
#[derive(Debug)]
pub(crate) struct Restart<'a>(pub(crate) &'a Targets);

impl Command for Restart<'_> {
    type Output = SystemChange;
    /// What has restarted would restart again.
    const REPEATABLE: bool = false;

    fn line(&self) -> Line {
        Line::new("restart").words(self.0.words())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        Ok(SystemChange::read(reply.meta))
    }
}

/// `shutdown`.
#[derive(Debug)]
pub(crate) struct Shutdown<'a>(pub(crate) &'a Targets);

impl Command for Shutdown<'_> {
    type Output = SystemChange;
    /// Sites that have ended meanwhile would look like unknown ones.
    const REPEATABLE: bool = false;

    fn line(&self) -> Line {
        Line::new("shutdown").words(self.0.words())
    }

    /// The sites' words are in a table.
    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        let answers = responses(&reply).into_iter().map(|answer| (answer.site, answer.response)).collect();
        Ok(SystemChange { site_answers: answers, ..SystemChange::read(reply.meta) })
    }
}

/// `configure_site_log`.
#[derive(Debug)]
pub(crate) struct ConfigureSiteLog<'a> {
    pub(crate) config: &'a LogConfig,
    pub(crate) targets: &'a Targets,
}

impl Command for ConfigureSiteLog<'_> {
    type Output = Vec<SiteResponse>;
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("configure_site_log").words(self.targets.words()).word(self.config.as_str())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        Ok(responses(&reply))
    }
}

/// The registered sites and their tokens, of `check_status server`: a site that has registered again has a new one.
/// Its last heartbeat, which the official client looks at, changes every ten seconds by itself.
#[derive(Debug)]
pub(crate) struct SiteTokens;

impl Command for SiteTokens {
    type Output = BTreeMap<String, String>;
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("check_status").word("server")
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        let tables = reply.data.iter().filter_map(|item| match item {
            Item::Table(rows) => rows.split_first(),
            _ => None,
        });
        let is_name = |column: &str| column == "CLIENT";
        for (header, rows) in tables {
            let column = |wanted: &str| header.iter().position(|name| name.as_deref() == Some(wanted));
            let (Some(name), Some(token)) =
                (header.iter().position(|name| name.as_deref().is_some_and(is_name)), column("TOKEN"))
            else {
                continue;
            };
            let cell = |row: &Vec<Option<String>>, index: usize| row.get(index).cloned().flatten();
            return Ok(rows.iter().filter_map(|row| Some((cell(row, name)?, cell(row, token)?))).collect());
        }
        // Without sites there is no such table.
        Ok(BTreeMap::new())
    }
}

fn responses(reply: &Reply) -> Vec<SiteResponse> {
    let cell = |row: &[Option<String>], index: usize| row.get(index).cloned().flatten().unwrap_or_default();
    let rows = first_table(reply).unwrap_or_default();
    rows.iter().map(|row| SiteResponse { site: cell(row, 0), response: cell(row, 1) }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{read, read_any};
    use super::*;

    fn site(name: &str) -> SiteName {
        SiteName::new(name).unwrap()
    }

    fn admission(name: &str, admit: bool, recorded: &str) -> SiteAdmission {
        let admission = read(&AdmitClient { site: &site(name), admit }, recorded).unwrap();
        assert!(admission.extra.is_empty(), "{recorded}");
        admission
    }

    #[test]
    fn recorded_admissions_are_read() {
        let disabled = admission("site-3", false, "disable_client.again");
        assert_eq!((disabled.state.as_str(), disabled.already_disabled), ("disabled", Some(true)));
        assert_eq!((disabled.was_disabled, disabled.rejoin_allowed), (None, Some(false)));
        let enabled = admission("site-3", true, "enable_client.ok");
        assert_eq!((enabled.state.as_str(), enabled.was_disabled), ("enabled", Some(true)));
        assert_eq!(admission("nosuch", false, "disable_client.unknown").site, "nosuch");
    }

    #[test]
    fn a_site_that_could_not_be_disabled_is_an_error() {
        let reply = Reply::parse(
            r#"{"data": [{"type": "dict", "data": {"clients": [{"client_name": "a", "state": "error", "error": "full"}]}}],
                "meta": {"status": "ok", "info": ""}}"#,
        );
        let error = AdmitClient { site: &site("a"), admit: false }.read(reply.unwrap()).unwrap_err();
        assert_eq!((error.kind(), error.server_text()), (ErrorKind::ServerFault, Some("full")));
    }

    #[test]
    fn removals_are_told_apart_from_unknown_sites() {
        read(&RemoveClient(&site("site-2")), "remove_client.ok").unwrap();
        let kind = |name, recorded| read(&RemoveClient(&site(name)), recorded).unwrap_err().kind();
        assert_eq!(kind("nosuch", "remove_client.unknown"), ErrorKind::InvalidTarget);
        assert_eq!(kind("site-2", "remove_client.member"), ErrorKind::NotAuthorized);
    }

    #[test]
    fn restarts_tell_what_each_site_said() {
        let all = read(&Restart(&Targets::All), "restart.all.ok").unwrap();
        assert_eq!(all.server_status.as_deref(), Some("ok"));
        assert_eq!(all.site_answers["site-2"], "Restart the client...");
        assert!(all.extra.is_empty());
        let refused = read_any(&Restart(&Targets::All), "restart.lead_acme_client").unwrap();
        assert!(refused.site_answers["site-1"].ends_with("is not authorized for 'restart'"));
        let error = read(&Restart(&Targets::All), "restart.all.job_running").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::JobRunning);
    }

    #[test]
    fn shutdowns_tell_what_each_site_said() {
        let all = read(&Shutdown(&Targets::All), "shutdown.all_ok").unwrap();
        assert_eq!(all.site_answers.len(), 3);
        let kind = |targets: &Targets, recorded| read(&Shutdown(targets), recorded).unwrap_err().kind();
        assert_eq!(kind(&Targets::Server, "shutdown.server_with_clients"), ErrorKind::SitesRunning);
        assert_eq!(kind(&Targets::Server, "shutdown.server.job_running"), ErrorKind::JobRunning);
        assert_eq!(kind(&Targets::all_sites(), "shutdown.client_no_clients"), ErrorKind::NoSites);
        assert_eq!(kind(&Targets::all_sites(), "shutdown.member_client"), ErrorKind::Refused);
    }

    #[test]
    fn what_sites_say_to_a_log_configuration_is_kept() {
        let config = LogConfig::new("INFO").unwrap();
        let all = ConfigureSiteLog { config: &config, targets: &Targets::All };
        let said = read(&all, "configure_site_log.all").unwrap();
        assert_eq!(said[1].response, "successfully configured site-3 log");
        let server = ConfigureSiteLog { targets: &Targets::Server, ..all };
        assert!(read(&server, "configure_site_log.server_INFO").unwrap().is_empty());
    }

    #[test]
    fn tokens_of_sites_are_read_from_the_table() {
        let tokens = read(&SiteTokens, "check_status.server.after_restart_client").unwrap();
        assert_eq!(tokens["site-2"], "7644fd71-6c4a-4f78-b251-3b41305f927f");
        assert!(!tokens.contains_key("site-3"));
        assert!(read(&SiteTokens, "check_status.server.no_clients").unwrap().is_empty());
    }
}
