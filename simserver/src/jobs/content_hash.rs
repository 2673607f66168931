//! The hash of a job's content, by which a submit token tells a repeated submission from another one.
//!
//! Signatures, the names of the archive and of the top folder, and the order and compression of the members do not
//! count: `sha256` over every file sorted by path, as 8 bytes of path length, path, 8 bytes of size, content.
//! Source: `reference/server-behaviour.md` section 11.

use std::io::{Read, Seek};

use flare_wire::hci::python_repr;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::archive::Archive;
use super::python::PythonError;
use super::signature::{SIGNATURE_FILE, SUBMITTER_FILE};

/// The real server's limit on one file of a job that is submitted with a token.
pub const MAX_MEMBER_LEN: u64 = 10 << 20;

/// Our limit on all files together, against archives that unpack to far more than was uploaded. The real server has
/// none.
pub const MAX_CONTENT_LEN: u64 = 8 << 30;

/// `sha256:` and the hash of the content, in hexadecimal digits.
///
/// # Errors
/// `ValueError` for a path that leaves the archive, a file of more than [`MAX_MEMBER_LEN`] bytes or more than
/// [`MAX_CONTENT_LEN`] together; what reading raises.
pub fn content_hash<R: Read + Seek>(archive: &mut Archive<R>) -> Result<String, PythonError> {
    let mut files = Vec::new();
    for member in archive.members().iter().filter(|member| !member.is_directory()) {
        let path = normalized(&member.name);
        if path.starts_with("../") || path == "." || path == ".." || path.starts_with('/') {
            return Err(PythonError::value(format!("zip member has unsafe path: {}", quoted(&member.name))));
        }
        let file_name = path.rsplit('/').next().unwrap_or_default();
        if file_name == SIGNATURE_FILE || file_name == SUBMITTER_FILE {
            continue;
        }
        if member.claimed_len > MAX_MEMBER_LEN {
            return Err(too_long(&member.name));
        }
        files.push((path, member.name.clone()));
    }
    let prefix_len = top_folder_len(&files);
    files.sort();
    let mut digest = Sha256::new();
    let mut total: u64 = 0;
    for (path, name) in files {
        // The size precedes the content, and what the directory claims may be wrong.
        let len = archive.read(&name, MAX_MEMBER_LEN, |_| ())?;
        total = total.saturating_add(len);
        if len > MAX_MEMBER_LEN {
            return Err(too_long(&name));
        }
        if total > MAX_CONTENT_LEN {
            return Err(PythonError::value(format!("job content exceeds {MAX_CONTENT_LEN} bytes")));
        }
        let path = &path[prefix_len..];
        digest.update((path.len() as u64).to_be_bytes());
        digest.update(path);
        digest.update(len.to_be_bytes());
        archive.read(&name, MAX_MEMBER_LEN, |piece| digest.update(piece))?;
    }
    Ok(format!("sha256:{}", hex(&digest.finalize())))
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn quoted(name: &str) -> String {
    python_repr(&Value::from(name))
}

fn too_long(name: &str) -> PythonError {
    PythonError::value(format!("zip member exceeds size limit: {}", quoted(name)))
}

/// Length of the one folder that holds everything, with its slash; 0 when there is none.
fn top_folder_len(files: &[(String, String)]) -> usize {
    let mut tops = files.iter().map(|(path, _)| path.split_once('/').map(|(top, _)| top));
    let Some(Some(first)) = tops.next() else { return 0 };
    if tops.all(|top| top == Some(first)) { first.len() + 1 } else { 0 }
}

/// `posixpath.normpath`.
fn normalized(path: &str) -> String {
    let root = match path.bytes().take_while(|byte| *byte == b'/').count() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part != ".." || (root.is_empty() && parts.last().is_none_or(|last| *last == "..")) {
            parts.push(part);
        } else {
            parts.pop();
        }
    }
    let joined = format!("{root}{}", parts.join("/"));
    if joined.is_empty() { ".".to_owned() } else { joined }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Cursor;

    use super::*;
    use crate::jobs::testing::{JobFolder, zip_files};

    fn hash(files: &[(&str, &[u8])]) -> Result<String, PythonError> {
        let files: BTreeMap<String, Vec<u8>> =
            files.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec())).collect();
        content_hash(&mut Archive::open(Cursor::new(zip_files(&files))).unwrap())
    }

    #[test]
    fn the_hash_is_that_of_the_real_server() {
        // `canonical_job_content_hash` of nvflare 2.9.0 over an archive of the same files.
        assert_eq!(
            hash(&[("job/meta.json", b"{}"), ("job/app/config/a.json", "ä".as_bytes()), ("job/app/b", b"")]).unwrap(),
            "sha256:565b1729760cba6e2db1dd4f704ec51065226bb01f0b8f6dd27b43e653edfc35"
        );
    }

    #[test]
    fn the_name_of_the_top_folder_and_signatures_do_not_count() {
        let plain = hash(&[("a/meta.json", b"{}"), ("a/app/x", b"1")]).unwrap();
        let renamed = hash(&[("b/meta.json", b"{}"), ("b/app/x", b"1")]).unwrap();
        let signed = hash(&[
            ("a/meta.json", b"{}"),
            ("a/app/x", b"1"),
            ("a/.__nvfl_sig.json", b"{}"),
            ("a/app/.__nvfl_submitter.crt", b"c"),
        ])
        .unwrap();
        assert_eq!(plain, renamed);
        assert_eq!(plain, signed);
        assert_ne!(plain, hash(&[("a/meta.json", b"{}"), ("a/app/x", b"2")]).unwrap());
        assert_ne!(plain, hash(&[("a/meta.json", b"{}"), ("a/app/x", b"1"), ("c", b"")]).unwrap());
    }

    #[test]
    fn a_long_member_is_refused_with_the_recorded_words() {
        let recorded = flare_fixtures::reply("submit_token.big_member");
        let len = usize::try_from(MAX_MEMBER_LEN).unwrap();
        let big = JobFolder::hello("bigfile").app_file("config/big.bin", &vec![1; len + 1]);
        let error = content_hash(&mut Archive::open(Cursor::new(big.zip())).unwrap()).unwrap_err();
        assert_eq!(recorded.reply["data"][0]["data"], format!("Exception occurred trying to submit job: {error}"));
        let fits = JobFolder::hello("bigfile").app_file("config/big.bin", &vec![1; len]);
        assert!(content_hash(&mut Archive::open(Cursor::new(fits.zip())).unwrap()).is_ok());
    }

    #[test]
    fn paths_are_normalised_and_kept_inside() {
        for (path, normal) in
            [("a//b/./c", "a/b/c"), ("a/../b", "b"), ("../a", "../a"), ("/../a", "/a"), ("//a", "//a"), ("a/..", ".")]
        {
            assert_eq!(normalized(path), normal);
        }
        assert_eq!(hash(&[("../x", b"")]).unwrap_err().text, "zip member has unsafe path: '../x'");
        assert_eq!(hash(&[("/x", b"")]).unwrap_err().text, "zip member has unsafe path: '/x'");
    }
}
