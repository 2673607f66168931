//! Restarting and shutting down, and waiting until that is done.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use tokio::net::TcpStream;
use tokio::time::sleep;

use super::{Session, checked_timeout};
use crate::clock::after;
use crate::command::{GetSystemInfo, Restart, Shutdown, SiteTokens};
use crate::model::{SystemChange, Targets};
use crate::{Error, ErrorKind, Phase, Result};

/// How long the end of a restart or shutdown is waited for unless told otherwise: as the official client does.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often is looked whether it is done: as the official client does.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// How long a server that may have ended is given to take a connection: as the official client does.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A restart; made by [`Session::restart`], and awaited.
#[must_use = "nothing is restarted until this is awaited"]
pub struct SystemRestart(Change);

/// A shutdown; made by [`Session::shutdown`], and awaited.
#[must_use = "nothing is shut down until this is awaited"]
pub struct SystemShutdown(Change);

struct Change {
    session: Session,
    targets: Targets,
    /// `None`: the end is not waited for.
    patience: Option<Duration>,
}

impl Session {
    /// Restarts sites, or the server, which restarts all sites with it; waits up to 30 s until they are back.
    ///
    /// This session goes on when the server is back: its login outlives the restart.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// use flare_client::Targets;
    /// use std::time::Duration;
    ///
    /// let said = session.restart(&Targets::sites(["site-1"])?).timeout(Duration::from_secs(60))?.await?;
    /// println!("{:?}", said.site_answers);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`JobRunning`](ErrorKind::JobRunning) while any job runs, [`InvalidTarget`](ErrorKind::InvalidTarget),
    /// [`NoSites`](ErrorKind::NoSites), [`NotAuthorized`](ErrorKind::NotAuthorized), those of
    /// [`Session::do_command`], and [`TimedOut`](ErrorKind::TimedOut) when not everything is back in time. A site that
    /// refuses is no error: see [`SystemChange::site_answers`]; it is waited for in vain. When the answer is lost and all
    /// is back in time, that is a restart of which nothing was said.
    ///
    /// # Cancel safety
    /// The server may restart although the future was dropped.
    pub fn restart(&self, targets: &Targets) -> SystemRestart {
        SystemRestart(Change { session: self.clone(), targets: targets.clone(), patience: Some(PATIENCE) })
    }

    /// Shuts down sites, the server ([`Targets::Server`], when no site is registered any more) or everything; waits up
    /// to 30 s until they are gone. The session is closed when the server is among them.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// use flare_client::Targets;
    ///
    /// session.shutdown(&Targets::sites(["site-1"])?).no_wait().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`JobRunning`](ErrorKind::JobRunning) while any job runs, [`SitesRunning`](ErrorKind::SitesRunning) for a server
    /// with sites, [`Refused`](ErrorKind::Refused) when a site refuses (the others shut down),
    /// [`InvalidTarget`](ErrorKind::InvalidTarget), [`NoSites`](ErrorKind::NoSites),
    /// [`NotAuthorized`](ErrorKind::NotAuthorized), those of [`Session::do_command`], and
    /// [`TimedOut`](ErrorKind::TimedOut) when not everything is gone in time. When the answer is lost and all are gone in
    /// time, that is a shutdown of which nothing was said.
    ///
    /// # Cancel safety
    /// The server may shut down although the future was dropped.
    pub fn shutdown(&self, targets: &Targets) -> SystemShutdown {
        SystemShutdown(Change { session: self.clone(), targets: targets.clone(), patience: Some(PATIENCE) })
    }

    /// Shuts down all sites and the server, waits until the server is gone, and closes the session.
    ///
    /// ```no_run
    /// # async fn example(session: flare_client::Session) -> flare_client::Result<()> {
    /// session.shutdown_system().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Session::shutdown`].
    ///
    /// # Cancel safety
    /// As [`Session::shutdown`].
    pub async fn shutdown_system(&self) -> Result<()> {
        self.shutdown(&Targets::All).await.map(drop)
    }
}

macro_rules! waiting {
    ($name:ident) => {
        impl $name {
            /// Does not wait until it is done.
            pub fn no_wait(mut self) -> Self {
                self.0.patience = None;
                self
            }

            /// Waits no longer than this until it is done.
            ///
            /// # Errors
            /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a timeout of zero.
            pub fn timeout(mut self, timeout: Duration) -> Result<Self> {
                self.0.patience = Some(checked_timeout(timeout)?);
                Ok(self)
            }
        }

        impl IntoFuture for $name {
            type Output = Result<SystemChange>;
            type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.run())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("targets", &self.0.targets)
                    .field("patience", &self.0.patience)
                    .finish_non_exhaustive()
            }
        }
    };
}

waiting!(SystemRestart);
waiting!(SystemShutdown);

