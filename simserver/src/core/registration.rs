//! Who may talk to the server: challenge, registration, and the token on every later message.
//!
//! Source: `reference/wire-protocol.md` sections 6.2 to 6.4.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use flare_wire::auth::{
    ADMIN_CLIENT_TYPE, CellToken, ChallengeReply, ChallengeRequest, RegisterReply, RegisterRequest, proof_text,
};
use flare_wire::certificate::{Certificate, CertificateError, verify_chain};
use flare_wire::{Moment, PrivateKey, PublicKey, Randomness};

use super::passes::Passes;
use super::remembered::Remembered;
use crate::mutants::{Mutant, Mutants};

/// How long a challenge waits for its registration (`max_reg_duration`).
const MAX_REGISTRATION: Duration = Duration::from_secs(60);

/// Challenges that wait at once. Origins are only claimed, so a peer could make up any number of them; when this
/// many wait, the oldest goes.
const MAX_PENDING: usize = 4096;

/// What 2.8 and later send as `ssid`.
const SSID: &str = "NA";

/// Why a registration is refused with the code `unauthenticated`, in the words of the real server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationRefusal {
    /// No challenge preceded it, or too long ago.
    NoChallenge,
    /// Another project.
    WrongProject,
    /// The name was disabled.
    Disabled(String),
    /// Sites are part of the simulation; a real one cannot join.
    NotAnAdmin(String),
}

impl fmt::Display for RegistrationRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoChallenge => f.write_str("no registration session"),
            Self::WrongProject => f.write_str("Requested task does not match the current server task"),
            Self::Disabled(name) => write!(f, "Client '{name}' is disabled"),
            Self::NotAnAdmin(kind) => {
                write!(f, "not modelled by flare-simserver: registration of a client of type '{kind}'")
            }
        }
    }
}

impl std::error::Error for RegistrationRefusal {}

/// The server's identity, and the clients that it may know.
pub(super) struct Identity {
    pub(super) key: PrivateKey,
    pub(super) public_key: PublicKey,
    pub(super) common_name: String,
    pub(super) chain: Vec<u8>,
    pub(super) roots: Vec<Certificate>,
}

impl Identity {
    /// # Errors
    /// When `chain` holds no certificate.
    pub(super) fn new(key: PrivateKey, chain: Vec<u8>, roots: Vec<Certificate>) -> Result<Self, CertificateError> {
        let certificates = Certificate::chain_from_pem(&chain)?;
        let common_name =
            certificates.first().map(|leaf| leaf.common_name().to_owned()).ok_or(CertificateError::BadPem)?;
        Ok(Self { public_key: key.public_key(), key, common_name, chain, roots })
    }

    /// Checks that the first of `chain` belongs to `name` and may sign for it, and that `signature` covers the name
    /// followed by `nonce`.
    pub(super) fn verify(
        &self,
        now: Moment,
        chain: &[Certificate],
        name: &str,
        nonce: &str,
        proof: &Proof<'_>,
        mutants: Mutants,
    ) -> bool {
        let Some(leaf) = chain.first() else { return false };
        let is_foreign = verify_chain(chain, &self.roots, now).is_err();
        if is_foreign && !mutants.has(Mutant::LoginForeignCertificate)
            || !leaf.allows_digital_signature()
            || leaf.common_name().is_empty()
            || leaf.common_name() != name
        {
            return false;
        }
        if mutants.has(Mutant::LoginUnsigned) {
            return true;
        }
        let text = proof_text(name, nonce);
        leaf.public_key().is_ok_and(|key| match proof {
            Proof::Raw(signature) => key.verify(&text, signature).is_ok(),
            Proof::Base64(signature) => key.verify_base64(&text, signature).is_ok(),
        })
    }
}

