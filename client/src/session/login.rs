//! From an open link to a session: admission, `_cert_login`, `_commands`.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use flare_wire::Randomness;
use flare_wire::auth::{LoginHeaders, proof_text};
use flare_wire::cell::Headers;
use flare_wire::hci::Request;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::{Inner, Message, Session, remaining, send};
use crate::clock::Clock;
use crate::command::{CertLogin, Command, Commands};
use crate::connection::{Connection, admit};
use crate::model::StudyName;
use crate::startup_kit::StartupKit;
use crate::{Phase, Result, verdict};

/// Makes a session of an open connection.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub(crate) async fn log_in(
    connection: Connection,
    kit: Arc<StartupKit>,
    study: StudyName,
    command_timeout: Option<Duration>,
    clock: Clock,
    mut random: Randomness,
    deadline: Instant,
) -> Result<Session> {
    let mut salts = random.fork();
    // Both signatures take a millisecond each. That of the login needs nothing from the server, so it is made while the
    // answer to the challenge is on its way.
    let (admission, signature) = tokio::join!(admit(&connection, &kit, clock, &mut random, deadline), async {
        tokio::task::yield_now().await;
        kit.key().sign(&mut salts, &proof_text(kit.username(), ""))
    });
    admission?;

    let login = CertLogin { user: kit.username() };
    let headers = LoginHeaders::new(kit.username(), kit.certificate_pem(), &signature, study.as_str()).to_headers();
    let token = step(&connection, &login, None, headers, deadline, Phase::Login).await?;
    let commands = step(&connection, &Commands, Some(&token), Headers::new(), deadline, Phase::CommandList).await?;
    let inner = Inner {
        connection,
        kit,
        study,
        token,
        commands,
        command_timeout: Mutex::new(command_timeout),
        closed: AtomicBool::new(false),
        ended: OnceCell::new(),
    };
    Ok(Session { inner: Arc::new(inner) })
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
