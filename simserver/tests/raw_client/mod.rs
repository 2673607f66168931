//! A client without manners: connects to a simulated server with any certificate and sends what it is told.

#![allow(dead_code, reason = "every test binary uses a part of it")]
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use flare_wire::auth::{
    CellToken, ChallengeReply, ChallengeRequest, LoginHeaders, RegisterReply, RegisterRequest, proof_text,
};
use flare_wire::cell::{Payload, ReturnCode, channel};
use flare_wire::certificate::Certificate;
use flare_wire::endpoint::{Endpoint, EndpointConfig, Event, OutgoingRequest, Response};
use flare_wire::hci::{Item, Reply, Request};
use flare_wire::link::{DEFAULT_MAX_FRAME, FrameSource, Link};
use flare_wire::{Moment, PrivateKey, Randomness, RequestError};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Far longer than anything here takes, and short enough to wait for when something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The files of an admin's kit that a connection needs.
#[derive(Clone)]
pub(crate) struct Papers {
    pub(crate) root: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Papers {
    pub(crate) fn of_kit(kit: &Path) -> Self {
        let read = |name: &str| fs::read_to_string(kit.join("startup").join(name)).unwrap();
        Self { root: read("rootCA.pem"), certificate: read("client.crt"), key: read("client.key") }
    }

    pub(crate) fn common_name(&self) -> String {
        let chain = Certificate::chain_from_pem(self.certificate.as_bytes()).unwrap();
        chain[0].common_name().to_owned()
    }

    fn tls(&self, with_certificate: bool) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.root.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = if with_certificate {
            let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes()).map(Result::unwrap).collect();
            let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        } else {
            config.with_no_client_auth()
        };
        TlsConnector::from(Arc::new(config))
    }
}

/// Opens TLS; with TLS 1.3 a refusal of the client's certificate shows only when something is read.
pub(crate) async fn dial(port: u16, papers: &Papers, with_certificate: bool) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    papers.tls(with_certificate).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// A connection with its endpoint.
pub(crate) struct RawClient {
    link: Link,
    pub(crate) endpoint: Endpoint,
    random: Randomness,
    papers: Papers,
}

struct Frames<'a>(&'a mut Endpoint);

impl FrameSource for Frames<'_> {
    fn next_frame(&mut self) -> Option<Bytes> {
        self.0.next_frame(now())
    }
}

