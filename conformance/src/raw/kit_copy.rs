//! A copy of a startup kit, changed for a case.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::Identity;
use crate::kits::AdminKit;
use crate::{CaseResult, Finding};

/// Files of `startup` that the client library reads.
const FILES: [&str; 4] = ["fed_admin.json", "client.crt", "client.key", "rootCA.pem"];

/// A copy of a kit in a folder of its own, which goes when it is dropped.
pub(crate) struct KitCopy {
    folder: TempDir,
}

impl KitCopy {
    /// Copies what a client needs of `kit`.
    pub(crate) fn of(kit: &AdminKit) -> CaseResult<Self> {
        let folder = TempDir::new().map_err(failed)?;
        for part in ["startup", "local", "transfer"] {
            fs::create_dir(folder.path().join(part)).map_err(failed)?;
        }
        for file in FILES {
            let path = Path::new("startup").join(file);
            fs::copy(kit.path.join(&path), folder.path().join(&path)).map_err(failed)?;
        }
        Ok(Self { folder })
    }

    /// The folder of the copy.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Sets a key of the object `admin` in `fed_admin.json`.
    pub(crate) fn set(self, key: &str, value: impl Into<Value>) -> CaseResult<Self> {
        let path = self.path().join("startup/fed_admin.json");
        let text = fs::read(&path).map_err(failed)?;
        let mut file: Value = serde_json::from_slice(&text).map_err(|error| Finding::harness(error.to_string()))?;
        file["admin"][key] = value.into();
        fs::write(&path, file.to_string()).map_err(failed)?;
        Ok(self)
    }

    /// Replaces the certificate; the key stays.
    pub(crate) fn with_certificate(self, identity: &Identity) -> CaseResult<Self> {
        fs::write(self.path().join("startup/client.crt"), &identity.pem).map_err(failed)?;
        Ok(self)
    }

    /// Replaces the root certificate.
    pub(crate) fn with_root(self, pem: &str) -> CaseResult<Self> {
        fs::write(self.path().join("startup/rootCA.pem"), pem).map_err(failed)?;
        Ok(self)
    }

    /// Removes a file of `startup`.
    pub(crate) fn without(self, file: &str) -> CaseResult<Self> {
        fs::remove_file(self.path().join("startup").join(file)).map_err(failed)?;
        Ok(self)
    }
}

fn failed(error: std::io::Error) -> Finding {
    Finding::harness(format!("cannot copy a startup kit: {error}"))
}
