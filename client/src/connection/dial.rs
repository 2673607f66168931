//! Opening a link: TCP, TLS, WebSocket or gRPC.

use std::fmt;
use std::io;
use std::sync::Arc;

use flare_wire::certificate::Certificate;
use flare_wire::link::{DEFAULT_MAX_FRAME, Link, LinkError, Pipe};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{tls, within};
use crate::endpoints::ServerEndpoint;
use crate::startup_kit::{ConnectionSecurity, Scheme, StartupKit};
use crate::{Error, ErrorKind, Phase};

/// Opens links to one server at a time, as often as needed.
#[derive(Clone)]
pub(crate) enum Dialer {
    /// Over the network, as the startup kit says.
    Network(Network),
    /// Links that a test made.
    #[cfg(test)]
    Memory(Arc<std::sync::Mutex<std::collections::VecDeque<Link>>>),
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer(..)")
    }
}

/// What it takes to open a link over the network.
#[derive(Clone)]
pub(crate) struct Network {
    kit: Arc<StartupKit>,
    endpoint: ServerEndpoint,
    tls: Option<Arc<ClientConfig>>,
}

impl Dialer {
    /// # Errors
    /// [`ErrorKind::InvalidStartupKit`] when TLS cannot use the kit's files.
    pub(crate) fn network(kit: Arc<StartupKit>) -> Result<Self, Error> {
        let tls = tls::config(&kit)?;
        let endpoint = ServerEndpoint::new(kit.host(), kit.port());
        Ok(Self::Network(Network { kit, endpoint, tls }))
    }

    /// The same to another server.
    pub(crate) fn to(&self, endpoint: &ServerEndpoint) -> Self {
        match self {
            Self::Network(network) => Self::Network(Network { endpoint: endpoint.clone(), ..network.clone() }),
            #[cfg(test)]
            Self::Memory(links) => Self::Memory(Arc::clone(links)),
        }
    }

    /// Opens a link.
    ///
    /// # Cancel safety
    /// Dropping the future drops what is open so far.
    pub(super) async fn dial(&self, deadline: Instant) -> Result<Link, Error> {
        match self {
            // Boxed: a TLS and an HTTP/2 handshake are large futures, and seldom.
            Self::Network(network) => Box::pin(network.dial(deadline)).await,
            #[cfg(test)]
            Self::Memory(links) => {
                let link = links.lock().expect("no test panics while it holds this").pop_front();
                link.ok_or_else(|| Error::new(ErrorKind::Unreachable, "nobody listens"))
            }
        }
    }
}

impl Network {
    async fn dial(&self, deadline: Instant) -> Result<Link, Error> {
        let (host, port) = (self.endpoint.host(), self.endpoint.port());
        let socket = within(Phase::Connect, deadline, TcpStream::connect((host, port))).await?.map_err(|error| {
            Error::new(ErrorKind::Unreachable, format!("cannot connect to {}", self.endpoint)).with_source(error)
        })?;
        // Requests are short and wait for their answers: nothing is gained by collecting them.
        socket.set_nodelay(true).map_err(|error| {
            Error::new(ErrorKind::ConnectionLost, "the connection broke at once").with_source(error)
        })?;
        match &self.tls {
            None => self.frames(socket, deadline).await,
            Some(config) => {
                let stream = self.handshake(config, socket, deadline).await?;
                self.check_identity(&stream)?;
                self.frames(stream, deadline).await
            }
        }
    }

    async fn handshake(
        &self,
        config: &Arc<ClientConfig>,
        socket: TcpStream,
        deadline: Instant,
    ) -> Result<TlsStream<TcpStream>, Error> {
        // The name is sent along, and what has to be compared is compared elsewhere; what is no host name is left out.
        let name = ServerName::try_from(self.endpoint.host().to_owned())
            .or_else(|_| ServerName::try_from("localhost"))
            .expect("localhost is a host name");
        within(Phase::Tls, deadline, TlsConnector::from(Arc::clone(config)).connect(name, socket)).await?.map_err(
            |error| {
                let ended = || Error::new(ErrorKind::TlsRefused, "the peer ended the TLS handshake");
                tls::cause(&error).unwrap_or_else(ended).with_source(error)
            },
        )
    }

