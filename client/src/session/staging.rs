//! The folder that a download goes into: beside the destination, whose place it takes when all is there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::clock::randomness;
use crate::unpack::unpack;
use crate::{Error, ErrorKind, Result};

/// Names that are tried for a folder whose own name is taken: `<id>__1`, `<id>__2`, ...
const MAX_NAMES: usize = 1000;

/// A folder beside the destination, which is removed unless it takes its place.
pub(super) struct Staging {
    path: PathBuf,
    is_published: bool,
}

impl Staging {
    pub(super) fn create(parent: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(parent).map_err(|error| local_file(parent, error))?;
        let path = parent.join(format!(".{name}.{}.partial", randomness()?.uuid()));
        fs::create_dir(&path).map_err(|error| local_file(&path, error))?;
        Ok(Self { path, is_published: false })
    }

    /// The path of a file in the folder, whose own folders are made.
    ///
    /// The folder has to be with the thread that does it: were it removed by a caller that does not wait any more, the
    /// thread would make it anew.
    pub(super) fn place(&self, inner: &Path) -> Result<PathBuf> {
        let path = self.path.join(inner);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| local_file(folder, error))?;
        }
        Ok(path)
    }

    /// Unpacks the archives at these places in the folder, which goes with the thread that does it.
    pub(super) async fn unpacked(self, archives: Vec<PathBuf>) -> Result<Self> {
        if archives.is_empty() {
            return Ok(self);
        }
        let unpacking = tokio::task::spawn_blocking(move || {
            for archive in archives {
                let archive = self.path.join(archive);
                unpack(&archive, &archive.with_extension(""))?;
            }
            Ok(self)
        });
        unpacking.await.map_err(interrupted)?
    }

    /// Takes the place of the destination, or of the first one beside it that is free.
    pub(super) fn publish(mut self, parent: &Path, name: &str) -> Result<PathBuf> {
        for number in 0..=MAX_NAMES {
            let path = parent.join(if number == 0 { name.to_owned() } else { format!("{name}__{number}") });
            // Making the folder takes the name from everybody else; an empty folder can be replaced.
            match fs::create_dir(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(local_file(&path, error)),
            }
            fs::rename(&self.path, &path).map_err(|error| {
                // It is empty, and nobody else's.
                let _ = fs::remove_dir(&path);
                local_file(&path, error)
            })?;
            self.is_published = true;
            return Ok(path);
        }
        let message = format!("{} has {MAX_NAMES} downloads of this job already", parent.display());
        Err(Error::new(ErrorKind::LocalFile, message))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_published
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "a broken download cannot be removed");
        }
    }
}

pub(super) fn interrupted(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::LocalFile, "the work on the download was interrupted").with_source(error)
}

pub(crate) fn local_file(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::LocalFile, format!("{} cannot be written", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_whose_name_is_taken_gets_another() {
        let parent = tempfile::tempdir().unwrap();
        let published = || Staging::create(parent.path(), "id").unwrap().publish(parent.path(), "id").unwrap();
        assert_eq!(published(), parent.path().join("id"));
        assert_eq!(published(), parent.path().join("id__1"));
        drop(Staging::create(parent.path(), "id").unwrap());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 2, "nothing is left of the one that broke");
    }
}
