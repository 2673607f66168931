//! How a session is opened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, after};
use crate::connection::Dialer;
use crate::endpoints::{EndpointProvider, ServerEndpoint};
use crate::model::StudyName;
use crate::observer::{Observed, Observer};
use crate::session::{self, Opening, Session};
use crate::startup_kit::StartupKit;
use crate::{Error, Result};

/// How long a command tries to get over a lost connection: as long as opening a session may take.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Settings of a session that is about to be opened; made by [`Session::builder`].
///
/// ```no_run
/// # async fn example() -> flare_client::Result<()> {
/// use std::time::Duration;
/// use flare_client::{Session, StartupKit, StudyName};
///
/// let kit = StartupKit::open("prod_00/lead@nvidia.com")?;
/// let session = Session::builder(kit)
///     .study(StudyName::new("cancer")?)
///     .connect_timeout(Duration::from_secs(3))
///     .connect()
///     .await?;
/// # session.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `connect`"]
pub struct SessionBuilder {
    kit: StartupKit,
    study: StudyName,
    connect_timeout: Duration,
    command_timeout: Option<Duration>,
    reconnect_timeout: Duration,
    renews: bool,
    endpoints: Option<EndpointProvider>,
    observer: Option<Observer>,
}

impl SessionBuilder {
    pub(crate) fn new(kit: StartupKit) -> Self {
        let connect_timeout = kit.login_timeout();
        Self {
            kit,
            study: StudyName::default(),
            connect_timeout,
            command_timeout: None,
            reconnect_timeout: RECONNECT_TIMEOUT,
            renews: true,
            endpoints: None,
            observer: None,
        }
    }

    pub(crate) fn kit(&self) -> &StartupKit {
        &self.kit
    }

    /// The study that the session sees; `default` unless set. It stays the same for the session's life.
    pub fn study(mut self, study: StudyName) -> Self {
        self.study = study;
        self
    }

