//! One RSA key pair.

use std::fmt;
use std::sync::Arc;

use flare_wire::PrivateKey;
use rand::SeedableRng as _;
use rand::rngs::{StdRng, SysRng};
use rsa::PrivateKey as RsaPrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _, EncodeRsaPublicKey as _, LineEnding};
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer};

use super::PkiError;

/// The key size of provisioning.
const BITS: usize = 2048;

/// An RSA key pair; cloning shares it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    key: Arc<RsaPrivateKey>,
}

impl KeyPair {
    /// Makes a new key of 2048 bits from the randomness of the operating system. Takes tens of milliseconds.
    ///
    /// # Errors
    /// [`PkiError::Generation`].
    pub fn generate() -> Result<Self, PkiError> {
        let failed = |error: &dyn fmt::Display| PkiError::Generation(error.to_string());
        let mut random = StdRng::try_from_rng(&mut SysRng).map_err(|error| failed(&error))?;
        let key = RsaPrivateKey::new(&mut random, BITS).map_err(|error| failed(&error))?;
        Ok(Self { key: Arc::new(key) })
    }

    /// Reads an unencrypted PEM key: PKCS#1, as provisioning writes it, or PKCS#8.
    ///
    /// # Errors
    /// [`PkiError::BadKey`].
    pub fn from_pem(pem: &str) -> Result<Self, PkiError> {
        let key = RsaPrivateKey::from_pkcs1_pem(pem)
            .or_else(|_| RsaPrivateKey::from_pkcs8_pem(pem))
            .map_err(|_| PkiError::BadKey)?;
        // Whoever reads a key wants to sign with it, so a key that is too short for that is refused here.
        PrivateKey::from_rsa(key.clone()).map_err(|_| PkiError::BadKey)?;
        Ok(Self { key: Arc::new(key) })
    }

    /// The key as provisioning writes it: PKCS#1 PEM, unencrypted.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.key.to_pkcs1_pem(LineEnding::LF).expect("an RSA key has a PKCS#1 form").as_str().to_owned()
    }

    /// The key for signatures inside the protocol.
    #[must_use]
    pub fn signer(&self) -> PrivateKey {
        PrivateKey::from_rsa((*self.key).clone()).expect("a key pair is long enough to sign with")
    }

    /// The key for TLS.
    #[must_use]
    pub fn tls_key(&self) -> PrivateKeyDer<'static> {
        let der = self.key.to_pkcs1_der().expect("an RSA key has a PKCS#1 form");
        PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(der.as_bytes().to_vec()))
    }

    /// The public half as `RSAPublicKey` in DER: what key identifiers are the hash of.
    pub(super) fn public_der(&self) -> Vec<u8> {
        let public = self.key.to_public_key();
        public.to_pkcs1_der().expect("an RSA public key has a PKCS#1 form").into_vec()
    }

    /// The key for signing certificates.
    pub(super) fn certificate_signer(&self) -> Result<rcgen::KeyPair, PkiError> {
        let der = self.key.to_pkcs8_der().expect("an RSA key has a PKCS#8 form");
        let der = rustls_pki_types::PrivatePkcs8KeyDer::from(der.as_bytes());
        rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_RSA_SHA256).map_err(PkiError::Signing)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair(<hidden>)")
    }
}
