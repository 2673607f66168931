//! The section `admin` of `fed_admin.json`, with the defaults of the official client.
//!
//! Source: `reference/client-api.md` section 2.3.

use std::path::{Path, PathBuf};
use std::time::Duration;

use flare_wire::hci::JsonObject;
use serde_json::Value;

use super::{KitDefect, KitError};

/// How frames travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// WebSocket (`http`, `https`), what provisioning writes by default.
    Http,
    /// gRPC (`grpc`, `grpcs`, `agrpc`, `agrpcs`).
    Grpc,
    /// Frames back to back on TCP (`tcp`, `stcp`, `atcp`, `satcp`).
    Tcp,
}

impl Scheme {
    /// The scheme, and whether its spelling asks for TLS whatever `connection_security` says.
    fn parse(text: &str) -> Option<(Self, bool)> {
        Some(match text {
            "http" => (Self::Http, false),
            "https" => (Self::Http, true),
            "grpc" | "agrpc" => (Self::Grpc, false),
            "grpcs" | "agrpcs" => (Self::Grpc, true),
            "tcp" | "atcp" => (Self::Tcp, false),
            "stcp" | "satcp" => (Self::Tcp, true),
            _ => return None,
        })
    }
}

/// How the connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionSecurity {
    /// TLS, and both sides show a certificate.
    Mtls,
    /// TLS, and only the server shows a certificate.
    Tls,
    /// No TLS. Challenge and registration still prove both identities.
    Clear,
}

/// Where the user's name comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UidSource {
    /// The key `username`.
    UserInput,
    /// The certificate.
    Cert,
}

/// The `admin` sections of a kit. Where both have a key, the one of the startup folder counts.
pub(super) struct AdminSections {
    /// `startup/fed_admin.json`.
    pub(super) startup: (PathBuf, JsonObject),
    /// `local/resources.json`, or its default.
    pub(super) resources: Option<(PathBuf, JsonObject)>,
}

impl AdminSections {
    /// The value of a key, and the file it is from.
    fn get(&self, key: &str) -> Option<(&Path, &Value)> {
        [Some(&self.startup), self.resources.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|(file, admin)| Some((file.as_path(), admin.get(key)?)))
            .filter(|(_, value)| !value.is_null())
    }
}

/// All settings of the library's concern. File and folder names are as written.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) project_name: String,
    pub(super) username: Option<String>,
    pub(super) server_identity: String,
    pub(super) scheme: Scheme,
    pub(super) security: ConnectionSecurity,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) uid_source: UidSource,
    pub(super) upload_dir: String,
    pub(super) download_dir: String,
    pub(super) client_key: String,
    pub(super) client_cert: String,
    pub(super) ca_cert: String,
    pub(super) login_timeout: Duration,
    pub(super) message_timeout: Duration,
    pub(super) download_progress_timeout: Duration,
}

impl Settings {
    /// Reads what the sections say, and the defaults for the rest.
    pub(super) fn read(keys: &AdminSections) -> Result<Self, KitError> {
        let (scheme, secure_spelling) = match keys.text("scheme")? {
            // A kit without the key was written for an old release, whose scheme this was.
            None => (Scheme::Grpc, false),
            Some(text) => Scheme::parse(&text).ok_or_else(|| keys.bad("scheme", "http, tcp or grpc"))?,
        };
        let security = match keys.text("connection_security")?.as_deref() {
            None | Some("mtls") => ConnectionSecurity::Mtls,
            Some("tls") => ConnectionSecurity::Tls,
            Some("clear") if secure_spelling => ConnectionSecurity::Mtls,
            Some("clear") => ConnectionSecurity::Clear,
            Some(_) => return Err(keys.bad("connection_security", "mtls, tls or clear")),
        };
        let uid_source = match keys.text("uid_source")?.as_deref() {
            None | Some("user_input") => UidSource::UserInput,
            Some("cert") => UidSource::Cert,
            Some(_) => return Err(keys.bad("uid_source", "user_input or cert")),
        };
        Ok(Self {
            project_name: keys.required("project_name")?,
            username: keys.text("username")?.filter(|name| !name.is_empty()),
            server_identity: keys.text_or("server_identity", "server")?,
            scheme,
            security,
            host: keys.text_or("host", "localhost")?,
            port: keys.port("port", 8002)?,
            uid_source,
            upload_dir: keys.text_or("upload_dir", "transfer")?,
            download_dir: keys.text_or("download_dir", "transfer")?,
            client_key: keys.required("client_key")?,
            client_cert: keys.required("client_cert")?,
            ca_cert: keys.required("ca_cert")?,
            login_timeout: keys.seconds("login_timeout", 10.0)?,
            message_timeout: keys.seconds("authenticate_msg_timeout", 5.0)?,
            download_progress_timeout: keys.seconds("file_download_progress_timeout", 5.0)?,
        })
    }
}

