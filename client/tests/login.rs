//! Opening a session: every way in which it can go wrong has its own error, and comes at once.
#![allow(clippy::unwrap_used, reason = "what goes wrong fails the test")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flare_client::{Error, ErrorKind, Phase, Session, StartupKit, StudyName};
use flare_wire::auth::RegisterReply;
use flare_wire::cell::{Payload, ReturnCode, channel};
use flare_wire::endpoint::{Answer, InboundRequest};
use serde_json::json;

use support::federation::{Federation, When, write_identity};
use support::patience::{AMPLE, timed_out};
use support::scripted::{Honest, Reaction, Scripted, command_line};

async fn connect(kit: StartupKit) -> Result<Session, Error> {
    Session::builder(kit).connect_timeout(AMPLE).connect().await
}

/// A server with a script.
async fn scripted(
    set_up: impl FnOnce(&Federation, &mut Honest),
    script: impl Fn(&mut Honest, &InboundRequest) -> Reaction + Send + Sync + 'static,
) -> (Federation, Scripted) {
    let federation = Federation::new();
    let server = Scripted::start(&federation, |honest| set_up(&federation, honest), script).await;
    (federation, server)
}

/// The error of a login with this server.
async fn refused(
    set_up: impl FnOnce(&Federation, &mut Honest),
    script: impl Fn(&mut Honest, &InboundRequest) -> Reaction + Send + Sync + 'static,
) -> Error {
    let (federation, server) = scripted(set_up, script).await;
    connect(server.kit(&federation)).await.expect_err("the login was to fail")
}

/// The error of a login where the answer to one message is another one.
async fn answered(topic: &'static str, answer: Answer) -> Error {
    refused(
        |_, _| {},
        move |honest, request| {
            if request.topic == topic { Reaction::Answer(answer.clone()) } else { honest.react(request) }
        },
    )
    .await
}

/// The error of a login with a server that has another identity.
async fn with_identity(set_up: impl FnOnce(&Federation, &mut Honest)) -> ErrorKind {
    refused(set_up, |honest, request| honest.react(request)).await.kind()
}

#[tokio::test]
async fn a_session_opens_works_and_closes_without_waiting_for_anything() {
    let federation = Federation::new();
    let server = Scripted::start(&federation, |_| {}, |honest, request| honest.react(request)).await;
    let mut times = Vec::new();
    // A machine that is busy with other things makes one slow, but hardly all.
    while times.len() < 10 && times.iter().all(|took| *took > Duration::from_secs(1)) {
        let started = Instant::now();
        let session = connect(server.kit(&federation)).await.unwrap();
        assert_eq!(session.commands()[0].name, "check_status");
        session.get_system_info().await.unwrap();
        session.close().await;
        times.push(started.elapsed());
        assert_eq!(session.get_system_info().await.unwrap_err().kind(), ErrorKind::SessionClosed);
    }
    assert!(times.iter().any(|took| *took <= Duration::from_secs(1)), "{times:?}");
}

#[tokio::test]
async fn the_login_carries_study_user_certificate_and_signature() {
    let federation = Federation::new();
    let key = federation.admin.certificate().public_key().unwrap();
    let pem = federation.admin.pem().to_owned();
    let server = Scripted::start(
        &federation,
        |_| {},
        move |honest, request| {
            if request.topic == channel::COMMAND && command_line(request).starts_with("_cert_login") {
                let get = |name| request.headers.get(name).unwrap().clone();
                assert_eq!(
                    (get("study").as_str(), get("user_name").as_str()),
                    (Some("cancer"), Some("admin@nvidia.com"))
                );
                assert_eq!(get("cert").as_slice(), Some(pem.as_bytes()));
                key.verify(b"admin@nvidia.com", get("signature").as_slice().unwrap()).unwrap();
            }
            honest.react(request)
        },
    )
    .await;
    let study = StudyName::new("cancer").unwrap();
    let session = Session::builder(server.kit(&federation)).study(study).connect().await.unwrap();
    assert_eq!(session.study().as_str(), "cancer");
}

