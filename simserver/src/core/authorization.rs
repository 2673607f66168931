//! The authorization policy: who may do what (`authorization.json`).
//!
//! ```text
//! {"format_version": "1.0", "permissions": {ROLE: RULE, ...}}
//! RULE       = CONDITIONS for everything | {RIGHT or CATEGORY: CONDITIONS, ...}
//! CONDITIONS = CONDITION | [CONDITION, ...]
//! CONDITION  = ["not "] ("any" | "all" | "none" | "no" | "o:" ORG | "org:" ORG | "n:" NAME | "name:" NAME)
//! ```
//!
//! Source: `reference/server-behaviour.md` section 2.

use std::collections::HashMap;
use std::fmt;

use serde_json::Value;

/// The policy that provisioning gives to servers and sites.
const DEFAULT_POLICY: &str = r#"{
  "format_version": "1.0",
  "permissions": {
    "project_admin": "any",
    "org_admin": {
      "submit_job": "none", "clone_job": "none", "manage_job": "o:submitter", "download_job": "o:submitter",
      "view": "any", "operate": "o:site", "shell_commands": "o:site", "byoc": "none",
      "server-predeployed-flwr": "none"
    },
    "lead": {
      "submit_job": "any", "clone_job": "n:submitter", "manage_job": "n:submitter", "download_job": "n:submitter",
      "view": "any", "operate": "o:site", "shell_commands": "o:site", "byoc": "any",
      "server-predeployed-flwr": "none"
    },
    "member": {"view": "any"}
  }
}"#;

/// Rights that a policy may name together. Rights are named like the commands that need them.
const CATEGORIES: [(&str, &[&str]); 5] = [
    ("manage_job", &["abort", "abort_job", "delete_job", "delete_workspace", "configure_job_log"]),
    (
        "operate",
        &[
            "sys_info",
            "report_resources",
            "report_env",
            "restart",
            "shutdown",
            "remove_client",
            "disable_client",
            "enable_client",
            "set_timeout",
            "call",
            "configure_site_log",
        ],
    ),
    (
        "view",
        &["check_status", "show_scopes", "show_stats", "show_errors", "reset_errors", "list_jobs", "get_job_meta"],
    ),
    ("shell_commands", &["pwd", "ls", "cat", "head", "tail", "grep"]),
    ("download_job", &["download_job"]),
];

/// A role that every policy lets do everything; the real server keeps it for its own tests.
const SUPER_ROLE: &str = "super";

/// Why a text is no policy.
#[derive(Debug)]
pub enum PolicyError {
    /// Not JSON.
    NotJson(serde_json::Error),
    /// `format_version` is missing or not `1.0`.
    Version,
    /// `permissions` is missing, empty, or no object.
    Permissions,
    /// The rule of this role is neither a text, nor a list, nor an object.
    Rule(String),
    /// Not a condition.
    Condition(String),
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(_) => f.write_str("the authorization policy is not JSON"),
            Self::Version => f.write_str("the format version of the authorization policy is not \"1.0\""),
            Self::Permissions => f.write_str("the authorization policy has no permissions"),
            Self::Rule(role) => write!(f, "the rule of role {role:?} has the wrong type"),
            Self::Condition(text) => write!(f, "bad condition {text:?} in the authorization policy"),
        }
    }
}

impl std::error::Error for PolicyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotJson(error) => Some(error),
            _ => None,
        }
    }
}

/// A person as policies see one: lower case, single blanks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// Name of the user.
    pub name: String,
    /// The user's organisation.
    pub org: String,
    /// The user's role.
    pub role: String,
}

impl Person {
    /// A person; the words are normalised.
    #[must_use]
    pub fn new(name: &str, org: &str, role: &str) -> Self {
        Self { name: normalized(name), org: normalized(org), role: normalized(role) }
    }
}

fn normalized(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A policy.
#[derive(Debug, Clone)]
pub struct Policy {
    roles: HashMap<String, RoleRules>,
}

/// What one role may do.
#[derive(Debug, Clone, Default)]
struct RoleRules {
    /// Counts for every right, when there is one.
    everything: Option<Rule>,
    rights: HashMap<String, Rule>,
}

/// Conditions for one right.
#[derive(Debug, Clone, Default)]
struct Rule {
    allowed: Vec<Condition>,
    blocked: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Always,
    Never,
    Org(Wanted),
    Name(Wanted),
}

/// What an organisation or a name is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    /// The organisation of the site that decides.
    Site,
    /// The one who submitted the job.
    Submitter,
    This(String),
}

