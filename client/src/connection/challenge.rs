//! The challenge: the server proves who it is.
//!
//! Source: `reference/wire-protocol.md` section 6.2.

use std::time::Duration;

use flare_wire::auth::{ChallengeReply, ChallengeRequest, proof_text};
use flare_wire::cell::{ReturnCode, channel};
use flare_wire::certificate::{Certificate, CertificateError, verify_chain};
use flare_wire::endpoint::{OutgoingRequest, Response};
use flare_wire::{PublicKey, Randomness};
use tokio::time::Instant;

use super::admission::registration_refused;
use super::dial::identity_mismatch;
use super::{Connection, Fault};
use crate::clock::Clock;
use crate::startup_kit::StartupKit;
use crate::{Error, ErrorKind, Phase, verdict};

/// First pause before a server that is still starting is asked again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long the first answer is waited for before the challenge is sent again; it doubles each time. A real server
/// answers within some ten milliseconds. It says READY before it has entered the endpoint, though, and loses a message
/// that overtakes that (seen with `tcp` in one of ten connections; the official client pauses a second and never meets
/// it).
pub(super) const FIRST_PATIENCE: Duration = Duration::from_millis(50);

/// What a starting server answers before its handlers are there (`process_exception`).
const NO_CALLBACK: &str = "no callback";

/// A server that has proved who it is.
pub(super) struct Challenged {
    /// Verifies what the server signs.
    pub(super) server_key: PublicKey,
    /// What the client has to sign.
    pub(super) nonce: String,
    /// True when the challenge was sent more than once.
    pub(super) repeated: bool,
}

/// Asks the server to prove who it is, again after `patience`.
pub(super) async fn challenge(
    connection: &Connection,
    kit: &StartupKit,
    clock: Clock,
    random: &mut Randomness,
    patience: Duration,
    deadline: Instant,
) -> Result<Challenged, Error> {
    let nonce = random.uuid();
    let request = ChallengeRequest { common_name: kit.username().to_owned(), nonce: nonce.clone() };
    let (response, repeated) = ask(connection, &request, patience, deadline).await?;
    let (server_key, nonce) = verify_server(kit, clock, &response, &nonce)?;
    Ok(Challenged { server_key, nonce, repeated })
}

/// Sends the challenge until it is answered, or until the deadline. A server that is starting takes connections before it
/// takes requests, and one that is busy takes its time.
async fn ask(
    connection: &Connection,
    challenge: &ChallengeRequest,
    patience: Duration,
    deadline: Instant,
) -> Result<(Box<Response>, bool), Error> {
    let started = Instant::now();
    let (mut wait, mut pause) = (patience, FIRST_PAUSE);
    let mut repeated = false;
    loop {
        let request = OutgoingRequest {
            headers: challenge.to_headers(),
            ..OutgoingRequest::plain(channel::TASK, channel::CHALLENGE)
        };
        let left = deadline.saturating_duration_since(Instant::now());
        match connection.request(request, wait.min(left)).await {
            Ok(response) => return Ok((response, repeated)),
            Err(Fault::TimedOut { .. }) if Instant::now() < deadline => wait *= 2,
            Err(Fault::TimedOut { .. }) => return Err(Error::timed_out(Phase::Challenge, started.elapsed())),
            Err(fault) if is_starting(&fault) => {
                if Instant::now() + pause >= deadline {
                    let waited = Error::timed_out(Phase::Challenge, started.elapsed());
                    return Err(waited.with_hint("the server is there but not in service yet: try again later"));
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(Fault::Answered { code, text }) => return Err(registration_refused(&code, &text)),
            Err(fault) => return Err(verdict::of_fault(fault, Phase::Challenge)),
        }
        repeated = true;
    }
}

fn is_starting(fault: &Fault) -> bool {
    match fault {
        Fault::Answered { code: ReturnCode::TargetUnreachable | ReturnCode::CommError, .. } => true,
        Fault::Answered { code: ReturnCode::ProcessException, text } => text == NO_CALLBACK,
        _ => false,
    }
}

/// Checks everything the server says about itself; gives its key and its nonce.
fn verify_server(
    kit: &StartupKit,
    clock: Clock,
    response: &Response,
    nonce: &str,
) -> Result<(PublicKey, String), Error> {
    let violation = |message: &str| Error::new(ErrorKind::ProtocolViolation, message);
    let value = response
        .payload
        .value()
        .map_err(|error| violation("the answer to the challenge cannot be read").with_source(error))?;
    let reply = ChallengeReply::from_value(&value)
        .map_err(|error| violation("the answer to the challenge is incomplete").with_source(error))?;
    if reply.common_name != kit.server_identity() {
        return Err(identity_mismatch(kit.server_identity(), &reply.common_name));
    }
    let untrusted = |message: &str| Error::new(ErrorKind::ServerCertificateUntrusted, message);
    let chain = Certificate::chain_from_pem(&reply.certificate)
        .map_err(|error| untrusted("the server sent no usable certificate").with_source(error))?;
    verify_chain(&chain, kit.roots(), clock.now()).map_err(|error| {
        let kind = match error {
            CertificateError::Expired { .. } => ErrorKind::ServerCertificateExpired,
            CertificateError::NotYetValid { .. } => ErrorKind::ClockSkew,
            _ => ErrorKind::ServerCertificateUntrusted,
        };
        Error::new(kind, "the server's certificate is not acceptable").with_source(error)
    })?;
    let certificate = &chain[0];
    if certificate.common_name() != reply.common_name {
        return Err(identity_mismatch(kit.server_identity(), certificate.common_name()));
    }
    if certificate.is_ca() || !certificate.allows_digital_signature() || !certificate.allows_server_auth() {
        return Err(untrusted("the server's certificate was not issued for a server"));
    }
    let key =
        certificate.public_key().map_err(|error| untrusted("the server's key cannot be used").with_source(error))?;
    key.verify(&proof_text(&reply.common_name, nonce), &reply.signature).map_err(|error| {
        let message = "the server did not prove that its certificate is its own";
        Error::new(ErrorKind::ServerIdentityMismatch, message).with_source(error)
    })?;
    Ok((key, reply.nonce))
}