    /// How long opening the session may take altogether: the kit's `login_timeout` unless set, which is 10 s by
    /// default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The command timeout to begin with; see [`Session::set_timeout`].
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.command_timeout = Some(timeout);
        self
    }

    /// How long a command tries to get over a lost connection before it fails: ten seconds unless set. A server that was
    /// restarted by its admin is away for about twenty. Zero: a command fails at once.
    ///
    /// Only what cannot have been carried out is sent again, and what may be carried out twice; any other command fails
    /// with an error whose [`may_have_run`](Error::may_have_run) is true.
    pub fn reconnect_timeout(mut self, timeout: Duration) -> Self {
        self.reconnect_timeout = timeout;
        self
    }

    /// Whether the session logs in again when the server has ended it (after half an hour without a command, say) or
    /// does not know it any more. It does unless told otherwise; then commands fail with
    /// [`SessionExpired`](crate::ErrorKind::SessionExpired) from there on.
    pub fn renew(mut self, renews: bool) -> Self {
        self.renews = renews;
        self
    }

    /// Where the active server is, in a federation that has more than one; that of the kit unless set.
    ///
    /// When another server becomes active, the session holds commands that begin from then on, connects, verifies the
    /// server, logs in, asks which commands it offers, and lets the held ones go. Commands that are under way then count
    /// as lost: what may run twice is sent again, the others fail with
    /// [`ConnectionLost`](crate::ErrorKind::ConnectionLost) and [`may_have_run`](Error::may_have_run), so that nothing is
    /// submitted twice; a submission with a token and a download go on by themselves. The server that was left is not
    /// told.
    ///
    /// ```no_run
    /// # async fn example(kit: flare_client::StartupKit) -> flare_client::Result<()> {
    /// use flare_client::{EndpointProvider, ServerEndpoint, Session};
    ///
    /// let (switch, provider) = EndpointProvider::switched(Some(ServerEndpoint::new("server-1", 8002)));
    /// let session = Session::builder(kit).endpoints(provider).connect().await?;
    /// switch.set_active(ServerEndpoint::new("server-2", 8002));
    /// // Goes to the second server, after a login there.
    /// session.list_jobs(&Default::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn endpoints(mut self, endpoints: EndpointProvider) -> Self {
        self.endpoints = Some(endpoints);
        self
    }

    /// Calls `observe` with every message that the session sends and receives from here on, the login included.
    ///
    /// It is called by whoever waits for the message, in the task that called the session's method, and what takes long
    /// in it holds that up. The messages hold **secrets**: the session's tokens, signatures, job content. Whoever shows
    /// them to somebody sends them through `flare_wire::redact` first.
    ///
    /// ```no_run
    /// # async fn example(kit: flare_client::StartupKit) -> flare_client::Result<()> {
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use std::sync::Arc;
    /// use flare_client::{Observed, Session};
    ///
    /// let replies = Arc::new(AtomicUsize::new(0));
    /// let counter = Arc::clone(&replies);
    /// let session = Session::builder(kit)
    ///     .observer(move |seen| {
    ///         if matches!(seen, Observed::Received { .. }) {
    ///             counter.fetch_add(1, Ordering::Relaxed);
    ///         }
    ///     })
    ///     .connect()
    ///     .await?;
    /// # session.close().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn observer(mut self, observe: impl Fn(Observed<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Observer::new(observe));
        self
    }

    /// Connects, verifies the server, registers, logs in, and asks which commands the server offers.
    ///
    /// No step waits for anything but its answer. When nobody listens, or either side does not accept the other, the
    /// error comes at once and not after the timeout.
    ///
    /// # Errors
    /// Before anything is sent: [`InvalidArgument`](crate::ErrorKind::InvalidArgument),
    /// [`Unsupported`](crate::ErrorKind::Unsupported),
    /// [`ClientCertificateExpired`](crate::ErrorKind::ClientCertificateExpired),
    /// [`ClockSkew`](crate::ErrorKind::ClockSkew). Then, in the order of the steps:
    /// [`Unreachable`](crate::ErrorKind::Unreachable); [`TlsRefused`](crate::ErrorKind::TlsRefused),
    /// [`ServerCertificateUntrusted`](crate::ErrorKind::ServerCertificateUntrusted),
    /// [`ServerCertificateExpired`](crate::ErrorKind::ServerCertificateExpired),
    /// [`ServerIdentityMismatch`](crate::ErrorKind::ServerIdentityMismatch),
    /// [`ClientCertificateRejected`](crate::ErrorKind::ClientCertificateRejected);
    /// [`ProjectMismatch`](crate::ErrorKind::ProjectMismatch),
    /// [`RegistrationRefused`](crate::ErrorKind::RegistrationRefused);
    /// [`StudyUnknown`](crate::ErrorKind::StudyUnknown), [`LoginRejected`](crate::ErrorKind::LoginRejected).
    /// In any step: [`TimedOut`](crate::ErrorKind::TimedOut) with the step as [`Error::phase`],
    /// [`ConnectionLost`](crate::ErrorKind::ConnectionLost),
    /// [`ProtocolViolation`](crate::ErrorKind::ProtocolViolation).
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection. A login that the server has carried out by then stays in its list of
    /// sessions until it expires.
    pub async fn connect(self) -> Result<Session> {
        if self.connect_timeout.is_zero() {
            return Err(Error::argument("the connect timeout is zero"));
        }
        let command_timeout = self.command_timeout.map(session::checked_timeout).transpose()?;
        let clock = Clock::start();
        self.kit.check_validity(clock.now())?;
        let deadline = after(self.connect_timeout);
        let kit = Arc::new(self.kit);
        let endpoints =
            self.endpoints.unwrap_or_else(|| EndpointProvider::fixed(ServerEndpoint::new(kit.host(), kit.port())));
        let opening = Opening {
            endpoints,
            dialer: Dialer::network(Arc::clone(&kit))?,
            clock,
            connect_timeout: self.connect_timeout,
            reconnect_timeout: self.reconnect_timeout,
            renews: self.renews,
            observer: self.observer,
        };
        let opened = session::open(&opening, &kit, &self.study, deadline).await?;
        Ok(Session::new(opening, kit, self.study, command_timeout, opened))
    }
}

impl fmt::Debug for SessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBuilder")
            .field("kit", &self.kit)
            .field("study", &self.study)
            .field("connect_timeout", &self.connect_timeout)
            .field("command_timeout", &self.command_timeout)
            .finish()
    }
}
