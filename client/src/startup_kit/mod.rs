//! Admin startup kits: the folder that says which server to talk to, as whom, and proves it.
//!
//! ```text
//! kit/startup/fed_admin.json   address, names, names of the files below
//! kit/startup/client.crt       the user's certificate: name, organisation, role
//! kit/startup/client.key       its key
//! kit/startup/rootCA.pem       the project's authority
//! kit/startup/signature.json   signatures of the files, in some kits
//! kit/local/resources.json     own settings; resources.json.default is read when it is absent
//! kit/transfer/                files to upload, and downloaded ones
//! ```
//!
//! Source: `reference/startup-kits.md`, `reference/client-api.md` section 2.

mod defect;
mod settings;

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flare_wire::certificate::Certificate;
use flare_wire::hci::JsonObject;
use flare_wire::{Moment, PrivateKey};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;

pub use defect::{KitDefect, KitError};
use settings::{AdminSections, Settings, UidSource};
pub use settings::{ConnectionSecurity, Scheme};

use crate::{Error, ErrorKind};

/// Longest file of a kit that is read: a hundred times of what provisioning writes.
const MAX_FILE: u64 = 1024 * 1024;

const CONFIG: &str = "fed_admin.json";

/// An admin's startup kit, read and checked.
///
/// ```no_run
/// # fn main() -> Result<(), flare_client::Error> {
/// let kit = flare_client::StartupKit::open("/home/me/prod_00/admin@nvidia.com")?;
/// println!("{} ({}) on {}:{}", kit.username(), kit.role(), kit.host(), kit.port());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct StartupKit {
    root: PathBuf,
    settings: Settings,
    username: String,
    certificate_pem: Vec<u8>,
    chain: Vec<Certificate>,
    key: PrivateKey,
    key_der: std::sync::Arc<PrivateKeyDer<'static>>,
    roots: Vec<Certificate>,
    tls_roots: Vec<Certificate>,
}

