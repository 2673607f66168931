//! Cell messages: what travels in DATA frames.
//!
//! A message has headers (`cn__*` for routing, `sm__*` for streams, the rest for the application) and a
//! payload with a named encoding. Source: `reference/wire-protocol.md` section 3.

mod handshake;
pub mod headers;
mod message;

pub use handshake::{Hello, is_valid_endpoint_name};
pub use headers::{Headers, HeadersError};
pub use message::{Encoding, Message, MessageKind, Payload, PayloadError, ReturnCode};

/// Name of the server's cell.
pub const SERVER: &str = "server";

/// Channels and topics, each written once.
pub mod channel {
    /// Challenge and register.
    pub const TASK: &str = "task";
    /// Topic of the challenge on [`TASK`].
    pub const CHALLENGE: &str = "challenge";
    /// Topic of the registration on [`TASK`].
    pub const REGISTER: &str = "register";
    /// Admin commands.
    pub const HCI: &str = "hci_channel";
    /// Topic of a command on [`HCI`].
    pub const COMMAND: &str = "command";
    /// Topic of the server's push on [`HCI`] that ends a session.
    pub const SESSION_EXPIRED: &str = "SESSION_EXPIRED";
    /// The cell network itself.
    pub const CELLNET: &str = "cellnet.channel";
    /// Topic on [`CELLNET`] of a cell that leaves.
    pub const BYE: &str = "bye";
    /// Stream messages.
    pub const STREAM: &str = "sm__STREAM";
    /// Topic on [`STREAM`] of a chunk.
    pub const STREAM_DATA: &str = "sm__DATA";
    /// Topic on [`STREAM`] of the receiver's progress.
    pub const STREAM_ACK: &str = "sm__ACK";
    /// Topic on [`STREAM`] of the receiver's refusal (2.9).
    pub const STREAM_ERROR: &str = "sm__ERROR";
    /// Channel of streamed replies.
    pub const RETURN_ONLY: &str = "return_only";
}
