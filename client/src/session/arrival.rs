//! A file of a download while it arrives: a thread of its own writes it, or what is in it.

use std::fs::File;
use std::io::{self, BufRead, Read, Write as _};
use std::path::{Path, PathBuf};

use bytes::{Buf as _, Bytes};
use flare_wire::Segments;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::staging::{Staging, interrupted, local_file};
use crate::Result;
use crate::unpack::{Arrived, unpack_arriving};

/// Pieces that wait while one is written: with the one that is handed on and the one that is on its way, four are in
/// memory.
const WAITING: usize = 1;

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// It is kept.
    Kept,
    /// What is in it is kept, in a folder, as the official client does.
    Unpacked,
}

/// A file that is written while it arrives.
///
/// The folder goes with the thread that works in it, and is removed by it when this is dropped.
pub(super) struct Arrival {
    /// Without a piece: it is the end of the file.
    pieces: mpsc::Sender<Option<Segments>>,
    writer: JoinHandle<Result<(Staging, Arrived)>>,
}

impl Arrival {
    pub(super) fn begin(staging: Staging, inner: PathBuf, treatment: Treatment) -> Self {
        let (pieces, received) = mpsc::channel(WAITING);
        let writer = tokio::task::spawn_blocking(move || {
            let path = staging.place(&inner)?;
            let unpacked = write(Incoming::of(received), &path, treatment)?;
            Ok((staging, unpacked))
        });
        Self { pieces, writer }
    }

    /// Hands on the next piece. False when it is not wanted: why, [`finish`](Self::finish) says.
    pub(super) async fn push(&self, piece: Segments) -> bool {
        self.pieces.send(Some(piece)).await.is_ok()
    }

    /// Waits until all is written.
    pub(super) async fn finish(self) -> Result<(Staging, Arrived)> {
        // It may have ended already.
        let _ = self.pieces.send(None).await;
        self.writer.await.map_err(interrupted)?
    }

    /// Waits until all is removed.
    pub(super) async fn abandon(self) {
        drop(self.pieces);
        if let Ok(Ok((staging, _))) = self.writer.await {
            drop(staging);
        }
    }
}

fn write(mut source: Incoming, path: &Path, treatment: Treatment) -> Result<Arrived> {
    if treatment == Treatment::Unpacked {
        return unpack_arriving(source, path, &path.with_extension(""));
    }
    let mut keep = || {
        let mut file = File::create_new(path)?;
        loop {
            let bytes = source.fill_buf()?;
            if bytes.is_empty() {
                return Ok(Arrived::Whole);
            }
            file.write_all(bytes)?;
            let count = bytes.len();
            source.consume(count);
        }
    };
    keep().map_err(|error| local_file(path, error))
}

/// The pieces as they come.
struct Incoming {
    pieces: mpsc::Receiver<Option<Segments>>,
    /// What is left of a piece, the next part last.
    parts: Vec<Bytes>,
    is_over: bool,
}

impl Incoming {
    const fn of(pieces: mpsc::Receiver<Option<Segments>>) -> Self {
        Self { pieces, parts: Vec::new(), is_over: false }
    }
}

