//! Files on their way: what arrives piece by piece is written to disk, what leaves is read from there. Neither side
//! ever has more than a piece in memory.
//!
//! ```text
//! piece ─▶ Uploads ─▶ temporary file ─▶ Blob of the job          pull ─▶ Sources ─▶ piece
//! ```
//!
//! Source: `reference/wire-protocol.md` sections 8 and 9.

mod download;
mod upload;

pub(crate) use download::{PLAIN_PIECE, Source, Sources};
pub(crate) use upload::{Arrived, Ended, PieceOutcome, Uploads, code_of};
