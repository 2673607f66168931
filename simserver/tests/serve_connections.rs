//! What a running server does with good, bad and odd connections.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

mod raw_client;

use std::time::Duration;

use flare_simserver::SimServer;
use flare_simserver::pki::{Subject, Validity};
use flare_simserver::project::{Project, Role, Scheme};
use flare_wire::RequestError;
use flare_wire::cell::{Headers, Payload, ReturnCode, channel};
use flare_wire::endpoint::{Event, OutgoingRequest};
use flare_wire::hci::{Reply, Request};
use flare_wire::link::{DEFAULT_MAX_FRAME, Link};
use raw_client::{PATIENCE, Papers, RawClient, dial, now};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PROJECT: &str = "example_project";

/// How long a message is watched that is meant to stay without an answer.
const SILENCE: Duration = Duration::from_millis(300);

async fn server() -> (SimServer, Papers) {
    let server = SimServer::start().await.unwrap();
    let papers = Papers::of_kit(&server.admin_kit(Role::ProjectAdmin).unwrap());
    (server, papers)
}

fn command(line: &str) -> OutgoingRequest {
    raw_client::command(&Request::new(line))
}

/// The proof that a server is well: somebody gets all the way to a command.
async fn assert_usable(server: &SimServer) {
    let papers = Papers::of_kit(&server.admin_kit(Role::Lead).unwrap());
    let mut client = RawClient::connect(server.port(), &papers, None).await;
    client.register(PROJECT).await.unwrap();
    let response = client.ask(command("nonsense"), PATIENCE).await.unwrap();
    let reply = Reply::parse(&response.payload.as_text().unwrap()).unwrap();
    assert!(reply.to_json().contains("Unknown command"), "{}", reply.to_json());
}

/// Reads until the server ends the connection. What it sends before is of no interest.
async fn assert_ended(mut pipe: impl tokio::io::AsyncRead + Unpin) {
    let mut sink = [0; 4096];
    timeout(PATIENCE, async { while pipe.read(&mut sink).await.is_ok_and(|read| read > 0) {} })
        .await
        .expect("the server ends the connection");
}

#[tokio::test]
async fn many_servers_live_side_by_side_and_leave_nothing_behind() {
    let mut servers = Vec::new();
    for _ in 0..5 {
        servers.push(SimServer::start().await.unwrap());
    }
    let mut ports: Vec<u16> = servers.iter().map(SimServer::port).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 5);
    for server in servers {
        let port = server.port();
        assert_usable(&server).await;
        let kits = server.all_kits().unwrap();
        server.shutdown().await;
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "port {port} is still open");
        assert!(!kits.exists());
    }
}

#[tokio::test]
async fn a_dropped_server_ends_its_connections_and_frees_its_port() {
    let (server, papers) = server().await;
    let port = server.port();
    let mut client = RawClient::connect(port, &papers, None).await;
    drop(server);
    assert!(client.event().await.is_none());
    timeout(PATIENCE, async { while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {} }).await.unwrap();
}

#[tokio::test]
async fn a_server_cannot_take_a_port_that_is_taken() {
    let (server, _) = server().await;
    let error = SimServer::builder().port(server.port()).start().await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on 127.0.0.1 port {}", server.port()));
    assert!(error.hint().contains("port 0"));
}

#[tokio::test]
async fn two_servers_do_not_share_a_workspace() {
    let workspace = tempfile::tempdir().unwrap();
    let builder = || SimServer::builder().workspace(workspace.path());
    let first = builder().start().await.unwrap();
    let error = builder().start().await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, format!("another server serves from {}", workspace.path().join(PROJECT).display()));
    let kit = first.admin_kit(Role::Lead).unwrap();
    first.shutdown().await;
    assert!(kit.exists());
    assert_usable(&builder().start().await.unwrap()).await;
}

#[tokio::test]
async fn a_crowd_is_served_while_others_say_nothing() {
    let (server, papers) = server().await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(("127.0.0.1", server.port())).await.unwrap());
    }
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (port, papers) = (server.port(), papers.clone());
        crowd.spawn(async move {
            let mut client = RawClient::connect(port, &papers, None).await;
            client.register(PROJECT).await.unwrap();
            client.log_in().await
        });
    }
    let tokens = crowd.join_all().await;
    assert_eq!(tokens.len(), 50);
    assert_eq!(server.control(|sim, _| sim.sessions().count()), 50);
}

