//! A raw peer that went through challenge, register and `_cert_login`, and sends HCI requests.

use flare_wire::PublicKey;
use std::time::{Duration, Instant};
use tokio::time::timeout;

use flare_wire::auth::{ADMIN_CLIENT_TYPE, CellToken, ChallengeReply, ChallengeRequest, LoginHeaders, RegisterReply};
use flare_wire::auth::{DEFAULT_STUDY, RegisterRequest, proof_text};
use flare_wire::cell::{Headers, Message, Payload, channel};
use flare_wire::certificate::Certificate;
use flare_wire::hci::{Item, JsonObject, Reply, Request};
use flare_wire::msgpack::Value;

use super::{Identity, PATIENCE, Peer};
use crate::kits::{AdminKit, ServerAddress};
use crate::{CaseResult, Finding};

/// What a server proves about itself in its answer to a challenge.
#[derive(Debug, Clone)]
pub(crate) struct ServerProof {
    /// The answer.
    pub(crate) reply: ChallengeReply,
    /// The first certificate in it.
    pub(crate) certificate: Certificate,
    /// The key in that certificate.
    pub(crate) key: PublicKey,
    /// The nonce that the client sent.
    pub(crate) nonce: String,
}

/// Sends a challenge in the name of `user` and reads the answer. A real server drops what overtakes its own
/// bookkeeping of a new endpoint, so a challenge that is met with silence is sent again.
pub(crate) async fn challenge(peer: &mut Peer, user: &str) -> CaseResult<ServerProof> {
    const BETWEEN_CHALLENGES: Duration = Duration::from_secs(1);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let asked = timeout(BETWEEN_CHALLENGES, challenge_once(peer, user)).await;
        match asked {
            Ok(answered) => return answered,
            Err(_) if Instant::now() < deadline => {}
            Err(_) => return Err(Finding::fail(format!("the challenge was not answered in {} s", PATIENCE.as_secs()))),
        }
    }
}

async fn challenge_once(peer: &mut Peer, user: &str) -> CaseResult<ServerProof> {
    let nonce = peer.random().uuid();
    let request = ChallengeRequest { common_name: user.to_owned(), nonce: nonce.clone() };
    let reply = peer.request(channel::TASK, channel::CHALLENGE, &request.to_headers(), &Payload::empty()).await?;
    let reply = ChallengeReply::from_value(&value(&reply)?)
        .map_err(|error| Finding::fail(format!("answer to the challenge: {error}")))?;
    let bad = || Finding::fail("the answer to the challenge holds no usable certificate");
    let chain = Certificate::chain_from_pem(&reply.certificate).map_err(|_| bad())?;
    let certificate = chain.into_iter().next().ok_or_else(bad)?;
    let key = certificate.public_key().map_err(|_| bad())?;
    Ok(ServerProof { reply, certificate, key, nonce })
}

/// A register request of `user` with `identity`, which answers the server's `nonce`.
pub(crate) fn register_request(
    peer: &mut Peer,
    user: &str,
    project: &str,
    identity: &Identity,
    nonce: &str,
) -> RegisterRequest {
    RegisterRequest {
        client_name: user.to_owned(),
        client_type: ADMIN_CLIENT_TYPE.to_owned(),
        client_ip: "127.0.0.1".to_owned(),
        project_name: project.to_owned(),
        certificate: identity.pem.clone(),
        signature: identity.signing.sign(peer.random(), &proof_text(user, nonce)),
    }
}

/// Sends a register request.
pub(crate) async fn register(peer: &mut Peer, request: &RegisterRequest) -> CaseResult<Message> {
    peer.request(channel::TASK, channel::REGISTER, &request.to_headers(), &request.to_payload()).await
}

/// The value of a message's payload.
pub(crate) fn value(message: &Message) -> CaseResult<Value> {
    message.body().value().map_err(|error| Finding::fail(format!("the reply's payload: {error}")))
}

/// A registered endpoint, logged in or not.
pub(crate) struct Admin {
    /// The endpoint.
    pub(crate) peer: Peer,
    /// User name.
    pub(crate) user: String,
    /// What it presents.
    pub(crate) identity: Identity,
    /// What it stamps on every message.
    pub(crate) cell_token: CellToken,
    /// What the server proved.
    pub(crate) server: ServerProof,
    /// The session token; none before the login.
    pub(crate) token: Option<String>,
}

impl Admin {
    /// Connects and registers with the kit's own certificate.
    pub(crate) async fn register(kit: &AdminKit) -> CaseResult<Self> {
        let identity = Identity::of_kit(&kit.path)?;
        Self::register_as(&kit.server, &kit.user, identity).await
    }

