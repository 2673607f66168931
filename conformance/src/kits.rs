//! The startup kits of a deployment: one folder per participant below one folder.
//!
//! Read here without the client library, so that a case about the client does not lean on the client.
//! Layout and fields: `reference/startup-kits.md` sections 2 and 3.

use std::fmt;
use std::path::{Path, PathBuf};

use flare_wire::certificate::Certificate;
use serde::Deserialize;

use crate::finding::chain;
use crate::{CaseResult, Finding};

/// Role of an administrator, as its certificate says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// `project_admin`: there is one per project.
    ProjectAdmin,
    /// `org_admin`
    OrgAdmin,
    /// `lead`
    Lead,
    /// `member`
    Member,
}

impl Role {
    /// Every standard role.
    pub const ALL: [Self; 4] = [Self::ProjectAdmin, Self::OrgAdmin, Self::Lead, Self::Member];

    /// The role as certificates write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProjectAdmin => "project_admin",
            Self::OrgAdmin => "org_admin",
            Self::Lead => "lead",
            Self::Member => "member",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The kit of one administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminKit {
    /// The kit's folder.
    pub path: PathBuf,
    /// User name: CN of the certificate.
    pub user: String,
    /// Organisation: O of the certificate.
    pub org: String,
    /// The role in the certificate; none for a role that is not a standard one.
    pub role: Option<Role>,
    /// Where the server is and who it is.
    pub server: ServerAddress,
}

impl AdminKit {
    /// The private key in the kit, PEM.
    pub(crate) fn key_pem(&self) -> CaseResult<Vec<u8>> {
        let path = self.path.join("startup/client.key");
        std::fs::read(&path).map_err(|error| Finding::harness(format!("{}: {error}", path.display())))
    }
}

/// What `startup/fed_admin.json` says about the server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServerAddress {
    /// Host name or address.
    #[serde(default = "default_host")]
    pub host: String,
    /// Port of the admin listener.
    #[serde(default = "default_port")]
    pub port: u16,
    /// Transport.
    #[serde(default = "default_scheme")]
    pub scheme: String,
    /// Project name.
    #[serde(default)]
    pub project_name: String,
    /// CN that the server's certificate must have.
    #[serde(default = "default_identity")]
    pub server_identity: String,
}

fn default_host() -> String {
    "localhost".to_owned()
}

fn default_port() -> u16 {
    8002
}

fn default_scheme() -> String {
    "grpc".to_owned()
}

fn default_identity() -> String {
    "server".to_owned()
}

#[derive(Deserialize)]
struct AdminFile {
    admin: ServerAddress,
}

/// The kit of one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteKit {
    /// Site name: CN of the certificate.
    pub name: String,
    /// Organisation: O of the certificate.
    pub org: String,
}

/// Every kit below one folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kits {
    folder: PathBuf,
    admins: Vec<AdminKit>,
    sites: Vec<SiteKit>,
}

impl Kits {
    /// Reads the kits below `folder`, in the order of their names. Folders that hold no kit are passed over.
    ///
    /// # Errors
    /// [`KitsError`] when the folder or a kit in it cannot be read, or there is no administrator's kit.
    pub fn read(folder: &Path) -> Result<Self, KitsError> {
        let failed = |path: &Path, problem: String| KitsError { path: path.to_owned(), problem };
        let mut folders: Vec<PathBuf> = std::fs::read_dir(folder)
            .map_err(|error| failed(folder, error.to_string()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.join("startup").is_dir())
            .collect();
        folders.sort();
        let mut kits = Self { folder: folder.to_owned(), ..Self::default() };
        for path in folders {
            let startup = path.join("startup");
            if startup.join("fed_admin.json").is_file() {
                kits.admins.push(read_admin(&path).map_err(|problem| failed(&path, problem))?);
            } else if startup.join("fed_client.json").is_file() {
                let certificate =
                    read_certificate(&startup.join("client.crt")).map_err(|problem| failed(&path, problem))?;
                kits.sites.push(SiteKit {
                    name: certificate.common_name().to_owned(),
                    org: certificate.organization().to_owned(),
                });
            }
        }
        if kits.admins.is_empty() {
            return Err(failed(folder, "there is no administrator's startup kit in it".to_owned()));
        }
        Ok(kits)
    }

    /// The folder that holds the kits.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The administrators' kits.
    #[must_use]
    pub fn admins(&self) -> &[AdminKit] {
        &self.admins
    }

    /// The sites' kits.
    #[must_use]
    pub fn sites(&self) -> &[SiteKit] {
        &self.sites
    }

    /// Private key of the project's root, which provisioning keeps in the folder `state` beside the kits'.
    #[must_use]
    pub fn root_key(&self) -> Option<RootKey> {
        #[derive(Deserialize)]
        struct State {
            root_cert: String,
            root_pri_key: String,
        }
        let text = std::fs::read(self.folder.parent()?.join("state/cert.json")).ok()?;
        let state: State = serde_json::from_slice(&text).ok()?;
        Some(RootKey { certificate: state.root_cert, key: state.root_pri_key })
    }
}

/// Certificate and key of a project's root, with which a case can issue certificates of its own.
pub struct RootKey {
    /// The root certificate, PEM.
    pub certificate: String,
    /// Its key, PEM.
    pub key: String,
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(<hidden>)")
    }
}

fn read_admin(path: &Path) -> Result<AdminKit, String> {
    let file = path.join("startup/fed_admin.json");
    let text = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let file: AdminFile = serde_json::from_slice(&text).map_err(|error| format!("fed_admin.json: {error}"))?;
    let certificate = read_certificate(&path.join("startup/client.crt"))?;
    Ok(AdminKit {
        path: path.to_owned(),
        role: Role::ALL.into_iter().find(|role| role.as_str() == certificate.role()),
        user: certificate.common_name().to_owned(),
        org: certificate.organization().to_owned(),
        server: file.admin,
    })
}

fn read_certificate(path: &Path) -> Result<Certificate, String> {
    let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let chain = Certificate::chain_from_pem(&pem).map_err(|error| format!("{}: {}", path.display(), chain(&error)))?;
    chain.into_iter().next().ok_or_else(|| format!("{}: no certificate in it", path.display()))
}

/// Why the kits of a deployment cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KitsError {
    path: PathBuf,
    problem: String,
}

impl fmt::Display for KitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl std::error::Error for KitsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_kits_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Kits::read(folder.path()).unwrap_err();
        assert!(error.to_string().ends_with("there is no administrator's startup kit in it"), "{error}");
        assert!(Kits::read(&folder.path().join("nowhere")).is_err());
    }

    #[test]
    fn an_administrators_file_may_leave_out_what_has_a_default() {
        let file: AdminFile = serde_json::from_str(r#"{"admin": {"project_name": "p", "unknown": 1}}"#).unwrap();
        assert_eq!(
            (file.admin.host.as_str(), file.admin.port, file.admin.scheme.as_str()),
            ("localhost", 8002, "grpc")
        );
        assert_eq!(file.admin.server_identity, "server");
    }
}
