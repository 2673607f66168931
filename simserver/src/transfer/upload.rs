//! Uploads that are under way.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flare_wire::Moment;
use flare_wire::transfer::TransferError;
use flare_wire::transfer::upload::{Piece, PieceReply, UploadContext};
use tempfile::{NamedTempFile, TempPath};

use crate::mutants::{Mutant, Mutants};

/// Uploads under way at the same time. A real server has no limit; each one costs an open file here.
const MAX_UPLOADS: usize = 256;

/// An upload that nobody has sent a piece of for this long is given up when room is needed or a new one begins. A real
/// server keeps it for ever.
const IDLE: Duration = Duration::from_secs(3600);

/// Longest file: far above any job, so that a client that never ends cannot fill the disk unnoticed.
const MAX_FILE_LEN: u64 = 64 << 30;

/// A field is missing, or the numbers of the pieces are not as they should be.
const BAD_REQUEST: &str = "BAD_REQUEST_DATA";
/// The file is not as announced, or cannot be written.
const EXECUTION_EXCEPTION: &str = "EXECUTION_EXCEPTION";
/// The sender did not say who it is.
const NO_PEER: &str = "MISSING_PEER_CONTEXT";

/// Uploads by transaction, of all connections: a real server does not care over which one a piece comes.
#[derive(Debug)]
pub(crate) struct Uploads {
    directory: PathBuf,
    mutants: Mutants,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    open: HashMap<String, Upload>,
    /// Nothing that needs the table gets an answer any more: see [`PieceOutcome::Silence`].
    is_stuck: bool,
}

#[derive(Debug)]
struct Upload {
    context: UploadContext,
    path: TempPath,
    file: BufWriter<File>,
    len: u64,
    last: Moment,
}

/// What becomes of a piece.
#[derive(Debug)]
pub(crate) enum PieceOutcome {
    /// It was taken or refused, and that is all.
    Answer(&'static str),
    /// The upload has ended with it, one way or the other, and its command runs.
    Ended(Box<Ended>),
    /// Nobody answers. A first piece that comes again makes a real server wait for a lock that it holds itself, and with it
    /// every later piece of every upload, until the process is started again (seen on 2.9.0: the second piece 0 and the
    /// uploads after it are never answered, while commands are).
    Silence,
}

/// An upload that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// How: what the last piece is answered with.
    pub(crate) code: &'static str,
    /// The command and what was said about the file.
    pub(crate) context: UploadContext,
    /// The file, which may be anything.
    pub(crate) arrived: Arrived,
}

/// What has arrived of a file.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// Where it is.
    pub(crate) path: TempPath,
    /// Why it is not whole, if it could not be written.
    pub(crate) problem: Option<io::Error>,
}

impl Uploads {
    /// Uploads that are kept in `directory` until they are done.
    pub(crate) fn new(directory: PathBuf, mutants: Mutants) -> Self {
        Self { directory, mutants, table: Mutex::default() }
    }

