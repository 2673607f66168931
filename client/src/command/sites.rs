//! Commands that ask sites.

use flare_wire::hci::{Item, Reply};
use serde_json::Value;

use super::{Command, Line, first_table, missing};
use crate::Error;
use crate::model::{ResourceReport, SiteEnvironment, SiteJob, SiteName, SiteVersion, SystemStatus, Targets};

/// `check_status client`.
#[derive(Debug)]
pub(crate) struct ClientJobStatus<'a>(pub(crate) &'a [SiteName]);

impl Command for ClientJobStatus<'_> {
    type Output = Vec<SiteJob>;
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("check_status").word("client").words(self.0)
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        if !reply.meta.contains_key("client_status") {
            return Err(missing("client status"));
        }
        Ok(SystemStatus::read(reply.meta).site_jobs)
    }
}

/// `report_env`.
#[derive(Debug)]
pub(crate) struct ReportEnvironment<'a>(pub(crate) &'a [SiteName]);

impl Command for ReportEnvironment<'_> {
    type Output = Vec<SiteEnvironment>;
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("report_env").words(self.0)
    }

    /// The meta holds an object per site, or only a text when a site refuses or does not answer; the name of
    /// such a site is in the table.
    fn read(&self, mut reply: Reply) -> Result<Self::Output, Error> {
        let Some(Value::Array(answers)) = reply.meta.remove("clients") else { return Err(missing("list of sites")) };
        let rows = first_table(&reply).unwrap_or_default();
        let site = |index: usize| rows.get(index).and_then(|row| row.first()?.clone());
        Ok(answers
            .into_iter()
            .enumerate()
            .map(|(index, answer)| match answer {
                Value::Object(object) => SiteEnvironment::read(object),
                Value::String(text) => SiteEnvironment::problem(site(index).unwrap_or_default(), text),
                other => SiteEnvironment::problem(site(index).unwrap_or_default(), other.to_string()),
            })
            .collect())
    }
}

/// `report_resources`.
#[derive(Debug)]
pub(crate) struct ReportResources<'a>(pub(crate) &'a Targets);

impl Command for ReportResources<'_> {
    type Output = Vec<ResourceReport>;
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("report_resources").words(self.0.words())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        let rows = first_table(&reply).ok_or_else(|| missing("table of resources"))?;
        let cell = |row: &[Option<String>], index: usize| row.get(index).cloned().flatten().unwrap_or_default();
        Ok(rows.iter().map(|row| ResourceReport { site: cell(row, 0), resources: cell(row, 1) }).collect())
    }
}

/// `report_version`.
#[derive(Debug)]
pub(crate) struct ReportVersion<'a>(pub(crate) &'a Targets);

impl Command for ReportVersion<'_> {
    type Output = Vec<SiteVersion>;
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("report_version").words(self.0.words())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        let sites = reply
            .data
            .into_iter()
            .find_map(|item| match item {
                Item::Dict(sites) => Some(sites),
                _ => None,
            })
            .ok_or_else(|| missing("versions"))?;
        Ok(sites
            .into_iter()
            .map(|(site, answer)| match answer {
                Value::Object(object) => SiteVersion::read(site, object),
                other => SiteVersion { site, problem: Some(other.to_string()), ..SiteVersion::default() },
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{read, read_any};
    use super::*;
    use crate::ErrorKind;
    use crate::model::SiteJobStatus;

    fn names(names: &[&str]) -> Vec<SiteName> {
        names.iter().map(|name| SiteName::new(*name).unwrap()).collect()
    }

    #[test]
    fn lines_name_the_targets() {
        insta::assert_snapshot!(ClientJobStatus(&names(&["site-1", "b"])).line(), @"check_status client site-1 b");
        insta::assert_snapshot!(ReportEnvironment(&[]).line(), @"report_env");
        insta::assert_snapshot!(ReportEnvironment(&names(&["site-1"])).line(), @"report_env site-1");
        insta::assert_snapshot!(ReportResources(&Targets::All).line(), @"report_resources all");
        insta::assert_snapshot!(ReportVersion(&Targets::Server).line(), @"report_version server");
    }

    #[test]
    fn job_states_of_sites_are_read() {
        insta::assert_debug_snapshot!(
            read(&ClientJobStatus(&names(&["site-1"])), "check_status.client.running").unwrap()
        );
        let silent = read(&ClientJobStatus(&names(&["site-2"])), "dead_client.check_status_client").unwrap();
        assert_eq!(silent[0].status, SiteJobStatus::NoReply);
    }

    #[test]
    fn unknown_sites_and_no_sites_are_told_apart() {
        let kind = |name| read_any(&ClientJobStatus(&[]), name).unwrap_err().kind();
        assert_eq!(kind("check_status.client.bad"), ErrorKind::InvalidTarget);
        assert_eq!(kind("check_status.client.no_clients"), ErrorKind::NoSites);
    }

    #[test]
    fn environments_are_read_also_those_of_silent_sites() {
        insta::assert_debug_snapshot!(read(&ReportEnvironment(&[]), "report_env.all").unwrap()[0]);
        let silent = read(&ReportEnvironment(&names(&["site-2"])), "dead_client.report_env").unwrap();
        assert_eq!((silent[0].site.as_str(), silent[0].problem.as_deref()), ("site-2", Some("No replies")));
        assert_eq!(
            read_any(&ReportEnvironment(&[]), "report_env.member").unwrap_err().kind(),
            ErrorKind::NotAuthorized
        );
    }

    #[test]
    fn resources_are_kept_as_text() {
        insta::assert_debug_snapshot!(read(&ReportResources(&Targets::All), "report_resources.all").unwrap());
    }

    #[test]
    fn versions_are_read_also_refusals_of_single_sites() {
        insta::assert_debug_snapshot!(read(&ReportVersion(&Targets::All), "report_version.all").unwrap());
        let refused = read(&ReportVersion(&Targets::all_sites()), "report_version.client.lead_acme").unwrap();
        assert!(refused.iter().all(|site| site.version.is_none() && site.problem.is_some()));
    }
}
