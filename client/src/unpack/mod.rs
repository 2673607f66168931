//! Unpacking the archives of a download, none of which may write anywhere else.

mod arriving;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use zip::ZipArchive;

pub(crate) use self::arriving::{Arrived, unpack_arriving};
use crate::session::local_file;
use crate::{Error, ErrorKind, Result};

/// Bytes that are read and written at a time.
const COPY_BUFFER: usize = 256 * 1024;

/// Buffers that are read ahead of what is written.
const AHEAD: usize = 4;

/// Replaces an archive by a folder with what was in it.
pub(crate) fn unpack(archive: &Path, target: &Path) -> Result<()> {
    unpack_beside(archive, target)?;
    fs::remove_file(archive).map_err(|error| local_file(archive, error))
}

/// One thread reads and checks while another writes, which takes as long again.
fn unpack_beside(archive: &Path, target: &Path) -> Result<()> {
    let (work, to_do) = sync_channel(AHEAD);
    let (done, buffers) = channel();
    thread::scope(|scope| {
        let writer = scope.spawn(move || write(&to_do, &done));
        let read = read(archive, target, &work, &buffers);
        drop(work);
        // A reader that finds nobody to write has no reason of its own.
        let written = writer.join().expect("what cannot be written is no panic");
        written.and(read)
    })
}

/// The next bytes of a file.
struct Work {
    file: Arc<(File, PathBuf)>,
    buffer: Vec<u8>,
    /// So many of the buffer.
    count: usize,
}

/// Writes until there is nothing more; gives the buffers back.
fn write(to_do: &Receiver<Work>, done: &Sender<Vec<u8>>) -> Result<()> {
    for Work { file, buffer, count } in to_do {
        let (mut file, path) = (&file.0, &file.1);
        file.write_all(&buffer[..count]).map_err(|error| local_file(path, error))?;
        // The reader may have come to its end.
        let _ = done.send(buffer);
    }
    Ok(())
}

fn read(archive: &Path, target: &Path, work: &SyncSender<Work>, buffers: &Receiver<Vec<u8>>) -> Result<()> {
    let bad = |what: String| bad(archive, &what);
    let file = File::open(archive).map_err(|error| local_file(archive, error))?;
    let mut zip = ZipArchive::new(file).map_err(|error| bad("no zip archive".to_owned()).with_source(error))?;
    fs::create_dir_all(target).map_err(|error| local_file(target, error))?;
    for index in 0..zip.len() {
        let mut entry =
            zip.by_index(index).map_err(|error| bad("an entry cannot be read".to_owned()).with_source(error))?;
        let name = entry.name().map(std::borrow::Cow::into_owned);
        let name = name.map_err(|error| bad("an entry has no usable name".to_owned()).with_source(error))?;
        if entry.is_symlink() {
            return Err(bad(format!("the entry {name:?} is a symbolic link")));
        }
        let Some(file) = begin(archive, target, &name, entry.is_dir())? else { continue };
        let file = Arc::new(file);
        loop {
            let mut buffer = buffers.try_recv().unwrap_or_else(|_| vec![0; COPY_BUFFER]);
            let count = entry
                .read(&mut buffer)
                .map_err(|error| bad(format!("the entry {name:?} is damaged")).with_source(error))?;
            if count == 0 {
                break;
            }
            let next = Work { file: Arc::clone(&file), buffer, count };
            work.send(next)
                .map_err(|_| Error::new(ErrorKind::LocalFile, "the files of the archive cannot be written"))?;
        }
    }
    Ok(())
}

/// Makes the folder or the file of an entry; gives the file.
fn begin(archive: &Path, target: &Path, name: &str, is_folder: bool) -> Result<Option<(File, PathBuf)>> {
    let inner = inner_path(name).ok_or_else(|| bad(archive, &format!("the entry {name:?} leaves its folder")))?;
    let path = target.join(inner);
    let folder = if is_folder { Some(path.as_path()) } else { path.parent() };
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(|error| local_file(folder, error))?;
    }
    if is_folder {
        return Ok(None);
    }
    let file = File::create_new(&path).map_err(|error| local_file(&path, error))?;
    Ok(Some((file, path)))
}

/// An archive that cannot be unpacked.
fn bad(archive: &Path, what: &str) -> Error {
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    Error::new(ErrorKind::ProtocolViolation, format!("{name}: {what}"))
}

/// The path of an entry, if it stays below the folder of its archive.
fn inner_path(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(name);
    let stays = path.components().all(|part| matches!(part, Component::Normal(_)));
    (stays && path.components().next().is_some() && !name.contains(['\\', '\0'])).then_some(path)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn unpacked(entries: &[(&str, &[u8])], link: Option<&str>) -> (tempfile::TempDir, Result<()>) {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("download");
        fs::create_dir(&inner).unwrap();
        let mut zip = ZipWriter::new(File::create(inner.join("job.zip")).unwrap());
        for (name, content) in entries {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
        }
        if let Some(name) = link {
            zip.add_symlink(name, "/etc", SimpleFileOptions::default()).unwrap();
        }
        zip.finish().unwrap();
        let result = unpack(&inner.join("job.zip"), &inner.join("job"));
        (folder, result)
    }

    #[test]
    fn an_archive_becomes_a_folder() {
        let (folder, result) = unpacked(&[("j/meta.json", b"{}"), ("j/app/x.bin", &[7; 100_000])], None);
        result.unwrap();
        let folder = folder.path().join("download");
        assert_eq!(fs::read(folder.join("job/j/app/x.bin")).unwrap(), [7; 100_000]);
        assert!(folder.join("job/j/meta.json").is_file() && !folder.join("job.zip").exists());
    }

    #[test]
    fn entries_that_would_leave_the_folder_are_refused() {
        for name in ["../x", "j/../../x", "/tmp/x", "j\\..\\x"] {
            let (folder, result) = unpacked(&[(name, b"x")], None);
            assert_eq!(result.unwrap_err().kind(), ErrorKind::ProtocolViolation, "{name}");
            assert!(!folder.path().join("x").exists(), "{name}");
        }
        let (_folder, result) = unpacked(&[], Some("j/link"));
        assert!(result.unwrap_err().to_string().contains("symbolic link"));
    }

    #[test]
    fn what_is_no_archive_is_said_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("job.zip");
        fs::write(&archive, b"nonsense").unwrap();
        assert_eq!(unpack(&archive, &folder.path().join("job")).unwrap_err().kind(), ErrorKind::ProtocolViolation);
    }
}