impl StartupKit {
    /// Reads the kit in `folder`: the folder that holds `startup` and `local`.
    ///
    /// The files are small and are read at once, so this blocks for a moment. Nothing is written: unlike the
    /// official client, this one makes the download folder only when something is downloaded.
    ///
    /// # Errors
    /// [`InvalidStartupKit`](ErrorKind::InvalidStartupKit); the source is a [`KitError`], which names the file and the
    /// remedy.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self::read(folder.as_ref())?)
    }

    fn read(root: &Path) -> Result<Self, KitError> {
        let startup = root.join("startup");
        check_folders(root, &startup)?;

        let config = startup.join(CONFIG);
        let config_text = read_file(&config)?;
        check_signature(&startup, &config, &config_text)?;
        let settings = Settings::read(&admin_sections(root, config.clone(), &config_text)?)?;

        let certificate_file = startup.join(&settings.client_cert);
        let certificate_pem = read_file(&certificate_file)?;
        let chain = certificates(&certificate_file, &certificate_pem)?;
        let (key, key_der) = read_key(&startup.join(&settings.client_key), &chain[0])?;
        let roots_file = startup.join(&settings.ca_cert);
        let roots = certificates(&roots_file, &read_file(&roots_file)?)?;
        let tls_roots = match settings.security {
            ConnectionSecurity::Tls => custom_roots(&startup)?.unwrap_or_else(|| roots.clone()),
            _ => roots.clone(),
        };

        let username = user(&settings, &chain[0], &certificate_file, &config)?;
        let kit = Self {
            root: root.to_owned(),
            settings,
            username,
            certificate_pem,
            chain,
            key,
            key_der: key_der.into(),
            roots,
            tls_roots,
        };
        if !kit.upload_dir().is_dir() && kit.upload_dir() != kit.download_dir() {
            return Err(KitError::new(kit.upload_dir(), KitDefect::NoFolder));
        }
        Ok(kit)
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The project, which has to be the server's.
    #[must_use]
    pub fn project_name(&self) -> &str {
        &self.settings.project_name
    }

    /// The user: the common name of the certificate.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The user's organisation; may be empty.
    #[must_use]
    pub fn organization(&self) -> &str {
        self.chain[0].organization()
    }

    /// The user's role, such as `project_admin` or `lead`; may be empty.
    #[must_use]
    pub fn role(&self) -> &str {
        self.chain[0].role()
    }

    /// The common name that the server's certificate has to have.
    #[must_use]
    pub fn server_identity(&self) -> &str {
        &self.settings.server_identity
    }

    /// How frames travel.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.settings.scheme
    }

    /// How the connection is secured.
    #[must_use]
    pub fn connection_security(&self) -> ConnectionSecurity {
        self.settings.security
    }

    /// The server's host name or address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.settings.host
    }

    /// The server's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.settings.port
    }

    /// The folder of what can be uploaded.
    #[must_use]
    pub fn upload_dir(&self) -> PathBuf {
        self.root.join(&self.settings.upload_dir)
    }

    /// The folder of what was downloaded; may not exist yet.
    #[must_use]
    pub fn download_dir(&self) -> PathBuf {
        self.root.join(&self.settings.download_dir)
    }

    /// When the user's certificate expires.
    #[must_use]
    pub fn valid_until(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.chain[0].not_after().since_epoch()
    }

    /// How long opening a session may take unless the builder says otherwise.
    #[must_use]
    pub fn login_timeout(&self) -> Duration {
        self.settings.login_timeout
    }

    /// How long the official client waits for a single message of challenge and registration. This library waits for as
    /// long as the session may take to open, and repeats what may have got lost.
    #[must_use]
    pub fn message_timeout(&self) -> Duration {
        self.settings.message_timeout
    }

    /// How long a download may stand still.
    #[must_use]
    pub fn download_progress_timeout(&self) -> Duration {
        self.settings.download_progress_timeout
    }

    /// Another address of the same server, such as the near end of a tunnel.
    #[must_use]
    pub fn with_address(mut self, host: impl Into<String>, port: u16) -> Self {
        self.settings.host = host.into();
        self.settings.port = port;
        self
    }

    pub(crate) fn certificate_pem(&self) -> &[u8] {
        &self.certificate_pem
    }

    pub(crate) fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    pub(crate) fn key(&self) -> &PrivateKey {
        &self.key
    }

    pub(crate) fn key_der(&self) -> PrivateKeyDer<'static> {
        self.key_der.clone_key()
    }

    /// The project's authorities.
    pub(crate) fn roots(&self) -> &[Certificate] {
        &self.roots
    }

    /// The authorities of the TLS connection, which need not be the project's.
    pub(crate) fn tls_roots(&self) -> &[Certificate] {
        &self.tls_roots
    }

    /// Finds a certificate that no server would accept at `now`, before anything is sent.
    pub(crate) fn check_validity(&self, now: Moment) -> Result<(), Error> {
        let certificate = &self.chain[0];
        if now > certificate.not_after() {
            let expired = now.since(certificate.not_after());
            let message = format!("our certificate expired {} ago", Days(expired));
            return Err(Error::new(ErrorKind::ClientCertificateExpired, message));
        }
        if now < certificate.not_before() {
            let early = certificate.not_before().since(now);
            let message = format!("by this machine's clock our certificate will be valid in {}", Days(early));
            return Err(Error::new(ErrorKind::ClockSkew, message));
        }
        Ok(())
    }
}

/// Hides the key.
impl fmt::Debug for StartupKit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartupKit")
            .field("root", &self.root)
            .field("username", &self.username)
            .field("project_name", &self.settings.project_name)
            .field("host", &self.settings.host)
            .field("port", &self.settings.port)
            .finish_non_exhaustive()
    }
}

/// A duration between certificates and clocks: in days, hours or minutes.
struct Days(Duration);

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..3600 => write!(f, "{} min", seconds.div_ceil(60)),
            3600..172_800 => write!(f, "{} h", seconds / 3600),
            _ => write!(f, "{} days", seconds / 86_400),
        }
    }
}

fn check_folders(root: &Path, startup: &Path) -> Result<(), KitError> {
    if !root.is_dir() {
        return Err(KitError::new(root, KitDefect::NoFolder));
    }
    if !startup.is_dir() {
        let defect = if root.join(CONFIG).is_file() { KitDefect::StartupFolder } else { KitDefect::NoFolder };
        let named = if matches!(defect, KitDefect::StartupFolder) { root } else { startup };
        return Err(KitError::new(named, defect));
    }
    let local = root.join("local");
    if local.is_dir() { Ok(()) } else { Err(KitError::new(local, KitDefect::NoFolder)) }
}

