//! Both sides of every recorded exchange of release 2.9, played by endpoints.

use flare_fixtures::{Direction, Payload, RecordedFrame, Vector, vector, vectors};
use flare_wire::auth::{CellToken, RegisterReply};
use flare_wire::cell::{Headers, ReturnCode};
use flare_wire::endpoint::{Endpoint, EndpointConfig, Event, Gate, HEARTBEAT_INTERVAL};
use flare_wire::frame::Frame;
use flare_wire::hci::{Item, Reply};
use flare_wire::stream::{StreamError, StreamSettings};
use flare_wire::{PublicKey, Randomness, RequestError, fobs};

use crate::payloads::assert_blob;
use crate::replay::{Replay, cell_name, frame_of, settings};
use crate::signatures::{recording_time, server_key};

/// What a real server serves in the recordings.
const SERVED: &[(&str, &str)] = &[
    ("task", "challenge"),
    ("task", "register"),
    ("hci_channel", "command"),
    ("aux_communication", "ObjectStreamer.Request"),
    ("aux_communication", "ObjectStreamer.Abort"),
    ("download_service__", "download_service__download"),
];

/// The gate of a server: name and token have to bear its signature.
struct Signed(PublicKey);

impl Gate for Signed {
    fn admit(&mut self, headers: &Headers) -> bool {
        CellToken::from_headers(headers).is_ok_and(|token| token.verify(&self.0).is_ok())
    }
}

fn server(vector: &'static Vector) -> Replay {
    let side = Direction::ServerToClient;
    // In this one the server had not begun to serve downloads.
    let serves = if vector.name == "error_download_unknown_ref" { &SERVED[..3] } else { SERVED };
    let defaults = EndpointConfig::server(serves);
    let config = EndpointConfig {
        request_stream: settings(vector, side, false, defaults.request_stream),
        reply_stream: settings(vector, side, true, StreamSettings::server_reply()),
        ..defaults
    };
    let mut endpoint = Endpoint::accept(config, Randomness::from_number(3), recording_time());
    endpoint.set_gate(Box::new(Signed(server_key())));
    Replay::new(vector, side, endpoint, recording_time())
}

fn client(vector: &'static Vector) -> Replay {
    let side = Direction::ClientToServer;
    let config = EndpointConfig {
        name: cell_name(vector, side),
        request_stream: settings(vector, side, false, StreamSettings::client()),
        ..EndpointConfig::admin(&mut Randomness::from_number(1))
    };
    let endpoint = Endpoint::connect(config, Randomness::from_number(4), recording_time());
    Replay::new(vector, side, endpoint, recording_time())
}

/// Exchanges between two ends of release 2.9 that begin with a message or HELLO, whole frames only.
fn exchanges() -> impl Iterator<Item = &'static Vector> {
    vectors().iter().filter(|vector| {
        vector.nvflare_server == "2.9.0"
            && vector.frames.iter().all(|frame| frame.complete)
            && !vector.name.starts_with("ping_pong")
    })
}

#[test]
fn a_server_sends_what_the_real_one_sent() {
    for vector in exchanges() {
        server(vector).run();
    }
}

#[test]
fn a_client_sends_what_the_official_one_sent() {
    for vector in exchanges().filter(|vector| vector.nvflare_client == "2.9.0") {
        client(vector).run();
    }
}

#[test]
fn both_sides_count_their_frames_as_the_real_ones_do() {
    let counters = |frames: Vec<&RecordedFrame>| -> Vec<(u16, u16)> {
        frames.into_iter().map(|frame| (frame.prefix.stream_id, frame.prefix.sequence)).collect()
    };
    for name in ["login", "tcp_login", "grpc_login"] {
        for mut replay in [server(vector(name)), client(vector(name))] {
            replay.run();
            let recorded = counters(vector(name).sent(replay.side).collect());
            assert_eq!(replay.counters, recorded, "{name} {:?}", replay.side);
        }
    }
}

#[test]
fn a_client_gets_the_replies_of_the_recording() {
    let mut replay = client(vector("login"));
    replay.run();
    let [challenge, register, login, commands] = replay.outcomes.as_slice() else { panic!("{:?}", replay.outcomes) };
    assert!(fobs::type_name(&challenge.as_ref().unwrap().value().unwrap()).is_some());
    assert!(RegisterReply::from_value(&register.as_ref().unwrap().value().unwrap()).unwrap().is_some());
    for (outcome, first) in [(login, Item::String("OK".into())), (commands, Item::Table(Vec::new()))] {
        let reply = Reply::parse(&outcome.as_ref().unwrap().as_text().unwrap()).unwrap();
        assert_eq!(std::mem::discriminant(&reply.data[0]), std::mem::discriminant(&first));
    }
    assert!(matches!(replay.events.as_slice(), [Event::Connected(hello)] if hello.fqcn.as_deref() == Some("server")));
}

