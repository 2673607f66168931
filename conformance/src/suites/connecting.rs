//! What our client says when it cannot connect: each cause is told apart, soon, and with a hint.

use std::time::{Duration, Instant};

use flare_client::{Error, ErrorKind, Phase, Session, StartupKit, StudyName};

use crate::finding::{chain, ensure, ensure_eq};
use crate::kits::AdminKit;
use crate::raw::{Admin, Authority, DeafPort, Impostor, KitCopy, NewSubject};
use crate::{Case, CaseResult, Context, Finding, Need};

/// A refusal that can be seen at once must not take longer than this, on a loaded machine.
const SOON: Duration = Duration::from_secs(5);
/// How long the client may wait where nobody answers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ALWAYS: ((i32, u8, u8), (i32, u8, u8)) = ((2020, 1, 1), (2099, 1, 1));
const LONG_AGO: ((i32, u8, u8), (i32, u8, u8)) = ((2020, 1, 1), (2021, 1, 1));
const FAR_AHEAD: ((i32, u8, u8), (i32, u8, u8)) = ((2090, 1, 1), (2099, 1, 1));
const NO_SUCH_STUDY: &str = "no-such-study-of-the-conformance-suite";

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("connecting.nobody-listens", "nobody listens", nobody_listens).checks(&["CONNECT-REFUSED-001"]),
        Case::new("connecting.plaintext-server", "the port belongs to something without TLS", plaintext_server)
            .checks(&["CONNECT-REFUSED-002"]),
        Case::new("connecting.silent-server", "the port belongs to something silent", silent_server)
            .checks(&["CONNECT-TIMEOUT-001"])
            .waiting(CONNECT_TIMEOUT),
        Case::new("connecting.silent-after-tls", "the server falls silent after TLS", silent_after_tls)
            .checks(&["CONNECT-TIMEOUT-001"])
            .needs([Need::RootKey])
            .waiting(CONNECT_TIMEOUT),
        Case::new(
            "connecting.server-of-other-authority",
            "the server's certificate is of another root",
            other_authority,
        )
        .checks(&["CONNECT-SERVER-001"]),
        Case::new("connecting.other-servers-kit", "the kit's root is not the server's", other_root)
            .checks(&["CONNECT-SERVER-001"]),
        Case::new("connecting.other-identity", "the server is another one than the kit names", other_identity)
            .checks(&["CONNECT-SERVER-002"]),
        Case::new("connecting.server-expired", "the server's certificate has expired", |context| {
            server_outside(context, LONG_AGO, &[ErrorKind::ServerCertificateExpired])
        })
        .checks(&["CONNECT-SERVER-003"])
        .needs([Need::RootKey]),
        Case::new("connecting.server-not-yet-valid", "the server's certificate is of the future", |context| {
            server_outside(context, FAR_AHEAD, &[ErrorKind::ClockSkew])
        })
        .checks(&["CONNECT-SERVER-003"])
        .needs([Need::RootKey]),
        Case::new("connecting.certificate-rejected", "the server does not accept our certificate", rejected)
            .checks(&["CONNECT-CLIENT-001"]),
        Case::new("connecting.certificate-expired", "our certificate has expired", |context| {
            own_outside(context, LONG_AGO, ErrorKind::ClientCertificateExpired)
        })
        .checks(&["CONNECT-CLIENT-002"])
        .needs([Need::RootKey]),
        Case::new("connecting.certificate-not-yet-valid", "our certificate is of the future", |context| {
            own_outside(context, FAR_AHEAD, ErrorKind::ClockSkew)
        })
        .checks(&["CONNECT-CLIENT-002"])
        .needs([Need::RootKey]),
        Case::new("connecting.wrong-project", "the server runs another project", wrong_project)
            .checks(&["CONNECT-PROJECT-001"]),
        Case::new("connecting.unknown-study", "the server does not know the study", unknown_study)
            .checks(&["CONNECT-STUDY-001"]),
        Case::new("connecting.incomplete-kit", "the startup kit lacks a file", incomplete_kit)
            .checks(&["CONNECT-KIT-001"]),
    ]
}

