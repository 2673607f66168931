//! The registry of requirements: what has to hold, in our words, where that comes from, and what cannot be checked and why.
//!
//! The registry is data, `requirements/*.yml`, one file per area, so that it can be read, searched and reviewed without
//! the code that checks it. A case names the requirements it checks; nothing else says which cases a requirement has. Tests see
//! to it that every requirement has a case or a reason, and every sentence of the seed documents a requirement.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::Release;

/// One thing that a FLARE server or client does.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Stable id, `AREA-TOPIC-NNN`.
    pub id: String,
    /// How binding it is.
    pub keyword: Keyword,
    /// The first of the releases looked at (2.7.3, 2.8.3, 2.9.0) that is known to do so.
    pub since: Release,
    /// What holds, in our words.
    pub text: String,
    /// Where it was taken from.
    #[serde(deserialize_with = "sources")]
    pub from: Vec<Source>,
    /// What a reader of the source should know: where real servers do otherwise than it says.
    #[serde(default)]
    pub note: Option<String>,
    /// Why no case checks it, and none will.
    #[serde(default)]
    excluded: Option<String>,
    /// Why no case checks it yet.
    #[serde(default)]
    planned: Option<String>,
}

impl Requirement {
    /// What the registry says about cases of this requirement.
    #[must_use]
    pub fn standing(&self) -> Standing<'_> {
        match (&self.excluded, &self.planned) {
            (Some(reason), _) => Standing::Excluded { reason },
            (None, Some(reason)) => Standing::Planned { reason },
            (None, None) => Standing::Checked,
        }
    }

    /// Its sources, on one line.
    #[must_use]
    pub fn origin(&self) -> String {
        self.from.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    /// The sentences of a seed document that it covers.
    pub fn sentences(&self, document: SeedDocument) -> impl Iterator<Item = usize> {
        self.from
            .iter()
            .filter_map(move |source| match source {
                Source::Seed { document: of, sentences } if *of == document => Some(sentences.iter().copied()),
                _ => None,
            })
            .flatten()
    }
}

/// Whether cases check a requirement. The three are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'a> {
    /// By at least one case.
    Checked,
    /// By none, for good.
    Excluded {
        /// Why.
        reason: &'a str,
    },
    /// By none yet: what it is about is not built.
    Planned {
        /// What is missing.
        reason: &'a str,
    },
}

/// How binding a requirement is, as in RFC 2119.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Keyword {
    /// Who does otherwise breaks others.
    Must,
    /// Who does otherwise surprises others: words, orders and times that nothing depends on.
    Should,
    /// Allowed, and to be reckoned with.
    May,
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
        })
    }
}

/// A document that the project started from. It is not in the repository; its sentences are numbered in `fixtures/seeds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeedDocument {
    /// The specification of the FLARE API, `000_4cc8ce8961199036.txt`.
    FlareApi,
    /// The guide to the FLAdminAPI, `001_b3dd459931e36c7c.txt`.
    FlAdminApi,
}

impl SeedDocument {
    /// Both.
    pub const ALL: [Self; 2] = [Self::FlareApi, Self::FlAdminApi];

    /// The name by which sources and the list of sentences call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FlareApi => "flare-api",
            Self::FlAdminApi => "fladmin-api",
        }
    }
}

/// Where a requirement comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Sentences of a seed document.
    Seed {
        /// Which one.
        document: SeedDocument,
        /// Their numbers, from 1.
        sentences: Vec<usize>,
    },
    /// Verified behaviour of a real server, written down in `shared/reference`.
    Reference {
        /// File name.
        file: String,
        /// Section.
        section: String,
    },
    /// A recorded reply of a real 2.9.0 server in `fixtures/replies`.
    Recorded {
        /// File name without its ending.
        case: String,
    },
    /// The official software itself.
    Official {
        /// Release.
        version: String,
        /// File below the `nvflare` package.
        file: String,
        /// Class, function or constant.
        symbol: String,
    },
}

impl FromStr for Source {
    type Err = String;

