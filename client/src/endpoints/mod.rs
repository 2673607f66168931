//! Where the active server is, in federations that have more than one.
//!
//! A session asks its [`EndpointProvider`] before every command, and is told of every change. What it does then stands at
//! [`SessionBuilder::endpoints`](crate::SessionBuilder::endpoints).

mod overseer;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::{Error, ErrorKind, Result};

pub use overseer::OverseerAgent;

/// Where a server listens, and which of its lives it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerEndpoint {
    host: String,
    port: u16,
    service_session_id: Option<String>,
}

impl ServerEndpoint {
    /// A server at a host name or address, and a port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, service_session_id: None }
    }

    /// FLARE's service session id (SSID): a new one says that another server has become active, or the same one again,
    /// so that a session has to log in anew even where the address has stayed the same.
    #[must_use]
    pub fn with_service_session_id(mut self, id: impl Into<String>) -> Self {
        self.service_session_id = Some(id.into());
        self
    }

    /// Host name or address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that admins and sites connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The service session id, if there is one.
    #[must_use]
    pub fn service_session_id(&self) -> Option<&str> {
        self.service_session_id.as_deref()
    }
}

/// `host:port`, with brackets around an IPv6 address.
impl fmt::Display for ServerEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Tells where the active server is. Cheap to clone; all clones tell the same.
#[derive(Clone)]
pub struct EndpointProvider {
    active: watch::Receiver<Option<ServerEndpoint>>,
    /// What asks for the endpoint; it ends with the last clone.
    source: Option<Arc<Source>>,
}

/// A task that finds out where the active server is.
pub(crate) struct Source {
    pub(crate) task: AbortHandle,
    pub(crate) failure: Arc<Failure>,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why the last attempt to find out failed, if it did.
#[derive(Default)]
pub(crate) struct Failure(Mutex<Option<Arc<dyn std::error::Error + Send + Sync>>>);

impl Failure {
    pub(crate) fn set(&self, error: Option<Arc<dyn std::error::Error + Send + Sync>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    fn get(&self) -> Option<Arc<dyn std::error::Error + Send + Sync>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl EndpointProvider {
    /// One server that stays where it is.
    #[must_use]
    pub fn fixed(endpoint: ServerEndpoint) -> Self {
        Self { active: watch::channel(Some(endpoint)).1, source: None }
    }

    /// What the caller says, now and whenever it changes. `None`: no server is active yet.
    ///
    /// ```
    /// use flare_client::{EndpointProvider, ServerEndpoint};
    ///
    /// let (switch, provider) = EndpointProvider::switched(Some(ServerEndpoint::new("server-1", 8002)));
    /// switch.set_active(ServerEndpoint::new("server-2", 8002));
    /// assert_eq!(provider.active().unwrap().host(), "server-2");
    /// ```
    #[must_use]
    pub fn switched(active: Option<ServerEndpoint>) -> (EndpointSwitch, Self) {
        let (sender, active) = watch::channel(active);
        (EndpointSwitch(sender), Self { active, source: None })
    }

    /// What a task finds out, which ends with the provider.
    pub(crate) fn found_by(active: watch::Receiver<Option<ServerEndpoint>>, source: Source) -> Self {
        Self { active, source: Some(Arc::new(source)) }
    }

    /// The active server, if one is known.
    #[must_use]
    pub fn active(&self) -> Option<ServerEndpoint> {
        self.active.borrow().clone()
    }

    /// Whether this one is active.
    pub(crate) fn is_active(&self, endpoint: &ServerEndpoint) -> bool {
        self.active.borrow().as_ref() == Some(endpoint)
    }

    /// Waits until a server is active.
    ///
    /// # Errors
    /// [`ErrorKind::Unreachable`] when none is until `deadline`.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn wait_for_active(&self, deadline: Instant) -> Result<ServerEndpoint> {
        let mut active = self.active.clone();
        let waited = timeout_at(deadline, active.wait_for(Option::is_some)).await;
        let found = waited.ok().and_then(|known| known.ok().and_then(|known| known.clone()));
        found.ok_or_else(|| match self.source.as_ref().and_then(|source| source.failure.get()) {
            Some(failure) => Error::new(ErrorKind::Unreachable, "the overseer does not tell which server is active")
                .with_source(failure)
                .with_hint("see that its end point is right and that it accepts the kit's certificate"),
            None => Error::new(ErrorKind::Unreachable, "no server is active")
                .with_hint("the endpoint provider knows of none: see that the servers run, and that they say so"),
        })
    }

    /// Waits until some server is active; for ever when that cannot happen any more.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn wait_for_any(&self) {
        if self.active.clone().wait_for(Option::is_some).await.is_err() {
            std::future::pending().await
        }
    }

    /// Waits until this one is not active; for ever when that cannot happen any more.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn wait_for_change(&self, from: &ServerEndpoint) {
        let mut active = self.active.clone();
        if active.wait_for(|active| active.as_ref() != Some(from)).await.is_err() {
            std::future::pending().await
        }
    }
}

impl fmt::Debug for EndpointProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointProvider").field("active", &*self.active.borrow()).finish_non_exhaustive()
    }
}

/// Tells sessions where the active server is; see [`EndpointProvider::switched`]. When it is dropped, what it said last
/// holds for ever.
#[derive(Debug, Clone)]
pub struct EndpointSwitch(watch::Sender<Option<ServerEndpoint>>);

impl EndpointSwitch {
    /// This server is active now.
    pub fn set_active(&self, endpoint: ServerEndpoint) {
        self.0.send_if_modified(|active| {
            let is_new = active.as_ref() != Some(&endpoint);
            *active = Some(endpoint);
            is_new
        });
    }

    /// No server is active: commands wait for the next one.
    pub fn set_none(&self) {
        self.0.send_if_modified(|active| active.take().is_some());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn endpoint(port: u16) -> ServerEndpoint {
        ServerEndpoint::new("localhost", port)
    }

    #[test]
    fn another_life_of_the_same_server_is_a_change() {
        let (switch, provider) = EndpointProvider::switched(None);
        assert_eq!(provider.active(), None);
        switch.set_active(endpoint(1));
        assert!(provider.is_active(&endpoint(1)));
        switch.set_active(endpoint(1).with_service_session_id("a"));
        assert!(!provider.is_active(&endpoint(1)));
        switch.set_none();
        assert_eq!(provider.active(), None);
    }

    #[test]
    fn an_endpoint_is_written_as_in_a_url() {
        assert_eq!(endpoint(8002).to_string(), "localhost:8002");
        assert_eq!(ServerEndpoint::new("::1", 80).to_string(), "[::1]:80");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_is_waited_for_and_no_longer_than_told() {
        let (switch, provider) = EndpointProvider::switched(None);
        let deadline = Instant::now() + Duration::from_secs(3);
        let error = provider.wait_for_active(deadline).await.unwrap_err();
        assert_eq!((error.kind(), Instant::now()), (ErrorKind::Unreachable, deadline));
        let later = provider.clone();
        let (found, ()) = tokio::join!(later.wait_for_active(deadline + Duration::from_secs(1)), async {
            switch.set_active(endpoint(1));
        });
        assert_eq!(found.unwrap(), endpoint(1));
        let first = endpoint(1);
        tokio::join!(later.wait_for_change(&first), async { switch.set_active(endpoint(2)) });
        drop(switch);
        let second = endpoint(2);
        let waited = timeout_at(deadline + Duration::from_secs(9), provider.wait_for_change(&second)).await;
        assert!(waited.is_err(), "nobody can change it any more");
    }
}
