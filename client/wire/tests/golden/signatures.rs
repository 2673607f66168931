//! Signatures, certificates and the session token of one recorded federation.

use std::time::Duration;

use flare_fixtures::{SignedText, signatures};
use flare_wire::auth::{AuthError, CellToken, SessionToken};
use flare_wire::cell::{Headers, headers};
use flare_wire::certificate::{Certificate, CertificateError, verify_chain};
use flare_wire::{Moment, PrivateKey, PublicKey, Randomness, SignatureError};
use rsa::PrivateKey as RsaPrivateKey;

use crate::frames::each;

fn certificate(pem: &str) -> Certificate {
    let [certificate] = Certificate::chain_from_pem(pem.as_bytes()).unwrap().try_into().unwrap();
    certificate
}

fn item(name_start: &str) -> &'static SignedText {
    signatures().items.iter().find(|item| item.name.starts_with(name_start)).unwrap()
}

/// Key of the server that all recordings of 2.9.0 were made with.
pub(crate) fn server_key() -> PublicKey {
    certificate(&item("challenge reply").cert_pem).public_key().unwrap()
}

/// A key that has nothing to do with the recordings, short because nothing depends on its length.
pub(crate) fn some_private_key() -> PrivateKey {
    let key = RsaPrivateKey::new(Randomness::from_number(7).rng(), 1024).unwrap();
    PrivateKey::from_rsa(key).unwrap()
}

/// A time at which all recorded certificates are valid.
pub(crate) fn recording_time() -> Moment {
    Moment::from_unix(Duration::from_secs(1_795_308_200))
}

#[test]
fn recorded_signatures_verify_with_the_signers_certificate() {
    for item in &signatures().items {
        let key = certificate(&item.cert_pem).public_key().unwrap();
        assert_eq!(key.verify(item.content.as_bytes(), &item.signature), Ok(()), "{}", item.name);
    }
}

#[test]
fn a_signature_is_refused_when_text_signature_or_key_differ() {
    for item in &signatures().items {
        let key = certificate(&item.cert_pem).public_key().unwrap();
        let text = item.content.as_bytes();
        assert_eq!(key.verify(&[text, b"x"].concat(), &item.signature), Err(SignatureError::Mismatch));
        for index in [0, 100, 255] {
            let mut signature = item.signature.clone();
            signature[index] ^= 1;
            assert_eq!(key.verify(text, &signature), Err(SignatureError::Mismatch), "{} {index}", item.name);
        }
        for length in [0, 1, 255] {
            assert_eq!(key.verify(text, &item.signature[..length]), Err(SignatureError::Mismatch), "{}", item.name);
        }
        let root = certificate(&signatures().root_ca_pem).public_key().unwrap();
        assert_eq!(root.verify(text, &item.signature), Err(SignatureError::Mismatch), "{}", item.name);
    }
}

#[test]
fn certificates_are_read_as_provisioned() {
    let admin = certificate(&item("register request").cert_pem);
    assert_eq!(
        (admin.common_name(), admin.organization(), admin.role(), admin.is_ca()),
        ("admin@nvidia.com", "nvidia", "project_admin", false)
    );
    let server = certificate(&item("challenge reply").cert_pem);
    assert_eq!((server.common_name(), server.organization(), server.role()), ("server", "nvidia", ""));
    let root = certificate(&signatures().root_ca_pem);
    assert_eq!((root.common_name(), root.is_ca()), ("example_project", true));
    for leaf in [admin, server] {
        assert!(leaf.allows_digital_signature() && leaf.allows_client_auth() && leaf.allows_server_auth());
    }
}

#[test]
fn certificates_chain_to_their_root_while_they_are_valid() {
    let root = certificate(&signatures().root_ca_pem);
    for item in &signatures().items {
        let leaf = certificate(&item.cert_pem);
        let verify = |now| verify_chain(std::slice::from_ref(&leaf), std::slice::from_ref(&root), now);
        let second = Duration::from_secs(1);
        assert_eq!(verify(leaf.not_before()), Ok(()), "{}", item.name);
        assert_eq!(verify(recording_time()), Ok(()), "{}", item.name);
        assert_eq!(verify(leaf.not_after()), Ok(()), "{}", item.name);
        let early = CertificateError::NotYetValid { not_before: leaf.not_before() };
        assert_eq!(verify(leaf.not_before() - second), Err(early), "{}", item.name);
        let late = CertificateError::Expired { not_after: leaf.not_after() };
        assert_eq!(verify(leaf.not_after() + second), Err(late), "{}", item.name);
    }
}

#[test]
fn a_certificate_does_not_chain_to_another_or_to_nothing() {
    let leaf = certificate(&item("challenge reply").cert_pem);
    let other = certificate(&item("register request").cert_pem);
    for roots in [vec![], vec![other]] {
        let verified = verify_chain(std::slice::from_ref(&leaf), &roots, recording_time());
        assert_eq!(verified, Err(CertificateError::UnknownIssuer));
    }
}

#[test]
fn the_session_token_is_read_and_its_signature_verifies() {
    let token = SessionToken::decode(&signatures().session_token, &server_key()).unwrap();
    let admin = certificate(&item("register request").cert_pem);
    assert_eq!((token.name.as_str(), token.role.as_str()), (admin.common_name(), admin.role()));
    assert_eq!((token.org.as_str(), token.study.as_str()), (admin.organization(), "default"));
    assert_eq!(token.cert_expiry, Some(admin.not_after()));
    assert_eq!(token.session_id, "152f5234-1e11-4b6d-a4a3-1c13bb0fc501");
}

#[test]
fn the_session_token_text_is_the_signed_text() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let signed = item("HCI session token");
    let (body, signature) = signatures().session_token.split_once(':').unwrap();
    assert_eq!(STANDARD.encode(&signed.content), body);
    assert_eq!(STANDARD.encode(&signed.signature), signature);
}

#[test]
fn a_changed_session_token_is_refused() {
    let genuine = &signatures().session_token;
    let (body, signature) = genuine.split_once(':').unwrap();
    let forged = [
        body.to_owned(),
        format!("{body}:"),
        format!("{body}:{}", signature.replace('V', "W")),
        format!("{}:{signature}", body.replacen("eyJ", "eyK", 1)),
        format!("x{genuine}"),
        format!("{genuine}="),
    ];
    for token in forged {
        let refused = SessionToken::decode(&token, &server_key()).unwrap_err();
        assert!(matches!(refused, AuthError::BadToken | AuthError::Signature(_)), "{token}: {refused}");
    }
}

#[test]
fn the_stamp_of_every_recorded_message_verifies() {
    let (key, mut seen) = (server_key(), 0);
    each(|vector, _, frame, place| {
        let message = Headers::decode(&frame.headers).unwrap();
        let Ok(stamp) = CellToken::from_headers(&message) else { return };
        if vector.name == "error_bad_cell_token" {
            assert_eq!(stamp.verify(&key), Err(SignatureError::Mismatch), "{place}");
            return;
        }
        if vector.nvflare_server == "2.9.0" {
            assert_eq!(stamp.verify(&key), Ok(()), "{place}");
            seen += 1;
        }
        assert_eq!(message.text(headers::CLIENT_NAME), Some(stamp.client_name.as_str()), "{place}");
    });
    assert!(seen > 200, "{seen}");
}
