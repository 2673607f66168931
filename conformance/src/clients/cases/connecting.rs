//! How a session is opened, and what keeps it from being opened.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flare_client::{StudyName, StudySites};
use flare_simserver::SimServer;
use flare_simserver::faults::{Direction, Fault};
use flare_wire::auth::proof_text;
use flare_wire::cell::{channel, headers};
use flare_wire::certificate::Certificate;
use flare_wire::frame::FrameKind;
use flare_wire::is_uuid4;
use flare_wire::msgpack::Value as Wired;
use serde_json::{Value, json};

use super::{CONNECTION, about, case};
use crate::clients::bout::{Bout, CHIEF, PATIENCE, SITE};
use crate::clients::kit_copy::copied;
use crate::clients::process::{Answer, Subject};
use crate::clients::wire::Wire;
use crate::finding::{chain, ensure, ensure_eq};
use crate::simulated::project;
use crate::{Case, CaseResult, Finding};

/// The time that is given for what cannot come to a good end.
const SHORT: f64 = 3.0;

/// How much longer than it was given a client may take. The official one looks at its watch only when a message has
/// timed out, and starts processes; the rest is for a busy machine.
const SLACK: Duration = Duration::from_secs(30);

pub(super) fn cases(subject: &Arc<Subject>) -> Vec<Case> {
    vec![
        case(
            subject,
            about("open.handshake", "HELLO comes first, from a fresh endpoint of an admin", &["CLIENT-OPEN-001"], &[]),
            handshake,
        ),
        case(
            subject,
            about(
                "open.proofs",
                "the server has to prove itself, and the client proves itself",
                &["CLIENT-OPEN-002"],
                &[],
            ),
            proofs,
        ),
        case(
            subject,
            about("open.login", "the login is signed and says who asks for what", &["CLIENT-OPEN-003"], &[]),
            login,
        ),
        case(subject, about("open.once", "one connection and one login are enough", &["CLIENT-OPEN-004"], &[]), once),
        case(
            subject,
            about(
                "open.stamp",
                "every message after the registration bears the client's token",
                &["CLIENT-STAMP-001"],
                &[],
            ),
            stamp,
        ),
        case(
            subject,
            about(
                "open.study",
                "a session in a study says so in its login",
                &["CLIENT-OPEN-003", "STUDY-LOGIN-001"],
                &[],
            ),
            study,
        ),
        case(
            subject,
            about("open.study-unknown", "a refused study is told with the server's code", &["CONNECT-STUDY-001"], &[]),
            study_unknown,
        ),
        case(subject, about("open.nobody", "nobody listens", &["CONNECT-REFUSED-001"], &[]), nobody),
        case(subject, about("open.silent", "the server says nothing", &["CONNECT-TIMEOUT-001"], &[]), silent),
        case(
            subject,
            about("open.root", "the server's certificate is of another root", &["CONNECT-SERVER-001"], &[]),
            other_root,
        ),
        case(
            subject,
            about("open.identity", "the server is somebody else", &["CONNECT-SERVER-002"], &[]),
            other_identity,
        ),
        case(
            subject,
            about("open.project", "the server runs another project", &["CONNECT-PROJECT-001"], &[]),
            other_project,
        ),
        case(subject, about("open.kit", "the kit is not there", &["CONNECT-KIT-001"], &[]), no_kit),
    ]
}

async fn handshake(subject: Arc<Subject>) -> CaseResult {
    let bout = Bout::opened(&subject).await?;
    ensure_eq!(bout.wire.first_frames().first(), Some(&FrameKind::Hello), "the first frame");
    let origins: Vec<String> =
        bout.wire.messages_in().iter().filter_map(|message| message.text(headers::ORIGIN).map(str::to_owned)).collect();
    let admin = origins.first().and_then(|origin| origin.strip_prefix("_admin_"));
    ensure!(admin.is_some_and(is_uuid4), "the endpoint is {:?}, no _admin_ with a UUID", origins.first());
    Ok(())
}

