//! Who is who: the challenge, the registration, and the token that every later message carries.
//!
//! Pure: time and randomness come in. Source: `reference/wire-protocol.md` sections 6.2 to 6.4.

use std::collections::HashMap;
use std::time::Duration;

use flare_wire::auth::{CellToken, ChallengeReply, ChallengeRequest, RegisterReply, RegisterRequest, proof_text};
use flare_wire::cell::{Headers, ReturnCode};
use flare_wire::certificate::{Certificate, verify_chain};
use flare_wire::endpoint::{Answer, Gate, InboundRequest};
use flare_wire::{Moment, PrivateKey, PublicKey, Randomness};

use crate::pki::{Authority, Identity};

/// How long a challenge waits for its registration (`max_reg_duration`).
const MAX_REGISTRATION: Duration = Duration::from_secs(60);

/// Challenges that wait at once. Origins are only claimed, so a peer could make up any number of them.
const MAX_PENDING: usize = 4096;

/// What 2.8 and later send as `ssid`.
const SSID: &str = "NA";

/// The server's side of the authentication of cells.
pub(crate) struct Reception {
    project: String,
    name: String,
    chain: Vec<u8>,
    key: PrivateKey,
    root: Certificate,
    stamp: Headers,
    pending: HashMap<String, Pending>,
    random: Randomness,
}

struct Pending {
    nonce: String,
    since: Moment,
}

impl Reception {
    /// The reception of the server that `identity` belongs to.
    pub(crate) fn new(project: &str, identity: &Identity, root: &Authority, mut random: Randomness) -> Self {
        let key = identity.key().signer();
        Self {
            project: project.to_owned(),
            name: identity.certificate().common_name().to_owned(),
            chain: identity.pem().as_bytes().to_vec(),
            stamp: CellToken::of_server(&key, &mut random).to_headers(),
            root: root.certificate().clone(),
            pending: HashMap::new(),
            random,
            key,
        }
    }

    /// The headers that authenticate the server's own messages.
    pub(crate) fn stamp(&self) -> Headers {
        self.stamp.clone()
    }

    /// What lets messages in: a token that this server has signed.
    pub(crate) fn gate(&self) -> TokenGate {
        TokenGate { key: self.key.public_key(), admitted: None }
    }

    /// Proves the server's identity and starts a registration.
    pub(crate) fn challenge(&mut self, now: Moment, request: &InboundRequest) -> Answer {
        let Ok(challenge) = ChallengeRequest::from_headers(&request.headers) else {
            return Answer::failure(ReturnCode::ProcessException, "the challenge has no nonce");
        };
        self.forget_old(now);
        let nonce = self.random.uuid();
        self.pending.insert(request.origin.clone(), Pending { nonce: nonce.clone(), since: now });
        let reply = ChallengeReply {
            nonce,
            signature: self.key.sign(&mut self.random, &proof_text(&self.name, &challenge.nonce)),
            common_name: self.name.clone(),
            certificate: self.chain.clone(),
        };
        Answer::ok(reply.to_payload())
    }

    /// Checks who a client is and gives it a token. A certificate, name or signature that is not accepted gets
    /// an empty map with code `ok`, as from the real server.
    pub(crate) fn register(&mut self, now: Moment, request: &InboundRequest) -> Answer {
        let refuse = |text: &str| Answer::failure(ReturnCode::Unauthenticated, text);
        self.forget_old(now);
        let Some(pending) = self.pending.remove(&request.origin) else {
            return refuse("no registration session");
        };
        if request.headers.text("project_name") != Some(self.project.as_str()) {
            return refuse("Requested task does not match the current server task");
        }
        let Ok(body) = request.payload.value() else {
            return Answer::failure(ReturnCode::ProcessException, "the registration has no readable payload");
        };
        match RegisterRequest::from_message(&request.headers, &body) {
            Ok(registration) if self.accepts(now, &registration, &pending.nonce) => {
                Answer::ok(self.token(&registration.client_name).to_payload())
            }
            _ => Answer::ok(RegisterReply::refusal_payload()),
        }
    }

    fn accepts(&self, now: Moment, registration: &RegisterRequest, nonce: &str) -> bool {
        let Ok(chain) = Certificate::chain_from_pem(&registration.certificate) else { return false };
        let roots = std::slice::from_ref(&self.root);
        let Some(leaf) = chain.first() else { return false };
        let proof = proof_text(leaf.common_name(), nonce);
        verify_chain(&chain, roots, now).is_ok()
            && leaf.allows_digital_signature()
            && leaf.allows_client_auth()
            && leaf.common_name() == registration.client_name
            && leaf.public_key().is_ok_and(|key| key.verify(&proof, &registration.signature).is_ok())
    }

    fn token(&mut self, client_name: &str) -> RegisterReply {
        let token = self.random.uuid();
        let token_signature = self.key.sign_base64(&mut self.random, &proof_text(client_name, &token));
        RegisterReply { token, token_signature, ssid: SSID.to_owned() }
    }

    fn forget_old(&mut self, now: Moment) {
        self.pending.retain(|_, pending| now.since(pending.since) <= MAX_REGISTRATION);
        if self.pending.len() >= MAX_PENDING {
            let oldest = self.pending.iter().min_by_key(|(_, pending)| pending.since).map(|(origin, _)| origin.clone());
            oldest.map(|origin| self.pending.remove(&origin));
        }
    }
}

/// Admits messages with a token that the server has signed.
///
/// Nothing else is asked: the token of an admin is bound neither to a connection nor to a time.
pub(crate) struct TokenGate {
    key: PublicKey,
    /// The last token that was good. A client stamps the same one on every message.
    admitted: Option<CellToken>,
}

impl Gate for TokenGate {
    fn admit(&mut self, headers: &Headers) -> bool {
        let Ok(token) = CellToken::from_headers(headers) else { return false };
        if self.admitted.as_ref() == Some(&token) {
            return true;
        }
        if token.verify(&self.key).is_err() {
            return false;
        }
        self.admitted = Some(token);
        true
    }
}
