//! Replies: a list of items and a flat `meta` object.

use std::fmt;

use serde_json::{Value, json};

use super::{HciError, JsonObject, python_json};

/// One item of a reply.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// `string`: free text.
    String(String),
    /// `success`: the command says that it succeeded.
    Success(String),
    /// `error`: the command was refused or failed; clients stop reading here.
    Error(String),
    /// `shutdown`: the server goes down; clients stop reading here.
    Shutdown(String),
    /// `token`: a session token.
    Token(String),
    /// `dict`: an object.
    Dict(JsonObject),
    /// `table`: rows of cells, the first row being the upper-case headers.
    Table(Vec<Vec<Option<String>>>),
    /// Anything else, kept as it came.
    Other(Value),
}

impl Item {
    fn to_json(&self) -> Value {
        match self {
            Self::String(text) => json!({"type": "string", "data": text}),
            Self::Success(text) => json!({"type": "success", "data": text}),
            Self::Error(text) => json!({"type": "error", "data": text}),
            Self::Shutdown(text) => json!({"type": "shutdown", "data": text}),
            Self::Token(text) => json!({"type": "token", "data": text}),
            Self::Dict(map) => json!({"type": "dict", "data": map}),
            Self::Table(rows) => json!({"type": "table", "rows": rows}),
            Self::Other(value) => value.clone(),
        }
    }

    fn from_json(value: Value) -> Self {
        let Some(kind) = value.get("type").and_then(Value::as_str) else { return Self::Other(value) };
        if kind == "table" {
            return match value.get("rows").and_then(parse_rows) {
                Some(rows) => Self::Table(rows),
                None => Self::Other(value),
            };
        }
        match (kind, value.get("data")) {
            ("string", Some(Value::String(text))) => Self::String(text.clone()),
            ("success", Some(Value::String(text))) => Self::Success(text.clone()),
            ("error", Some(Value::String(text))) => Self::Error(text.clone()),
            ("shutdown", Some(Value::String(text))) => Self::Shutdown(text.clone()),
            ("token", Some(Value::String(text))) => Self::Token(text.clone()),
            ("dict", Some(Value::Object(map))) => Self::Dict(map.clone()),
            _ => Self::Other(value),
        }
    }
}

/// Rows of cells; a cell that is neither text nor null is printed as JSON rather than lost.
fn parse_rows(rows: &Value) -> Option<Vec<Vec<Option<String>>>> {
    rows.as_array()?
        .iter()
        .map(|row| {
            Some(
                row.as_array()?
                    .iter()
                    .map(|cell| match cell {
                        Value::Null => None,
                        Value::String(text) => Some(text.clone()),
                        other => Some(python_json(other)),
                    })
                    .collect(),
            )
        })
        .collect()
}

/// `meta.status`: what became of a command. A reply can hold no error item and still be a refusal, so this
/// decides, not the items.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetaStatus {
    /// `ok`
    Ok,
    /// `error`
    Error,
    /// `syntax_error`
    SyntaxError,
    /// `not_authorized`
    NotAuthorized,
    /// `not_authenticated`
    NotAuthenticated,
    /// `internal_error`
    InternalError,
    /// `invalid_target`
    InvalidTarget,
    /// `invalid_job_def`
    InvalidJobDefinition,
    /// `invalid_job_id`
    InvalidJobId,
    /// `job_running`
    JobRunning,
    /// `job_not_running`
    JobNotRunning,
    /// `clients_running`
    ClientsRunning,
    /// `no_jobs`
    NoJobs,
    /// `no_job_components`
    NoJobComponents,
    /// `no_reply`
    NoReply,
    /// `no_clients`
    NoClients,
    /// `submit_token_conflict`
    SubmitTokenConflict,
    /// `submit_token_job_deleted`
    SubmitTokenJobDeleted,
    /// A value this crate does not know.
    Other(String),
}

impl MetaStatus {
    /// Every value that this crate knows.
    pub const KNOWN: [Self; 18] = [
        Self::Ok,
        Self::Error,
        Self::SyntaxError,
        Self::NotAuthorized,
        Self::NotAuthenticated,
        Self::InternalError,
        Self::InvalidTarget,
        Self::InvalidJobDefinition,
        Self::InvalidJobId,
        Self::JobRunning,
        Self::JobNotRunning,
        Self::ClientsRunning,
        Self::NoJobs,
        Self::NoJobComponents,
        Self::NoReply,
        Self::NoClients,
        Self::SubmitTokenConflict,
        Self::SubmitTokenJobDeleted,
    ];

