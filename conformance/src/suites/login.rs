//! `_cert_login`: who is let in to which study, and how everybody else is refused.

use std::time::Duration;

use flare_wire::Moment;
use flare_wire::auth::{DEFAULT_STUDY, LoginHeaders, SessionToken, proof_text};
use flare_wire::cell::{Headers, Payload, channel};
use flare_wire::certificate::Certificate;
use flare_wire::hci::{Item, Reply, Request};
use flare_wire::is_uuid4;
use flare_wire::msgpack::Value;

use crate::finding::{ensure, ensure_eq};
use crate::raw::{Admin, Authority, NewSubject, read_reply};
use crate::{Case, CaseResult, Context, Finding, Need, Release, Who};

/// A study that no deployment has.
const NO_SUCH_STUDY: &str = "no-such-study-of-the-conformance-suite";

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Who::ALL
        .into_iter()
        .map(|who| {
            Case::new(format!("login.{}", who.slug()), format!("a {who} can log in"), move |context| {
                accepted(context, who)
            })
            .checks(&["LOGIN-OK-001", "LOGIN-OK-002", "LOGIN-OK-003", "LOGIN-OK-005", "LOGIN-STUDY-004"])
            .needs([Need::Admin(who)])
        })
        .collect();
    cases.extend([
        Case::new("login.no-study-header", "without a study header the study is the default one", |context| {
            login(context, |headers| headers.study = None, default_study)
        })
        .checks(&["LOGIN-OK-004"]),
        Case::new("login.base64-signature", "the signature may be base64 text", base64_signature)
            .checks(&["LOGIN-SIGNATURE-001"]),
        Case::new("login.no-argument", "a login names its user", no_argument).checks(&["LOGIN-REJECT-001"]),
        Case::new("login.two-arguments", "a login names one user", two_arguments).checks(&["LOGIN-REJECT-001"]),
        Case::new("login.bad-signature", "a wrong signature is rejected", |context| {
            login(context, |headers| headers.signature = Some(Value::from(&[1; 256][..])), rejected)
        })
        .checks(&["LOGIN-REJECT-001"]),
        Case::new("login.no-headers", "a login without headers is an error", |context| {
            let nothing = |headers: &mut LoginHeaders| {
                *headers = LoginHeaders { user_name: None, certificate: None, signature: None, study: None };
            };
            login(context, nothing, type_error)
        })
        .checks(&["LOGIN-REJECT-002"]),
        Case::new("login.other-user", "a login under another name than the certificate's is rejected", other_user)
            .checks(&["LOGIN-REJECT-001"])
            .needs([Need::Admin(Who::MEMBER), Need::Admin(Who::LEAD)]),
        Case::new("login.other-authority", "a login with a certificate of another root is rejected", other_authority)
            .checks(&["LOGIN-REJECT-001"]),
        Case::new("login.study.not-text", "a study that is no text is refused", |context| {
            login(
                context,
                |headers| headers.study = Some(Value::from(5)),
                |reply| text(reply, "REJECT: AUTH_INVALID_STUDY: study must be a string"),
            )
        })
        .checks(&["LOGIN-STUDY-001"]),
        Case::new("login.study.null", "a study that is null is refused", |context| {
            login(
                context,
                |headers| headers.study = Some(Value::Nil),
                |reply| text(reply, "REJECT: AUTH_INVALID_STUDY: study must be a string"),
            )
        })
        .checks(&["LOGIN-STUDY-001"]),
        Case::new("login.study.bad-name", "a malformed study name is refused", |context| {
            login(
                context,
                |headers| headers.study = Some("BAD NAME".into()),
                |reply| text(reply, "REJECT: AUTH_INVALID_STUDY_NAME: invalid study name 'BAD NAME'"),
            )
        })
        .checks(&["LOGIN-STUDY-002"]),
        Case::new("login.study.unknown", "an unknown study is refused", |context| {
            login(context, |headers| headers.study = Some(NO_SUCH_STUDY.into()), unknown_study)
        })
        .checks(&["LOGIN-STUDY-003"]),
    ]);
    cases
}

async fn accepted(context: Context, who: Who) -> CaseResult {
    let kit = context.kit(who)?;
    let mut admin = Admin::register(kit).await?;
    let headers = admin.login_headers(DEFAULT_STUDY);
    let reply = admin.cert_login(&format!("_cert_login {}", kit.user), &headers).await?;
    let token = token(&admin, &reply)?;
    let chain =
        Certificate::chain_from_pem(&admin.identity.pem).map_err(|_| Finding::harness("the kit's certificate"))?;
    let expiry = chain.first().map(Certificate::not_after);
    ensure_eq!(token.name, kit.user, "user in the token");
    ensure_eq!(token.role, who.role.as_str(), "role in the token");
    ensure_eq!(token.org, kit.org, "organisation in the token");
    ensure_eq!(token.study, DEFAULT_STUDY, "study in the token");
    ensure!(is_uuid4(&token.session_id), "the session id {} is no UUID", token.session_id);
    let told = context.target().is_at_least(Release::V2_9);
    ensure_eq!(token.cert_expiry, expiry.filter(|_| told), "certificate expiry in the token");
    let is_there = token.cert_expiry > Some(Moment::from_unix(Duration::ZERO));
    ensure_eq!(is_there, told, "whether the token has an expiry");
    Ok(())
}

