//! A job folder becomes the archive that is uploaded: signed, without a change to the folder.
//!
//! ```text
//! job/                        job/
//!   meta.json        ──▶        meta.json
//!   app/...                     app/...
//!                               .__nvfl_sig.json        in every folder: a signature per file (over its content)
//!                               .__nvfl_submitter.crt   and per folder (over its name), and who signed
//! ```
//!
//! The archive is written to a temporary file, so that a job of any size costs no memory. Its entries are stored, not
//! compressed, with an entry for every folder: a server looks for them.
//! Source: `reference/wire-protocol.md` section 8, `reference/client-api.md` section 5.5.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Seek as _, Write};
use std::path::{Path, PathBuf};

use flare_wire::{Randomness, TextHash};
use serde_json::{Map, Value};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::startup_kit::StartupKit;
use crate::{Error, ErrorKind};

/// Signatures of a folder's files and folders.
const SIGNATURE_FILE: &str = ".__nvfl_sig.json";
/// The certificate of who signed them.
const SUBMITTER_FILE: &str = ".__nvfl_submitter.crt";

/// Bytes that are read at a time.
const COPY_BUFFER: usize = 256 * 1024;

/// Folders within folders: more than any job has, and a bound for the recursion.
const MAX_DEPTH: usize = 64;

/// A job that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Package {
    /// The archive; without a name, so that it goes with its last handle.
    pub(crate) file: File,
    /// Its length.
    pub(crate) len: u64,
    /// The job folder's own name, which the server is told.
    pub(crate) folder: String,
}

/// Finds the job folder that a path names: itself, or below the kit's upload folder; and checks its name.
pub(crate) fn find(path: &Path, kit: &StartupKit) -> Result<(PathBuf, String), Error> {
    let invalid = |message: String| Error::new(ErrorKind::InvalidJob, message);
    if path.as_os_str().is_empty() {
        return Err(invalid("the path of the job folder is empty".to_owned()));
    }
    let below = kit.upload_dir().join(path);
    let found = [path, &below].into_iter().find(|path| path.is_dir());
    let found = found.ok_or_else(|| {
        invalid(format!("{} is no folder, and neither is {}", path.display(), below.display()))
            .with_hint("give the folder that holds the job's meta.json")
    })?;
    // The name of `.` or `a/..` is that of the folder it leads to.
    let found = found
        .canonicalize()
        .map_err(|error| invalid(format!("the job folder {} cannot be opened", path.display())).with_source(error))?;
    let name = found.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let is_good = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if !is_good {
        let rule = "letters, digits, dots, underscores and hyphens, beginning with a letter or digit";
        return Err(invalid(format!("the name of the job folder {name:?} must be of {rule}"))
            .with_hint("rename the folder: the server refuses such a name"));
    }
    Ok((found, name))
}

/// Writes the archive of a job folder. Takes as long as the job is large.
pub(crate) fn package(
    folder: &Path,
    name: String,
    kit: &StartupKit,
    random: &mut Randomness,
    is_signed: bool,
) -> Result<Package, Error> {
    let made: Result<(File, u64), Problem> = (|| {
        let file = tempfile::tempfile().map_err(Problem::Archive)?;
        let mut packer = Packer {
            out: ZipWriter::new(BufWriter::with_capacity(COPY_BUFFER, file)),
            kit: is_signed.then_some(kit),
            random,
            buffer: vec![0; COPY_BUFFER],
        };
        packer.folder(folder, &name, 0)?;
        let out = packer.out.finish().map_err(|error| Problem::Archive(error.into()))?;
        let mut file = out.into_inner().map_err(|error| Problem::Archive(error.into_error()))?;
        let len =
            file.stream_position().map_err(Problem::Archive)?.max(file.metadata().map_err(Problem::Archive)?.len());
        file.rewind().map_err(Problem::Archive)?;
        Ok((file, len))
    })();
    match made {
        Ok((file, len)) => Ok(Package { file, len, folder: name }),
        Err(problem) => Err(problem.into_error()),
    }
}

/// What can go wrong with a package.
enum Problem {
    /// The temporary archive cannot be written.
    Archive(io::Error),
    /// Something in the folder cannot be read.
    Read(PathBuf, io::Error),
    /// Something in the folder has no place in a job.
    Unfit(String),
}

