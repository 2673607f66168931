//! Who may talk to the server, and for how long: registration, sessions, and what the server says by itself.

mod federation;

use std::time::Duration;

use federation::{Federation, ISSUED, PKI, PROJECT, Pki, config, no_headers, request, token_of};
use flare_simserver::commands::{Answer, Incoming, handle};
use flare_simserver::core::{Effect, RegistrationRefusal, SiteBehaviour};
use flare_simserver::pki::{Identity, KeyPair, Subject, Validity};
use flare_wire::auth::{
    CellToken, ChallengeRequest, LoginHeaders, RegisterReply, RegisterRequest, SessionToken, proof_text,
};
use flare_wire::certificate::Certificate;
use flare_wire::hci::Reply;
use flare_wire::{Moment, Randomness};
use serde_json::json;

const USER: &str = "lead@nvidia.com";
const ORIGIN: &str = "_admin_1";
const EXPIRED: &str = "Your session is closed due to inactivity or cert expiry.";
const NOT_AUTHENTICATED: &str = "session_inactive";

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn federation() -> Federation {
    Federation::start(config(&["site-1", "site-2", "site-3"], ISSUED), 3, ISSUED + seconds(60))
}

fn is_ok(reply: &Reply) -> bool {
    Federation::first_text(reply) == "OK"
}

// ---- registration ---------------------------------------------------------------------------------------------------

fn challenge(federation: &mut Federation, origin: &str) -> String {
    let request = ChallengeRequest { common_name: USER.into(), nonce: "client-nonce".into() };
    federation.sim.challenge(federation.now, origin, &request).nonce
}

fn registration(identity: &Identity, name: &str, nonce: &str) -> RegisterRequest {
    let signature = identity.key().signer().sign(&mut Randomness::from_number(4), &proof_text(name, nonce));
    RegisterRequest {
        client_name: name.into(),
        client_type: "admin".into(),
        client_ip: "127.0.0.1".into(),
        project_name: PROJECT.into(),
        certificate: identity.pem().as_bytes().to_vec(),
        signature,
    }
}

fn register(
    federation: &mut Federation,
    request: &RegisterRequest,
) -> Result<Option<RegisterReply>, RegistrationRefusal> {
    federation.sim.register(federation.now, ORIGIN, request)
}

#[test]
fn the_server_proves_its_identity_and_gives_a_token_that_it_admits() {
    let mut federation = federation();
    let request = ChallengeRequest { common_name: USER.into(), nonce: "abc".into() };
    let reply = federation.sim.challenge(federation.now, ORIGIN, &request);
    assert_eq!(reply.common_name, "server");
    let leaf = Certificate::chain_from_pem(&reply.certificate).unwrap().remove(0);
    leaf.public_key().unwrap().verify(b"serverabc", &reply.signature).unwrap();

    let reply = register(&mut federation, &registration(PKI.person(USER), USER, &reply.nonce)).unwrap().unwrap();
    let token = CellToken::of_client(USER, &reply);
    assert!(federation.sim.admit(&token) && federation.sim.admit(&token));
    let stamp = federation.sim.stamp();
    assert!(federation.sim.admit(&stamp), "the server's own stamp is one of its tokens");
}

#[test]
fn a_token_that_the_server_did_not_sign_like_this_is_not_admitted() {
    let mut federation = federation();
    let nonce = challenge(&mut federation, ORIGIN);
    let reply = register(&mut federation, &registration(PKI.person(USER), USER, &nonce)).unwrap().unwrap();
    let good = CellToken::of_client(USER, &reply);
    let foreign = CellToken::of_server(&KeyPair::generate().unwrap().signer(), &mut Randomness::from_number(5));
    let forgeries = [
        CellToken { client_name: "admin@nvidia.com".into(), ..good.clone() },
        CellToken { token: "00000000-0000-4000-8000-000000000000".into(), ..good.clone() },
        CellToken { signature: String::new(), ..good.clone() },
        CellToken { signature: "NA".into(), ..good.clone() },
        foreign,
    ];
    for forgery in &forgeries {
        assert!(!federation.sim.admit(forgery), "{forgery:?}");
    }
    assert!(federation.sim.admit(&good));
}

