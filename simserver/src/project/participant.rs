//! The server, the sites and the admin users of a project.

use std::fmt;

use super::names::{self, MAX_COMMON_NAME, MAX_ORGANIZATION, NameKind};
use super::{ConnectionSecurity, ProjectError};

/// The port of a server whose project does not name one.
const DEFAULT_PORT: u16 = 8002;

/// The server of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub(super) name: String,
    pub(super) org: String,
    pub(super) default_host: String,
    pub(super) host_names: Vec<String>,
    pub(super) port: u16,
    pub(super) admin_port: u16,
    pub(super) security: ConnectionSecurity,
}

/// A federated site, which nvflare calls a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    pub(super) name: String,
    pub(super) org: String,
    pub(super) security: ConnectionSecurity,
    pub(super) connect_to: ConnectTo,
}

/// An admin user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    pub(super) name: String,
    pub(super) org: String,
    pub(super) role: Role,
    pub(super) security: ConnectionSecurity,
    pub(super) connect_to: ConnectTo,
}

/// Where a participant connects to instead of the server's default host and port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ConnectTo {
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
}

/// The role in an admin's certificate. The default authorization policy knows the first four.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Role {
    /// `project_admin`
    ProjectAdmin,
    /// `org_admin`
    OrgAdmin,
    /// `lead`
    Lead,
    /// `member`
    Member,
    /// Any other name: provisioning accepts it, the default policy grants it nothing.
    Other(String),
}

impl Server {
    /// A server; without `default_host` it is reached under its name.
    pub(super) fn new(name: &str, org: &str, default_host: Option<&str>) -> Result<Self, ProjectError> {
        NameKind::Server.check(name)?;
        names::organization(org)?;
        if let Some(host) = default_host {
            NameKind::Host.check(host)?;
        }
        Ok(Self {
            // The pattern allows ASCII only, so every index is a character boundary.
            name: name[..name.len().min(MAX_COMMON_NAME)].to_owned(),
            org: org.to_owned(),
            default_host: default_host.unwrap_or(name).to_owned(),
            host_names: Vec::new(),
            port: DEFAULT_PORT,
            admin_port: DEFAULT_PORT,
            security: ConnectionSecurity::default(),
        })
    }

    /// The name: CN of the certificate and the identity that clients expect.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The organisation.
    #[must_use]
    pub fn org(&self) -> &str {
        &self.org
    }

    /// The host that kits name.
    #[must_use]
    pub fn default_host(&self) -> &str {
        &self.default_host
    }

    /// Further hosts that the certificate is good for.
    #[must_use]
    pub fn host_names(&self) -> &[String] {
        &self.host_names
    }

    /// The port for sites (`fed_learn_port`).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port for admins, usually the same.
    #[must_use]
    pub fn admin_port(&self) -> u16 {
        self.admin_port
    }

    /// What protects the server's connections.
    #[must_use]
    pub fn security(&self) -> ConnectionSecurity {
        self.security
    }
}

impl Site {
    pub(super) fn new(name: &str, org: &str) -> Result<Self, ProjectError> {
        NameKind::Site.check(name)?;
        names::common_name("client", name)?;
        names::organization(org)?;
        Ok(Self {
            name: name.to_owned(),
            org: org.to_owned(),
            security: ConnectionSecurity::default(),
            connect_to: ConnectTo::default(),
        })
    }

    /// The site's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The organisation.
    #[must_use]
    pub fn org(&self) -> &str {
        &self.org
    }

    /// The `connection_security` in the site's kit.
    #[must_use]
    pub fn security(&self) -> ConnectionSecurity {
        self.security
    }

    /// The host and port in the site's kit.
    #[must_use]
    pub fn target<'a>(&'a self, server: &'a Server) -> (&'a str, u16) {
        self.connect_to.resolve(server, server.port)
    }
}

impl Admin {
    pub(super) fn new(name: &str, org: &str, role: Role) -> Result<Self, ProjectError> {
        NameKind::Admin.check(name)?;
        names::common_name("admin", name)?;
        names::organization(org)?;
        NameKind::Role.check(role.as_str())?;
        names::fits("role", role.as_str(), MAX_ORGANIZATION)?;
        Ok(Self {
            name: name.to_owned(),
            org: org.to_owned(),
            role,
            security: ConnectionSecurity::default(),
            connect_to: ConnectTo::default(),
        })
    }

    /// The user name, an e-mail address.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The organisation.
    #[must_use]
    pub fn org(&self) -> &str {
        &self.org
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// The `connection_security` in the admin's kit.
    #[must_use]
    pub fn security(&self) -> ConnectionSecurity {
        self.security
    }

    /// The host and port in the admin's kit.
    #[must_use]
    pub fn target<'a>(&'a self, server: &'a Server) -> (&'a str, u16) {
        self.connect_to.resolve(server, server.admin_port)
    }
}

impl ConnectTo {
    fn resolve<'a>(&'a self, server: &'a Server, port: u16) -> (&'a str, u16) {
        (self.host.as_deref().unwrap_or(&server.default_host), self.port.unwrap_or(port))
    }
}

impl Role {
    /// The name in certificates and policies.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::ProjectAdmin => "project_admin",
            Self::OrgAdmin => "org_admin",
            Self::Lead => "lead",
            Self::Member => "member",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for Role {
    fn from(name: &str) -> Self {
        match name {
            "project_admin" => Self::ProjectAdmin,
            "org_admin" => Self::OrgAdmin,
            "lead" => Self::Lead,
            "member" => Self::Member,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_server_name_is_cut_for_the_certificate_and_kept_as_host() {
        let long = "a".repeat(70);
        let server = Server::new(&long, "nvidia", None).unwrap();
        assert_eq!(server.name(), &long[..64]);
        assert_eq!(server.default_host(), long);
    }
}
