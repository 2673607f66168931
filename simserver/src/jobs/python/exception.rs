//! Exceptions of the real server, as far as their class and text reach the user.

use std::error::Error;
use std::fmt;

/// Class of an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExceptionClass {
    /// `AttributeError`
    Attribute,
    /// `KeyError`
    Key,
    /// `zipfile.BadZipFile`
    BadZipFile,
    /// `json.decoder.JSONDecodeError`, a `ValueError`
    JsonDecode,
    /// `NotImplementedError`
    NotImplemented,
    /// `OverflowError`
    Overflow,
    /// `RecursionError`
    Recursion,
    /// `RuntimeError`
    Runtime,
    /// `StopIteration`
    StopIteration,
    /// nvflare's `StorageException`
    Storage,
    /// `TypeError`
    Type,
    /// `UnicodeDecodeError`, a `ValueError`
    UnicodeDecode,
    /// `ValueError`
    Value,
    /// `zlib.error`
    Zlib,
    /// What pyhocon raises over a text that it cannot read
    Hocon,
}

impl ExceptionClass {
    /// The class with its module, as in `<class 'zipfile.BadZipFile'>`.
    #[must_use]
    pub const fn qualified_name(self) -> &'static str {
        match self {
            Self::Attribute => "AttributeError",
            Self::Key => "KeyError",
            Self::BadZipFile => "zipfile.BadZipFile",
            Self::JsonDecode => "json.decoder.JSONDecodeError",
            Self::NotImplemented => "NotImplementedError",
            Self::Overflow => "OverflowError",
            Self::Recursion => "RecursionError",
            Self::Runtime => "RuntimeError",
            Self::StopIteration => "StopIteration",
            Self::Storage => "nvflare.apis.storage.StorageException",
            Self::Type => "TypeError",
            Self::UnicodeDecode => "UnicodeDecodeError",
            Self::Value => "ValueError",
            Self::Zlib => "zlib.error",
            Self::Hocon => "pyparsing.exceptions.ParseSyntaxException",
        }
    }

    /// The class without its module, as the server puts it before the text.
    #[must_use]
    pub fn name(self) -> &'static str {
        let qualified = self.qualified_name();
        qualified.rsplit_once('.').map_or(qualified, |(_, name)| name)
    }

    /// True for `ValueError` and what derives from it: the validator turns exactly these into a refusal of the job.
    #[must_use]
    pub const fn is_value_error(self) -> bool {
        matches!(self, Self::Value | Self::JsonDecode | Self::UnicodeDecode)
    }
}

/// An exception of the real server; shown as `Class: text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonError {
    /// Its class.
    pub class: ExceptionClass,
    /// Its text.
    pub text: String,
}

impl PythonError {
    /// An exception of this class.
    #[must_use]
    pub fn new(class: ExceptionClass, text: impl Into<String>) -> Self {
        Self { class, text: text.into() }
    }

    /// A `ValueError`.
    #[must_use]
    pub fn value(text: impl Into<String>) -> Self {
        Self::new(ExceptionClass::Value, text)
    }
}

impl fmt::Display for PythonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class.name(), self.text)
    }
}

impl Error for PythonError {}
