//! Who may talk to the server: TLS, challenge, registration and the stamp on every message. After every refusal the
//! server must serve others as before.

use bytes::Bytes;
use flare_wire::auth::{CellToken, RegisterReply, RegisterRequest, proof_text};
use flare_wire::cell::{Headers, Message, Payload, ReturnCode, channel, headers};
use flare_wire::hci::Request;
use flare_wire::is_uuid4;

use crate::finding::{ensure, ensure_eq};
use crate::kits::AdminKit;
use crate::raw::{
    Admin, Authority, HalfOpen, Identity, NewSubject, Peer, TlsRefusal, challenge, probe, register, register_request,
    value,
};
use crate::{Case, CaseResult, Context, Finding, Need};

/// A validity that spans every day this suite may run on.
const ALWAYS: ((i32, u8, u8), (i32, u8, u8)) = ((2020, 1, 1), (2099, 1, 1));
const LONG_AGO: ((i32, u8, u8), (i32, u8, u8)) = ((2020, 1, 1), (2021, 1, 1));
const FAR_AHEAD: ((i32, u8, u8), (i32, u8, u8)) = ((2090, 1, 1), (2099, 1, 1));

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("authentication.tls.no-certificate", "no client certificate, no connection", |context| {
            refused(context, |_, _| Ok(None))
        })
        .checks(&["AUTH-TLS-001"]),
        Case::new("authentication.tls.other-authority", "a certificate of another root is turned away", |context| {
            refused(context, |_, kit| impostor(kit).map(Some))
        })
        .checks(&["AUTH-TLS-002"]),
        Case::new("authentication.tls.expired", "an expired certificate is turned away", |context| {
            refused(context, |context, kit| issue(context, kit, LONG_AGO).map(Some))
        })
        .checks(&["AUTH-TLS-003"])
        .needs([Need::RootKey]),
        Case::new("authentication.tls.not-yet-valid", "a certificate of the future is turned away", |context| {
            refused(context, |context, kit| issue(context, kit, FAR_AHEAD).map(Some))
        })
        .checks(&["AUTH-TLS-003"])
        .needs([Need::RootKey]),
        Case::new(
            "authentication.tls.new-certificate",
            "another certificate of the project's root is accepted",
            reissued,
        )
        .checks(&["AUTH-TLS-004"])
        .needs([Need::RootKey]),
        Case::new("authentication.challenge", "the server proves who it is", server_proof)
            .checks(&["AUTH-CHALLENGE-001"]),
        Case::new("authentication.register", "a registration gives a signed token", registration)
            .checks(&["AUTH-REGISTER-001"]),
        Case::new("authentication.register.no-challenge", "a registration needs a challenge", no_challenge)
            .checks(&["AUTH-REGISTER-002"]),
        Case::new("authentication.register.twice", "a challenge is used up by a registration", register_twice)
            .checks(&["AUTH-REGISTER-003"]),
        Case::new("authentication.register.other-endpoint", "a challenge belongs to its endpoint", other_endpoint)
            .checks(&["AUTH-REGISTER-006"]),
        Case::new("authentication.register.wrong-project", "another project is refused", wrong_project)
            .checks(&["AUTH-REGISTER-004"]),
        Case::new("authentication.register.bad-signature", "a wrong signature gives an empty map", |context| {
            empty_map(context, |_, _, request| {
                request.signature.reverse();
                Ok(())
            })
        })
        .checks(&["AUTH-REGISTER-005"]),
        Case::new("authentication.register.other-name", "a name that is not the certificate's gives an empty map", {
            |context| empty_map(context, other_name)
        })
        .checks(&["AUTH-REGISTER-005"]),
        Case::new("authentication.register.other-authority", "a foreign certificate gives an empty map", |context| {
            empty_map(context, |_, kit, request| {
                request.certificate = impostor(kit)?.pem;
                Ok(())
            })
        })
        .checks(&["AUTH-REGISTER-005"]),
        Case::new("authentication.register.expired", "an expired certificate gives an empty map", |context| {
            empty_map(context, |context, kit, request| {
                request.certificate = issue(context, kit, LONG_AGO)?.pem;
                Ok(())
            })
        })
        .checks(&["AUTH-REGISTER-007"])
        .needs([Need::RootKey]),
        Case::new("authentication.stamp.missing", "a message without a stamp gets silence", |context| {
            silence(context, |_| Ok(Headers::new()))
        })
        .checks(&["AUTH-STAMP-001"]),
        Case::new("authentication.stamp.no-signature", "a token without a signature gets silence", |context| {
            silence(context, |admin| {
                let mut stamp = admin.cell_token.to_headers();
                stamp.remove(headers::TOKEN_SIGNATURE);
                Ok(stamp)
            })
        })
        .checks(&["AUTH-STAMP-001"]),
        Case::new(
            "authentication.stamp.forged-token",
            "a token that was signed by its holder gets silence",
            |context| silence(context, forged),
        )
        .checks(&["AUTH-STAMP-001"]),
        Case::new("authentication.stamp.other-name", "a token under another name gets silence", |context| {
            silence(context, |admin| {
                Ok(CellToken { client_name: "somebody@else.org".to_owned(), ..admin.cell_token.clone() }.to_headers())
            })
        })
        .checks(&["AUTH-STAMP-001"]),
        Case::new("authentication.stamp.other-connection", "a token works on another connection", other_connection)
            .checks(&["AUTH-STAMP-002"]),
        Case::new("authentication.stamp.no-ssid", "the stamp needs no ssid", no_ssid).checks(&["AUTH-STAMP-003"]),
        Case::new("authentication.half-handshakes", "connections that fall silent harm nobody", half_handshakes)
            .checks(&["AUTH-HARM-001"]),
        // Not over tcp: a real 2.9.0 server does one TLS handshake at a time there, so the case would shut every
        // other one out for as long as it lasts.
        Case::new(
            "authentication.half-handshakes.tls",
            "connections that fall silent within TLS harm nobody",
            half_tls,
        )
        .checks(&["AUTH-HARM-002"])
        .needs([Need::Scheme("http")]),
    ]
}

