//! Signed folders.

/// The signatures of one directory's files and folders.
pub const SIGNATURE_FILE: &str = ".__nvfl_sig.json";

/// The certificate of who signed them.
pub const SUBMITTER_FILE: &str = ".__nvfl_submitter.crt";
