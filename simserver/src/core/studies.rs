//! The study registry: which users and sites belong to which study (`study_registry.json`).
//!
//! ```text
//! {"format_version": "1.0", "studies": {NAME: {"admins": [USER, ...], "site_orgs": {ORG: [SITE, ...]}}}}
//! ```
//!
//! Source: `reference/server-behaviour.md` section 12.1.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use flare_wire::auth::DEFAULT_STUDY;
use flare_wire::hci::JsonObject;
use serde_json::Value;

/// The only format there is.
const FORMAT_VERSION: &str = "1.0";

/// Longest name of a study.
const MAX_NAME: usize = 63;

/// Why a text is no study registry.
#[derive(Debug)]
pub enum StudyRegistryError {
    /// Not JSON.
    NotJson(serde_json::Error),
    /// `format_version` is missing or not `1.0`.
    Version,
    /// Something has the wrong type.
    Shape(&'static str),
    /// A study has a site twice.
    DuplicateSite {
        /// The study.
        study: String,
        /// The site.
        site: String,
    },
}

impl fmt::Display for StudyRegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(_) => f.write_str("the study registry is not JSON"),
            Self::Version => f.write_str("the format version of the study registry is not \"1.0\""),
            Self::Shape(what) => write!(f, "{what} of the study registry has the wrong type"),
            Self::DuplicateSite { study, site } => write!(f, "study {study:?} has site {site:?} twice"),
        }
    }
}

impl std::error::Error for StudyRegistryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotJson(error) => Some(error),
            _ => None,
        }
    }
}

/// The studies of a server.
///
/// Commands change what the file holds, as the real server does: what it holds beyond studies stays, and the order of
/// organisations shows in replies. The file is written sorted, what is looked up keeps its order until the next change.
#[derive(Debug, Clone, Default)]
pub struct StudyRegistry {
    file: JsonObject,
    studies: Vec<(String, Study)>,
}

/// One study.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Study {
    /// Users who may open sessions in it, in the order of the file.
    pub users: Vec<String>,
    /// Its sites by organisation; an organisation may have none.
    pub site_orgs: Vec<(String, Vec<String>)>,
}

impl StudyRegistry {
    /// Reads a registry in nvflare's file format.
    ///
    /// # Errors
    /// [`StudyRegistryError`].
    pub fn from_json(text: &str) -> Result<Self, StudyRegistryError> {
        let registry: Value = serde_json::from_str(text).map_err(StudyRegistryError::NotJson)?;
        if registry.get("format_version").and_then(Value::as_str) != Some(FORMAT_VERSION) {
            return Err(StudyRegistryError::Version);
        }
        let Value::Object(file) = registry else { return Err(StudyRegistryError::Version) };
        let studies = file.get("studies").and_then(Value::as_object).ok_or(StudyRegistryError::Shape("`studies`"))?;
        Ok(Self { studies: read_studies(studies)?, file })
    }

    /// The registry as a real server writes its file: two blanks of indentation, sorted keys, a newline at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut file = self.file.clone();
        file.entry("format_version").or_insert_with(|| FORMAT_VERSION.into());
        file.entry("studies").or_insert_with(|| JsonObject::new().into());
        let text = format!("{:#}\n", sorted(Value::Object(file)));
        let mut ascii = String::with_capacity(text.len());
        for character in text.chars() {
            if character <= '~' {
                ascii.push(character);
            } else {
                let mut units = [0; 2];
                ascii.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
            }
        }
        ascii
    }

    /// What the file says of each study.
    pub(crate) fn definitions(&self) -> JsonObject {
        self.file.get("studies").and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// The registry after its file was changed to say this of the studies.
    pub(crate) fn with_definitions(&self, definitions: JsonObject) -> Result<Self, StudyRegistryError> {
        let studies = read_studies(&definitions)?;
        let mut file = self.file.clone();
        file.insert("format_version".to_owned(), FORMAT_VERSION.into());
        file.insert("studies".to_owned(), sorted(Value::Object(definitions)));
        Ok(Self { file, studies })
    }

    /// The studies in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Study)> {
        self.studies.iter().map(|(name, study)| (name.as_str(), study))
    }

    /// One study.
    #[must_use]
    pub fn study(&self, name: &str) -> Option<&Study> {
        self.iter().find(|(known, _)| *known == name).map(|(_, study)| study)
    }
}

impl Study {
    fn read(name: &str, study: &Value) -> Result<Self, StudyRegistryError> {
        let empty = JsonObject::new();
        let study = match study {
            Value::Object(study) => study,
            Value::Null => &empty,
            _ => return Err(StudyRegistryError::Shape("a study")),
        };
        let mut users = Vec::new();
        for user in names(study.get("admins").filter(|list| !list.is_null()), "`admins`")? {
            if !users.contains(&user) {
                users.push(user);
            }
        }
        let orgs = match study.get("site_orgs") {
            None | Some(Value::Null) => &empty,
            Some(Value::Object(orgs)) => orgs,
            Some(_) => return Err(StudyRegistryError::Shape("`site_orgs`")),
        };
        let mut seen = HashSet::new();
        let mut site_orgs = Vec::new();
        for (org, sites) in orgs {
            let sites = names(Some(sites), "the sites of an organisation")?;
            if let Some(site) = sites.iter().find(|site| !seen.insert((*site).clone())) {
                return Err(StudyRegistryError::DuplicateSite { study: name.to_owned(), site: site.clone() });
            }
            site_orgs.push((org.clone(), sites));
        }
        Ok(Self { users, site_orgs })
    }

