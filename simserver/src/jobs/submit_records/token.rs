//! A token, and the scope in which it stands for something.

use std::error::Error;
use std::fmt;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::jobs::content_hash::hex;
use crate::jobs::submitter::Submitter;

/// Longest token.
const MAX_TOKEN_LEN: usize = 128;

/// A token as the server accepts it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubmitToken(String);

impl SubmitToken {
    /// Checks a token.
    ///
    /// # Errors
    /// [`BadToken`], whose text is that of the reply.
    pub fn new(text: &str) -> Result<Self, BadToken> {
        let fits = (1..=MAX_TOKEN_LEN).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte));
        if fits { Ok(Self(text.to_owned())) } else { Err(BadToken) }
    }

    /// The token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A token of the wrong shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadToken;

impl fmt::Display for BadToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("submit_token must be non-empty, at most 128 characters, and match ^[A-Za-z0-9._:-]{1,128}$")
    }
}

impl Error for BadToken {}

/// Whose token it is, and in which study.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The study of the session.
    pub study: String,
    /// The user; the role counts.
    pub submitter: Submitter,
    /// The token.
    pub token: SubmitToken,
}

impl Scope {
    /// Where the real server keeps the record, below `job_submit_records`: three hashes of canonical JSON.
    #[must_use]
    pub fn path(&self) -> String {
        let parts = [Value::from(self.study.as_str()), self.submitter.to_json(), Value::from(self.token.as_str())];
        parts.map(|part| hex(&Sha256::digest(part.to_string()))).join("/")
    }
}
