//! The text of a request.

use flare_wire::hci::JsonObject;
use serde_json::Value;

/// Kinds of items that a message may hold; one of another kind makes the whole message unusable.
const KINDS: [&str; 8] = ["string", "success", "error", "table", "command", "token", "shutdown", "dict"];

/// A request, read as strictly and as leniently as the real server does.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    /// The command; the real server takes an object here and fails later.
    pub(super) command: Value,
    /// The token item, when there is one.
    pub(super) token: Option<Value>,
    /// Settings of the request.
    pub(super) meta: JsonObject,
}

impl Request {
    /// Reads `text`; `None` is a protocol violation.
    pub(super) fn read(text: &str) -> Option<Self> {
        let Value::Object(mut body) = serde_json::from_str(text.trim()).ok()? else { return None };
        let Some(Value::Array(items)) = body.remove("data") else { return None };
        let mut command = None;
        let mut token = None;
        for item in items {
            let Value::Object(mut item) = item else { return None };
            let kind = item.get("type")?.as_str().filter(|kind| KINDS.contains(kind))?.to_owned();
            if kind == "table" {
                let rows = item.get("rows")?.as_array()?;
                if !rows.iter().all(Value::is_array) {
                    return None;
                }
                continue;
            }
            let data = item.remove("data").filter(|data| data.is_string() || data.is_object())?;
            match kind.as_str() {
                "command" if command.is_none() => command = Some(data),
                "token" if token.is_none() => token = Some(data),
                _ => {}
            }
        }
        let meta = match body.remove("meta") {
            Some(Value::Object(meta)) => meta,
            _ => JsonObject::new(),
        };
        Some(Self { command: command?, token, meta })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_command_and_token_count() {
        let request = Request::read(
            r#" {"data": [{"type": "token", "data": "t"}, {"type": "command", "data": "a"},
                {"type": "command", "data": "b"}, {"type": "token", "data": "u"}], "meta": 5} "#,
        )
        .unwrap();
        assert_eq!((request.command, request.token), ("a".into(), Some("t".into())));
        assert!(request.meta.is_empty());
    }

    #[test]
    fn anything_else_is_a_protocol_violation() {
        for text in [
            "",
            "check_status server",
            "[]",
            "{}",
            r#"{"data": {}}"#,
            r#"{"data": []}"#,
            r#"{"data": ["x"]}"#,
            r#"{"data": [{"data": "x"}]}"#,
            r#"{"data": [{"type": "token", "data": "t"}]}"#,
            r#"{"data": [{"type": "novel", "data": "x"}, {"type": "command", "data": "a"}]}"#,
            r#"{"data": [{"type": "string"}, {"type": "command", "data": "a"}]}"#,
            r#"{"data": [{"type": "command", "data": 1}]}"#,
            r#"{"data": [{"type": "table", "rows": ["x"]}, {"type": "command", "data": "a"}]}"#,
        ] {
            assert_eq!(Request::read(text), None, "{text}");
        }
    }
}
