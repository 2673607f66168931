//! The folder that holds all of a federation, and the record of what runs there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rand::TryRng as _;
use rand::rngs::SysRng;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::RealError;
use super::process::Mark;

/// What is written down about a federation before its first process starts, so that `down` finds them all even when
/// `up` was killed half-way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    /// What the environment of every process of this federation carries.
    pub(super) mark: Mark,
    /// The port of the server, once it is chosen.
    pub(super) port: Option<u16>,
    /// Whether `up` made the folder, so that `down` takes it away again.
    made_folder: bool,
}

/// A workspace in which a federation is recorded.
#[derive(Debug)]
pub(super) struct Workspace {
    folder: PathBuf,
    record: Record,
}

impl Workspace {
    /// Makes the folder if it is missing and records a federation in it.
    pub(super) fn claim(folder: &Path) -> Result<Self, RealError> {
        let made_folder = !folder.exists();
        fs::create_dir_all(folder).map_err(RealError::file(folder))?;
        let folder = folder.canonicalize().map_err(RealError::file(folder))?;
        let record = Record { mark: new_mark()?, port: None, made_folder };
        let path = record_of(&folder);
        let file = File::create_new(&path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => RealError::AlreadyUp(path.clone()),
            _ => RealError::File { path: path.clone(), source: error },
        })?;
        write_record(&file, &record).map_err(RealError::file(&path))?;
        let workspace = Self { folder, record };
        for made in [workspace.home(), workspace.temporary(), workspace.logs()] {
            fs::create_dir(&made).map_err(RealError::file(&made))?;
        }
        Ok(workspace)
    }

    /// The federation that is recorded in the folder, if there is one.
    pub(super) fn open(folder: &Path) -> Result<Option<Self>, RealError> {
        let path = record_of(folder);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RealError::File { path, source: error }),
        };
        let record = serde_json::from_str(&text).map_err(io::Error::from).map_err(RealError::file(&path))?;
        let folder = folder.canonicalize().map_err(RealError::file(folder))?;
        Ok(Some(Self { folder, record }))
    }

    /// What was recorded.
    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// Notes the port.
    pub(super) fn record_port(&mut self, port: u16) -> Result<(), RealError> {
        self.record.port = Some(port);
        // Written beside and renamed, so that a reader never sees half a record.
        let next = self.folder.join("federation.json.next");
        let write = || {
            write_record(&File::create(&next)?, &self.record)?;
            fs::rename(&next, record_of(&self.folder))
        };
        write().map_err(RealError::file(&next))
    }

    /// Lets a program belong to this federation: its mark, a folder for temporary files, and a process group of its
    /// own, so that Ctrl-C at the terminal reaches `up` alone.
    pub(super) fn mark(&self, command: &mut Command) {
        self.record.mark.put_on(command);
        command.env("TMPDIR", self.temporary()).process_group(0);
    }

    /// The folder itself.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The project file as it is provisioned.
    pub(super) fn project_file(&self) -> PathBuf {
        self.folder.join("project.yml")
    }

    /// Where the provisioning tool writes.
    pub(super) fn provisioned(&self) -> PathBuf {
        self.folder.join("provisioned")
    }

    /// Where the server stores jobs and snapshots.
    pub(super) fn storage(&self) -> PathBuf {
        self.folder.join("storage")
    }

    /// The virtual environment, unless a shared one is used.
    pub(super) fn venv(&self) -> PathBuf {
        self.folder.join("venv")
    }

    /// The log of a program.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{}.log", name.replace(' ', "-")))
    }

    /// The home of everything that runs.
    pub(super) fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    fn temporary(&self) -> PathBuf {
        self.folder.join("tmp")
    }

    fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// Removes everything that `up` made; the record last, so that an interrupted removal can be repeated.
    pub(super) fn remove(self) -> Result<(), RealError> {
        for folder in [self.home(), self.temporary(), self.logs(), self.provisioned(), self.storage(), self.venv()] {
            removed(fs::remove_dir_all(&folder)).map_err(RealError::file(folder))?;
        }
        for file in [self.project_file(), record_of(&self.folder)] {
            removed(fs::remove_file(&file)).map_err(RealError::file(file))?;
        }
        if self.record.made_folder {
            // Somebody else may have put something there meanwhile; that is theirs.
            let _ = fs::remove_dir(&self.folder);
        }
        Ok(())
    }
}

fn record_of(folder: &Path) -> PathBuf {
    folder.join("federation.json")
}

fn write_record(mut file: &File, record: &Record) -> io::Result<()> {
    file.write_all(serde_json::to_string_pretty(record).map_err(io::Error::from)?.as_bytes())?;
    file.sync_all()
}

fn removed(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn new_mark() -> Result<Mark, RealError> {
    let mut random = [0; 16];
    SysRng.try_fill_bytes(&mut random).map_err(|error| RealError::System(io::Error::other(error)))?;
    Ok(Mark::new(u128::from_le_bytes(random)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_is_claimed_once_and_is_gone_after_removal() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("new").join("federation");
        let mut workspace = Workspace::claim(&folder).unwrap();
        assert!(matches!(Workspace::claim(&folder), Err(RealError::AlreadyUp(_))));
        workspace.record_port(4711).unwrap();
        let found = Workspace::open(&folder).unwrap().unwrap();
        assert_eq!(found.record().mark, workspace.record().mark);
        assert_eq!(found.record().port, Some(4711));
        found.remove().unwrap();
        assert!(Workspace::open(&folder).unwrap().is_none());
        assert!(!folder.exists());
    }

    #[test]
    fn a_folder_that_was_there_before_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mine = folder.path().join("mine.txt");
        fs::write(&mine, "x").unwrap();
        Workspace::claim(folder.path()).unwrap().remove().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(mine.exists());
    }

    #[test]
    fn a_record_that_is_none_is_an_error_and_not_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(record_of(folder.path()), "{").unwrap();
        assert!(matches!(Workspace::open(folder.path()), Err(RealError::File { .. })));
    }
}
