//! Downloads: the reply of a command names references, and each reference is pulled piece by piece.
//!
//! ```text
//! {ref_id}                                  ->
//!                                           <-  {ok, data, state {received_bytes: n}}
//! {ref_id, state {received_bytes: n}}       ->      the client sends back its own count
//!                                           <-  {eof, confirm_nonce}
//! {ref_id, confirm: "success", nonce}       ->      no reply (2.9)
//! ```
//!
//! The data for a given state is reproducible, so a request may be repeated.

use super::TransferError;
use crate::Segments;
use crate::cell::{Payload, PayloadError};
use crate::fobs;
use crate::msgpack::{self, Value, field};

/// Channel of the requests.
pub const CHANNEL: &str = "download_service__";
/// Topic of the requests, and of the confirmation.
pub const TOPIC: &str = "download_service__download";
/// Most bytes of one piece.
pub const PIECE_SIZE: usize = 5 * 1024 * 1024;

const KEY_REF: &str = "ref_id";
const KEY_STATE: &str = "state";
const KEY_RECEIVED: &str = "received_bytes";
const KEY_STATUS: &str = "status";
const KEY_DATA: &str = "data";
const KEY_CONFIRM: &str = "confirm";
const KEY_NONCE: &str = "confirm_nonce";
const KEY_CAPABLE: &str = "confirm_capable";
const KEY_CANCEL: &str = "cancel";
const KEY_CANCEL_CAPABLE: &str = "cancel_capable";

/// How a client says that it is done with a reference (2.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conclusion {
    /// All bytes arrived.
    Success {
        /// The nonce of the server's last piece.
        nonce: String,
    },
    /// The file could not be used.
    Failed {
        /// The nonce of the server's last piece.
        nonce: String,
    },
    /// The client stops midway.
    Cancel,
}

/// A message of the downloading side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// The reference.
    pub reference: String,
    /// Bytes that the client has; `None` in the first request.
    pub received: Option<u64>,
    /// The client can confirm the end.
    pub confirm_capable: bool,
    /// In the last message, which wants no reply.
    pub conclusion: Option<Conclusion>,
}

impl Pull {
    /// Asks for the piece after the first `received` bytes.
    #[must_use]
    pub fn piece(reference: &str, received: u64) -> Self {
        Self {
            reference: reference.to_owned(),
            received: (received > 0).then_some(received),
            confirm_capable: true,
            conclusion: None,
        }
    }

    /// Ends the download of a reference.
    #[must_use]
    pub fn conclude(reference: &str, conclusion: Conclusion) -> Self {
        Self { reference: reference.to_owned(), received: None, confirm_capable: false, conclusion: Some(conclusion) }
    }

    /// The message payload.
    #[must_use]
    pub fn to_payload(&self) -> Payload {
        let mut entries = vec![(Value::from(KEY_REF), Value::from(self.reference.as_str()))];
        if self.confirm_capable {
            entries.push((KEY_CAPABLE.into(), true.into()));
        }
        if let Some(received) = self.received {
            entries.push((KEY_STATE.into(), msgpack::map([(KEY_RECEIVED, received.into())])));
        }
        match &self.conclusion {
            Some(Conclusion::Success { nonce }) => {
                entries.push((KEY_CONFIRM.into(), "success".into()));
                entries.push((KEY_NONCE.into(), nonce.as_str().into()));
            }
            Some(Conclusion::Failed { nonce }) => {
                entries.push((KEY_CONFIRM.into(), "failed".into()));
                entries.push((KEY_NONCE.into(), nonce.as_str().into()));
            }
            Some(Conclusion::Cancel) => entries.push((KEY_CANCEL.into(), true.into())),
            None => {}
        }
        Payload::fobs(&Value::Map(entries))
    }