/// A certificate like that of `kit`, issued by a root of our own with the project's name.
fn impostor(kit: &AdminKit) -> CaseResult<Identity> {
    let key = kit.key_pem()?;
    Authority::impostor(&kit.server.project_name)?.issue(&subject(kit, ALWAYS), &key)
}

/// A certificate like that of `kit`, issued by the project's root for another time.
fn issue(context: &Context, kit: &AdminKit, validity: ((i32, u8, u8), (i32, u8, u8))) -> CaseResult<Identity> {
    let key = kit.key_pem()?;
    Authority::of_project(&context.root_key()?)?.issue(&subject(kit, validity), &key)
}

fn subject(kit: &AdminKit, validity: ((i32, u8, u8), (i32, u8, u8))) -> NewSubject<'_> {
    let role = kit.role.map_or("", |role| role.as_str());
    NewSubject { name: &kit.user, org: &kit.org, role, validity }
}

/// Somebody with a genuine kit can still log in.
async fn unharmed(context: &Context) -> CaseResult {
    let login = Admin::login(context.any_kit()?).await;
    login.map(drop).map_err(|finding| finding.during("login after the refusal"))
}

/// TLS with this identity is turned away before anything was said.
async fn refused(
    context: Context,
    identity: impl FnOnce(&Context, &AdminKit) -> CaseResult<Option<Identity>>,
) -> CaseResult {
    let kit = context.any_kit()?;
    let identity = identity(&context, kit)?;
    match probe(&kit.server, identity.as_ref()).await {
        TlsRefusal::Refused(_) => unharmed(&context).await,
        TlsRefusal::Accepted => Err(Finding::fail("the server accepted the connection")),
    }
}

async fn reissued(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let mut admin = Admin::register_as(&kit.server, &kit.user, issue(&context, kit, ALWAYS)?).await?;
    admin.log_in().await
}