#[tokio::test]
async fn both_schemes_carry_the_same_conversation() {
    let server = SimServer::builder().scheme(Scheme::Tcp).start().await.unwrap();
    let papers = Papers::of_kit(&server.admin_kit(Role::Member).unwrap());
    let link = Link::tcp(dial(server.port(), &papers, true).await.unwrap(), DEFAULT_MAX_FRAME);
    let mut client = RawClient::over(link, &papers, None).await;
    client.register(PROJECT).await.unwrap();
    client.ask(command("nonsense"), PATIENCE).await.unwrap();
}

#[tokio::test]
async fn over_grpc_every_call_of_a_connection_is_a_client() {
    let server = SimServer::builder().scheme(Scheme::Grpc).start().await.unwrap();
    let papers = Papers::of_kit(&server.admin_kit(Role::Member).unwrap());
    for _ in 0..2 {
        let pipe = dial(server.port(), &papers, true).await.unwrap();
        let link = Link::connect_grpc(pipe, "https://localhost", DEFAULT_MAX_FRAME).await.unwrap();
        let mut client = RawClient::over(link, &papers, None).await;
        client.register(PROJECT).await.unwrap();
        client.ask(command("nonsense"), PATIENCE).await.unwrap();
    }
}

#[tokio::test]
async fn over_grpc_a_connection_without_a_call_is_ended() {
    let server = SimServer::builder().scheme(Scheme::Grpc).handshake_timeout(SILENCE).start().await.unwrap();
    let papers = Papers::of_kit(&server.admin_kit(Role::Member).unwrap());
    let mut pipe = dial(server.port(), &papers, true).await.unwrap();
    pipe.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    assert_ended(pipe).await;
}

#[tokio::test]
async fn over_grpc_the_end_of_the_server_ends_the_call() {
    let server = SimServer::builder().scheme(Scheme::Grpc).start().await.unwrap();
    let papers = Papers::of_kit(&server.admin_kit(Role::Member).unwrap());
    let pipe = dial(server.port(), &papers, true).await.unwrap();
    let link = Link::connect_grpc(pipe, "https://localhost", DEFAULT_MAX_FRAME).await.unwrap();
    let mut client = RawClient::over(link, &papers, None).await;
    let (said, ()) = tokio::join!(client.event(), server.shutdown());
    // `bye` may be the last word of the server, or not be answered any more.
    if said.is_some() {
        assert!(client.event().await.is_none());
    }
}

#[tokio::test]
async fn commands_are_answered_the_way_they_came() {
    let (server, papers) = server().await;
    let mut client = RawClient::connect(server.port(), &papers, None).await;
    client.register(PROJECT).await.unwrap();
    let streamed = client.ask(command("nonsense"), PATIENCE).await.unwrap();
    let plain = client.ask(OutgoingRequest { streamed: false, ..command("nonsense") }, PATIENCE).await.unwrap();
    assert_eq!(streamed.headers.text("cn__channel"), Some("sm__STREAM"));
    assert_eq!(plain.headers.text("cn__channel"), Some(channel::HCI));
    assert_eq!(streamed.payload.as_text().unwrap().len(), plain.payload.as_text().unwrap().len());
}

#[tokio::test]
async fn a_payload_that_is_no_text_gets_an_answer_without_one() {
    let (server, papers) = server().await;
    let mut client = RawClient::connect(server.port(), &papers, None).await;
    client.register(PROJECT).await.unwrap();
    let mut request = command("nonsense");
    request.payload = Payload::fobs(&flare_wire::msgpack::Value::from(7));
    let response = client.ask(request, PATIENCE).await.unwrap();
    assert!(response.payload.bytes.is_empty());
}