impl Default for Policy {
    /// The policy that provisioning writes.
    fn default() -> Self {
        Self::from_json(DEFAULT_POLICY).expect("the default policy is a policy, as a test shows")
    }
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        let policy: Value = serde_json::from_str(text).map_err(PolicyError::NotJson)?;
        if policy.get("format_version").and_then(Value::as_str) != Some("1.0") {
            return Err(PolicyError::Version);
        }
        let permissions = policy.get("permissions").and_then(Value::as_object).filter(|roles| !roles.is_empty());
        let mut roles: HashMap<String, RoleRules> = HashMap::new();
        for (role, rule) in permissions.ok_or(PolicyError::Permissions)? {
            let rules = roles.entry(normalized(role)).or_default();
            match rule {
                Value::String(_) | Value::Array(_) => rules.everything = Some(Rule::read(rule)?),
                Value::Object(rights) => rules.read(rights)?,
                _ => return Err(PolicyError::Rule(role.clone())),
            }
        }
        Ok(Self { roles })
    }

    /// A policy that knows no role.
    pub(super) fn nobody() -> Self {
        Self { roles: HashMap::new() }
    }

    /// True when `user` may use `right` on a site of `site_org`; `submitter` is who submitted the job concerned, or
    /// nobody.
    #[must_use]
    pub fn permits(&self, right: &str, user: &Person, submitter: &Person, site_org: &str) -> bool {
        if user.role == SUPER_ROLE {
            return true;
        }
        let Some(rules) = self.roles.get(&user.role) else { return false };
        let Some(rule) = rules.everything.as_ref().or_else(|| rules.rights.get(right)) else { return false };
        rule.holds(user, submitter, &normalized(site_org))
    }

    /// As [`Policy::permits`], with the text that tells the user.
    ///
    /// # Errors
    /// The text of the refusal.
    pub fn authorize(&self, right: &str, user: &Person, submitter: &Person, site_org: &str) -> Result<(), String> {
        if self.permits(right, user, submitter, site_org) {
            Ok(())
        } else {
            Err(format!("user '{}' is not authorized for '{right}'", user.name))
        }
    }
}

impl RoleRules {
    /// Categories first: a single right overrides its category wherever it stands.
    fn read(&mut self, rights: &serde_json::Map<String, Value>) -> Result<(), PolicyError> {
        let category = |name: &str| CATEGORIES.iter().find(|(category, _)| *category == name);
        for (name, conditions) in rights {
            if let Some((category, members)) = category(&normalized(name)) {
                let rule = Rule::read(conditions)?;
                // Its own name is a right as well.
                self.rights.insert((*category).to_owned(), rule.clone());
                self.rights.extend(members.iter().map(|right| ((*right).to_owned(), rule.clone())));
            }
        }
        for (name, conditions) in rights {
            let name = normalized(name);
            if category(&name).is_none() {
                self.rights.insert(name, Rule::read(conditions)?);
            }
        }
        Ok(())
    }
}

impl Rule {
    fn read(conditions: &Value) -> Result<Self, PolicyError> {
        let bad = || PolicyError::Condition(conditions.to_string());
        let mut rule = Self::default();
        match conditions {
            Value::String(text) => rule.add(text)?,
            Value::Array(texts) if !texts.is_empty() => {
                for text in texts {
                    rule.add(text.as_str().ok_or_else(bad)?)?;
                }
            }
            _ => return Err(bad()),
        }
        Ok(rule)
    }

    fn add(&mut self, text: &str) -> Result<(), PolicyError> {
        let text = normalized(text);
        let (list, condition) = match text.strip_prefix("not ") {
            Some(rest) if !rest.contains(' ') => (&mut self.blocked, rest),
            _ => (&mut self.allowed, text.as_str()),
        };
        list.push(Condition::read(condition).ok_or_else(|| PolicyError::Condition(text.clone()))?);
        Ok(())
    }

    /// Blocked conditions count before allowed ones; a rule that only blocks allows the rest.
    fn holds(&self, user: &Person, submitter: &Person, site_org: &str) -> bool {
        let holds = |condition: &Condition| condition.holds(user, submitter, site_org);
        !self.blocked.iter().any(holds) && (self.allowed.is_empty() || self.allowed.iter().any(holds))
    }
}

impl Condition {
    fn read(text: &str) -> Option<Self> {
        match text {
            "all" | "any" => return Some(Self::Always),
            "none" | "no" => return Some(Self::Never),
            _ => {}
        }
        let (kind, wanted) = text.split_once(':').filter(|(_, wanted)| !wanted.contains(':'))?;
        let wanted = wanted.trim();
        let wanted = |site: bool| match wanted {
            "site" if site => Wanted::Site,
            "submitter" => Wanted::Submitter,
            other => Wanted::This(other.to_owned()),
        };
        match kind.trim() {
            "o" | "org" => Some(Self::Org(wanted(true))),
            // A site has no name here: `n:site` is somebody called "site".
            "n" | "name" => Some(Self::Name(wanted(false))),
            _ => None,
        }
    }

