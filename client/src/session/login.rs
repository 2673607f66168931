//! From an open link to a session: admission, `_cert_login`, `_commands`.

use std::sync::Arc;
use std::time::Duration;

use flare_wire::auth::{LoginHeaders, proof_text};
use flare_wire::cell::Headers;
use flare_wire::hci::Request;
use tokio::time::Instant;

use super::{Message, knows_studies, remaining, send};
use crate::clock::{Clock, randomness};
use crate::command::{CertLogin, Command, Commands, Logout};
use crate::connection::{Connection, Dialer, admit};
use crate::endpoints::{EndpointProvider, ServerEndpoint};
use crate::model::{CommandDescription, StudyName};
use crate::observer::Observer;
use crate::startup_kit::StartupKit;
use crate::{Error, ErrorKind, Phase, Result, verdict};

/// How connections and logins of a session are made.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    pub(crate) dialer: Dialer,
    /// Where the active server is.
    pub(crate) endpoints: EndpointProvider,
    pub(crate) clock: Clock,
    pub(crate) connect_timeout: Duration,
    /// How long a command tries to get over a lost connection.
    pub(crate) reconnect_timeout: Duration,
    /// Whether the session logs in again when the server has ended it.
    pub(crate) renews: bool,
    /// Who sees what is said.
    pub(crate) observer: Option<Observer>,
}

/// An open connection with a login.
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    pub(crate) token: String,
    pub(crate) commands: Arc<[CommandDescription]>,
    /// The server that it leads to.
    pub(crate) server: ServerEndpoint,
}

/// Connects to the active server, verifies it, registers and logs in. Begins again when another one becomes active
/// meanwhile.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub(crate) async fn open(opening: &Opening, kit: &StartupKit, study: &StudyName, deadline: Instant) -> Result<Opened> {
    loop {
        let server = opening.endpoints.wait_for_active(deadline).await?;
        tokio::select! {
            biased;
            () = opening.endpoints.wait_for_change(&server) => {}
            // Boxed: it is long and seldom, and would make every command's future as large.
            opened = Box::pin(open_at(&server, opening, kit, study, deadline)) => return opened,
        }
    }
}

/// Connects to one server.
///
/// # Cancel safety
/// Dropping the future closes the connection.
async fn open_at(
    server: &ServerEndpoint,
    opening: &Opening,
    kit: &StartupKit,
    study: &StudyName,
    deadline: Instant,
) -> Result<Opened> {
    let clock = opening.clock;
    let mut random = randomness()?;
    let patience = opening.connect_timeout.min(remaining(deadline));
    let observer = opening.observer.clone();
    let connection = Connection::open(opening.dialer.to(server), clock, random.fork(), patience, observer).await?;
    let mut salts = random.fork();
    // Both signatures take a millisecond each. That of the login needs nothing from the server, so it is made while the
    // answer to the challenge is on its way.
    let (admission, signature) = tokio::join!(admit(&connection, kit, clock, &mut random, deadline), async {
        tokio::task::yield_now().await;
        kit.key().sign(&mut salts, &proof_text(kit.username(), ""))
    });
    admission?;

    let login = CertLogin { user: kit.username() };
    let headers = LoginHeaders::new(kit.username(), kit.certificate_pem(), &signature, study.as_str()).to_headers();
    let token = step(&connection, &login, None, headers, deadline, Phase::Login).await?;
    let commands = step(&connection, &Commands, Some(&token), Headers::new(), deadline, Phase::CommandList).await?;
    if study.as_str() != StudyName::DEFAULT && !knows_studies(&commands) {
        // Such a server takes no notice of the study. Whether the logout works makes no difference any more.
        let _ = step(&connection, &Logout, Some(&token), Headers::new(), deadline, Phase::Close).await;
        let message = "the server has no studies: its release is older";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(Opened { connection, token, commands: commands.into(), server: server.clone() })
}

async fn step<C: Command>(
    connection: &Connection,
    command: &C,
    token: Option<&str>,
    headers: Headers,
    deadline: Instant,
    phase: Phase,
) -> Result<C::Output> {
    let request = Request { token: token.map(str::to_owned), ..Request::new(command.line().as_str()) };
    let message = Message { headers, request, streamed: C::STREAMED };
    let reply = send(connection, message, remaining(deadline), phase).await?;
    command.read(verdict::of_reply(reply)?)
}