    /// Reads `flare-api 11, 12`, `wire-protocol.md 2`, `recorded proto.not_json` or `nvflare 2.9.0 FILE: SYMBOL`.
    fn from_str(text: &str) -> Result<Self, String> {
        let unreadable = || format!("`{text}` names no source");
        let (what, rest) = text.split_once(' ').ok_or_else(unreadable)?;
        if let Some(document) = SeedDocument::ALL.into_iter().find(|document| document.name() == what) {
            let sentences = rest.split(", ").map(str::parse).collect::<Result<_, _>>().map_err(|_| unreadable())?;
            return Ok(Self::Seed { document, sentences });
        }
        match what {
            "recorded" => Ok(Self::Recorded { case: rest.to_owned() }),
            "nvflare" => {
                let (version, place) = rest.split_once(' ').ok_or_else(unreadable)?;
                let (file, symbol) = place.split_once(": ").ok_or_else(unreadable)?;
                Ok(Self::Official { version: version.to_owned(), file: file.to_owned(), symbol: symbol.to_owned() })
            }
            file if file.ends_with(".md") => Ok(Self::Reference { file: file.to_owned(), section: rest.to_owned() }),
            _ => Err(unreadable()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seed { document, sentences } => {
                let numbers: Vec<String> = sentences.iter().map(ToString::to_string).collect();
                write!(f, "{} {}", document.name(), numbers.join(", "))
            }
            Self::Reference { file, section } => write!(f, "{file} {section}"),
            Self::Recorded { case } => write!(f, "recorded {case}"),
            Self::Official { version, file, symbol } => write!(f, "nvflare {version} {file}: {symbol}"),
        }
    }
}

/// One source, or a list of them.
fn sources<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Source>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
    }
    let texts = match OneOrMore::deserialize(deserializer)? {
        OneOrMore::One(text) => vec![text],
        OneOrMore::More(texts) => texts,
    };
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

/// The files of the registry, by area.
const AREAS: &[(&str, &str)] = &[
    ("wire", include_str!("../requirements/wire.yml")),
    ("cell", include_str!("../requirements/cell.yml")),
    ("stream", include_str!("../requirements/stream.yml")),
    ("upload", include_str!("../requirements/upload.yml")),
    ("auth", include_str!("../requirements/auth.yml")),
    ("login", include_str!("../requirements/login.yml")),
    ("session", include_str!("../requirements/session.yml")),
    ("expiry", include_str!("../requirements/expiry.yml")),
    ("protocol", include_str!("../requirements/protocol.yml")),
    ("connect", include_str!("../requirements/connect.yml")),
    ("api", include_str!("../requirements/api.yml")),
    ("read", include_str!("../requirements/read.yml")),
    ("job", include_str!("../requirements/job.yml")),
    ("study", include_str!("../requirements/study.yml")),
    ("site", include_str!("../requirements/site.yml")),
    ("system", include_str!("../requirements/system.yml")),
    ("spec", include_str!("../requirements/spec.yml")),
    ("fladmin", include_str!("../requirements/fladmin.yml")),
    ("client", include_str!("../requirements/client.yml")),
];

static REGISTRY: LazyLock<Vec<Requirement>> = LazyLock::new(|| {
    let areas = AREAS.iter().map(|(area, text)| read(area, text).expect("a test reads every file of the registry"));
    areas.flatten().collect()
});

fn read(area: &str, text: &str) -> Result<Vec<Requirement>, String> {
    serde_saphyr::from_str(text).map_err(|error| format!("requirements/{area}.yml: {error}"))
}

/// Finds a requirement by its id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Requirement> {
    all().find(|requirement| requirement.id == id)
}

