//! Challenge, register and login as recorded: read, proved, and written back to the same bytes.

use flare_fixtures::vector;
use flare_wire::auth::{
    AuthError, CellToken, ChallengeReply, ChallengeRequest, DEFAULT_STUDY, LoginHeaders, RegisterReply,
    RegisterRequest, SessionToken, proof_text,
};
use flare_wire::cell::{Encoding, Headers, Message, Payload};
use flare_wire::certificate::{Certificate, verify_chain};
use flare_wire::frame::Frame;
use flare_wire::hci::{Item, Reply, Request};
use flare_wire::{PublicKey, Randomness, SignatureError, fobs};

use crate::frames::each;
use crate::signatures::{recording_time, server_key, some_private_key};

/// Logins of the official clients.
const LOGINS: [&str; 5] = ["login", "tcp_login", "grpc_login", "v283_login", "v273_login"];

fn message(name: &str, index: usize) -> Message {
    Message::from_frame(&Frame::decode(vector(name).frames[index].raw.clone().into()).unwrap()).unwrap()
}

fn key_of(pem: &[u8]) -> PublicKey {
    Certificate::chain_from_pem(pem).unwrap()[0].public_key().unwrap()
}

/// The headers of `message` that `written` also has, in the order of the message.
fn same_part(message: &Headers, written: &Headers) -> Headers {
    message
        .iter()
        .filter(|(name, _)| written.get(name).is_some())
        .fold(Headers::new(), |part, (name, value)| part.with(name.to_owned(), value.clone()))
}

/// `written` stands in `message` as it is, names, values and order.
fn assert_within(message: &Headers, written: &Headers, place: &str) {
    assert_eq!(same_part(message, written).encode(), written.encode(), "{place}");
}

#[test]
fn challenges_prove_who_the_server_is() {
    for name in LOGINS.into_iter().chain(["minimal_login"]) {
        let request = message(name, 2);
        let challenge = ChallengeRequest::from_headers(&request.headers).unwrap();
        assert_within(&request.headers, &challenge.to_headers(), name);

        let answer = message(name, 3).body();
        let reply = ChallengeReply::from_value(&answer.value().unwrap()).unwrap();
        assert_eq!(reply.to_payload(), answer, "{name}");
        assert_eq!(reply.common_name, "server", "{name}");
        let text = proof_text(&reply.common_name, &challenge.nonce);
        assert_eq!(key_of(&reply.certificate).verify(&text, &reply.signature), Ok(()), "{name}");
    }
}

#[test]
fn registrations_prove_who_the_client_is() {
    for name in LOGINS.into_iter().chain(["minimal_login"]) {
        let challenge = ChallengeReply::from_value(&message(name, 3).body().value().unwrap()).unwrap();
        let request = message(name, 4);
        let register = RegisterRequest::from_message(&request.headers, &request.body().value().unwrap()).unwrap();
        assert_eq!((register.client_name.as_str(), register.client_type.as_str()), ("admin@nvidia.com", "admin"));
        let text = proof_text(&register.client_name, &challenge.nonce);
        assert_eq!(key_of(&register.certificate).verify(&text, &register.signature), Ok(()), "{name}");
        if LOGINS.contains(&name) {
            assert_eq!(register.to_payload(), request.body(), "{name}");
        }
        if vector(name).nvflare_client == "2.9.0" {
            assert_within(&request.headers, &register.to_headers(), name);
        }

        let answer = message(name, 5).body();
        let reply = RegisterReply::from_value(&answer.value().unwrap()).unwrap().unwrap();
        let token = CellToken::of_client(&register.client_name, &reply);
        assert_eq!(token.verify(&key_of(&challenge.certificate)), Ok(()), "{name}");
        if vector(name).nvflare_server == "2.9.0" {
            assert_eq!(reply.to_payload(), answer, "{name}");
        }
        if LOGINS.contains(&name) {
            assert_within(&message(name, 6).headers, &token.to_headers(), name);
        }
    }
}

