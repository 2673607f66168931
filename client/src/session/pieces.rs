//! A job's archive in pieces, made by a thread of its own while the pieces before are on their way.

use std::io::{self, Write};
use std::sync::Arc;

use flare_wire::transfer::upload::PIECE_SIZE;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::job_folder::Package;
use crate::{Error, ErrorKind, Result};

/// Pieces that are made ahead of what is sent: enough that neither waits when the other is slow for a moment.
const AHEAD: usize = 4;

/// The pieces of one upload. All are full but the last, which may be empty. What makes them ends when this is dropped.
pub(super) struct Pieces {
    pieces: mpsc::Receiver<Vec<u8>>,
    maker: Option<JoinHandle<Result<()>>>,
}

impl Pieces {
    pub(super) fn of(package: Arc<Package>) -> Self {
        let (sender, pieces) = mpsc::channel(AHEAD);
        let maker = tokio::task::spawn_blocking(move || {
            let mut cutter = Cutter { piece: empty(), sender };
            package.write(&mut cutter)?;
            cutter.finish();
            Ok(())
        });
        Self { pieces, maker: Some(maker) }
    }

    /// The next piece.
    ///
    /// # Errors
    /// When the folder cannot be read on, or there is no further piece since it holds less than it did.
    pub(super) async fn next(&mut self) -> Result<Vec<u8>> {
        if let Some(piece) = self.pieces.recv().await {
            return Ok(piece);
        }
        match self.maker.take() {
            Some(maker) => maker.await.map_err(interrupted)?.and_then(|()| Err(changed())),
            None => Err(changed()),
        }
    }
}

pub(super) fn interrupted(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::InvalidJob, "packing the job was interrupted").with_source(error)
}

/// The folder is not what it was when its archive was measured.
pub(super) fn changed() -> Error {
    Error::new(ErrorKind::InvalidJob, "the job folder changed while it was sent")
        .with_hint("submit it again when nothing writes to it any more; the server has not taken the job")
}

/// Cuts what is written to it.
struct Cutter {
    piece: Vec<u8>,
    sender: mpsc::Sender<Vec<u8>>,
}

impl Cutter {
    fn send(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, empty());
        self.sender.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// What is left is the last piece.
    fn finish(mut self) {
        // Nobody wants it any more when that fails.
        let _ = self.send();
    }
}

impl Write for Cutter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE_SIZE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == PIECE_SIZE {
            self.send()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn empty() -> Vec<u8> {
    Vec::with_capacity(PIECE_SIZE)
}
