//! Two servers of which one is active, as in the federations of FLARE 2.1 to 2.6 that an overseer watched.

use std::fmt;
use std::net::SocketAddr;

use tokio::sync::Mutex;

use super::{Restart, SimServer, SimServerBuilder, StartError};
use crate::listen::ReservedPort;

/// Two servers with one state, of which one is active. The other one refuses connections.
///
/// Both have the same kits, certificate and job store, on ports of their own; kits name the port of the first. What a
/// [`SimPair::switch`] keeps and loses is what a [`SimServer::restart`] does: sessions and half transfers are gone, jobs,
/// submit records and studies are there.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use flare_simserver::{Restart, SimPair, SimServer};
///
/// let pair = SimPair::start(SimServer::builder()).await?;
/// let (first, second) = (pair.active(), pair.standby().await);
/// pair.switch(Restart::Kill).await?;
/// assert_eq!((pair.active(), pair.standby().await), (second, first));
/// pair.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct SimPair {
    server: SimServer,
    /// None only when a switch has failed halfway.
    standby: Mutex<Option<ReservedPort>>,
}

impl SimPair {
    /// Starts a pair of the servers that `builder` describes; the first is active.
    ///
    /// # Errors
    /// [`StartError`].
    ///
    /// # Cancel safety
    /// Dropping the future starts nothing.
    pub async fn start(builder: SimServerBuilder) -> Result<Self, StartError> {
        let server = builder.start().await?;
        let address = server.address().ip();
        let standby =
            ReservedPort::bind(address, 0).map_err(|source| StartError::Listen { address, port: 0, source })?;
        Ok(Self { server, standby: Mutex::new(Some(standby)) })
    }

    /// Where the active server listens.
    #[must_use]
    pub fn active(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where the other one will listen when it becomes active.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn standby(&self) -> SocketAddr {
        let standby = self.standby.lock().await;
        standby.as_ref().map_or_else(|| self.server.address(), ReservedPort::address)
    }

    /// Ends the active server and makes the other one active.
    ///
    /// # Errors
    /// [`StartError::Listen`] when a port cannot be used any more. Another switch may bring the pair up.
    ///
    /// # Cancel safety
    /// Dropping the future may leave no server active until the next switch.
    pub async fn switch(&self, how: Restart) -> Result<(), StartError> {
        self.server.restart_at(how, &mut *self.standby.lock().await).await
    }

    /// The pair as the one server that it is but for its address: kits, clock, jobs, faults.
    #[must_use]
    pub fn server(&self) -> &SimServer {
        &self.server
    }

    /// Ends every connection in order, and returns when nothing of the pair is left.
    ///
    /// # Cancel safety
    /// Dropping the future ends the pair all the same, but does not wait for it.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }
}

impl fmt::Debug for SimPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimPair").field("server", &self.server).finish_non_exhaustive()
    }
}