#[test]
fn certificates_of_both_ends_chain_to_the_same_root() {
    let root = Certificate::chain_from_pem(flare_fixtures::signatures().root_ca_pem.as_bytes()).unwrap();
    for name in ["login", "tcp_login", "grpc_login", "minimal_login"] {
        let challenge = ChallengeReply::from_value(&message(name, 3).body().value().unwrap()).unwrap();
        let request = message(name, 4);
        let register = RegisterRequest::from_message(&request.headers, &request.body().value().unwrap()).unwrap();
        for pem in [challenge.certificate, register.certificate] {
            let chain = Certificate::chain_from_pem(&pem).unwrap();
            assert_eq!(verify_chain(&chain, &root, recording_time()), Ok(()), "{name}");
        }
    }
}

#[test]
fn a_refused_registration_is_an_empty_map() {
    let answer = message("error_register", 7).body();
    assert_eq!(RegisterReply::from_value(&answer.value().unwrap()), Ok(None));
    assert_eq!(RegisterReply::refusal_payload(), answer);
}

#[test]
fn refusals_with_a_return_code_have_no_payload() {
    for index in [3, 11] {
        let answer = message("error_register", index);
        assert_eq!(answer.return_code().as_str(), "unauthenticated");
        assert_eq!(answer.body(), Payload::empty());
    }
}

#[test]
fn login_headers_are_written_as_the_official_client_does() {
    for name in LOGINS {
        let request = message(name, 6);
        let login = LoginHeaders::from_headers(&request.headers);
        assert_within(&request.headers, &login.to_headers(), name);
        let certificate = login.certificate.as_ref().and_then(|value| value.as_slice()).unwrap();
        let signature = login.signature.as_ref().and_then(|value| value.as_slice()).unwrap();
        let text = proof_text("admin@nvidia.com", "");
        assert_eq!(key_of(certificate).verify(&text, signature), Ok(()), "{name}");
        assert_eq!(login.study.is_some(), name != "v273_login", "{name}");
        if name != "v273_login" {
            let user = login.user_name.as_ref().and_then(|value| value.as_str()).unwrap();
            assert_eq!(LoginHeaders::new(user, certificate, signature, "default"), login, "{name}");
        }
    }
}

#[test]
fn session_tokens_of_recorded_commands_verify() {
    let (key, mut seen) = (server_key(), 0);
    each(|vector, recorded, frame, place| {
        let Some(view) = recorded.payload.as_ref().and_then(|payload| payload.json.as_ref()) else { return };
        if view["data"][0]["type"] != "command" || vector.nvflare_server != "2.9.0" {
            return;
        }
        let text = fobs::decode(&frame.payload).unwrap().as_str().unwrap().to_owned();
        let Some(token) = Request::parse(&text).unwrap().token else { return };
        let token = SessionToken::decode(&token, &key);
        if vector.name == "error_bad_session_token" {
            assert_eq!(token, Err(AuthError::Signature(SignatureError::Mismatch)), "{place}");
        } else {
            assert_eq!(token.unwrap().name, "admin@nvidia.com", "{place}");
            seen += 1;
        }
    });
    assert!(seen > 20, "{seen}");
}

#[test]
fn session_tokens_of_older_servers_are_read() {
    for (name, study) in [("v283_login", "default"), ("v273_login", DEFAULT_STUDY)] {
        let challenge = ChallengeReply::from_value(&message(name, 3).body().value().unwrap()).unwrap();
        let answer = Payload { encoding: Encoding::Fobs, ..message(name, 7).body() };
        let reply = Reply::parse(&answer.as_text().unwrap()).unwrap();
        let [Item::String(ok), Item::Token(token)] = reply.data.as_slice() else { panic!("{name}: {reply:?}") };
        let token = SessionToken::decode(token, &key_of(&challenge.certificate)).unwrap();
        assert_eq!((ok.as_str(), token.study.as_str(), token.cert_expiry), ("OK", study, None), "{name}");
    }
}

#[test]
fn session_tokens_are_written_with_the_text_of_a_real_server() {
    let genuine = &flare_fixtures::signatures().session_token;
    let token = SessionToken::decode(genuine, &server_key()).unwrap();
    let key = some_private_key();
    let written = token.encode(&key, &mut Randomness::from_number(1));
    assert_eq!(written.split_once(':').unwrap().0, genuine.split_once(':').unwrap().0);
    assert_eq!(SessionToken::decode(&written, &key.public_key()), Ok(token));
}
