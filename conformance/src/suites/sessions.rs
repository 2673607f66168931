//! The life of a session on the server: tokens, `_check_session`, `list_sessions`, logout.

use flare_wire::auth::SessionToken;
use flare_wire::hci::{Item, Reply};

use crate::finding::{chain, ensure, ensure_eq};
use crate::raw::Admin;
use crate::{Case, CaseResult, Context, Finding, Need, Release, Who};

const TIMED_OUT: &str = "admin client session timed out after 1800 seconds of inactivity - logging out";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("session.two-of-one-user", "ending one session leaves the user's other alone", two_sessions)
            .checks(&["SESSION-TOKEN-001", "SESSION-LIST-002"]),
        Case::new("session.sixteen-at-once", "sixteen sessions may be opened and used at once", sixteen)
            .checks(&["SESSION-TOKEN-001", "SESSION-LIST-002"]),
        Case::new("session.token-survives-logout", "a token makes its session again after a logout", recreation)
            .checks(&["SESSION-TOKEN-002", "SESSION-LOGOUT-001", "SESSION-CHECK-004"]),
        Case::new("session.token-from-elsewhere", "a token works from another endpoint", elsewhere)
            .checks(&["SESSION-TOKEN-005"]),
        Case::new("session.no-token", "a command without a token is refused", no_token)
            .checks(&["SESSION-TOKEN-004", "SESSION-LOGOUT-002"]),
        Case::new(
            "session.token.empty",
            "an empty token is refused, but counts as none for _check_session",
            empty_token,
        )
        .checks(&["SESSION-TOKEN-003", "SESSION-CHECK-005"]),
        Case::new("session.check", "_check_session tells live sessions from others", check).checks(&[
            "SESSION-CHECK-001",
            "SESSION-CHECK-002",
            "SESSION-CHECK-003",
        ]),
    ];
    for (slug, spoil) in [
        ("forged", forged as fn(&mut Admin) -> CaseResult<String>),
        ("tampered", tampered),
        ("no-signature", |admin| Ok(admin.session_token()?.split(':').next().unwrap_or_default().to_owned())),
        ("garbage", |_| Ok("garbage".to_owned())),
    ] {
        let case = Case::new(
            format!("session.token.{slug}"),
            format!("a session token that is {} is refused", slug.replace('-', " ")),
            move |context| refused_token(context, spoil),
        );
        cases.push(case.checks(&["SESSION-TOKEN-003", "SESSION-CHECK-003"]));
    }
    for who in [Who::PROJECT_ADMIN, Who::MEMBER, Who::OTHER_MEMBER] {
        let case =
            Case::new(format!("session.list.{}", who.slug()), format!("a {who} sees all sessions"), move |context| {
                list(context, who)
            });
        cases.push(case.checks(&["SESSION-LIST-001", "SESSION-LIST-002"]).needs([Need::Admin(who)]));
    }
    cases
}

/// One row of `list_sessions`.
struct Row {
    user: String,
    org: String,
    role: String,
    id: String,
}

/// Lists the sessions, and checks the shape of the reply.
async fn sessions(admin: &mut Admin) -> CaseResult<Vec<Row>> {
    let reply = admin.command("list_sessions").await?;
    ensure!(reply.meta.is_empty(), "meta of list_sessions: {:?}", reply.meta);
    let [Item::Table(rows)] = reply.data.as_slice() else {
        return Err(Finding::fail(format!("list_sessions gave {}", reply.to_json())));
    };
    let text = |cell: &Option<String>| cell.clone().unwrap_or_default();
    let header: Vec<String> = rows.first().into_iter().flatten().map(text).collect();
    ensure_eq!(header, ["USER", "ORG", "ROLE", "SESSION ID", "START", "LAST ACTIVE", "IDLE"], "columns");
    let mut sessions = Vec::new();
    for row in &rows[1..] {
        let cells: Vec<String> = row.iter().map(text).collect();
        let [user, org, role, id, start, active, idle] = cells.as_slice() else {
            return Err(Finding::fail(format!("a row of {} cells", cells.len())));
        };
        for time in [start, active] {
            ensure!(is_local_time(time), "`{time}` is no time");
        }
        ensure!(idle.parse::<f64>().is_ok_and(|idle| idle >= 0.0), "`{idle}` is no idle time");
        sessions.push(Row { user: user.clone(), org: org.clone(), role: role.clone(), id: id.clone() });
    }
    Ok(sessions)
}

