//! File transfer: uploads in acknowledged pieces, downloads by reference.
//!
//! Source: `reference/wire-protocol.md` sections 8 and 9.

pub mod download;
#[cfg(test)]
mod tests;
pub mod upload;

use std::error::Error;
use std::fmt;

/// A transfer message that lacks a field, or has one of the wrong type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferError(
    /// The field.
    pub &'static str,
);

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the transfer message has no usable `{}`", self.0)
    }
}

impl Error for TransferError {}
