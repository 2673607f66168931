//! Sessions: `_cert_login`, `_logout`, `_check_session`, `list_sessions`.
//!
//! Source: `reference/server-behaviour.md` section 4.

use flare_wire::auth::DEFAULT_STUDY;
use flare_wire::certificate::{Certificate, CertificateError};
use flare_wire::hci::{Table, python_repr};
use flare_wire::msgpack::Value;

use super::call::{Call, Step, Stop};
use crate::core::studies::is_study_name;
use crate::core::{Proof, Release};
use crate::mutants::Mutant;

/// The name in a certificate that was issued to nobody in particular.
const PLACEHOLDER_NAME: &str = "nvflare-admin";

/// Logs a user in with his certificate.
pub(super) fn cert_login(call: &mut Call<'_>) -> Step {
    match try_login(call)? {
        Ok(token) => call.reply.push_string("OK").push_token(token),
        Err(refusal) => call.reply.push_string(refusal),
    };
    Ok(())
}

/// The token, or the text of the refusal.
fn try_login(call: &mut Call<'_>) -> Step<Result<String, String>> {
    let rejected = || Ok(Err("REJECT".to_owned()));
    let [user] = call.arguments() else { return rejected() };
    let user = user.clone();
    let chain = certificate(call.login.certificate.as_ref())?;
    let Some(leaf) = chain.first() else { return rejected() };
    let proof = match &call.login.signature {
        Some(Value::Binary(signature)) => Proof::Raw(signature),
        Some(Value::String(signature)) => Proof::Base64(signature.as_str().unwrap_or_default()),
        _ => return rejected(),
    };
    let acceptable = leaf.common_name() != PLACEHOLDER_NAME && !leaf.is_ca() && leaf.allows_client_auth();
    if !call.sim.proves_user(call.now, &chain, &user, &proof) || !acceptable {
        return rejected();
    }
    match study(call, &user) {
        Ok(study) => Ok(Ok(call.sim.open_session(call.now, &user, leaf, &study, call.origin))),
        Err((code, text)) => Ok(Err(format!("REJECT: {code}: {text}"))),
    }
}

fn certificate(header: Option<&Value>) -> Step<Vec<Certificate>> {
    let not_bytes = |what: &str| Err(Stop::Exception(format!("TypeError: {what} is not an instance of 'bytes'")));
    let pem = match header {
        Some(Value::Binary(pem)) => pem,
        None | Some(Value::Nil) => return not_bytes("'None'"),
        Some(Value::Boolean(_)) => return not_bytes("'bool' object"),
        Some(Value::Integer(_)) => return not_bytes("'int' object"),
        Some(Value::F32(_) | Value::F64(_)) => return not_bytes("'float' object"),
        Some(Value::String(_)) => return not_bytes("'str' object"),
        Some(Value::Array(_)) => return not_bytes("'list' object"),
        Some(Value::Map(_) | Value::Ext(..)) => return not_bytes("'dict' object"),
    };
    Certificate::chain_from_pem(pem).map_err(|error| match error {
        CertificateError::BadPem => Stop::Exception(
            "ValueError: Unable to load PEM file. See https://cryptography.io/en/latest/faq/\
             #why-can-t-i-import-my-pem-file for more details. MalformedFraming"
                .to_owned(),
        ),
        // The real text quotes the state of its parser.
        _ => Stop::NotModelled("_cert_login with a certificate that cannot be parsed".to_owned()),
    })
}

/// The study that the client asks for, or code and text of the refusal.
fn study(call: &Call<'_>, user: &str) -> Result<String, (&'static str, String)> {
    // Studies came with 2.8: before, nobody looks at the header.
    if call.sim.release() < Release::V2_8 {
        return Ok(DEFAULT_STUDY.to_owned());
    }
    let study = match &call.login.study {
        None => DEFAULT_STUDY,
        Some(Value::String(study)) => study.as_str().unwrap_or_default(),
        Some(_) => return Err(("AUTH_INVALID_STUDY", "study must be a string".to_owned())),
    };
    if !is_study_name(study) {
        return Err(("AUTH_INVALID_STUDY_NAME", format!("invalid study name '{study}'")));
    }
    if study == DEFAULT_STUDY {
        return Ok(study.to_owned());
    }
    let Some(registry) = call.sim.studies() else {
        return Err(("AUTH_STUDY_NOT_CONFIGURED", format!("study '{study}' is not configured on the server")));
    };
    let Some(known) = registry.study(study) else {
        return Err(("AUTH_UNKNOWN_STUDY", format!("unknown study '{study}'")));
    };
    if !known.users.iter().any(|member| member == user) && !call.sim.mutant(Mutant::StudyOpenToAll) {
        return Err(("AUTH_STUDY_USER_NOT_MAPPED", format!("user '{user}' is not mapped to study '{study}'")));
    }
    Ok(study.to_owned())
}

/// Ends the session; its token brings it back all the same.
pub(super) fn logout(call: &mut Call<'_>) -> Step {
    if let Some(session) = &call.session {
        call.sim.end_session(&session.session_id);
    }
    call.reply.push_string("OK");
    Ok(())
}

/// Tells whether there is a session. It never brings one back, and is no activity.
pub(super) fn check_session(call: &mut Call<'_>) -> Step {
    let token = match &call.request.token {
        Some(serde_json::Value::String(token)) if token.is_empty() => None,
        Some(serde_json::Value::Object(map)) if map.is_empty() => None,
        token => token.as_ref(),
    };
    let Some(token) = token else {
        call.reply.push_error("invalid_session");
        return Ok(());
    };
    if token.as_str().is_some_and(|token| call.sim.check_session(call.now, token)) {
        call.reply.push_string("OK");
        return Ok(());
    }
    let seconds = call.sim.idle_seconds();
    call.reply.push_error("session_inactive");
    call.reply
        .push_string(format!("admin client session timed out after {seconds} seconds of inactivity - logging out"));
    Ok(())
}

/// Lists everybody's sessions.
pub(super) fn list_sessions(call: &mut Call<'_>) -> Step {
    let clock = call.sim.clock();
    let mut sessions: Vec<_> = call.sim.sessions().collect();
    sessions.sort_by(|left, right| left.token.name.cmp(&right.token.name));
    let mut table = Table::new(["user", "org", "role", "session id", "start", "last active", "idle"]);
    for session in sessions {
        let idle = call.now.since(session.last_active).as_secs_f64();
        table.row([
            session.token.name.clone(),
            session.token.org.clone(),
            session.token.role.clone(),
            session.token.session_id.clone(),
            clock.seconds(session.started),
            clock.seconds(session.last_active),
            python_repr(&idle.into()),
        ]);
    }
    call.reply.push_table(table);
    Ok(())
}
