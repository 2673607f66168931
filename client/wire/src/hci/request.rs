//! Requests: one command line, the session token, and a `meta` object.

use std::error::Error;
use std::fmt;

use serde_json::{Value, json};

use super::{JsonObject, python_json};

/// Why a text is no HCI message. A server answers `protocol violation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HciError {
    /// The text is not JSON.
    NotJson,
    /// The JSON has not the shape of a message.
    WrongShape,
    /// A request without a `command` item.
    NoCommand,
}

impl fmt::Display for HciError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJson => "the admin message is not JSON",
            Self::WrongShape => "the admin message has not the expected shape",
            Self::NoCommand => "the admin request holds no command",
        })
    }
}

impl Error for HciError {}

/// One admin command on its way to the server.
#[derive(Clone, PartialEq, Default)]
pub struct Request {
    /// When the client wrote it; informational.
    pub time: String,
    /// The command line.
    pub command: String,
    /// The session token; absent for the login itself.
    pub token: Option<String>,
    /// `cmd_timeout`, `custom_props`, `cmd_props`.
    pub meta: JsonObject,
}

impl Request {
    /// A request for `command`, without token and meta.
    #[must_use]
    pub fn new(command: impl Into<String>) -> Self {
        Self { command: command.into(), ..Self::default() }
    }

    /// The text of the request as the official client sends it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut data = vec![json!({"type": "command", "data": self.command})];
        if let Some(token) = &self.token {
            data.push(json!({"type": "token", "data": token}));
        }
        python_json(&json!({"time": self.time, "data": data, "meta": self.meta}))
    }

    /// Reads the text of a request; the first `command` item counts.
    ///
    /// # Errors
    /// [`HciError`] when a real server would answer `protocol violation`.
    pub fn parse(text: &str) -> Result<Self, HciError> {
        let Value::Object(mut body) = serde_json::from_str(text).map_err(|_| HciError::NotJson)? else {
            return Err(HciError::WrongShape);
        };
        let Some(Value::Array(items)) = body.get("data") else { return Err(HciError::WrongShape) };
        let find = |kind: &str| items.iter().find(|item| item.get("type").and_then(Value::as_str) == Some(kind));
        let text_of = |item: &Value| item.get("data").and_then(Value::as_str).map(str::to_owned);
        let command = find("command").and_then(text_of).ok_or(HciError::NoCommand)?;
        let token = find("token").and_then(text_of);
        let time = body.get("time").and_then(Value::as_str).unwrap_or_default().to_owned();
        let meta = match body.remove("meta") {
            Some(Value::Object(meta)) => meta,
            _ => JsonObject::new(),
        };
        Ok(Self { time, command, token, meta })
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("command", &self.command)
            .field("token", &self.token.as_ref().map(|_| "<hidden>"))
            .field("meta", &self.meta)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_look_like_those_of_the_official_client() {
        let request =
            Request { time: "2026-11-22 00:43:08.523653".into(), ..Request::new("_cert_login admin@nvidia.com") };
        let text = r#"{"time": "2026-11-22 00:43:08.523653", "data": [{"type": "command", "data": "_cert_login admin@nvidia.com"}], "meta": {}}"#;
        assert_eq!(request.to_json(), text);
        assert_eq!(Request::parse(text), Ok(request));
    }

    #[test]
    fn a_request_without_a_command_is_refused() {
        assert_eq!(Request::parse(r#"{"data": [{"type": "token", "data": "t"}]}"#), Err(HciError::NoCommand));
        assert_eq!(Request::parse(r#"{"data": {}}"#), Err(HciError::WrongShape));
    }

    #[test]
    fn the_token_is_not_printed() {
        let request = Request { token: Some("secret".into()), ..Request::new("x") };
        assert!(!format!("{request:?}").contains("secret"));
    }
}