async fn proofs(subject: Arc<Subject>) -> CaseResult {
    let bout = Bout::opened(&subject).await?;
    ensure!(bout.wire.challenges() > 0, "the server was not asked for a proof of its identity");
    let registrations = bout.wire.registrations();
    let Some((_, request)) = registrations.first() else {
        return Err(Finding::fail("there was no registration"));
    };
    ensure_eq!(request.client_name.as_str(), CHIEF, "client name of the registration");
    ensure_eq!(request.client_type.as_str(), "admin", "client type of the registration");
    ensure_eq!(request.project_name.as_str(), "conformance", "project of the registration");
    ensure!(!request.signature.is_empty(), "the registration has no signature");
    Ok(())
}

/// The bytes of a header that is bytes or text.
fn bytes(value: Option<&Wired>) -> Vec<u8> {
    match value {
        Some(Wired::Binary(bytes)) => bytes.clone(),
        Some(Wired::String(text)) => text.as_str().unwrap_or_default().as_bytes().to_vec(),
        _ => Vec::new(),
    }
}

async fn login(subject: Arc<Subject>) -> CaseResult {
    let bout = Bout::opened(&subject).await?;
    let logins = bout.wire.logins();
    let Some(login) = logins.first() else { return Err(Finding::fail("there was no login")) };
    ensure_eq!(login.user_name.as_ref().and_then(Wired::as_str), Some(CHIEF), "user of the login");
    ensure_eq!(login.study.as_ref().and_then(Wired::as_str), Some("default"), "study of the login");
    let chain = Certificate::chain_from_pem(&bytes(login.certificate.as_ref()));
    let chain = chain.map_err(|error| Finding::fail(format!("the certificate of the login: {error}")))?;
    let Some(certificate) = chain.first() else { return Err(Finding::fail("the login has no certificate")) };
    ensure_eq!(certificate.common_name(), CHIEF, "common name of the login's certificate");
    let key = certificate.public_key().map_err(|error| Finding::fail(error.to_string()))?;
    let (text, signature) = (proof_text(CHIEF, ""), bytes(login.signature.as_ref()));
    let is_good = key.verify(&text, &signature).is_ok()
        || std::str::from_utf8(&signature).is_ok_and(|signature| key.verify_base64(&text, signature).is_ok());
    ensure!(is_good, "the signature of the login is not by the certificate's key");
    Ok(())
}

async fn once(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    bout.value("list_jobs", json!({})).await?;
    ensure_eq!((bout.wire.opened(), bout.wire.logins().len()), (1, 1), "connections and logins of one session");
    Ok(())
}

async fn stamp(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::connected(&subject).await?;
    bout.value("list_jobs", json!({})).await?;
    let messages = bout.wire.messages_in();
    let registered = messages.iter().position(|message| {
        message.text(headers::TOPIC) == Some(channel::REGISTER)
            || message.text(headers::STREAM_TOPIC) == Some(channel::REGISTER)
    });
    let Some(registered) = registered else { return Err(Finding::fail("there was no registration")) };
    // Acknowledgements of the answer to the registration may still go without.
    let commands = messages.iter().skip(registered + 1).filter(|message| {
        message.text(headers::CHANNEL) == Some(channel::HCI)
            || message.text(headers::STREAM_CHANNEL) == Some(channel::HCI)
    });
    let mut count = 0;
    for message in commands {
        count += 1;
        for name in [headers::CLIENT_NAME, headers::TOKEN, headers::TOKEN_SIGNATURE] {
            ensure!(message.get(name).is_some(), "a message with a command has no {name}");
        }
        ensure_eq!(message.text(headers::CLIENT_NAME), Some(CHIEF), "client name of a message");
    }
    ensure!(count > 0, "no message with a command was seen");
    Ok(())
}

async fn study(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::open(&subject).await?;
    let session = bout.own_session().await?;
    session.register_study(&StudyName::new("trial")?, &StudySites::of_org("hospital", [SITE])?).await?;
    session.close().await;
    bout.wire.forget();
    let mut arguments = bout.connecting(CHIEF)?;
    arguments["study"] = "trial".into();
    bout.log_in_with(arguments, PATIENCE).await?.value("connect")?;
    let studies: Vec<_> = bout.wire.logins().iter().map(|login| login.study.clone()).collect();
    ensure!(
        studies.iter().all(|study| study.as_ref().and_then(Wired::as_str) == Some("trial")),
        "studies of the logins: {studies:?}"
    );
    Ok(())
}