    /// Reads the value of a payload. A state that holds no byte count gives the error `received_bytes`.
    ///
    /// # Errors
    /// [`TransferError`].
    pub fn from_value(value: &Value) -> Result<Self, TransferError> {
        let body = fobs::body(value);
        let text = |key| field(body, key).and_then(Value::as_str).map(str::to_owned);
        let flag = |key| field(body, key).and_then(Value::as_bool).unwrap_or(false);
        let nonce = text(KEY_NONCE).unwrap_or_default();
        let conclusion = match text(KEY_CONFIRM).as_deref() {
            Some("success") => Some(Conclusion::Success { nonce }),
            Some(_) => Some(Conclusion::Failed { nonce }),
            None => flag(KEY_CANCEL).then_some(Conclusion::Cancel),
        };
        let received = match field(body, KEY_STATE) {
            None | Some(Value::Nil) => None,
            Some(state) => Some(field(state, KEY_RECEIVED).and_then(Value::as_u64).ok_or(TransferError(KEY_RECEIVED))?),
        };
        Ok(Self {
            reference: text(KEY_REF).ok_or(TransferError(KEY_REF))?,
            received,
            confirm_capable: flag(KEY_CAPABLE),
            conclusion,
        })
    }
}

/// The answer of the side that has the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullReply {
    /// A piece.
    Data {
        /// Its bytes, at most [`PIECE_SIZE`].
        data: Segments,
        /// Bytes of the file up to the end of this piece.
        received: u64,
        /// The side that has the file understands [`Conclusion::Cancel`] (2.9).
        cancel_capable: bool,
    },
    /// There is nothing after the bytes the client has.
    Eof {
        /// To be confirmed, when the client said that it can.
        nonce: Option<String>,
    },
    /// The file cannot be read on.
    Error {
        /// To be confirmed, when the client said that it can.
        nonce: Option<String>,
    },
}

impl PullReply {
    /// The message payload.
    #[must_use]
    pub fn into_payload(self) -> Payload {
        let (status, nonce) = match self {
            Self::Data { data, received, cancel_capable } => {
                let mut entries = vec![
                    (Value::from(KEY_STATUS), Value::from("ok")),
                    (KEY_STATE.into(), msgpack::map([(KEY_RECEIVED, received.into())])),
                    (KEY_DATA.into(), Value::Nil),
                ];
                if cancel_capable {
                    entries.push((KEY_CANCEL_CAPABLE.into(), true.into()));
                }
                return Payload::fobs_with(&Value::Map(entries), KEY_DATA, data);
            }
            Self::Eof { nonce } => ("eof", nonce),
            Self::Error { nonce } => ("error", nonce),
        };
        let mut entries = vec![(Value::from(KEY_STATUS), Value::from(status))];
        if let Some(nonce) = nonce {
            entries.push(("confirm_expected".into(), true.into()));
            entries.push((KEY_NONCE.into(), nonce.into()));
        }
        Payload::fobs(&Value::Map(entries))
    }

    /// Reads the value of a payload.
    ///
    /// # Errors
    /// [`TransferError`].
    pub fn from_value(value: Value) -> Result<Self, TransferError> {
        Self::read(value, None)
    }

    /// Reads a payload, without a copy of the bytes of the file.
    ///
    /// # Errors
    /// [`PayloadError`] for a payload that cannot be read; [`TransferError`] in the result for one that is no answer.
    pub fn from_payload(payload: &Payload) -> Result<Result<Self, TransferError>, PayloadError> {
        let (value, data) = payload.value_apart(KEY_DATA)?;
        Ok(Self::read(value, data))
    }

    fn read(mut value: Value, apart: Option<Segments>) -> Result<Self, TransferError> {
        let body = fobs::body_mut(&mut value);
        // Taken, not copied: it is nearly all of the value.
        let data = apart.or_else(|| msgpack::take_bytes(body, KEY_DATA).map(Segments::from));
        let text = |key| field(body, key).and_then(Value::as_str).map(str::to_owned);
        let nonce = text(KEY_NONCE);
        match text(KEY_STATUS).as_deref() {
            Some("ok") => Ok(Self::Data {
                data: data.ok_or(TransferError(KEY_DATA))?,
                received: field(body, KEY_STATE)
                    .and_then(|state| field(state, KEY_RECEIVED))
                    .and_then(Value::as_u64)
                    .ok_or(TransferError(KEY_RECEIVED))?,
                cancel_capable: field(body, KEY_CANCEL_CAPABLE).and_then(Value::as_bool).unwrap_or(false),
            }),
            Some("eof") => Ok(Self::Eof { nonce }),
            Some("error") => Ok(Self::Error { nonce }),
            _ => Err(TransferError(KEY_STATUS)),
        }
    }
}
