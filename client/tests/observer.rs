//! What an observer of a session sees.

use std::sync::{Arc, Mutex};

use flare_client::{Observed, Session, StartupKit};
use flare_simserver::SimServer;
use flare_simserver::project::Role;
use flare_wire::redact::Redactor;

#[tokio::test]
async fn an_observer_sees_the_login_every_command_its_reply_and_what_is_not_answered() {
    let server = SimServer::start().await.unwrap();
    let kit = StartupKit::open(server.admin_kit(Role::ProjectAdmin).unwrap()).unwrap();
    let seen = Arc::new(Mutex::new((Redactor::new(), Vec::new())));
    let tape = Arc::clone(&seen);
    let session = Session::builder(kit)
        .renew(false)
        .observer(move |observed| {
            let mut tape = tape.lock().unwrap();
            let line = match observed {
                Observed::Sent { headers, payload } => format!("> {}", tape.0.message(headers, payload).what),
                Observed::Received { headers, payload } => format!("< {}", tape.0.message(headers, payload).what),
                Observed::Unanswered { .. } => "! unanswered".to_owned(),
                _ => "?".to_owned(),
            };
            tape.1.push(line);
        })
        .connect()
        .await
        .unwrap();
    session.get_connected_client_list().await.unwrap();
    server.shutdown().await;
    session.get_connected_client_list().await.unwrap_err();
    session.close().await;

    let lines = seen.lock().unwrap().1.clone();
    let commands: Vec<&str> =
        lines.iter().filter_map(|line| line.strip_prefix("> message hci_channel/command: ")).collect();
    assert_eq!(commands[0].split(' ').next(), Some("_cert_login"), "{lines:#?}");
    assert_eq!(commands[1], "_commands", "{lines:#?}");
    let sent = lines.iter().filter(|line| line.starts_with('>')).count();
    let settled = lines.iter().filter(|line| line.starts_with(['<', '!'])).count();
    assert!(sent >= 6 && sent == settled, "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("> message task/challenge")), "{lines:#?}");
    assert!(lines.iter().any(|line| line == "! unanswered"), "{lines:#?}");
}
