//! What goes into a certificate.

use std::net::IpAddr;
use std::time::Duration;

use flare_wire::{Moment, Randomness};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, KeyIdMethod,
    KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use sha1::{Digest as _, Sha1};

use super::{KeyPair, PkiError};

/// How long provisioning makes a root valid, and its leaves at most.
const DEFAULT_VALIDITY: Duration = Duration::from_secs(360 * 24 * 60 * 60);

/// The last second X.509 can express: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// PKCS#9 `unstructuredName`, where provisioning puts the role.
const UNSTRUCTURED_NAME: &[u64] = &[1, 2, 840, 113_549, 1, 9, 2];

/// X.509 `subjectKeyIdentifier`.
const SUBJECT_KEY_IDENTIFIER: &[u64] = &[2, 5, 29, 14];

/// The longest serial number that RFC 5280 allows, which is what provisioning uses.
const SERIAL_LEN: usize = 20;

/// Whom a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    common_name: String,
    organization: Option<String>,
    role: Option<String>,
    hosts: Vec<String>,
}

impl Subject {
    /// A subject with a common name only, which is also its alternative name.
    #[must_use]
    pub fn new(common_name: &str) -> Self {
        Self { common_name: common_name.to_owned(), organization: None, role: None, hosts: Vec::new() }
    }

    /// Adds the organisation.
    #[must_use]
    pub fn organization(mut self, organization: &str) -> Self {
        self.organization = Some(organization.to_owned());
        self
    }

    /// Adds an admin's role.
    #[must_use]
    pub fn role(mut self, role: &str) -> Self {
        self.role = Some(role.to_owned());
        self
    }

    /// Adds a host; with at least one, the common name is no alternative name any more. IP addresses are
    /// recognised.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        if !self.hosts.iter().any(|known| known == host) {
            self.hosts.push(host.to_owned());
        }
        self
    }

    /// The common name.
    #[must_use]
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    pub(super) fn distinguished_name(&self) -> DistinguishedName {
        // Provisioning writes every part as UTF8String, which is also what a Rust string becomes here.
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, self.common_name.as_str());
        if let Some(organization) = &self.organization {
            name.push(DnType::OrganizationName, organization.as_str());
        }
        if let Some(role) = &self.role {
            name.push(DnType::CustomDnType(UNSTRUCTURED_NAME.to_vec()), role.as_str());
        }
        name
    }

    fn alternative_names(&self) -> Result<Vec<SanType>, PkiError> {
        if self.hosts.is_empty() {
            // An e-mail address or an underscore is no DNS name, yet this is what provisioning writes.
            return Ok(vec![dns_name(&self.common_name)?]);
        }
        let alternative = |host: &String| match host.parse::<IpAddr>() {
            Ok(address) => Ok(SanType::IpAddress(address)),
            Err(_) => dns_name(host),
        };
        self.hosts.iter().map(alternative).collect()
    }
}

fn dns_name(name: &str) -> Result<SanType, PkiError> {
    let text = name.try_into().map_err(|source| PkiError::BadName { name: name.to_owned(), source })?;
    Ok(SanType::DnsName(text))
}

/// From when until when a certificate is valid; X.509 counts whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub from: Moment,
    /// The last moment.
    pub until: Moment,
}

impl Validity {
    /// The 360 days of provisioning.
    #[must_use]
    pub fn starting(now: Moment) -> Self {
        Self { from: now, until: now + DEFAULT_VALIDITY }
    }

    /// The same, but not longer than `end`.
    #[must_use]
    pub fn capped_at(self, end: Moment) -> Self {
        Self { from: self.from, until: self.until.min(end) }
    }
}

/// The parameters that root and leaves have in common.
fn common(
    subject: &Subject,
    key: &KeyPair,
    validity: Validity,
    random: &mut Randomness,
) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject.distinguished_name();
    params.subject_alt_names = subject.alternative_names()?;
    let calendar = |moment: Moment| {
        date_time_ymd(1970, 1, 1) + Duration::from_secs(moment.since_epoch().as_secs().min(LAST_SECOND))
    };
    params.not_before = calendar(validity.from);
    params.not_after = calendar(validity.until);
    params.serial_number = Some(serial_number(random));
    params.use_authority_key_identifier_extension = true;
    params.key_identifier_method = KeyIdMethod::PreSpecified(key_identifier(key));
    Ok(params)
}

/// The parameters of a root certificate.
pub(super) fn root(
    subject: &Subject,
    key: &KeyPair,
    validity: Validity,
    random: &mut Randomness,
) -> Result<CertificateParams, PkiError> {
    let mut params = common(subject, key, validity, random)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// The parameters of a leaf certificate.
pub(super) fn leaf(
    subject: &Subject,
    key: &KeyPair,
    validity: Validity,
    random: &mut Randomness,
) -> Result<CertificateParams, PkiError> {
    let mut params = common(subject, key, validity, random)?;
    params.is_ca = IsCa::NoCa;
    // rcgen writes this extension for authorities only; provisioning writes it always.
    let content = octet_string(&key_identifier(key));
    params.custom_extensions = vec![CustomExtension::from_oid_content(SUBJECT_KEY_IDENTIFIER, content)];
    Ok(params)
}

pub(super) fn key_identifier(key: &KeyPair) -> Vec<u8> {
    Sha1::digest(key.public_der()).to_vec()
}

/// DER of a short octet string.
fn octet_string(content: &[u8]) -> Vec<u8> {
    const OCTET_STRING: u8 = 0x04;
    let length = u8::try_from(content.len()).expect("a hash is shorter than 128 bytes");
    [&[OCTET_STRING, length], content].concat()
}

fn serial_number(random: &mut Randomness) -> SerialNumber {
    let mut serial = Vec::with_capacity(SERIAL_LEN + 4);
    while serial.len() < SERIAL_LEN {
        serial.extend(random.number().to_be_bytes());
    }
    serial.truncate(SERIAL_LEN);
    // Positive, and never with a leading zero byte, so always of the same length.
    serial[0] = serial[0] & 0x7f | 0x40;
    SerialNumber::from(serial)
}
