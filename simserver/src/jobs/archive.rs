//! An uploaded zip archive, read within limits.
//!
//! What is wrong with an archive is told in the words of Python's `zipfile`, since they reach the user. The limits
//! are this simulator's own: the real server has none at submission.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use flare_wire::hci::python_repr;
use serde_json::Value;
use zip::ZipArchive;
use zip::result::ZipError;

use super::python::{ExceptionClass, PythonError};

/// Longest central directory: room for some hundred thousand members. It is held in memory several times over.
pub const MAX_DIRECTORY_LEN: u64 = 16 << 20;

/// Longest configuration file that is read into memory; the largest of the nvflare examples has some 10 kB.
pub const MAX_CONFIG_LEN: u64 = 4 << 20;

const END_LEN: u64 = 22;
const END_SIGNATURE: [u8; 4] = *b"PK\x05\x06";
const WIDE_LOCATOR_LEN: u64 = 20;
const WIDE_LOCATOR_SIGNATURE: [u8; 4] = *b"PK\x06\x07";
const WIDE_END_LEN: usize = 56;
const WIDE_END_SIGNATURE: [u8; 4] = *b"PK\x06\x06";

/// The end record is followed by a comment of at most this length.
const MAX_COMMENT_LEN: u64 = 0xffff;

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, as it is written; a directory's ends with `/`.
    pub name: String,
    /// The length that the directory claims; nothing holds the content to it.
    pub claimed_len: u64,
    /// True when its mode says symbolic link.
    pub is_symlink: bool,
}

impl Member {
    /// True for a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.name.ends_with('/')
    }
}

/// A zip archive that can be read in any order, with constant memory but for its directory.
pub struct Archive<R> {
    zip: ZipArchive<R>,
    members: Vec<Member>,
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the directory of an archive.
    ///
    /// # Errors
    /// `BadZipFile` when it is none, or its directory is broken or longer than [`MAX_DIRECTORY_LEN`].
    pub fn open(mut source: R) -> Result<Self, PythonError> {
        let directory_len = directory_len(&mut source)
            .map_err(|error| bad_zip(&error.to_string()))?
            .ok_or_else(|| bad_zip("File is not a zip file"))?;
        if directory_len > MAX_DIRECTORY_LEN {
            return Err(bad_zip(&format!("central directory exceeds {MAX_DIRECTORY_LEN} bytes")));
        }
        let mut zip = ZipArchive::new(source).map_err(|_| bad_zip("Bad magic number for central directory"))?;
        let mut members = Vec::with_capacity(zip.len());
        for index in 0..zip.len() {
            let file = zip.by_index_raw(index).map_err(|error| failure("", &error))?;
            members.push(Member {
                name: file.name().map_err(|error| failure("", &error))?.into_owned(),
                claimed_len: file.size(),
                is_symlink: file.is_symlink(),
            });
        }
        Ok(Self { zip, members })
    }

    /// The members, in the order of the directory.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// True when there is a member of exactly this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.zip.index_for_name(name).is_some()
    }

    /// Reads a configuration file, at most [`MAX_CONFIG_LEN`] bytes of it.
    ///
    /// # Errors
    /// What `ZipFile.read` raises; a `ValueError` when it is longer.
    pub fn read_config(&mut self, name: &str) -> Result<Vec<u8>, PythonError> {
        let mut content = Vec::new();
        let len = self.read(name, MAX_CONFIG_LEN, |piece| content.extend_from_slice(piece))?;
        if len > MAX_CONFIG_LEN {
            let name = python_repr(&Value::from(name));
            return Err(PythonError::value(format!("zip member exceeds size limit: {name}")));
        }
        Ok(content)
    }

    /// Passes the content of a member on piece by piece, and stops after `limit` bytes; returns how many there are,
    /// or `limit + 1` when there are more.
    ///
    /// # Errors
    /// What `ZipFile.read` raises.
    pub fn read(&mut self, name: &str, limit: u64, mut pass: impl FnMut(&[u8])) -> Result<u64, PythonError> {
        let mut file = self.zip.by_name(name).map_err(|error| failure(name, &error))?;
        let mut buffer = [0; 16 << 10];
        let mut total: u64 = 0;
        loop {
            let count = file.read(&mut buffer).map_err(|error| broken_content(name, &error))?;
            if count == 0 {
                return Ok(total);
            }
            total = total.saturating_add(count as u64);
            if total > limit {
                return Ok(limit.saturating_add(1));
            }
            pass(&buffer[..count]);
        }
    }
}

impl<R> fmt::Debug for Archive<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("members", &self.members.len()).finish_non_exhaustive()
    }
}

/// The length of the central directory; `None` when the source is no zip archive.
///
/// ```text
/// ... central directory | [zip64 end | zip64 locator] | end | comment
/// ```
fn directory_len<R: Read + Seek>(source: &mut R) -> io::Result<Option<u64>> {
    let len = source.seek(SeekFrom::End(0))?;
    if len < END_LEN {
        return Ok(None);
    }
    let tail_start = len.saturating_sub(END_LEN + MAX_COMMENT_LEN);
    source.seek(SeekFrom::Start(tail_start))?;
    let mut tail = Vec::new();
    source.take(END_LEN + MAX_COMMENT_LEN).read_to_end(&mut tail)?;
    let Some(at) = tail.windows(4).rposition(|window| window == END_SIGNATURE) else { return Ok(None) };
    let Some(size) = number(&tail, at + 12, 4) else { return Ok(None) };
    let end_at = tail_start + at as u64;
    let Some(locator_at) = end_at.checked_sub(WIDE_LOCATOR_LEN) else { return Ok(Some(size)) };
    source.seek(SeekFrom::Start(locator_at))?;
    let mut locator = [0; WIDE_LOCATOR_LEN as usize];
    source.read_exact(&mut locator)?;
    if locator[..4] != WIDE_LOCATOR_SIGNATURE {
        return Ok(Some(size));
    }
    let Some(wide_end_at) = number(&locator, 8, 8).filter(|at| *at < len) else { return Ok(Some(size)) };
    source.seek(SeekFrom::Start(wide_end_at))?;
    let mut wide_end = Vec::new();
    source.take(WIDE_END_LEN as u64).read_to_end(&mut wide_end)?;
    if wide_end.len() < WIDE_END_LEN || wide_end[..4] != WIDE_END_SIGNATURE {
        return Ok(Some(size));
    }
    Ok(number(&wide_end, 40, 8).map(|wide| wide.max(if size == u64::from(u32::MAX) { 0 } else { size })))
}

