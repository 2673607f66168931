//! How connections travel and what protects them.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// How frames travel: the `scheme` of provisioning's `StaticFileBuilder`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scheme {
    /// WebSocket, the default of provisioning since 2.7.
    #[default]
    Http,
    /// A plain byte stream.
    Tcp,
    /// gRPC, the default of older releases.
    Grpc,
}

/// What protects a connection: the property `connection_security`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ConnectionSecurity {
    /// No TLS at all.
    Clear,
    /// TLS with a server certificate.
    Tls,
    /// TLS with certificates on both sides, the default.
    #[default]
    Mtls,
}

impl Scheme {
    /// The name in kits.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Grpc => "grpc",
        }
    }

    /// What can be written for one.
    pub(super) const NAMES: &'static str = "http, tcp, grpc";
}

impl FromStr for Scheme {
    type Err = NoSuchWay;

    /// Reads a scheme as provisioning does: blanks around it and its case do not matter.
    fn from_str(text: &str) -> Result<Self, NoSuchWay> {
        match text.trim().to_ascii_lowercase().as_str() {
            "http" => Ok(Self::Http),
            "tcp" => Ok(Self::Tcp),
            "grpc" => Ok(Self::Grpc),
            _ => Err(NoSuchWay(Self::NAMES)),
        }
    }
}

/// A text that is none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchWay(&'static str);

impl fmt::Display for NoSuchWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "possible is {}", self.0)
    }
}

impl Error for NoSuchWay {}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ConnectionSecurity {
    /// The name in kits.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Tls => "tls",
            Self::Mtls => "mtls",
        }
    }

    /// What can be written for one.
    pub(super) const NAMES: &'static str = "clear, tls, mtls";
}

impl FromStr for ConnectionSecurity {
    type Err = NoSuchWay;

    /// Reads it as provisioning does, whatever the case.
    fn from_str(text: &str) -> Result<Self, NoSuchWay> {
        match text.to_ascii_lowercase().as_str() {
            "clear" => Ok(Self::Clear),
            "tls" => Ok(Self::Tls),
            "mtls" => Ok(Self::Mtls),
            _ => Err(NoSuchWay(Self::NAMES)),
        }
    }
}

impl fmt::Display for ConnectionSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
