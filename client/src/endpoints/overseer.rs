//! The overseer of FLARE 2.1 to 2.6: a service that servers report to, and that tells everybody which one is active.
//!
//! `POST <end point>/heartbeat` with `{"role": "admin", "project": ...}` every few seconds; the reply names the primary
//! service provider as `host:fl_port:admin_port`, and a service session id that is new after every change. Source: nvflare
//! 2.6.2, `nvflare/ha/overseer_agent.py` and `nvflare/ha/overseer`; run with the real service in the tests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use super::{EndpointProvider, Failure, ServerEndpoint, Source};
use crate::startup_kit::StartupKit;
use crate::{Error, ErrorKind, Result};

/// Between two heartbeats; the official agent's default.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

/// Longest that one heartbeat may take: an overseer that does not answer is asked again, over a new connection.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest reply that is read. It lists the servers of one project, a few hundred bytes each.
const MAX_REPLY: usize = 1024 * 1024;

/// Asks an overseer which server is active, as admins of FLARE 2.1 to 2.6 do.
///
/// What the overseer said last holds while it cannot be reached: sessions do not depend on it as long as their server stays.
///
/// ```no_run
/// # async fn example() -> flare_client::Result<()> {
/// use flare_client::{OverseerAgent, Session, StartupKit};
///
/// let kit = StartupKit::open("prod_00/admin@nvidia.com")?;
/// let provider = OverseerAgent::new("https://overseer:8443/api/v1", "example_project").kit(&kit).start()?;
/// let session = Session::builder(kit).endpoints(provider).connect().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "an agent does nothing until `start`"]
pub struct OverseerAgent {
    end_point: String,
    project: String,
    kit: Option<StartupKit>,
    interval: Duration,
}

impl OverseerAgent {
    /// Asks the overseer at `end_point`, with its path (`https://overseer:8443/api/v1`), for a project.
    pub fn new(end_point: impl Into<String>, project: impl Into<String>) -> Self {
        Self { end_point: end_point.into(), project: project.into(), kit: None, interval: HEARTBEAT_INTERVAL }
    }

    /// Proves who we are with the certificate of this kit, and checks the overseer's against the kit's authority, host name
    /// included. An `https` end point needs one.
    pub fn kit(mut self, kit: &StartupKit) -> Self {
        self.kit = Some(kit.clone());
        self
    }

    /// How long between two heartbeats: five seconds unless set.
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Starts to ask. The task ends with the last clone of the provider, and of the sessions that were opened with it.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for an end point that is no `http` or `https` URL, `https` without a
    /// kit, or an interval of zero; [`InvalidStartupKit`](ErrorKind::InvalidStartupKit) when TLS cannot use the kit.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(self) -> Result<EndpointProvider> {
        let overseer = Overseer::of(&self)?;
        let (sender, active) = watch::channel(None);
        let interval = self.interval;
        let failure = Arc::new(Failure::default());
        let failed = Arc::clone(&failure);
        let task = tokio::spawn(async move {
            loop {
                match overseer.heartbeat().await {
                    Ok(primary) => {
                        failed.set(None);
                        sender.send_if_modified(|known| {
                            let is_new = *known != primary;
                            *known = primary;
                            is_new
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, overseer = %overseer.uri, "the overseer was not heard");
                        failed.set(Some(error.into()));
                    }
                }
                sleep(interval).await;
            }
        });
        Ok(EndpointProvider::found_by(active, Source { task: task.abort_handle(), failure }))
    }
}

impl fmt::Debug for OverseerAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverseerAgent")
            .field("end_point", &self.end_point)
            .field("project", &self.project)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// Why an overseer was not heard.
type Unheard = Box<dyn std::error::Error + Send + Sync>;

/// Where an overseer is, and what it is told.
struct Overseer {
    uri: Uri,
    host: String,
    port: u16,
    body: Bytes,
    tls: Option<Arc<ClientConfig>>,
}

impl Overseer {
    fn of(agent: &OverseerAgent) -> Result<Self> {
        let no_url = || Error::argument("the overseer's end point is no http or https URL with a host");
        if agent.interval.is_zero() {
            return Err(Error::argument("the heartbeat interval is zero"));
        }
        let uri: Uri = format!("{}/heartbeat", agent.end_point.trim_end_matches('/')).parse().map_err(|_| no_url())?;
        let host = uri.host().ok_or_else(no_url)?.trim_matches(['[', ']']).to_owned();
        let (default_port, tls) = match (uri.scheme_str(), &agent.kit) {
            (Some("http"), _) => (80, None),
            (Some("https"), Some(kit)) => (443, Some(tls(kit)?)),
            (Some("https"), None) => return Err(Error::argument("an https overseer needs a startup kit")),
            _ => return Err(no_url()),
        };
        let port = uri.port_u16().unwrap_or(default_port);
        let body = json!({"role": "admin", "project": agent.project}).to_string().into();
        Ok(Self { uri, host, port, body, tls })
    }