    /// All its sites.
    #[must_use]
    pub fn sites(&self) -> BTreeSet<&str> {
        self.site_orgs.iter().flat_map(|(_, sites)| sites.iter().map(String::as_str)).collect()
    }

    /// True when it lists the organisation, even without sites.
    #[must_use]
    pub fn has_org(&self, org: &str) -> bool {
        self.site_orgs.iter().any(|(known, _)| known == org)
    }
}

fn read_studies(studies: &JsonObject) -> Result<Vec<(String, Study)>, StudyRegistryError> {
    studies.iter().map(|(name, study)| Ok((name.clone(), Study::read(name, study)?))).collect()
}

/// The value with the keys of its objects in order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut members: Vec<(String, Value)> = object.into_iter().collect();
            members.sort_by(|(left, _), (right, _)| left.cmp(right));
            Value::Object(members.into_iter().map(|(key, member)| (key, sorted(member))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// The strings of a list, which may be missing.
fn names(list: Option<&Value>, what: &'static str) -> Result<Vec<String>, StudyRegistryError> {
    let wrong = StudyRegistryError::Shape(what);
    let Some(list) = list else { return Ok(Vec::new()) };
    let names = list.as_array().and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect());
    names.ok_or(wrong)
}

/// True for what may be the name of a study at login: lower-case letters and digits, inside also `_` and `-`. The
/// real check lets one newline at the end pass, so this does.
#[must_use]
pub fn is_study_name(text: &str) -> bool {
    let name = text.strip_suffix('\n').unwrap_or(text).as_bytes();
    let outer = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= MAX_NAME
        && name.first().is_some_and(outer)
        && name.last().is_some_and(outer)
        && name.iter().all(|byte| outer(byte) || matches!(byte, b'_' | b'-'))
}

/// True for what may be the name of a site: letters, digits, `-` and `_`, with the same leniency as above.
#[must_use]
pub fn is_word(text: &str) -> bool {
    let name = text.strip_suffix('\n').unwrap_or(text);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The study of a job, `default` when its meta names none.
#[must_use]
pub fn study_of(meta: &JsonObject) -> &str {
    meta.get("study").and_then(Value::as_str).filter(|study| !study.is_empty()).unwrap_or(DEFAULT_STUDY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_read_as_nvflare_writes_it() {
        let registry = StudyRegistry::from_json(
            r#"{"format_version": "1.0", "studies": {"s1": {"admins": ["a", "b", "a"],
                "site_orgs": {"acme": [], "nvidia": ["site-2", "site-1"]}}, "s2": null}}"#,
        )
        .unwrap();
        let study = registry.study("s1").unwrap();
        assert_eq!(study.users, ["a", "b"]);
        assert_eq!(study.sites().into_iter().collect::<Vec<_>>(), ["site-1", "site-2"]);
        assert!(study.has_org("acme") && !study.has_org("other"));
        assert_eq!(registry.study("s2"), Some(&Study::default()));
        assert_eq!(registry.study("s3"), None);
    }

    #[test]
    fn what_is_no_registry_is_refused() {
        for text in [
            "x",
            r#"{"studies": {}}"#,
            r#"{"format_version": "1.0", "studies": []}"#,
            r#"{"format_version": "1.0", "studies": {"s": {"admins": {}}}}"#,
            r#"{"format_version": "1.0", "studies": {"s": {"site_orgs": {"a": null}}}}"#,
            r#"{"format_version": "1.0", "studies": {"s": {"site_orgs": {"a": ["x"], "b": ["x"]}}}}"#,
        ] {
            assert!(StudyRegistry::from_json(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_registry_is_written_as_nvflare_writes_it() {
        let read = r#"{"studies": {"s2": {"site_orgs": {"nvidia": ["site-1"], "acme": []}, "admins": ["ä"]}, "s1": null},
            "format_version": "1.0", "owner": "me"}"#;
        let written = concat!(
            "{\n  \"format_version\": \"1.0\",\n  \"owner\": \"me\",\n  \"studies\": {\n    \"s1\": null,\n",
            "    \"s2\": {\n      \"admins\": [\n        \"\\u00e4\"\n      ],\n      \"site_orgs\": {\n",
            "        \"acme\": [],\n        \"nvidia\": [\n          \"site-1\"\n        ]\n      }\n    }\n  }\n}\n",
        );
        let registry = StudyRegistry::from_json(read).unwrap();
        assert_eq!(registry.to_json(), written);
        assert_eq!(StudyRegistry::from_json(written).unwrap().to_json(), written);
        let none = "{\n  \"format_version\": \"1.0\",\n  \"studies\": {}\n}\n";
        assert_eq!(StudyRegistry::default().to_json(), none);
    }

    #[test]
    fn names_of_studies_follow_the_rule() {
        for name in ["default", "s1", "a-b_c", "x", "default\n"] {
            assert!(is_study_name(name), "{name:?}");
        }
        for name in ["", "BAD NAME", "-a", "a-", "A", &"a".repeat(64), "a\n\n", "ä"] {
            assert!(!is_study_name(name), "{name:?}");
        }
    }
}