/// Reading single values.
impl AdminSections {
    fn bad(&self, key: &'static str, expected: &'static str) -> KitError {
        let file = self.get(key).map_or(self.startup.0.as_path(), |(file, _)| file);
        KitError::new(file, KitDefect::BadValue { key, expected })
    }

    fn text(&self, key: &'static str) -> Result<Option<String>, KitError> {
        match self.get(key) {
            None => Ok(None),
            Some((_, Value::String(text))) => Ok(Some(text.clone())),
            Some(_) => Err(self.bad(key, "a text")),
        }
    }

    fn text_or(&self, key: &'static str, default: &str) -> Result<String, KitError> {
        match self.text(key)? {
            Some(text) if text.is_empty() => Err(self.bad(key, "a text that is not empty")),
            Some(text) => Ok(text),
            None => Ok(default.to_owned()),
        }
    }

    fn required(&self, key: &'static str) -> Result<String, KitError> {
        match self.text(key)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(KitError::new(&self.startup.0, KitDefect::NoKey(key))),
        }
    }

    fn port(&self, key: &'static str, default: u16) -> Result<u16, KitError> {
        match self.get(key) {
            None => Ok(default),
            Some((_, value)) => value
                .as_u64()
                .and_then(|port| u16::try_from(port).ok())
                .filter(|port| *port != 0)
                .ok_or_else(|| self.bad(key, "a port number")),
        }
    }

    fn seconds(&self, key: &'static str, default: f64) -> Result<Duration, KitError> {
        self.get(key)
            .map_or(Some(default), |(_, value)| value.as_f64())
            .filter(|seconds| *seconds > 0.0)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| self.bad(key, "a number of seconds above zero"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(changes: Value) -> Result<Settings, String> {
        read_with(changes, Value::Null)
    }

    fn read_with(changes: Value, resources: Value) -> Result<Settings, String> {
        let mut admin = json!({
            "project_name": "p", "client_key": "client.key", "client_cert": "client.crt", "ca_cert": "rootCA.pem"
        });
        admin.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let startup = ("fed_admin.json".into(), admin.as_object().unwrap().clone());
        let resources = resources.as_object().map(|resources| ("resources.json".into(), resources.clone()));
        Settings::read(&AdminSections { startup, resources }).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_missing_has_the_defaults_of_the_official_client() {
        let settings = read(json!({})).unwrap();
        assert_eq!((settings.scheme, settings.security), (Scheme::Grpc, ConnectionSecurity::Mtls));
        assert_eq!((settings.host.as_str(), settings.port), ("localhost", 8002));
        assert_eq!((settings.server_identity.as_str(), settings.uid_source), ("server", UidSource::UserInput));
        assert_eq!((settings.upload_dir.as_str(), settings.download_dir.as_str()), ("transfer", "transfer"));
        assert_eq!(settings.login_timeout, Duration::from_secs(10));
        assert_eq!(settings.message_timeout, Duration::from_secs(5));
        assert_eq!(settings.download_progress_timeout, Duration::from_secs(5));
    }

    #[test]
    fn resources_count_where_the_startup_folder_is_silent() {
        let settings = read_with(json!({"port": 1}), json!({"port": 2, "project_name": "q", "host": "h"})).unwrap();
        assert_eq!((settings.port, settings.project_name.as_str(), settings.host.as_str()), (1, "p", "h"));
        let error = read_with(json!({}), json!({"login_timeout": "soon"})).unwrap_err();
        assert_eq!(error, "resources.json has a `login_timeout` that is not a number of seconds above zero");
    }

    #[test]
    fn a_secure_spelling_of_the_scheme_keeps_tls() {
        let settings = read(json!({"scheme": "stcp", "connection_security": "clear"})).unwrap();
        assert_eq!((settings.scheme, settings.security), (Scheme::Tcp, ConnectionSecurity::Mtls));
        let settings = read(json!({"scheme": "http", "connection_security": "clear"})).unwrap();
        assert_eq!((settings.scheme, settings.security), (Scheme::Http, ConnectionSecurity::Clear));
    }

    #[test]
    fn values_that_cannot_be_used_are_named() {
        for (changes, message) in [
            (json!({"project_name": ""}), "has no key `project_name`"),
            (json!({"client_key": null}), "has no key `client_key`"),
            (json!({"scheme": "ftp"}), "`scheme` that is not http, tcp or grpc"),
            (json!({"connection_security": "none"}), "`connection_security` that is not"),
            (json!({"uid_source": "guest"}), "`uid_source` that is not"),
            (json!({"host": ""}), "`host` that is not"),
            (json!({"host": 5}), "`host` that is not a text"),
            (json!({"port": 0}), "`port` that is not"),
            (json!({"port": 65536}), "`port` that is not"),
            (json!({"port": "8002"}), "`port` that is not"),
            (json!({"login_timeout": 0}), "`login_timeout` that is not"),
            (json!({"authenticate_msg_timeout": -1.0}), "`authenticate_msg_timeout` that is not"),
            (json!({"login_timeout": 1e300}), "`login_timeout` that is not"),
        ] {
            let error = read(changes).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
