//! Rules that change what the runs of certain jobs do.

use std::collections::BTreeMap;
use std::time::Duration;

use flare_wire::hci::JsonObject;
use serde::Deserialize;

use super::plan::{Ending, RunPlan};
use crate::jobs::meta::JobMeta;

/// What is different for the jobs it fits.
///
/// ```
/// use std::time::Duration;
///
/// use flare_simserver::jobs::behaviour::Rule;
///
/// let slow = Rule::named("slow-*").running_for(Duration::from_secs(3600));
/// let broken = Rule::named("broken").failing_at("site-2", "ValueError: no data");
/// let deaf = Rule::named("*").with_meta("scope", "private").silent_at("site-1");
/// let endless = Rule::named("endless").until_aborted();
/// ```
///
/// In a scenario file a rule is a mapping of its fields: `{name: "slow-*", seconds: 3600}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Name of the jobs, or of their folder when they have none; `*` stands for anything.
    pub name: String,
    /// Keys of the meta that must have these values.
    pub meta: JsonObject,
    /// How long the run takes.
    pub seconds: Option<f64>,
    /// How long each round takes.
    pub round_seconds: Option<f64>,
    /// The run ends only when it is aborted.
    pub until_aborted: bool,
    /// The run ends with this exception on the server.
    pub server_exception: Option<String>,
    /// The run ends with an exception on a site.
    pub site_exceptions: BTreeMap<String, String>,
    /// These sites take part and never answer.
    pub silent_sites: Vec<String>,
    /// Lines for the server's log.
    pub log: Vec<String>,
    /// Files in the workspace that the run leaves behind, as text.
    pub results: BTreeMap<String, String>,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            name: "*".to_owned(),
            meta: JsonObject::new(),
            seconds: None,
            round_seconds: None,
            until_aborted: false,
            server_exception: None,
            site_exceptions: BTreeMap::new(),
            silent_sites: Vec::new(),
            log: Vec::new(),
            results: BTreeMap::new(),
        }
    }
}

impl Rule {
    /// For jobs of this name; `*` stands for anything.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Only for jobs whose meta has this text under this key.
    #[must_use]
    pub fn with_meta(mut self, key: &str, value: &str) -> Self {
        self.meta.insert(key.to_owned(), value.into());
        self
    }

    /// The run takes this long.
    #[must_use]
    pub fn running_for(mut self, time: Duration) -> Self {
        self.seconds = Some(time.as_secs_f64());
        self
    }

    /// The run ends only when it is aborted.
    #[must_use]
    pub fn until_aborted(mut self) -> Self {
        self.until_aborted = true;
        self
    }

    /// The run ends with an exception on the server.
    #[must_use]
    pub fn failing_on_server(mut self, text: &str) -> Self {
        self.server_exception = Some(text.to_owned());
        self
    }

    /// The run ends with an exception on a site.
    #[must_use]
    pub fn failing_at(mut self, site: &str, text: &str) -> Self {
        self.site_exceptions.insert(site.to_owned(), text.to_owned());
        self
    }

    /// A site takes part and never answers.
    #[must_use]
    pub fn silent_at(mut self, site: &str) -> Self {
        self.silent_sites.push(site.to_owned());
        self
    }

    /// The run leaves a file in its workspace.
    #[must_use]
    pub fn with_result(mut self, path: &str, content: &str) -> Self {
        self.results.insert(path.to_owned(), content.to_owned());
        self
    }

    /// The run writes a line into the server's log.
    #[must_use]
    pub fn with_log(mut self, line: &str) -> Self {
        self.log.push(line.to_owned());
        self
    }

    pub(super) fn fits(&self, meta: &JobMeta) -> bool {
        matches(&self.name, meta.display_name())
            && self.meta.iter().all(|(key, value)| meta.fields().get(key) == Some(value))
    }

    pub(super) fn change(&self, plan: &mut RunPlan) {
        let time = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        if let Some(seconds) = self.round_seconds {
            plan.round_time = time(seconds);
        }
        if let Some(seconds) = self.seconds {
            plan.running_time = Some(time(seconds));
        }
        if let Some(text) = &self.server_exception {
            plan.ending = Ending::Exception { site: None, text: text.clone() };
        }
        if let Some((site, text)) = self.site_exceptions.iter().next() {
            plan.ending = Ending::Exception { site: Some(site.clone()), text: text.clone() };
        }
        if self.until_aborted {
            plan.ending = Ending::UntilAborted;
        }
        plan.silent_sites.extend(self.silent_sites.iter().cloned());
        plan.log.extend(self.log.iter().map(|line| (Duration::ZERO, line.clone())));
        plan.results.extend(self.results.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes())));
    }
}

/// True when `text` has the shape of `pattern`, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text) in [("*", ""), ("a*", "abc"), ("*c", "abc"), ("a*c", "ac"), ("a*b*c", "aXbbYc"), ("a", "a")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a*c", "ab"), ("a*a", "a"), ("b*", "ab"), ("", "a")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_rule_is_read_from_a_scenario() {
        let rule: Rule = serde_json::from_str(r#"{"name": "slow-*", "seconds": 3600}"#).unwrap();
        assert_eq!(rule, Rule::named("slow-*").running_for(Duration::from_secs(3600)));
        assert!(serde_json::from_str::<Rule>(r#"{"nmae": "x"}"#).is_err());
    }
}
