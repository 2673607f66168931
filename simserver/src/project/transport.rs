//! How connections travel and what protects them.

use std::fmt;

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

    /// Reads a scheme as provisioning does: blanks around it and its case do not matter.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "http" => Some(Self::Http),
            "tcp" => Some(Self::Tcp),
            "grpc" => Some(Self::Grpc),
            _ => None,
        }
    }
}

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

    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "clear" => Some(Self::Clear),
            "tls" => Some(Self::Tls),
            "mtls" => Some(Self::Mtls),
            _ => None,
        }
    }
}

impl fmt::Display for ConnectionSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
