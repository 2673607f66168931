//! What a running server says later than at once: slow sites, expired sessions, long replies.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

mod raw_client;

use std::time::Duration;

use flare_simserver::core::SiteBehaviour;
use flare_simserver::project::Role;
use flare_simserver::{SimServer, SimServerBuilder};
use flare_wire::cell::{ReturnCode, channel};
use flare_wire::endpoint::{Event, OutgoingRequest};
use flare_wire::hci::Request;
use flare_wire::{Moment, RequestError};
use raw_client::{PATIENCE, Papers, RawClient, command};

const PROJECT: &str = "example_project";

struct LoggedIn {
    server: SimServer,
    client: RawClient,
    token: String,
}

impl LoggedIn {
    async fn to(builder: SimServerBuilder) -> Self {
        let server = builder.start().await.unwrap();
        let papers = Papers::of_kit(&server.admin_kit(Role::ProjectAdmin).unwrap());
        let mut client = RawClient::connect(server.port(), &papers, None).await;
        client.register(PROJECT).await.unwrap();
        let token = client.log_in().await;
        Self { server, client, token }
    }

    fn command(&self, line: &str) -> OutgoingRequest {
        self.command_with(Request::new(line))
    }

    fn command_with(&self, request: Request) -> OutgoingRequest {
        command(&Request { token: Some(self.token.clone()), ..request })
    }
}

#[tokio::test]
async fn a_session_that_is_idle_for_too_long_ends_and_its_client_is_told() {
    let mut session = LoggedIn::to(SimServer::builder()).await;
    assert_eq!(session.server.control(|sim, _| sim.sessions().count()), 1);
    session.server.skip_time(Duration::from_secs(1806));
    assert_eq!(session.server.control(|sim, _| sim.sessions().count()), 0);
    let Some(Event::Request(push)) = session.client.event().await else { panic!("no push") };
    assert_eq!((push.channel.as_str(), push.topic.as_str()), (channel::HCI, channel::SESSION_EXPIRED));
    assert_eq!(push.payload.as_text().unwrap(), "Your session is closed due to inactivity or cert expiry.");
    assert!(push.reply_to.is_none());
}

#[tokio::test]
async fn a_slow_site_delays_its_answer_and_nobody_elses() {
    let slow = SiteBehaviour::Slow(Duration::from_millis(400));
    let mut session =
        LoggedIn::to(SimServer::builder().configure(move |config| config.sites[0].behaviour = slow)).await;
    let now = raw_client::now();
    let slow = session.client.endpoint.request(now, session.command("report_version client site-1"), PATIENCE).unwrap();
    let quick =
        session.client.endpoint.request(now, session.command("report_version client site-2"), PATIENCE).unwrap();
    let mut order = Vec::new();
    while order.len() < 2 {
        if let Some(Event::Response { id, result }) = session.client.event().await {
            result.unwrap();
            order.push(id);
        }
    }
    assert_eq!(order, [quick, slow]);
}

#[tokio::test]
async fn a_silent_site_is_waited_for_as_long_as_the_request_says() {
    let mut session = LoggedIn::to(SimServer::builder()).await;
    session.server.control(|sim, now| assert!(sim.set_site_behaviour(now, "site-2", SiteBehaviour::Silent)));
    let mut request = Request::new("report_version client");
    request.meta.insert("cmd_timeout".to_owned(), 0.3.into());
    let started = raw_client::now();
    let reply = session.client.reply(session.command_with(request)).await;
    assert!(raw_client::now().since(started) >= Duration::from_millis(300));
    assert!(reply.to_json().contains("No replies"), "{}", reply.to_json());
}

#[tokio::test]
async fn a_client_that_goes_away_before_its_late_answer_harms_nobody() {
    let slow = SiteBehaviour::Slow(Duration::from_millis(200));
    let mut session =
        LoggedIn::to(SimServer::builder().configure(move |config| config.sites[0].behaviour = slow)).await;
    let request = session.command("report_version client site-1");
    let gone = session.client.ask(request, Duration::from_millis(50)).await;
    assert!(matches!(gone, Err(RequestError::TimedOut { .. })));
    let LoggedIn { server, client, token } = session;
    drop(client);

    let papers = Papers::of_kit(&server.admin_kit(Role::ProjectAdmin).unwrap());
    let mut client = RawClient::connect(server.port(), &papers, None).await;
    client.register(PROJECT).await.unwrap();
    let mut session = LoggedIn { server, client, token };
    // The same site again, so its first answer has come before this one.
    let reply = session.client.reply(session.command("report_version client site-1")).await;
    assert!(reply.to_json().contains("2.9.0"), "{}", reply.to_json());
}

#[tokio::test]
async fn a_reply_of_more_than_one_message_comes_in_chunks_but_not_in_one_piece() {
    const LENGTH: usize = 5 * 1024 * 1024;
    let text = "a line of a long log\n".repeat(LENGTH / 21);
    let length = text.len();
    let mut session = LoggedIn::to(SimServer::builder().configure(move |config| {
        config.server.files.insert("long.txt", text.clone().into_bytes(), 0o644, Moment::default());
    }))
    .await;
    let streamed = session.client.reply(session.command("cat server long.txt")).await;
    assert!(streamed.to_json().len() > length);

    let plain = OutgoingRequest { streamed: false, ..session.command("cat server long.txt") };
    let refused = session.client.ask(plain, PATIENCE).await.map(drop).unwrap_err();
    let too_big = ReturnCode::Other("msg_too_big".to_owned());
    assert!(matches!(refused, RequestError::Failed { code, .. } if code == too_big));
}

#[tokio::test]
async fn a_token_is_good_on_another_connection_and_after_logout() {
    let mut session = LoggedIn::to(SimServer::builder()).await;
    session.client.reply(session.command("_logout")).await;
    assert_eq!(session.server.control(|sim, _| sim.sessions().count()), 0);
    let papers = Papers::of_kit(&session.server.admin_kit(Role::Member).unwrap());
    let mut other = RawClient::connect(session.server.port(), &papers, None).await;
    other.register(PROJECT).await.unwrap();
    let reply = other.reply(session.command("list_sessions")).await;
    assert!(reply.to_json().contains("admin@nvidia.com"), "{}", reply.to_json());
}

#[tokio::test]
async fn two_servers_with_the_same_seed_give_the_same_tokens() {
    let seeded = || SimServer::builder().seed(7);
    let (one, other) = (seeded().start().await.unwrap(), seeded().start().await.unwrap());
    let tokens = |server: &SimServer| {
        server.control(|sim, _| sim.sites().iter().map(|site| site.token().to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(tokens(&one), tokens(&other));
    let unseeded = SimServer::start().await.unwrap();
    assert_ne!(tokens(&one), tokens(&unseeded));
}