    /// The value on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::SyntaxError => "syntax_error",
            Self::NotAuthorized => "not_authorized",
            Self::NotAuthenticated => "not_authenticated",
            Self::InternalError => "internal_error",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidJobDefinition => "invalid_job_def",
            Self::InvalidJobId => "invalid_job_id",
            Self::JobRunning => "job_running",
            Self::JobNotRunning => "job_not_running",
            Self::ClientsRunning => "clients_running",
            Self::NoJobs => "no_jobs",
            Self::NoJobComponents => "no_job_components",
            Self::NoReply => "no_reply",
            Self::NoClients => "no_clients",
            Self::SubmitTokenConflict => "submit_token_conflict",
            Self::SubmitTokenJobDeleted => "submit_token_job_deleted",
            Self::Other(text) => text,
        }
    }
}

impl From<&str> for MetaStatus {
    fn from(text: &str) -> Self {
        Self::KNOWN.into_iter().find(|status| status.as_str() == text).unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

impl fmt::Display for MetaStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A reply to a command.
///
/// The `push_*` methods follow the server's rules for `meta`: an explicit meta is merged in, `success` and
/// `error` without one set `status` and `info`, the other items add nothing
/// (`reference/server-behaviour.md` section 1).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reply {
    /// When the server wrote it: `YYYY-MM-DD HH:MM:SS.ffffff` in the server's local time.
    pub time: String,
    /// The items, in order.
    pub data: Vec<Item>,
    /// What the command says about itself; keys in the order of their first insertion.
    pub meta: JsonObject,
}

impl Reply {
    /// An empty reply.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a `string` item.
    pub fn push_string(&mut self, text: impl Into<String>) -> &mut Self {
        self.data.push(Item::String(text.into()));
        self
    }

    /// Adds a `dict` item.
    pub fn push_dict(&mut self, map: JsonObject) -> &mut Self {
        self.data.push(Item::Dict(map));
        self
    }

    /// Adds a `token` item.
    pub fn push_token(&mut self, token: impl Into<String>) -> &mut Self {
        self.data.push(Item::Token(token.into()));
        self
    }

    /// Adds a `shutdown` item.
    pub fn push_shutdown(&mut self, text: impl Into<String>) -> &mut Self {
        self.data.push(Item::Shutdown(text.into()));
        self
    }

    /// Adds a `success` item, and `{"status": "ok", "info": text}` to the meta.
    pub fn push_success(&mut self, text: impl Into<String>) -> &mut Self {
        let text = text.into();
        self.set_status(&MetaStatus::Ok, text.as_str());
        self.data.push(Item::Success(text));
        self
    }

    /// Adds an `error` item, and `{"status": "error", "info": text}` to the meta.
    pub fn push_error(&mut self, text: impl Into<String>) -> &mut Self {
        let text = text.into();
        self.set_status(&MetaStatus::Error, text.as_str());
        self.data.push(Item::Error(text));
        self
    }

    /// Adds an `error` item, with its own status and info in the meta.
    pub fn push_error_with(&mut self, text: impl Into<String>, status: &MetaStatus, info: &str) -> &mut Self {
        self.set_status(status, info);
        self.data.push(Item::Error(text.into()));
        self
    }

    /// Adds a table; a named one also sets `meta[name]` to the rows' meta objects.
    pub fn push_table(&mut self, table: Table) -> &mut Self {
        if let Some(name) = table.name {
            self.meta.insert(name, Value::Array(table.meta.into_iter().map(Value::Object).collect()));
        }
        self.data.push(Item::Table(table.rows));
        self
    }

    /// Sets `status` and `info` of the meta.
    pub fn set_status(&mut self, status: &MetaStatus, info: &str) -> &mut Self {
        self.set_meta("status", status.as_str());
        self.set_meta("info", info)
    }

    /// Sets one key of the meta; a key that is there keeps its place.
    pub fn set_meta(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        self.meta.insert(key.to_owned(), value.into());
        self
    }

