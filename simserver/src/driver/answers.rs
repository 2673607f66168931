//! Answers as they travel.

use flare_wire::cell::{Payload, ReturnCode};
use flare_wire::endpoint::Answer;
use flare_wire::hci::Reply;
use flare_wire::transfer::upload::PieceReply;

use crate::state::StateError;

/// What a client is told whose command was carried out but not kept: the next process may know nothing of it.
pub(super) fn unwritable(error: &StateError) -> Answer {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(%error, cause, "the state cannot be written");
    let why = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    Answer::failure(ReturnCode::ProcessException, &why)
}

pub(super) fn piece_answer(code: &str, end_result: Option<String>) -> Answer {
    Answer::ok(PieceReply { return_code: code.to_owned(), end_result }.to_payload())
}

/// A reply as it travels: a text without a return code. One without items has no payload at all.
pub(super) fn answer(reply: &Reply) -> Answer {
    let payload = if reply.data.is_empty() { Payload::empty() } else { Payload::text(&reply.to_json()) };
    Answer::payload(payload)
}