fn read_file(file: &Path) -> Result<Vec<u8>, KitError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::IsADirectory => KitError::new(file, KitDefect::NoFile),
        _ => KitError::new(file, KitDefect::Unreadable(error)),
    };
    let mut content = Vec::new();
    fs::File::open(file).and_then(|open| open.take(MAX_FILE + 1).read_to_end(&mut content)).map_err(unreadable)?;
    if content.len() as u64 > MAX_FILE {
        return Err(KitError::new(file, KitDefect::TooLarge));
    }
    Ok(content)
}

fn read_object(file: &Path, text: &[u8]) -> Result<JsonObject, KitError> {
    serde_json::from_slice(text).map_err(|error| KitError::new(file, KitDefect::NotJson(error)))
}

/// Where a kit carries signatures, the configuration has to have a good one: signed by the project's authority.
fn check_signature(startup: &Path, config: &Path, text: &[u8]) -> Result<(), KitError> {
    let signatures = startup.join("signature.json");
    // The name is fixed here: `ca_cert` stands in the very file that is being checked.
    let root = startup.join("rootCA.pem");
    if !signatures.is_file() || !root.is_file() {
        return Ok(());
    }
    let listed = read_object(&signatures, &read_file(&signatures)?)?;
    let authority = certificates(&root, &read_file(&root)?)?;
    let Some(Value::String(signature)) = listed.get(CONFIG) else {
        return Err(KitError::new(config, KitDefect::NotSigned));
    };
    let key = authority[0].public_key().map_err(|error| KitError::new(&root, KitDefect::BadPrivateKey(error)))?;
    key.verify_base64(text, signature).map_err(|_| KitError::new(config, KitDefect::Tampered))
}

fn admin_sections(root: &Path, config: PathBuf, text: &[u8]) -> Result<AdminSections, KitError> {
    let section = |file: &Path, text: &[u8]| match read_object(file, text)?.remove("admin") {
        None => Ok(None),
        Some(Value::Object(admin)) => Ok(Some(admin)),
        Some(_) => Err(KitError::new(file, KitDefect::NoAdminSection)),
    };
    let startup = section(&config, text)?.ok_or_else(|| KitError::new(&config, KitDefect::NoAdminSection))?;
    let own = root.join("local/resources.json");
    let default = root.join("local/resources.json.default");
    let resources = match [own, default].into_iter().find(|file| file.is_file()) {
        Some(file) => section(&file, &read_file(&file)?)?.map(|admin| (file, admin)),
        None => None,
    };
    Ok(AdminSections { startup: (config, startup), resources })
}

fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<Certificate>, KitError> {
    Certificate::chain_from_pem(pem).map_err(|error| KitError::new(file, KitDefect::BadCertificate(error)))
}

fn custom_roots(startup: &Path) -> Result<Option<Vec<Certificate>>, KitError> {
    let file = startup.join("customRootCA.pem");
    if file.is_file() { certificates(&file, &read_file(&file)?).map(Some) } else { Ok(None) }
}

fn read_key(file: &Path, certificate: &Certificate) -> Result<(PrivateKey, PrivateKeyDer<'static>), KitError> {
    let bad = |error| KitError::new(file, KitDefect::BadPrivateKey(error));
    let pem = read_file(file)?;
    let text = std::str::from_utf8(&pem).map_err(|_| bad(flare_wire::SignatureError::BadPrivateKey))?;
    let key = PrivateKey::from_pem(text).map_err(bad)?;
    let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| bad(flare_wire::SignatureError::BadPrivateKey))?;
    match certificate.public_key() {
        Ok(public) if public == key.public_key() => Ok((key, der)),
        _ => Err(KitError::new(file, KitDefect::KeyMismatch)),
    }
}

/// The server compares the user with the certificate's common name, so a kit that names another user cannot log in.
fn user(settings: &Settings, certificate: &Certificate, file: &Path, config: &Path) -> Result<String, KitError> {
    let common_name = certificate.common_name();
    if common_name.is_empty() {
        return Err(KitError::new(file, KitDefect::NoCommonName));
    }
    match &settings.username {
        Some(username) if settings.uid_source == UidSource::UserInput && username != common_name => {
            let defect = KitDefect::OtherUser { username: username.clone(), common_name: common_name.to_owned() };
            Err(KitError::new(config, defect))
        }
        _ => Ok(common_name.to_owned()),
    }
}
