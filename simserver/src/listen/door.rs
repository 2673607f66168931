//! From a TCP connection to links: TLS, then the framing of the scheme.

use std::error::Error;
use std::fmt;
use std::io;

use flare_wire::certificate::Certificate;
use flare_wire::link::{GrpcConnection, Link, LinkError, Pipe};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::tls;
use crate::pki::{Identity, PkiError};
use crate::project::{ConnectionSecurity, Scheme};

/// The longest frame that is taken from a client. A real server takes 2 GiB, but official clients cut what they
/// send into chunks of 1 MiB, so that more than this is no client.
const MAX_FRAME: usize = flare_wire::link::DEFAULT_MAX_FRAME;

/// What turns a TCP connection into links; cheap to clone, because every connection's task has one.
#[derive(Clone)]
pub(crate) struct Door {
    scheme: Scheme,
    tls: Option<TlsAcceptor>,
    admits_admins: bool,
}

/// What a connection carries.
pub(crate) enum Opened {
    /// One link.
    Link(Link),
    /// A link for every call, of `grpc`.
    Calls(GrpcConnection),
}

/// Who is on the other side of a link, as far as TLS tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PeerIdentity {
    /// The common name of the certificate that the peer has proved to own.
    Certified {
        /// The common name.
        common_name: String,
        /// False on the port of sites, where there is another for admins.
        may_be_admin: bool,
    },
    /// No certificate was asked for.
    Unknown,
}

/// Why a peer did not get in.
#[derive(Debug)]
pub(crate) enum DoorError {
    /// TLS failed: no certificate, one of another authority, an expired one, or no TLS at all.
    Tls(io::Error),
    /// The certificate that TLS accepted cannot be read.
    Certificate,
    /// The framing could not be agreed on.
    Link(LinkError),
}

impl Door {
    /// The door of a server that proves itself with `identity` and, with mutual TLS, accepts what `root` issued.
    pub(crate) fn new(
        scheme: Scheme,
        security: ConnectionSecurity,
        identity: &Identity,
        root: &Certificate,
    ) -> Result<Self, PkiError> {
        let tls = match security {
            ConnectionSecurity::Clear => None,
            ConnectionSecurity::Tls | ConnectionSecurity::Mtls => {
                Some(tls::acceptor(scheme, security, identity, root)?)
            }
        };
        Ok(Self { scheme, tls, admits_admins: true })
    }

    /// The door at the port of sites, where there is another for admins.
    pub(crate) fn without_admins(self) -> Self {
        Self { admits_admins: false, ..self }
    }

    /// Does the handshakes of TLS and of the scheme. The caller sets the time limit.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub(crate) async fn open(&self, stream: TcpStream) -> Result<(Opened, PeerIdentity), DoorError> {
        // As real servers do; it only costs speed if it fails.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return Ok((self.frame(stream).await?, PeerIdentity::Unknown));
        };
        let stream = tls.accept(stream).await.map_err(DoorError::Tls)?;
        let peer = match stream.get_ref().1.peer_certificates().and_then(<[_]>::first) {
            None => PeerIdentity::Unknown,
            Some(der) => {
                let certificate = Certificate::from_der(der).map_err(|_| DoorError::Certificate)?;
                PeerIdentity::Certified {
                    common_name: certificate.common_name().to_owned(),
                    may_be_admin: self.admits_admins,
                }
            }
        };
        Ok((self.frame(stream).await?, peer))
    }

    async fn frame(&self, pipe: impl Pipe + 'static) -> Result<Opened, DoorError> {
        Ok(match self.scheme {
            Scheme::Http => Opened::Link(Link::accept_websocket(pipe, MAX_FRAME).await.map_err(DoorError::Link)?),
            Scheme::Tcp => Opened::Link(Link::tcp(pipe, MAX_FRAME)),
            Scheme::Grpc => Opened::Calls(GrpcConnection::accept(pipe, MAX_FRAME)),
        })
    }
}

impl fmt::Display for DoorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls(_) => "the TLS handshake failed",
            Self::Certificate => "the peer's certificate cannot be read",
            Self::Link(_) => "the connection could not be opened",
        })
    }
}

impl Error for DoorError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Tls(error) => Some(error),
            Self::Certificate => None,
            Self::Link(error) => Some(error),
        }
    }
}
