//! Who submits, deletes or clones.

use flare_wire::hci::JsonObject;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An admin user as jobs remember one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Submitter {
    /// User name.
    pub name: String,
    /// Organisation.
    pub org: String,
    /// Role, in the session's study.
    pub role: String,
}

impl Submitter {
    /// A user.
    #[must_use]
    pub fn new(name: &str, org: &str, role: &str) -> Self {
        Self { name: name.to_owned(), org: org.to_owned(), role: role.to_owned() }
    }

    /// `{"name": ..., "org": ..., "role": ...}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({"name": self.name, "org": self.org, "role": self.role})
    }

    /// Reads texts under the three keys that `prefix` leads to; missing ones are empty.
    #[must_use]
    pub fn from_fields(fields: &JsonObject, prefix: &str) -> Self {
        let text = |key: &str| fields.get(&format!("{prefix}{key}")).and_then(Value::as_str).unwrap_or_default();
        Self::new(text("name"), text("org"), text("role"))
    }
}