#[tokio::test]
async fn nobody_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let federation = Federation::new();
    let started = Instant::now();
    let error = connect(federation.kit(port, json!({}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.hint().is_some() && std::error::Error::source(&error).is_some());
    assert!(started.elapsed() < AMPLE / 2, "it did not wait for the timeout");
}

#[tokio::test]
async fn a_server_that_is_still_starting_is_asked_again() {
    let federation = Federation::new();
    let asked = AtomicUsize::new(0);
    let server = Scripted::start(
        &federation,
        |_| {},
        move |honest, request| {
            let answers = [
                (ReturnCode::ProcessException, "no callback"),
                (ReturnCode::CommError, "Server not in service"),
                (ReturnCode::TargetUnreachable, ""),
            ];
            if request.topic == channel::CHALLENGE
                && let Some((code, text)) = answers.get(asked.fetch_add(1, Ordering::Relaxed))
            {
                return Reaction::Answer(Answer::failure(code.clone(), text));
            }
            honest.react(request)
        },
    )
    .await;
    connect(server.kit(&federation)).await.unwrap();
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_challenge_that_got_lost_is_sent_again() {
    let federation = Federation::new();
    let lost = AtomicBool::new(false);
    let script = move |honest: &mut Honest, request: &InboundRequest| {
        if request.topic == channel::CHALLENGE && !lost.swap(true, Ordering::Relaxed) {
            return Reaction::Silence;
        }
        honest.react(request)
    };
    let server = Scripted::start(&federation, |_| {}, script).await;
    connect(server.kit(&federation)).await.unwrap();
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_refusal_that_crossed_challenges_explain_is_not_taken_for_one() {
    let federation = Federation::new();
    let (challenges, registrations) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let script = move |honest: &mut Honest, request: &InboundRequest| match request.topic.as_str() {
        channel::CHALLENGE if challenges.fetch_add(1, Ordering::Relaxed) == 0 => Reaction::Silence,
        channel::REGISTER if registrations.fetch_add(1, Ordering::Relaxed) == 0 => {
            Reaction::Answer(Answer::ok(RegisterReply::refusal_payload()))
        }
        _ => honest.react(request),
    };
    let server = Scripted::start(&federation, |_| {}, script).await;
    connect(server.kit(&federation)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_stays_out_of_service_times_out_in_the_challenge() {
    let away = Answer::failure(ReturnCode::CommError, "Server not in service");
    let script = move |honest: &mut Honest, request: &InboundRequest| {
        if request.topic == channel::CHALLENGE { Reaction::Answer(away.clone()) } else { honest.react(request) }
    };
    let (federation, server) = scripted(|_, _| {}, script).await;
    let error = timed_out(&server.kit(&federation), Phase::Challenge).await;
    assert!(error.hint().unwrap().contains("not in service"));
}

#[tokio::test]
async fn silence_is_reported_with_the_step_it_came_in() {
    for (step, phase) in [
        (channel::CHALLENGE, Phase::Challenge),
        (channel::REGISTER, Phase::Register),
        ("_cert_login", Phase::Login),
        ("_commands", Phase::CommandList),
    ] {
        let script = move |honest: &mut Honest, request: &InboundRequest| {
            let silent =
                request.topic == step || request.topic == channel::COMMAND && command_line(request).starts_with(step);
            if silent { Reaction::Silence } else { honest.react(request) }
        };
        let (federation, server) = scripted(|_, _| {}, script).await;
        let error = timed_out(&server.kit(&federation), phase).await;
        assert!(error.after().unwrap() <= AMPLE && !error.may_have_run(), "{error:?}");
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_reported_with_the_step_it_was_cut_in() {
    for step in [channel::CHALLENGE, channel::REGISTER, channel::COMMAND] {
        let error = refused(
            |_, _| {},
            move |honest, request| if request.topic == step { Reaction::HangUp } else { honest.react(request) },
        )
        .await;
        assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_the_expected_one_is_refused() {
    let other_name = with_identity(|federation, honest| {
        honest.name = "other".to_owned();
        honest.certificate = federation.server_certificate("other", When::Now).pem().to_owned();
    });
    assert_eq!(other_name.await, ErrorKind::ServerIdentityMismatch);

    let borrowed_name = with_identity(|federation, honest| {
        honest.certificate = federation.server_certificate("other", When::Now).pem().to_owned();
    });
    assert_eq!(borrowed_name.await, ErrorKind::ServerIdentityMismatch);

    let borrowed_certificate = with_identity(|federation, honest| honest.key = federation.admin.key().signer());
    assert_eq!(borrowed_certificate.await, ErrorKind::ServerIdentityMismatch);
}

#[tokio::test]
async fn a_server_whose_certificate_is_not_good_is_refused() {
    let foreign = with_identity(|_, honest| honest.certificate = Federation::stranger().server.pem().to_owned());
    assert_eq!(foreign.await, ErrorKind::ServerCertificateUntrusted);

    let root = with_identity(|federation, honest| honest.certificate = federation.authority.pem().to_owned());
    assert_eq!(root.await, ErrorKind::ServerCertificateUntrusted);

    let expired = with_identity(|federation, honest| {
        honest.certificate = federation.server_certificate("server", When::Past).pem().to_owned();
    });
    assert_eq!(expired.await, ErrorKind::ServerCertificateExpired);

    let early = with_identity(|federation, honest| {
        honest.certificate = federation.server_certificate("server", When::Future).pem().to_owned();
    });
    assert_eq!(early.await, ErrorKind::ClockSkew);
}

#[tokio::test]
async fn our_own_certificate_is_checked_before_anything_is_sent() {
    let federation = Federation::new();
    for (when, kind) in [(When::Past, ErrorKind::ClientCertificateExpired), (When::Future, ErrorKind::ClockSkew)] {
        let folder = federation.write_kit("dated", json!({}));
        write_identity(&folder, &federation.admin_certificate("admin@nvidia.com", when));
        assert_eq!(connect(StartupKit::open(folder).unwrap()).await.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn refusals_of_the_registration_are_told_apart() {
    let unauthenticated = |text| answered(channel::REGISTER, Answer::failure(ReturnCode::Unauthenticated, text));
    let project = unauthenticated("Requested task does not match the current server task").await;
    assert_eq!(project.kind(), ErrorKind::ProjectMismatch);

    let disabled = unauthenticated("Client 'x' is disabled").await;
    assert_eq!(disabled.kind(), ErrorKind::RegistrationRefused);
    assert_eq!(disabled.server_text(), Some("Client 'x' is disabled"));

    let silent = answered(channel::REGISTER, Answer::ok(RegisterReply::refusal_payload())).await;
    assert_eq!(silent.kind(), ErrorKind::ClientCertificateRejected);
}

#[tokio::test]
async fn a_token_that_the_server_did_not_sign_is_refused() {
    let error = refused(
        |_, _| {},
        |honest, request| match request.topic.as_str() {
            channel::REGISTER => {
                let mut reply = honest.registration(request);
                reply.token.push('x');
                Reaction::Answer(Answer::ok(reply.to_payload()))
            }
            _ => honest.react(request),
        },
    )
    .await;
    assert_eq!(error.kind(), ErrorKind::ServerIdentityMismatch);
}

#[tokio::test]
async fn answers_that_make_no_sense_are_protocol_violations() {
    for topic in [channel::CHALLENGE, channel::REGISTER, channel::COMMAND] {
        for payload in [Payload::text("nonsense"), Payload::empty()] {
            let error = answered(topic, Answer::ok(payload)).await;
            assert_eq!(error.kind(), ErrorKind::ProtocolViolation, "{topic}: {error:?}");
        }
    }
}

#[tokio::test]
async fn messages_without_the_servers_stamp_are_not_listened_to() {
    let (federation, server) =
        scripted(|_, honest| honest.stamps = false, |honest, request| honest.react(request)).await;
    timed_out(&server.kit(&federation), Phase::Login).await;
}

#[tokio::test]
async fn rejected_logins_keep_the_servers_code() {
    for (words, kind, code) in [
        ("REJECT", ErrorKind::LoginRejected, None),
        ("REJECT: no", ErrorKind::LoginRejected, None),
        ("REJECT: AUTH_UNKNOWN_STUDY: unknown study 'x'", ErrorKind::StudyUnknown, Some("AUTH_UNKNOWN_STUDY")),
        (
            "REJECT: AUTH_STUDY_NOT_CONFIGURED: study 'x' is not configured on the server",
            ErrorKind::StudyUnknown,
            Some("AUTH_STUDY_NOT_CONFIGURED"),
        ),
        (
            "REJECT: AUTH_STUDY_USER_NOT_MAPPED: user 'u' is not mapped to study 'x'",
            ErrorKind::LoginRejected,
            Some("AUTH_STUDY_USER_NOT_MAPPED"),
        ),
    ] {
        let error = refused(
            |_, _| {},
            move |honest, request| match request.topic.as_str() {
                channel::COMMAND => Reaction::string(words),
                _ => honest.react(request),
            },
        )
        .await;
        assert_eq!((error.kind(), error.code()), (kind, code), "{words}");
    }
}

#[tokio::test]
async fn a_session_that_the_server_ends_says_so_in_the_servers_words() {
    let federation = Federation::new();
    let server = Scripted::start(
        &federation,
        |_| {},
        |honest, request| {
            let line = (request.topic == channel::COMMAND).then(|| command_line(request));
            match line.as_deref() {
                Some("check_status server") => Reaction::Expire("Your session is closed due to inactivity."),
                _ => honest.react(request),
            }
        },
    )
    .await;
    let builder = Session::builder(server.kit(&federation)).connect_timeout(AMPLE).renew(false);
    let session = builder.connect().await.unwrap();
    for _ in 0..2 {
        let error = session.get_system_info().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SessionExpired);
        assert_eq!(error.server_text(), Some("Your session is closed due to inactivity."));
    }
    assert!(session.is_closed());
    session.close().await;
}

#[tokio::test]
async fn a_timeout_of_zero_is_no_timeout() {
    let federation = Federation::new();
    let builder = || Session::builder(federation.kit(1, json!({})));
    for builder in [builder().connect_timeout(Duration::ZERO), builder().command_timeout(Duration::ZERO)] {
        assert_eq!(builder.connect().await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