    /// Connects and registers as `user`.
    pub(crate) async fn register_as(server: &ServerAddress, user: &str, identity: Identity) -> CaseResult<Self> {
        let mut peer = Peer::connect(server, &identity).await?;
        let proof = challenge(&mut peer, user).await?;
        let request = register_request(&mut peer, user, &server.project_name, &identity, &proof.reply.nonce);
        let reply = register(&mut peer, &request).await?;
        let reply = RegisterReply::from_value(&value(&reply)?)
            .map_err(|error| Finding::fail(format!("answer to the registration: {error}")))?
            .ok_or_else(|| Finding::fail("the server answered the registration with an empty map"))?;
        let cell_token = CellToken::of_client(user, &reply);
        peer.set_stamp(cell_token.to_headers());
        Ok(Self { peer, user: user.to_owned(), identity, cell_token, server: proof, token: None })
    }

    /// Connects, registers and logs in to the default study.
    pub(crate) async fn login(kit: &AdminKit) -> CaseResult<Self> {
        Self::login_to(kit, DEFAULT_STUDY).await
    }

    /// Connects, registers and logs in to a study.
    pub(crate) async fn login_to(kit: &AdminKit, study: &str) -> CaseResult<Self> {
        let mut admin = Self::register(kit).await?;
        admin.log_in_to(study).await?;
        Ok(admin)
    }

    /// Logs in to the default study.
    pub(crate) async fn log_in(&mut self) -> CaseResult {
        self.log_in_to(DEFAULT_STUDY).await
    }

    async fn log_in_to(&mut self, study: &str) -> CaseResult {
        let login = self.login_headers(study);
        let reply = self.cert_login(&format!("_cert_login {}", self.user), &login).await?;
        match reply.data.as_slice() {
            [Item::String(ok), Item::Token(token)] if ok == "OK" => {
                self.token = Some(token.clone());
                Ok(())
            }
            _ => Err(Finding::fail(format!("login of {}: {}", self.user, reply.to_json()))),
        }
    }

    /// The session token of an endpoint that is logged in.
    pub(crate) fn session_token(&self) -> CaseResult<String> {
        self.token.clone().ok_or_else(|| Finding::harness("this endpoint is not logged in"))
    }

    /// The login headers of this user for `study`.
    pub(crate) fn login_headers(&mut self, study: &str) -> LoginHeaders {
        let signature = self.identity.signing.sign(self.peer.random(), &proof_text(&self.user, ""));
        LoginHeaders::new(&self.user, &self.identity.pem, &signature, study)
    }

    /// Sends `line` with login headers and without a session token.
    pub(crate) async fn cert_login(&mut self, line: &str, login: &LoginHeaders) -> CaseResult<Reply> {
        self.send(&Request::new(line), &login.to_headers()).await
    }

    /// Runs a command with the session token.
    pub(crate) async fn command(&mut self, line: &str) -> CaseResult<Reply> {
        self.command_with(line, JsonObject::new()).await
    }

    /// Runs a command with the session token and request meta.
    pub(crate) async fn command_with(&mut self, line: &str, meta: JsonObject) -> CaseResult<Reply> {
        let request = Request { token: self.token.clone(), meta, ..Request::new(line) };
        self.send(&request, &Headers::new()).await
    }

    /// Runs a command with this token, or none.
    pub(crate) async fn command_as(&mut self, line: &str, token: Option<&str>) -> CaseResult<Reply> {
        let request = Request { token: token.map(str::to_owned), ..Request::new(line) };
        self.send(&request, &Headers::new()).await
    }

    /// Sends any text as an HCI request.
    pub(crate) async fn send_text(&mut self, text: &str) -> CaseResult<Reply> {
        let reply = self.peer.request(channel::HCI, channel::COMMAND, &Headers::new(), &Payload::text(text)).await?;
        read_reply(&reply)
    }

    async fn send(&mut self, request: &Request, extra: &Headers) -> CaseResult<Reply> {
        let payload = Payload::text(&request.to_json());
        let reply = self
            .peer
            .request(channel::HCI, channel::COMMAND, extra, &payload)
            .await
            .map_err(|finding| finding.during(&format!("command `{}`", request.command)))?;
        read_reply(&reply)
    }
}

/// The HCI reply in a message.
pub(crate) fn read_reply(message: &Message) -> CaseResult<Reply> {
    let text = message.body().as_text().map_err(|error| Finding::fail(format!("the reply's payload: {error}")))?;
    Reply::parse(&text).map_err(|error| Finding::fail(format!("the reply `{text}`: {error}")))
}