/// Connects with the kit in `copy`, which must fail; gives the error and how long it took.
async fn refused(copy: &KitCopy) -> CaseResult<(Error, Duration)> {
    let started = Instant::now();
    let kit = StartupKit::open(copy.path()).map_err(|error| Finding::fail(format!("kit: {}", chain(&error))))?;
    match Session::builder(kit).connect_timeout(CONNECT_TIMEOUT).connect().await {
        Ok(session) => {
            session.close().await;
            Err(Finding::fail("the client connected"))
        }
        Err(error) => Ok((error, started.elapsed())),
    }
}

/// The error is one of these kinds, has a hint, and came soon.
fn told_apart((error, after): &(Error, Duration), kinds: &[ErrorKind]) -> CaseResult {
    ensure!(kinds.contains(&error.kind()), "expected {kinds:?}, observed {error:?}");
    ensure!(error.hint().is_some(), "no hint: {error:?}");
    ensure!(*after < SOON, "only after {after:?}: {error:?}");
    Ok(())
}

/// Genuine kits still get in.
async fn unharmed(context: &Context) -> CaseResult {
    Admin::login(context.any_kit()?).await.map(drop).map_err(|finding| finding.during("login after the refusal"))
}

/// A copy of the kit that leads to another port of this machine.
fn leading_to(kit: &AdminKit, port: u16) -> CaseResult<KitCopy> {
    KitCopy::of(kit)?.set("host", "localhost")?.set("port", port)
}

async fn nobody_listens(context: Context) -> CaseResult {
    let port = DeafPort::take()?;
    let copy = leading_to(context.any_kit()?, port.port())?;
    told_apart(&refused(&copy).await?, &[ErrorKind::Unreachable])
}

async fn plaintext_server(context: Context) -> CaseResult {
    let server = Impostor::plaintext().await?;
    let copy = leading_to(context.any_kit()?, server.port())?;
    told_apart(&refused(&copy).await?, &[ErrorKind::TlsRefused])
}

/// The client gave up when its time was over, in one of these steps.
fn gave_up((error, after): &(Error, Duration), phases: &[Phase]) -> CaseResult {
    ensure_eq!(error.kind(), ErrorKind::TimedOut, "kind of {error:?}");
    ensure!(error.phase().is_some_and(|phase| phases.contains(&phase)), "phase {:?} of {error:?}", error.phase());
    ensure!(error.after().is_some(), "the error does not say after how long: {error:?}");
    ensure!(*after >= CONNECT_TIMEOUT / 2 && *after < CONNECT_TIMEOUT + SOON, "gave up after {after:?}");
    Ok(())
}

async fn silent_server(context: Context) -> CaseResult {
    let server = Impostor::silent().await?;
    let copy = leading_to(context.any_kit()?, server.port())?;
    gave_up(&refused(&copy).await?, &[Phase::Tls])
}

async fn silent_after_tls(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let identity = Authority::of_project(&context.root_key()?)?.issue(&server_subject(kit, ALWAYS), &kit.key_pem()?)?;
    let server = Impostor::tls(&identity).await?;
    gave_up(&refused(&leading_to(kit, server.port())?).await?, &[Phase::Upgrade, Phase::Handshake])
}

fn server_subject(kit: &AdminKit, validity: ((i32, u8, u8), (i32, u8, u8))) -> NewSubject<'_> {
    NewSubject { name: &kit.server.server_identity, org: &kit.org, role: "", validity }
}

async fn other_authority(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let authority = Authority::impostor(&kit.server.project_name)?;
    let identity = authority.issue(&server_subject(kit, ALWAYS), &kit.key_pem()?)?;
    let server = Impostor::tls(&identity).await?;
    told_apart(&refused(&leading_to(kit, server.port())?).await?, &[ErrorKind::ServerCertificateUntrusted])
}

