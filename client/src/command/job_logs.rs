//! Logs of jobs.

use std::collections::BTreeMap;

use flare_wire::hci::{JsonObject, Reply};
use serde_json::Value;

use super::{Command, Line, first_dict, missing};
use crate::Error;
use crate::model::{JobId, JobLogs, LogConfig, LogFile, LogTarget, Targets};

/// `get_job_log`.
#[derive(Debug)]
pub(crate) struct GetJobLog<'a> {
    pub(crate) job_id: &'a JobId,
    pub(crate) target: &'a LogTarget,
    pub(crate) file: LogFile,
}

impl Command for GetJobLog<'_> {
    type Output = JobLogs;
    const REPEATABLE: bool = true;
    const STREAMED: bool = true;

    fn line(&self) -> Line {
        let line = Line::new("get_job_log").word(self.job_id.as_str()).word(self.target.word());
        // Servers before 2.9 take no third argument.
        match self.file {
            LogFile::Text => line,
            LogFile::Json => line.word("log.json"),
        }
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        let mut logs = first_dict(reply).ok_or_else(|| missing("logs"))?;
        Ok(JobLogs { logs: texts(logs.remove("logs")), unavailable: texts(logs.remove("unavailable")) })
    }
}

fn texts(value: Option<Value>) -> BTreeMap<String, String> {
    let texts = match value {
        Some(Value::Object(texts)) => texts,
        _ => JsonObject::new(),
    };
    let text = |(site, text)| match text {
        Value::String(text) => Some((site, text)),
        _ => None,
    };
    texts.into_iter().filter_map(text).collect()
}

/// `configure_job_log`.
#[derive(Debug)]
pub(crate) struct ConfigureJobLog<'a> {
    pub(crate) job_id: &'a JobId,
    pub(crate) config: &'a LogConfig,
    pub(crate) targets: &'a Targets,
}

impl Command for ConfigureJobLog<'_> {
    type Output = ();
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        let line = Line::new("configure_job_log").word(self.job_id.as_str());
        line.words(self.targets.words()).word(self.config.as_str())
    }

    fn read(&self, _reply: Reply) -> Result<Self::Output, Error> {
        // Whatever is wrong is an error item, which the verdict has seen.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{read, read_any};
    use super::*;
    use crate::ErrorKind;

    fn id() -> JobId {
        JobId::new("10ecf777-d2eb-4685-bc68-d18e3c5a0d62").unwrap()
    }

    #[test]
    fn recorded_logs_are_read_with_what_is_not_there() {
        let id = id();
        let all = GetJobLog { job_id: &id, target: &LogTarget::All, file: LogFile::Text };
        let logs = read(&all, "get_job_log.running.all").unwrap();
        assert!(logs.logs["server"].contains("Runner_process started."));
        assert_eq!(logs.unavailable["site-1"], "client log stream not available for this job");
        let site = LogTarget::Site("nope".parse().unwrap());
        let nobody = read(&GetJobLog { target: &site, ..all }, "get_job_log.running.nope").unwrap();
        assert!(nobody.logs.is_empty() && nobody.unavailable.len() == 1);
        let error = read_any(&all, "get_job_log.running.as_lead_owner").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAuthorized);
    }

    #[test]
    fn the_structured_log_is_asked_for_by_name() {
        let id = id();
        let json = GetJobLog { job_id: &id, target: &LogTarget::Server, file: LogFile::Json };
        assert!(read(&json, "get_job_log.running.server_log.json").unwrap().logs["server"].starts_with("{\"asctime\""));
    }

    #[test]
    fn a_site_that_could_not_configure_its_log_is_an_error() {
        let (id, config) = (id(), LogConfig::new("INFO").unwrap());
        let command = ConfigureJobLog { job_id: &id, config: &config, targets: &Targets::Server };
        read(&command, "configure_job_log.running.server_INFO").unwrap();
        let all = ConfigureJobLog { targets: &Targets::All, ..command };
        let error = read(&all, "configure_job_log.running.all_INFO").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.server_text().unwrap().starts_with("site-3: failed to configure_job_log"));
    }
}
