//! Diagnostics of the cell network: who is a cell, how a cell is configured, and every way in which they are refused.
//!
//! What shows the inside of a Python process (threads, sockets, message statistics) is not simulated: there is none.
//! Source: answers of a live 2.9.0 server, and `reference/server-behaviour.md` section 9.

use flare_wire::hci::Table;
use serde_json::{Value, json};

use super::call::{Call, Step, Stop};
use crate::core::argparse::python_int;

/// The cell of the server itself.
const SERVER_CELL: &str = "server";

/// What a request to a cell comes to that nobody has heard of.
const UNREACHABLE: &str = "target_unreachable";

/// What a request comes to whose target cannot be the name of a cell.
const INVALID: &str = "invalid_target";

/// Ways in which a histogram can be shown. A mode that begins with the first letter of one of the first three is
/// that one.
const MODES: [&str; 5] = ["count", "percent", "avg", "max", "min"];

/// Statistics that every cell of 2.9.0 keeps.
const POOLS: [[&str; 3]; 12] = [
    ["msg_travel", "hist", "Time taken (secs) to get here (receiver)"],
    ["received_msg_counters", "counter", "Result counters of received messages"],
    ["received_msg_sizes", "hist", "Sizes of messages received (MBs)"],
    ["received_stream_counters", "counter", "Counters of received streams"],
    ["received_stream_sizes", "hist", "Sizes of streams received (MBs)"],
    ["request_processing", "hist", "Time spent (secs) by request processing callbacks (receiver)"],
    ["request_response", "hist", "Request/response time in secs (sender)"],
    ["sent_msg_counters", "counter", "Result counters of sent messages"],
    ["sent_msg_sizes", "hist", "Sizes of messages sent (MBs)"],
    ["sent_stream_counters", "counter", "Counters of sent streams"],
    ["sent_stream_sizes", "hist", "Sizes of streams sent (MBs)"],
    ["sfm_send_frame", "hist", "SFM send_frame time in secs"],
];

/// All cells: the server, and every registered site.
pub(super) fn cells(call: &mut Call<'_>) -> Step {
    let sites: Vec<String> = call.sim.sites().iter().map(|site| site.name().to_string()).collect();
    call.reply.push_string(SERVER_CELL);
    for site in &sites {
        call.reply.push_string(site.as_str());
    }
    call.reply.push_string(format!("Total Cells: {}", sites.len() + 1));
    Ok(())
}

/// Neighbours of a cell. A site has one; the server's include sockets that this layer knows nothing of.
pub(super) fn peers(call: &mut Call<'_>) -> Step {
    let target = exactly_one(call)?;
    if target == SERVER_CELL {
        return not_modelled(call);
    }
    if is_site(call, &target) {
        call.reply.push_string(SERVER_CELL).push_string("Total Agents: 1");
    } else {
        let code = refusal(&target);
        push_dict(call, json!({"error": format!("return code: {code}"), "reply": {"cn__return_code": code}}));
        call.reply.push_string("No peers");
    }
    Ok(())
}

/// Connectors of a cell.
pub(super) fn conns(call: &mut Call<'_>) -> Step {
    let target = exactly_one(call)?;
    if is_cell(call, &target) {
        return not_modelled(call);
    }
    push_dict(call, json!({"error": "processing error", "reply": {"cn__return_code": refusal(&target)}}));
    Ok(())
}

/// Cells that use a URL.
pub(super) fn url_use(call: &mut Call<'_>) -> Step {
    let url = exactly_one(call)?;
    if url.contains("://") {
        return not_modelled(call);
    }
    call.reply.push_string(format!("No cell uses {url}"));
    Ok(())
}

/// The way of a message to a cell.
pub(super) fn route(call: &mut Call<'_>) -> Step {
    let [target, ..] = at_least::<1>(call)?;
    let from = call.arguments().get(1).cloned().unwrap_or_else(|| SERVER_CELL.to_owned());
    let title = format!("Route Info from {from} to {target}");
    if !is_cell(call, &from) {
        // The cell that should look for the way cannot be asked.
        let code = refusal(&from);
        call.reply.push_string(title).push_error(format!("error in reply {code}")).push_string("Reply Headers:");
        push_dict(call, json!({"cn__return_code": code}));
        return Ok(());
    }
    if from != SERVER_CELL || is_cell(call, &target) {
        return not_modelled(call);
    }
    let code = refusal(&target);
    call.reply.push_string(title).push_string("Request Headers:");
    push_dict(call, json!({"error": format!("Reply ReturnCode: {code}")}));
    call.reply.push_string("Reply Headers:");
    push_dict(call, json!({"cn__return_code": code}));
    Ok(())
}

/// Speed between two cells; only its refusals are simulated.
pub(super) fn speed(call: &mut Call<'_>) -> Step {
    at_least::<2>(call)?;
    numbers(call, 2)?;
    not_modelled(call)
}

/// Stress test of all cells; only its refusals are simulated.
pub(super) fn stress(call: &mut Call<'_>) -> Step {
    numbers(call, 0)?;
    not_modelled(call)
}

/// Names of the statistics of a cell.
pub(super) fn list_pools(call: &mut Call<'_>) -> Step {
    known_cell(call)?;
    let mut table = Table::new(["pool", "type", "description"]);
    for pool in POOLS {
        table.row(pool);
    }
    call.reply.push_table(table);
    Ok(())
}