async fn server_proof(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let mut peer = Peer::connect(&kit.server, &Identity::of_kit(&kit.path)?).await?;
    let proof = challenge(&mut peer, &kit.user).await?;
    ensure_eq!(proof.reply.common_name, kit.server.server_identity, "the server's name");
    ensure_eq!(proof.certificate.common_name(), kit.server.server_identity, "CN of the server's certificate");
    ensure!(is_uuid4(&proof.reply.nonce), "the nonce {} is no UUID", proof.reply.nonce);
    let signed = proof_text(&proof.reply.common_name, &proof.nonce);
    ensure_eq!(proof.key.verify(&signed, &proof.reply.signature), Ok(()), "signature");
    let second = challenge(&mut peer, &kit.user).await?;
    ensure!(second.reply.nonce != proof.reply.nonce, "the nonce was used twice");
    Ok(())
}

async fn registration(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let admin = Admin::register(kit).await?;
    ensure!(is_uuid4(&admin.cell_token.token), "the token {} is no UUID", admin.cell_token.token);
    ensure_eq!(admin.cell_token.verify(&admin.server.key), Ok(()), "signature over name and token");
    ensure_eq!(admin.cell_token.ssid.as_deref(), Some("NA"), "ssid");
    let second = Admin::register(kit).await?;
    ensure!(second.cell_token.token != admin.cell_token.token, "the token was given twice");
    Ok(())
}

/// Checks that `reply` is an error with return code unauthenticated and this text.
fn unauthenticated(reply: &Message, text: &str) -> CaseResult {
    ensure_eq!(reply.return_code(), ReturnCode::Unauthenticated, "return code");
    ensure_eq!(reply.headers.text(headers::ERROR), Some(text), "error text");
    Ok(())
}

async fn no_challenge(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let identity = Identity::of_kit(&kit.path)?;
    let mut peer = Peer::connect(&kit.server, &identity).await?;
    let request = register_request(&mut peer, &kit.user, &kit.server.project_name, &identity, "nonce");
    unauthenticated(&register(&mut peer, &request).await?, "no registration session")?;
    unharmed(&context).await
}

async fn register_twice(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let mut admin = Admin::register(kit).await?;
    let nonce = admin.server.reply.nonce.clone();
    let request = register_request(&mut admin.peer, &kit.user, &kit.server.project_name, &admin.identity, &nonce);
    unauthenticated(&register(&mut admin.peer, &request).await?, "no registration session")
}

async fn other_endpoint(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let identity = Identity::of_kit(&kit.path)?;
    let mut first = Peer::connect(&kit.server, &identity).await?;
    let mut second = Peer::connect(&kit.server, &identity).await?;
    let proof = challenge(&mut first, &kit.user).await?;
    let request = register_request(&mut second, &kit.user, &kit.server.project_name, &identity, &proof.reply.nonce);
    unauthenticated(&register(&mut second, &request).await?, "no registration session")?;
    let reply = RegisterReply::from_value(&value(&register(&mut first, &request).await?)?);
    ensure!(matches!(reply, Ok(Some(_))), "the endpoint that sent the challenge was refused: {reply:?}");
    Ok(())
}

/// Sends a registration that `spoil` has spoiled, after a genuine challenge.
async fn spoiled_registration(
    context: &Context,
    spoil: impl FnOnce(&Context, &AdminKit, &mut RegisterRequest) -> CaseResult,
) -> CaseResult<(Peer, Message)> {
    let kit = context.any_kit()?;
    let identity = Identity::of_kit(&kit.path)?;
    let mut peer = Peer::connect(&kit.server, &identity).await?;
    let nonce = challenge(&mut peer, &kit.user).await?.reply.nonce;
    let mut request = register_request(&mut peer, &kit.user, &kit.server.project_name, &identity, &nonce);
    spoil(context, kit, &mut request)?;
    let reply = register(&mut peer, &request).await?;
    Ok((peer, reply))
}

async fn wrong_project(context: Context) -> CaseResult {
    let wrong = |_: &Context, _: &AdminKit, request: &mut RegisterRequest| {
        request.project_name.push_str("-of-somebody-else");
        Ok(())
    };
    let (_, reply) = spoiled_registration(&context, wrong).await?;
    unauthenticated(&reply, "Requested task does not match the current server task")?;
    unharmed(&context).await
}

