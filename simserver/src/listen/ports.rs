//! The sockets of a server: one for everybody, or one for admins and one for all others.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Door, Listener, ReservedPort};
use crate::driver::Driver;

/// The sockets of a server.
pub(crate) struct Ports {
    admins: Listener,
    /// Where sites connect, when it is not the same.
    sites: Option<Listener>,
}

/// Where a server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// For admins.
    pub(crate) admins: SocketAddr,
    /// For sites, when it is not the same.
    pub(crate) sites: Option<SocketAddr>,
}

impl Ports {
    /// Binds the port of admins and that of sites, 0 for any that is free. An error comes with the port.
    pub(crate) async fn bind(address: IpAddr, admins: u16, sites: Option<u16>) -> Result<Self, (u16, io::Error)> {
        let bind = async |port| Listener::bind(address, port).await.map_err(|error| (port, error));
        let admins = bind(admins).await?;
        let sites = match sites {
            Some(port) => Some(bind(port).await?),
            None => None,
        };
        Ok(Self { admins, sites })
    }

    /// Binds ports that this process has just given up, as [`Listener::bind_again`].
    pub(crate) async fn bind_again(addresses: Addresses) -> io::Result<Self> {
        let admins = Listener::bind_again(addresses.admins).await?;
        Ok(Self { admins, sites: again(addresses.sites).await? })
    }

    /// Listens for admins at a port that was kept for it, and for sites where this process has just listened.
    pub(crate) async fn with_admins(reserved: ReservedPort, sites: Option<SocketAddr>) -> io::Result<Self> {
        let admins = reserved.listen()?;
        Ok(Self { admins, sites: again(sites).await? })
    }

    /// Replaces the time that peers have for the handshake.
    pub(crate) fn with_handshake_timeout(self, timeout: Duration) -> Self {
        Self {
            admins: self.admins.with_handshake_timeout(timeout),
            sites: self.sites.map(|sites| sites.with_handshake_timeout(timeout)),
        }
    }

    /// Where they are.
    pub(crate) fn addresses(&self) -> Addresses {
        Addresses { admins: self.admins.address(), sites: self.sites.as_ref().map(Listener::address) }
    }

    /// Serves connections until `stop` says so, and then until all of them are closed.
    ///
    /// # Cancel safety
    /// Dropping the future closes the sockets and every connection at once.
    pub(crate) async fn run(self, door: Door, driver: Arc<Driver>, stop: watch::Receiver<bool>) {
        match self.sites {
            None => self.admins.run(door, driver, stop).await,
            Some(sites) => {
                let for_sites = sites.run(door.clone().without_admins(), Arc::clone(&driver), stop.clone());
                tokio::join!(self.admins.run(door, driver, stop), for_sites);
            }
        }
    }
}

async fn again(address: Option<SocketAddr>) -> io::Result<Option<Listener>> {
    match address {
        Some(address) => Listener::bind_again(address).await.map(Some),
        None => Ok(None),
    }
}
