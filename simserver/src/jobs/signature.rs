//! Signed apps: every directory holds the signatures of its files and folders, and the certificate of who signed.
//!
//! A file is signed over its content, a folder over its name. The certificate must chain to the project's root and be
//! fit for an admin. Source: `reference/server-behaviour.md` section 10.5, `reference/wire-protocol.md` section 8.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flare_wire::Moment;
use flare_wire::certificate::{Certificate, verify_chain};
use flare_wire::hci::JsonObject;
use rsa::PublicKey as RsaPublicKey;
use rsa::pkcs8::DecodePublicKey as _;
use rsa::pss::{Signature, VerifyingKey};
use rsa::signature::hazmat::PrehashVerifier as _;
use rsa::traits::PublicKeyParts as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::archive::Archive;
use super::content_hash::MAX_CONTENT_LEN;
use super::python::{PythonError, decode_utf8, parse_json};
use super::submitter::Submitter;

/// The signatures of one directory's files and folders.
pub const SIGNATURE_FILE: &str = ".__nvfl_sig.json";

/// The certificate of who signed them.
pub const SUBMITTER_FILE: &str = ".__nvfl_submitter.crt";

/// A certificate of this name is only a template.
const PLACEHOLDER_NAME: &str = "nvflare-admin";

/// What EMSA-PSS adds to the hash and the salt (see `flare_wire`'s signatures, which have the longest salt).
const PSS_OVERHEAD: usize = 2;

/// How far an app can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trust {
    /// It carries no signatures.
    Unsigned,
    /// It carries signatures that do not hold.
    Broken,
    /// Signed, by these users; the first one signed the app's own folder.
    Signed(Vec<Submitter>),
    /// Its archive cannot be read, so that the job is not deployed at all.
    Unreadable,
}

/// Judges the app whose members start with `prefix`, which ends with `/`.
///
/// # Errors
/// What reading the archive raises.
pub fn verify_app<R: Read + Seek>(
    archive: &mut Archive<R>,
    prefix: &str,
    roots: &[Certificate],
    now: Moment,
) -> Result<Trust, PythonError> {
    if !archive.contains(&format!("{prefix}{SIGNATURE_FILE}")) {
        return Ok(Trust::Unsigned);
    }
    let mut signers = Vec::new();
    for (directory, entries) in directories(archive, prefix) {
        let Some((signer, key, signatures)) = signer_of(archive, &directory, roots, now)? else {
            return Ok(Trust::Broken);
        };
        if !signers.contains(&signer) {
            signers.push(signer);
        }
        for file in entries.files.iter().filter(|file| *file != SIGNATURE_FILE && *file != SUBMITTER_FILE) {
            let mut hash = Sha256::new();
            archive.read(&format!("{directory}{file}"), MAX_CONTENT_LEN, |piece| hash.update(piece))?;
            if !holds(&key, &hash.finalize(), signatures.get(file)) {
                return Ok(Trust::Broken);
            }
        }
        for folder in &entries.folders {
            if !holds(&key, &Sha256::digest(folder), signatures.get(folder)) {
                return Ok(Trust::Broken);
            }
        }
    }
    Ok(Trust::Signed(signers))
}

#[derive(Default)]
struct Entries {
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
}

/// Every directory from `prefix` on, also those without an entry of their own.
fn directories<R: Read + Seek>(archive: &Archive<R>, prefix: &str) -> BTreeMap<String, Entries> {
    let mut found: BTreeMap<String, Entries> = BTreeMap::from([(prefix.to_owned(), Entries::default())]);
    for member in archive.members() {
        let Some(path) = member.name.strip_prefix(prefix) else { continue };
        let mut directory = prefix.to_owned();
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let entries = found.entry(directory.clone()).or_default();
            if part.is_empty() {
                break;
            }
            if parts.peek().is_some() {
                entries.folders.insert(part.to_owned());
                directory.push_str(part);
                directory.push('/');
            } else {
                entries.files.insert(part.to_owned());
            }
        }
    }
    found
}

