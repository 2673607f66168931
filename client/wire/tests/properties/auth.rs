//! Messages of the authentication: identity, and any value in the place of any other.

use std::sync::LazyLock;
use std::time::Duration;

use flare_wire::auth::{
    AuthError, CellToken, ChallengeReply, ChallengeRequest, DEFAULT_STUDY, LoginHeaders, RegisterReply,
    RegisterRequest, SessionToken,
};
use flare_wire::cell::Headers;
use flare_wire::{Moment, PrivateKey, Randomness};
use proptest::prelude::*;
use rsa::PrivateKey as RsaPrivateKey;

use crate::strategies::{bytes, headers, text, value};

/// Short, because nothing here depends on its length.
static KEY: LazyLock<PrivateKey> = LazyLock::new(|| {
    let key = RsaPrivateKey::new(Randomness::from_number(1).rng(), 1024).unwrap();
    PrivateKey::from_rsa(key).unwrap()
});

fn session_token() -> impl Strategy<Value = SessionToken> {
    let expiry = prop::option::of((0..4_000_000_000_u64).prop_map(|s| Moment::from_unix(Duration::from_secs(s))));
    (text(), text(), text(), text(), text(), expiry).prop_map(|(name, role, org, session_id, study, cert_expiry)| {
        SessionToken { name, role, org, session_id, study, cert_expiry }
    })
}

proptest! {
    #[test]
    fn a_challenge_survives(common_name in text(), nonce in text(), signature in bytes(20), certificate in bytes(20)) {
        let request = ChallengeRequest { common_name: common_name.clone(), nonce: nonce.clone() };
        prop_assert_eq!(ChallengeRequest::from_headers(&request.to_headers()), Ok(request));
        let reply = ChallengeReply { nonce, signature, common_name, certificate };
        prop_assert_eq!(ChallengeReply::from_value(&reply.to_payload().value().unwrap()), Ok(reply));
    }

    #[test]
    fn a_registration_survives(
        (client_name, client_type, client_ip, project_name) in (text(), text(), text(), text()),
        (certificate, signature) in (bytes(20), bytes(20)),
        (token, token_signature, ssid) in (text(), text(), text()),
    ) {
        let request = RegisterRequest { client_name, client_type, client_ip, project_name, certificate, signature };
        let read = RegisterRequest::from_message(&request.to_headers(), &request.to_payload().value().unwrap());
        prop_assert_eq!(read, Ok(request));
        let reply = RegisterReply { token, token_signature, ssid };
        prop_assert_eq!(RegisterReply::from_value(&reply.to_payload().value().unwrap()), Ok(Some(reply.clone())));
        let stamp = CellToken::of_client("somebody", &reply);
        prop_assert_eq!(CellToken::from_headers(&stamp.to_headers()), Ok(stamp));
    }

    #[test]
    fn login_headers_survive(user in text(), certificate in bytes(20), signature in bytes(20), study in text()) {
        let login = LoginHeaders::new(&user, &certificate, &signature, &study);
        prop_assert_eq!(LoginHeaders::from_headers(&login.to_headers()), login);
    }

    #[test]
    fn any_value_is_a_message_or_refused(value in value(), headers in headers(), item in value()) {
        let login = ["cn", "nonce", "signature", "cert", "study"];
        let stamp = ["client_name", "client_type", "project_name", "__token__"];
        let typed = login.into_iter().chain(stamp).fold(headers, |all, name| all.with(name, item.clone()));
        let _ = (ChallengeRequest::from_headers(&typed), CellToken::from_headers(&typed));
        let _ = (ChallengeReply::from_value(&value), RegisterReply::from_value(&value));
        let _ = RegisterRequest::from_message(&typed, &value);
        let _ = RegisterRequest::from_message(&typed, &typed.to_value());
        prop_assert_eq!(LoginHeaders::from_headers(&typed).study, Some(item));
        prop_assert_eq!(ChallengeRequest::from_headers(&Headers::new()), Err(AuthError::Missing("cn")));
    }

    #[test]
    fn arbitrary_text_is_no_session_token(token in text(), body in bytes(30)) {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;

        let key = KEY.public_key();
        prop_assert!(SessionToken::decode(&token, &key).is_err());
        let shaped = format!("{}:{}", STANDARD.encode(&body), STANDARD.encode(&token));
        prop_assert!(SessionToken::decode(&shaped, &key).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_session_token_survives_and_belongs_to_its_key(token in session_token(), seed: u64) {
        let written = token.encode(&KEY, &mut Randomness::from_number(seed));
        // One that names no study is of the default one, as those from before there were studies.
        let study = if token.study.is_empty() { DEFAULT_STUDY.to_owned() } else { token.study.clone() };
        prop_assert_eq!(SessionToken::decode(&written, &KEY.public_key()), Ok(SessionToken { study, ..token }));
    }

    #[test]
    fn a_signature_is_of_one_text_and_one_salt(text in bytes(50), other in bytes(50), seed: u64) {
        let mut random = Randomness::from_number(seed);
        let (first, second) = (KEY.sign(&mut random, &text), KEY.sign(&mut random, &text));
        prop_assert_ne!(&first, &second);
        prop_assert_eq!(KEY.public_key().verify(&text, &first), Ok(()));
        prop_assert_eq!(KEY.public_key().verify(&other, &first).is_ok(), other == text);
    }

    #[test]
    fn a_signed_text_that_is_no_token_body_is_refused(body in text(), seed: u64) {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;

        let signature = KEY.sign_base64(&mut Randomness::from_number(seed), body.as_bytes());
        let token = format!("{}:{signature}", STANDARD.encode(&body));
        prop_assert_eq!(SessionToken::decode(&token, &KEY.public_key()), Err(AuthError::BadToken));
    }
}
