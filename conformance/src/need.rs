//! What a case needs of a target.

use std::fmt;

use crate::{Release, Risk, Role};

/// Whose organisation: authorization depends on whether a user's is that of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Home {
    /// The organisation of the server.
    Server,
    /// Another one.
    Elsewhere,
}

/// An administrator, by role and organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who {
    /// Role in the certificate.
    pub role: Role,
    /// Organisation in the certificate.
    pub home: Home,
}

impl Who {
    /// The project administrator.
    pub const PROJECT_ADMIN: Self = Self { role: Role::ProjectAdmin, home: Home::Server };
    /// An administrator of the server's organisation.
    pub const ORG_ADMIN: Self = Self { role: Role::OrgAdmin, home: Home::Server };
    /// A lead of the server's organisation.
    pub const LEAD: Self = Self { role: Role::Lead, home: Home::Server };
    /// A member of the server's organisation.
    pub const MEMBER: Self = Self { role: Role::Member, home: Home::Server };
    /// An administrator of another organisation.
    pub const OTHER_ORG_ADMIN: Self = Self { role: Role::OrgAdmin, home: Home::Elsewhere };
    /// A lead of another organisation.
    pub const OTHER_LEAD: Self = Self { role: Role::Lead, home: Home::Elsewhere };
    /// A member of another organisation.
    pub const OTHER_MEMBER: Self = Self { role: Role::Member, home: Home::Elsewhere };

    /// Everybody that the standard roles allow.
    pub const ALL: [Self; 7] = [
        Self::PROJECT_ADMIN,
        Self::ORG_ADMIN,
        Self::LEAD,
        Self::MEMBER,
        Self::OTHER_ORG_ADMIN,
        Self::OTHER_LEAD,
        Self::OTHER_MEMBER,
    ];

    /// The name of this administrator within a case id.
    #[must_use]
    pub fn slug(self) -> String {
        let role = self.role.as_str().replace('_', "-");
        match self.home {
            Home::Server => role,
            Home::Elsewhere => format!("other-{role}"),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.home {
            Home::Server => write!(f, "{} of the server's organisation", self.role),
            Home::Elsewhere => write!(f, "{} of another organisation", self.role),
        }
    }
}

/// Something that a target must have for a case to be testable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// The kit of such an administrator.
    Admin(Who),
    /// The kit of a site of such an organisation.
    Site(Home),
    /// A server of our own whose clock the case can move.
    ControlledTime,
    /// The key of the project's root, to issue certificates with.
    RootKey,
    /// This transport.
    Scheme(&'static str),
    /// The permission to do such things.
    Permission(Risk),
    /// This release or a later one: the sets of earlier ones do not have the case.
    Release(Release),
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin(who) => write!(f, "kit of a {who}"),
            Self::Site(Home::Server) => f.write_str("site of the server's organisation"),
            Self::Site(Home::Elsewhere) => f.write_str("site of another organisation"),
            Self::ControlledTime => f.write_str("controlled time"),
            Self::RootKey => f.write_str("root key"),
            Self::Scheme(scheme) => write!(f, "transport {scheme}"),
            Self::Permission(risk) => write!(f, "permission (--allow {risk})"),
            Self::Release(release) => write!(f, "release {release}"),
        }
    }
}