    /// Takes a piece.
    pub(crate) fn take(&self, now: Moment, piece: Piece) -> PieceOutcome {
        if !piece.has_peer_props {
            return PieceOutcome::Answer(NO_PEER);
        }
        let mut table = self.table();
        let is_again = piece.sequence == 0 && table.open.contains_key(&piece.transaction);
        table.is_stuck |= is_again;
        if table.is_stuck {
            return PieceOutcome::Silence;
        }
        let open = &mut table.open;
        if !open.contains_key(&piece.transaction) {
            let is_first = piece.sequence == 0 || self.mutants.has(Mutant::UploadBeginsAnywhere);
            let Some(context) = piece.context.filter(|_| is_first) else { return PieceOutcome::Answer(BAD_REQUEST) };
            open.retain(|_, upload| now.since(upload.last) <= IDLE);
            if open.len() >= MAX_UPLOADS {
                tracing::warn!("too many uploads at the same time");
                return PieceOutcome::Answer(EXECUTION_EXCEPTION);
            }
            match self.begin(context, now) {
                Ok(upload) => drop(open.insert(piece.transaction.clone(), upload)),
                Err(error) => {
                    tracing::warn!(%error, directory = %self.directory.display(), "an upload cannot be written");
                    return PieceOutcome::Answer(EXECUTION_EXCEPTION);
                }
            }
        }
        let Some(upload) = open.get_mut(&piece.transaction) else { return PieceOutcome::Answer(EXECUTION_EXCEPTION) };
        upload.last = now;
        let is_right = piece.size == piece.data.len() as u64 && upload.len + piece.size <= MAX_FILE_LEN;
        if !is_right || piece.data.parts().try_for_each(|part| upload.file.write_all(part)).is_err() {
            return end(open, &piece.transaction, EXECUTION_EXCEPTION);
        }
        upload.len += piece.size;
        if !piece.eof {
            return PieceOutcome::Answer(PieceReply::OK);
        }
        let is_whole = upload.len == upload.context.file_size || self.mutants.has(Mutant::ShortUploadAccepted);
        let code = if is_whole { PieceReply::OK } else { EXECUTION_EXCEPTION };
        end(open, &piece.transaction, code)
    }

    /// Ends an upload midway. The command runs all the same, on what has arrived: so does a real server.
    pub(crate) fn abort(&self, transaction: &str) -> Option<Box<Ended>> {
        let mut table = self.table();
        if table.is_stuck {
            return None;
        }
        match end(&mut table.open, transaction, "TASK_ABORTED") {
            PieceOutcome::Ended(ended) => Some(ended),
            PieceOutcome::Answer(_) | PieceOutcome::Silence => None,
        }
    }

    /// Forgets all that is under way.
    pub(crate) fn clear(&self) {
        *self.table() = Table::default();
    }

    fn begin(&self, context: UploadContext, now: Moment) -> io::Result<Upload> {
        let (file, path) = NamedTempFile::with_prefix_in("upload-", &self.directory)?.into_parts();
        Ok(Upload { context, path, file: BufWriter::new(file), len: 0, last: now })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing that holds the lock leaves the table half changed.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end(open: &mut HashMap<String, Upload>, transaction: &str, code: &'static str) -> PieceOutcome {
    let Some(mut upload) = open.remove(transaction) else { return PieceOutcome::Answer(BAD_REQUEST) };
    let problem = upload.file.flush().err();
    let Upload { context, path, .. } = upload;
    PieceOutcome::Ended(Box::new(Ended { code, context, arrived: Arrived { path, problem } }))
}

/// The code for a message that is no piece.
pub(crate) fn code_of(error: TransferError) -> &'static str {
    // What the real server's stream layer reads itself is a bad request; what only its file receiver looks at makes
    // that fail.
    if error.0.starts_with("ObjectStreamer.") || error.0 == "__headers__" { BAD_REQUEST } else { EXECUTION_EXCEPTION }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        uploads: Uploads,
        _directory: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            Self { uploads: Uploads::new(directory.path().to_owned(), Mutants::NONE), _directory: directory }
        }

        fn take(&self, piece: Piece) -> PieceOutcome {
            self.uploads.take(Moment::default(), piece)
        }