async fn other_root(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let authority = Authority::impostor(&kit.server.project_name)?;
    let copy = KitCopy::of(kit)?.with_root(authority.pem())?;
    told_apart(&refused(&copy).await?, &[ErrorKind::ServerCertificateUntrusted])?;
    unharmed(&context).await
}

async fn other_identity(context: Context) -> CaseResult {
    let copy = KitCopy::of(context.any_kit()?)?.set("server_identity", "another-server")?;
    told_apart(&refused(&copy).await?, &[ErrorKind::ServerIdentityMismatch])?;
    unharmed(&context).await
}

async fn server_outside(
    context: Context,
    validity: ((i32, u8, u8), (i32, u8, u8)),
    kinds: &'static [ErrorKind],
) -> CaseResult {
    let kit = context.any_kit()?;
    let authority = Authority::of_project(&context.root_key()?)?;
    let identity = authority.issue(&server_subject(kit, validity), &kit.key_pem()?)?;
    let server = Impostor::tls(&identity).await?;
    told_apart(&refused(&leading_to(kit, server.port())?).await?, kinds)
}

fn own_subject(kit: &AdminKit, validity: ((i32, u8, u8), (i32, u8, u8))) -> NewSubject<'_> {
    let role = kit.role.map_or("", |role| role.as_str());
    NewSubject { name: &kit.user, org: &kit.org, role, validity }
}

async fn rejected(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let forged = Authority::impostor(&kit.server.project_name)?.issue(&own_subject(kit, ALWAYS), &kit.key_pem()?)?;
    let copy = KitCopy::of(kit)?.with_certificate(&forged)?;
    told_apart(&refused(&copy).await?, &[ErrorKind::ClientCertificateRejected])?;
    unharmed(&context).await
}

async fn own_outside(context: Context, validity: ((i32, u8, u8), (i32, u8, u8)), kind: ErrorKind) -> CaseResult {
    let kit = context.any_kit()?;
    let authority = Authority::of_project(&context.root_key()?)?;
    let own = authority.issue(&own_subject(kit, validity), &kit.key_pem()?)?;
    let copy = KitCopy::of(kit)?.with_certificate(&own)?;
    told_apart(&refused(&copy).await?, &[kind])?;
    unharmed(&context).await
}

async fn wrong_project(context: Context) -> CaseResult {
    let copy = KitCopy::of(context.any_kit()?)?.set("project_name", "another-project")?;
    told_apart(&refused(&copy).await?, &[ErrorKind::ProjectMismatch])?;
    unharmed(&context).await
}

async fn unknown_study(context: Context) -> CaseResult {
    let kit = StartupKit::open(&context.any_kit()?.path).map_err(|error| Finding::fail(chain(&error)))?;
    let study = StudyName::new(NO_SUCH_STUDY).map_err(|error| Finding::fail(chain(&error)))?;
    let started = Instant::now();
    match Session::builder(kit).study(study).connect().await {
        Ok(_) => Err(Finding::fail("the client logged in to a study that does not exist")),
        Err(error) => {
            let codes = [Some("AUTH_UNKNOWN_STUDY"), Some("AUTH_STUDY_NOT_CONFIGURED")];
            ensure!(codes.contains(&error.code()), "code of {error:?}");
            told_apart(&(error, started.elapsed()), &[ErrorKind::StudyUnknown])
        }
    }
}

async fn incomplete_kit(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    for file in ["fed_admin.json", "client.crt", "client.key", "rootCA.pem"] {
        let copy = KitCopy::of(kit)?.without(file)?;
        match StartupKit::open(copy.path()) {
            Ok(_) => return Err(Finding::fail(format!("a kit without {file} was accepted"))),
            Err(error) => {
                ensure_eq!(error.kind(), ErrorKind::InvalidStartupKit, "without {file}: kind of {error:?}");
                ensure!(chain(&error).contains(file), "without {file}: the error does not name it: {}", chain(&error));
            }
        }
    }
    Ok(())
}
