//! Signatures: RSASSA-PSS, SHA-256, MGF1-SHA-256, salt of the maximum length.
//!
//! Old verifiers accept only the maximum salt (222 bytes for RSA-2048), newer ones any; so this crate always
//! signs with the maximum and verifies with it (`reference/wire-protocol.md` section 6.1).

use std::error::Error;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::pkcs8::spki::DecodePublicKey as _;
use rsa::pss::{Signature, SigningKey, VerifyingKey};
use rsa::signature::hazmat::RandomizedPrehashSigner as _;
use rsa::signature::{RandomizedSigner as _, SignatureEncoding as _, Verifier as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{PrivateKey as RsaPrivateKey, PublicKey as RsaPublicKey};
use sha2::{Digest as _, Sha256};

use crate::Randomness;

const SHA256_LEN: usize = 32;

/// Why a key cannot be used or a signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureError {
    /// The text is no PEM-encoded RSA private key (PKCS#1 or PKCS#8, unencrypted).
    BadPrivateKey,
    /// The public key is no RSA key.
    BadPublicKey,
    /// The key is too short for SHA-256 with PSS.
    KeyTooShort,
    /// The signature was not made with the private half of this key over this text.
    Mismatch,
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadPrivateKey => "not a PEM-encoded RSA private key",
            Self::BadPublicKey => "not an RSA public key",
            Self::KeyTooShort => "the RSA key is too short",
            Self::Mismatch => "the signature does not match",
        })
    }
}

impl Error for SignatureError {}

/// EMSA-PSS leaves room for `key length - hash length - 2` bytes of salt.
fn max_salt(key_bytes: usize) -> Result<usize, SignatureError> {
    key_bytes.checked_sub(SHA256_LEN + 2).ok_or(SignatureError::KeyTooShort)
}

/// The hash of a text that comes in pieces.
#[derive(Clone, Default)]
pub struct TextHash(Sha256);

impl TextHash {
    /// Adds the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }
}

impl fmt::Debug for TextHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TextHash(..)")
    }
}

/// A private key that signs as FLARE does.
#[derive(Clone)]
pub struct PrivateKey {
    key: SigningKey<Sha256>,
    public: RsaPublicKey,
}

impl PrivateKey {
    /// Reads `BEGIN RSA PRIVATE KEY` (PKCS#1, what provisioning writes) or `BEGIN PRIVATE KEY` (PKCS#8).
    ///
    /// # Errors
    /// [`SignatureError::BadPrivateKey`], [`SignatureError::KeyTooShort`].
    pub fn from_pem(pem: &str) -> Result<Self, SignatureError> {
        let key = RsaPrivateKey::from_pkcs1_pem(pem)
            .or_else(|_| RsaPrivateKey::from_pkcs8_pem(pem))
            .map_err(|_| SignatureError::BadPrivateKey)?;
        Self::from_rsa(key)
    }

    /// Takes a key that was made elsewhere.
    ///
    /// # Errors
    /// [`SignatureError::KeyTooShort`].
    pub fn from_rsa(key: RsaPrivateKey) -> Result<Self, SignatureError> {
        let salt = max_salt(key.size())?;
        let public = key.to_public_key();
        Ok(Self { key: SigningKey::new_with_salt_len(key, salt), public })
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey { key: self.public.clone() }
    }

    /// Signs `text`; the salt comes from `random`.
    #[must_use]
    pub fn sign(&self, random: &mut Randomness, text: &[u8]) -> Vec<u8> {
        self.key.sign_with_rng(random.rng(), text).to_vec()
    }

    /// Signs a text that was hashed in pieces, so that a long one need not be in memory; base64.
    ///
    /// # Errors
    /// [`SignatureError::KeyTooShort`].
    pub fn sign_hash_base64(&self, random: &mut Randomness, hash: TextHash) -> Result<String, SignatureError> {
        let hash = hash.0.finalize();
        let signature = self.key.sign_prehash_with_rng(random.rng(), &hash).map_err(|_| SignatureError::KeyTooShort)?;
        Ok(STANDARD.encode(signature.to_bytes()))
    }

    /// Length of every signature in its base64 form.
    #[must_use]
    pub fn signature_base64_len(&self) -> usize {
        self.public.size().div_ceil(3) * 4
    }

    /// Signs `text` and gives the signature in the base64 form that headers and tokens use.
    #[must_use]
    pub fn sign_base64(&self, random: &mut Randomness, text: &[u8]) -> String {
        STANDARD.encode(self.sign(random, text))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(<hidden>)")
    }
}

/// A public key that verifies what a [`PrivateKey`] signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: RsaPublicKey,
}

impl PublicKey {
    /// Reads a DER-encoded `SubjectPublicKeyInfo`, as a certificate holds it.
    ///
    /// # Errors
    /// [`SignatureError::BadPublicKey`].
    pub fn from_spki_der(der: &[u8]) -> Result<Self, SignatureError> {
        let key = RsaPublicKey::from_public_key_der(der).map_err(|_| SignatureError::BadPublicKey)?;
        Ok(Self { key })
    }

    /// Checks a raw signature over `text`.
    ///
    /// # Errors
    /// [`SignatureError::Mismatch`], [`SignatureError::KeyTooShort`].
    pub fn verify(&self, text: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let salt = max_salt(self.key.size())?;
        let signature = Signature::try_from(signature).map_err(|_| SignatureError::Mismatch)?;
        VerifyingKey::<Sha256>::new_with_salt_len(self.key.clone(), salt)
            .verify(text, &signature)
            .map_err(|_| SignatureError::Mismatch)
    }

    /// Checks a base64 signature over `text`.
    ///
    /// # Errors
    /// As [`PublicKey::verify`].
    pub fn verify_base64(&self, text: &[u8], signature: &str) -> Result<(), SignatureError> {
        let raw = STANDARD.decode(signature).map_err(|_| SignatureError::Mismatch)?;
        self.verify(text, &raw)
    }
}
