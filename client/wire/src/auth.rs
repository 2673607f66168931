//! Authentication: challenge, register, the stamp on every later message, login headers, session token.
//!
//! ```text
//! client                                   server
//!   challenge {cn, nonce}            ->
//!                                    <-    {cn, cert, signature over cn + nonce, nonce}
//!   register {names, cert, signature over cn + nonce}  ->
//!                                    <-    {token, signature over name + token}
//!   every message: name, token, signature  <->  every message: "server", "server", signature
//! ```
//!
//! Source: `reference/wire-protocol.md` section 6.

use std::error::Error;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use crate::cell::{Headers, Payload, headers};
use crate::fobs;
use crate::hci::{JsonObject, python_json};
use crate::msgpack::{self, Value, field};
use crate::{Moment, PrivateKey, PublicKey, Randomness, SignatureError};

/// Version of the federation protocol that 2.9 announces when registering.
pub const FEDERATION_PROTOCOL_VERSION: u64 = 1;

/// The release whose protocol this crate speaks by default.
pub const NVFLARE_VERSION: &str = "2.9.0";

/// The client type of an admin in the register request.
pub const ADMIN_CLIENT_TYPE: &str = "admin";

/// Study of a session that names none.
pub const DEFAULT_STUDY: &str = "default";

/// Why a message of the authentication cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthError {
    /// A header or field is missing or of the wrong type.
    Missing(&'static str),
    /// A signature does not verify.
    Signature(SignatureError),
    /// The session token is no token.
    BadToken,
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "`{name}` is missing or malformed"),
            Self::Signature(_) => f.write_str("a signature was not accepted"),
            Self::BadToken => f.write_str("not a session token"),
        }
    }
}

impl Error for AuthError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Signature(error) => Some(error),
            _ => None,
        }
    }
}

fn text(source: &Headers, name: &'static str) -> Result<String, AuthError> {
    source.text(name).map(str::to_owned).ok_or(AuthError::Missing(name))
}

fn text_field(body: &Value, name: &'static str) -> Result<String, AuthError> {
    field(body, name).and_then(Value::as_str).map(str::to_owned).ok_or(AuthError::Missing(name))
}

/// Raw bytes; a text is taken as well, since real peers accept both.
fn bytes_field(body: &Value, name: &'static str) -> Result<Vec<u8>, AuthError> {
    match field(body, name) {
        Some(Value::Binary(bytes)) => Ok(bytes.clone()),
        Some(Value::String(text)) => Ok(text.as_bytes().to_vec()),
        _ => Err(AuthError::Missing(name)),
    }
}

/// The text that proves who somebody is: the common name followed by the other side's nonce.
#[must_use]
pub fn proof_text(common_name: &str, nonce: &str) -> Vec<u8> {
    [common_name.as_bytes(), nonce.as_bytes()].concat()
}

/// First message of a client: who it is, and a nonce for the server to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChallengeRequest {
    /// Common name of the client's certificate.
    pub common_name: String,
    /// A fresh UUID.
    pub nonce: String,
}

impl ChallengeRequest {
    /// The message headers.
    #[must_use]
    pub fn to_headers(&self) -> Headers {
        Headers::new().with("cn", self.common_name.as_str()).with("nonce", self.nonce.as_str())
    }

    /// Reads the message headers.
    ///
    /// # Errors
    /// [`AuthError::Missing`].
    pub fn from_headers(source: &Headers) -> Result<Self, AuthError> {
        Ok(Self { common_name: text(source, "cn")?, nonce: text(source, "nonce")? })
    }
}

/// The server's answer to a challenge: its identity, proved, and a nonce for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChallengeReply {
    /// The nonce that the client has to sign.
    pub nonce: String,
    /// Signature over [`proof_text`] of the server's name and the client's nonce.
    pub signature: Vec<u8>,
    /// Common name of the server's certificate.
    pub common_name: String,
    /// The certificate chain, PEM, leaf first.
    pub certificate: Vec<u8>,
}

