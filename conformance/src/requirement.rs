//! Requirements: what a case checks, in our words, and where that comes from.

use std::fmt;

/// One thing that a FLARE server or client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    /// Stable id, `AREA-TOPIC-NNN`.
    pub id: &'static str,
    /// What holds, in our words.
    pub text: &'static str,
    /// Where it was taken from.
    pub source: Source,
}

/// Where a requirement comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A seed document, and the words of it that say so.
    Seed {
        /// File name in `shared/seeds`.
        document: &'static str,
        /// The first words of the sentence.
        sentence: &'static str,
    },
    /// Verified behaviour of a real server, written down in `shared/reference`.
    Reference {
        /// File name.
        file: &'static str,
        /// Section.
        section: &'static str,
    },
    /// A recorded reply of a real 2.9.0 server in `shared/reference/replies`.
    Recorded {
        /// File name without its ending.
        case: &'static str,
    },
    /// The official software itself.
    Official {
        /// Release.
        version: &'static str,
        /// File below the `nvflare` package.
        file: &'static str,
        /// Class, function or constant.
        symbol: &'static str,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seed { document, sentence } => write!(f, "seed {document}: {sentence}"),
            Self::Reference { file, section } => write!(f, "{file} section {section}"),
            Self::Recorded { case } => write!(f, "recorded reply {case}"),
            Self::Official { version, file, symbol } => write!(f, "nvflare {version} {file}: {symbol}"),
        }
    }
}

/// A fact of `reference/<file>.md`.
pub(crate) const fn reference(
    id: &'static str,
    file: &'static str,
    section: &'static str,
    text: &'static str,
) -> Requirement {
    Requirement { id, text, source: Source::Reference { file, section } }
}

/// A recorded reply of a real server.
pub(crate) const fn recorded(id: &'static str, case: &'static str, text: &'static str) -> Requirement {
    Requirement { id, text, source: Source::Recorded { case } }
}

/// The official software of release 2.9.0.
pub(crate) const fn official(
    id: &'static str,
    file: &'static str,
    symbol: &'static str,
    text: &'static str,
) -> Requirement {
    Requirement { id, text, source: Source::Official { version: "2.9.0", file, symbol } }
}

/// A sentence of the FLARE API document.
pub(crate) const fn seed(id: &'static str, sentence: &'static str, text: &'static str) -> Requirement {
    Requirement { id, text, source: Source::Seed { document: "000_4cc8ce8961199036.txt", sentence } }
}

/// Finds a requirement by its id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Requirement> {
    all().find(|requirement| requirement.id == id)
}

/// Every requirement.
pub fn all() -> impl Iterator<Item = &'static Requirement> {
    crate::suites::REQUIREMENTS.iter().copied().flatten()
}
