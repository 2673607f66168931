//! The files of one startup kit, as data.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flare_wire::hci::python_json;
use flare_wire::{PrivateKey, Randomness};
use serde_json::{Map, Value};

use super::KitError;

pub(crate) const DIRECTORY_MODE: u32 = 0o755;

/// What every kit consists of.
pub(crate) const DIRECTORIES: [&str; 3] = ["startup", "local", "transfer"];

/// Those of them whose files are signed, where kits are.
pub(crate) const SIGNED: [&str; 2] = ["startup", "local"];

/// The file of their signatures.
pub(crate) const SIGNATURES: &str = "signature.json";

/// The files of a participant: what [`Kit::write`] puts into its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kit {
    files: Vec<KitFile>,
}

/// One file of a kit.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KitFile {
    /// Where it goes, relative to the kit.
    pub(crate) path: String,
    /// Its permission bits.
    pub(crate) mode: u32,
    /// What is in it.
    pub(crate) content: Vec<u8>,
}

impl Kit {
    pub(super) fn new(files: Vec<KitFile>) -> Self {
        Self { files }
    }

    /// Takes over what `directory` holds already: scripts, texts and policies that a user or real provisioning
    /// has put there stay as they are. What the server depends on, configuration and certificates, does not.
    #[must_use]
    pub(super) fn keeping(mut self, directory: &Path) -> Self {
        for file in &mut self.files {
            if !file.is_essential()
                && let Ok(content) = fs::read(directory.join(&file.path))
            {
                file.content = content;
            }
        }
        self
    }

    /// Signs every file of `startup` and `local` with the key of the root, in a `signature.json` beside them
    /// (`reference/startup-kits.md` section 5).
    #[must_use]
    pub(super) fn signed(mut self, key: &PrivateKey, random: &mut Randomness) -> Self {
        for part in SIGNED {
            let signatures: Map<String, Value> = self
                .files
                .iter()
                .filter_map(|file| Some((file.path.strip_prefix(part)?.strip_prefix('/')?, &file.content)))
                .map(|(name, content)| (name.to_owned(), STANDARD.encode(key.sign(random, content)).into()))
                .collect();
            self.files.push(KitFile::text(format!("{part}/{SIGNATURES}"), python_json(&Value::Object(signatures))));
        }
        self
    }

    /// Writes the kit into `directory`. Files are replaced one by one, each as a whole; files that the kit does
    /// not have, like those a user added to `local`, stay.
    ///
    /// # Errors
    /// When a file or directory cannot be written.
    pub(super) fn write(&self, directory: &Path) -> Result<(), KitError> {
        let is_new = !directory.exists();
        make_directory(directory)?;
        for part in DIRECTORIES {
            make_directory(&directory.join(part))?;
        }
        // Nobody reads what was not there before.
        let write = if is_new { write_new_file } else { write_file };
        for file in &self.files {
            write(&directory.join(&file.path), file.mode, &file.content)?;
        }
        Ok(())
    }
}

impl KitFile {
    /// A file everybody may read.
    pub(super) fn text(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), mode: 0o644, content: content.into() }
    }

    /// A script.
    pub(super) fn script(path: &str, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.to_owned(), mode: 0o755, content: content.into() }
    }

    /// A file for its owner only.
    pub(super) fn secret(path: &str, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.to_owned(), mode: 0o600, content: content.into() }
    }

    /// JSON, indented by two blanks.
    pub(super) fn json(path: &str, value: &Value) -> Self {
        Self::text(path, format!("{value:#}\n"))
    }

    /// True for what has to agree with the project and its certificates.
    fn is_essential(&self) -> bool {
        self.path.strip_prefix("startup/").is_some_and(|name| {
            name.starts_with("fed_") || [".crt", ".key", ".pem"].iter().any(|ending| name.ends_with(ending))
        })
    }
}

impl std::fmt::Debug for KitFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The content may be a private key.
        f.debug_struct("KitFile")
            .field("path", &self.path)
            .field("mode", &format_args!("{:o}", self.mode))
            .field("bytes", &self.content.len())
            .finish()
    }
}

/// Makes a directory, and those above it, with the mode that provisioning gives it.
pub(super) fn make_directory(path: &Path) -> Result<(), KitError> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(KitError::io("create", path))?;
    fs::set_permissions(path, Permissions::from_mode(DIRECTORY_MODE)).map_err(KitError::io("create", path))
}

/// Writes a file that does not exist.
fn write_new_file(path: &Path, mode: u32, content: &[u8]) -> Result<(), KitError> {
    let failed = KitError::io("write", path);
    // What the process masks is set afterwards, and is missing until then.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(&failed)?;
    file.write_all(content).map_err(&failed)?;
    file.set_permissions(Permissions::from_mode(mode)).map_err(&failed)
}

/// Writes a file as a whole: whoever reads it meanwhile sees the old content or the new one.
pub(super) fn write_file(path: &Path, mode: u32, content: &[u8]) -> Result<(), KitError> {
    let failed = KitError::io("write", path);
    let directory = path.parent().unwrap_or(path);
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(&failed)?;
    file.write_all(content).map_err(&failed)?;
    file.as_file().set_permissions(Permissions::from_mode(mode)).map_err(&failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