    fn holds(&self, user: &Person, submitter: &Person, site_org: &str) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Org(Wanted::Site) => user.org == site_org,
            Self::Org(Wanted::Submitter) => user.org == submitter.org,
            Self::Org(Wanted::This(org)) => user.org == *org,
            Self::Name(Wanted::Submitter) => user.name == submitter.name,
            Self::Name(Wanted::This(name)) => user.name == *name,
            Self::Name(Wanted::Site) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(policy: &str, right: &str, user: (&str, &str, &str), submitter: (&str, &str), site_org: &str) -> bool {
        let policy = Policy::from_json(policy).unwrap();
        let user = Person::new(user.0, user.1, user.2);
        policy.permits(right, &user, &Person::new(submitter.0, submitter.1, ""), site_org)
    }

    fn of_role(rule: &str) -> String {
        format!(r#"{{"format_version": "1.0", "permissions": {{"lead": {rule}}}}}"#)
    }

    #[test]
    fn the_default_policy_is_the_documented_one() {
        let policy = Policy::default();
        let nobody = Person::default();
        let permits = |role: &str, org: &str, right: &str, submitter: &Person| {
            policy.permits(right, &Person::new("u@x.org", org, role), submitter, "nvidia")
        };
        for right in ["sys_info", "pwd", "report_version", "submit_job"] {
            assert!(permits("project_admin", "acme", right, &nobody), "{right}");
            assert!(!permits("member", "nvidia", right, &nobody), "{right}");
        }
        assert!(permits("member", "acme", "check_status", &nobody));
        assert!(permits("lead", "nvidia", "sys_info", &nobody) && !permits("lead", "acme", "sys_info", &nobody));
        assert!(
            permits("lead", "acme", "submit_job", &nobody) && !permits("org_admin", "nvidia", "submit_job", &nobody)
        );
        let own = Person::new("u@x.org", "acme", "lead");
        assert!(permits("lead", "nvidia", "abort_job", &own) && !permits("org_admin", "nvidia", "abort_job", &own));
        assert!(permits("org_admin", "acme", "download_job", &own));
        // In no category, and named nowhere.
        for right in ["report_version", "get_job_log", "list_job", "download_job_components", "app_command"] {
            assert!(!permits("lead", "nvidia", right, &own), "{right}");
        }
    }

    #[test]
    fn blocked_conditions_count_first_and_alone_allow_the_rest() {
        let rule = of_role(r#"{"view": ["any", "not o:acme"], "pwd": "not n:eve"}"#);
        assert!(!allowed(&rule, "list_jobs", ("a", "acme", "lead"), ("", ""), ""));
        assert!(allowed(&rule, "list_jobs", ("a", "other", "lead"), ("", ""), ""));
        assert!(!allowed(&rule, "pwd", ("Eve", "x", "LEAD"), ("", ""), ""));
        assert!(allowed(&rule, "pwd", ("adam", "x", " lead "), ("", ""), ""));
    }

    #[test]
    fn a_single_right_overrides_its_category_wherever_it_stands() {
        for rule in [r#"{"pwd": "none", "shell_commands": "any"}"#, r#"{"shell_commands": "any", "pwd": "none"}"#] {
            assert!(!allowed(&of_role(rule), "pwd", ("a", "o", "lead"), ("", ""), ""));
            assert!(allowed(&of_role(rule), "ls", ("a", "o", "lead"), ("", ""), ""));
        }
    }

    #[test]
    fn a_name_is_never_the_site_and_nobody_submitted_what_is_no_job() {
        assert!(!allowed(&of_role(r#""n:site""#), "x", ("a", "o", "lead"), ("", ""), "o"));
        assert!(!allowed(&of_role(r#""o:submitter""#), "x", ("a", "o", "lead"), ("", ""), "o"));
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for text in [
            "nope",
            "{}",
            r#"{"format_version": "2.0", "permissions": {"a": "any"}}"#,
            r#"{"format_version": "1.0", "permissions": {}}"#,
            r#"{"format_version": "1.0", "permissions": {"a": 1}}"#,
            r#"{"format_version": "1.0", "permissions": {"a": "x:y"}}"#,
            r#"{"format_version": "1.0", "permissions": {"a": []}}"#,
            r#"{"format_version": "1.0", "permissions": {"a": {"view": "not a b"}}}"#,
        ] {
            assert!(Policy::from_json(text).is_err(), "{text}");
        }
    }
}
