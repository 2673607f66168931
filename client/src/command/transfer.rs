//! Commands that go with files.

use flare_wire::hci::Reply;
use serde_json::Value;

use super::job_control::job_id_of;
use super::{Command, Line, missing};
use crate::model::{JobId, SubmitToken};
use crate::{Error, ErrorKind, verdict};

/// `submit_job`, which travels with the first piece of the job. The official client names it with its scope.
pub(crate) fn submit_line(folder: &str, token: Option<&SubmitToken>) -> Line {
    let line = Line::new("job_mgmt.submit_job").word(folder);
    match token {
        Some(token) => line.word("--submit-token").word(token.as_str()),
        None => line,
    }
}

/// Reads the reply to a submission, which travels with the answer to its last piece.
pub(crate) fn submitted(reply: Reply) -> Result<JobId, Error> {
    verdict::of_reply(reply).and_then(|reply| job_id_of(&reply))
}

/// A file that can be downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OfferedFile {
    /// Its path below the folder of the download.
    pub(crate) name: String,
    pub(crate) reference: String,
}

/// What a server offers for download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DownloadOffer {
    /// The cell that has the files.
    pub(crate) source: String,
    pub(crate) files: Vec<OfferedFile>,
}

/// `download_job`.
#[derive(Debug)]
pub(crate) struct DownloadJob<'a>(pub(crate) &'a JobId);

impl Command for DownloadJob<'_> {
    type Output = DownloadOffer;
    /// Offers that nobody takes up are forgotten.
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("job_mgmt.download_job").word(self.0.as_str())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        offer(reply)
    }
}

/// `download_job_components`.
#[derive(Debug)]
pub(crate) struct DownloadComponents<'a>(pub(crate) &'a JobId);

impl Command for DownloadComponents<'_> {
    type Output = DownloadOffer;
    const REPEATABLE: bool = true;

    fn line(&self) -> Line {
        Line::new("job_mgmt.download_job_components").word(self.0.as_str())
    }

    fn read(&self, reply: Reply) -> Result<Self::Output, Error> {
        offer(reply)
    }
}

fn offer(reply: Reply) -> Result<DownloadOffer, Error> {
    let source = reply.meta.get("source_fqcn").and_then(Value::as_str).ok_or_else(|| missing("source of the files"))?;
    let files = reply.meta.get("files").and_then(Value::as_array).ok_or_else(|| missing("list of files"))?;
    let file = |entry: &Value| {
        let [name, reference] = entry.as_array()?.as_slice() else { return None };
        Some(OfferedFile { name: name.as_str()?.to_owned(), reference: reference.as_str()?.to_owned() })
    };
    let files: Option<Vec<OfferedFile>> = files.iter().map(file).collect();
    let files = files.ok_or_else(|| missing("usable list of files"))?;
    if files.is_empty() {
        return Err(Error::new(ErrorKind::Refused, "the server offers no files"));
    }
    Ok(DownloadOffer { source: source.to_owned(), files })
}

#[cfg(test)]
mod tests {
    use super::super::recorded::read_any;
    use super::*;

    fn id() -> JobId {
        JobId::new("b9cc0a83-112d-4b78-b0b0-25c63bec4efa").unwrap()
    }

    #[test]
    fn recorded_offers_are_read() {
        let id = id();
        let offer = read_any(&DownloadJob(&id), "download_job.completed").unwrap();
        let names: Vec<&str> = offer.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!((offer.source.as_str(), names), ("server", vec!["workspace.zip", "meta.json", "job.zip"]));
        assert!(offer.files.iter().all(|file| file.reference.starts_with('R')));
        let offer = read_any(&DownloadComponents(&id), "download_job_components.errorlog").unwrap();
        assert_eq!(offer.files.len(), 2);
        for (name, kind) in [
            ("download_job.running", ErrorKind::JobRunning),
            ("download_job.member", ErrorKind::NotAuthorized),
            ("download_job_components.none", ErrorKind::Refused),
        ] {
            assert_eq!(read_any(&DownloadJob(&id), name).unwrap_err().kind(), kind, "{name}");
        }
    }

    #[test]
    fn recorded_submissions_are_read() {
        let read = |name: &str| submitted(Reply::parse(&flare_fixtures::reply(name).reply.to_string()).unwrap());
        assert!(read("submit_job.ok.lead").is_ok());
        for (name, kind) in [
            ("submit_job.member", ErrorKind::NotAuthorized),
            ("submit_job.invalid.nometa", ErrorKind::InvalidJob),
            ("submit_job.not_a_zip", ErrorKind::ServerFault),
            ("submit_job.bad_token", ErrorKind::InvalidCommand),
        ] {
            assert_eq!(read(name).unwrap_err().kind(), kind, "{name}");
        }
    }

    #[test]
    fn the_line_of_a_submission_is_that_of_the_official_client() {
        let token = SubmitToken::new("t-1").unwrap();
        assert_eq!(submit_line("job", None).as_str(), "job_mgmt.submit_job job");
        assert_eq!(submit_line("job", Some(&token)).as_str(), "job_mgmt.submit_job job --submit-token t-1");
    }

    #[test]
    fn an_offer_that_lacks_something_is_a_violation() {
        for meta in [
            serde_json::json!({"files": []}),
            serde_json::json!({"source_fqcn": "server"}),
            serde_json::json!({"source_fqcn": "server", "files": [["a"]]}),
            serde_json::json!({"source_fqcn": "server", "files": [["a", 1]]}),
        ] {
            let reply = Reply::parse(&serde_json::json!({"data": [], "meta": meta}).to_string()).unwrap();
            assert_eq!(offer(reply).unwrap_err().kind(), ErrorKind::ProtocolViolation);
        }
    }
}