impl BufRead for Incoming {
    /// # Errors
    /// When nobody waits for the file any more.
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.parts.is_empty() && !self.is_over {
            match self.pieces.blocking_recv() {
                Some(Some(piece)) => self.parts.extend(piece.parts().filter(|part| !part.is_empty()).cloned()),
                Some(None) => self.is_over = true,
                None => return Err(io::Error::other("the download was given up")),
            }
            self.parts.reverse();
        }
        Ok(self.parts.last().map_or(&[], |part| part))
    }

    fn consume(&mut self, count: usize) {
        if let Some(part) = self.parts.last_mut() {
            part.advance(count);
            if part.is_empty() {
                self.parts.pop();
            }
        }
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Cursor;
    use std::time::{Duration, Instant};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::ErrorKind;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn archive(files: usize) -> Segments {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for number in 0..files {
            zip.start_file(format!("{number}/x"), SimpleFileOptions::default()).unwrap();
            zip.write_all(b"content").unwrap();
        }
        zip.finish().unwrap().into_inner().into()
    }

    async fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
        let soon = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < soon, "{what}");
            tokio::task::yield_now().await;
        }
    }

    fn begin(parent: &Path, inner: &str, treatment: Treatment) -> Arrival {
        Arrival::begin(Staging::create(parent, "id").unwrap(), inner.into(), treatment)
    }

    #[tokio::test]
    async fn what_arrives_is_written_while_it_does() {
        let parent = tempfile::tempdir().unwrap();
        let whole = archive(3);
        for (treatment, is_late) in [(Treatment::Kept, false), (Treatment::Unpacked, false), (Treatment::Kept, true)] {
            let arrival = begin(parent.path(), "job.zip", treatment);
            for start in 0..whole.len() {
                assert!(arrival.push(whole.slice(start..start + 1)).await);
            }
            let (staging, unpacked) = arrival.finish().await.unwrap();
            assert_eq!(unpacked, Arrived::Whole);
            let late = if is_late { vec!["job.zip".into()] } else { Vec::new() };
            let folder = staging.unpacked(late).await.unwrap().publish(parent.path(), "id").unwrap();
            let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            if treatment == Treatment::Kept && !is_late {
                assert_eq!(names, ["job.zip"]);
                assert_eq!(fs::read(folder.join("job.zip")).unwrap(), whole.to_vec());
            } else {
                assert_eq!(names, ["job"], "{treatment:?}");
                assert_eq!(fs::read(folder.join("job/2/x")).unwrap(), b"content");
            }
        }
    }

    #[tokio::test]
    async fn no_file_takes_the_place_of_another() {
        let parent = tempfile::tempdir().unwrap();
        let arrival = begin(parent.path(), "job.zip", Treatment::Unpacked);
        assert!(arrival.push(archive(1)).await);
        let (staging, _) = arrival.finish().await.unwrap();
        let second = Arrival::begin(staging, "job/0/x".into(), Treatment::Kept);
        assert_eq!(second.finish().await.err().unwrap().kind(), ErrorKind::LocalFile);
        // Nor does an archive whose folder is there: it is judged with all of it.
        let staging = Staging::create(parent.path(), "id").unwrap();
        let (staging, _) = Arrival::begin(staging, "job/0/x".into(), Treatment::Kept).finish().await.unwrap();
        let arrival = Arrival::begin(staging, "job.zip".into(), Treatment::Unpacked);
        arrival.push(archive(1)).await;
        let (staging, unpacked) = arrival.finish().await.unwrap();
        assert_eq!(unpacked, Arrived::NotFromTheFront);
        assert!(staging.place(Path::new("job/0/x")).unwrap().exists());
    }

    #[tokio::test]
    async fn one_that_is_dropped_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let is_empty = || fs::read_dir(parent.path()).unwrap().count() == 0;
        let arrival = begin(parent.path(), "job.zip", Treatment::Unpacked);
        let whole = archive(2_000);
        assert!(arrival.push(whole.slice(0..whole.len() / 2)).await);
        let has_begun =
            || fs::read_dir(parent.path()).unwrap().any(|entry| entry.unwrap().path().join("job/0").exists());
        wait_until("unpacking does not begin", has_begun).await;
        drop(arrival);
        wait_until("something is left behind", is_empty).await;
        // Before its folder is made, too.
        drop(begin(parent.path(), "a/b/c", Treatment::Kept));
        wait_until("something is left behind", is_empty).await;
    }

    #[tokio::test]
    async fn of_one_that_is_given_up_nothing_is_left_at_once() {
        let parent = tempfile::tempdir().unwrap();
        let arrival = begin(parent.path(), "a/b.bin", Treatment::Kept);
        assert!(arrival.push(vec![7; 100_000].into()).await);
        arrival.abandon().await;
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_not_wanted_any_more() {
        let parent = tempfile::tempdir().unwrap();
        let staging = Staging::create(parent.path(), "id").unwrap();
        fs::create_dir(staging.place(Path::new("data")).unwrap()).unwrap();
        let arrival = Arrival::begin(staging, "data".into(), Treatment::Kept);
        let soon = Instant::now() + PATIENCE;
        while arrival.push(vec![7; 10].into()).await {
            assert!(Instant::now() < soon, "it is still wanted");
        }
        assert_eq!(arrival.finish().await.err().unwrap().kind(), ErrorKind::LocalFile);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
