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
//! The archive is made while it is sent, so that a job of any size costs neither memory nor a second copy on disk. The
//! server wants its length first: the same is done once without the content of the files, which is quick. Its entries
//! are stored, not compressed, with an entry for every folder: a server looks for them.
//! Source: `reference/wire-protocol.md` section 8, `reference/client-api.md` section 5.5.

use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::thread;

use flare_wire::{Randomness, TextHash};
use serde_json::Value;
use zip::result::ZipResult;
use zip::write::{FullFileOptions, SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

use crate::signer::Signer;
use crate::startup_kit::StartupKit;
use crate::{Error, ErrorKind};

/// Signatures of a folder's files and folders.
const SIGNATURE_FILE: &str = ".__nvfl_sig.json";
/// The certificate of who signed them.
const SUBMITTER_FILE: &str = ".__nvfl_submitter.crt";

/// Bytes that are read at a time.
const COPY_BUFFER: usize = 256 * 1024;

/// Number of an extra field with the length of a file that is packed, 64 bits: the archive is written in one go, so its own
/// field for that stays empty, and nobody could unpack it while it arrives. A number that nobody has registered; others
/// pass over it.
pub(crate) const LENGTH_FIELD: u16 = u16::from_le_bytes(*b"FL");

/// From this length on, the fields of an archive become wider where they have to, and what is not written counts too.
pub(crate) const WIDE: u64 = u32::MAX as u64;

/// Folders within folders: more than any job has, and a bound for the recursion.
const MAX_DEPTH: usize = 64;

/// A job that is ready to be sent.
pub(crate) struct Package {
    folder: PathBuf,
    name: String,
    /// Who signs; None for a job that is not signed.
    kit: Option<StartupKit>,
    /// Where the salt of the signatures begins: the same each time, so that what is sent again is the same.
    seed: [u8; 32],
    len: u64,
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

impl Package {
    /// Looks through a job folder.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidJob`] for what cannot be read or has no place in a job.
    pub(crate) fn of(
        folder: PathBuf,
        name: String,
        kit: &StartupKit,
        seed: [u8; 32],
        is_signed: bool,
    ) -> Result<Self, Error> {
        let kit = is_signed.then(|| kit.clone());
        let mut package = Self { folder, name, kit, seed, len: 0 };
        let (Counter(written), omitted) = package.pack(Content::Omitted, Counter(0))?;
        package.len = written + omitted;
        if package.len >= WIDE {
            package.len = package.pack(Content::Zeros, Counter(0))?.0.0;
        }
        Ok(package)
    }

    /// Length of the archive.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// The job folder's own name, which the server is told.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Writes the archive: the same bytes each time, as long as the folder is the same.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidJob`], also when the folder has changed.
    pub(crate) fn write(&self, out: impl Write) -> Result<(), Error> {
        self.pack(Content::All, out).map(drop)
    }

    /// Gives the number of bytes too that were omitted.
    fn pack<W: Write>(&self, content: Content, out: W) -> Result<(W, u64), Error> {
        let packed = thread::scope(|scope| {
            let signer = self
                .kit
                .as_ref()
                .filter(|_| content == Content::All)
                .map(|kit| Signer::start(scope, kit.key(), Randomness::from_seed(self.seed)));
            let mut packer = Packer {
                out: ZipWriter::new_stream(out),
                content,
                signer,
                signed: Vec::new(),
                buffer: vec![0; COPY_BUFFER],
                omitted: 0,
            };
            packer.folder(&self.folder, &self.name, 0)?;
            if let Some(kit) = &self.kit {
                packer.signatures(kit)?;
            }
            let out = packer.out.finish().map_err(|error| Problem::Archive(error.into()))?;
            Ok((out.into_inner(), packer.omitted))
        });
        packed.map_err(Problem::into_error)
    }
}

/// What is put into the files of an archive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    /// What they hold.
    All,
    /// Nothing, to learn how long the rest is.
    Omitted,
    /// As many zeros, to learn how long all of it is.
    Zeros,
}

/// Counts what is written to it.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What can go wrong with a package.
enum Problem {
    /// The archive cannot be written.
    Archive(io::Error),
    /// Something in the folder cannot be read.
    Read(PathBuf, io::Error),
    /// Something in the folder has no place in a job.
    Unfit(String),
}

impl Problem {
    fn into_error(self) -> Error {
        match self {
            Self::Archive(error) => {
                Error::new(ErrorKind::InvalidJob, "the archive of the job cannot be written").with_source(error)
            }
            Self::Read(path, error) => {
                Error::new(ErrorKind::InvalidJob, format!("{} cannot be read", path.display())).with_source(error)
            }
            Self::Unfit(text) => Error::new(ErrorKind::InvalidJob, text),
        }
    }
}

struct Packer<W: Write> {
    out: ZipWriter<StreamWriter<W>>,
    content: Content,
    /// None when nothing is signed.
    signer: Option<Signer>,
    /// What is in each folder, with the place of its signature.
    signed: Vec<(String, Vec<(String, usize)>)>,
    buffer: Vec<u8>,
    /// Bytes of files that were not written.
    omitted: u64,
}

impl<W: Write> Packer<W> {
    fn folder(&mut self, path: &Path, name: &str, depth: usize) -> Result<(), Problem> {
        if depth > MAX_DEPTH {
            return Err(Problem::Unfit(format!("{} is more than {MAX_DEPTH} folders deep", path.display())));
        }
        self.out.add_directory(name, SimpleFileOptions::default()).map_err(|error| Problem::Archive(error.into()))?;
        let mut signed = Vec::new();
        let mut folders = Vec::new();
        for entry in entries(path)? {
            let inner = format!("{name}/{}", entry.name);
            let hash = if entry.is_folder {
                let mut hash = TextHash::default();
                hash.update(entry.name.as_bytes());
                folders.push((entry.path, inner));
                hash
            } else {
                self.file(&entry.path, &inner)?
            };
            let place = self.signer.as_mut().map_or(0, |signer| signer.sign(hash));
            signed.push((entry.name, place));
        }
        self.signed.push((name.to_owned(), signed));
        for (path, inner) in folders {
            self.folder(&path, &inner, depth + 1)?;
        }
        Ok(())
    }

    /// Adds the signatures of every folder, behind all files, so that they are made while those are read.
    fn signatures(&mut self, kit: &StartupKit) -> Result<(), Problem> {
        let unfit = |error| Problem::Unfit(format!("the job cannot be signed: {error}"));
        let signatures = self.signer.take().map(Signer::finish).transpose().map_err(unfit)?;
        let unsigned = "=".repeat(kit.key().signature_base64_len());
        for (folder, signed) in std::mem::take(&mut self.signed) {
            let signature = |(name, place)| {
                let signature = signatures.as_ref().map_or(&unsigned, |signatures| &signatures[place]);
                (name, Value::from(signature.as_str()))
            };
            let text = Value::Object(signed.into_iter().map(signature).collect()).to_string();
            self.bytes(&format!("{folder}/{SIGNATURE_FILE}"), text.as_bytes())?;
            self.bytes(&format!("{folder}/{SUBMITTER_FILE}"), kit.certificate_pem())?;
        }
        Ok(())
    }

    /// Adds a file, and hashes it on the way.
    fn file(&mut self, path: &Path, name: &str) -> Result<TextHash, Problem> {
        let unreadable = |error| Problem::Read(path.to_owned(), error);
        let mut file = File::open(path).map_err(unreadable)?;
        let len = file.metadata().map_err(unreadable)?.len();
        let options = file_options(len).map_err(|error| Problem::Archive(error.into()))?;
        self.out.start_file(name, options).map_err(|error| Problem::Archive(error.into()))?;
        let mut hash = TextHash::default();
        match self.content {
            Content::All => {}
            Content::Omitted => {
                self.omitted += len;
                return Ok(hash);
            }
            Content::Zeros => {
                io::copy(&mut io::repeat(0).take(len), &mut self.out).map_err(Problem::Archive)?;
                return Ok(hash);
            }
        }
        let mut written = 0;
        loop {
            let count = file.read(&mut self.buffer).map_err(unreadable)?;
            if count == 0 {
                break;
            }
            hash.update(&self.buffer[..count]);
            self.out.write_all(&self.buffer[..count]).map_err(Problem::Archive)?;
            written += count as u64;
        }
        if written == len {
            Ok(hash)
        } else {
            Err(Problem::Unfit(format!("{} changed while it was sent", path.display())))
        }
    }

    fn bytes(&mut self, name: &str, content: &[u8]) -> Result<(), Problem> {
        let options = file_options(content.len() as u64).map_err(|error| Problem::Archive(error.into()))?;
        self.out.start_file(name, options).map_err(|error| Problem::Archive(error.into()))?;
        self.out.write_all(content).map_err(Problem::Archive)
    }
}

fn file_options(len: u64) -> ZipResult<FullFileOptions<'static, 'static>> {
    let mut options = FullFileOptions::default().compression_method(CompressionMethod::Stored).large_file(len >= WIDE);
    options.add_extra_field(LENGTH_FIELD, len.to_le_bytes(), false)?;
    Ok(options)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_known_before_anything_is_read() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("app")).unwrap();
        fs::write(folder.path().join("meta.json"), b"{}").unwrap();
        fs::write(folder.path().join("app/data"), vec![7; COPY_BUFFER + 1]).unwrap();
        fs::write(folder.path().join("app/empty"), b"").unwrap();
        let package =
            Package { folder: folder.path().to_owned(), name: "job".to_owned(), kit: None, seed: [0; 32], len: 0 };
        let len = |content| {
            let (Counter(written), omitted) = package.pack(content, Counter(0)).unwrap();
            written + omitted
        };
        assert_eq!((len(Content::Omitted), len(Content::Zeros)), (len(Content::All), len(Content::All)));
    }
}
