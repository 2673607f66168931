//! Uploaded archives: files that last as long as something refers to them.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempPath;

/// A handle to an uploaded archive. Cheap to clone; the file of an archive that nobody keeps goes with its last handle.
#[derive(Clone, Default)]
pub struct Blob(Option<Arc<Kind>>);

enum Kind {
    Temporary(TempPath),
    Kept(PathBuf),
    Adopted(Adopted),
}

/// A file of a state directory.
struct Adopted {
    path: PathBuf,
    /// Jobs on disk that refer to it.
    references: AtomicUsize,
}

impl Drop for Adopted {
    fn drop(&mut self) {
        if *self.references.get_mut() == 0 {
            // What stays is removed when the state directory is opened again.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Blob {
    /// No archive: that of a job that was never uploaded, but put into a test's server as a meta.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// A file that is removed when nobody refers to it any more.
    #[must_use]
    pub fn temporary(path: TempPath) -> Self {
        Self(Some(Arc::new(Kind::Temporary(path))))
    }

    /// A file that stays where it is.
    #[must_use]
    pub fn kept(path: PathBuf) -> Self {
        Self(Some(Arc::new(Kind::Kept(path))))
    }

    /// A file of a state directory, which goes with the last handle unless a job on disk refers to it.
    pub(crate) fn adopted(path: PathBuf) -> Self {
        Self(Some(Arc::new(Kind::Adopted(Adopted { path, references: AtomicUsize::new(0) }))))
    }

    /// One more job on disk refers to it.
    pub(crate) fn retain(&self) {
        if let Some(Kind::Adopted(adopted)) = self.0.as_deref() {
            adopted.references.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One job less on disk refers to it.
    pub(crate) fn release(&self) {
        if let Some(Kind::Adopted(adopted)) = self.0.as_deref() {
            adopted.references.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self.0.as_deref()? {
            Kind::Temporary(path) => Some(path),
            Kind::Kept(path) => Some(path),
            Kind::Adopted(adopted) => Some(&adopted.path),
        }
    }

    /// Opens the file.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    pub fn open(&self) -> io::Result<File> {
        File::open(self.path().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the job has no archive"))?)
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        self.path() == other.path()
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blob").field(&self.path()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_file_goes_with_the_last_handle() {
        let blob = Blob::temporary(tempfile::NamedTempFile::new().unwrap().into_temp_path());
        let path = blob.path().unwrap().to_owned();
        let other = blob.clone();
        drop(blob);
        assert!(other.open().is_ok());
        drop(other);
        assert!(!path.exists());
        assert!(Blob::none().open().is_err());
    }
}
