//! Commands about a job that runs: statistics, errors, and functions of its own.

use flare_wire::hci::{JsonObject, Reply};
use serde_json::Value;

use super::{Command, Line, first_dict, missing};
use crate::Error;
use crate::model::{JobId, Targets};

fn line(name: &str, job_id: &JobId, targets: &Targets) -> Line {
    Line::new(name).word(job_id.as_str()).words(targets.words())
}

/// `show_stats`.
#[derive(Debug)]
pub(crate) struct ShowStats<'a>(pub(crate) &'a JobId, pub(crate) &'a Targets);

impl Command for ShowStats<'_> {
    type Output = JsonObject;
    const REPEATABLE: bool = true;
    const STREAMED: bool = true;

    fn line(&self) -> Line {
        line("show_stats", self.0, self.1)
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        first_dict(reply).ok_or_else(|| missing("statistics"))
    }
}

/// `show_errors`.
#[derive(Debug)]
pub(crate) struct ShowErrors<'a>(pub(crate) &'a JobId, pub(crate) &'a Targets);

impl Command for ShowErrors<'_> {
    type Output = JsonObject;
    const REPEATABLE: bool = true;
    const STREAMED: bool = true;

    fn line(&self) -> Line {
        line("show_errors", self.0, self.1)
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        first_dict(reply).ok_or_else(|| missing("errors"))
    }
}

/// `reset_errors`, of everybody.
#[derive(Debug)]
pub(crate) struct ResetErrors<'a>(pub(crate) &'a JobId);

impl Command for ResetErrors<'_> {
    type Output = ();
    /// Errors that are new the second time would be lost, but they are as wanted as the others.
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        line("reset_errors", self.0, &Targets::All)
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        first_dict(reply).map(drop).ok_or_else(|| missing("answers"))
    }
}

/// `app_command`: calls a function that the job's code has registered under a topic.
#[derive(Debug)]
pub(crate) struct AppCommand<'a> {
    pub(crate) job_id: &'a JobId,
    pub(crate) topic: &'a str,
    pub(crate) data: &'a Value,
}

impl Command for AppCommand<'_> {
    type Output = JsonObject;
    /// Only the job's author knows what it does.
    const REPEATABLE: bool = false;
    const STREAMED: bool = true;

    fn line(&self) -> Line {
        Line::new("app_command").word(self.job_id.as_str()).word(self.topic)
    }

    fn meta(&self) -> JsonObject {
        JsonObject::from_iter([("cmd_props".to_owned(), self.data.clone())])
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        first_dict(reply).ok_or_else(|| missing("answer of the job"))
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
    fn recorded_statistics_are_read() {
        let id = id();
        let stats = read(&ShowStats(&id, &Targets::all_sites()), "show_stats.running.client").unwrap();
        assert_eq!(stats.keys().collect::<Vec<_>>(), ["site-2", "site-1", "site-3"]);
        assert_eq!(stats["site-3"], Value::Object(JsonObject::new()));
        let one = Targets::sites(["site-1"]).unwrap();
        assert_eq!(read(&ShowStats(&id, &one), "show_stats.running.client_site-1").unwrap().len(), 1);
        let errors = read(&ShowErrors(&id, &Targets::Server), "show_errors.running.server").unwrap();
        assert_eq!(errors["server"], "No Error");
        read(&ResetErrors(&id), "reset_errors.running.all").unwrap();
    }

    #[test]
    fn what_does_not_run_has_no_statistics() {
        for name in ["show_stats.finished", "show_stats.not_running", "show_errors.finished", "reset_errors.finished"] {
            let error = read_any(&ShowStats(&id(), &Targets::All), name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::JobNotRunning, "{name}");
        }
        let error = read_any(&ShowStats(&id(), &Targets::All), "show_stats.running.client_nope").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTarget);
    }

    #[test]
    fn the_data_of_an_app_command_travels_beside_the_line() {
        let (id, data) = (id(), serde_json::json!({"a": [1]}));
        let command = AppCommand { job_id: &id, topic: "topic", data: &data };
        assert_eq!(command.line().as_str(), format!("app_command {id} topic"));
        assert_eq!(command.meta()["cmd_props"], data);
        let error = read(&command, "app_command.running.unknown_topic").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.server_text().unwrap().contains("no app command func for topic topic"));
    }
}
