//! The lines that referee and client say to each other; `docs/client-protocol.md` is their description.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the protocol that this referee speaks.
pub(crate) const VERSION: u64 = 1;

/// The longest line that is taken from a client: with room to spare, a log of the 5 MiB that a server gives at most,
/// in JSON.
pub(crate) const MAX_LINE: usize = 16 * 1024 * 1024;

/// What a client says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The version of the protocol.
    pub(crate) protocol: u64,
    /// What the client is called.
    pub(crate) name: String,
    /// Which release of it this is.
    pub(crate) release: String,
    /// The calls that it has.
    pub(crate) calls: Vec<String>,
    /// True when it takes a call while another one is under way.
    #[serde(default)]
    pub(crate) concurrent: bool,
    /// False when there is nothing between `connect` and `close`, and every call logs in by itself.
    #[serde(default = "yes")]
    pub(crate) sessions: bool,
}

fn yes() -> bool {
    true
}

/// What the referee asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Names the request in the answer.
    pub(crate) id: u64,
    /// Which session is meant; none for `connect` and `quit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<u64>,
    /// `connect`, `close`, `quit`, or a method of the API.
    pub(crate) call: String,
    /// Its arguments by name.
    #[serde(default)]
    pub(crate) arguments: Value,
}

/// What a client says after its hello.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Line {
    /// The call ended well.
    Ok {
        /// The request.
        id: u64,
        /// What it gave.
        ok: Value,
    },
    /// It failed.
    Error {
        /// The request.
        id: u64,
        /// How.
        error: Failure,
    },
    /// The client has no such call, or not with these arguments.
    Unsupported {
        /// The request.
        id: u64,
        /// Why.
        unsupported: Value,
    },
    /// A callback was called; the call goes on.
    Callback {
        /// The request.
        id: u64,
        /// What it was given.
        callback: Callback,
    },
}

/// What the callback of a monitored job was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Callback {
    /// The job.
    pub(crate) job_id: String,
    /// Its meta.
    pub(crate) job_meta: Value,
}

/// How a call failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// The name of the exception in the API document.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// What it says.
    #[serde(default)]
    pub(crate) message: String,
    /// The server's code, where there is one: `AUTH_…` of a login, `STUDY_…` of a study command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    /// The job that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) job_id: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)?;
        if let Some(code) = &self.code {
            write!(f, " [{code}]")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_told_apart_by_their_keys() {
        let read = |line: Value| serde_json::from_value::<Line>(line);
        assert_eq!(read(json!({"id": 1, "ok": null})).unwrap(), Line::Ok { id: 1, ok: Value::Null });
        let failed = read(json!({"id": 2, "error": {"type": "JobNotFound", "message": "no such job"}})).unwrap();
        let Line::Error { id: 2, error } = failed else { panic!("{failed:?}") };
        assert_eq!(error.to_string(), "JobNotFound: no such job");
        assert!(matches!(read(json!({"id": 3, "unsupported": true})).unwrap(), Line::Unsupported { id: 3, .. }));
        let called = json!({"id": 4, "callback": {"job_id": "a", "job_meta": {}}});
        assert!(matches!(read(called).unwrap(), Line::Callback { id: 4, .. }));
        assert!(read(json!({"id": 5})).is_err());
        assert!(read(json!({"ok": 5})).is_err());
    }
}
