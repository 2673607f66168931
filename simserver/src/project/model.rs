//! A whole federation.

use super::names::{self, NameKind};
use super::{Admin, ConnectionSecurity, ProjectError, ProjectErrorKind, Role, Scheme, Server, Site, Study};

/// Name of the project that [`Project::default_demo`] describes; nvflare's sample project has the same.
pub const DEMO_PROJECT: &str = "example_project";

/// A federation: one server, its sites and its admin users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    pub(super) name: String,
    pub(super) server: Server,
    pub(super) sites: Vec<Site>,
    pub(super) admins: Vec<Admin>,
    pub(super) studies: Vec<Study>,
    pub(super) scheme: Scheme,
    pub(super) signs_kits: bool,
    pub(super) config_folder: String,
    pub(super) warnings: Vec<String>,
}

impl Project {
    /// A project with a server and nobody else yet. The server is reached as `localhost`.
    ///
    /// # Errors
    /// When a name breaks the rules of provisioning.
    pub fn new(name: &str, server: &str, org: &str) -> Result<Self, ProjectError> {
        let server = Server::new(server, org, Some("localhost"))?;
        Self::with_server(name, server)
    }

    /// The federation to start with: `server`, `site-1`, `site-2` and one admin of each role, all of the
    /// organisation `nvidia`.
    #[must_use]
    pub fn default_demo() -> Self {
        Self::demo().expect("the names of the demo project follow the rules of provisioning")
    }

    fn demo() -> Result<Self, ProjectError> {
        Self::new(DEMO_PROJECT, "server", "nvidia")?
            .with_site("site-1", "nvidia")?
            .with_site("site-2", "nvidia")?
            .with_admin("admin@nvidia.com", "nvidia", Role::ProjectAdmin)?
            .with_admin("org_admin@nvidia.com", "nvidia", Role::OrgAdmin)?
            .with_admin("lead@nvidia.com", "nvidia", Role::Lead)?
            .with_admin("member@nvidia.com", "nvidia", Role::Member)
    }

    pub(super) fn with_server(name: &str, server: Server) -> Result<Self, ProjectError> {
        Ok(Self {
            name: names::project_name(name)?,
            server,
            sites: Vec::new(),
            admins: Vec::new(),
            studies: Vec::new(),
            scheme: Scheme::default(),
            signs_kits: false,
            config_folder: "config".to_owned(),
            warnings: Vec::new(),
        })
    }

    /// Adds a site.
    ///
    /// # Errors
    /// When a name breaks the rules of provisioning or is taken.
    pub fn with_site(mut self, name: &str, org: &str) -> Result<Self, ProjectError> {
        self.add_site(Site::new(name, org)?)?;
        Ok(self)
    }

    /// Adds an admin user; the name is an e-mail address.
    ///
    /// # Errors
    /// When a name breaks the rules of provisioning or is taken.
    pub fn with_admin(mut self, name: &str, org: &str, role: impl Into<Role>) -> Result<Self, ProjectError> {
        self.add_admin(Admin::new(name, org, role.into())?)?;
        Ok(self)
    }

    /// Chooses how frames travel.
    #[must_use]
    pub fn with_scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = scheme;
        self
    }

    /// Chooses what protects everybody's connections.
    #[must_use]
    pub fn with_connection_security(mut self, security: ConnectionSecurity) -> Self {
        self.server.security = security;
        self.sites.iter_mut().for_each(|site| site.security = security);
        self.admins.iter_mut().for_each(|admin| admin.security = security);
        self
    }

    /// Puts the root's signatures of their files into startup kits, as provisioning did until 2.7.
    #[must_use]
    pub fn with_signed_kits(mut self, signs_kits: bool) -> Self {
        self.signs_kits = signs_kits;
        self
    }

    /// Replaces the port, also the one that the kits name.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        self.with_ports(port, port)
    }

    /// Replaces the port of sites (`fed_learn_port`) and that of admins (`admin_port`).
    #[must_use]
    pub fn with_ports(mut self, sites: u16, admins: u16) -> Self {
        self.server.port = sites;
        self.server.admin_port = admins;
        self
    }

    /// Replaces the host that the kits of sites and admins name.
    ///
    /// # Errors
    /// When `host` is no host name.
    pub fn with_host(mut self, host: &str) -> Result<Self, ProjectError> {
        NameKind::Host.check(host)?;
        host.clone_into(&mut self.server.default_host);
        Ok(self)
    }

    /// The project name, which is also the CN of the root certificate.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The sites in the order of the project.
    #[must_use]
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The admin users in the order of the project.
    #[must_use]
    pub fn admins(&self) -> &[Admin] {
        &self.admins
    }

    /// The first admin with `role`.
    #[must_use]
    pub fn admin_of_role(&self, role: &Role) -> Option<&Admin> {
        self.admins.iter().find(|admin| admin.role == *role)
    }

    /// The studies that the project declares (`api_version: 4`).
    #[must_use]
    pub fn studies(&self) -> &[Study] {
        &self.studies
    }

    /// Whether kits hold signatures of their files.
    #[must_use]
    pub fn signs_kits(&self) -> bool {
        self.signs_kits
    }

    /// How frames travel.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The argument `config_folder` of provisioning's `StaticFileBuilder`.
    #[must_use]
    pub fn config_folder(&self) -> &str {
        &self.config_folder
    }

    /// What was accepted but is not simulated, one sentence each: relays, unknown participant types, ….
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(super) fn add_site(&mut self, site: Site) -> Result<(), ProjectError> {
        self.require_free(&site.name)?;
        self.sites.push(site);
        Ok(())
    }

    pub(super) fn add_admin(&mut self, admin: Admin) -> Result<(), ProjectError> {
        self.require_free(&admin.name)?;
        if let Role::Other(role) = &admin.role {
            self.warnings.push(format!(
                "role '{role}' of admin '{}' is none of project_admin, org_admin, lead, member",
                admin.name
            ));
        }
        self.admins.push(admin);
        Ok(())
    }

    pub(super) fn require_free(&self, name: &str) -> Result<(), ProjectError> {
        let taken = self.server.name == name
            || self.sites.iter().any(|site| site.name == name)
            || self.admins.iter().any(|admin| admin.name == name)
            // Participants share one JSON object with these keys in provisioning's `state/cert.json`.
            || matches!(name, "root_cert" | "root_pri_key");
        if taken { Err(ProjectErrorKind::NameTaken(name.to_owned()).into()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_has_two_sites_and_one_admin_of_each_role() {
        let project = Project::default_demo();
        assert_eq!(project.sites().len(), 2);
        for role in [Role::ProjectAdmin, Role::OrgAdmin, Role::Lead, Role::Member] {
            assert!(project.admin_of_role(&role).is_some(), "{role}");
        }
        assert!(project.warnings().is_empty());
    }

    #[test]
    fn a_name_is_given_out_once_across_all_kinds_of_participants() {
        let error = Project::default_demo().with_site("server", "nvidia").unwrap_err();
        assert!(matches!(error.kind(), ProjectErrorKind::NameTaken(name) if name == "server"));
    }

    #[test]
    fn an_undefined_role_is_accepted_with_a_warning() {
        let project = Project::default_demo().with_admin("x@y.org", "acme", "auditor").unwrap();
        assert_eq!(project.admin_of_role(&"auditor".into()).unwrap().name(), "x@y.org");
        assert_eq!(project.warnings().len(), 1);
    }
}
