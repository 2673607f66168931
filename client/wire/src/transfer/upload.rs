//! Uploads: a file in pieces, each one a request that is answered before the next.
//!
//! ```text
//! piece 0   {channel, topic, transaction, 0, context}  {data, size, eof}   ->
//!                                                                          <-  OK
//! ...
//! piece n   {transaction, n}                           {data, size, true}  ->
//!                                                                          <-  OK + reply of the command
//! abort     {transaction}                                                  ->      always, also at the end
//! ```
//!
//! The command that consumes the file (`submit_job ...`) travels in the context of piece 0; its reply comes with the
//! answer to the last piece. A real server runs the command whenever the transaction ends, also after an error, so
//! a failed upload may have been accepted.

use super::TransferError;
use crate::Segments;
use crate::cell::Payload;
use crate::fobs;
use crate::msgpack::{self, Value, field};

/// Channel of the pieces.
pub const CHANNEL: &str = "aux_communication";
/// Topic of a piece.
pub const REQUEST: &str = "ObjectStreamer.Request";
/// Topic of the abort.
pub const ABORT: &str = "ObjectStreamer.Abort";
/// Bytes of a full piece.
pub const PIECE_SIZE: usize = 1024 * 1024;

const STREAM_CHANNEL: &str = "hci.upload";
const STREAM_TOPIC: &str = "folder";
const KEY_CHANNEL: &str = "ObjectStreamer.CHANNEL";
const KEY_TOPIC: &str = "ObjectStreamer.TOPIC";
const KEY_TRANSACTION: &str = "ObjectStreamer.TX_ID";
const KEY_SEQUENCE: &str = "ObjectStreamer.SEQ";
const KEY_CONTEXT: &str = "ObjectStreamer.CTX";
const KEY_END_RESULT: &str = "ObjectStreamer.END_RESULT";
const KEY_CONN_DATA: &str = "conn_data";
const KEY_FILE_SIZE: &str = "FileStreamer.file_size";
const KEY_HEADERS: &str = "__headers__";
const KEY_PEER_PROPS: &str = "__peer_props__";
const KEY_RETURN_CODE: &str = "__rc__";

/// What the fields of a piece are called, which changed with release 2.8: neither side understands the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PieceKeys {
    /// Up to 2.7.
    Old,
    /// Since 2.8.
    #[default]
    New,
}

impl PieceKeys {
    const fn file_name(self) -> &'static str {
        match self {
            Self::Old => "FileStreamer.file_name",
            Self::New => "Streamer.file_name",
        }
    }

    const fn data(self) -> &'static str {
        match self {
            Self::Old => "FileStreamer.data",
            Self::New => "Streamer.data",
        }
    }

    const fn size(self) -> &'static str {
        match self {
            Self::Old => "FileStreamer.size",
            Self::New => "Streamer.size",
        }
    }

    const fn eof(self) -> &'static str {
        match self {
            Self::Old => "FileStreamer.eof",
            Self::New => "Streamer.eof",
        }
    }
}

/// What piece 0 says about the whole upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadContext {
    /// The HCI request that consumes the file, as JSON text.
    pub request: String,
    /// Bytes of the file.
    pub file_size: u64,
    /// Name of the file; a server uses it for its temporary file only.
    pub file_name: String,
}

/// One piece of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The same id for all pieces of an upload.
    pub transaction: String,
    /// Number of the piece, from 0.
    pub sequence: u64,
    /// In piece 0 only.
    pub context: Option<UploadContext>,
    /// Bytes of the file.
    pub data: Segments,
    /// The announced number of bytes; a server refuses a piece where it differs.
    pub size: u64,
    /// True for the last piece.
    pub eof: bool,
    /// True when the sender said who it is. A server refuses pieces that do not.
    pub has_peer_props: bool,
}

fn peer_props(user: &str) -> Value {
    msgpack::map([("__run_num__", "".into()), ("__identity_name__", user.into())])
}

impl Piece {
    /// The message payload, sent by `user`.
    #[must_use]
    pub fn into_payload(self, user: &str) -> Payload {
        self.into_payload_with(user, PieceKeys::New)
    }

    /// As [`into_payload`](Self::into_payload), for a server that knows these keys.
    #[must_use]
    pub fn into_payload_with(self, user: &str, keys: PieceKeys) -> Payload {
        let mut head = vec![
            (Value::from(KEY_CHANNEL), Value::from(STREAM_CHANNEL)),
            (KEY_TOPIC.into(), STREAM_TOPIC.into()),
            (KEY_TRANSACTION.into(), self.transaction.as_str().into()),
            (KEY_SEQUENCE.into(), self.sequence.into()),
        ];
        if let Some(context) = self.context {
            let context = msgpack::map([
                (KEY_CONN_DATA, context.request.into()),
                (KEY_FILE_SIZE, context.file_size.into()),
                (keys.file_name(), context.file_name.into()),
                ("__topic__", STREAM_TOPIC.into()),
                ("__channel__", STREAM_CHANNEL.into()),
            ]);
            head.push((KEY_CONTEXT.into(), context));
        }
        head.push(("__topic__".into(), REQUEST.into()));
        if self.has_peer_props {
            head.push((KEY_PEER_PROPS.into(), peer_props(user)));
        }
        let value = fobs::shareable_with(
            head,
            [(keys.data(), Value::Nil), (keys.size(), self.size.into()), (keys.eof(), self.eof.into())],
        );
        Payload::fobs_with(&value, keys.data(), self.data)
    }

