//! Why there is no key or certificate.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use flare_wire::certificate::CertificateError;

/// Why a key or a certificate cannot be made or read.
#[derive(Debug)]
#[non_exhaustive]
pub enum PkiError {
    /// The text is no PEM-encoded RSA private key, or the key is too short to sign with.
    BadKey,
    /// The operating system gave no randomness, or the key could not be made from it.
    Generation(String),
    /// A cached key cannot be read or written.
    Cache {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A name cannot stand in a certificate.
    BadName {
        /// The name.
        name: String,
        /// Why.
        source: rcgen::Error,
    },
    /// The certificate could not be signed.
    Signing(rcgen::Error),
    /// TLS does not accept the server's own certificate or key.
    Tls(rustls::Error),
    /// A stored certificate is no certificate.
    BadCertificate(CertificateError),
    /// The root certificate has expired, so nothing can be issued any more.
    RootExpired {
        /// Whose certificate was to be issued.
        subject: String,
    },
}

impl PkiError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::BadKey | Self::Cache { .. } => "remove the file, a new key is made then",
            Self::Generation(_) => "check that the system offers randomness",
            Self::BadName { .. } => "use ASCII host names",
            Self::Signing(_) => "use RSA keys of 2048 bits",
            Self::Tls(_) | Self::BadCertificate(_) | Self::RootExpired { .. } => "provision into a new workspace",
        }
    }
}

impl fmt::Display for PkiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadKey => f.write_str("not a usable PEM-encoded RSA private key"),
            Self::Generation(why) => write!(f, "cannot make an RSA key: {why}"),
            Self::Cache { path, .. } => write!(f, "cannot use the key cache at {}", path.display()),
            Self::BadName { name, .. } => write!(f, "'{name}' cannot stand in a certificate"),
            Self::Signing(_) => f.write_str("cannot sign a certificate"),
            Self::Tls(_) => f.write_str("the server's certificate or key cannot be used for TLS"),
            Self::BadCertificate(_) => f.write_str("a stored certificate cannot be read"),
            Self::RootExpired { subject } => {
                write!(f, "cannot issue a certificate for '{subject}': the root certificate has expired")
            }
        }
    }
}

impl Error for PkiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Cache { source, .. } => Some(source),
            Self::BadName { source, .. } | Self::Signing(source) => Some(source),
            Self::Tls(source) => Some(source),
            Self::BadCertificate(source) => Some(source),
            _ => None,
        }
    }
}
