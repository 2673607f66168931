//! Challenge and registration: both sides prove who they are before anything else is said.
//!
//! Source: `reference/wire-protocol.md` sections 6.2 and 6.3.

use std::time::Duration;

use flare_wire::auth::{
    ADMIN_CLIENT_TYPE, CellToken, ChallengeReply, ChallengeRequest, RegisterReply, RegisterRequest, proof_text,
};
use flare_wire::cell::{Headers, ReturnCode, channel};
use flare_wire::certificate::{Certificate, CertificateError, verify_chain};
use flare_wire::endpoint::{OutgoingRequest, Response};
use flare_wire::{PublicKey, Randomness};
use tokio::time::Instant;

use super::dial::identity_mismatch;
use super::{Connection, Fault};
use crate::clock::Clock;
use crate::startup_kit::StartupKit;
use crate::{Error, ErrorKind, Phase, verdict};

/// First pause before a server that is still starting is asked again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Address text in the registration; the server only writes it into its log.
const CLIENT_ADDRESS: &str = "flare-client";

/// What a starting server answers before its handlers are there (`process_exception`).
const NO_CALLBACK: &str = "no callback";
/// What a server answers to a registration for another project (`unauthenticated`). A code of its own would be
/// better; the text is compared whole, and any other one is passed on as the reason.
const OTHER_PROJECT: &str = "Requested task does not match the current server task";

/// What a registered client and its server know of each other.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    /// What we stamp on our messages.
    pub(crate) stamp: Headers,
    /// What the server's stamp is verified with.
    pub(crate) server_key: PublicKey,
}

/// Verifies the server and registers the user.
pub(crate) async fn admit(
    connection: &Connection,
    kit: &StartupKit,
    clock: Clock,
    random: &mut Randomness,
    deadline: Instant,
) -> Result<Admission, Error> {
    let nonce = random.uuid();
    let challenge = ChallengeRequest { common_name: kit.username().to_owned(), nonce: nonce.clone() };
    let response = ask_until_ready(connection, kit, &challenge, deadline).await?;
    let (server_key, server_nonce) = verify_server(kit, clock, &response, &nonce)?;

    let register = RegisterRequest {
        client_name: kit.username().to_owned(),
        client_type: ADMIN_CLIENT_TYPE.to_owned(),
        client_ip: CLIENT_ADDRESS.to_owned(),
        project_name: kit.project_name().to_owned(),
        certificate: kit.certificate_pem().to_vec(),
        signature: kit.key().sign(random, &proof_text(kit.username(), &server_nonce)),
    };
    let request = OutgoingRequest {
        headers: register.to_headers(),
        payload: register.to_payload(),
        ..OutgoingRequest::plain(channel::TASK, channel::REGISTER)
    };
    let response = connection.request(request, patience(kit, deadline)).await.map_err(|fault| refused(fault, kit))?;
    let token = read_registration(kit, &server_key, &response)?;
    let admission = Admission { stamp: token.to_headers(), server_key };
    connection.admit(admission.clone()).await.map_err(|fault| verdict::of_fault(fault, Phase::Register))?;
    Ok(admission)
}

/// A single message gets the kit's patience, and all together the caller's.
fn patience(kit: &StartupKit, deadline: Instant) -> Duration {
    kit.message_timeout().min(deadline.saturating_duration_since(Instant::now()))
}

/// A server that is starting takes connections before it takes requests. How long that lasts is its own affair, so it
/// is asked again until the deadline.
async fn ask_until_ready(
    connection: &Connection,
    kit: &StartupKit,
    challenge: &ChallengeRequest,
    deadline: Instant,
) -> Result<Box<Response>, Error> {
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let request = OutgoingRequest {
            headers: challenge.to_headers(),
            ..OutgoingRequest::plain(channel::TASK, channel::CHALLENGE)
        };
        let fault = match connection.request(request, patience(kit, deadline)).await {
            Ok(response) => return Ok(response),
            Err(fault) => fault,
        };
        if !is_starting(&fault) {
            return Err(match fault {
                Fault::Answered { code, text } => registration_refused(&code, &text),
                other => verdict::of_fault(other, Phase::Challenge),
            });
        }
        if Instant::now() + pause >= deadline {
            let waited = Error::timed_out(Phase::Challenge, started.elapsed());
            return Err(waited.with_hint("the server is there but not in service yet: try again later"));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
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

fn read_registration(kit: &StartupKit, server_key: &PublicKey, response: &Response) -> Result<CellToken, Error> {
    let violation = |message: &str| Error::new(ErrorKind::ProtocolViolation, message);
    let value = response
        .payload
        .value()
        .map_err(|error| violation("the answer to the registration cannot be read").with_source(error))?;
    let reply = RegisterReply::from_value(&value)
        .map_err(|error| violation("the answer to the registration is incomplete").with_source(error))?;
    let Some(reply) = reply else {
        let message = "the server accepts neither this certificate nor its signature for this user";
        return Err(Error::new(ErrorKind::ClientCertificateRejected, message));
    };
    let token = CellToken::of_client(kit.username(), &reply);
    token.verify(server_key).map_err(|error| {
        let message = "the token of the registration was not signed by the server";
        Error::new(ErrorKind::ServerIdentityMismatch, message).with_source(error)
    })?;
    Ok(token)
}

fn refused(fault: Fault, kit: &StartupKit) -> Error {
    match fault {
        Fault::Answered { code: ReturnCode::Unauthenticated, text } if text == OTHER_PROJECT => {
            let message = format!("the server does not run the project {:?}", kit.project_name());
            Error::new(ErrorKind::ProjectMismatch, message).with_answer(None, text)
        }
        Fault::Answered { code, text } => registration_refused(&code, &text),
        other => verdict::of_fault(other, Phase::Register),
    }
}

fn registration_refused(code: &ReturnCode, text: &str) -> Error {
    let message = if text.is_empty() {
        format!("the server does not register this client: {code}")
    } else {
        format!("the server does not register this client: {text}")
    };
    Error::new(ErrorKind::RegistrationRefused, message).with_code(code.as_str()).with_answer(None, text)
}
