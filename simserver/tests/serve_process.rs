//! A server that is restarted or ended by a command, as those see it that are connected.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

mod raw_client;
mod serving;

use std::time::Duration;

use flare_simserver::core::TimerName;
use flare_simserver::project::Role;
use flare_simserver::{ClockMode, Restart, SimServer};
use flare_wire::auth::CellToken;
use flare_wire::endpoint::Event;
use flare_wire::hci::{Reply, Request};
use raw_client::{PATIENCE, Papers, RawClient, command};
use serving::Serving;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const PROJECT: &str = "example_project";

struct Session {
    client: RawClient,
    papers: Papers,
    stamp: CellToken,
    token: String,
}

impl Session {
    async fn log_in(port: u16, papers: Papers) -> Self {
        let mut client = RawClient::connect(port, &papers, None).await;
        let stamp = client.register(PROJECT).await.unwrap();
        let token = client.log_in().await;
        Self { client, papers, stamp, token }
    }

    async fn send(&mut self, line: &str) -> Reply {
        let request = Request { token: Some(self.token.clone()), ..Request::new(line) };
        self.client.reply(command(&request)).await
    }

    /// Takes what the server says until the connection has ended; true when it said that it leaves.
    async fn see_the_end(&mut self) -> bool {
        let mut said_bye = false;
        while let Some(event) = self.client.event().await {
            said_bye |= matches!(event, Event::PeerLeft);
        }
        said_bye
    }

    /// Connects again, with what it has: no registration, no login.
    async fn connect_again(&mut self, port: u16) {
        wait_for(port, true).await;
        self.client = RawClient::connect(port, &self.papers, None).await;
        self.client.endpoint.set_stamp(self.stamp.to_headers());
    }
}

async fn wait_for(port: u16, is_open: bool) {
    let changed = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_ok() != is_open {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, changed)
        .await
        .unwrap_or_else(|_| panic!("the port is not {}", if is_open { "open" } else { "closed" }));
}

async fn manual() -> (SimServer, Session) {
    let server = SimServer::builder().clock(ClockMode::Manual).start().await.unwrap();
    let papers = Papers::of_kit(&server.admin_kit(Role::ProjectAdmin).unwrap());
    let session = Session::log_in(server.port(), papers).await;
    (server, session)
}

#[tokio::test]
async fn a_client_goes_on_after_a_restart_without_a_new_login() {
    let (server, mut session) = manual().await;
    session.send("disable_client site-2").await;
    session.send("restart server").await;
    // Nothing has happened yet, for no time has passed.
    assert!(session.send("check_status server").await.to_json().contains("Registered clients: 0 "));

    assert!(server.jump_to(&TimerName::ServerEnd));
    assert!(session.see_the_end().await, "it says that it leaves");
    wait_for(server.port(), false).await;
    assert!(!server.is_stopped());

    assert!(server.jump_to(&TimerName::ServerStart));
    session.connect_again(server.port()).await;
    assert!(session.send("check_status server").await.to_json().contains("Registered clients: 0 "));
    assert!(server.jump_to(&TimerName::SiteReturn));
    assert!(session.send("check_status server").await.to_json().contains("Registered clients: 1 "));
    session.send("enable_client site-2").await;
    assert!(server.jump_to(&TimerName::SiteReturn));
    assert!(session.send("check_status server").await.to_json().contains("Registered clients: 2 "));
    server.shutdown().await;
}

#[tokio::test]
async fn a_jump_over_a_whole_restart_ends_the_connections_all_the_same() {
    let (server, mut session) = manual().await;
    session.send("restart all").await;
    server.skip_time(Duration::from_secs(60));
    session.see_the_end().await;
    session.connect_again(server.port()).await;
    assert!(session.send("check_status server").await.to_json().contains("Registered clients: 2 "));
    server.shutdown().await;
}

#[tokio::test]
async fn shutdown_all_ends_the_server_until_somebody_starts_it() {
    let (server, mut session) = manual().await;
    let reply = session.send("shutdown all").await;
    assert!(reply.to_json().contains("Goodbye!"));
    assert!(!server.is_stopped());
    assert!(server.jump_to(&TimerName::ServerEnd));
    timeout(PATIENCE, server.stopped()).await.unwrap();
    assert!(server.is_stopped());
    assert!(session.see_the_end().await);
    assert!(TcpStream::connect(("127.0.0.1", server.port())).await.is_err());
    assert_eq!(server.jump_to_next(), None);

    server.restart(Restart::Kill).await.unwrap();
    assert!(!server.is_stopped());
    session.connect_again(server.port()).await;
    assert!(session.send("check_status server").await.to_json().contains("Registered clients: 0 "));
    server.shutdown().await;
}

#[tokio::test]
async fn the_program_ends_with_exit_code_0_when_it_is_shut_down() {
    let directory = tempfile::tempdir().unwrap();
    let workspace = directory.path().to_str().unwrap();
    let serving = Serving::start(&["serve", "--workspace", workspace, "--port", "0", "--clock", "scaled=100"]);
    let papers = Papers::of_kit(&serving.kits().join("admin@nvidia.com"));
    let mut session = Session::log_in(serving.port(), papers).await;
    session.send("shutdown all").await;
    assert!(session.see_the_end().await);
    let ended = tokio::task::spawn_blocking(move || serving.wait());
    assert_eq!(timeout(PATIENCE, ended).await.unwrap().unwrap(), Some(0));
}