#[test]
fn a_challenge_waits_a_minute_for_one_registration_from_the_same_endpoint() {
    let mut federation = federation();
    let nonce = challenge(&mut federation, ORIGIN);
    let request = registration(PKI.person(USER), USER, &nonce);
    assert_eq!(
        federation.sim.register(federation.now, "_admin_2", &request),
        Err(RegistrationRefusal::NoChallenge),
        "another endpoint"
    );
    federation.advance(seconds(60));
    assert!(register(&mut federation, &request).unwrap().is_some());
    assert_eq!(register(&mut federation, &request), Err(RegistrationRefusal::NoChallenge), "used up");

    // The server looks every five seconds, counted from its start.
    let nonce = challenge(&mut federation, ORIGIN);
    federation.advance(seconds(65));
    let late = register(&mut federation, &registration(PKI.person(USER), USER, &nonce));
    assert_eq!(late.unwrap_err().to_string(), "no registration session");
}

#[test]
fn a_second_challenge_replaces_the_first() {
    let mut federation = federation();
    let first = challenge(&mut federation, ORIGIN);
    let second = challenge(&mut federation, ORIGIN);
    assert_ne!(first, second);
    assert_eq!(register(&mut federation, &registration(PKI.person(USER), USER, &first)), Ok(None));
}

#[test]
fn what_is_wrong_with_a_registration_is_told_or_not_as_by_the_real_server() {
    let other_pki = Pki::new(PROJECT);
    let mut disabled = config(&[], ISSUED);
    disabled.disabled_clients = vec!["member@nvidia.com".into()];
    let mut federation = Federation::start(disabled, 3, ISSUED + seconds(60));
    let mut attempt = |change: &dyn Fn(&mut RegisterRequest), identity: &Identity, name: &str| {
        let nonce = challenge(&mut federation, ORIGIN);
        let mut request = registration(identity, name, &nonce);
        change(&mut request);
        register(&mut federation, &request)
    };
    let lead = PKI.person(USER);
    assert!(attempt(&|_| {}, lead, USER).unwrap().is_some());

    let told = |outcome: Result<Option<RegisterReply>, RegistrationRefusal>| outcome.unwrap_err().to_string();
    let project = "Requested task does not match the current server task";
    assert_eq!(told(attempt(&|request| request.project_name = "other".into(), lead, USER)), project);
    let member = "member@nvidia.com";
    assert_eq!(told(attempt(&|_| {}, PKI.person(member), member)), "Client 'member@nvidia.com' is disabled");
    assert_eq!(
        told(attempt(&|request| request.client_type = "regular".into(), lead, USER)),
        "not modelled by flare-simserver: registration of a client of type 'regular'"
    );

    assert_eq!(attempt(&|request| request.signature[0] ^= 1, lead, USER), Ok(None), "signature");
    assert_eq!(attempt(&|request| request.certificate.clear(), lead, USER), Ok(None), "certificate");
    assert_eq!(attempt(&|_| {}, lead, "admin@nvidia.com"), Ok(None), "name");
    assert_eq!(attempt(&|_| {}, other_pki.person(USER), USER), Ok(None), "authority");
    let expired = Validity { from: ISSUED, until: ISSUED + seconds(30) };
    let subject = Subject::new(USER).organization("nvidia").role("lead");
    let expired = PKI.authority.issue_for(&subject, lead.key().clone(), expired, &mut Randomness::from_number(6));
    assert_eq!(attempt(&|_| {}, &expired.unwrap(), USER), Ok(None), "expired");
}

// ---- sessions -------------------------------------------------------------------------------------------------------

#[test]
fn a_session_ends_after_half_an_hour_without_commands_and_its_client_is_told() {
    let mut federation = federation();
    let token = federation.login(USER, "default");
    federation.advance(seconds(1000));
    assert!(is_ok(&federation.send("_check_session", &token)), "which is no activity");
    federation.advance(seconds(800));
    assert!(federation.effects.is_empty(), "1800 seconds are not too many");
    federation.advance(seconds(5));
    let told = Effect::SessionExpired { endpoint: ORIGIN.into(), text: EXPIRED };
    assert_eq!(std::mem::take(&mut federation.effects), [told]);
    assert_eq!(federation.sim.sessions().count(), 0);
    assert_eq!(Federation::first_text(&federation.send("_check_session", &token)), NOT_AUTHENTICATED);
}

