//! Certificates: arbitrary and damaged bytes, limits.

use std::sync::LazyLock;
use std::time::Duration;

use flare_fixtures::signatures;
use flare_wire::certificate::{Certificate, CertificateError, MAX_CHAIN_LEN, verify_chain};
use flare_wire::{Moment, PublicKey};
use proptest::prelude::*;

use crate::strategies::bytes;

static ROOT: LazyLock<Vec<Certificate>> =
    LazyLock::new(|| Certificate::chain_from_pem(signatures().root_ca_pem.as_bytes()).unwrap());

static LEAF: LazyLock<Certificate> = LazyLock::new(|| {
    let pem = &signatures().items[0].cert_pem;
    Certificate::chain_from_pem(pem.as_bytes()).unwrap().remove(0)
});

fn now() -> Moment {
    Moment::from_unix(Duration::from_secs(1_795_308_200))
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_certificate(input in bytes(200)) {
        prop_assert!(Certificate::from_der(&input).is_err());
        prop_assert!(Certificate::chain_from_pem(&input).is_err());
        prop_assert!(PublicKey::from_spki_der(&input).is_err());
    }

    #[test]
    fn a_damaged_certificate_is_never_trusted(at in any::<prop::sample::Index>(), flip in 1..=u8::MAX) {
        let mut der = LEAF.der().to_vec();
        let at = at.index(der.len());
        der[at] ^= flip;
        if let Ok(damaged) = Certificate::from_der(&der) {
            let verified = verify_chain(std::slice::from_ref(&damaged), &ROOT, now());
            prop_assert!(verified.is_err(), "byte {} of {:?}", at, damaged);
            let _ = damaged.public_key();
        }
    }

    #[test]
    fn a_damaged_pem_text_is_the_same_certificate_or_refused(
        at in any::<prop::sample::Index>(), change in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let mut pem = signatures().items[0].cert_pem.clone().into_bytes();
        let _ = Certificate::chain_from_pem(&pem[..cut.index(pem.len())]);
        let at = at.index(pem.len());
        pem[at] = change;
        if let Ok(chain) = Certificate::chain_from_pem(&pem) {
            prop_assert!(chain[0] == *LEAF || verify_chain(&chain, &ROOT, now()).is_err(), "byte {}", at);
        }
    }
}

#[test]
fn the_certificate_itself_is_trusted() {
    assert_eq!(verify_chain(std::slice::from_ref(&*LEAF), &ROOT, now()), Ok(()));
    assert_eq!(Certificate::from_der(LEAF.der()).as_ref(), Ok(&*LEAF));
}

#[test]
fn bytes_after_a_certificate_are_refused() {
    let der = [LEAF.der().as_ref(), &[0]].concat();
    assert_eq!(Certificate::from_der(&der), Err(CertificateError::BadDer));
}

#[test]
fn a_chain_is_accepted_at_its_limit_and_refused_one_past() {
    let pem = |count| signatures().root_ca_pem.repeat(count).into_bytes();
    assert_eq!(Certificate::chain_from_pem(&pem(MAX_CHAIN_LEN)).unwrap().len(), MAX_CHAIN_LEN);
    assert_eq!(Certificate::chain_from_pem(&pem(MAX_CHAIN_LEN + 1)), Err(CertificateError::TooMany));
}

#[test]
fn no_certificate_at_all_is_no_chain() {
    assert_eq!(Certificate::chain_from_pem(b""), Err(CertificateError::BadPem));
    assert_eq!(verify_chain(&[], &ROOT, now()), Err(CertificateError::BadPem));
}