#[tokio::test]
async fn messages_without_a_good_token_get_no_answer() {
    let (server, papers) = server().await;
    let mut client = RawClient::connect(server.port(), &papers, None).await;
    let silence = |result: Result<_, RequestError>| matches!(result, Err(RequestError::TimedOut { .. }));
    assert!(silence(client.ask(command("nonsense"), SILENCE).await.map(drop)), "no token");

    let token = client.register(PROJECT).await.unwrap();
    let forged = flare_wire::auth::CellToken { client_name: "lead@nvidia.com".to_owned(), ..token.clone() };
    client.endpoint.set_stamp(forged.to_headers());
    assert!(silence(client.ask(command("nonsense"), SILENCE).await.map(drop)), "a token of somebody else");
    client.endpoint.set_stamp(Headers::new());
    assert!(silence(client.ask(command("nonsense"), SILENCE).await.map(drop)), "no token any more");

    client.endpoint.set_stamp(token.to_headers());
    client.ask(command("nonsense"), PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_registration_needs_a_challenge_and_the_right_project() {
    let (server, papers) = server().await;
    let mut client = RawClient::connect(server.port(), &papers, None).await;
    let refusal = |text: &str| RequestError::Failed { code: ReturnCode::Unauthenticated, text: text.to_owned() };

    let bare = OutgoingRequest::plain(channel::TASK, channel::REGISTER);
    assert_eq!(client.ask(bare, PATIENCE).await.map(drop), Err(refusal("no registration session")));
    assert_eq!(
        client.register("other_project").await.map(drop),
        Err(refusal("Requested task does not match the current server task")),
    );
    client.register(PROJECT).await.unwrap();
}

#[tokio::test]
async fn a_registration_with_another_key_than_the_certificates_is_refused_silently() {
    let (server, papers) = server().await;
    let other = Papers::of_kit(&server.admin_kit(Role::Lead).unwrap());
    // TLS would notice as well, so the connection is made with good papers.
    let mut client = RawClient::connect(server.port(), &papers, None).await;
    client.papers_for_registration(Papers { certificate: other.certificate, ..papers });
    let error = client.register(PROJECT).await.unwrap_err();
    assert!(matches!(&error, RequestError::Failed { text, .. } if text == "silently"), "{error:?}");
}

#[tokio::test]
async fn a_second_connection_takes_the_name_from_the_first() {
    let (server, papers) = server().await;
    let mut first = RawClient::connect(server.port(), &papers, None).await;
    let name = first.endpoint.name().to_owned();
    let mut second = RawClient::connect(server.port(), &papers, Some(&name)).await;
    assert!(first.event().await.is_none(), "the first connection ends");
    second.register(PROJECT).await.unwrap();
    second.ask(command("nonsense"), PATIENCE).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_is_not_named_after_its_certificate_gets_ready_and_then_the_end() {
    let (server, papers) = server().await;
    // `connect` waits for READY.
    let mut imposter = RawClient::connect(server.port(), &papers, Some("site-1")).await;
    assert!(imposter.event().await.is_none());
    let site = Papers::of_kit(&server.kit("site-1").unwrap());
    let mut site = RawClient::connect(server.port(), &site, Some("site-1")).await;
    site.register(PROJECT).await.unwrap();
    assert_usable(&server).await;
}

#[tokio::test]
async fn after_bye_streamed_commands_stay_without_an_answer() {
    let (server, papers) = server().await;
    let mut client = RawClient::connect(server.port(), &papers, None).await;
    client.register(PROJECT).await.unwrap();
    client.endpoint.bye(now()).unwrap();
    assert!(matches!(client.event().await, Some(Event::Response { result: Ok(_), .. })));
    let late = client.ask(command("nonsense"), SILENCE).await;
    assert!(matches!(late, Err(RequestError::TimedOut { .. })), "{late:?}");
}

#[tokio::test]
async fn no_certificate_is_refused_by_tls() {
    let (server, papers) = server().await;
    match dial(server.port(), &papers, false).await {
        Err(_) => {}
        Ok(pipe) => assert!(Link::connect_websocket(pipe, "localhost", DEFAULT_MAX_FRAME).await.is_err()),
    }
    assert_usable(&server).await;
}

#[tokio::test]
async fn a_certificate_of_another_root_is_refused_by_tls() {
    let (server, papers) = server().await;
    let (_other, foreign) = self::server().await;
    let mixed = Papers { root: papers.root, ..foreign };
    match dial(server.port(), &mixed, true).await {
        Err(_) => {}
        Ok(pipe) => assert!(Link::connect_websocket(pipe, "localhost", DEFAULT_MAX_FRAME).await.is_err()),
    }
    assert_usable(&server).await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused_by_tls() {
    let (server, papers) = server().await;
    let past = now() - Duration::from_secs(1_000_000);
    let validity = Validity { from: past, until: past + Duration::from_secs(1000) };
    let expired = server.issue(&Subject::new("admin@nvidia.com").organization("nvidia"), validity).unwrap();
    let papers = Papers { certificate: expired.pem().to_owned(), key: expired.key().to_pem(), root: papers.root };
    match dial(server.port(), &papers, true).await {
        Err(_) => {}
        Ok(pipe) => assert!(Link::connect_websocket(pipe, "localhost", DEFAULT_MAX_FRAME).await.is_err()),
    }
    assert_usable(&server).await;
}

#[tokio::test]
async fn garbage_instead_of_tls_ends_that_connection_only() {
    let (server, _) = server().await;
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    stream.write_all(&[0xff; 10_000]).await.unwrap();
    assert_ended(stream).await;
    assert_usable(&server).await;
}

#[tokio::test]
async fn an_http_request_for_another_path_is_answered_with_404() {
    let (server, papers) = server().await;
    let mut pipe = dial(server.port(), &papers, true).await.unwrap();
    let upgrade = "GET /other HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    pipe.write_all(upgrade.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    timeout(PATIENCE, pipe.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 404");
    assert_usable(&server).await;
}

#[tokio::test]
async fn a_frame_beyond_the_limit_ends_that_connection_only() {
    let server = SimServer::builder().scheme(Scheme::Tcp).start().await.unwrap();
    let papers = Papers::of_kit(&server.admin_kit(Role::Member).unwrap());
    for length in [u32::MAX, 15, 0] {
        let mut pipe = dial(server.port(), &papers, true).await.unwrap();
        let mut prefix = [0; 16];
        prefix[..4].copy_from_slice(&length.to_be_bytes());
        pipe.write_all(&prefix).await.unwrap();
        assert_ended(pipe).await;
    }
    let link = Link::tcp(dial(server.port(), &papers, true).await.unwrap(), DEFAULT_MAX_FRAME);
    RawClient::over(link, &papers, None).await.register(PROJECT).await.unwrap();
}

#[tokio::test]
async fn malformed_frames_are_dropped_and_the_connection_goes_on() {
    let (server, papers) = server().await;
    let mut client = RawClient::connect(server.port(), &papers, None).await;
    for frame in [&b""[..], b"short", &[0xff; 16], &[0xff; 5000]] {
        client.send_raw(frame).await;
    }
    client.register(PROJECT).await.unwrap();
    client.ask(command("nonsense"), PATIENCE).await.unwrap();
}

#[tokio::test]
async fn peers_that_stop_half_way_are_shown_the_door_and_stall_nobody() {
    let server = SimServer::builder().handshake_timeout(Duration::from_secs(2)).start().await.unwrap();
    let papers = Papers::of_kit(&server.admin_kit(Role::ProjectAdmin).unwrap());
    // Before TLS, before the upgrade, before HELLO.
    let silent = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    let secure = dial(server.port(), &papers, true).await.unwrap();
    let mut upgraded = dial(server.port(), &papers, true).await.unwrap();
    upgraded.write_all(b"GET /f3 HTTP/1.1\r\nHost: local").await.unwrap();
    assert_usable(&server).await;
    tokio::join!(assert_ended(silent), assert_ended(secure), assert_ended(upgraded));
    assert_usable(&server).await;
}

#[tokio::test]
async fn a_hello_without_a_usable_name_leaves_an_idle_connection_or_none() {
    let (server, papers) = server().await;
    let mut illegal = RawClient::connect(server.port(), &papers, Some("no spaces please")).await;
    assert!(illegal.event().await.is_none());
    // Claiming to be the server is answered, and then nothing works.
    let mut claimant = RawClient::connect(server.port(), &papers, Some("server")).await;
    let challenge = OutgoingRequest::plain(channel::TASK, channel::CHALLENGE);
    assert!(matches!(claimant.ask(challenge, SILENCE).await, Err(RequestError::TimedOut { .. })));
}

#[tokio::test]
async fn a_project_without_tls_is_served_in_clear() {
    let project = Project::from_yaml(
        "{api_version: 3, name: example_project, connection_security: clear, participants: [
           {name: server, type: server, org: nvidia, default_host: localhost},
           {name: a@b.org, type: admin, org: nvidia, role: lead}]}",
    )
    .unwrap();
    let server = SimServer::builder().project(project).start().await.unwrap();
    let papers = Papers::of_kit(&server.kit("a@b.org").unwrap());
    let pipe = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    let link = Link::connect_websocket(pipe, "localhost", DEFAULT_MAX_FRAME).await.unwrap();
    RawClient::over(link, &papers, Some("anybody")).await.register(PROJECT).await.unwrap();
}