#[test]
fn a_command_keeps_a_session_alive() {
    let mut federation = federation();
    let token = federation.login(USER, "default");
    for _ in 0..5 {
        federation.advance(seconds(1799));
        federation.send("list_sessions", &token);
    }
    assert!(federation.effects.is_empty());
    assert_eq!(federation.sim.next_deadline(), Some(federation.now + seconds(1800 + 5)));
}

#[test]
fn a_token_brings_its_session_back_after_logout_expiry_and_restart() {
    let mut federation = federation();
    let token = federation.login(USER, "default");
    assert!(is_ok(&federation.send("_logout", &token)));
    assert_eq!(Federation::first_text(&federation.send("_check_session", &token)), NOT_AUTHENTICATED);
    federation.send("list_sessions", &token);
    assert!(is_ok(&federation.send("_check_session", &token)));

    federation.advance(seconds(4000));
    assert_eq!(federation.effects.len(), 1);
    let id = |federation: &Federation| federation.sim.sessions().next().unwrap().token.session_id.clone();
    federation.send("list_sessions", &token);
    let first = id(&federation);

    let mut restarted = Federation::start(config(&["site-1"], ISSUED), 99, federation.now);
    restarted.send("list_sessions", &token);
    assert_eq!(id(&restarted), first);
}

#[test]
fn a_session_does_not_outlive_the_certificate_of_its_user() {
    let mut federation = federation();
    let end = federation.now + seconds(100);
    let subject = Subject::new(USER).organization("nvidia").role("lead");
    let validity = Validity { from: ISSUED, until: end };
    let identity =
        PKI.authority.issue_for(&subject, PKI.person(USER).key().clone(), validity, &mut Randomness::from_number(6));
    let signature = identity.as_ref().unwrap().key().signer().sign(&mut Randomness::from_number(7), USER.as_bytes());
    let headers = LoginHeaders::new(USER, identity.unwrap().pem().as_bytes(), &signature, "default");
    let login = request(&format!("_cert_login {USER}"), None, &json!({}));
    let token = token_of(&federation.send_raw(&login, &headers)).unwrap();

    federation.now = end - Duration::from_millis(1);
    assert_ne!(Federation::first_text(&federation.send("pwd server", &token)), NOT_AUTHENTICATED);
    // At its end, before the next look: the command itself ends the session.
    federation.now = end;
    assert_eq!(Federation::first_text(&federation.send("pwd server", &token)), NOT_AUTHENTICATED);
    assert_eq!(federation.sim.next_deadline().map(|deadline| deadline <= federation.now), Some(true));
    federation.advance(Duration::ZERO);
    assert_eq!(federation.effects, [Effect::SessionExpired { endpoint: ORIGIN.into(), text: EXPIRED }]);
    assert_eq!(Federation::first_text(&federation.send("pwd server", &token)), NOT_AUTHENTICATED, "and stays so");
    federation.advance(seconds(1));
    assert_eq!(token_of(&federation.send_raw(&login, &headers)), None, "nor can he log in");
}

#[test]
fn tokens_of_others_are_refused() {
    let mut federation = federation();
    let good = federation.login(USER, "default");
    let other_server = KeyPair::generate().unwrap().signer();
    let forged = SessionToken {
        name: "admin@nvidia.com".into(),
        role: "project_admin".into(),
        org: "nvidia".into(),
        session_id: "00000000-0000-4000-8000-000000000000".into(),
        study: "default".into(),
        cert_expiry: None,
    }
    .encode(&other_server, &mut Randomness::from_number(8));
    let (body, signature) = good.split_once(':').unwrap();
    let (forged_body, forged_signature) = forged.split_once(':').unwrap();
    let mixed = [format!("{forged_body}:{signature}"), format!("{body}:{forged_signature}")];
    let others = [forged.as_str(), &mixed[0], &mixed[1], body, "", ":", "a:b", &good[1..], &format!("{good}:x")];
    for token in others {
        for command in ["pwd server", "_logout", "_commands", "list_sessions"] {
            let reply = federation.send(command, token);
            assert_eq!(Federation::first_text(&reply), NOT_AUTHENTICATED, "{command} with {token}");
        }
        assert_ne!(Federation::first_text(&federation.send("_check_session", token)), "OK", "{token}");
    }
    assert_eq!(federation.sim.sessions().count(), 1);
}