        fn code(&self, piece: Piece) -> &'static str {
            match self.take(piece) {
                PieceOutcome::Answer(code) => code,
                outcome => panic!("{outcome:?}"),
            }
        }

        fn ended(&self, piece: Piece) -> (&'static str, Vec<u8>) {
            match self.take(piece) {
                PieceOutcome::Ended(ended) => (ended.code, std::fs::read(&ended.arrived.path).unwrap()),
                outcome => panic!("{outcome:?}"),
            }
        }
    }

    fn piece(sequence: u64, data: &[u8], eof: bool, file_size: u64) -> Piece {
        let context = UploadContext { request: "{}".into(), file_size, file_name: "f".into() };
        Piece {
            transaction: "t".to_owned(),
            sequence,
            context: (sequence == 0).then_some(context),
            data: data.to_vec().into(),
            size: data.len() as u64,
            eof,
            has_peer_props: true,
        }
    }

    #[test]
    fn pieces_become_a_file() {
        let bench = Bench::new();
        assert_eq!(bench.code(piece(0, b"ab", false, 5)), "OK");
        assert_eq!(bench.code(piece(1, b"cd", false, 5)), "OK");
        assert_eq!(bench.ended(piece(2, b"e", true, 5)), ("OK", b"abcde".to_vec()));
        assert_eq!(bench.code(piece(3, b"f", true, 5)), BAD_REQUEST, "it is over");
    }

    #[test]
    fn what_is_not_as_announced_ends_the_upload_and_the_command_runs() {
        let bench = Bench::new();
        assert_eq!(bench.ended(piece(0, b"ab", true, 5)), (EXECUTION_EXCEPTION, b"ab".to_vec()));
        assert_eq!(bench.code(piece(0, b"ab", false, 5)), "OK");
        let wrong = Piece { size: 3, ..piece(1, b"cd", false, 5) };
        assert_eq!(bench.ended(wrong), (EXECUTION_EXCEPTION, b"ab".to_vec()));
    }

    #[test]
    fn a_first_piece_that_comes_again_silences_all_uploads_until_the_next_process() {
        let bench = Bench::new();
        assert_eq!(bench.code(piece(0, b"ab", false, 5)), "OK");
        assert!(matches!(bench.take(piece(0, b"ab", false, 5)), PieceOutcome::Silence));
        let another = || Piece { transaction: "u".to_owned(), ..piece(0, b"ab", true, 2) };
        assert!(matches!(bench.take(another()), PieceOutcome::Silence));
        assert!(bench.uploads.abort("t").is_none());
        bench.uploads.clear();
        assert_eq!(bench.ended(another()), ("OK", b"ab".to_vec()));
    }

    #[test]
    fn what_cannot_begin_an_upload_is_refused() {
        let bench = Bench::new();
        assert_eq!(bench.code(Piece { has_peer_props: false, ..piece(0, b"", true, 0) }), NO_PEER);
        assert_eq!(bench.code(piece(1, b"", true, 0)), BAD_REQUEST);
        assert_eq!(bench.code(Piece { context: None, ..piece(0, b"", true, 0) }), BAD_REQUEST);
        let nowhere = Uploads::new("/nowhere/at/all".into(), Mutants::NONE);
        assert!(matches!(
            nowhere.take(Moment::default(), piece(0, b"", true, 0)),
            PieceOutcome::Answer(EXECUTION_EXCEPTION)
        ));
    }

    #[test]
    fn an_abort_ends_the_upload_once() {
        let bench = Bench::new();
        assert!(bench.uploads.abort("t").is_none());
        assert_eq!(bench.code(piece(0, b"ab", false, 5)), "OK");
        let ended = bench.uploads.abort("t").unwrap();
        assert_eq!(std::fs::read(&ended.arrived.path).unwrap(), b"ab");
        assert!(bench.uploads.abort("t").is_none());
    }

    #[test]
    fn idle_uploads_make_room_and_there_are_only_so_many() {
        let bench = Bench::new();
        let begin = |number: usize, seconds: u64| {
            let piece = Piece { transaction: number.to_string(), ..piece(0, b"a", false, 5) };
            match bench.uploads.take(Moment::from_unix(Duration::from_secs(seconds)), piece) {
                PieceOutcome::Answer(code) => code,
                PieceOutcome::Ended(_) => "ended",
                PieceOutcome::Silence => "silence",
            }
        };
        for number in 0..MAX_UPLOADS {
            assert_eq!(begin(number, 0), "OK");
        }
        assert_eq!(begin(MAX_UPLOADS, 3600), EXECUTION_EXCEPTION);
        assert_eq!(begin(MAX_UPLOADS, 3601), "OK");
        assert_eq!(std::fs::read_dir(&bench.uploads.directory).unwrap().count(), 1, "the others are gone");
    }
}
