//! The arguments of requests as our client takes them.

use std::time::Duration;

use flare_client::{
    FileName, JobId, JobQuery, LogFile, LogTarget, MonitorOptions, Session, ShellOptions, SiteName, StudyName,
    StudySites, SubmitToken, Target, Targets,
};
use serde_json::{Value, json};

use super::{Outcome, Problem};
use crate::clients::protocol::Failure;

/// The arguments of a request.
pub(super) struct Arguments<'a>(pub(super) &'a Value);

pub(super) fn wrong(name: &str) -> Problem {
    Problem::Failed(Failure {
        kind: "InvalidArgumentError".to_owned(),
        message: format!("{name} is missing or of the wrong type"),
        code: None,
        job_id: None,
    })
}

impl<'a> Arguments<'a> {
    pub(super) fn given(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn optional(&self, name: &str) -> Result<Option<&'a str>, Problem> {
        self.given(name).map(|value| value.as_str().ok_or_else(|| wrong(name))).transpose()
    }

    pub(super) fn text(&self, name: &str) -> Result<&'a str, Problem> {
        self.optional(name)?.ok_or_else(|| wrong(name))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        self.given(name).map_or(Ok(false), |value| value.as_bool().ok_or_else(|| wrong(name)))
    }

    /// A time in seconds; zero and below are for the caller of the library to refuse, as far as types let them through.
    pub(super) fn seconds(&self, name: &str) -> Result<Option<Duration>, Problem> {
        let read = |value: &Value| value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        self.given(name).map(|value| read(value).ok_or_else(|| wrong(name))).transpose()
    }

    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<&'a str>>, Problem> {
        let Some(value) = self.given(name) else { return Ok(None) };
        let items = value.as_array().ok_or_else(|| wrong(name))?;
        items.iter().map(|item| item.as_str().ok_or_else(|| wrong(name))).collect::<Result<_, _>>().map(Some)
    }

    pub(super) fn job(&self) -> Result<JobId, Problem> {
        Ok(JobId::new(self.text("job_id")?)?)
    }

    pub(super) fn study(&self) -> Result<StudyName, Problem> {
        Ok(StudyName::new(self.text("study")?)?)
    }

    pub(super) fn site(&self, name: &str) -> Result<SiteName, Problem> {
        Ok(SiteName::new(self.text(name)?)?)
    }

    pub(super) fn sites(&self, name: &str) -> Result<Vec<SiteName>, Problem> {
        let names = self.texts(name)?.unwrap_or_default();
        Ok(names.into_iter().map(SiteName::new).collect::<Result<_, _>>()?)
    }

    pub(super) fn target(&self) -> Result<Target, Problem> {
        Ok(self.text("target")?.parse()?)
    }

    pub(super) fn options(&self) -> Result<ShellOptions, Problem> {
        Ok(self.optional("options")?.map_or(Ok(ShellOptions::none()), ShellOptions::new)?)
    }

    pub(super) fn file(&self) -> Result<FileName, Problem> {
        Ok(FileName::new(self.text("file")?)?)
    }

    /// The server, sites, or both, by `target_type` and these names.
    pub(super) fn targets(&self, names: &str) -> Result<Targets, Problem> {
        match self.text("target_type")? {
            "all" => Ok(Targets::All),
            "server" => Ok(Targets::Server),
            "client" => Ok(Targets::Sites(self.sites(names)?)),
            _ => Err(wrong("target_type")),
        }
    }

    /// The same by one word that may be the name of a site.
    pub(super) fn log_targets(&self) -> Result<Targets, Problem> {
        Ok(match self.optional("target")? {
            None | Some("all") => Targets::All,
            Some("client") => Targets::all_sites(),
            Some(name) => name.parse::<Target>()?.into(),
        })
    }

    pub(super) fn waits(&self) -> Result<bool, Problem> {
        self.given("wait").map_or(Ok(true), |value| value.as_bool().ok_or_else(|| wrong("wait")))
    }

    pub(super) fn monitoring(&self) -> Result<MonitorOptions, Problem> {
        let mut options = MonitorOptions::new();
        if let Some(timeout) = self.seconds("timeout")? {
            options = options.timeout(timeout);
        }
        if let Some(interval) = self.seconds("poll_interval")? {
            options = options.poll_interval(interval)?;
        }
        Ok(options)
    }

    pub(super) fn query(&self) -> Result<JobQuery, Problem> {
        let mut query = JobQuery::new();
        if let Some(limit) = self.given("limit") {
            let limit = limit.as_u64().and_then(|limit| u32::try_from(limit).ok());
            query = query.limit(limit.ok_or_else(|| wrong("limit"))?);
        }
        if let Some(prefix) = self.optional("id_prefix")? {
            query = query.id_prefix(prefix)?;
        }
        if let Some(prefix) = self.optional("name_prefix")? {
            query = query.name_prefix(prefix)?;
        }
        if self.flag("reverse")? {
            query = query.reverse();
        }
        if let Some(token) = self.optional("submit_token")? {
            query = query.submit_token(SubmitToken::new(token)?);
        }
        Ok(query)
    }

    pub(super) async fn job_logs(&self, session: &Session) -> Outcome {
        let mut query = session.get_job_logs(&self.job()?);
        query = query.target(match self.optional("target")? {
            None | Some("server") => LogTarget::Server,
            Some("all") => LogTarget::All,
            Some(name) => LogTarget::Site(SiteName::new(name)?),
        });
        if self.optional("log_file_name")? == Some("log.json") {
            query = query.file(LogFile::Json);
        }
        if let Some(lines) = self.given("tail_lines") {
            let lines = lines.as_u64().and_then(|lines| usize::try_from(lines).ok());
            query = query.tail(lines.ok_or_else(|| wrong("tail_lines"))?);
        }
        if let Some(text) = self.optional("grep_pattern")? {
            query = query.grep(text);
        }
        let logs = query.await?;
        Ok(json!({"logs": logs.logs, "unavailable": logs.unavailable}))
    }

    pub(super) fn study_sites(&self) -> Result<StudySites, Problem> {
        match (self.texts("sites")?, self.texts("site_orgs")?) {
            (Some(sites), None) => Ok(StudySites::sites(sites)?),
            (None, Some(groups)) => {
                let mut all: Option<StudySites> = None;
                for group in groups {
                    let (org, sites) = group.split_once(':').ok_or_else(|| wrong("site_orgs"))?;
                    let sites = sites.split(',');
                    all = Some(match all {
                        None => StudySites::of_org(org, sites)?,
                        Some(others) => others.and_org(org, sites)?,
                    });
                }
                all.ok_or_else(|| wrong("site_orgs"))
            }
            _ => Err(wrong("sites or site_orgs")),
        }
    }
}
