//! The rules on a job's meta, in the order in which the real server checks them.

use std::io::{Read, Seek};

use flare_wire::hci::{JsonObject, python_repr};
use serde_json::Value;

use super::config_file;
use super::participants::{ALL_SITES, SERVER_SITE, is_all_sites, participants, unknown_keys};
use crate::jobs::archive::Archive;
use crate::jobs::python::{ExceptionClass, PythonError, is_truthy, python_int, set_repr, to_text, type_name};
use crate::release::Release;

/// More clients than this are refused; the text says "less than" all the same.
const MAX_CLIENTS: i64 = 1_000_000;

/// Names of jobs and apps.
const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]*$";

const SERVER_CONFIG: &str = "config_fed_server";
const CLIENT_CONFIG: &str = "config_fed_client";

/// A key that makes an app count as one that needs a Flower app installed beforehand.
const FLOWER_APP_PATH: &str = "flower_app_path";

/// The clients that a job names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Clients {
    All,
    Named(Vec<String>),
}

/// Checks a job id that the user chose.
pub(super) fn job_id(value: &Value) -> Result<(), PythonError> {
    let Some(id) = value.as_str().filter(|id| !id.is_empty()) else {
        return Err(PythonError::value("job_id must be a non-empty string"));
    };
    name(id, "job_id")
}

fn name(name: &str, what: &str) -> Result<(), PythonError> {
    // Python's `$` also matches before a line break at the end.
    let checked = name.strip_suffix('\n').unwrap_or(name).as_bytes();
    let fits = checked.first().is_some_and(u8::is_ascii_alphanumeric)
        && checked.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
    if fits {
        return Ok(());
    }
    Err(PythonError::value(format!(
        "invalid {what} '{name}': name={name} is ill-formatted for entity_type=job_name based on \
         regex_pattern={NAME_PATTERN}"
    )))
}

/// Checks which sites get which app.
pub(super) fn deploy_map(job: &str, meta: &JsonObject, release: Release) -> Result<Clients, PythonError> {
    let refuse = |text: String| Err(PythonError::value(text));
    let map = match meta.get("deploy_map") {
        None => return refuse(format!("deploy_map is empty for job {job}")),
        Some(value) if !is_truthy(value) => return refuse(format!("deploy_map is empty for job {job}")),
        Some(Value::Object(map)) => map,
        Some(other) if release < Release::V2_8 => {
            let text = format!("'{}' object has no attribute 'values'", type_name(other));
            return Err(PythonError::new(ExceptionClass::Attribute, text));
        }
        Some(_) => return refuse(format!("deploy_map must be a dictionary for job {job}")),
    };
    let mut sites: Vec<&str> = Vec::new();
    for (app, entry) in map {
        if release >= Release::V2_8 {
            app_entry(job, app, entry)?;
        }
        sites.extend(participants(entry)?);
    }
    if sites.is_empty() {
        return refuse(format!("No site is specified in deploy_map for job {job}"));
    }
    if sites.iter().any(|site| is_all_sites(site)) {
        if sites.len() > 1 {
            return refuse(format!("No other site can be specified if {ALL_SITES} is used for job {job}"));
        }
        return Ok(Clients::All);
    }
    if !sites.contains(&SERVER_SITE) {
        return refuse(format!("Missing server site in deploy_map for job {job}"));
    }
    let repeated = repeated(&sites);
    if !repeated.is_empty() {
        let repeated = python_repr(&repeated.into_iter().collect());
        return refuse(format!("Multiple apps to be deployed to following sites {repeated} for job {job}"));
    }
    Ok(Clients::Named(sites.into_iter().filter(|site| *site != SERVER_SITE).map(str::to_owned).collect()))
}

/// Checks the name of an app, and what is said of its sites.
fn app_entry(job: &str, app: &str, entry: &Value) -> Result<(), PythonError> {
    if app.is_empty() {
        return Err(PythonError::value("job app name must be a non-empty string"));
    }
    name(app, "job app name")?;
    match unknown_keys(entry) {
        None => Ok(()),
        Some(unknown) => Err(PythonError::value(format!(
            "Unknown keys {} in deploy_map entry for job {job}. Valid keys are: ['sites', 'targets']",
            set_repr(&unknown.into_iter().map(Value::from).collect::<Vec<_>>())
        ))),
    }
}

/// What is there more than once, in the order of the first occurrence.
fn repeated<'a>(sites: &[&'a str]) -> Vec<&'a str> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for &site in sites {
        match counts.iter_mut().find(|(counted, _)| *counted == site) {
            Some((_, count)) => *count += 1,
            None => counts.push((site, 1)),
        }
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(site, _)| site).collect()
}

/// Checks that every app is there with its configurations, and marks what the content tells about the job.
pub(super) fn apps<R: Read + Seek>(
    job: &str,
    meta: &mut JsonObject,
    archive: &mut Archive<R>,
    release: Release,
) -> Result<(), PythonError> {
    let map = meta.get("deploy_map").and_then(Value::as_object).cloned().unwrap_or_default();
    let (mut has_custom_code, mut has_flower_app) = (false, false);
    for (app, entry) in &map {
        let sites = participants(entry)?;
        let config_folder = format!("{job}/{app}/config/");
        if !archive.contains(&config_folder) {
            return Err(PythonError::value(format!("App '{app}' in deploy_map doesn't exist for job {job}")));
        }
        let everywhere = sites.iter().any(|site| is_all_sites(site));
        if everywhere || sites.contains(&SERVER_SITE) {
            let stem = format!("{config_folder}{SERVER_CONFIG}");
            if !config_file::exists(archive, &stem) {
                return Err(PythonError::value(format!(
                    "App '{app}' will be deployed to server but server config is missing"
                )));
            }
            has_flower_app |= release >= Release::V2_9
                && config_file::load(archive, &stem)?.is_some_and(|config| names_flower_app(&config));
        }
        let on_clients = everywhere || sites.iter().any(|site| *site != SERVER_SITE);
        if on_clients && !config_file::exists(archive, &format!("{config_folder}{CLIENT_CONFIG}")) {
            return Err(PythonError::value(format!(
                "App '{app}' will be deployed to client but client config is missing"
            )));
        }
        has_custom_code |= archive.contains(&format!("{job}/{app}/custom/"));
    }
    // Before 2.8 what the user says there stays.
    if has_custom_code || release >= Release::V2_8 {
        mark(meta, "byoc", has_custom_code);
    }
    if release >= Release::V2_9 {
        mark(meta, "flower_predeployed", has_flower_app);
    }
    Ok(())
}

