//! Commands that change jobs, and the list of a job's components.

use flare_wire::hci::Reply;

use super::{Command, Line, missing};
use crate::Error;
use crate::model::fields::Fields;
use crate::model::{DeletedJob, JobId};

/// `clone_job`.
#[derive(Debug)]
pub(crate) struct CloneJob<'a>(pub(crate) &'a JobId);

impl Command for CloneJob<'_> {
    type Output = JobId;
    /// Twice would be two clones.
    const REPEATABLE: bool = false;

    fn line(&self) -> Line {
        Line::new("clone_job").word(self.0.as_str())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        job_id_of(&reply)
    }
}

/// `abort_job`.
#[derive(Debug)]
pub(crate) struct AbortJob<'a>(pub(crate) &'a JobId);

impl Command for AbortJob<'_> {
    type Output = String;
    /// An aborted job stays aborted; the official client repeats this one as well.
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("abort_job").word(self.0.as_str())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        // The first word of the server is in the item; a reply to a running job has no info.
        let text = super::all_text(reply.clone());
        Ok(if reply.info().is_empty() { text } else { reply.info().to_owned() })
    }
}

/// `delete_job`.
#[derive(Debug)]
pub(crate) struct DeleteJob<'a>(pub(crate) &'a JobId);

impl Command for DeleteJob<'_> {
    type Output = DeletedJob;
    /// The second time there is no such job, which would look like an error.
    const REPEATABLE: bool = false;

    fn line(&self) -> Line {
        Line::new("delete_job").word(self.0.as_str())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        let mut fields = Fields::of(reply.meta);
        Ok(DeletedJob {
            job_id: fields.text("job_id").and_then(|id| JobId::new(id).ok()).unwrap_or_else(|| self.0.clone()),
            // Servers before 2.8 have no submit tokens, and say nothing of them.
            submit_records_marked_deleted: fields.count("submit_records_marked_deleted").unwrap_or(0),
        })
    }
}

/// `list_job`: the components of a job beyond its definition and result.
#[derive(Debug)]
pub(crate) struct ListJobComponents<'a>(pub(crate) &'a JobId);

impl Command for ListJobComponents<'_> {
    type Output = Vec<String>;
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("list_job").word(self.0.as_str())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        Fields::of(reply.meta).texts("job_components").ok_or_else(|| missing("list of components"))
    }
}

/// The id of a job that was made.
pub(super) fn job_id_of(reply: &Reply) -> Result<JobId, Error> {
    let id = reply.meta.get("job_id").and_then(serde_json::Value::as_str);
    id.and_then(|id| JobId::new(id).ok()).ok_or_else(|| missing("job id"))
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{read, read_any};
    use super::*;
    use crate::ErrorKind;

    fn id_of(name: &str) -> JobId {
        let line = flare_fixtures::reply(name).command.clone().unwrap();
        JobId::new(line.split(' ').nth(1).unwrap()).unwrap()
    }

    #[test]
    fn recorded_clones_are_read() {
        for name in ["clone_job.finished_pa", "clone_job.of_clone", "clone_job.running", "clone_job.with_token"] {
            let id = id_of(name);
            assert_ne!(read(&CloneJob(&id), name).unwrap(), id, "{name}");
        }
        for (name, kind) in [
            ("clone_job.as_lead2", ErrorKind::NotAuthorized),
            ("clone_job.member", ErrorKind::NotAuthorized),
            ("clone_job.bad_id", ErrorKind::JobNotFound),
            ("clone_job.unknown_id", ErrorKind::JobNotFound),
        ] {
            assert_eq!(read_any(&CloneJob(&id_of(name)), name).unwrap_err().kind(), kind, "{name}");
        }
    }

    #[test]
    fn recorded_aborts_say_what_the_server_says() {
        for (name, text) in [
            ("abort_job.running.owner", "Abort signal has been sent to the server app."),
            ("abort_job.running.second", "Abort signal has been sent to the server app."),
        ] {
            assert_eq!(read(&AbortJob(&id_of(name)), name).unwrap(), text, "{name}");
        }
        let id = id_of("abort_job.submitted");
        let text = read(&AbortJob(&id), "abort_job.submitted").unwrap();
        assert_eq!(text, format!("Aborted the job {id} before running it."));
        let id = id_of("abort_job.finished");
        assert_eq!(read(&AbortJob(&id), "abort_job.finished").unwrap(), format!("Job for {id} is already completed."));
        let error = read_any(&AbortJob(&id_of("abort_job.as_member")), "abort_job.as_member").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAuthorized);
    }

    #[test]
    fn recorded_deletions_count_the_tombstones() {
        let id = id_of("delete_job.completed");
        let deleted = read(&DeleteJob(&id), "delete_job.completed").unwrap();
        assert_eq!((deleted.job_id, deleted.submit_records_marked_deleted), (id, 0));
        let id = id_of("delete_job.submit_token");
        assert_eq!(read(&DeleteJob(&id), "delete_job.submit_token").unwrap().submit_records_marked_deleted, 1);
        for (name, kind) in [
            ("delete_job.running", ErrorKind::JobRunning),
            ("delete_job.again", ErrorKind::JobNotFound),
            ("delete_job.bad_id", ErrorKind::JobNotFound),
        ] {
            assert_eq!(read_any(&DeleteJob(&id_of(name)), name).unwrap_err().kind(), kind, "{name}");
        }
    }

    #[test]
    fn recorded_components_are_listed() {
        for (name, expected) in [
            ("list_job.done.ok", &[][..]),
            ("list_job.done.bombclient", &["ERRORLOG_site-1"]),
            ("list_job.done.badclient", &["ERRORLOG_site-2", "ERRORLOG_site-1"]),
        ] {
            assert_eq!(read(&ListJobComponents(&id_of(name)), name).unwrap(), expected, "{name}");
        }
    }
}