async fn study_unknown(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::open(&subject).await?;
    let session = bout.own_session().await?;
    session.register_study(&StudyName::new("trial")?, &StudySites::of_org("hospital", [SITE])?).await?;
    session.close().await;
    bout.wire.forget();
    let mut arguments = bout.connecting(CHIEF)?;
    arguments["study"] = "nowhere".into();
    let failure = bout.log_in_with(arguments, PATIENCE).await?.failure("connect")?;
    ensure_eq!(failure.kind.as_str(), "AuthenticationError", "the error ({failure})");
    ensure_eq!(failure.code.as_deref(), Some("AUTH_UNKNOWN_STUDY"), "its code ({failure})");
    Ok(())
}

/// Fails to connect, in time and with one of the errors that say so.
async fn refused(bout: &mut Bout, arguments: Value) -> CaseResult {
    let started = Instant::now();
    let answer = bout.log_in_with(arguments, PATIENCE).await?;
    let failure = match answer {
        Answer::Failed(failure) => failure,
        Answer::Value(value) => return Err(Finding::fail(format!("connect: expected an error, observed {value}"))),
    };
    let limit = Duration::from_secs_f64(SHORT) + SLACK;
    ensure!(started.elapsed() <= limit, "connect took {:?} with a timeout of {SHORT} s", started.elapsed());
    ensure!(CONNECTION.contains(&failure.kind.as_str()), "connect: expected {CONNECTION:?}, observed {failure}");
    Ok(())
}

fn connecting_with(kit: &std::path::Path) -> Value {
    json!({"kit": kit, "user": CHIEF, "study": "default", "timeout": SHORT})
}

async fn nobody(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::open(&subject).await?;
    // A port that was free a moment ago, and that nobody was told.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = port.map_err(|error| Finding::harness(error.to_string()))?.port();
    let kit = copied(&bout.kit(CHIEF)?, &bout.folder("kit")?, |admin| admin["port"] = port.into())?;
    refused(&mut bout, connecting_with(&kit)).await
}

async fn silent(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::open(&subject).await?;
    let kit = bout.kit(CHIEF)?;
    let _silence = bout.server.inject(Fault::on(Direction::ToClient).nth_frame(1).silence());
    refused(&mut bout, connecting_with(&kit)).await
}

async fn other_root(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::open(&subject).await?;
    // The same names and another root. The kit fits together; it only leads elsewhere.
    let wire = Wire::new();
    let observer = wire.clone();
    let builder = SimServer::builder().observer(move |observation| observer.observe(observation));
    let project = project().map_err(|error| Finding::harness(error.to_string()))?;
    let other = builder.project(project).start().await.map_err(|error| Finding::harness(chain(&error)))?;
    let kit = copied(&bout.kit(CHIEF)?, &bout.folder("kit")?, |admin| admin["port"] = other.port().into())?;
    refused(&mut bout, connecting_with(&kit)).await?;
    ensure_eq!(wire.frames_in(), 0, "frames that the client has sent to a server that it cannot trust");
    other.shutdown().await;
    Ok(())
}

async fn other_identity(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::open(&subject).await?;
    let kit = copied(&bout.kit(CHIEF)?, &bout.folder("kit")?, |admin| admin["server_identity"] = "impostor".into())?;
    refused(&mut bout, connecting_with(&kit)).await?;
    ensure_eq!(bout.wire.logins().len(), 0, "logins at a server that is somebody else");
    Ok(())
}

async fn other_project(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::open(&subject).await?;
    let kit = copied(&bout.kit(CHIEF)?, &bout.folder("kit")?, |admin| admin["project_name"] = "elsewhere".into())?;
    refused(&mut bout, connecting_with(&kit)).await?;
    ensure_eq!(bout.wire.logins().len(), 0, "logins at a server of another project");
    Ok(())
}

async fn no_kit(subject: Arc<Subject>) -> CaseResult {
    let mut bout = Bout::open(&subject).await?;
    let missing = bout.folder("missing")?;
    bout.log_in_with(connecting_with(&missing), PATIENCE).await?.failure("connect")?;
    ensure_eq!(bout.wire.opened(), 0, "connections without a kit");
    Ok(())
}