#[expect(clippy::disallowed_methods, reason = "a client over real sockets lives in real time")]
pub(crate) fn now() -> Moment {
    Moment::from_unix(SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
}

impl RawClient {
    /// Connects over WebSocket as an endpoint of this name, a random admin's without, and waits for READY.
    pub(crate) async fn connect(port: u16, papers: &Papers, name: Option<&str>) -> Self {
        let pipe = dial(port, papers, true).await.unwrap();
        let link = Link::connect_websocket(pipe, "localhost", DEFAULT_MAX_FRAME).await.unwrap();
        Self::over(link, papers, name).await
    }

    /// The same over a link of the caller's.
    pub(crate) async fn over(link: Link, papers: &Papers, name: Option<&str>) -> Self {
        let mut seed = [0; 32];
        rand::TryRng::try_fill_bytes(&mut rand::rngs::SysRng, &mut seed).unwrap();
        let mut random = Randomness::from_seed(seed);
        let mut config = EndpointConfig::admin(&mut random);
        if let Some(name) = name {
            config.name = name.to_owned();
        }
        let endpoint = Endpoint::connect(config, random.fork(), now());
        let mut client = Self { link, endpoint, random, papers: papers.clone() };
        assert!(matches!(client.event().await, Some(Event::Connected(_))));
        client
    }

    /// The next event; none when the server has ended the connection.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        timeout(PATIENCE, async {
            loop {
                if let Some(event) = self.endpoint.poll_event() {
                    return Some(event);
                }
                let mut frames = Frames(&mut self.endpoint);
                tokio::select! {
                    frame = self.link.exchange(&mut frames) => {
                        let Ok(Some(frame)) = frame else { return None };
                        self.endpoint.receive(now(), frame).unwrap();
                    }
                    // Deadlines need no precision here.
                    () = sleep(Duration::from_millis(100)) => self.endpoint.advance(now()),
                }
            }
        })
        .await
        .expect("an event, or the end of the connection")
    }

    /// Sends a request and waits for its outcome.
    pub(crate) async fn ask(
        &mut self,
        request: OutgoingRequest,
        patience: Duration,
    ) -> Result<Box<Response>, RequestError> {
        let wanted = self.endpoint.request(now(), request, patience)?;
        loop {
            match self.event().await {
                Some(Event::Response { id, result }) if id == wanted => return result,
                Some(_) => {}
                None => return Err(RequestError::Disconnected),
            }
        }
    }

    /// Registers with these papers instead of those of the connection.
    pub(crate) fn papers_for_registration(&mut self, papers: Papers) {
        self.papers = papers;
    }

    /// Sends bytes as one frame, whatever they are.
    pub(crate) async fn send_raw(&mut self, frame: &[u8]) {
        struct Once(Option<Bytes>);
        impl FrameSource for Once {
            fn next_frame(&mut self) -> Option<Bytes> {
                self.0.take()
            }
        }
        // Sending needs no answer, and there is none to a frame that is dropped.
        let mut once = Once(Some(Bytes::copy_from_slice(frame)));
        let silence = Duration::from_millis(50);
        assert!(timeout(silence, self.link.exchange(&mut once)).await.is_err(), "an answer to garbage");
        assert!(once.0.is_none());
    }

    /// Proves who it is and takes the token it gets.
    pub(crate) async fn register(&mut self, project: &str) -> Result<CellToken, RequestError> {
        let name = self.papers.common_name();
        let nonce = self.random.uuid();
        let mut request = OutgoingRequest::plain(channel::TASK, channel::CHALLENGE);
        request.headers = ChallengeRequest { common_name: name.clone(), nonce: nonce.clone() }.to_headers();
        let response = self.ask(request, PATIENCE).await?;
        let challenge = ChallengeReply::from_value(&response.payload.value().unwrap()).unwrap();
        let server = Certificate::chain_from_pem(&challenge.certificate).unwrap().remove(0);
        assert_eq!(server.common_name(), challenge.common_name);
        let server_key = server.public_key().unwrap();
        server_key.verify(&proof_text(&challenge.common_name, &nonce), &challenge.signature).unwrap();

        let key = PrivateKey::from_pem(&self.papers.key).unwrap();
        let registration = RegisterRequest {
            client_name: name.clone(),
            client_type: "admin".to_owned(),
            client_ip: "127.0.0.1".to_owned(),
            project_name: project.to_owned(),
            certificate: self.papers.certificate.as_bytes().to_vec(),
            signature: key.sign(&mut self.random, &proof_text(&name, &challenge.nonce)),
        };
        let mut request = OutgoingRequest::plain(channel::TASK, channel::REGISTER);
        request.headers = registration.to_headers();
        request.payload = registration.to_payload();
        let response = self.ask(request, PATIENCE).await?;
        let reply = RegisterReply::from_value(&response.payload.value().unwrap()).unwrap();
        let refused = || RequestError::Failed { code: ReturnCode::Unauthenticated, text: "silently".to_owned() };
        let token = CellToken::of_client(&name, &reply.ok_or_else(refused)?);
        token.verify(&server_key).unwrap();
        self.endpoint.set_stamp(token.to_headers());
        Ok(token)
    }

    /// Logs in, after the registration; returns the session token.
    pub(crate) async fn log_in(&mut self) -> String {
        let name = self.papers.common_name();
        let key = PrivateKey::from_pem(&self.papers.key).unwrap();
        let signature = key.sign(&mut self.random, &proof_text(&name, ""));
        let mut request = command(&Request::new(format!("_cert_login {name}")));
        request.headers =
            LoginHeaders::new(&name, self.papers.certificate.as_bytes(), &signature, "default").to_headers();
        let reply = self.reply(request).await;
        let token = reply.data.iter().find_map(|item| match item {
            Item::Token(token) => Some(token.clone()),
            _ => None,
        });
        token.unwrap_or_else(|| panic!("no token: {}", reply.to_json()))
    }

    /// Sends a command and reads the reply.
    pub(crate) async fn reply(&mut self, request: OutgoingRequest) -> Reply {
        let response = self.ask(request, PATIENCE).await.unwrap();
        Reply::parse(&response.payload.as_text().unwrap()).unwrap()
    }
}

/// A command as the official client sends it.
pub(crate) fn command(request: &Request) -> OutgoingRequest {
    OutgoingRequest::streamed(channel::HCI, channel::COMMAND, Payload::text(&request.to_json()))
}
