//! The log files of the server, which go on where the last process has stopped.
//!
//! What a command has logged is in them before its reply is sent; as on a real server they are not forced to the disk, so
//! a SIGKILL takes nothing of them, but a power cut may.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::core::{LOGS, VirtualFiles};

/// What was found of them, by name.
pub(super) type FoundLogs = Vec<(&'static str, Vec<u8>)>;

/// The files of one state directory.
pub(super) struct Logs {
    directory: PathBuf,
    logs: Vec<Log>,
}

struct Log {
    name: &'static str,
    /// None until something is in it.
    file: Option<File>,
    /// Bytes in it.
    len: usize,
}

impl Logs {
    /// Those below a state directory, and what is in them.
    pub(super) fn open(directory: &Path) -> io::Result<(Self, FoundLogs)> {
        let directory = directory.join("logs");
        fs::create_dir_all(&directory)?;
        let (mut logs, mut found) = (Vec::new(), Vec::new());
        for name in LOGS {
            match fs::read(directory.join(name)) {
                Ok(content) => found.push((name, content)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            logs.push(Log { name, file: None, len: 0 });
        }
        Ok((Self { directory, logs }, found))
    }

    /// Brings them up to date. A log that cannot be written keeps no server from its work, a real one neither.
    pub(super) fn keep(&mut self, files: &VirtualFiles) {
        for log in &mut self.logs {
            let content = files.read(log.name).unwrap_or_default();
            if let Err(error) = log.keep(&self.directory.join(log.name), content) {
                tracing::warn!(%error, name = log.name, "a log cannot be written");
            }
        }
    }
}

impl Log {
    fn keep(&mut self, path: &Path, content: &[u8]) -> io::Result<()> {
        match (&mut self.file, content.get(self.len..)) {
            (_, Some([])) => return Ok(()),
            (Some(file), Some(added)) => file.write_all(added).inspect_err(|_| self.file = None)?,
            // It is new to this process, or has lost its older half.
            _ => {
                let fresh = path.with_extension("new");
                fs::write(&fresh, content)?;
                fs::rename(&fresh, path)?;
                self.file = Some(OpenOptions::new().append(true).open(path)?);
            }
        }
        self.len = content.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flare_wire::Moment;

    use super::*;

    #[test]
    fn a_log_goes_on_from_process_to_process_and_loses_its_older_half_on_disk_too() {
        const LIMIT: usize = 12;
        let directory = tempfile::tempdir().unwrap();
        let on_disk = || fs::read_to_string(directory.path().join("logs/log.txt")).unwrap();
        let (mut logs, found) = Logs::open(directory.path()).unwrap();
        assert!(found.is_empty());
        let mut files = VirtualFiles::new("/w", Moment::default());
        for (line, expected) in [("one\n", "one\n"), ("two\n", "one\ntwo\n"), ("three\n", "three\n")] {
            files.append("log.txt", line, Moment::default(), LIMIT);
            logs.keep(&files);
            logs.keep(&files);
            assert_eq!(on_disk(), expected);
        }
        let (mut logs, found) = Logs::open(directory.path()).unwrap();
        assert_eq!(found, [("log.txt", b"three\n".to_vec())]);
        files.append("log.txt", "four\n", Moment::default(), LIMIT);
        logs.keep(&files);
        assert_eq!(on_disk(), "three\nfour\n");
    }
}
