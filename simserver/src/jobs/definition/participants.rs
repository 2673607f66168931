//! The sites that one entry of a `deploy_map` names.

use flare_wire::hci::{JsonObject, python_repr};
use serde_json::Value;

use crate::jobs::python::{ExceptionClass, PythonError, type_name};

/// All clients; read without regard to case.
pub const ALL_SITES: &str = "@ALL";

/// The server among the participants.
pub const SERVER_SITE: &str = "server";

const SITES: &str = "sites";
const TARGETS: &str = "targets";

/// The participants that an entry names: a text, a list, `{"sites": [...]}`, `{"targets": [...]}`, or a list of these.
///
/// # Errors
/// The exception of the real server over an entry of another shape.
pub fn participants(entry: &Value) -> Result<Vec<&str>, PythonError> {
    let list = match entry {
        Value::String(site) => return Ok(vec![site]),
        Value::Object(map) => match map.get(TARGETS).or_else(|| map.get(SITES)) {
            Some(Value::String(_)) | None => return Err(bad_keys(entry, map)),
            Some(list) => list,
        },
        other => other,
    };
    let Value::Array(items) = list else {
        let kind = type_name(list);
        return Err(PythonError::value(format!("participants must be list/str/dict, but got <class '{kind}'>")));
    };
    let mut found = Vec::new();
    for item in items {
        match item {
            Value::String(site) => found.push(site.as_str()),
            Value::Object(map) => {
                let sites = map.get(SITES).filter(|sites| !sites.is_null()).or_else(|| map.get(TARGETS));
                let Some(Value::Array(sites)) = sites else {
                    return Err(PythonError::value(format!(
                        "site list must be list in participant entry {}: expected '{TARGETS}' or '{SITES}'",
                        python_repr(item)
                    )));
                };
                for site in sites {
                    found.push(site.as_str().ok_or_else(|| no_text(site))?);
                }
            }
            other => {
                let kind = type_name(other);
                return Err(PythonError::value(format!("Must be type of str or dict, but got <class '{kind}'>")));
            }
        }
    }
    Ok(found)
}

/// True for `@ALL` in any case.
#[must_use]
pub fn is_all_sites(site: &str) -> bool {
    site.eq_ignore_ascii_case(ALL_SITES)
}

/// The keys of list items that are neither `sites` nor `targets`.
pub(super) fn unknown_keys(entry: &Value) -> Option<Vec<&str>> {
    entry.as_array()?.iter().filter_map(Value::as_object).find_map(|map| {
        let unknown: Vec<&str> = map.keys().map(String::as_str).filter(|key| ![SITES, TARGETS].contains(key)).collect();
        (!unknown.is_empty()).then_some(unknown)
    })
}

fn bad_keys(entry: &Value, map: &JsonObject) -> PythonError {
    if let Some(inner) = map.get(TARGETS).or_else(|| map.get(SITES)) {
        let kind = type_name(inner);
        return PythonError::value(format!("participants must be list/str/dict, but got <class '{kind}'>"));
    }
    let keys: Value = entry.as_object().into_iter().flat_map(JsonObject::keys).map(String::as_str).collect();
    PythonError::value(format!(
        "invalid participant entry keys {}: expected '{TARGETS}' or '{SITES}'",
        python_repr(&keys)
    ))
}

/// What comes of a site that is no text, since its case is folded without a check.
fn no_text(site: &Value) -> PythonError {
    PythonError::new(ExceptionClass::Attribute, format!("'{}' object has no attribute 'casefold'", type_name(site)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_an_entry_is_read() {
        for entry in [
            json!(["server", "site-1"]),
            json!({"sites": ["server", "site-1"]}),
            json!({"targets": ["server", "site-1"]}),
            json!([{"sites": ["server"]}, "site-1"]),
            json!([{"targets": ["server"]}, {"sites": ["site-1"]}]),
        ] {
            assert_eq!(participants(&entry).unwrap(), ["server", "site-1"], "{entry}");
        }
        assert_eq!(participants(&json!("server")).unwrap(), ["server"]);
    }

    #[test]
    fn other_forms_get_the_words_of_the_real_server() {
        for (entry, text) in [
            (json!({"x": 1}), "ValueError: invalid participant entry keys ['x']: expected 'targets' or 'sites'"),
            (json!(5), "ValueError: participants must be list/str/dict, but got <class 'int'>"),
            (json!({"sites": "a"}), "ValueError: participants must be list/str/dict, but got <class 'str'>"),
            (
                json!([{"sites": 1}]),
                "ValueError: site list must be list in participant entry {'sites': 1}: expected 'targets' or 'sites'",
            ),
            (json!([null]), "ValueError: Must be type of str or dict, but got <class 'NoneType'>"),
            (json!([{"sites": [1]}]), "AttributeError: 'int' object has no attribute 'casefold'"),
        ] {
            assert_eq!(participants(&entry).unwrap_err().to_string(), text);
        }
    }
}
