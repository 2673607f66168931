//! The name patterns of provisioning, written as predicates.

use super::{ProjectError, ProjectErrorKind};

/// The longest project name: longer ones are cut by provisioning, because the name is the CN of the root.
const MAX_PROJECT_NAME: usize = 63;
/// The longest common name X.509 allows (`ub-common-name`). A longer server name is cut to it.
pub(super) const MAX_COMMON_NAME: usize = 64;
/// The longest organisation or role X.509 allows in a subject (`ub-organization-name`).
pub(super) const MAX_ORGANIZATION: usize = 64;

/// What a name is for, which decides its pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameKind {
    Server,
    Host,
    Site,
    Relay,
    Admin,
    Organization,
    Role,
    Study,
}

impl NameKind {
    /// # Errors
    /// When `name` does not follow the pattern.
    pub(super) fn check(self, name: &str) -> Result<(), ProjectError> {
        if self.accepts(name) {
            return Ok(());
        }
        Err(ProjectErrorKind::Name { what: self.word(), name: name.to_owned(), rule: self.rule() }.into())
    }

    fn accepts(self, name: &str) -> bool {
        match self {
            Self::Server | Self::Host => name.split('.').all(is_host_label),
            Self::Site | Self::Relay => is_made_of(name, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')),
            Self::Organization | Self::Role => is_made_of(name, |c| c.is_ascii_alphanumeric() || c == '_'),
            Self::Admin => is_mail_address(name),
            Self::Study => is_study_name(name),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Host => "host",
            Self::Site => "client",
            Self::Relay => "relay",
            Self::Admin => "admin",
            Self::Organization => "organisation",
            Self::Role => "role",
            Self::Study => "study",
        }
    }

    fn rule(self) -> &'static str {
        match self {
            Self::Server | Self::Host => "it must be a host name: letters, digits and inner hyphens between dots",
            Self::Site | Self::Relay => "it must be made of letters, digits, '-' and '_'",
            Self::Organization | Self::Role => "it must be made of letters, digits and '_'",
            Self::Admin => "it must be an e-mail address like admin@nvidia.com",
            Self::Study => "it must be 1 to 63 of a-z, 0-9, '-', '_', with a letter or digit at both ends",
        }
    }
}

/// The project name as provisioning uses it: cut to what a certificate holds.
pub(super) fn project_name(name: &str) -> Result<String, ProjectError> {
    let name: String = name.chars().take(MAX_PROJECT_NAME).collect();
    if name.is_empty() {
        return Err(ProjectErrorKind::Missing { key: "name", whose: "the project".to_owned() }.into());
    }
    // Provisioning has no pattern for it, but the name becomes a directory below the workspace.
    if name.contains(['/', '\\', '\0']) || matches!(name.as_str(), "." | "..") {
        let rule = "it must be usable as a directory name";
        return Err(ProjectErrorKind::Name { what: "project", name, rule }.into());
    }
    // And it goes into the root's subject alternative name, which holds ASCII only.
    if !name.is_ascii() {
        return Err(ProjectErrorKind::Name { what: "project", name, rule: "it must be ASCII" }.into());
    }
    Ok(name)
}

pub(super) fn organization(name: &str) -> Result<(), ProjectError> {
    NameKind::Organization.check(name)?;
    fits("organisation", name, MAX_ORGANIZATION)
}

/// Only server names are cut when they are too long; for the others making the certificate would fail.
pub(super) fn common_name(what: &'static str, name: &str) -> Result<(), ProjectError> {
    fits(what, name, MAX_COMMON_NAME)
}

pub(super) fn fits(what: &'static str, name: &str, limit: usize) -> Result<(), ProjectError> {
    if name.len() > limit {
        return Err(ProjectErrorKind::TooLong { what, name: name.to_owned(), limit }.into());
    }
    Ok(())
}

fn is_made_of(name: &str, accepts: impl Fn(char) -> bool) -> bool {
    !name.is_empty() && name.chars().all(accepts)
}

fn is_host_label(label: &str) -> bool {
    is_made_of(label, |c| c.is_ascii_alphanumeric() || c == '-') && !label.starts_with('-') && !label.ends_with('-')
}

/// `^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Z|a-z]{2,}$`, the bar included.
fn is_mail_address(name: &str) -> bool {
    let Some((user, host)) = name.split_once('@') else { return false };
    let Some((domain, top)) = host.rsplit_once('.') else { return false };
    is_made_of(user, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-'))
        && is_made_of(domain, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
        && is_made_of(top, |c| c.is_ascii_alphabetic() || c == '|')
        && top.len() >= 2
}

/// `^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$`
fn is_study_name(name: &str) -> bool {
    let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    is_made_of(name, |c| is_end(c) || matches!(c, '-' | '_'))
        && name.len() <= 63
        && name.starts_with(is_end)
        && name.ends_with(is_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_patterns_of_provisioning() {
        for (kind, good, bad) in [
            (
                NameKind::Server,
                vec!["server", "server1", "a-b.example.com", "10.0.0.1"],
                vec!["", "a_b", "-a", "a-", "a..b", "a."],
            ),
            (NameKind::Site, vec!["site-1", "SITE_1", "-"], vec!["", "a.b", "a b", "sité"]),
            (
                NameKind::Admin,
                vec!["admin@nvidia.com", "a.b+c%d-e_f@x-y.z.or|g"],
                vec!["admin", "a@b", "a@b.c", "@b.org", "a@@b.org", "a@.org"],
            ),
            (NameKind::Organization, vec!["nvidia", "a_1"], vec!["", "a-b", "a b"]),
            (NameKind::Role, vec!["lead"], vec!["", "le-ad"]),
            (NameKind::Study, vec!["a", "a-b_c", "0"], vec!["", "A", "-a", "a-", "a.b"]),
        ] {
            for name in good {
                kind.check(name).unwrap_or_else(|error| panic!("{kind:?} {name:?}: {error}"));
            }
            for name in bad {
                assert!(kind.check(name).is_err(), "{kind:?} {name:?}");
            }
        }
    }

    #[test]
    fn limits_are_accepted_at_and_refused_one_past() {
        assert!(NameKind::Study.check(&"a".repeat(63)).is_ok());
        assert!(NameKind::Study.check(&"a".repeat(64)).is_err());
        assert!(common_name("client", &"a".repeat(64)).is_ok());
        assert!(common_name("client", &"a".repeat(65)).is_err());
        assert_eq!(project_name(&"a".repeat(64)).unwrap().len(), 63);
    }

    #[test]
    fn a_project_name_cannot_leave_the_workspace() {
        for name in ["", ".", "..", "a/b", "/etc", "a\0"] {
            assert!(project_name(name).is_err(), "{name:?}");
        }
    }
}