impl SystemRestart {
    async fn run(self) -> Result<SystemChange> {
        let Change { session, targets, patience } = self.0;
        let Some(patience) = patience else { return session.run(&Restart(&targets)).await };
        // A server that cannot say what there is now will say why when it is told to restart.
        let before = State::of(&session).await.unwrap_or_default();
        let said = Said::of(session.run(&Restart(&targets)).await)?;
        let is_back = |now: &State| match &targets {
            Targets::Server => now.started > before.started,
            Targets::All => now.started > before.started && now.has_anew(before.sites.keys(), &before),
            Targets::Sites(names) if names.is_empty() => now.has_anew(before.sites.keys(), &before),
            Targets::Sites(names) => now.has_anew(names.iter().map(crate::SiteName::as_str), &before),
        };
        // Looks that fail are those of a server that is down.
        said.once(
            poll(patience, "restart", || async { State::of(&session).await.is_ok_and(|now| is_back(&now)) }).await,
        )
    }
}

impl SystemShutdown {
    async fn run(self) -> Result<SystemChange> {
        let Change { session, targets, patience } = self.0;
        let before = match (&targets, patience) {
            (Targets::Sites(_), Some(_)) => session.run(&SiteTokens).await.unwrap_or_default(),
            _ => BTreeMap::new(),
        };
        let ends_server = !matches!(targets, Targets::Sites(_));
        let answer = session.run(&Shutdown(&targets)).await;
        let Some(patience) = patience else {
            let said = answer?;
            if ends_server {
                session.close().await;
            }
            return Ok(said);
        };
        let said = Said::of(answer)?;
        if ends_server {
            session.close().await;
            let server = session.server();
            let address = (server.host().to_owned(), server.port());
            return said.once(poll(patience, "shutdown", || is_down(&address)).await);
        }
        let names: Vec<&str> = match &targets {
            Targets::Sites(names) if !names.is_empty() => names.iter().map(crate::SiteName::as_str).collect(),
            _ => before.keys().map(String::as_str).collect(),
        };
        let are_gone = || async {
            let now = session.run(&SiteTokens).await;
            now.is_ok_and(|now| names.iter().all(|name| !now.contains_key(*name)))
        };
        said.once(poll(patience, "shutdown", are_gone).await)
    }
}

/// What was said to a command that is waited for. Whoever is going down may take its answer along; then what happens next
/// tells whether it was carried out.
enum Said {
    Answer(SystemChange),
    Nothing(Error),
}

impl Said {
    fn of(answer: Result<SystemChange>) -> Result<Self> {
        match answer {
            Ok(said) => Ok(Self::Answer(said)),
            Err(error) if error.may_have_run() => Ok(Self::Nothing(error)),
            Err(error) => Err(error),
        }
    }

    /// What was said, when it came true.
    fn once(self, came_true: Result<()>) -> Result<SystemChange> {
        match (self, came_true) {
            (Self::Answer(said), came_true) => came_true.map(|()| said),
            (Self::Nothing(_), Ok(())) => Ok(SystemChange::default()),
            (Self::Nothing(lost), Err(_)) => Err(lost),
        }
    }
}

/// What a restart changes.
#[derive(Debug, Default)]
struct State {
    started: Option<SystemTime>,
    sites: BTreeMap<String, String>,
}

impl State {
    async fn of(session: &Session) -> Result<Self> {
        let started = session.run(&GetSystemInfo).await?.server.start_time;
        Ok(Self { started, sites: session.run(&SiteTokens).await? })
    }

    /// True when all these sites are registered, and not as they were before.
    fn has_anew<'a>(&self, mut names: impl Iterator<Item = impl AsRef<str> + 'a>, before: &Self) -> bool {
        names.all(|name| {
            let name = name.as_ref();
            self.sites.get(name).is_some_and(|token| before.sites.get(name) != Some(token))
        })
    }
}

/// True when nobody takes connections at the address.
async fn is_down(address: &(String, u16)) -> bool {
    let connect = TcpStream::connect((address.0.as_str(), address.1));
    matches!(tokio::time::timeout(CONNECT_TIMEOUT, connect).await, Ok(Err(_)))
}

/// Looks again and again until it is done.
async fn poll<F: Future<Output = bool>>(patience: Duration, what: &str, mut is_done: impl FnMut() -> F) -> Result<()> {
    let deadline = after(patience);
    let look_until_done = async {
        while !is_done().await {
            sleep(POLL_INTERVAL).await;
        }
    };
    tokio::time::timeout_at(deadline, look_until_done).await.map_err(|_| {
        let message = format!("{what}: it was accepted, but is not done after {} s", patience.as_secs_f64());
        Error::new(ErrorKind::TimedOut, message).waited(Phase::Wait, patience)
    })
}