    /// `meta.status`, when there is one.
    #[must_use]
    pub fn status(&self) -> Option<MetaStatus> {
        self.meta.get("status").and_then(Value::as_str).map(MetaStatus::from)
    }

    /// `meta.info`, or nothing.
    #[must_use]
    pub fn info(&self) -> &str {
        self.meta.get("info").and_then(Value::as_str).unwrap_or_default()
    }

    /// The text of the reply as a server sends it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let data: Vec<Value> = self.data.iter().map(Item::to_json).collect();
        python_json(&json!({"time": self.time, "data": data, "meta": self.meta}))
    }

    /// Reads the text of a reply.
    ///
    /// # Errors
    /// [`HciError`] when it is no JSON object with a `data` list, or `meta` is no object.
    pub fn parse(text: &str) -> Result<Self, HciError> {
        let Value::Object(mut body) = serde_json::from_str(text).map_err(|_| HciError::NotJson)? else {
            return Err(HciError::WrongShape);
        };
        let time = body.get("time").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(Value::Array(items)) = body.remove("data") else { return Err(HciError::WrongShape) };
        let meta = match body.remove("meta") {
            Some(Value::Object(meta)) => meta,
            None | Some(Value::Null) => JsonObject::new(),
            Some(_) => return Err(HciError::WrongShape),
        };
        Ok(Self { time, data: items.into_iter().map(Item::from_json).collect(), meta })
    }
}

/// A table under construction.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    name: Option<String>,
    rows: Vec<Vec<Option<String>>>,
    meta: Vec<JsonObject>,
}

impl Table {
    /// A table with these headers, which are written in upper case.
    pub fn new<'a>(headers: impl IntoIterator<Item = &'a str>) -> Self {
        let headers = headers.into_iter().map(|header| Some(header.to_uppercase())).collect();
        Self { name: None, rows: vec![headers], meta: Vec::new() }
    }

    /// A table whose rows also appear as objects in the reply's meta under `name`.
    pub fn named<'a>(name: &str, headers: impl IntoIterator<Item = &'a str>) -> Self {
        Self { name: Some(name.to_owned()), ..Self::new(headers) }
    }

    /// Adds a row.
    pub fn row<I>(&mut self, cells: I) -> &mut Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.rows.push(cells.into_iter().map(|cell| Some(cell.into())).collect());
        self
    }

    /// Adds a row whose cells may be null.
    pub fn row_with_nulls(&mut self, cells: Vec<Option<String>>) -> &mut Self {
        self.rows.push(cells);
        self
    }

    /// Adds a row and its meta object.
    pub fn row_with_meta<I>(&mut self, cells: I, meta: JsonObject) -> &mut Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.meta.push(meta);
        self.row(cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_table_puts_its_key_before_a_later_status() {
        let mut table = Table::named("jobs", ["job id"]);
        let mut meta = JsonObject::new();
        meta.insert("job_id".into(), "a".into());
        table.row_with_meta(["a"], meta);
        let mut reply = Reply::new();
        reply.push_table(table).push_success("");
        assert_eq!(
            reply.to_json(),
            r#"{"time": "", "data": [{"type": "table", "rows": [["JOB ID"], ["a"]]}, {"type": "success", "data": ""}], "meta": {"jobs": [{"job_id": "a"}], "status": "ok", "info": ""}}"#
        );
    }

    #[test]
    fn unknown_items_and_statuses_are_kept() {
        let text = r#"{"time": "t", "data": [{"type": "novel", "x": 1}, {"type": "table", "rows": [["A"], [null]]}], "meta": {"status": "strange", "info": "i"}}"#;
        let reply = Reply::parse(text).unwrap();
        assert_eq!(reply.status(), Some(MetaStatus::Other("strange".into())));
        assert_eq!(reply.to_json(), text);
    }

    #[test]
    fn a_reply_of_another_shape_is_refused() {
        assert_eq!(Reply::parse("nope"), Err(HciError::NotJson));
        assert_eq!(Reply::parse("[]"), Err(HciError::WrongShape));
        assert_eq!(Reply::parse(r#"{"data": 1}"#), Err(HciError::WrongShape));
    }
}