/// A signature in one of its two forms.
pub(crate) enum Proof<'a> {
    Raw(&'a [u8]),
    Base64(&'a str),
}

/// Registrations between challenge and register, by the endpoint that they come from.
#[derive(Default)]
pub(super) struct Registrations {
    pending: HashMap<String, Pending>,
}

struct Pending {
    nonce: String,
    /// When the server forgets it.
    until: Moment,
}

impl Registrations {
    pub(super) fn challenge(
        &mut self,
        now: Moment,
        passes: Passes,
        origin: &str,
        request: &ChallengeRequest,
        identity: &Identity,
        random: &mut Randomness,
    ) -> ChallengeReply {
        if self.pending.len() >= MAX_PENDING {
            self.make_room(now);
        }
        let nonce = random.uuid();
        let until = passes.first_after(now + MAX_REGISTRATION);
        self.pending.insert(origin.to_owned(), Pending { nonce: nonce.clone(), until });
        ChallengeReply {
            nonce,
            signature: identity.key.sign(random, &proof_text(&identity.common_name, &request.nonce)),
            common_name: identity.common_name.clone(),
            certificate: identity.chain.clone(),
        }
    }

    fn make_room(&mut self, now: Moment) {
        self.pending.retain(|_, pending| now < pending.until);
        if self.pending.len() >= MAX_PENDING {
            let oldest = self.pending.iter().min_by_key(|(_, pending)| pending.until).map(|(origin, _)| origin.clone());
            oldest.map(|origin| self.pending.remove(&origin));
        }
    }

    /// The nonce that waits for `origin`; it is used up.
    fn take(&mut self, now: Moment, origin: &str, mutants: Mutants) -> Option<String> {
        if mutants.has(Mutant::ChallengeReusable) {
            return self.pending.get(origin).map(|pending| pending.nonce.clone());
        }
        self.pending.remove(origin).filter(|pending| now < pending.until).map(|pending| pending.nonce)
    }

    /// `Ok(None)` is the silent refusal of a certificate, name or signature.
    #[expect(clippy::too_many_arguments, reason = "the parts of the server that a registration touches")]
    pub(super) fn register(
        &mut self,
        now: Moment,
        origin: &str,
        request: &RegisterRequest,
        project: &str,
        disabled: &[String],
        mutants: Mutants,
        identity: &Identity,
        random: &mut Randomness,
    ) -> Result<Option<RegisterReply>, RegistrationRefusal> {
        let nonce = self.take(now, origin, mutants).ok_or(RegistrationRefusal::NoChallenge)?;
        if request.project_name != project && !mutants.has(Mutant::RegisterAnyProject) {
            return Err(RegistrationRefusal::WrongProject);
        }
        let name = &request.client_name;
        if disabled.contains(name) && !mutants.has(Mutant::DisabledAdminRegisters) {
            return Err(RegistrationRefusal::Disabled(name.clone()));
        }
        if request.client_type != ADMIN_CLIENT_TYPE {
            return Err(RegistrationRefusal::NotAnAdmin(request.client_type.clone()));
        }
        let Ok(chain) = Certificate::chain_from_pem(&request.certificate) else { return Ok(None) };
        let accepted = chain.first().is_some_and(Certificate::allows_client_auth)
            && identity.verify(now, &chain, name, &nonce, &Proof::Raw(&request.signature), mutants);
        if !accepted {
            return Ok(None);
        }
        let token = random.uuid();
        let token_signature = identity.key.sign_base64(random, &proof_text(name, &token));
        Ok(Some(RegisterReply { token, token_signature, ssid: SSID.to_owned() }))
    }
}

/// Admits messages by their token. Nothing but the server's signature counts: the token of an admin is bound neither
/// to a connection nor to a time.
#[derive(Default)]
pub(super) struct Admission {
    remembered: Remembered<CellToken, ()>,
}

impl Admission {
    pub(super) fn admit(&mut self, token: &CellToken, key: &PublicKey) -> bool {
        self.remembered.get_or_check(token, |token| token.verify(key).ok()).is_some()
    }
}
