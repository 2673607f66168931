//! Seeded randomness: ids, nonces and signature salts.

use std::fmt;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rsa::rand_core::{CryptoRng, Rng};
use uuid::Uuid;

/// A source of ids and salts that is fully determined by its seed.
///
/// With a seed from the operating system it is fit for nonces and signatures (a cryptographic generator);
/// with a fixed seed every run gives the same ids.
pub struct Randomness(StdRng);

impl Randomness {
    /// A generator that starts from `seed`.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(StdRng::from_seed(seed))
    }

    /// A generator for tests and simulations, from a short seed.
    #[must_use]
    pub fn from_number(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A new generator, independent of what this one gives afterwards.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::from_seed(self.seed())
    }

    /// A seed for [`Randomness::from_seed`], for what has to give the same several times.
    #[must_use]
    pub fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.0.fill_bytes(&mut seed);
        seed
    }

    /// A random UUID (version 4) in the lower-case hyphenated form that FLARE uses for every id.
    pub fn uuid(&mut self) -> String {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// A random 64-bit number.
    pub fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// The generator itself, for signatures.
    pub fn rng(&mut self) -> &mut (impl CryptoRng + use<>) {
        &mut self.0
    }
}

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Randomness(..)")
    }
}

/// True when `text` is a version-4 UUID as the server accepts it for job ids: hyphens optional, version and
/// variant bits checked (`server-behaviour.md` section 5).
#[must_use]
pub fn is_uuid4(text: &str) -> bool {
    Uuid::try_parse(text).is_ok_and(|uuid| {
        uuid.get_version_num() == 4
            && uuid.get_variant() == uuid::Variant::RFC4122
            && !text.starts_with('{')
            && !text.starts_with("urn:")
    })
}