/// `YYYY-MM-DD HH:MM:SS`
fn is_local_time(text: &str) -> bool {
    let pattern = "dddd-dd-dd dd:dd:dd";
    text.len() == pattern.len()
        && text.chars().zip(pattern.chars()).all(|(c, p)| if p == 'd' { c.is_ascii_digit() } else { c == p })
}

fn session_id(admin: &Admin) -> CaseResult<String> {
    let token = SessionToken::decode(&admin.session_token()?, &admin.server.key);
    Ok(token.map_err(|error| Finding::fail(format!("session token: {}", chain(&error))))?.session_id)
}

async fn two_sessions(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let mut first = Admin::login(kit).await?;
    let mut second = Admin::login(kit).await?;
    let (one, other) = (session_id(&first)?, session_id(&second)?);
    ensure!(one != other, "both logins gave the same session");
    ok(&first.command("_logout").await?)?;
    let sessions = sessions(&mut second).await?;
    ensure!(sessions.iter().any(|row| row.id == other), "the other session is not listed");
    ensure!(!sessions.iter().any(|row| row.id == one), "the session that was ended is listed");
    Ok(())
}

async fn sixteen(context: Context) -> CaseResult {
    const SESSIONS: usize = 16;
    let kit = context.any_kit()?.clone();
    let mut logins = tokio::task::JoinSet::new();
    for _ in 0..SESSIONS {
        let kit = kit.clone();
        logins.spawn(async move { Admin::login(&kit).await });
    }
    let mut admins = Vec::new();
    while let Some(joined) = logins.join_next().await {
        admins.push(joined.map_err(|error| Finding::harness(error.to_string()))??);
    }
    let mut ids = Vec::new();
    for admin in &admins {
        ids.push(session_id(admin)?);
    }
    for admin in &mut admins {
        let sessions = sessions(admin).await?;
        for id in &ids {
            ensure!(sessions.iter().any(|row| row.id == *id), "session {id} is not listed");
        }
    }
    for admin in &mut admins {
        ok(&admin.command("_logout").await?)?;
    }
    Ok(())
}

/// The reply is the string OK with an empty meta.
fn ok(reply: &Reply) -> CaseResult {
    ensure_eq!(reply.data, [Item::String("OK".to_owned())], "items of the reply");
    ensure!(reply.meta.is_empty(), "meta of the reply: {:?}", reply.meta);
    Ok(())
}

/// The reply is this error (also its status and info), followed by these strings.
fn error(reply: &Reply, text: &str, explained: &[&str]) -> CaseResult {
    let mut items = vec![Item::Error(text.to_owned())];
    items.extend(explained.iter().map(|text| Item::String((*text).to_owned())));
    ensure_eq!(reply.data, items, "items of the reply");
    ensure_eq!(reply.status().as_ref().map(|status| status.as_str()), Some("error"), "status");
    ensure_eq!(reply.info(), text, "info");
    Ok(())
}

async fn recreation(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    let id = session_id(&admin)?;
    ok(&admin.command("_logout").await?)?;
    error(&admin.command("_check_session").await?, "session_inactive", &[TIMED_OUT])?;
    let sessions = sessions(&mut admin).await?;
    ensure!(sessions.iter().any(|row| row.id == id), "the session was not made again under its id");
    ok(&admin.command("_check_session").await?)?;
    ok(&admin.command("_logout").await?)
}

async fn elsewhere(context: Context) -> CaseResult {
    let kit = context.any_kit()?;
    let first = Admin::login(kit).await?;
    let mut second = Admin::register(kit).await?;
    second.token.clone_from(&first.token);
    let id = session_id(&first)?;
    let sessions = sessions(&mut second).await?;
    ensure!(sessions.iter().any(|row| row.id == id), "the session is not listed");
    Ok(())
}

