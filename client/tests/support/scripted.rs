//! A server that answers as a script says: honest where the script does not interfere.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use flare_client::StartupKit;
use flare_wire::auth::{CellToken, ChallengeReply, ChallengeRequest, RegisterReply, proof_text};
use flare_wire::cell::{Payload, channel};
use flare_wire::endpoint::{Answer, Endpoint, EndpointConfig, Event, InboundRequest, OutgoingRequest};
use flare_wire::hci::{Reply, Request, Table};
use flare_wire::link::{DEFAULT_MAX_FRAME, FrameSource, Link};
use flare_wire::{Moment, PrivateKey, Randomness};
use serde_json::json;
use tokio::net::TcpListener;

use super::federation::{Federation, SERVER, now};

/// What a server does about a request.
pub enum Reaction {
    Answer(Answer),
    Silence,
    HangUp,
    /// A push that ends the session.
    Expire(&'static str),
}

impl Reaction {
    pub fn reply(reply: &Reply) -> Self {
        Self::Answer(Answer::payload(Payload::text(&reply.to_json())))
    }

    pub fn string(text: &str) -> Self {
        let mut reply = Reply::new();
        reply.push_string(text);
        Self::reply(&reply)
    }
}

/// Does everything as a real server does.
pub struct Honest {
    /// The name it gives in the challenge.
    pub name: String,
    /// The certificate it shows in the challenge.
    pub certificate: String,
    /// The key it signs with.
    pub key: PrivateKey,
    /// False to send messages without the server's stamp.
    pub stamps: bool,
    random: Randomness,
}

impl Honest {
    pub fn react(&mut self, request: &InboundRequest) -> Reaction {
        match request.topic.as_str() {
            channel::CHALLENGE => self.challenge(request),
            channel::REGISTER => Reaction::Answer(Answer::ok(self.registration(request).to_payload())),
            _ => self.command(&command_line(request)),
        }
    }

    fn challenge(&mut self, request: &InboundRequest) -> Reaction {
        let challenge = ChallengeRequest::from_headers(&request.headers).unwrap();
        let reply = ChallengeReply {
            nonce: self.random.uuid(),
            signature: self.key.sign(&mut self.random, &proof_text(&self.name, &challenge.nonce)),
            common_name: self.name.clone(),
            certificate: self.certificate.clone().into_bytes(),
        };
        Reaction::Answer(Answer::ok(reply.to_payload()))
    }

    pub fn registration(&mut self, request: &InboundRequest) -> RegisterReply {
        let name = request.headers.text("client_name").unwrap().to_owned();
        let token = self.random.uuid();
        let token_signature = self.key.sign_base64(&mut self.random, &proof_text(&name, &token));
        RegisterReply { token, token_signature, ssid: "NA".to_owned() }
    }

    fn command(&self, line: &str) -> Reaction {
        let mut reply = Reply::new();
        match line.split(' ').next().unwrap() {
            "_cert_login" => reply.push_string("OK").push_token("a:token"),
            "_commands" => {
                let mut table =
                    Table::new(["SCOPE", "COMMAND", "DESCRIPTION", "USAGE", "CONFIRM", "CLIENTCMD", "VISIBLE"]);
                for name in ["check_status", "list_studies"] {
                    table.row(["sys", name, "", "", "none", "", "True"]);
                }
                reply.push_table(table)
            }
            "check_status" => reply.set_status(&"ok".into(), "").set_meta("server_status", json!("stopped")),
            _ => reply.push_string("OK"),
        };
        Reaction::reply(&reply)
    }
}

/// The line of an admin command.
pub fn command_line(request: &InboundRequest) -> String {
    Request::parse(&request.payload.as_text().unwrap()).unwrap().command
}

/// A server on a port of its own, without TLS, speaking `tcp`; it ends with the test's runtime.
pub struct Scripted {
    pub port: u16,
    connections: Arc<AtomicUsize>,
}

const SERVES: &[(&str, &str)] =
    &[(channel::TASK, channel::CHALLENGE), (channel::TASK, channel::REGISTER), (channel::HCI, channel::COMMAND)];

struct Frames<'a>(&'a mut Endpoint);

impl FrameSource for Frames<'_> {
    fn next_frame(&mut self) -> Option<Bytes> {
        self.0.next_frame(now())
    }
}

impl Scripted {
    /// Serves as `script` says; `set_up` may make the honest part less so.
    pub async fn start(
        federation: &Federation,
        set_up: impl FnOnce(&mut Honest),
        script: impl Fn(&mut Honest, &InboundRequest) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        let mut honest = Honest {
            name: SERVER.to_owned(),
            certificate: federation.server.pem().to_owned(),
            key: federation.server.key().signer(),
            stamps: true,
            random: Randomness::from_number(5),
        };
        set_up(&mut honest);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::Relaxed);
                serve(Link::tcp(socket, DEFAULT_MAX_FRAME), &mut honest, &script).await;
            }
        });
        Self { port, connections }
    }

    /// A kit that leads here.
    pub fn kit(&self, federation: &Federation) -> StartupKit {
        federation.kit(self.port, json!({"scheme": "tcp", "connection_security": "clear"}))
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Serves one connection until one side ends it.
async fn serve(
    mut link: Link,
    honest: &mut Honest,
    script: &(impl Fn(&mut Honest, &InboundRequest) -> Reaction + Send + Sync),
) {
    let mut endpoint = Endpoint::accept(EndpointConfig::server(SERVES), Randomness::from_number(6), now());
    let mut client = String::new();
    if honest.stamps {
        let stamp = CellToken::of_server(&honest.key, &mut Randomness::from_number(7));
        endpoint.set_stamp(stamp.to_headers());
    }
    while let Ok(Some(frame)) = link.exchange(&mut Frames(&mut endpoint)).await {
        let now: Moment = now();
        endpoint.receive(now, frame).unwrap();
        while let Some(event) = endpoint.poll_event() {
            let request = match event {
                Event::Connected(hello) => {
                    client = hello.endpoint_name.unwrap();
                    continue;
                }
                Event::Request(request) => request,
                _ => continue,
            };
            match script(honest, &request) {
                Reaction::Answer(answer) => endpoint.respond(now, request.reply_to.as_ref().unwrap(), answer),
                Reaction::Silence => {}
                Reaction::HangUp => return,
                Reaction::Expire(text) => endpoint.notify(
                    now,
                    OutgoingRequest {
                        destination: client.clone(),
                        ..OutgoingRequest::streamed(channel::HCI, channel::SESSION_EXPIRED, Payload::text(text))
                    },
                ),
            }
        }
    }
}