/// Who signed a directory, with the key and the signatures; `None` when that cannot be trusted.
fn signer_of<R: Read + Seek>(
    archive: &mut Archive<R>,
    directory: &str,
    roots: &[Certificate],
    now: Moment,
) -> Result<Option<(Submitter, RsaPublicKey, JsonObject)>, PythonError> {
    let (signature_file, submitter_file) =
        (format!("{directory}{SIGNATURE_FILE}"), format!("{directory}{SUBMITTER_FILE}"));
    if !archive.contains(&signature_file) || !archive.contains(&submitter_file) {
        return Ok(None);
    }
    let signatures = archive.read_config(&signature_file)?;
    let Ok(Value::Object(signatures)) = decode_utf8(&signatures).and_then(parse_json) else { return Ok(None) };
    let Ok(chain) = Certificate::chain_from_pem(&archive.read_config(&submitter_file)?) else { return Ok(None) };
    let Some(certificate) = chain.first() else { return Ok(None) };
    if verify_chain(&chain, roots, now).is_err() || !is_fit_for_an_admin(certificate) {
        return Ok(None);
    }
    let submitter = Submitter::new(certificate.common_name(), certificate.organization(), certificate.role());
    Ok(public_key(certificate).map(|key| (submitter, key, signatures)))
}

fn is_fit_for_an_admin(certificate: &Certificate) -> bool {
    !certificate.is_ca()
        && !["", PLACEHOLDER_NAME].contains(&certificate.common_name())
        && certificate.allows_digital_signature()
        && certificate.allows_client_auth()
}

fn public_key(certificate: &Certificate) -> Option<RsaPublicKey> {
    let (_, parsed) = X509Certificate::from_der(certificate.der()).ok()?;
    RsaPublicKey::from_public_key_der(parsed.public_key().raw).ok()
}

/// Checks a signature over a hash, so that a file need not be in memory.
fn holds(key: &RsaPublicKey, hash: &[u8], signature: Option<&Value>) -> bool {
    let check = || {
        let salt = key.size().checked_sub(hash.len() + PSS_OVERHEAD)?;
        let signature = STANDARD.decode(signature?.as_str()?).ok()?;
        let signature = Signature::try_from(signature.as_slice()).ok()?;
        VerifyingKey::<Sha256>::new_with_salt_len(key.clone(), salt).verify_prehash(hash, &signature).ok()
    };
    check().is_some()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::jobs::testing::{JobFolder, Signer, zip_files};

    fn judged(files: &BTreeMap<String, Vec<u8>>, signer: &Signer) -> Trust {
        let mut archive = Archive::open(Cursor::new(zip_files(files))).unwrap();
        verify_app(&mut archive, "j/app/", &signer.roots, signer.now).unwrap()
    }

    #[test]
    fn what_was_signed_file_by_file_names_its_signer() {
        let signer = Signer::new();
        let job = JobFolder::hello("j").app_file("custom/deep/net.py", b"pass");
        assert_eq!(judged(&job.files(), &signer), Trust::Unsigned);
        let signed = signer.sign(&job.files());
        assert_eq!(judged(&signed, &signer), Trust::Signed(vec![Submitter::new("lead@nvidia.com", "nvidia", "lead")]));
    }

    #[test]
    fn any_change_after_signing_breaks_it() {
        let signer = Signer::new();
        let signed = signer.sign(&JobFolder::hello("j").app_file("custom/net.py", b"pass").files());
        type Change = (&'static str, Option<&'static [u8]>);
        let changes: [Change; 6] = [
            ("j/app/custom/net.py", Some(b"exec")),
            ("j/app/custom/more.py", Some(b"")),
            ("j/app/other/x", Some(b"")),
            ("j/app/custom/.__nvfl_sig.json", None),
            ("j/app/custom/.__nvfl_submitter.crt", None),
            ("j/app/.__nvfl_sig.json", Some(b"{")),
        ];
        for (path, content) in changes {
            let mut changed = signed.clone();
            match content {
                Some(content) => changed.insert(path.to_owned(), content.to_vec()),
                None => changed.remove(path),
            };
            assert_eq!(judged(&changed, &signer), Trust::Broken, "{path}");
        }
    }

    #[test]
    fn a_signer_of_another_project_is_not_trusted() {
        let (signer, stranger) = (Signer::new(), Signer::new());
        let signed = stranger.sign(&JobFolder::hello("j").files());
        assert_eq!(judged(&signed, &signer), Trust::Broken);
    }
}
