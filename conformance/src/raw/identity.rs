//! Certificates and keys that a raw peer presents, genuine and forged.

use std::fs;
use std::path::Path;

use flare_wire::PrivateKey;
use flare_wire::certificate::Certificate;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256, SanType,
};
use rsa::PrivateKey as RsaPrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::EncodePrivateKey as _;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::kits::RootKey;
use crate::{CaseResult, Finding};

/// `unstructuredName` (PKCS#9), which holds the role.
const UNSTRUCTURED_NAME: &[u64] = &[1, 2, 840, 113_549, 1, 9, 2];

/// A certificate chain and its key.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The chain as PEM, as `_cert_login` and `register` carry it.
    pub(crate) pem: Vec<u8>,
    /// The chain, leaf first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// The key, for TLS.
    pub(crate) key: PrivateKeyDer<'static>,
    /// The key, for signatures.
    pub(crate) signing: PrivateKey,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            pem: self.pem.clone(),
            chain: self.chain.clone(),
            key: self.key.clone_key(),
            signing: self.signing.clone(),
        }
    }
}

impl Identity {
    /// What a kit presents: `client.crt` and `client.key` in its `startup` folder.
    pub(crate) fn of_kit(kit: &Path) -> CaseResult<Self> {
        let read = |name: &str| {
            let path = kit.join("startup").join(name);
            fs::read(&path).map_err(|error| Finding::harness(format!("{}: {error}", path.display())))
        };
        Self::from_pem(read("client.crt")?, &read("client.key")?)
    }

    /// A chain and a key, both as PEM.
    pub(crate) fn from_pem(pem: Vec<u8>, key: &[u8]) -> CaseResult<Self> {
        let bad = |what: &str| Finding::harness(format!("cannot use this {what}"));
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
        let text = std::str::from_utf8(key).map_err(|_| bad("key"))?;
        Ok(Self {
            chain,
            key: PrivateKeyDer::from_pem_slice(key).map_err(|_| bad("key"))?,
            signing: PrivateKey::from_pem(text).map_err(|_| bad("key"))?,
            pem,
        })
    }
}

/// Somebody who issues certificates: the project's root, or an impostor.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// A root of our own, with the name of the project's root but another key.
    pub(crate) fn impostor(project: &str) -> CaseResult<Self> {
        let failed = |error: rcgen::Error| Finding::harness(format!("cannot make a certificate authority: {error}"));
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, project);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).map_err(failed)?;
        Ok(Self { pem: certificate.pem(), issuer: Issuer::new(params, key) })
    }

    /// The project's own root.
    pub(crate) fn of_project(root: &RootKey) -> CaseResult<Self> {
        let unusable = || Finding::harness("cannot use the project's root certificate");
        let chain = Certificate::chain_from_pem(root.certificate.as_bytes()).map_err(|_| unusable())?;
        let name = chain.first().ok_or_else(unusable)?.common_name();
        // Of an issuer only its name and its key enter the certificates it signs.
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, DnValue::Utf8String(name.to_owned()));
        Ok(Self { issuer: Issuer::new(params, key_pair(&root.key)?), pem: root.certificate.clone() })
    }

    /// The certificate of this authority, PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues a certificate for `subject` to the holder of `key` (PEM).
    pub(crate) fn issue(&self, subject: &NewSubject<'_>, key: &[u8]) -> CaseResult<Identity> {
        let failed = |error: rcgen::Error| Finding::harness(format!("cannot issue a certificate: {error}"));
        let text = std::str::from_utf8(key).map_err(|_| Finding::harness("the key is no PEM"))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject.distinguished_name();
        let host = |name: &str| name.try_into().map(SanType::DnsName).map_err(failed);
        // Impostors listen on this machine, and over gRPC the host is compared.
        params.subject_alt_names = vec![host(&subject.name.replace('@', "."))?, host(LOCALHOST)?];
        let (from, to) = subject.validity;
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(to.0, to.1, to.2);
        let certificate = params.signed_by(&key_pair(text)?, &self.issuer).map_err(failed)?;
        Identity::from_pem(certificate.pem().into_bytes(), key)
    }
}

/// Where impostors are found.
const LOCALHOST: &str = "localhost";

/// Year, month, day.
type Date = (i32, u8, u8);

/// Whom a forged certificate names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewSubject<'a> {
    /// CN
    pub(crate) name: &'a str,
    /// O
    pub(crate) org: &'a str,
    /// The role.
    pub(crate) role: &'a str,
    /// First and last day.
    pub(crate) validity: (Date, Date),
}

impl NewSubject<'_> {
    fn distinguished_name(&self) -> DistinguishedName {
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, DnValue::Utf8String(self.name.to_owned()));
        name.push(DnType::OrganizationName, DnValue::Utf8String(self.org.to_owned()));
        if !self.role.is_empty() {
            let role = DnType::CustomDnType(UNSTRUCTURED_NAME.to_vec());
            name.push(role, DnValue::Utf8String(self.role.to_owned()));
        }
        name
    }
}

/// FLARE writes PKCS#1, the certificate crate reads PKCS#8.
fn key_pair(pem: &str) -> CaseResult<KeyPair> {
    let bad = || Finding::harness("the key is no RSA key");
    let der = match RsaPrivateKey::from_pkcs1_pem(pem) {
        Ok(key) => key.to_pkcs8_der().map_err(|_| bad())?.as_bytes().to_vec(),
        Err(_) => match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
            Ok(PrivateKeyDer::Pkcs8(der)) => der.secret_pkcs8_der().to_vec(),
            _ => return Err(bad()),
        },
    };
    KeyPair::from_pkcs8_der_and_sign_algo(&der.into(), &PKCS_RSA_SHA256).map_err(|_| bad())
}