impl ChallengeReply {
    /// The message payload.
    #[must_use]
    pub fn to_payload(&self) -> Payload {
        Payload::fobs(&fobs::shareable(
            [],
            [
                ("nonce", self.nonce.as_str().into()),
                ("signature", self.signature.as_slice().into()),
                ("cn", self.common_name.as_str().into()),
                ("cert", self.certificate.as_slice().into()),
            ],
        ))
    }

    /// Reads the payload's value.
    ///
    /// # Errors
    /// [`AuthError::Missing`].
    pub fn from_value(value: &Value) -> Result<Self, AuthError> {
        let body = fobs::body(value);
        Ok(Self {
            nonce: text_field(body, "nonce")?,
            signature: bytes_field(body, "signature")?,
            common_name: text_field(body, "cn")?,
            certificate: bytes_field(body, "cert")?,
        })
    }
}

/// The client's registration: its certificate and the proof that it owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterRequest {
    /// Common name of the client's certificate.
    pub client_name: String,
    /// [`ADMIN_CLIENT_TYPE`] for admins.
    pub client_type: String,
    /// Address text for the server's log; required by the real server.
    pub client_ip: String,
    /// Has to be the server's project.
    pub project_name: String,
    /// The certificate chain, PEM, leaf first.
    pub certificate: Vec<u8>,
    /// Signature over [`proof_text`] of the client's name and the server's nonce.
    pub signature: Vec<u8>,
}

impl RegisterRequest {
    /// The message headers.
    #[must_use]
    pub fn to_headers(&self) -> Headers {
        Headers::new()
            .with(headers::CLIENT_NAME, self.client_name.as_str())
            .with("client_type", self.client_type.as_str())
            .with("client_ip", self.client_ip.as_str())
            .with("project_name", self.project_name.as_str())
            .with("federation_protocol_version", FEDERATION_PROTOCOL_VERSION)
            .with("nvflare_version", NVFLARE_VERSION)
    }

    /// The message payload.
    #[must_use]
    pub fn to_payload(&self) -> Payload {
        let context = fobs::context("__identity_name__", self.client_name.as_str().into());
        Payload::fobs(&fobs::shareable(
            [("__peer_ctx__", context)],
            [
                ("cert", self.certificate.as_slice().into()),
                ("signature", self.signature.as_slice().into()),
                ("cn", self.client_name.as_str().into()),
            ],
        ))
    }

    /// Reads headers and payload value.
    ///
    /// # Errors
    /// [`AuthError::Missing`]; a missing project or type is an empty text, which no server accepts.
    pub fn from_message(source: &Headers, value: &Value) -> Result<Self, AuthError> {
        let body = fobs::body(value);
        Ok(Self {
            client_name: text(source, headers::CLIENT_NAME)?,
            client_type: source.text("client_type").unwrap_or_default().to_owned(),
            client_ip: source.text("client_ip").unwrap_or_default().to_owned(),
            project_name: source.text("project_name").unwrap_or_default().to_owned(),
            certificate: bytes_field(body, "cert")?,
            signature: bytes_field(body, "signature")?,
        })
    }
}

/// The server's answer to a registration.
#[derive(Clone, PartialEq, Eq)]
pub struct RegisterReply {
    /// A fresh UUID.
    pub token: String,
    /// The server's signature over client name and token, base64.
    pub token_signature: String,
    /// `NA` in 2.8 and 2.9.
    pub ssid: String,
}

impl RegisterReply {
    /// The message payload.
    #[must_use]
    pub fn to_payload(&self) -> Payload {
        Payload::fobs(&msgpack::map([
            (headers::TOKEN, self.token.as_str().into()),
            (headers::TOKEN_SIGNATURE, self.token_signature.as_str().into()),
            (headers::SSID, self.ssid.as_str().into()),
            ("federation_protocol_version", FEDERATION_PROTOCOL_VERSION.into()),
            ("nvflare_version", NVFLARE_VERSION.into()),
        ]))
    }