/// One of these statistics.
pub(super) fn show_pool(call: &mut Call<'_>) -> Step {
    let [target, pool] = at_least::<2>(call)?;
    mode(call, 2)?;
    reachable(call, &target)?;
    if POOLS.iter().any(|[name, ..]| *name == pool) {
        return not_modelled(call);
    }
    call.reply.push_error(format!("invalid_request: unknown pool '{pool}'"));
    Ok(())
}

/// Statistics of the messages of a cell.
pub(super) fn msg_stats(call: &mut Call<'_>) -> Step {
    let [target] = at_least::<1>(call)?;
    mode(call, 1)?;
    if is_cell(call, &target) {
        return not_modelled(call);
    }
    // The only one of these commands with the two parts in this order.
    call.reply.push_error(format!("error: {}", refusal(&target)));
    Ok(())
}

/// Configuration of a cell's communication.
pub(super) fn show_comm_config(call: &mut Call<'_>) -> Step {
    only_server(call)?;
    let config = json!({
        "allow_adhoc": false,
        "adhoc_scheme": "tcp",
        "adhoc_resources": {},
        "internal_scheme": "tcp",
        "internal_resources": {"host": "localhost", "connection_security": "clear"},
        "config": "none",
    });
    push_dict(call, config);
    Ok(())
}

/// Variables of a cell's configuration. Not simulated: a real server lists those that its code has asked for so far.
pub(super) fn show_config_vars(call: &mut Call<'_>) -> Step {
    known_cell(call)?;
    not_modelled(call)
}

/// The process of a cell.
pub(super) fn process_info(call: &mut Call<'_>) -> Step {
    known_cell(call)?;
    not_modelled(call)
}

// ---- arguments ---------------------------------------------------------------------------------------------------

fn usage<T>(call: &mut Call<'_>) -> Step<T> {
    let usage = format!("Usage: {}", call.command.usage);
    call.reply.push_string(usage);
    Err(Stop::Done)
}

fn exactly_one(call: &mut Call<'_>) -> Step<String> {
    match call.arguments() {
        [only] => Ok(only.clone()),
        _ => usage(call),
    }
}

/// The first arguments; more are ignored.
fn at_least<const N: usize>(call: &mut Call<'_>) -> Step<[String; N]> {
    match call.arguments().first_chunk::<N>() {
        Some(first) => Ok(first.clone()),
        None => usage(call),
    }
}

/// Checks the two numbers that follow the first `skipped` arguments, where they are given.
fn numbers(call: &mut Call<'_>, skipped: usize) -> Step {
    let wrong = call.arguments().iter().skip(skipped).take(2).find(|text| python_int(text).is_none()).cloned();
    let Some(text) = wrong else { return Ok(()) };
    let why = format!("invalid literal for int() with base 10: '{text}'");
    call.reply.push_error(format!("'{text}' is not a valid number: ValueError: {why}"));
    Err(Stop::Done)
}

/// Checks how a histogram is to be shown, where that is given.
fn mode(call: &mut Call<'_>, index: usize) -> Step {
    let text = call.arguments().get(index).map(String::as_str).unwrap_or_default();
    if text.is_empty() || text.starts_with(['p', 'c', 'a']) || MODES.contains(&text) {
        return Ok(());
    }
    call.reply.push_error(format!("invalid mode '': must be one of {MODES:?}").replace('"', "'"));
    Err(Stop::Done)
}

/// The cell that the first argument names.
fn known_cell(call: &mut Call<'_>) -> Step<String> {
    let [target] = at_least::<1>(call)?;
    reachable(call, &target)?;
    Ok(target)
}

fn reachable(call: &mut Call<'_>, target: &str) -> Step {
    if is_cell(call, target) {
        return Ok(());
    }
    call.reply.push_error(format!("{}: ", refusal(target)));
    Err(Stop::Done)
}

/// What a request to something comes to that is no cell. Names are parts with the characters of `FQCN.VALID_PATTERN`, joined by
/// dots, none of them empty and none twice.
fn refusal(target: &str) -> &'static str {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '~' | '-');
    let parts: Vec<&str> = target.trim().split('.').collect();
    let is_name =
        |(index, part): (usize, &&str)| !part.is_empty() && part.chars().all(fits) && !parts[..index].contains(part);
    if parts.iter().enumerate().all(is_name) { UNREACHABLE } else { INVALID }
}

fn only_server(call: &mut Call<'_>) -> Step {
    if known_cell(call)? == SERVER_CELL { Ok(()) } else { not_modelled(call) }
}

fn is_site(call: &Call<'_>, name: &str) -> bool {
    call.sim.sites().iter().any(|site| **site.name() == *name)
}

fn is_cell(call: &Call<'_>, name: &str) -> bool {
    name == SERVER_CELL || is_site(call, name)
}

fn push_dict(call: &mut Call<'_>, value: Value) {
    if let Value::Object(object) = value {
        call.reply.push_dict(object);
    }
}

fn not_modelled<T>(call: &Call<'_>) -> Step<T> {
    Err(Stop::NotModelled(call.command.name.to_owned()))
}
