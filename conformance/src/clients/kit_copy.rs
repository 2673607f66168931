//! A copy of a whole startup kit with another configuration.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{CaseResult, Finding};

/// Copies `kit` to `to` and lets `change` edit the object `admin` of its configuration. The signatures of the files stay
/// behind: they would not fit any more, and a 2.9 kit may do without.
pub(crate) fn copied(kit: &Path, to: &Path, change: impl FnOnce(&mut Value)) -> CaseResult<PathBuf> {
    let failed = |error: io::Error| Finding::harness(format!("cannot copy a startup kit: {error}"));
    copy_all(kit, to).map_err(failed)?;
    let signatures = to.join("startup/signature.json");
    if signatures.exists() {
        fs::remove_file(signatures).map_err(failed)?;
    }
    let path = to.join("startup/fed_admin.json");
    let text = fs::read(&path).map_err(failed)?;
    let mut file: Value = serde_json::from_slice(&text).map_err(|error| Finding::harness(error.to_string()))?;
    change(&mut file["admin"]);
    fs::write(&path, file.to_string()).map_err(failed)?;
    Ok(to.to_owned())
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let copy = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &copy)?;
        } else {
            fs::copy(entry.path(), copy)?;
        }
    }
    Ok(())
}