#[test]
fn a_login_is_refused_for_every_flaw_of_certificate_and_signature() {
    let mut federation = federation();
    let line = format!("_cert_login {USER}");
    let lead = PKI.person(USER);
    let sign = |identity: &Identity| identity.key().signer().sign(&mut Randomness::from_number(9), USER.as_bytes());
    let stranger = Pki::new(PROJECT);
    let ca = LoginHeaders::new(USER, PKI.authority.pem().as_bytes(), &sign(lead), "default");
    for (headers, flaw) in [
        (LoginHeaders::new(USER, lead.pem().as_bytes(), &[0; 256], "default"), "signature"),
        (
            LoginHeaders::new(USER, stranger.person(USER).pem().as_bytes(), &sign(stranger.person(USER)), "default"),
            "root",
        ),
        (LoginHeaders::new(USER, PKI.server.pem().as_bytes(), &sign(&PKI.server), "default"), "name"),
        (ca, "authority"),
    ] {
        let reply = federation.send_raw(&request(&line, None, &json!({})), &headers);
        assert_eq!(Federation::first_text(&reply), "REJECT", "{flaw}");
        assert!(reply.meta.is_empty());
    }
    assert_eq!(federation.sim.sessions().count(), 0);
}

// ---- what takes time ------------------------------------------------------------------------------------------------

#[test]
fn a_reply_waits_for_the_slowest_site_and_no_longer_than_the_request_says() {
    let mut federation = federation();
    federation.sim.set_site_behaviour(federation.now, "site-1", SiteBehaviour::Slow(seconds(3)));
    federation.sim.set_site_behaviour(federation.now, "site-2", SiteBehaviour::Silent);
    let token = federation.login("admin@nvidia.com", "default");
    let mut took = |line: &str, meta: serde_json::Value| {
        let before = federation.now;
        let reply = federation.send_with(line, Some(&token), &meta);
        (federation.now.since(before), reply)
    };
    assert_eq!(took("check_status client site-3", json!({})).0, Duration::ZERO);
    assert_eq!(took("check_status client site-1", json!({})).0, seconds(3));
    assert_eq!(took("check_status client", json!({})).0, seconds(10));
    assert_eq!(took("check_status all", json!({"cmd_timeout": 4.5})).0, Duration::from_millis(4500));
    let (waited, reply) = took("report_version client", json!({"cmd_timeout": 2}));
    assert_eq!(waited, seconds(2));
    assert_eq!(
        reply.to_json().split_once("\"data\": {").unwrap().1.split_once("}}]").unwrap().0,
        r#""site-1": {"error": "No replies"}, "site-2": {"error": "No replies"}, "site-3": {"version": "2.9.0"}"#
    );
    // Shell commands have their own limit.
    assert_eq!(took("pwd site-2", json!({"cmd_timeout": 2})).0, seconds(10));
}

#[test]
fn replies_that_wait_come_in_the_order_of_their_time() {
    let mut federation = federation();
    federation.sim.set_site_behaviour(federation.now, "site-1", SiteBehaviour::Slow(seconds(3)));
    federation.sim.set_site_behaviour(federation.now, "site-2", SiteBehaviour::Slow(seconds(1)));
    let token = federation.login("admin@nvidia.com", "default");
    let login = no_headers();
    let mut tickets = Vec::new();
    for line in ["pwd site-1", "pwd site-2"] {
        let text = request(line, Some(&token), &json!({}));
        let incoming = Incoming { origin: ORIGIN, text: &text, login: &login, has_upload: false };
        let Answer::Later(ticket) = handle(&mut federation.sim, federation.now, incoming) else { panic!("{line}") };
        tickets.push(ticket);
    }
    assert_eq!(federation.sim.next_deadline(), Some(federation.now + seconds(1)));
    federation.advance(seconds(3));
    let answered: Vec<_> = federation
        .effects
        .iter()
        .map(|effect| match effect {
            Effect::Answered { ticket, reply } => (*ticket, Federation::first_text(reply).to_owned()),
            other => panic!("{other:?}"),
        })
        .collect();
    let pwd = |site: &str| format!("<POC>/example_project/prod_00/{site}\n");
    assert_eq!(answered, [(tickets[1], pwd("site-2")), (tickets[0], pwd("site-1"))]);
}

