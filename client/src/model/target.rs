//! Whom a command is for.

use std::fmt;
use std::str::FromStr;

use super::SiteName;
use crate::Error;

/// The server, or one site.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// The server.
    Server,
    /// One site.
    Site(SiteName),
}

impl Target {
    /// The site of this name.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) when the name is none.
    pub fn site(name: &str) -> Result<Self, Error> {
        SiteName::new(name).map(Self::Site)
    }

    pub(crate) fn word(&self) -> &str {
        match self {
            Self::Server => "server",
            Self::Site(name) => name.as_str(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// `server` is the server, everything else a site.
impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "server" { Ok(Self::Server) } else { Self::site(text) }
    }
}

impl From<SiteName> for Target {
    fn from(name: SiteName) -> Self {
        Self::Site(name)
    }
}

/// The server, sites, or both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Targets {
    /// The server and every site.
    All,
    /// The server only.
    Server,
    /// These sites; none named means every site.
    Sites(Vec<SiteName>),
}

impl Targets {
    /// Every site, but not the server.
    #[must_use]
    pub fn all_sites() -> Self {
        Self::Sites(Vec::new())
    }

    /// The sites of these names.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) when one of the names is none.
    pub fn sites<I>(names: I) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        names.into_iter().map(SiteName::new).collect::<Result<_, _>>().map(Self::Sites)
    }

    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        let (kind, names): (&str, &[SiteName]) = match self {
            Self::All => ("all", &[]),
            Self::Server => ("server", &[]),
            Self::Sites(names) => ("client", names),
        };
        std::iter::once(kind).chain(names.iter().map(SiteName::as_str))
    }
}

impl From<Target> for Targets {
    fn from(target: Target) -> Self {
        match target {
            Target::Server => Self::Server,
            Target::Site(name) => Self::Sites(vec![name]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_become_the_words_of_the_command_line() {
        let words = |targets: &Targets| targets.words().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&Targets::All), ["all"]);
        assert_eq!(words(&Targets::Server), ["server"]);
        assert_eq!(words(&Targets::all_sites()), ["client"]);
        assert_eq!(words(&Targets::sites(["b", "a"]).unwrap()), ["client", "b", "a"]);
    }

    #[test]
    fn only_the_word_server_means_the_server() {
        assert_eq!("server".parse::<Target>().unwrap(), Target::Server);
        assert_eq!("Server".parse::<Target>().unwrap().word(), "Server");
        assert!("a b".parse::<Target>().is_err());
    }
}
