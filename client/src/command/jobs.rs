//! Commands about jobs.

use flare_wire::hci::{JsonObject, Reply};
use serde_json::Value;

use super::{Command, Line, missing, objects};
use crate::Error;
use crate::model::{JobId, JobMeta, JobQuery, JobSummary};

/// `list_jobs`: one line per job.
#[derive(Debug)]
pub(crate) struct ListJobs<'a>(pub(crate) &'a JobQuery);

impl Command for ListJobs<'_> {
    type Output = Vec<JobSummary>;
    const REPEATABLE: bool = true;
    const STREAMED: bool = true;

    fn line(&self) -> Line {
        Line::new("list_jobs").words(self.0.words())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        Ok(jobs(reply)?.into_iter().map(JobSummary::read).collect())
    }
}

/// `list_jobs -d`: everything about each job.
#[derive(Debug)]
pub(crate) struct ListJobsDetailed<'a>(pub(crate) &'a JobQuery);

impl Command for ListJobsDetailed<'_> {
    type Output = Vec<JobMeta>;
    const REPEATABLE: bool = true;
    const STREAMED: bool = true;

    fn line(&self) -> Line {
        Line::new("list_jobs").word("-d").words(self.0.words())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        Ok(jobs(reply)?.into_iter().map(JobMeta::read).collect())
    }
}

/// The jobs are in the meta, complete; the items only show them to people. An absent list means none.
fn jobs(mut reply: Reply) -> Result<Vec<JsonObject>, Error> {
    match reply.meta.remove("jobs") {
        list @ (None | Some(Value::Array(_))) => Ok(objects(list)),
        Some(_) => Err(missing("list of jobs")),
    }
}

/// `get_job_meta`.
#[derive(Debug)]
pub(crate) struct GetJobMeta<'a>(pub(crate) &'a JobId);

impl Command for GetJobMeta<'_> {
    type Output = JobMeta;
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("get_job_meta").word(self.0.as_str())
    }

    fn read(&self, mut reply: Reply) -> Result<Self::Output, Error> {
        match reply.meta.remove("job_meta") {
            Some(Value::Object(object)) => Ok(JobMeta::read(object)),
            _ => Err(missing("job meta")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{read, read_any};
    use super::*;
    use crate::model::SubmitToken;
    use crate::{ErrorKind, JobStatus};

    #[test]
    fn lines_of_list_jobs() {
        let all = JobQuery::new()
            .name_prefix("a b")
            .unwrap()
            .id_prefix("8842")
            .unwrap()
            .limit(2)
            .own()
            .reverse()
            .submit_token(SubmitToken::new("t:1").unwrap());
        insta::assert_snapshot!(ListJobs(&all).line(), @r#"list_jobs -u -r -m 2 -n "a b" 8842 --submit-token t:1"#);
        insta::assert_snapshot!(ListJobsDetailed(&all).line(), @r#"list_jobs -d -u -r -m 2 -n "a b" 8842 --submit-token t:1"#);
        insta::assert_snapshot!(ListJobs(&JobQuery::new()).line(), @"list_jobs");
    }

    #[test]
    fn recorded_lists_are_read() {
        let query = JobQuery::new();
        insta::assert_debug_snapshot!(read(&ListJobs(&query), "list_jobs.running").unwrap());
        insta::assert_debug_snapshot!(read(&ListJobsDetailed(&query), "list_jobs.running_d").unwrap());
        assert_eq!(read(&ListJobs(&query), "list_jobs.empty").unwrap(), []);
        assert_eq!(read(&ListJobs(&JobQuery::new().name_prefix("zzz").unwrap()), "list_jobs.nomatch").unwrap(), []);
        assert_eq!(read(&ListJobs(&query), "list_jobs.submitted").unwrap().len(), 1);
        assert_eq!(read(&ListJobs(&JobQuery::new().limit(2)), "list_jobs.max2").unwrap().len(), 2);
    }

    #[test]
    fn a_refused_list_says_what_is_wrong_in_one_line() {
        let error = read_any(&ListJobs(&JobQuery::new()), "list_jobs.bad_option").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidCommand);
        insta::assert_snapshot!(error, @"the server does not understand the command: unrecognized arguments: --nope");
        assert!(error.server_text().unwrap().contains("usage:"));
    }

    #[test]
    fn every_recorded_job_meta_is_read_with_its_status() {
        for recorded in flare_fixtures::replies() {
            let Some(id) = recorded.command.as_deref().and_then(|line| line.strip_prefix("get_job_meta ")) else {
                continue;
            };
            if recorded.reply["meta"]["status"] != "ok" {
                continue;
            }
            let id = id.split(' ').next().unwrap();
            let meta = read_any(&GetJobMeta(&JobId::new(id).unwrap()), &recorded.name).unwrap();
            let status = recorded.reply["meta"]["job_meta"]["status"].as_str().unwrap();
            assert_eq!(meta.status.unwrap().as_str(), status, "{}", recorded.name);
            assert!(!matches!(JobStatus::from(status), JobStatus::Other(_)), "{status} is not known");
            assert!(meta.submit_time.is_some(), "{}", recorded.name);
        }
    }

    #[test]
    fn a_job_meta_is_read_completely() {
        let id = JobId::new("10ecf777-d2eb-4685-bc68-d18e3c5a0d62").unwrap();
        insta::assert_debug_snapshot!(read(&GetJobMeta(&id), "get_job_meta.as_member").unwrap());
    }

    #[test]
    fn unknown_and_malformed_ids_are_no_such_job() {
        for name in ["get_job_meta.unknown_id", "get_job_meta.bad_id", "get_job_meta.uuid1_id"] {
            let error = read_any(&GetJobMeta(&JobId::new("x").unwrap()), name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::JobNotFound, "{name}");
        }
    }
}
