//! What went over the wire while a case ran, as reports keep it: rendered, bounded, and without secrets.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One thing that a case sent or received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// Milliseconds since the case began.
    pub at_ms: f64,
    /// Which of the case's connections it was: the user's name and, from the second connection on, a number.
    pub connection: String,
    /// Which way it went.
    pub direction: Direction,
    /// What it was, on one line.
    pub what: String,
    /// Its headers.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub headers: Map<String, Value>,
    /// What it held, as far as it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// Which way something went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the subject.
    Sent,
    /// From the subject.
    Received,
    /// Neither: a connection was opened or lost, a reply did not come.
    Event,
}
