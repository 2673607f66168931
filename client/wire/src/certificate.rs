//! X.509 certificates as FLARE uses them: the name in `CN`, the organisation in `O`, an admin's role in
//! `unstructuredName`, and a chain to the project's root at a given time.
//!
//! Source: `reference/startup-kits.md` section 4.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

use crate::{Moment, PublicKey, SignatureError};

/// PKCS#9 `unstructuredName`, where provisioning puts the role.
const UNSTRUCTURED_NAME: &str = "1.2.840.113549.1.9.2";

/// Most certificates of one PEM text: a leaf, its root, and room for intermediates.
pub const MAX_CHAIN_LEN: usize = 16;

/// Why certificates are not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateError {
    /// The text holds no PEM certificate, or a broken one.
    BadPem,
    /// More than [`MAX_CHAIN_LEN`] certificates in one text.
    TooMany,
    /// Not an X.509 certificate.
    BadDer,
    /// Its time has not come.
    NotYetValid {
        /// When it becomes valid.
        not_before: Moment,
    },
    /// Its time is over.
    Expired {
        /// When it expired.
        not_after: Moment,
    },
    /// It was issued by another authority.
    UnknownIssuer,
    /// It chains to the root but may not be used like this.
    NotAcceptable(String),
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadPem => f.write_str("not a PEM certificate"),
            Self::TooMany => write!(f, "more than {MAX_CHAIN_LEN} certificates"),
            Self::BadDer => f.write_str("not an X.509 certificate"),
            Self::NotYetValid { not_before } => {
                write!(
                    f,
                    "the certificate is valid only from {} s after the epoch on",
                    not_before.since_epoch().as_secs()
                )
            }
            Self::Expired { not_after } => {
                write!(f, "the certificate expired {} s after the epoch", not_after.since_epoch().as_secs())
            }
            Self::UnknownIssuer => f.write_str("the certificate was issued by another authority"),
            Self::NotAcceptable(why) => write!(f, "the certificate is not acceptable: {why}"),
        }
    }
}

impl Error for CertificateError {}

/// A certificate and what FLARE reads from it.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    common_name: String,
    organization: String,
    role: String,
    not_before: Moment,
    not_after: Moment,
    host_names: Vec<String>,
    is_ca: bool,
    digital_signature: bool,
    client_auth: bool,
    server_auth: bool,
    spki: Vec<u8>,
}

impl Certificate {
    /// Reads every certificate of a PEM text; the leaf comes first.
    ///
    /// # Errors
    /// [`CertificateError::BadPem`] (also for none at all), [`CertificateError::BadDer`],
    /// [`CertificateError::TooMany`].
    pub fn chain_from_pem(pem: &[u8]) -> Result<Vec<Self>, CertificateError> {
        let mut chain = Vec::new();
        for der in CertificateDer::pem_slice_iter(pem) {
            if chain.len() == MAX_CHAIN_LEN {
                return Err(CertificateError::TooMany);
            }
            chain.push(Self::from_der(&der.map_err(|_| CertificateError::BadPem)?)?);
        }
        if chain.is_empty() { Err(CertificateError::BadPem) } else { Ok(chain) }
    }

    /// Reads one certificate.
    ///
    /// # Errors
    /// [`CertificateError::BadDer`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| CertificateError::BadDer)?;
        if !rest.is_empty() {
            return Err(CertificateError::BadDer);
        }
        let name = |wanted: &str| {
            parsed
                .subject()
                .iter_attributes()
                .find(|attribute| attribute.attr_type().to_id_string() == wanted)
                .and_then(|attribute| attribute.as_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let validity = parsed.validity();
        let mut certificate = Self {
            common_name: name("2.5.4.3"),
            organization: name("2.5.4.10"),
            role: name(UNSTRUCTURED_NAME),
            not_before: moment(validity.not_before.timestamp()),
            not_after: moment(validity.not_after.timestamp()),
            host_names: Vec::new(),
            is_ca: false,
            digital_signature: true,
            client_auth: true,
            server_auth: true,
            spki: parsed.public_key().raw.to_vec(),
            der: CertificateDer::from(der.to_vec()),
        };
        for extension in parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(constraints) => certificate.is_ca = constraints.ca,
                ParsedExtension::KeyUsage(usage) => certificate.digital_signature = usage.digital_signature(),
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    certificate.client_auth = usage.any || usage.client_auth;
                    certificate.server_auth = usage.any || usage.server_auth;
                }
                ParsedExtension::SubjectAlternativeName(names) => {
                    certificate.host_names = names.general_names.iter().filter_map(host_name).collect();
                }
                _ => {}
            }
        }
        Ok(certificate)
    }

    /// `CN` of the subject: the user, site or server name; empty when there is none.
    #[must_use]
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// `O` of the subject; empty when there is none, which FLARE allows.
    #[must_use]
    pub fn organization(&self) -> &str {
        &self.organization
    }

    /// `unstructuredName` of the subject: an admin's role; empty when there is none, which FLARE allows.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }

    /// The host names and addresses it was issued for.
    #[must_use]
    pub fn host_names(&self) -> &[String] {
        &self.host_names
    }

    /// True when a gRPC client that connects to `host` accepts it: one of its [host names](Self::host_names) is that
    /// host, or a wildcard for the first label of its name; the common name counts only where there are none at all.
    /// Addresses have to be there as they are.
    #[must_use]
    pub fn is_for_host(&self, host: &str) -> bool {
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.host_names.iter().any(|name| name.parse() == Ok(address));
        }
        if self.host_names.is_empty() {
            return covers(&self.common_name, host);
        }
        self.host_names.iter().any(|name| covers(name, host))
    }

    /// Start of its validity.
    #[must_use]
    pub const fn not_before(&self) -> Moment {
        self.not_before
    }

    /// End of its validity.
    #[must_use]
    pub const fn not_after(&self) -> Moment {
        self.not_after
    }

    /// True for the certificate of an authority.
    #[must_use]
    pub const fn is_ca(&self) -> bool {
        self.is_ca
    }

    /// True unless a KeyUsage extension leaves out `digitalSignature`.
    #[must_use]
    pub const fn allows_digital_signature(&self) -> bool {
        self.digital_signature
    }

    /// True unless an extended key usage leaves out `clientAuth`.
    #[must_use]
    pub const fn allows_client_auth(&self) -> bool {
        self.client_auth
    }

    /// True unless an extended key usage leaves out `serverAuth`.
    #[must_use]
    pub const fn allows_server_auth(&self) -> bool {
        self.server_auth
    }

    /// The key that its owner signs with.
    ///
    /// # Errors
    /// [`SignatureError::BadPublicKey`] when it is no RSA key.
    pub fn public_key(&self) -> Result<PublicKey, SignatureError> {
        PublicKey::from_spki_der(&self.spki)
    }

    /// The DER form.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("common_name", &self.common_name)
            .field("organization", &self.organization)
            .field("role", &self.role)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// An entry of the alternative names that a host can be called by.