    /// Reads the value of a payload.
    ///
    /// # Errors
    /// [`TransferError`] for a field that no upload can do without.
    pub fn from_value(value: Value) -> Result<Self, TransferError> {
        Self::from_value_with(value, PieceKeys::New)
    }

    /// As [`from_value`](Self::from_value), of a client that writes these keys.
    ///
    /// # Errors
    /// [`TransferError`] for a field that no upload can do without.
    pub fn from_value_with(value: Value, keys: PieceKeys) -> Result<Self, TransferError> {
        Self::read(value, None, keys)
    }

    /// Reads a payload of a client that writes these keys, without a copy of the bytes of the file. What cannot be read
    /// at all is as good as nothing.
    ///
    /// # Errors
    /// [`TransferError`] for a field that no upload can do without.
    pub fn from_payload_with(payload: &Payload, keys: PieceKeys) -> Result<Self, TransferError> {
        let (value, data) = payload.value_apart(keys.data()).unwrap_or((Value::Nil, None));
        Self::read(value, data, keys)
    }

    fn read(mut value: Value, apart: Option<Segments>, keys: PieceKeys) -> Result<Self, TransferError> {
        let body = fobs::body_mut(&mut value);
        // Taken, not copied: it is nearly all of the value.
        let data = apart.or_else(|| msgpack::take_bytes(body, keys.data()).map(Segments::from));
        let head = field(body, KEY_HEADERS).ok_or(TransferError(KEY_HEADERS))?;
        let text = |map, key| field(map, key).and_then(Value::as_str).map(str::to_owned).ok_or(TransferError(key));
        let context = match field(head, KEY_CONTEXT) {
            None | Some(Value::Nil) => None,
            Some(context) => Some(UploadContext {
                request: text(context, KEY_CONN_DATA)?,
                file_size: field(context, KEY_FILE_SIZE).and_then(Value::as_u64).unwrap_or(0),
                file_name: text(context, keys.file_name()).unwrap_or_default(),
            }),
        };
        Ok(Self {
            data: data.ok_or_else(|| TransferError(keys.data()))?,
            transaction: text(head, KEY_TRANSACTION)?,
            sequence: field(head, KEY_SEQUENCE).and_then(Value::as_u64).ok_or(TransferError(KEY_SEQUENCE))?,
            context,
            size: field(body, keys.size()).and_then(Value::as_u64).ok_or_else(|| TransferError(keys.size()))?,
            eof: field(body, keys.eof()).and_then(Value::as_bool).unwrap_or(false),
            has_peer_props: field(head, KEY_PEER_PROPS)
                .and_then(Value::as_map)
                .is_some_and(|properties| !properties.is_empty()),
        })
    }
}

/// The message that ends a transaction, sent by `user` when it is done as well.
#[must_use]
pub fn abort_payload(transaction: &str, user: &str) -> Payload {
    Payload::fobs(&fobs::shareable(
        [
            (KEY_RETURN_CODE, "TASK_ABORTED".into()),
            (KEY_TRANSACTION, transaction.into()),
            ("__topic__", ABORT.into()),
            (KEY_PEER_PROPS, peer_props(user)),
        ],
        [],
    ))
}

/// The transaction that an abort names.
///
/// # Errors
/// [`TransferError`] when it names none.
pub fn aborted_transaction(value: &Value) -> Result<String, TransferError> {
    field(fobs::body(value), KEY_HEADERS)
        .and_then(|head| field(head, KEY_TRANSACTION))
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or(TransferError(KEY_TRANSACTION))
}

/// The answer to a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PieceReply {
    /// `OK`, or the reason of a refusal (`BAD_REQUEST_DATA`, `EXECUTION_EXCEPTION`, `MISSING_PEER_CONTEXT`, ...).
    pub return_code: String,
    /// After the last piece: the HCI reply of the command, as JSON text.
    pub end_result: Option<String>,
}

impl PieceReply {
    /// The code of a piece that was taken.
    pub const OK: &'static str = "OK";

    /// The message payload of a server.
    #[must_use]
    pub fn to_payload(&self) -> Payload {
        let mut head = vec![(Value::from(KEY_RETURN_CODE), Value::from(self.return_code.as_str()))];
        if let Some(result) = &self.end_result {
            head.push((KEY_END_RESULT.into(), result.as_str().into()));
        }
        let properties = [("__run_num__", Value::from("")), ("__identity_name__", crate::cell::SERVER.into())];
        head.push(("__peer_ctx__".into(), fobs::context_with(properties)));
        Payload::fobs(&fobs::shareable_with(head, []))
    }

    /// Reads the value of a payload.
    ///
    /// # Errors
    /// [`TransferError`] when it has no code.
    pub fn from_value(value: &Value) -> Result<Self, TransferError> {
        let head = field(fobs::body(value), KEY_HEADERS).ok_or(TransferError(KEY_HEADERS))?;
        let text = |key| field(head, key).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            return_code: text(KEY_RETURN_CODE).ok_or(TransferError(KEY_RETURN_CODE))?,
            end_result: text(KEY_END_RESULT),
        })
    }
}
