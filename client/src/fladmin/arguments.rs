//! What the original checks before it sends something, with its words. The rest, such as what the types rule out here, is
//! the same check as in the FLARE API.

use std::fmt;

use crate::model::{FileName, FolderPath, JobId, ShellOptions, SiteName, Target, Targets};

/// Whom a call is for: upstream's `TargetType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetType {
    /// `all`: the server and every site; only where the command has it.
    All,
    /// `server`: the server alone, whatever sites are named.
    Server,
    /// `client`: the sites that are named, or all of them when none is.
    Client,
}

impl TargetType {
    /// Upstream's text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

impl fmt::Display for TargetType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an argument was not sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit(pub(super) String);

fn unfit<T>(text: impl Into<String>) -> Result<T, Unfit> {
    Err(Unfit(text.into()))
}

impl From<crate::Error> for Unfit {
    fn from(error: crate::Error) -> Self {
        Self(error.to_string())
    }
}

/// Server or sites; not both.
pub(super) fn server_or_sites(kind: TargetType, names: &[&str]) -> Result<Targets, Unfit> {
    match kind {
        TargetType::All => unfit("target_type must be server or client."),
        _ => anybody(kind, names),
    }
}

/// Server, sites, or all.
pub(super) fn anybody(kind: TargetType, names: &[&str]) -> Result<Targets, Unfit> {
    match kind {
        TargetType::All => Ok(Targets::All),
        TargetType::Server => Ok(Targets::Server),
        TargetType::Client => sites(names).map(Targets::Sites),
    }
}

pub(super) fn sites(names: &[&str]) -> Result<Vec<SiteName>, Unfit> {
    let site = |name: &&str| {
        SiteName::new(*name).map_err(|_| {
            Unfit("each target in targets must be a string of only valid characters and no spaces.".to_owned())
        })
    };
    names.iter().map(site).collect()
}

/// `server` or the name of a site.
pub(super) fn target(text: &str) -> Result<Target, Unfit> {
    if text.is_empty() {
        return unfit("target is required but not specified.");
    }
    text.parse().or_else(|_| unfit("target must be a string of only valid characters and no spaces."))
}

pub(super) fn job_id(text: &str) -> Result<JobId, Unfit> {
    if text.is_empty() {
        return unfit("job_id is required but not specified.");
    }
    Ok(JobId::new(text)?)
}

fn option_characters(text: &str) -> Result<(), Unfit> {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | ' ')) {
        return Ok(());
    }
    unfit("options must be a string of only valid characters.")
}

/// Options of a shell command.
pub(super) fn options(text: Option<&str>) -> Result<ShellOptions, Unfit> {
    let Some(text) = text else { return Ok(ShellOptions::none()) };
    option_characters(text)?;
    Ok(ShellOptions::new(text)?)
}

/// Options of `list_jobs`, which are words of any kind.
pub(super) fn list_options(text: Option<&str>) -> Result<Vec<&str>, Unfit> {
    let text = text.unwrap_or_default();
    option_characters(text)?;
    Ok(text.split(' ').filter(|word| !word.is_empty()).collect())
}

fn path_characters(text: &str, what: &str) -> Result<(), Unfit> {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/')) {
        return Ok(());
    }
    unfit(format!("unsupported characters in {what} {text}"))
}

pub(super) fn path(text: Option<&str>) -> Result<Option<FolderPath>, Unfit> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    path_characters(text, "path")?;
    if text.starts_with('/') {
        return unfit("absolute path is not allowed");
    }
    if text.split('/').any(|part| part == "..") {
        return unfit(".. in path name is not allowed");
    }
    Ok(Some(FolderPath::new(text)?))
}

pub(super) fn file(text: &str) -> Result<FileName, Unfit> {
    if text.is_empty() {
        return unfit("file is required but not specified.");
    }
    path_characters(text, "file")?;
    if text.starts_with('/') {
        return unfit("absolute path for file is not allowed");
    }
    if text.split('/').any(|part| part == "..") {
        return unfit(".. in file path is not allowed");
    }
    if text.starts_with('-') {
        return Ok(FileName::new(text)?);
    }
    FileName::new(text).or_else(|_| {
        unfit(format!(
            "this command cannot be applied to file {text}. Only files with the following extensions are permitted: \
             .txt, .log, .json, .csv, .sh, .config, .py"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(targets: Result<Targets, Unfit>) -> String {
        targets.unwrap().words().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_type_says_whom_a_call_is_for_and_names_count_only_for_sites() {
        assert_eq!(words(server_or_sites(TargetType::Server, &["site-1", "not a name"])), "server");
        assert_eq!(words(server_or_sites(TargetType::Client, &[])), "client");
        assert_eq!(words(server_or_sites(TargetType::Client, &["b", "a"])), "client b a");
        assert_eq!(words(anybody(TargetType::All, &["site-1"])), "all");
        let refused = server_or_sites(TargetType::All, &[]).unwrap_err();
        assert_eq!(refused.0, "target_type must be server or client.");
        for bad in ["a b", "", "a;b"] {
            let refused = anybody(TargetType::Client, &[bad]).unwrap_err();
            assert!(refused.0.starts_with("each target in targets must be"), "{bad:?}");
        }
    }

    #[test]
    fn files_and_paths_are_refused_in_the_words_of_the_original() {
        let refused = |name| file(name).unwrap_err().0;
        assert_eq!(refused(""), "file is required but not specified.");
        assert_eq!(refused("a b.txt"), "unsupported characters in file a b.txt");
        assert_eq!(refused("/etc/x.txt"), "absolute path for file is not allowed");
        assert_eq!(refused("a/../x.txt"), ".. in file path is not allowed");
        assert!(refused("x.key").ends_with(".txt, .log, .json, .csv, .sh, .config, .py"));
        assert!(file("log.txt.1").is_ok());
        assert_eq!(path(Some("../x")).unwrap_err().0, ".. in path name is not allowed");
        assert_eq!(path(Some("/x")).unwrap_err().0, "absolute path is not allowed");
        assert_eq!(path(Some("")).unwrap(), None);
    }

    #[test]
    fn options_are_words() {
        assert_eq!(list_options(Some("-d  -n 3")).unwrap(), ["-d", "-n", "3"]);
        assert_eq!(list_options(Some("-d;")).unwrap_err().0, "options must be a string of only valid characters.");
        assert_eq!(options(Some("-l -a")).unwrap().words().count(), 2);
        assert_eq!(target("a b").unwrap_err().0, "target must be a string of only valid characters and no spaces.");
        assert_eq!(job_id("").unwrap_err().0, "job_id is required but not specified.");
    }
}