/// The token of a reply that accepts a login, its signature verified.
fn token(admin: &Admin, reply: &Reply) -> CaseResult<SessionToken> {
    ensure!(reply.meta.is_empty(), "meta of the login reply: {:?}", reply.meta);
    match reply.data.as_slice() {
        [Item::String(ok), Item::Token(token)] if ok == "OK" => SessionToken::decode(token, &admin.server.key)
            .map_err(|error| Finding::fail(format!("session token: {}", crate::finding::chain(&error)))),
        _ => Err(Finding::fail(format!("the login was not accepted: {}", reply.to_json()))),
    }
}

/// Logs in with headers that `change` has changed, and hands the reply to `judge`.
async fn login(
    context: Context,
    change: impl FnOnce(&mut LoginHeaders),
    judge: impl FnOnce(&Reply) -> CaseResult,
) -> CaseResult {
    let mut admin = Admin::register(context.any_kit()?).await?;
    let mut headers = admin.login_headers(DEFAULT_STUDY);
    change(&mut headers);
    let line = format!("_cert_login {}", admin.user);
    judge(&admin.cert_login(&line, &headers).await?)?;
    // The endpoint may try again, and is then let in.
    admin.log_in().await
}

/// The reply is this one string, and its meta is empty.
fn text(reply: &Reply, expected: &str) -> CaseResult {
    ensure_eq!(reply.data, [Item::String(expected.to_owned())], "items of the reply");
    ensure!(reply.meta.is_empty(), "meta of the reply: {:?}", reply.meta);
    Ok(())
}

fn rejected(reply: &Reply) -> CaseResult {
    text(reply, "REJECT")
}

fn type_error(reply: &Reply) -> CaseResult {
    let expected = "Exception Occurred: TypeError: 'None' is not an instance of 'bytes'";
    ensure_eq!(reply.data, [Item::Error(expected.to_owned())], "items of the reply");
    ensure_eq!(reply.info(), expected, "info");
    Ok(())
}

fn default_study(reply: &Reply) -> CaseResult {
    let accepted = matches!(reply.data.as_slice(), [Item::String(ok), Item::Token(_)] if ok == "OK");
    ensure!(accepted, "the login was not accepted: {}", reply.to_json());
    Ok(())
}

fn unknown_study(reply: &Reply) -> CaseResult {
    let unknown = format!("REJECT: AUTH_UNKNOWN_STUDY: unknown study '{NO_SUCH_STUDY}'");
    let not_configured =
        format!("REJECT: AUTH_STUDY_NOT_CONFIGURED: study '{NO_SUCH_STUDY}' is not configured on the server");
    text(reply, &unknown).or_else(|_| text(reply, &not_configured))
}

async fn base64_signature(context: Context) -> CaseResult {
    let mut admin = Admin::register(context.any_kit()?).await?;
    let signed = proof_text(&admin.user, "");
    let signature = admin.identity.signing.sign_base64(admin.peer.random(), &signed);
    let headers = LoginHeaders { signature: Some(signature.into()), ..admin.login_headers(DEFAULT_STUDY) };
    let line = format!("_cert_login {}", admin.user);
    let reply = admin.cert_login(&line, &headers).await?;
    token(&admin, &reply).map(drop)
}

async fn no_argument(context: Context) -> CaseResult {
    let mut admin = Admin::register(context.any_kit()?).await?;
    let headers = admin.login_headers(DEFAULT_STUDY);
    rejected(&admin.cert_login("_cert_login", &headers).await?)
}

async fn two_arguments(context: Context) -> CaseResult {
    let mut admin = Admin::register(context.any_kit()?).await?;
    let headers = admin.login_headers(DEFAULT_STUDY);
    let line = format!("_cert_login {} {}", admin.user, admin.user);
    rejected(&admin.cert_login(&line, &headers).await?)
}

/// A member who claims to be the lead, with his own certificate and signature.
async fn other_user(context: Context) -> CaseResult {
    let lead = context.kit(Who::LEAD)?;
    let mut admin = Admin::register(context.kit(Who::MEMBER)?).await?;
    let signature = admin.identity.signing.sign(admin.peer.random(), &proof_text(&lead.user, ""));
    let headers = LoginHeaders::new(&lead.user, &admin.identity.pem, &signature, DEFAULT_STUDY);
    rejected(&admin.cert_login(&format!("_cert_login {}", lead.user), &headers).await?)
}

/// A registered member who presents, for the login, a home-made certificate of the project's administrator.
async fn other_authority(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let mut admin = Admin::register(kit).await?;
    let subject =
        NewSubject { name: &kit.user, org: &kit.org, role: "project_admin", validity: ((2020, 1, 1), (2099, 1, 1)) };
    let forged = Authority::impostor(&kit.server.project_name)?.issue(&subject, &kit.key_pem()?)?;
    let signature = forged.signing.sign(admin.peer.random(), &proof_text(&kit.user, ""));
    let headers = LoginHeaders::new(&kit.user, &forged.pem, &signature, DEFAULT_STUDY);
    let request = Request::new(format!("_cert_login {}", kit.user));
    let payload = Payload::text(&request.to_json());
    let extra: Headers = headers.to_headers();
    let reply = admin.peer.request(channel::HCI, channel::COMMAND, &extra, &payload).await?;
    rejected(&read_reply(&reply)?)
}
