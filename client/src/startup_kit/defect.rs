//! What can be wrong with a startup kit.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use flare_wire::SignatureError;
use flare_wire::certificate::CertificateError;

use crate::{Error, ErrorKind};

/// A defect of a startup kit: the file, what is wrong with it, and what to do.
///
/// It is the [`source`](StdError::source) of an [`Error`] of kind
/// [`InvalidStartupKit`](ErrorKind::InvalidStartupKit).
#[derive(Debug)]
pub struct KitError {
    file: PathBuf,
    defect: KitDefect,
}

/// What is wrong with a file or folder of a startup kit.
#[non_exhaustive]
#[derive(Debug)]
pub enum KitDefect {
    /// It does not exist, or is no folder.
    NoFolder,
    /// It is the `startup` folder, not the kit that holds it.
    StartupFolder,
    /// It does not exist, or is no file.
    NoFile,
    /// It cannot be read.
    Unreadable(io::Error),
    /// It is larger than any such file is.
    TooLarge,
    /// It is not JSON.
    NotJson(serde_json::Error),
    /// The file holds no object `admin`.
    NoAdminSection,
    /// A key is missing.
    NoKey(&'static str),
    /// The value of a key cannot be used.
    BadValue {
        /// The key.
        key: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// It was changed after it was signed.
    Tampered,
    /// Other files of the kit are signed, this one is not.
    NotSigned,
    /// It is no certificate.
    BadCertificate(CertificateError),
    /// It is no private key that can be used.
    BadPrivateKey(SignatureError),
    /// It is not the key of the certificate.
    KeyMismatch,
    /// The certificate names nobody.
    NoCommonName,
    /// The certificate belongs to somebody else than the kit says.
    OtherUser {
        /// The user that the kit names.
        username: String,
        /// The user that the certificate names.
        common_name: String,
    },
}

impl KitError {
    pub(super) fn new(file: impl AsRef<Path>, defect: KitDefect) -> Self {
        Self { file: file.as_ref().to_owned(), defect }
    }

    /// The file or folder.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What is wrong with it.
    #[must_use]
    pub fn defect(&self) -> &KitDefect {
        &self.defect
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match &self.defect {
            KitDefect::NoFolder => {
                "give the folder that holds `startup` and `local`, and make the folders the kit names"
            }
            KitDefect::StartupFolder => "give the parent folder: the one that holds `startup` and `local`",
            KitDefect::NoFile => "copy the complete startup kit again",
            KitDefect::Unreadable(_) => "check the permissions of the file",
            KitDefect::TooLarge => "replace the file by the one of the original startup kit",
            KitDefect::NotJson(_) | KitDefect::NoAdminSection | KitDefect::NoKey(_) | KitDefect::BadValue { .. } => {
                "correct the file, or take the one of the original startup kit"
            }
            KitDefect::Tampered | KitDefect::NotSigned => {
                "take the file of the original startup kit; put own settings into local/resources.json"
            }
            KitDefect::BadCertificate(_) | KitDefect::BadPrivateKey(_) | KitDefect::KeyMismatch => {
                "take certificate and key from the same startup kit"
            }
            KitDefect::NoCommonName => "ask the project admin for a kit that was issued for a user",
            KitDefect::OtherUser { .. } => "use the kit of this user, or set uid_source to `cert`",
        }
    }
}

impl fmt::Display for KitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match &self.defect {
            KitDefect::NoFolder => write!(f, "{file} is no folder"),
            KitDefect::StartupFolder => write!(f, "{file} is the startup folder inside a kit, not the kit"),
            KitDefect::NoFile => write!(f, "{file} is missing"),
            KitDefect::Unreadable(_) => write!(f, "{file} cannot be read"),
            KitDefect::TooLarge => write!(f, "{file} is too large"),
            KitDefect::NotJson(_) => write!(f, "{file} is not JSON"),
            KitDefect::NoAdminSection => write!(f, "{file} has no section `admin`"),
            KitDefect::NoKey(key) => write!(f, "{file} has no key `{key}`"),
            KitDefect::BadValue { key, expected } => write!(f, "{file} has a `{key}` that is not {expected}"),
            KitDefect::Tampered => write!(f, "{file} was changed after it was signed"),
            KitDefect::NotSigned => write!(f, "{file} is not listed in the kit's signature.json"),
            KitDefect::BadCertificate(_) => write!(f, "{file} is no usable certificate"),
            KitDefect::BadPrivateKey(_) => write!(f, "{file} is no usable private key"),
            KitDefect::KeyMismatch => write!(f, "{file} is not the key of the kit's certificate"),
            KitDefect::NoCommonName => write!(f, "{file} is a certificate without a common name"),
            KitDefect::OtherUser { username, common_name } => {
                write!(f, "{file} is for user {username:?}, but the certificate is that of {common_name:?}")
            }
        }
    }
}

impl StdError for KitError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.defect {
            KitDefect::Unreadable(error) => Some(error),
            KitDefect::NotJson(error) => Some(error),
            KitDefect::BadCertificate(error) => Some(error),
            KitDefect::BadPrivateKey(error) => Some(error),
            _ => None,
        }
    }
}

impl From<KitError> for Error {
    fn from(error: KitError) -> Self {
        let hint = error.remedy();
        Self::new(ErrorKind::InvalidStartupKit, "the startup kit cannot be used").with_hint(hint).with_source(error)
    }
}