#[test]
fn a_reply_in_chunks_is_put_together() {
    for name in ["large_reply_chunked", "upload_multi_chunk", "download_multi_chunk"] {
        let whole: Vec<&Payload> = vector(name)
            .sent(Direction::ServerToClient)
            .filter(|frame| frame.headers.as_ref().is_some_and(|head| head["cn__topic"] == "sm__DATA"))
            .filter_map(|frame| frame.reassembled.as_ref().or(frame.payload.as_ref()))
            .collect();
        let mut replay = client(vector(name));
        replay.run();
        assert_eq!(replay.outcomes.len(), whole.len(), "{name}");
        for (outcome, view) in replay.outcomes.iter().zip(whole) {
            assert_blob(view, &outcome.as_ref().unwrap().bytes.to_bytes(), name);
        }
    }
}

#[test]
fn a_server_gets_requests_in_chunks_put_together() {
    let name = "upload_multi_chunk";
    let whole: Vec<&Payload> =
        vector(name).sent(Direction::ClientToServer).filter_map(|frame| frame.reassembled.as_ref()).collect();
    assert_eq!(whole.len(), 3);
    let mut replay = server(vector(name));
    replay.run();
    for (request, view) in replay.requests.iter().zip(whole) {
        assert_blob(view, &request.payload.bytes.to_bytes(), name);
    }
}

#[test]
fn recorded_failures_are_told_apart() {
    let outcomes = |name| {
        let mut replay = client(vector(name));
        replay.run_loosely();
        replay.outcomes
    };
    let failed = |code, text: &str| Err(RequestError::Failed { code, text: text.to_owned() });
    assert_eq!(
        outcomes("error_plain_request_replies"),
        [failed(ReturnCode::ProcessException, "no callback"), failed(ReturnCode::CommError, "cannot forward")]
    );
    for name in ["error_stream_unknown_channel", "error_download_unknown_ref"] {
        let [Err(RequestError::Stream(StreamError::Refused { text }))] = &outcomes(name)[..] else { panic!("{name}") };
        assert!(text.contains("No callback is registered for"), "{text}");
    }
    let [no_session, challenge, refused, again, wrong_project] = &outcomes("error_register")[..] else { panic!() };
    assert_eq!(no_session, &failed(ReturnCode::Unauthenticated, "no registration session"));
    assert!(challenge.is_ok() && refused.is_ok() && again.is_ok());
    assert!(matches!(wrong_project, Err(RequestError::Failed { code: ReturnCode::Unauthenticated, .. })));
}

#[test]
fn a_session_that_expires_is_told_and_left() {
    let mut replay = client(vector("session_expired_push"));
    replay.run();
    let [request] = replay.requests.as_slice() else { panic!("{:?}", replay.requests) };
    assert_eq!((request.channel.as_str(), request.topic.as_str()), ("hci_channel", "SESSION_EXPIRED"));
    assert!(request.reply_to.is_none());
    assert_eq!(request.payload.as_text().unwrap(), "Your session is closed due to inactivity or cert expiry.");
    assert!(replay.outcomes.iter().all(Result::is_ok), "the bye was answered");
}

#[test]
fn a_server_that_stops_says_so() {
    let mut replay = client(vector("shutdown_server"));
    replay.run();
    assert!(matches!(replay.events.as_slice(), [Event::PeerLeft]));
}

#[test]
fn heartbeats_look_as_recorded() {
    let frame = |recorded: &RecordedFrame| {
        let frame = frame_of(recorded);
        (frame.kind, frame.app_id, frame.flags, frame.headers, frame.payload)
    };
    for name in ["ping_pong_client_initiated", "ping_pong_server_initiated"] {
        let [ping, pong] = vector(name).frames.as_slice() else { panic!("{name}") };
        let mut replay = client(vector("login"));
        replay.run();
        let next = |endpoint: &mut Endpoint, now| {
            let sent = Frame::decode(endpoint.next_frame(now).unwrap()).unwrap();
            (sent.kind, sent.app_id, sent.flags, sent.headers, sent.payload)
        };
        let late = recording_time() + HEARTBEAT_INTERVAL * 2;
        replay.endpoint.advance(late);
        assert_eq!(next(&mut replay.endpoint, late), frame(ping), "{name}");
        replay.endpoint.receive(late, ping.raw.clone().into()).unwrap();
        assert_eq!(next(&mut replay.endpoint, late), frame(pong), "{name}");
        replay.endpoint.receive(late, pong.raw.clone().into()).unwrap();
        assert!(replay.endpoint.next_frame(late).is_none(), "{name}");
    }
}