/// A mark is derived from the content; what the user wrote there does not count.
fn mark(meta: &mut JsonObject, key: &str, set: bool) {
    if set {
        meta.insert(key.to_owned(), Value::Bool(true));
    } else {
        meta.shift_remove(key);
    }
}

fn names_flower_app(config: &Value) -> bool {
    match config {
        Value::Object(map) => {
            map.iter().any(|(key, value)| (key == FLOWER_APP_PATH && is_truthy(value)) || names_flower_app(value))
        }
        Value::Array(items) => items.iter().any(names_flower_app),
        _ => false,
    }
}

/// Checks the smallest number of clients.
pub(super) fn min_clients(job: &str, meta: &JsonObject, clients: &Clients) -> Result<(), PythonError> {
    let Some(value) = meta.get("min_clients").filter(|value| !value.is_null()) else { return Ok(()) };
    let (number, text) = to_int(value)?;
    let refuse = |text: String| Err(PythonError::value(text));
    if number <= 0 {
        return refuse(format!("min_clients {text} must be positive for job {job}"));
    }
    if number > MAX_CLIENTS {
        return refuse(format!("min_clients {text} must be less than {MAX_CLIENTS}  for job {job}"));
    }
    match clients {
        Clients::All => Ok(()),
        Clients::Named(names) if names.is_empty() => Err(no_client()),
        Clients::Named(names) => {
            let found = names.len();
            if i64::try_from(found).is_ok_and(|found| found < number) {
                return refuse(format!("min {text} clients required for job {job}, found {found}."));
            }
            Ok(())
        }
    }
}

/// A job for the server alone: the validator asks for the first client without a check.
fn no_client() -> PythonError {
    PythonError::new(ExceptionClass::StopIteration, "")
}

/// The integer that Python makes of a value, held to 64 bits, and its text.
fn to_int(value: &Value) -> Result<(i64, String), PythonError> {
    // The text of the refusal is that of an exception with two arguments.
    let refuse = |why: &str| {
        let first = Value::from(format!("invalid data type for {},can't not convert to Int", to_text(value)));
        let second = Value::from(why);
        PythonError::value(format!("({}, {})", python_repr(&first), python_repr(&second)))
    };
    match value {
        Value::Bool(flag) => Ok((i64::from(*flag), to_text(value))),
        Value::Number(number) => Ok(match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => (number, number.to_string()),
            #[expect(clippy::cast_possible_truncation, reason = "int() cuts a float, and `as` keeps it in range")]
            (None, Some(float)) if number.is_f64() => (float as i64, format!("{:.0}", float.trunc() + 0.0)),
            _ => (i64::MAX, number.to_string()),
        }),
        Value::String(text) => match python_int(text) {
            Some(number) if number.unsigned_abs() >= i64::MAX.unsigned_abs() => Ok((number, digits(text))),
            Some(number) => Ok((number, number.to_string())),
            None => Err(refuse(&format!("ValueError: invalid literal for int() with base 10: {}", python_repr(value)))),
        },
        other => Err(refuse(&format!(
            "TypeError: int() argument must be a string, a bytes-like object or a real number, not '{}'",
            type_name(other)
        ))),
    }
}

/// A text that Python reads as an integer, as Python prints that integer.
fn digits(text: &str) -> String {
    let sign = if text.trim_start().starts_with('-') { "-" } else { "" };
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    format!("{sign}{}", digits.trim_start_matches('0'))
}

/// Checks that mandatory clients are among the named ones; a job for all clients is not checked.
pub(super) fn mandatory_clients(job: &str, meta: &JsonObject, clients: &Clients) -> Result<(), PythonError> {
    let Clients::Named(names) = clients else { return Ok(()) };
    if names.is_empty() {
        return Err(no_client());
    }
    let mandatory: Vec<Value> = match meta.get("mandatory_clients") {
        None => return Ok(()),
        Some(value) if !is_truthy(value) => return Ok(()),
        Some(Value::Array(items)) => {
            if let Some(item) = items.iter().find(|item| item.is_array() || item.is_object()) {
                let text = format!("unhashable type: '{}'", type_name(item));
                return Err(PythonError::new(ExceptionClass::Type, text));
            }
            items.clone()
        }
        // Python makes a set of the characters, and of the keys.
        Some(Value::String(text)) => text.chars().map(|character| Value::from(character.to_string())).collect(),
        Some(Value::Object(map)) => map.keys().map(String::as_str).map(Value::from).collect(),
        Some(other) => {
            let text = format!("'{}' object is not iterable", type_name(other));
            return Err(PythonError::new(ExceptionClass::Type, text));
        }
    };
    let mut missing: Vec<Value> = Vec::new();
    for client in mandatory {
        let is_named = client.as_str().is_some_and(|client| names.iter().any(|name| name == client));
        if !is_named && !missing.contains(&client) {
            missing.push(client);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(PythonError::value(format!("Mandatory clients {} are not in the deploy_map for job {job}", set_repr(&missing))))
}
