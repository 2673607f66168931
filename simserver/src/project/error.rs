//! Why a project is not accepted.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// A project that cannot be used: what is wrong with it, and [what to do](Self::hint).
#[derive(Debug)]
pub struct ProjectError {
    kind: ProjectErrorKind,
}

/// What is wrong with a project.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProjectErrorKind {
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The text is no YAML of the expected shape; the source says where.
    Malformed(Box<serde_saphyr::Error>),
    /// `api_version` is neither 3 nor 4.
    ApiVersion(Option<i64>),
    /// A required key is missing or empty.
    Missing {
        /// The key.
        key: &'static str,
        /// Where it is missing: `project`, `participant 3`, `admin 'x@y.org'`.
        whose: String,
    },
    /// A name does not follow the pattern for what it names.
    Name {
        /// What it names: `server`, `client`, ….
        what: &'static str,
        /// The name.
        name: String,
        /// The pattern in words.
        rule: &'static str,
    },
    /// A name is longer than a certificate can hold.
    TooLong {
        /// What it names.
        what: &'static str,
        /// The name.
        name: String,
        /// The longest that is possible.
        limit: usize,
    },
    /// Two participants have the same name.
    NameTaken(String),
    /// The project has no server.
    NoServer,
    /// The project has a second server, with this name.
    SecondServer(String),
    /// A value is none of those that are possible.
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What is possible.
        possible: &'static str,
    },
    /// The declaration of a study does not fit the rest of the project.
    Study {
        /// The study.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// Something that provisioning understands and this simulator does not.
    Unsupported(&'static str),
}

impl ProjectError {
    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &ProjectErrorKind {
        &self.kind
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match &self.kind {
            ProjectErrorKind::Unreadable { .. } => "check the path that was given as project file",
            ProjectErrorKind::Malformed(_) => "compare the file with the sample that `nvflare provision -g` writes",
            ProjectErrorKind::ApiVersion(_) => "set `api_version: 3`, or 4 if the project declares studies",
            ProjectErrorKind::Missing { .. } => "add the key",
            ProjectErrorKind::Name { .. } | ProjectErrorKind::TooLong { .. } => "choose another name",
            ProjectErrorKind::NameTaken(_) => "give every server, site and admin its own name",
            ProjectErrorKind::NoServer => "add a participant with `type: server`",
            ProjectErrorKind::SecondServer(_) => "keep one participant with `type: server`",
            ProjectErrorKind::Value { .. } => "use one of the possible values",
            ProjectErrorKind::Study { .. } => "make the study name sites, organisations and admins of this project",
            ProjectErrorKind::Unsupported(_) => "write everything into one project file without it",
        }
    }
}

impl From<ProjectErrorKind> for ProjectError {
    fn from(kind: ProjectErrorKind) -> Self {
        Self { kind }
    }
}

impl fmt::Display for ProjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ProjectErrorKind::Unreadable { path, .. } => write!(f, "cannot read the project file {}", path.display()),
            ProjectErrorKind::Malformed(_) => f.write_str("the project file is malformed"),
            ProjectErrorKind::ApiVersion(Some(found)) => write!(f, "api_version is {found}, expected 3 or 4"),
            ProjectErrorKind::ApiVersion(None) => f.write_str("api_version is missing, expected 3 or 4"),
            ProjectErrorKind::Missing { key, whose } => write!(f, "`{key}` of {whose} is missing or empty"),
            ProjectErrorKind::Name { what, name, rule } => write!(f, "'{name}' is no {what} name: {rule}"),
            ProjectErrorKind::TooLong { what, name, limit } => {
                write!(f, "{what} name '{name}' is longer than the {limit} characters a certificate can hold")
            }
            ProjectErrorKind::NameTaken(name) => write!(f, "the name '{name}' is used twice"),
            ProjectErrorKind::NoServer => f.write_str("the project has no server"),
            ProjectErrorKind::SecondServer(name) => write!(f, "'{name}' is a second server, a project has one"),
            ProjectErrorKind::Value { key, value, possible } => {
                write!(f, "`{key}` is '{value}', possible is {possible}")
            }
            ProjectErrorKind::Study { name, problem } => write!(f, "study '{name}': {problem}"),
            ProjectErrorKind::Unsupported(what) => write!(f, "{what} is not supported"),
        }
    }
}

impl Error for ProjectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            ProjectErrorKind::Unreadable { source, .. } => Some(source),
            ProjectErrorKind::Malformed(source) => Some(source.as_ref()),
            _ => None,
        }
    }
}
