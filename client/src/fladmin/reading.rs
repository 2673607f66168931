//! What a reply means: two readings of the same answer.
//!
//! | | [`Strict`](StatusReading::Strict) | [`AsOriginal`](StatusReading::AsOriginal) |
//! |---|---|---|
//! | decides | `meta.status`, then error items | key words anywhere in the text of the reply |
//! | a refusal without a key word | an error | `SUCCESS` |
//! | a key word in a file that is shown | nothing | an error |
//! | no answer | what went wrong with the connection | `ERROR_RUNTIME` |
//!
//! One refusal has no status word: that of a site, which is recognised by its whole sentence.

use flare_wire::hci::{Item, Reply};
use serde_json::Value;

use super::response::{ApiStatus, CommandResult, FlAdminApiResponse, chain};
use crate::{ErrorKind, verdict};

/// How a status is made of what the server said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatusReading {
    /// By the server's own status word and by error items: what was refused is never `SUCCESS`.
    #[default]
    Strict,
    /// As the original does, by key words in texts: much that was refused is `SUCCESS`.
    AsOriginal,
}

/// Words by which the original recognises a failure, and what it takes it for. The first that is found counts.
const KEY_WORDS: [(&str, ApiStatus); 6] = [
    ("session_inactive", ApiStatus::ErrorInactiveSession),
    ("wrong server", ApiStatus::ErrorServerConnection),
    ("Failed to communicate", ApiStatus::ErrorServerConnection),
    ("invalid client", ApiStatus::ErrorInvalidClient),
    ("unknown site", ApiStatus::ErrorInvalidClient),
    ("not authorized", ApiStatus::ErrorAuthorization),
];

/// What a method cannot make anything of.
pub(super) const UNUSABLE: &str = "Runtime error: could not handle server reply.";

/// The result of a reply, at the level of `do_command`.
pub(super) fn delivered(reply: Reply, reading: StatusReading) -> CommandResult {
    let status = match reading {
        StatusReading::Strict if verdict::of_session(&reply).is_some() => ApiStatus::ErrorInactiveSession,
        StatusReading::Strict => ApiStatus::Success,
        StatusReading::AsOriginal => by_key_words(&reply),
    };
    CommandResult::replied(status, reply)
}

fn by_key_words(reply: &Reply) -> ApiStatus {
    if reply.data.is_empty() {
        return ApiStatus::ErrorRuntime;
    }
    if reply.data.iter().any(|item| matches!(item, Item::Success(_))) {
        return ApiStatus::Success;
    }
    let text = text_of(reply);
    let found = KEY_WORDS.iter().find(|(word, _)| text.contains(word));
    found.map_or(ApiStatus::Success, |(_, status)| *status)
}

