//! The folder that a download goes into: beside the destination, whose place it takes when all is there.

use std::fs::{self, File};
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

    /// Makes a file in the folder.
    ///
    /// The folder goes with the thread that works in it: were it removed by a caller that does not wait any more, the thread
    /// would make it anew.
    pub(super) async fn file(self, inner: PathBuf) -> Result<(Self, File)> {
        blocking(move || {
            let path = self.path.join(inner);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(|error| local_file(folder, error))?;
            }
            let file = File::create(&path).map_err(|error| local_file(&path, error))?;
            Ok((self, file))
        })
        .await
    }

    /// Unpacks the archives in the folder.
    pub(super) async fn unpacked(self) -> Result<Self> {
        blocking(move || unpack(&self.path).map(|()| self)).await
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

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| {
        Error::new(ErrorKind::LocalFile, "the work on the download was interrupted").with_source(error)
    })?
}

pub(crate) fn local_file(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::LocalFile, format!("{} cannot be written", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[tokio::test]
    async fn a_download_that_is_dropped_while_it_is_unpacked_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let staging = Staging::create(parent.path(), "id").unwrap();
        let folder = staging.path.clone();
        let mut zip = zip::ZipWriter::new(File::create(folder.join("job.zip")).unwrap());
        for number in 0..2_000 {
            zip.start_file(format!("{number}/x"), zip::write::SimpleFileOptions::default()).unwrap();
        }
        zip.finish().unwrap();
        let mut unpacking = Box::pin(staging.unpacked());
        tokio::select! {
            biased;
            _ = &mut unpacking => {}
            () = std::future::ready(()) => {}
        }
        let soon = Instant::now() + Duration::from_secs(30);
        while !folder.join("job/0").exists() {
            assert!(Instant::now() < soon, "unpacking does not begin");
            tokio::task::yield_now().await;
        }
        drop(unpacking);
        while fs::read_dir(parent.path()).unwrap().count() > 0 {
            assert!(Instant::now() < soon, "something is left behind");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_download_that_is_dropped_while_a_file_is_made_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let staging = Staging::create(parent.path(), "id").unwrap();
        let mut making = Box::pin(staging.file("a/b/c".into()));
        tokio::select! {
            biased;
            _ = &mut making => {}
            () = std::future::ready(()) => {}
        }
        drop(making);
        let soon = Instant::now() + Duration::from_secs(30);
        while fs::read_dir(parent.path()).unwrap().count() > 0 {
            assert!(Instant::now() < soon, "something is left behind");
            tokio::task::yield_now().await;
        }
    }

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