    /// A good certificate may be that of another participant of the project. Without a certificate of ours, TLS may end
    /// at a proxy, whose name is its own affair; the challenge proves the server's identity in any case.
    fn check_identity(&self, stream: &TlsStream<TcpStream>) -> Result<(), Error> {
        if self.kit.connection_security() != ConnectionSecurity::Mtls {
            return Ok(());
        }
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let name = certificate
            .and_then(|certificate| Certificate::from_der(certificate).ok())
            .map(|certificate| certificate.common_name().to_owned())
            .unwrap_or_default();
        if name == self.kit.server_identity() {
            return Ok(());
        }
        Err(identity_mismatch(self.kit.server_identity(), &name))
    }

    async fn frames(&self, pipe: impl Pipe + 'static, deadline: Instant) -> Result<Link, Error> {
        match self.kit.scheme() {
            Scheme::Tcp => Ok(Link::tcp(pipe, DEFAULT_MAX_FRAME)),
            Scheme::Http => {
                let host = self.endpoint.to_string();
                within(Phase::Upgrade, deadline, Link::connect_websocket(pipe, &host, DEFAULT_MAX_FRAME))
                    .await?
                    .map_err(|error| self.broken(error))
            }
            Scheme::Grpc => {
                let protocol = if self.tls.is_some() { "https" } else { "http" };
                let origin = format!("{protocol}://{}", self.endpoint);
                within(Phase::Upgrade, deadline, Link::connect_grpc(pipe, &origin, DEFAULT_MAX_FRAME))
                    .await?
                    .map_err(|error| self.broken(error))
            }
        }
    }

    /// What the end of a link means that never carried a frame.
    fn broken(&self, error: LinkError) -> Error {
        broken(error, self.tls.is_some())
    }
}

impl Dialer {
    /// What the end of a link means before READY came.
    pub(super) fn broken(&self, error: LinkError) -> Error {
        match self {
            Self::Network(network) => network.broken(error),
            #[cfg(test)]
            Self::Memory(_) => broken(error, false),
        }
    }
}

pub(super) fn identity_mismatch(expected: &str, found: &str) -> Error {
    let message = format!("the server is {found:?}, the startup kit expects {expected:?}");
    Error::new(ErrorKind::ServerIdentityMismatch, message)
}

/// With TLS 1.3 a server judges our certificate after our side of the handshake is over, so its refusal arrives
/// here. It should be an alert; a real server mostly drops the connection before the alert is out, and as the handshake
/// has nothing else left to fail, an end at this point means the same.
fn broken(error: LinkError, tls: bool) -> Error {
    let LinkError::Io(io_error) = &error else {
        return Error::new(ErrorKind::ProtocolViolation, "the peer is no FLARE server of this scheme")
            .with_hint("check that scheme, port and connection_security of the kit are those of the server")
            .with_source(error);
    };
    let ended = matches!(
        io_error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe
    );
    let cause = match tls::cause(io_error) {
        Some(cause) => cause,
        None if ended && tls => {
            let message = "the server ended the connection when it came to our certificate";
            return Error::new(ErrorKind::ClientCertificateRejected, message)
                .with_hint("the server does not trust the kit's certificate, or wants one where the kit says `tls`")
                .with_source(error);
        }
        None => Error::new(ErrorKind::ConnectionLost, "the connection broke while it was being opened"),
    };
    cause.with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_early_end_is_a_refusal_only_after_tls() {
        let reset = || LinkError::Io(io::ErrorKind::ConnectionReset.into());
        assert_eq!(broken(reset(), true).kind(), ErrorKind::ClientCertificateRejected);
        assert_eq!(broken(reset(), false).kind(), ErrorKind::ConnectionLost);
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::UnknownCA);
        let late = LinkError::Io(io::Error::other(alert));
        assert_eq!(broken(late, true).kind(), ErrorKind::ClientCertificateRejected);
        assert_eq!(broken(LinkError::UpgradeRefused { status: 404 }, true).kind(), ErrorKind::ProtocolViolation);
    }
}