/// Every `string` and `error` item, a line each.
pub(super) fn text_of(reply: &Reply) -> String {
    let texts: Vec<&str> = reply
        .data
        .iter()
        .filter_map(|item| match item {
            Item::String(text) | Item::Error(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    texts.join("\n")
}

/// A reply that no common check objects to.
#[derive(Debug)]
pub(super) struct Understood {
    pub(super) text: String,
    pub(super) raw: CommandResult,
}

impl Understood {
    pub(super) fn reply(&self) -> Option<&Reply> {
        self.raw.reply.as_ref()
    }

    /// Every table, the header row first.
    pub(super) fn tables(&self) -> impl Iterator<Item = Value> {
        let items = self.reply().map(|reply| reply.data.as_slice()).unwrap_or_default();
        items.iter().filter_map(|item| match item {
            Item::Table(rows) => Some(serde_json::json!(rows)),
            _ => None,
        })
    }

    /// A site that refuses a command has no status word of its own: the server passes its sentence on as text. So the
    /// sentence is compared, whole: `replies` of a 2.9.0 server to a member's `pwd site-1` and `restart client`.
    pub(super) fn unless_refused_by_a_site(self, user: &str, command: &str) -> Result<Self, Box<FlAdminApiResponse>> {
        let sentence = format!("user '{user}' is not authorized for '{command}'");
        let of_one_of_several = |line: &str| {
            line.strip_prefix("client:")
                .and_then(|rest| rest.split_once(" : "))
                .is_some_and(|(_, said)| said == sentence)
        };
        if self.text.trim_end() != sentence && !self.text.lines().any(of_one_of_several) {
            return Ok(self);
        }
        let message = format!("Error: PermissionError: {}", self.text);
        Err(Box::new(FlAdminApiResponse::message_of(ApiStatus::ErrorAuthorization, message).with_raw(self.raw)))
    }

    pub(super) fn success(self, details: Value) -> FlAdminApiResponse {
        FlAdminApiResponse::success(details).with_raw(self.raw)
    }

    /// The text is the result.
    pub(super) fn said(self) -> FlAdminApiResponse {
        let message = self.text.clone();
        self.success(serde_json::json!({"message": message}))
    }

    pub(super) fn refused(self) -> FlAdminApiResponse {
        let message = self.text.clone();
        self.refused_as(message)
    }

    pub(super) fn refused_as(self, message: impl Into<String>) -> FlAdminApiResponse {
        FlAdminApiResponse::message_of(ApiStatus::ErrorRuntime, message).with_raw(self.raw)
    }

    pub(super) fn unusable(self) -> FlAdminApiResponse {
        self.refused_as(UNUSABLE)
    }
}

/// The checks that are the same for every call; the error is the call's response.
pub(super) fn understood(raw: CommandResult, reading: StatusReading) -> Result<Understood, Box<FlAdminApiResponse>> {
    let text = raw.reply.as_ref().map(text_of).unwrap_or_default();
    let failure = match reading {
        StatusReading::Strict => strictly(&raw, &text),
        StatusReading::AsOriginal => as_original(&raw, &text),
    };
    match failure {
        Some((status, message)) => Err(Box::new(FlAdminApiResponse::message_of(status, message).with_raw(raw))),
        None => Ok(Understood { text, raw }),
    }
}

fn strictly(raw: &CommandResult, text: &str) -> Option<(ApiStatus, String)> {
    let Some(reply) = &raw.reply else {
        return (!raw.is_success()).then(|| (raw.status, raw.details.clone().unwrap_or_default()));
    };
    let error = verdict::of_reply(reply.clone()).err()?;
    let text = if text.is_empty() { chain(&error) } else { text.to_owned() };
    let status = match error.kind() {
        // A server before 2.9 may tell by its words alone.
        ErrorKind::Refused if reply.status().is_none() => match by_key_words(reply) {
            ApiStatus::Success => ApiStatus::ErrorRuntime,
            status => status,
        },
        kind => ApiStatus::of(kind),
    };
    // The original's words for what it recognises too.
    let message = match status {
        ApiStatus::ErrorAuthorization => format!("Error: PermissionError: {text}"),
        ApiStatus::ErrorInvalidClient => format!("Error: LookupError: {text}"),
        _ => text,
    };
    Some((status, message))
}

fn as_original(raw: &CommandResult, text: &str) -> Option<(ApiStatus, String)> {
    let recognised = KEY_WORDS.iter().find(|(word, _)| *word != "wrong server" && text.contains(word));
    if let Some((word, status)) = recognised {
        return Some(match status {
            ApiStatus::ErrorInactiveSession => {
                (ApiStatus::ErrorAuthentication, format!("Error: ConnectionRefusedError: {text}"))
            }
            ApiStatus::ErrorInvalidClient => (*status, format!("Error: LookupError: {text}")),
            ApiStatus::ErrorAuthorization => (*status, format!("Error: PermissionError: {text}")),
            _ => {
                debug_assert_eq!(*word, "Failed to communicate");
                (ApiStatus::ErrorRuntime, format!("Exception: ConnectionError: {text}"))
            }
        });
    }
    if raw.is_success() {
        return None;
    }
    let details = raw.details.as_deref().unwrap_or("None");
    Some(match details.contains("not authorized") {
        true => (ApiStatus::ErrorAuthorization, format!("Error: PermissionError: {details}")),
        false => (ApiStatus::ErrorRuntime, format!("Exception: RuntimeError: {details}")),
    })
}