fn host_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let address = match bytes.len() {
                4 => IpAddr::from(<[u8; 4]>::try_from(*bytes).ok()?),
                _ => IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?),
            };
            Some(address.to_string())
        }
        _ => None,
    }
}

/// Whether a name of a certificate is that of `host`. A wildcard stands for the first label alone, and only where at
/// least two others follow.
fn covers(name: &str, host: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let host = host.strip_suffix('.').unwrap_or(host);
    if name.is_empty() || host.is_empty() {
        return false;
    }
    let Some(parent) = name.strip_prefix("*.") else { return name.eq_ignore_ascii_case(host) };
    let Some((_, parent_of_host)) = host.split_once('.') else { return false };
    parent.contains('.') && parent.eq_ignore_ascii_case(parent_of_host)
}

fn moment(seconds: i64) -> Moment {
    Moment::from_unix(Duration::from_secs(seconds.try_into().unwrap_or(0)))
}

/// FLARE's leaves carry no extended key usage, and those that do are judged by
/// [`Certificate::allows_client_auth`] and [`Certificate::allows_server_auth`], not by the chain check.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _iter: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// Checks that the first certificate of `chain` was issued, directly or over the others of the chain, by one of
/// `roots`, and that every certificate is valid at `now`.
///
/// The name in the certificate is not checked: FLARE compares `CN` itself.
///
/// # Errors
/// [`CertificateError`]: the cause, as precisely as the certificates tell.
pub fn verify_chain(chain: &[Certificate], roots: &[Certificate], now: Moment) -> Result<(), CertificateError> {
    let Some((leaf, intermediates)) = chain.split_first() else { return Err(CertificateError::BadPem) };
    let anchors: Vec<_> = roots.iter().filter_map(|root| anchor_from_trusted_cert(&root.der).ok()).collect();
    let intermediates: Vec<_> = intermediates.iter().map(|certificate| certificate.der.clone()).collect();
    let end_entity =
        EndEntityCert::try_from(&leaf.der).map_err(|error| CertificateError::NotAcceptable(error.to_string()))?;
    end_entity
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &intermediates,
            UnixTime::since_unix_epoch(now.since_epoch()),
            AnyUsage,
            None,
            None,
        )
        .map_err(|error| cause(leaf, &error))?;
    // A path checker takes the root as given; FLARE's root expires with everything it issued.
    match roots.iter().find(|root| now > root.not_after) {
        Some(root) if roots.len() == 1 => Err(CertificateError::Expired { not_after: root.not_after }),
        _ => Ok(()),
    }
}

fn cause(leaf: &Certificate, error: &webpki::Error) -> CertificateError {
    match error {
        webpki::Error::CertExpired { .. } => CertificateError::Expired { not_after: leaf.not_after },
        webpki::Error::CertNotValidYet { .. } => CertificateError::NotYetValid { not_before: leaf.not_before },
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => CertificateError::UnknownIssuer,
        other => CertificateError::NotAcceptable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_covers_the_host_it_names_and_a_wildcard_one_label() {
        for (name, host, expected) in [
            ("localhost", "localhost", true),
            ("Server.Example.org", "server.example.ORG.", true),
            ("server.example.org", "example.org", false),
            ("*.example.org", "server.example.org", true),
            ("*.example.org", "a.server.example.org", false),
            ("*.example.org", "example.org", false),
            ("*.org", "example.org", false),
            ("*", "localhost", false),
            ("", "", false),
        ] {
            assert_eq!(covers(name, host), expected, "{name:?} {host:?}");
        }
    }
}