    /// The payload of a server that did not accept certificate, name or signature: an empty map.
    #[must_use]
    pub fn refusal_payload() -> Payload {
        Payload::fobs(&Value::Map(Vec::new()))
    }

    /// Reads the payload's value; `Ok(None)` is the silent refusal.
    ///
    /// # Errors
    /// [`AuthError::Missing`].
    pub fn from_value(value: &Value) -> Result<Option<Self>, AuthError> {
        let body = fobs::body(value);
        if body.as_map().is_some_and(Vec::is_empty) {
            return Ok(None);
        }
        Ok(Some(Self {
            token: text_field(body, headers::TOKEN)?,
            token_signature: text_field(body, headers::TOKEN_SIGNATURE)?,
            ssid: field(body, headers::SSID).and_then(Value::as_str).unwrap_or("NA").to_owned(),
        }))
    }
}

impl fmt::Debug for RegisterReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisterReply").field("token", &"<hidden>").finish_non_exhaustive()
    }
}

/// The headers that authenticate a message: name, token, and the server's signature over both.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CellToken {
    /// Name of the sender.
    pub client_name: String,
    /// Its token.
    pub token: String,
    /// The server's signature over name and token, base64.
    pub signature: String,
    /// Sent by clients, not by the server.
    pub ssid: Option<String>,
}

impl CellToken {
    /// What a client stamps on its messages after registration.
    #[must_use]
    pub fn of_client(client_name: &str, reply: &RegisterReply) -> Self {
        Self {
            client_name: client_name.to_owned(),
            token: reply.token.clone(),
            signature: reply.token_signature.clone(),
            ssid: Some(reply.ssid.clone()),
        }
    }

    /// What the server stamps on its messages.
    #[must_use]
    pub fn of_server(key: &PrivateKey, random: &mut Randomness) -> Self {
        let name = crate::cell::SERVER;
        Self {
            client_name: name.to_owned(),
            token: name.to_owned(),
            signature: key.sign_base64(random, &proof_text(name, name)),
            ssid: None,
        }
    }

    /// The headers, in the order a real sender writes them.
    #[must_use]
    pub fn to_headers(&self) -> Headers {
        let mut stamp = Headers::new().with(headers::CLIENT_NAME, self.client_name.as_str());
        if let Some(ssid) = &self.ssid {
            stamp.set(headers::SSID, ssid.as_str());
        }
        stamp.with(headers::TOKEN, self.token.as_str()).with(headers::TOKEN_SIGNATURE, self.signature.as_str())
    }

    /// Reads the headers of a message.
    ///
    /// # Errors
    /// [`AuthError::Missing`].
    pub fn from_headers(source: &Headers) -> Result<Self, AuthError> {
        Ok(Self {
            client_name: text(source, headers::CLIENT_NAME)?,
            token: text(source, headers::TOKEN)?,
            signature: text(source, headers::TOKEN_SIGNATURE)?,
            ssid: source.text(headers::SSID).map(str::to_owned),
        })
    }

    /// Checks the server's signature.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, server_key: &PublicKey) -> Result<(), SignatureError> {
        server_key.verify_base64(&proof_text(&self.client_name, &self.token), &self.signature)
    }
}

impl fmt::Debug for CellToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CellToken").field("client_name", &self.client_name).finish_non_exhaustive()
    }
}

/// The headers of `_cert_login`. A server gets them from anybody, so every one may be missing or of any type.
#[derive(Debug, Clone, PartialEq)]
pub struct LoginHeaders {
    /// The user, equal to the certificate's common name.
    pub user_name: Option<Value>,
    /// The certificate chain, PEM bytes.
    pub certificate: Option<Value>,
    /// Signature over the common name and an empty nonce: raw bytes, or base64 text.
    pub signature: Option<Value>,
    /// The study of the session (2.8+); `None` when the header is absent, nil when it is null.
    pub study: Option<Value>,
}

