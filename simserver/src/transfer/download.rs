//! Files that are being downloaded.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::blob::Blob;
use crate::jobs::archive::Archive;
use crate::jobs::behaviour::{WorkspaceEntry, write_workspace};
use crate::jobs::lifecycle::DownloadFile;

/// Files that are open at the same time. The one that was read least recently is closed for a new one, and opened again
/// when somebody asks for it.
const MAX_OPEN: usize = 256;

/// Bytes of one piece for a request that is one plain message: a real server sends 5 MiB, which ends the connection of
/// an official client.
pub(crate) const PLAIN_PIECE: usize = 2 << 20;

/// Buffer for writing a workspace.
const WRITE_BUFFER: usize = 1 << 20;

/// Open files by reference.
#[derive(Debug)]
pub(crate) struct Sources {
    directory: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    by_reference: HashMap<String, (u64, Arc<Source>)>,
    reads: u64,
}

/// The bytes of a file.
#[derive(Debug)]
pub(crate) enum Source {
    /// In memory, since they are few.
    Bytes(Vec<u8>),
    /// On disk.
    File {
        /// The file, and where it is read.
        file: Mutex<File>,
        /// Its length.
        len: u64,
    },
}

impl Sources {
    /// Files that are made for a download are kept in `directory` meanwhile.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, open: Mutex::default() }
    }

    /// Where they are kept.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A file that is open.
    pub(crate) fn get(&self, reference: &str) -> Option<Arc<Source>> {
        let mut open = self.open();
        open.reads += 1;
        let now = open.reads;
        let (read, source) = open.by_reference.get_mut(reference)?;
        *read = now;
        Some(Arc::clone(source))
    }

    /// Keeps a file open.
    pub(crate) fn insert(&self, reference: &str, source: Source) -> Arc<Source> {
        let mut open = self.open();
        while open.by_reference.len() >= MAX_OPEN {
            let oldest = open.by_reference.iter().min_by_key(|(_, (read, _))| *read);
            let Some(oldest) = oldest.map(|(reference, _)| reference.clone()) else { break };
            open.by_reference.remove(&oldest);
        }
        open.reads += 1;
        let (read, source) = (open.reads, Arc::new(source));
        open.by_reference.insert(reference.to_owned(), (read, Arc::clone(&source)));
        source
    }

    /// Closes a file.
    pub(crate) fn close(&self, reference: &str) {
        self.open().by_reference.remove(reference);
    }

    /// Closes all files.
    pub(crate) fn clear(&self) {
        self.open().by_reference.clear();
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing that holds the lock leaves the table half changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    /// Opens a file, if that takes no time; a workspace has to be [made](Self::of_workspace) first.
    pub(crate) fn open(file: &DownloadFile<Blob>) -> Option<io::Result<Self>> {
        Some(match file {
            DownloadFile::Meta(text) => Ok(Self::Bytes(text.clone().into_bytes())),
            DownloadFile::Component(_, content) => Ok(Self::Bytes(content.clone())),
            DownloadFile::Job(archive) => archive.open().and_then(Self::of_file),
            DownloadFile::Workspace { .. } => return None,
        })
    }

    /// Makes the archive of a workspace in `directory`. Takes as long as the job is large.
    pub(crate) fn of_workspace(entries: &[WorkspaceEntry], archive: &Blob, directory: &Path) -> io::Result<Self> {
        let mut job = Archive::open(archive.open()?).map_err(io::Error::other)?;
        // Without a name: it goes when it is closed.
        let out = BufWriter::with_capacity(WRITE_BUFFER, tempfile::tempfile_in(directory)?);
        let mut out = write_workspace(entries, &mut job, out)?;
        out.flush()?;
        out.into_inner().map_err(io::IntoInnerError::into_error).and_then(Self::of_file)
    }

    fn of_file(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self::File { file: Mutex::new(file), len })
    }

    /// Up to `max` bytes from `start` on; none at the end, and `None` beyond it.
    pub(crate) fn read(&self, start: u64, max: usize) -> io::Result<Option<Vec<u8>>> {
        let len = match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        };
        let Some(left) = len.checked_sub(start) else { return Ok(None) };
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(max);
        match self {
            Self::Bytes(bytes) => {
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                Ok(bytes.get(start..).map(|rest| rest[..count].to_vec()))
            }
            Self::File { file, .. } => {
                let file = file.lock().unwrap_or_else(PoisonError::into_inner);
                (&*file).seek(SeekFrom::Start(start))?;
                // Without zeros first, which a piece of five mebibytes would be filled with for nothing.
                let mut piece = Vec::with_capacity(count);
                (&*file).take(count as u64).read_to_end(&mut piece)?;
                if piece.len() < count { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(Some(piece)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_piece_by_piece() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"abcde").unwrap();
        let blob = Blob::temporary(file.into_temp_path());
        let of_file = Source::open(&DownloadFile::Job(blob)).unwrap().unwrap();
        let of_bytes = Source::open(&DownloadFile::Component("c".into(), b"abcde".to_vec())).unwrap().unwrap();
        for source in [of_file, of_bytes] {
            let read = |start| source.read(start, 2).unwrap().map(|piece| String::from_utf8(piece).unwrap());
            assert_eq!(read(0).as_deref(), Some("ab"));
            assert_eq!(read(4).as_deref(), Some("e"));
            assert_eq!(read(5).as_deref(), Some(""));
            assert_eq!(read(6), None);
        }
    }

    #[test]
    fn what_was_read_least_recently_is_closed() {
        let sources = Sources::new(std::env::temp_dir());
        for number in 0..MAX_OPEN {
            sources.insert(&number.to_string(), Source::Bytes(Vec::new()));
        }
        assert!(sources.get("0").is_some());
        sources.insert("new", Source::Bytes(Vec::new()));
        assert!(sources.get("0").is_some() && sources.get("new").is_some() && sources.get("1").is_none());
        sources.close("new");
        assert!(sources.get("new").is_none());
    }
}
