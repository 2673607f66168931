//! Admission: challenge and registration. Both sides prove who they are before anything else is said.
//!
//! Source: `reference/wire-protocol.md` sections 6.2 and 6.3.

use flare_wire::PublicKey;
use flare_wire::Randomness;
use flare_wire::auth::{ADMIN_CLIENT_TYPE, CellToken, RegisterReply, RegisterRequest, proof_text};
use flare_wire::cell::{Headers, ReturnCode, channel};
use flare_wire::endpoint::{OutgoingRequest, Response};
use tokio::time::Instant;

use super::challenge::{Challenged, FIRST_PATIENCE, challenge};
use super::{Connection, Fault};
use crate::clock::Clock;
use crate::startup_kit::StartupKit;
use crate::{Error, ErrorKind, Phase, verdict};

/// Address text in the registration; the server only writes it into its log.
const CLIENT_ADDRESS: &str = "flare-client";

/// What a server answers to a registration for another project (`unauthenticated`). A code of its own would be
/// better; the text is compared whole, and any other one is passed on as the reason.
const OTHER_PROJECT: &str = "Requested task does not match the current server task";

/// How many times as long the answer to a challenge is waited for after one that was repeated confused the server.
const MORE_PATIENCE: u32 = 10;

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
    let mut patience = FIRST_PATIENCE;
    let (challenged, token) = loop {
        let challenged = challenge(connection, kit, clock, random, patience, deadline).await?;
        let token = register(connection, kit, random, &challenged, deadline).await;
        // A server expects the answer to the last challenge it has worked on. Of two that were under way that need not
        // be the one we have the nonce of, and then our signature looks wrong to it. A server that is this slow is given
        // more time before the next challenge is repeated, so that the second of two rounds mostly has only one.
        let is_rejected =
            |error: &Error| error.kind() == ErrorKind::ClientCertificateRejected && Instant::now() < deadline;
        if !challenged.repeated || !token.as_ref().is_err_and(is_rejected) {
            break (challenged, token);
        }
        patience *= MORE_PATIENCE;
    };
    let admission = Admission { stamp: token?.to_headers(), server_key: challenged.server_key };
    connection.admit(admission.clone()).await.map_err(|fault| verdict::of_fault(fault, Phase::Register))?;
    Ok(admission)
}

async fn register(
    connection: &Connection,
    kit: &StartupKit,
    random: &mut Randomness,
    challenged: &Challenged,
    deadline: Instant,
) -> Result<CellToken, Error> {
    let register = RegisterRequest {
        client_name: kit.username().to_owned(),
        client_type: ADMIN_CLIENT_TYPE.to_owned(),
        client_ip: CLIENT_ADDRESS.to_owned(),
        project_name: kit.project_name().to_owned(),
        certificate: kit.certificate_pem().to_vec(),
        signature: kit.key().sign(random, &proof_text(kit.username(), &challenged.nonce)),
    };
    let request = OutgoingRequest {
        headers: register.to_headers(),
        payload: register.to_payload(),
        ..OutgoingRequest::plain(channel::TASK, channel::REGISTER)
    };
    // Not sent again, as the challenge is: a server that is slow would register twice.
    let patience = deadline.saturating_duration_since(Instant::now());
    let response = connection.request(request, patience).await.map_err(|fault| refused(fault, kit))?;
    read_registration(kit, &challenged.server_key, &response)
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

pub(super) fn registration_refused(code: &ReturnCode, text: &str) -> Error {
    let message = if text.is_empty() {
        format!("the server does not register this client: {code}")
    } else {
        format!("the server does not register this client: {text}")
    };
    Error::new(ErrorKind::RegistrationRefused, message).with_code(code.as_str()).with_answer(None, text)
}