impl LoginHeaders {
    /// The headers of a login.
    #[must_use]
    pub fn new(user_name: &str, certificate: &[u8], signature: &[u8], study: &str) -> Self {
        Self {
            user_name: Some(user_name.into()),
            certificate: Some(certificate.into()),
            signature: Some(signature.into()),
            study: Some(study.into()),
        }
    }

    /// The message headers.
    #[must_use]
    pub fn to_headers(&self) -> Headers {
        let fields = [
            ("user_name", &self.user_name),
            ("cert", &self.certificate),
            ("signature", &self.signature),
            ("study", &self.study),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }

    /// Reads the message headers.
    #[must_use]
    pub fn from_headers(source: &Headers) -> Self {
        let get = |name| source.get(name).cloned();
        Self { user_name: get("user_name"), certificate: get("cert"), signature: get("signature"), study: get("study") }
    }
}

/// The HCI session token: a JSON text and the server's signature over exactly that text.
///
/// It holds all a server needs to make the session again, so it outlives a logout and a restart.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionToken {
    /// `n`: the user.
    pub name: String,
    /// `r`: the role in the user's certificate.
    pub role: String,
    /// `o`: the organisation in the user's certificate.
    pub org: String,
    /// `s`: session id, a UUID.
    pub session_id: String,
    /// `study` (2.8+); empty in one that names none, which stands for the default study when it is read.
    pub study: String,
    /// `ce` (2.9): when the user's certificate expires.
    pub cert_expiry: Option<Moment>,
}

impl SessionToken {
    /// The token text, signed by the server.
    #[must_use]
    pub fn encode(&self, key: &PrivateKey, random: &mut Randomness) -> String {
        let mut body = JsonObject::new();
        for (key, value) in [("n", &self.name), ("r", &self.role), ("o", &self.org), ("s", &self.session_id)] {
            body.insert(key.to_owned(), json!(value));
        }
        if !self.study.is_empty() {
            body.insert("study".to_owned(), json!(self.study));
        }
        if let Some(expiry) = self.cert_expiry {
            body.insert("ce".to_owned(), json!(expiry.as_secs_f64()));
        }
        let text = python_json(&Json::Object(body));
        let signature = key.sign_base64(random, text.as_bytes());
        format!("{}:{signature}", STANDARD.encode(text))
    }

    /// Reads a token and checks the server's signature.
    ///
    /// # Errors
    /// [`AuthError::BadToken`], [`AuthError::Signature`].
    pub fn decode(token: &str, server_key: &PublicKey) -> Result<Self, AuthError> {
        let (body, signature) = token.split_once(':').ok_or(AuthError::BadToken)?;
        let text = STANDARD.decode(body).map_err(|_| AuthError::BadToken)?;
        server_key.verify_base64(&text, signature).map_err(AuthError::Signature)?;
        Self::read_body(&text)
    }

    /// Reads a token without asking who signed it.
    ///
    /// # Errors
    /// [`AuthError::BadToken`].
    pub fn read(token: &str) -> Result<Self, AuthError> {
        let (body, _) = token.split_once(':').ok_or(AuthError::BadToken)?;
        Self::read_body(&STANDARD.decode(body).map_err(|_| AuthError::BadToken)?)
    }

    fn read_body(text: &[u8]) -> Result<Self, AuthError> {
        let body: Json = serde_json::from_slice(text).map_err(|_| AuthError::BadToken)?;
        let get = |key: &str| body.get(key).and_then(Json::as_str).map(str::to_owned);
        Ok(Self {
            name: get("n").ok_or(AuthError::BadToken)?,
            role: get("r").unwrap_or_default(),
            org: get("o").unwrap_or_default(),
            session_id: get("s").ok_or(AuthError::BadToken)?,
            study: get("study").or_else(|| get("t")).unwrap_or_else(|| DEFAULT_STUDY.to_owned()),
            cert_expiry: body
                .get("ce")
                .and_then(Json::as_f64)
                .and_then(|seconds| Some(Moment::from_unix(std::time::Duration::try_from_secs_f64(seconds).ok()?))),
        })
    }
}
