//! The socket, and the loop that gives every connection its task.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::door::Opened;
use super::{Door, calls};
use crate::driver::Driver;
use crate::peer;

/// How long a peer has from connecting until it has said HELLO. A real server waits for ever; ten seconds are
/// far beyond the handshake of the slowest client, and silent peers cannot use up the connections.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many connections there can be at once. A real server has no limit of its own; this one keeps a flood from
/// using up the process's memory and file descriptors, and is far more than a test federation needs.
const MAX_CONNECTIONS: usize = 4096;

/// How long to wait after the system refused to accept a connection, usually for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections that may wait to be accepted; what tokio takes for a listener.
const BACKLOG: u32 = 1024;

/// How long a restarted server tries to get its port back.
const BIND_PATIENCE: Duration = Duration::from_secs(5);

/// A socket that accepts connections.
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    handshake_timeout: Duration,
}

/// A port that nobody else can take, and at which connections are refused until somebody listens.
pub(crate) struct ReservedPort {
    socket: TcpSocket,
    address: SocketAddr,
}

impl ReservedPort {
    /// Reserves `port`, 0 for any that is free.
    pub(crate) fn bind(address: IpAddr, port: u16) -> io::Result<Self> {
        let socket = match address {
            IpAddr::V4(_) => TcpSocket::new_v4()?,
            IpAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // As a listener has it: connections that were closed a moment ago do not count.
        socket.set_reuseaddr(true)?;
        socket.bind((address, port).into())?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// Where it will listen.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections from now on.
    pub(crate) fn listen(self) -> io::Result<Listener> {
        let socket = self.socket.listen(BACKLOG)?;
        Ok(Listener { socket, address: self.address, handshake_timeout: HANDSHAKE_TIMEOUT })
    }
}

impl Listener {
    /// Binds `port`, 0 for any that is free.
    pub(crate) async fn bind(address: IpAddr, port: u16) -> io::Result<Self> {
        let socket = TcpListener::bind((address, port)).await?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, handshake_timeout: HANDSHAKE_TIMEOUT })
    }

    /// Replaces the time that peers have for the handshake.
    pub(crate) fn with_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Binds a port that this process has just given up. Somebody else may have got it for the moment, say as the near
    /// end of an outgoing connection, so it is tried for a while.
    pub(crate) async fn bind_again(address: SocketAddr) -> io::Result<Self> {
        let deadline = Instant::now() + BIND_PATIENCE;
        loop {
            match Self::bind(address.ip(), address.port()).await {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                    sleep(ACCEPT_PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections until `stop` says so, and then until all of them are closed.
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket and every connection at once.
    pub(crate) async fn run(self, door: Door, driver: Arc<Driver>, stop: watch::Receiver<bool>) {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        let mut stopped = stop.clone();
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                // Takes ended tasks out of the set, or it would grow for ever.
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a connection has ended in a panic");
                    }
                    continue;
                }
                // An error means that the server's handle is gone.
                _ = stopped.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((stream, address)) => {
                    let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
                        tracing::warn!(%address, "too many connections, one more is refused");
                        continue;
                    };
                    let deadline = Instant::now() + self.handshake_timeout;
                    let patience = self.handshake_timeout;
                    let (door, driver, stop) = (door.clone(), Arc::clone(&driver), stop.clone());
                    connections.spawn(async move {
                        match timeout_at(deadline, door.open(stream)).await {
                            Ok(Ok((Opened::Link(link), identity))) => {
                                peer::serve(link, identity, driver, deadline, stop).await;
                            }
                            Ok(Ok((Opened::Calls(connection), identity))) => {
                                calls::serve(connection, identity, driver, patience, stop).await;
                            }
                            Ok(Err(error)) => {
                                let cause = std::error::Error::source(&error).map(ToString::to_string);
                                tracing::info!(%address, %error, cause, "a peer did not get in");
                            }
                            Err(_) => tracing::info!(%address, "a peer stopped in the middle of the handshake"),
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.socket);
        while connections.join_next().await.is_some() {}
    }
}