async fn empty_map(
    context: Context,
    spoil: impl FnOnce(&Context, &AdminKit, &mut RegisterRequest) -> CaseResult,
) -> CaseResult {
    let (_, reply) = spoiled_registration(&context, spoil).await?;
    ensure_eq!(reply.return_code(), ReturnCode::Ok, "return code");
    let body = value(&reply)?;
    ensure!(body.as_map().is_some_and(Vec::is_empty), "the reply is no empty map but {body}");
    unharmed(&context).await
}

fn other_name(_: &Context, kit: &AdminKit, request: &mut RegisterRequest) -> CaseResult {
    request.client_name = format!("not-{}", kit.user);
    Ok(())
}

/// Sends a command, plain and streamed, under this stamp: no answer comes, while later genuine ones are answered.
async fn silence(context: Context, stamp: impl FnOnce(&mut Admin) -> CaseResult<Headers>) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let genuine = admin.cell_token.to_headers();
    let stamp = stamp(&mut admin)?;
    let request = Request { token: admin.token.clone(), ..Request::new("list_sessions") };
    let command = Payload::text(&request.to_json());
    admin.peer.set_stamp(stamp);
    admin.peer.send_request(channel::HCI, channel::COMMAND, &Headers::new(), &command).await?;
    admin.peer.send_request("no_such_channel", "topic", &Headers::new(), &Payload::empty()).await?;
    let stream = admin.peer.stream(channel::HCI, channel::COMMAND, command);
    admin.peer.send_stream(&stream, &Headers::new()).await?;
    admin.peer.set_stamp(genuine);
    for _ in 0..3 {
        admin.command("list_sessions").await?;
    }
    ensure!(admin.peer.leftover().is_none(), "the server answered: {:?}", admin.peer.leftover());
    Ok(())
}

/// A token of our own, signed with the administrator's key instead of the server's.
fn forged(admin: &mut Admin) -> CaseResult<Headers> {
    let token = admin.peer.random().uuid();
    let text = proof_text(&admin.user, &token);
    let signature = admin.identity.signing.sign_base64(admin.peer.random(), &text);
    Ok(CellToken { token, signature, ..admin.cell_token.clone() }.to_headers())
}

async fn other_connection(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let first = Admin::login(kit).await?;
    let mut second = Admin::register(kit).await?;
    second.peer.set_stamp(first.cell_token.to_headers());
    second.token = first.token.clone();
    drop(first);
    second.command("list_sessions").await.map(drop)
}

async fn no_ssid(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let mut stamp = admin.cell_token.to_headers();
    stamp.remove(headers::SSID);
    admin.peer.set_stamp(stamp);
    admin.command("list_sessions").await.map(drop)
}

async fn half_tls(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(HalfOpen::connected(&kit.server).await?);
        silent.push(HalfOpen::half_client_hello(&kit.server).await?);
    }
    unharmed(&context).await?;
    drop(silent);
    unharmed(&context).await
}

async fn half_handshakes(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let identity = Identity::of_kit(&kit.path)?;
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(HalfOpen::tls(&kit.server, &identity).await?);
    }
    // An endpoint without HELLO, one with HELLO, one with a challenge, and one that promises a stream.
    let _open = Peer::open(&kit.server, &identity).await?;
    let _greeted = Peer::connect(&kit.server, &identity).await?;
    let mut challenged = Peer::connect(&kit.server, &identity).await?;
    challenge(&mut challenged, &kit.user).await?;
    let mut promising = Admin::register(kit).await?;
    let stream = promising.peer.stream(channel::HCI, channel::COMMAND, Payload::text(&"x".repeat(1000)));
    let (chunk, _) = promising.peer.chunks(&stream, 100).swap_remove(0);
    promising.peer.send_message(&chunk, Bytes::from(vec![0; 100])).await?;
    unharmed(&context).await?;
    drop(silent);
    unharmed(&context).await
}