/// The little-endian number of `len` bytes at `at`.
fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + len)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn bad_zip(text: &str) -> PythonError {
    PythonError::new(ExceptionClass::BadZipFile, text)
}

fn failure(name: &str, error: &ZipError) -> PythonError {
    let quoted = python_repr(&Value::from(name));
    match error {
        ZipError::FileNotFound => {
            PythonError::new(ExceptionClass::Key, format!("\"There is no item named {quoted} in the archive\""))
        }
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => PythonError::new(
            ExceptionClass::Runtime,
            format!("File {quoted} is encrypted, password required for extraction"),
        ),
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            PythonError::new(ExceptionClass::NotImplemented, "That compression method is not supported")
        }
        _ => bad_zip("Bad magic number for file header"),
    }
}

fn broken_content(name: &str, error: &io::Error) -> PythonError {
    if error.to_string().to_lowercase().contains("checksum") {
        bad_zip(&format!("Bad CRC-32 for file {}", python_repr(&Value::from(name))))
    } else {
        PythonError::new(ExceptionClass::Zlib, "Error -3 while decompressing data: invalid block type")
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use proptest::prelude::*;
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::*;

    fn zipped(files: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            let options = SimpleFileOptions::default().compression_method(method);
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn what_is_no_archive_gets_the_recorded_words() {
        let recorded = flare_fixtures::reply("submit_job.not_a_zip");
        for bytes in [&b""[..], b"not a zip at all, but longer than an end record"] {
            let error = Archive::open(Cursor::new(bytes)).unwrap_err();
            assert_eq!(recorded.reply["data"][0]["data"], format!("Exception occurred trying to submit job: {error}"));
        }
    }

    #[test]
    fn stored_and_deflated_members_are_read() {
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let bytes = zipped(&[("j/meta.json", b"{}"), ("j/app/x", &[7; 50_000])], method);
            let mut archive = Archive::open(Cursor::new(bytes)).unwrap();
            assert_eq!(archive.read_config("j/meta.json").unwrap(), b"{}");
            assert!(archive.contains("j/app/x") && !archive.contains("j/app"));
            assert_eq!(archive.read("j/app/x", u64::MAX, |_| ()).unwrap(), 50_000);
            assert_eq!(archive.read("j/app/x", 49_999, |_| ()).unwrap(), 50_000);
            assert_eq!(archive.read("nope", 1, |_| ()).unwrap_err().class, ExceptionClass::Key);
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit_without_being_unpacked() {
        let limit = usize::try_from(MAX_CONFIG_LEN).unwrap();
        let bomb = zipped(&[("meta.json", &vec![0; limit + 1])], CompressionMethod::Deflated);
        let mut archive = Archive::open(Cursor::new(bomb)).unwrap();
        let error = archive.read_config("meta.json").unwrap_err();
        assert_eq!(error, PythonError::value("zip member exceeds size limit: 'meta.json'"));
        let fine = zipped(&[("meta.json", &vec![0; limit])], CompressionMethod::Deflated);
        assert_eq!(Archive::open(Cursor::new(fine)).unwrap().read_config("meta.json").unwrap().len(), limit);
    }

    #[test]
    fn an_absurd_directory_is_refused_before_it_is_read() {
        let mut bytes = zipped(&[("a", b"")], CompressionMethod::Stored);
        let end = bytes.len() - 22;
        bytes[end + 12..end + 16].copy_from_slice(&u32::try_from(MAX_DIRECTORY_LEN + 1).unwrap().to_le_bytes());
        let error = Archive::open(Cursor::new(bytes)).unwrap_err();
        assert_eq!(error.text, "central directory exceeds 16777216 bytes");
    }

    #[test]
    fn a_changed_byte_fails_the_checksum() {
        let mut bytes = zipped(&[("a", b"content")], CompressionMethod::Stored);
        let at = bytes.windows(7).position(|window| window == b"content").unwrap();
        bytes[at] ^= 1;
        let error = Archive::open(Cursor::new(bytes)).unwrap().read_config("a").unwrap_err();
        assert_eq!(error.to_string(), "BadZipFile: Bad CRC-32 for file 'a'");
    }

    proptest! {
        #[test]
        fn no_damage_panics(at in 0_usize..10_000, value in any::<u8>(), cut in 0_usize..10_000) {
            let mut bytes = zipped(&[("j/meta.json", b"{\"a\": 1}"), ("j/b", &[3; 300])], CompressionMethod::Deflated);
            let len = bytes.len();
            bytes[at % len] = value;
            bytes.truncate(len - (cut % len) * usize::from(cut % 3 == 0));
            if let Ok(mut archive) = Archive::open(Cursor::new(bytes)) {
                let names: Vec<String> = archive.members().iter().map(|member| member.name.clone()).collect();
                for name in names {
                    let _ = archive.read_config(&name);
                }
            }
        }
    }
}