#[test]
fn a_site_that_is_gone_is_forgotten_after_ten_minutes() {
    let mut federation = federation();
    let token = federation.login("admin@nvidia.com", "default");
    federation.sim.set_site_behaviour(federation.now, "site-2", SiteBehaviour::Gone);
    let gone = federation.now;
    let reply = federation.send("pwd site-2", &token);
    assert_eq!(Federation::first_text(&reply), "no reply from client - timed out");
    assert_eq!(federation.now, gone, "which is known at once");
    federation.advance(seconds(600));
    assert!(federation.send("check_status server", &token).to_json().contains("Registered clients: 3 "));
    federation.advance(seconds(1));
    assert!(federation.send("check_status server", &token).to_json().contains("Registered clients: 2 "));
    let reply = federation.send("pwd site-2", &token);
    assert_eq!(Federation::first_text(&reply), "invalid target: site-2");
}

#[test]
fn commands_leave_their_lines_in_the_audit_logs() {
    let mut federation = federation();
    let token = federation.login(USER, "default");
    federation.send("check_status client site-1", &token);
    federation.send("_commands", &token);
    federation.send("nope", &token);
    federation.send("report_version server", &token);
    let reply = federation.send(&format!("grep server U: audit.log{}", " ".repeat(100)), &token);
    assert_eq!(Federation::first_text(&reply), "only one file is allowed");
    let reply = federation.send("grep server U: audit.log", &token);
    let lines: Vec<&str> = Federation::first_text(&reply).lines().collect();
    let actions: Vec<&str> = lines.iter().map(|line| &line[line.find("[U:").unwrap()..]).collect();
    assert_eq!(
        actions,
        [
            "[U:?][A:_cert_login lead@nvidia.com]",
            "[U:lead@nvidia.com][A:check_status client site-1]",
            "[U:lead@nvidia.com][A:grep server U: audit.log]",
        ]
    );
    // The site refers to the server's event.
    let event = &lines[1][..lines[1].find("][T:").unwrap()].replace("[E:", "[R:");
    let reply = federation.send("cat site-1 audit.log", &token);
    let of_site = Federation::first_text(&reply).lines().next().unwrap().to_owned();
    assert!(of_site.contains(&format!("{event}][T:")) && of_site.ends_with("[A:train.check_status]"), "{of_site}");
}

#[test]
fn a_workspace_that_nobody_looked_into_has_logged_all_the_same() {
    let mut federation = federation();
    let token = federation.login("admin@nvidia.com", "default");
    for _ in 0..300 {
        federation.send("check_status client site-1", &token);
    }
    let reply = federation.send("grep site-1 -n train.check_status audit.log", &token);
    let last = Federation::first_text(&reply).lines().last().unwrap().to_owned();
    assert!(last.starts_with("300:"), "{last}");
    let reply = federation.send("grep site-1 Successfully log.txt", &token);
    let registered = " - FederatedClient - INFO - Successfully registered client:site-1 for project example_project.\n";
    assert!(Federation::first_text(&reply).ends_with(registered), "{reply:?}");
}

#[test]
fn the_same_calls_have_the_same_results() {
    let run = || {
        let mut federation = federation();
        let token = federation.login(USER, "default");
        let lines = ["check_status all", "list_sessions", "cat server audit.log", "nope"];
        lines.map(|line| federation.send(line, &token).to_json())
    };
    assert_eq!(run(), run());
}

#[test]
fn a_year_without_anybody_is_passed_over_at_once() {
    let mut federation = federation();
    for _ in 0..100 {
        federation.login(USER, "default");
    }
    federation.advance(seconds(365 * 24 * 60 * 60));
    assert_eq!(federation.effects.len(), 100);
    assert_eq!(federation.sim.next_deadline(), None::<Moment>);
}