    /// Asks once; `None` when no server is active.
    async fn heartbeat(&self) -> std::result::Result<Option<ServerEndpoint>, Unheard> {
        timeout(HEARTBEAT_TIMEOUT, async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            match &self.tls {
                None => self.ask(stream).await,
                Some(config) => {
                    let name = ServerName::try_from(self.host.clone())?;
                    self.ask(TlsConnector::from(Arc::clone(config)).connect(name, stream).await?).await
                }
            }
        })
        .await?
    }

    async fn ask(
        &self,
        pipe: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> std::result::Result<Option<ServerEndpoint>, Unheard> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(pipe)).await?;
        let authority = self.uri.authority().map_or(self.host.as_str(), |authority| authority.as_str());
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, authority)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(self.body.clone()))?;
        let answered = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_REPLY).collect().await?.to_bytes();
            if status != StatusCode::OK {
                return Err(format!("it answered with HTTP status {status}").into());
            }
            primary(&serde_json::from_slice(&body)?)
        };
        let mut answered = std::pin::pin!(answered);
        // The connection moves on while it is polled. An overseer ends it with its answer, which may be there already.
        tokio::select! {
            biased;
            answer = &mut answered => answer,
            ended = connection => {
                ended?;
                answered.await
            }
        }
    }
}

/// The primary service provider of a reply.
fn primary(reply: &Value) -> std::result::Result<Option<ServerEndpoint>, Unheard> {
    if let Some(error) = reply.get("Error") {
        return Err(format!("it refused: {error}").into());
    }
    let Some(primary) = reply.get("primary_sp").filter(|primary| primary.as_object().is_some_and(|sp| !sp.is_empty()))
    else {
        return Ok(None);
    };
    let end_point = primary.get("sp_end_point").and_then(Value::as_str).unwrap_or_default();
    let parsed = match end_point.split(':').collect::<Vec<_>>().as_slice() {
        [host, fl_port, _admin_port] if !host.is_empty() => {
            fl_port.parse().ok().map(|port| ServerEndpoint::new(*host, port))
        }
        _ => None,
    };
    let endpoint = parsed.ok_or_else(|| format!("{end_point:?} is not host:fl_port:admin_port"))?;
    Ok(Some(match primary.get("service_session_id").and_then(Value::as_str) {
        Some(id) => endpoint.with_service_session_id(id),
        None => endpoint,
    }))
}

/// TLS with the kit's certificate, and host names that count: as `requests` has it.
fn tls(kit: &StartupKit) -> Result<Arc<ClientConfig>> {
    let unusable = |error: rustls::Error| {
        Error::new(ErrorKind::InvalidStartupKit, "the kit's key and certificate cannot be used for TLS")
            .with_source(error)
    };
    let mut roots = rustls::RootCertStore::empty();
    for root in kit.tls_roots() {
        roots.add(root.der().clone()).map_err(unusable)?;
    }
    let chain = kit.chain().iter().map(|certificate| certificate.der().clone()).collect();
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, kit.key_der())
        .map(Arc::new)
        .map_err(unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_server_is_read() {
        let reply = json!({
            "primary_sp": {
                "sp_end_point": "server-1:8002:8003", "project": "p", "state": "online", "primary": true,
                "last_heartbeat": "2026-11-26T05:00:00", "service_session_id": "a-b",
            },
            "sp_list": [], "system": "ready",
        });
        let expected = ServerEndpoint::new("server-1", 8002).with_service_session_id("a-b");
        assert_eq!(primary(&reply).unwrap(), Some(expected));
        for nobody in [json!({"primary_sp": {}}), json!({"primary_sp": null}), json!({})] {
            assert_eq!(primary(&nobody).unwrap(), None, "{nobody}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_an_error() {
        for end_point in [json!("server"), json!("server:x:1"), json!(":1:2"), json!("a:1:2:3"), json!(7)] {
            let reply = json!({"primary_sp": {"sp_end_point": end_point}});
            assert!(primary(&reply).is_err(), "{reply}");
        }
        assert!(primary(&json!({"Error": "project and role must be provided"})).is_err());
    }

    #[tokio::test]
    async fn an_end_point_that_cannot_be_asked_is_refused() {
        let start =
            |end_point: &str| OverseerAgent::new(end_point, "p").start().map(drop).map_err(|error| error.kind());
        for bad in ["", "overseer", "ftp://overseer", "https://overseer/api/v1", "http:///api"] {
            assert_eq!(start(bad), Err(ErrorKind::InvalidArgument), "{bad}");
        }
        assert_eq!(start("http://localhost:1/api/v1"), Ok(()));
        let never = OverseerAgent::new("http://localhost:1/api/v1", "p").heartbeat_interval(Duration::ZERO).start();
        assert_eq!(never.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
