//! The root authority of a project, and what it issues.

use std::fmt;

use flare_wire::certificate::Certificate;
use flare_wire::{Moment, Randomness};
use rcgen::{CertificateParams, Issuer, KeyIdMethod};

use super::{KeyPair, PkiError, Subject, Validity, profile};

/// The root of a project: it signs every certificate, and the signature files of startup kits.
pub struct Authority {
    key: KeyPair,
    issuer: Issuer<'static, rcgen::KeyPair>,
    certificate: Certificate,
    pem: String,
}

/// A certificate with its private key.
#[derive(Debug, Clone)]
pub struct Identity {
    certificate: Certificate,
    pem: String,
    key: KeyPair,
}

impl Authority {
    /// Makes the self-signed root certificate of the project `name`.
    ///
    /// # Errors
    /// When the name cannot stand in a certificate.
    pub fn create(name: &str, key: KeyPair, validity: Validity, random: &mut Randomness) -> Result<Self, PkiError> {
        let params = profile::root(&Subject::new(name), &key, validity, random)?;
        let signer = key.certificate_signer()?;
        let certificate = params.self_signed(&signer).map_err(PkiError::Signing)?;
        Ok(Self {
            certificate: Certificate::from_der(certificate.der()).map_err(PkiError::BadCertificate)?,
            pem: certificate.pem(),
            issuer: Issuer::new(params, signer),
            key,
        })
    }

    /// Takes up a root that exists already. Its certificate text is kept byte for byte.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub fn load(pem: &str, key: KeyPair) -> Result<Self, PkiError> {
        let mut chain = Certificate::chain_from_pem(pem.as_bytes()).map_err(PkiError::BadCertificate)?;
        let certificate = chain.swap_remove(0);
        let mut params = CertificateParams::default();
        params.distinguished_name = Subject::new(certificate.common_name()).distinguished_name();
        params.key_identifier_method = KeyIdMethod::PreSpecified(profile::key_identifier(&key));
        let issuer = Issuer::new(params, key.certificate_signer()?);
        Ok(Self { key, issuer, certificate, pem: pem.to_owned() })
    }

    /// Issues a certificate as provisioning does: valid from `now` for 360 days, but not longer than the root.
    ///
    /// # Errors
    /// When the root has expired, or a name cannot stand in a certificate.
    pub fn issue(
        &self,
        subject: &Subject,
        key: KeyPair,
        now: Moment,
        random: &mut Randomness,
    ) -> Result<Identity, PkiError> {
        let end = self.certificate.not_after();
        if end <= now {
            return Err(PkiError::RootExpired { subject: subject.common_name().to_owned() });
        }
        self.issue_for(subject, key, Validity::starting(now).capped_at(end), random)
    }

    /// Issues a certificate with any validity, for instance one that has expired.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn issue_for(
        &self,
        subject: &Subject,
        key: KeyPair,
        validity: Validity,
        random: &mut Randomness,
    ) -> Result<Identity, PkiError> {
        let params = profile::leaf(subject, &key, validity, random)?;
        let certificate = params.signed_by(&key.certificate_signer()?, &self.issuer).map_err(PkiError::Signing)?;
        Ok(Identity {
            certificate: Certificate::from_der(certificate.der()).map_err(PkiError::BadCertificate)?,
            pem: certificate.pem(),
            key,
        })
    }

    /// The root's key.
    #[must_use]
    pub fn key(&self) -> &KeyPair {
        &self.key
    }

    /// The root certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The root certificate as `rootCA.pem` holds it.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }
}

impl Identity {
    /// Takes up a certificate that exists already. Its text is kept byte for byte.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub fn load(pem: &str, key: KeyPair) -> Result<Self, PkiError> {
        let mut chain = Certificate::chain_from_pem(pem.as_bytes()).map_err(PkiError::BadCertificate)?;
        Ok(Self { certificate: chain.swap_remove(0), pem: pem.to_owned(), key })
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The certificate as `client.crt` or `server.crt` holds it.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The private key.
    #[must_use]
    pub fn key(&self) -> &KeyPair {
        &self.key
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}