impl Problem {
    fn into_error(self) -> Error {
        match self {
            Self::Archive(error) => Error::new(ErrorKind::InvalidJob, "the archive of the job cannot be written")
                .with_hint("make room in the system's temporary folder, or set TMPDIR to another")
                .with_source(error),
            Self::Read(path, error) => {
                Error::new(ErrorKind::InvalidJob, format!("{} cannot be read", path.display())).with_source(error)
            }
            Self::Unfit(text) => Error::new(ErrorKind::InvalidJob, text),
        }
    }
}

struct Packer<'a> {
    out: ZipWriter<BufWriter<File>>,
    /// None for a job that is not signed.
    kit: Option<&'a StartupKit>,
    random: &'a mut Randomness,
    buffer: Vec<u8>,
}

impl Packer<'_> {
    fn folder(&mut self, path: &Path, name: &str, depth: usize) -> Result<(), Problem> {
        if depth > MAX_DEPTH {
            return Err(Problem::Unfit(format!("{} is more than {MAX_DEPTH} folders deep", path.display())));
        }
        self.out.add_directory(name, options(0)).map_err(|error| Problem::Archive(error.into()))?;
        let mut signatures = Map::new();
        let mut folders = Vec::new();
        for entry in entries(path)? {
            let inner = format!("{name}/{}", entry.name);
            let signature = if entry.is_folder {
                let mut hash = TextHash::default();
                hash.update(entry.name.as_bytes());
                folders.push((entry.path, inner));
                hash
            } else {
                self.file(&entry.path, &inner)?
            };
            if let Some(kit) = self.kit {
                let signed = kit.key().sign_hash_base64(self.random, signature);
                let signed = signed.map_err(|error| Problem::Unfit(format!("the job cannot be signed: {error}")))?;
                signatures.insert(entry.name, Value::from(signed));
            }
        }
        if let Some(kit) = self.kit {
            let signatures = Value::Object(signatures).to_string();
            self.bytes(&format!("{name}/{SIGNATURE_FILE}"), signatures.as_bytes())?;
            self.bytes(&format!("{name}/{SUBMITTER_FILE}"), kit.certificate_pem())?;
        }
        for (path, inner) in folders {
            self.folder(&path, &inner, depth + 1)?;
        }
        Ok(())
    }

    /// Adds a file, and hashes it on the way.
    fn file(&mut self, path: &Path, name: &str) -> Result<TextHash, Problem> {
        let unreadable = |error| Problem::Read(path.to_owned(), error);
        let mut file = File::open(path).map_err(unreadable)?;
        let len = file.metadata().map_err(unreadable)?.len();
        self.out.start_file(name, options(len)).map_err(|error| Problem::Archive(error.into()))?;
        let mut hash = TextHash::default();
        loop {
            let count = file.read(&mut self.buffer).map_err(unreadable)?;
            if count == 0 {
                return Ok(hash);
            }
            hash.update(&self.buffer[..count]);
            self.out.write_all(&self.buffer[..count]).map_err(Problem::Archive)?;
        }
    }

    fn bytes(&mut self, name: &str, content: &[u8]) -> Result<(), Problem> {
        self.out.start_file(name, options(content.len() as u64)).map_err(|error| Problem::Archive(error.into()))?;
        self.out.write_all(content).map_err(Problem::Archive)
    }
}

fn options(len: u64) -> SimpleFileOptions {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    options.large_file(len >= u64::from(u32::MAX))
}

struct Entry {
    path: PathBuf,
    name: String,
    is_folder: bool,
}

/// What is in a folder, by name, without signatures from before.
fn entries(folder: &Path) -> Result<Vec<Entry>, Problem> {
    let unreadable = |error| Problem::Read(folder.to_owned(), error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_symlink() {
            return Err(Problem::Unfit(format!("symbolic links are not allowed in a job: {}", path.display())));
        }
        if !kind.is_dir() && !kind.is_file() {
            return Err(Problem::Unfit(format!("only files and folders are allowed in a job: {}", path.display())));
        }
        let Ok(name) = entry.file_name().into_string() else {
            return Err(Problem::Unfit(format!("the name of {} is not UTF-8", path.display())));
        };
        if name != SIGNATURE_FILE && name != SUBMITTER_FILE {
            found.push(Entry { path, name, is_folder: kind.is_dir() });
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}
