//! HELLO and READY: each side says its endpoint name.

use crate::Moment;
use crate::msgpack::{self, Value, field};

/// Payload of HELLO and of READY.
#[derive(Debug, Clone, PartialEq)]
pub struct Hello {
    /// Name of the endpoint; absent in a frame that a real server answers but never works with.
    pub endpoint_name: Option<String>,
    /// When it was sent, in seconds since the epoch.
    pub timestamp: Option<f64>,
    /// Fully qualified cell name; the same as the endpoint name for admins and server.
    pub fqcn: Option<String>,
}

impl Hello {
    /// The payload of an endpoint that is its own cell.
    #[must_use]
    pub fn new(name: &str, now: Moment) -> Self {
        Self { endpoint_name: Some(name.to_owned()), timestamp: Some(now.as_secs_f64()), fqcn: Some(name.to_owned()) }
    }

    /// The msgpack map.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        if let Some(name) = &self.endpoint_name {
            entries.push((Value::from("endpoint_name"), Value::from(name.as_str())));
        }
        if let Some(timestamp) = self.timestamp {
            entries.push((Value::from("timestamp"), Value::from(timestamp)));
        }
        if let Some(fqcn) = &self.fqcn {
            entries.push((Value::from("fqcn"), Value::from(fqcn.as_str())));
        }
        msgpack::encode(&Value::Map(entries))
    }

    /// Reads the payload; what is missing or no msgpack map gives empty fields, as a real server reads it.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        let value = msgpack::decode(bytes).unwrap_or(Value::Nil);
        let text = |key| field(&value, key).and_then(Value::as_str).map(str::to_owned);
        Self {
            endpoint_name: text("endpoint_name"),
            timestamp: field(&value, "timestamp").and_then(Value::as_f64),
            fqcn: text("fqcn"),
        }
    }
}

/// True for names of `[A-Za-z0-9_.~-]+`; a 2.9 server closes the connection for any other.
#[must_use]
pub fn is_valid_endpoint_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '~' | '-'))
}