/// Every requirement, by area.
pub fn all() -> impl Iterator<Item = &'static Requirement> {
    REGISTRY.iter()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use flare_fixtures::sentences;

    use super::*;
    use crate::suites;

    #[test]
    fn every_file_of_the_registry_can_be_read() {
        for (area, text) in AREAS {
            let requirements = read(area, text).unwrap();
            assert!(!requirements.is_empty(), "{area}");
        }
    }

    /// What is wrong with a registry in the light of the requirements that cases name.
    fn problems(registry: &[Requirement], checked: &BTreeMap<&str, &str>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut ids = BTreeSet::new();
        for requirement in registry {
            let id = requirement.id.as_str();
            let parts: Vec<&str> = id.split('-').collect();
            let is_word = |part: &&str| part.chars().all(|c| c.is_ascii_uppercase()) && !part.is_empty();
            let (number, words) = parts.split_last().unwrap();
            if words.len() < 2 || !words.iter().all(is_word) || number.len() != 3 || number.parse::<u16>().is_err() {
                problems.push(format!("{id} is not AREA-TOPIC-NNN"));
            }
            if !ids.insert(id) {
                problems.push(format!("{id} stands twice"));
            }
            if requirement.text.is_empty() || requirement.from.is_empty() {
                problems.push(format!("{id} has no text or no source"));
            }
            if requirement.excluded.is_some() && requirement.planned.is_some() {
                problems.push(format!("{id} is excluded and planned"));
            }
            match (requirement.standing(), checked.get(id)) {
                (Standing::Checked, None) => problems.push(format!("{id} has neither a case nor a reason")),
                (Standing::Excluded { .. } | Standing::Planned { .. }, Some(case)) => {
                    problems.push(format!("{id} has a reason to have no case, and the case {case}"));
                }
                (Standing::Excluded { reason } | Standing::Planned { reason }, None) if reason.is_empty() => {
                    problems.push(format!("{id} has an empty reason"));
                }
                _ => {}
            }
        }
        for (id, case) in checked {
            if !ids.contains(id) {
                problems.push(format!("{case} checks {id}, which is no requirement"));
            }
        }
        problems
    }

    #[test]
    fn every_case_checks_requirements_and_every_requirement_has_a_case_or_a_reason() {
        let mut cases = suites::all();
        cases.extend(crate::clients::catalogue());
        for case in &cases {
            assert!(!case.requirements().is_empty(), "{} checks nothing", case.id());
        }
        let checked = cases.iter().flat_map(|case| case.requirements().iter().map(|id| (*id, case.id()))).collect();
        assert_eq!(problems(&REGISTRY, &checked), Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_with_a_registry_is_told() {
        let text = "
- {id: A-B-001, keyword: MUST, since: '2.9', text: t, from: flare-api 1}
- {id: A-B-001, keyword: MUST, since: '2.9', text: t, from: flare-api 1}
- {id: A-B-002, keyword: MUST, since: '2.9', text: t, from: flare-api 1, excluded: why}
- {id: A-B-3, keyword: MAY, since: '2.9', text: t, from: flare-api 1, planned: why}
- {id: A-B-004, keyword: MAY, since: '2.9', text: t, from: flare-api 1}
";
        let registry = read("test", text).unwrap();
        let checked = [("A-B-001", "x.y"), ("A-B-002", "x.y"), ("A-B-009", "x.z")].into();
        assert_eq!(
            problems(&registry, &checked),
            [
                "A-B-001 stands twice",
                "A-B-002 has a reason to have no case, and the case x.y",
                "A-B-3 is not AREA-TOPIC-NNN",
                "A-B-004 has neither a case nor a reason",
                "x.z checks A-B-009, which is no requirement",
            ]
        );
    }

    #[test]
    fn every_sentence_of_the_seed_documents_has_a_requirement_and_every_requirement_its_sentences() {
        for document in SeedDocument::ALL {
            let there: BTreeSet<usize> = sentences(document.name()).iter().map(|sentence| sentence.number).collect();
            assert!(!there.is_empty(), "{}", document.name());
            let covered: BTreeSet<usize> = all().flat_map(|requirement| requirement.sentences(document)).collect();
            let bare: Vec<_> = there.difference(&covered).collect();
            assert!(bare.is_empty(), "{}: no requirement covers the sentences {bare:?}", document.name());
            let invented: Vec<_> = covered.difference(&there).collect();
            assert!(invented.is_empty(), "{}: there are no sentences {invented:?}", document.name());
        }
    }

    #[test]
    fn a_recorded_source_is_a_recording() {
        for requirement in all() {
            for source in &requirement.from {
                if let Source::Recorded { case } = source {
                    assert!(flare_fixtures::replies().iter().any(|reply| reply.name == *case), "{}", requirement.id);
                }
            }
        }
    }

    #[test]
    fn sources_are_read_as_they_are_written() {
        for text in [
            "flare-api 11, 12",
            "fladmin-api 3",
            "wire-protocol.md 1.2",
            "recorded proto.not_json",
            "nvflare 2.9.0 fuel/hci/server/sess.py: SessionManager.handle_check_session",
        ] {
            assert_eq!(text.parse::<Source>().map(|source| source.to_string()), Ok(text.to_owned()));
        }
        for text in ["flare-api x", "wire-protocol 2", "nvflare 2.9.0", "flare-api"] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }
}