async fn no_token(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    for line in ["list_sessions", "_logout", "_commands", "check_status bad_type"] {
        let reply = admin.command_as(line, None).await?;
        error(&reply, "not authenticated - no token", &[]).map_err(|finding| finding.during(line))?;
    }
    Ok(())
}

async fn check(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    ok(&admin.command("_check_session").await?)?;
    error(&admin.command_as("_check_session", None).await?, "invalid_session", &[])?;
    let forged = forged(&mut admin)?;
    error(&admin.command_as("_check_session", Some(&forged)).await?, "session_inactive", &[TIMED_OUT])
}

/// A token of the same session, signed with the administrator's key instead of the server's.
fn forged(admin: &mut Admin) -> CaseResult<String> {
    let token = SessionToken::decode(&admin.session_token()?, &admin.server.key)
        .map_err(|error| Finding::fail(format!("session token: {}", chain(&error))))?;
    let token = SessionToken { role: "project_admin".to_owned(), ..token };
    Ok(token.encode(&admin.identity.signing, admin.peer.random()))
}

/// A token whose text was changed under its signature.
fn tampered(admin: &mut Admin) -> CaseResult<String> {
    let forged = forged(admin)?;
    let text = forged.split(':').next().unwrap_or_default();
    let token = admin.session_token()?;
    let signature = token.split(':').nth(1).unwrap_or_default();
    // The role is part of the text; where it already was the highest one, the text is another one all the same.
    let text = if token.starts_with(text) { format!("{}IA==", text.trim_end_matches('=')) } else { text.to_owned() };
    Ok(format!("{text}:{signature}"))
}

/// What a token that is no good is answered. Certificates end sessions since 2.9, and since then the text says so.
fn inactive(context: &Context) -> &'static str {
    if context.target().is_at_least(Release::V2_9) {
        "user not authenticated or session timed out/expired after 1800 seconds of inactivity - logged out"
    } else {
        "user not authenticated or session timed out after 1800 seconds of inactivity - logged out"
    }
}

async fn refused_token(context: Context, spoil: fn(&mut Admin) -> CaseResult<String>) -> CaseResult {
    let kit = context.kit(Who::MEMBER).or_else(|_| context.any_kit())?;
    let mut admin = Admin::login(kit).await?;
    let token = spoil(&mut admin)?;
    let reply = admin.command_as("list_sessions", Some(&token)).await?;
    error(&reply, "session_inactive", &[inactive(&context)])?;
    // Earlier releases do not look at the signature here, which `session.check` tells.
    if context.target().is_at_least(Release::V2_9) {
        let reply = admin.command_as("_check_session", Some(&token)).await?;
        error(&reply, "session_inactive", &[TIMED_OUT])?;
    }
    ok(&admin.command("_check_session").await?)
}

async fn empty_token(context: Context) -> CaseResult {
    let mut admin = Admin::login(context.any_kit()?).await?;
    error(&admin.command_as("list_sessions", Some("")).await?, "session_inactive", &[inactive(&context)])?;
    error(&admin.command_as("_check_session", Some("")).await?, "invalid_session", &[])
}

async fn list(context: Context, who: Who) -> CaseResult {
    let kit = context.kit(who)?;
    let mut other = Admin::login(context.any_kit()?).await?;
    let mut admin = Admin::login(kit).await?;
    let id = session_id(&admin)?;
    let sessions = sessions(&mut admin).await?;
    let own = sessions.iter().find(|row| row.id == id);
    let own = own.ok_or_else(|| Finding::fail("the own session is not listed"))?;
    ensure_eq!((own.user.as_str(), own.org.as_str()), (kit.user.as_str(), kit.org.as_str()), "own user and org");
    ensure_eq!(own.role, who.role.as_str(), "own role");
    let others = session_id(&other)?;
    ensure!(sessions.iter().any(|row| row.id == others), "another user's session is not listed");
    ensure!(sessions.is_sorted_by_key(|row| row.user.clone()), "the sessions are not sorted by user");
    ok(&other.command("_logout").await?)?;
    ok(&admin.command("_logout").await?)
}
